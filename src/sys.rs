//! What only the C library offers: the one module (with its folder) that may hold `unsafe`.

mod ethtool;
mod interfaces;

pub use self::{
    ethtool::driver_counters,
    interfaces::{InterfaceAddress, interface_addresses},
};
