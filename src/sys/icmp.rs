//! Asks the kernel to pass on what routers say about a datagram that was sent.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd},
};

/// The IP version of a socket: the option has a number of its own for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// `IP_RECVERR`.
    V4,
    /// `IPV6_RECVERR`.
    V6,
}

/// Lets a connected datagram socket fail with `EHOSTUNREACH` or `ENETUNREACH` too (ip(7), `IP_RECVERR`): without it the
/// kernel passes on only a closed port, and a silent gateway's "unreachable" looks like a lost datagram.
///
/// # Errors
/// What setsockopt(2) says.
#[expect(unsafe_code, reason = "neither std, rustix nor socket2 has this option")]
pub fn report_icmp_errors(socket: &impl AsFd, version: IpVersion) -> io::Result<()> {
    let (level, option) = match version {
        IpVersion::V4 => (libc::IPPROTO_IP, libc::IP_RECVERR),
        IpVersion::V6 => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(mem::size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is borrowed, so open; `on` is an int that outlives the call, and `size` is its size.
    let result = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, (&raw const on).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
