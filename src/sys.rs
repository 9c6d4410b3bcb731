//! What only the C library offers: the one module (with its folder) that may hold `unsafe`.

mod ethtool;
mod icmp;
mod interfaces;
mod limits;

pub use self::{
    ethtool::driver_counters,
    icmp::{IpVersion, report_icmp_errors},
    interfaces::{InterfaceAddress, interface_addresses},
    limits::raise_descriptor_limit,
};
