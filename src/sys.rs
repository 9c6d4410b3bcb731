//! What only the kernel can tell, and what only the C library offers: the one module (with its folder) that may hold
//! `unsafe`.

mod ethtool;
mod icmp;
mod interfaces;
mod limits;
mod route;
mod tcp;

pub use self::{
    ethtool::driver_counters,
    icmp::{IpVersion, report_icmp_errors},
    interfaces::{InterfaceAddress, interface_addresses},
    limits::raise_descriptor_limit,
    route::{Route, RouteMtu, Routes, route_to},
    tcp::{TcpInfo, tcp_info},
};
