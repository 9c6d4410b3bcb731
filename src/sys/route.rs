//! Which way a packet would take, and how large it may be there (rtnetlink(7)).

use std::{io, net::IpAddr};

/// The way to one address, as the kernel would choose it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The MTU of the link that it leaves by, in bytes.
    pub link_mtu: Option<u32>,
    /// A smaller MTU that holds for this destination, in bytes.
    pub mtu: Option<RouteMtu>,
}

/// An MTU that belongs to a route, not to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteMtu {
    /// An operator set it: `ip route … mtu N`.
    Set(u32),
    /// ICMP said so; the kernel keeps it for some minutes (a route exception).
    Learnt(u32),
}

/// The way to `destination` for a socket that sends from `source`.
///
/// # Errors
/// What socket(2), send(2) and recv(2) say, or the kernel's own error in its answer (no route, …).
pub fn route_to(destination: IpAddr, source: Option<IpAddr>) -> io::Result<Route> {
    let _ = (destination, source);
    Err(io::Error::new(io::ErrorKind::Unsupported, "not asked yet"))
}
