//! The addresses of this host's interfaces, as getifaddrs(3) lists them.

use std::{
    ffi::CStr,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr,
};

use ipnet::IpNet;

/// One address of one interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The kernel's name of the interface, e.g. `ens5`.
    pub interface: String,
    /// The address with the length of its prefix.
    pub net: IpNet,
}

/// All addresses of all interfaces that are up, loopback's included.
///
/// # Errors
/// What getifaddrs(3) says: no memory, no descriptors, or netlink forbidden by a sandbox.
#[expect(unsafe_code, reason = "getifaddrs gives a C list, and std has no call for it")]
pub fn interface_addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut head: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: `head` is a valid place for the list's head; the call writes nothing else of ours.
    if unsafe { libc::getifaddrs(&raw mut head) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = head;
    while !next.is_null() {
        // SAFETY: `next` is not null and is an entry of the list, which lives until freeifaddrs below.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        if entry.ifa_flags & UP == 0 || entry.ifa_name.is_null() {
            continue;
        }
        // SAFETY: address and mask belong to the entry: each null or a socket address as long as its family says.
        let (address, mask) = unsafe { (ip(entry.ifa_addr), ip(entry.ifa_netmask)) };
        let Some(prefixed) = address.zip(mask).and_then(|(address, mask)| IpNet::with_netmask(address, mask).ok())
        else {
            continue;
        };
        // SAFETY: not null, checked above, and the list's names end with a zero byte.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        found.push(InterfaceAddress { interface: name.to_string_lossy().into_owned(), net: prefixed });
    }
    // SAFETY: `head` came from getifaddrs, is freed once, and nothing borrowed from the list is used afterwards.
    unsafe { libc::freeifaddrs(head) };
    Ok(found)
}

/// The IP address in a socket address; `None` for other families.
///
/// # Safety
/// `address` is null or points to a socket address that is as long as its family says.
#[expect(unsafe_code, reason = "the type behind a sockaddr is known only by its family")]
unsafe fn ip(address: *const libc::sockaddr) -> Option<IpAddr> {
    if address.is_null() {
        return None;
    }
    // SAFETY: not null; the family stands at the start of every socket address.
    let family = unsafe { ptr::read_unaligned(&raw const (*address).sa_family) };
    match i32::from(family) {
        libc::AF_INET => {
            // SAFETY: the family says that it is a sockaddr_in.
            let v4 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in>()) };
            Some(IpAddr::V4(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes())))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that it is a sockaddr_in6.
            let v6 = unsafe { ptr::read_unaligned(address.cast::<libc::sockaddr_in6>()) };
            Some(IpAddr::V6(Ipv6Addr::from(v6.sin6_addr.s6_addr)))
        }
        _ => None,
    }
}

/// `IFF_UP` in the type of the list's flags.
const UP: libc::c_uint = libc::IFF_UP.cast_unsigned();

#[cfg(test)]
mod tests {
    use super::interface_addresses;

    #[test]
    fn loopback_is_listed_with_its_prefix() {
        let all = interface_addresses().expect("getifaddrs works");
        let loopback = all.iter().find(|a| a.net.to_string() == "127.0.0.1/8");
        assert_eq!(loopback.map(|a| a.interface.as_str()), Some("lo"), "{all:?}");
    }
}
