//! What only the C library offers: the one module (with its folder) that may hold `unsafe`.

mod icmp;

pub use self::icmp::{IpVersion, report_icmp_errors};
