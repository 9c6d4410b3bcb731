//! Which way a packet would take, and how large it may be there (rtnetlink(7)).

mod wire;

use std::{collections::BTreeMap, io, net::IpAddr, os::fd::OwnedFd, time::Duration};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink, recvfrom, sendto,
        socket_with,
    },
};
use tokio::time::Instant;

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
    /// An operator set it: `ip route … mtu N`. A router's advertisement does the same for IPv6 (RFC 4861 §4.6.4).
    Set(u32),
    /// ICMP said so; the kernel keeps it for some minutes (a route exception).
    Learnt(u32),
}

/// The way to `destination` for a socket that sends from `source`. Needs no privilege. An IPv4-mapped address is its IPv4
/// address, an unspecified source is none.
///
/// A sandbox must allow `AF_NETLINK` (systemd's `RestrictAddressFamilies=`), as for
/// [`interface_addresses`](super::interface_addresses); a caller goes on without the answer where it does not.
///
/// # Errors
/// What socket(2), send(2) and recv(2) say (`EAFNOSUPPORT` or `EPERM` in a sandbox), or the kernel's own error in its
/// answer: no route, or one that forbids. `InvalidInput` for a source of the other IP version, `TimedOut` without an answer
/// in time, `InvalidData` for one that cannot be read.
pub fn route_to(destination: IpAddr, source: Option<IpAddr>) -> io::Result<Route> {
    Routes::default().to(destination, source)
}

/// Routes as of one short span of time, a round: one socket, and each link is asked once. Cheap until the first question.
#[derive(Debug, Default)]
pub struct Routes {
    kernel: Option<Kernel>,
    /// The MTU of each link that a route used.
    links: BTreeMap<u32, Option<u32>>,
    /// For each source of routes the MTU of the link that they used, where they let it have all of it; `None` for one that
    /// used links of several MTUs.
    whole: BTreeMap<IpAddr, Option<u32>>,
}

impl Routes {
    /// What [`to`](Self::to) says, for a connection that has just been opened and whose path MTU the kernel takes for
    /// `pmtu` bytes: where that is all that the link of other connections from the same source can carry, this one uses the
    /// same link and nothing holds it back, and the kernel need not be asked.
    ///
    /// # Errors
    /// Likewise.
    pub fn of(&mut self, destination: IpAddr, source: Option<IpAddr>, pmtu: u32) -> io::Result<Route> {
        if source.and_then(|source| self.whole.get(&source)).is_some_and(|whole| *whole == Some(pmtu)) {
            return Ok(Route { link_mtu: Some(pmtu), mtu: None });
        }
        let route = self.to(destination, source)?;
        if let Some(source) = source {
            let whole = route.link_mtu.filter(|_| route.mtu.is_none());
            let known = self.whole.entry(source).or_insert(whole);
            if *known != whole {
                *known = None;
            }
        }
        Ok(route)
    }

    /// What [`route_to`] says.
    ///
    /// # Errors
    /// Likewise.
    pub fn to(&mut self, destination: IpAddr, source: Option<IpAddr>) -> io::Result<Route> {
        let destination = destination.to_canonical();
        let source = source.map(|source| source.to_canonical()).filter(|source| !source.is_unspecified());
        if source.is_some_and(|source| source.is_ipv4() != destination.is_ipv4()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => Kernel::open()?,
        };
        let way = kernel.way(destination, source)?;
        let link_mtu = match way.link {
            Some(link) => match self.links.get(&link) {
                Some(&known) => known,
                None => *self.links.entry(link).or_insert(kernel.link_mtu(link)?),
            },
            None => None,
        };
        // After an error the next question gets a socket of its own.
        self.kernel = Some(kernel);
        Ok(way.meaning(link_mtu))
    }
}

/// What the kernel said of the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    /// The index of the link.
    link: Option<u32>,
    /// `RTAX_MTU`.
    mtu: Option<u32>,
    /// Whether the MTU comes from a route exception.
    exception: bool,
}

impl Way {
    /// Reads an `RTM_NEWROUTE`: `struct rtmsg`, then attributes.
    fn read(body: &[u8]) -> io::Result<Self> {
        let attributes = body.get(ROUTE_HEADER..).ok_or(io::ErrorKind::InvalidData)?;
        let (family, flags) = body.first().copied().zip(wire::word(body, 8)).ok_or(io::ErrorKind::InvalidData)?;
        let cache = wire::attribute(attributes, libc::RTA_CACHEINFO).unwrap_or_default();
        // An `unreachable` route of IPv6 is an answer that holds the error, on some kernels.
        if let Some(error) = wire::word(cache, CACHE_ERROR).filter(|&error| error != 0) {
            return Err(wire::kernel_error(error));
        }
        let expires = wire::word(cache, CACHE_EXPIRES).is_some_and(|ticks| ticks != 0);
        // IPv4 calls every answer to such a question a clone, and nothing but exceptions expires. With IPv6 a router's
        // advertisement expires too (Linux 6.18 does not say so in this answer, but may), and an exception that an ICMP
        // redirect made does not.
        let exception = expires && (i32::from(family) != libc::AF_INET6 || flags & libc::RTM_F_CLONED != 0);
        let metrics = wire::attribute(attributes, libc::RTA_METRICS).unwrap_or_default();
        Ok(Self {
            link: wire::attribute(attributes, libc::RTA_OIF).and_then(|link| wire::word(link, 0)),
            mtu: wire::attribute(metrics, METRIC_MTU).and_then(|mtu| wire::word(mtu, 0)),
            exception,
        })
    }

    /// An MTU that is no smaller than the link's holds nothing back.
    fn meaning(self, link_mtu: Option<u32>) -> Route {
        let smaller = self.mtu.filter(|&mtu| mtu != 0 && link_mtu.is_none_or(|link| mtu < link));
        Route { link_mtu, mtu: smaller.map(if self.exception { RouteMtu::Learnt } else { RouteMtu::Set }) }
    }
}

/// A socket to the kernel's routing tables.
#[derive(Debug)]
struct Kernel {
    socket: OwnedFd,
    /// The number of the last request.
    sequence: u32,
    room: Vec<u8>,
}

impl Kernel {
    fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // No protocol is NETLINK_ROUTE.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        Ok(Self { socket, sequence: 0, room: vec![0; ROOM] })
    }

    fn way(&mut self, destination: IpAddr, source: Option<IpAddr>) -> io::Result<Way> {
        let (family, bits) = if destination.is_ipv4() { (libc::AF_INET, 32) } else { (libc::AF_INET6, 128) };
        let family = u8::try_from(family).map_err(io::Error::other)?;
        let mut header = [0; ROUTE_HEADER];
        if let Some(fields) = header.first_chunk_mut() {
            *fields = [family, bits, if source.is_some() { bits } else { 0 }];
        }
        let (destination, source) = (octets(destination), source.map(octets));
        let mut attributes = vec![(libc::RTA_DST, destination.as_slice())];
        attributes.extend(source.as_ref().map(|source| (libc::RTA_SRC, source.as_slice())));
        Way::read(&self.ask(libc::RTM_GETROUTE, &header, &attributes, libc::RTM_NEWROUTE)?)
    }

    fn link_mtu(&mut self, link: u32) -> io::Result<Option<u32>> {
        let mut header = [0; LINK_HEADER];
        if let Some(index) = header.get_mut(4..).and_then(|rest| rest.first_chunk_mut()) {
            *index = link.to_ne_bytes();
        }
        // Without the counters, which are most of the answer.
        let wish = libc::RTEXT_FILTER_SKIP_STATS.to_ne_bytes();
        let attributes = [(libc::IFLA_EXT_MASK, wish.as_slice())];
        let body = self.ask(libc::RTM_GETLINK, &header, &attributes, libc::RTM_NEWLINK)?;
        let attributes = body.get(LINK_HEADER..).ok_or(io::ErrorKind::InvalidData)?;
        Ok(wire::attribute(attributes, libc::IFLA_MTU).and_then(|mtu| wire::word(mtu, 0)))
    }

    /// Sends one request and returns the body of the kernel's answer to it.
    fn ask(&mut self, kind: u16, header: &[u8], attributes: &[(u16, &[u8])], answer: u16) -> io::Result<Vec<u8>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = wire::request(kind, self.sequence, header, attributes);
        sendto(&self.socket, &request, SendFlags::empty(), &SocketAddrNetlink::new(KERNEL, 0))?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let length = self.receive(deadline)?;
            let datagram = self.room.get(..length).unwrap_or_default();
            if let Some(body) = wire::answer(datagram, self.sequence, answer)? {
                return Ok(body.to_vec());
            }
        }
    }

    /// Waits for the next datagram of the kernel's; its length in `room`.
    fn receive(&mut self, deadline: Instant) -> io::Result<usize> {
        loop {
            // The flag asks for the datagram's length, not for that of what had room.
            let (_, length, sender) = match recvfrom(&self.socket, self.room.as_mut_slice(), RecvFlags::TRUNC) {
                Err(Errno::AGAIN) => {
                    self.wait(deadline)?;
                    continue;
                }
                Err(Errno::INTR) => continue,
                received => received?,
            };
            let kernels = sender
                .and_then(|sender| SocketAddrNetlink::try_from(sender).ok())
                .is_some_and(|sender| sender.pid() == KERNEL);
            if !kernels {
                continue;
            }
            if length > self.room.len() {
                return Err(io::ErrorKind::InvalidData.into());
            }
            return Ok(length);
        }
    }

    /// Waits until there is something to receive.
    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The bytes of an address, first the highest.
fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// netlink(7): the kernel's port.
const KERNEL: u32 = 0;
/// The kernel answers before send(2) returns; this bounds what should never happen.
const PATIENCE: Duration = Duration::from_millis(100);
/// A link's answer is a few kilobytes; libnl and iproute2 read with 32 KiB, too.
const ROOM: usize = 32 * 1024;
/// `sizeof(struct rtmsg)` and `sizeof(struct ifinfomsg)`.
const ROUTE_HEADER: usize = 12;
const LINK_HEADER: usize = 16;
/// `struct rta_cacheinfo`: `rta_expires` and `rta_error`.
const CACHE_EXPIRES: usize = 8;
const CACHE_ERROR: usize = 12;
/// linux/rtnetlink.h, `RTAX_MTU`.
const METRIC_MTU: u16 = 2;

#[cfg(test)]
mod tests {
    use std::{
        io,
        net::{IpAddr, Ipv4Addr, Ipv6Addr},
    };

    use proptest::prelude::{any, prop, proptest};
    use rustix::net::{SendFlags, bind, getsockname, netlink::SocketAddrNetlink, sendto};

    use super::{
        CACHE_ERROR, CACHE_EXPIRES, Kernel, METRIC_MTU, ROUTE_HEADER, Route, RouteMtu, Routes, Way, route_to, wire,
    };

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// The body of a kernel's answer, written by the code that also writes requests.
    struct Reply {
        family: i32,
        cloned: bool,
        expires: i32,
        error: i32,
        mtu: Option<u32>,
    }

    impl Reply {
        fn of(family: i32) -> Self {
            Self { family, cloned: family == libc::AF_INET, expires: 0, error: 0, mtu: None }
        }

        fn body(&self) -> Vec<u8> {
            let mut header = vec![u8::try_from(self.family).expect("a family")];
            header.resize(8, 0);
            header.extend(if self.cloned { libc::RTM_F_CLONED } else { 0 }.to_ne_bytes());
            let mut cache = [0; 32];
            for (offset, value) in [(CACHE_EXPIRES, self.expires), (CACHE_ERROR, self.error)] {
                cache.get_mut(offset..offset + 4).expect("room").copy_from_slice(&value.to_ne_bytes());
            }
            let metrics: Vec<u8> = self.mtu.map(metric).unwrap_or_default();
            let link = 2_u32.to_ne_bytes();
            let pairs: [(u16, &[u8]); 3] =
                [(libc::RTA_OIF, &link), (libc::RTA_METRICS | 0x8000, &metrics), (libc::RTA_CACHEINFO, &cache)];
            let message = wire::request(libc::RTM_NEWROUTE, 1, &header, &pairs);
            wire::answer(&message, 1, libc::RTM_NEWROUTE).expect("no error").expect("an answer").to_vec()
        }

        fn route(&self) -> Route {
            Way::read(&self.body()).expect("whole").meaning(Some(1500))
        }
    }

    /// The metrics with an MTU after another one (`RTAX_ADVMSS`).
    fn metric(mtu: u32) -> Vec<u8> {
        let pairs = [(8_u16, 1460_u32), (METRIC_MTU, mtu)];
        pairs
            .iter()
            .flat_map(|(kind, value)| {
                [8_u16.to_ne_bytes().as_slice(), &kind.to_ne_bytes(), &value.to_ne_bytes()].concat()
            })
            .collect()
    }

    #[test]
    fn only_an_exception_is_learnt() {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let plain = Reply::of(family);
            assert_eq!(plain.route(), Route { link_mtu: Some(1500), mtu: None });
            let set = Reply { mtu: Some(1400), ..plain };
            assert_eq!(set.route().mtu, Some(RouteMtu::Set(1400)));
            let learnt = Reply { cloned: true, expires: 59_000, ..set };
            assert_eq!(learnt.route().mtu, Some(RouteMtu::Learnt(1400)));
            for useless in [0, 1500, 9001] {
                let reply = Reply { mtu: Some(useless), ..Reply::of(family) };
                assert_eq!(reply.route().mtu, None, "{useless}");
            }
        }
        let advertised = Reply { expires: 180_000, mtu: Some(1400), ..Reply::of(libc::AF_INET6) };
        assert_eq!(advertised.route().mtu, Some(RouteMtu::Set(1400)));
        let redirected = Reply { cloned: true, mtu: Some(1400), ..Reply::of(libc::AF_INET6) };
        assert_eq!(redirected.route().mtu, Some(RouteMtu::Set(1400)));
    }

    #[test]
    fn a_route_that_holds_an_error_is_that_error() {
        let reply = Reply { error: -libc::EHOSTUNREACH, ..Reply::of(libc::AF_INET6) };
        let error = Way::read(&reply.body()).expect_err("unreachable");
        assert_eq!(error.raw_os_error(), Some(libc::EHOSTUNREACH));
    }

    #[test]
    fn a_link_that_hides_its_mtu_leaves_the_routes() {
        let way = Way { link: None, mtu: Some(1400), exception: false };
        assert_eq!(way.meaning(None), Route { link_mtu: None, mtu: Some(RouteMtu::Set(1400)) });
    }

    #[test]
    fn an_answer_that_is_cut_off_is_read_as_far_as_it_goes() {
        let body = Reply { mtu: Some(1400), ..Reply::of(libc::AF_INET) }.body();
        for length in 0..body.len() {
            let read = Way::read(body.get(..length).unwrap_or_default());
            assert_eq!(read.is_err(), length < ROUTE_HEADER, "{length} bytes");
        }
    }

    #[test]
    fn a_source_of_the_other_version_is_refused() {
        for (destination, source) in
            [(LOOPBACK, IpAddr::V6(Ipv6Addr::LOCALHOST)), (IpAddr::V6(Ipv6Addr::LOCALHOST), LOOPBACK)]
        {
            let error = route_to(destination, Some(source)).expect_err("refused");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn loopbacks_mtu_is_that_of_its_link() {
        let wanted = Route { link_mtu: Some(65_536), mtu: None };
        let mapped = IpAddr::V6(Ipv4Addr::LOCALHOST.to_ipv6_mapped());
        for source in [None, Some(LOOPBACK), Some(mapped), Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED))] {
            assert_eq!(route_to(LOOPBACK, source).expect("a route"), wanted);
            assert_eq!(route_to(mapped, source).expect("a route"), wanted);
        }
    }

    /// One socket and one look at the link serve a round, and an error costs the next question nothing.
    #[test]
    fn later_questions_are_answered_as_the_first() {
        let mut routes = Routes::default();
        let other = IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9));
        for destination in [LOOPBACK, other, LOOPBACK] {
            assert_eq!(routes.to(destination, None).expect("a route"), route_to(destination, None).expect("a route"));
        }
        assert_eq!(routes.links.values().collect::<Vec<_>>(), [&Some(65_536)]);
        // 240.0.0.0/4 is nobody's source (EINVAL).
        let strange = IpAddr::V4(Ipv4Addr::new(240, 0, 0, 1));
        routes.to(LOOPBACK, Some(strange)).expect_err("no source of this host's");
        assert!(routes.kernel.is_none());
        assert_eq!(routes.to(LOOPBACK, Some(LOOPBACK)).expect("a route").link_mtu, Some(65_536));
    }

    #[test]
    fn a_connection_that_has_its_links_mtu_needs_no_question() {
        let mut routes = Routes::default();
        let mut of = |source, pmtu| {
            let route = routes.of(LOOPBACK, source, pmtu).expect("a route");
            (route, routes.kernel.as_ref().map_or(0, |kernel| kernel.sequence))
        };
        let wanted = Route { link_mtu: Some(65_536), mtu: None };
        assert_eq!(of(Some(LOOPBACK), 65_536), (wanted, 2), "the route and its link");
        assert_eq!(of(Some(LOOPBACK), 65_536), (wanted, 2));
        assert_eq!(of(Some(LOOPBACK), 1_400), (wanted, 3), "something smaller is asked about");
        assert_eq!(of(None, 65_536), (wanted, 4));
    }

    #[test]
    fn what_another_process_writes_is_passed_over() {
        let mut kernel = Kernel::open().expect("a socket");
        bind(&kernel.socket, &SocketAddrNetlink::new(0, 0)).expect("bound");
        let port = SocketAddrNetlink::try_from(getsockname(&kernel.socket).expect("a name")).expect("netlink").pid();
        let stranger = Kernel::open().expect("a socket");
        // The number that the first request will have.
        let forged = wire::request(libc::RTM_NEWROUTE, 1, &[0; ROUTE_HEADER], &[(libc::RTA_OIF, &[9; 4])]);
        sendto(&stranger.socket, &forged, SendFlags::empty(), &SocketAddrNetlink::new(port, 0)).expect("root may");
        let way = kernel.way(LOOPBACK, None).expect("the kernel's answer");
        assert_eq!(kernel.link_mtu(way.link.expect("a link")).expect("an answer"), Some(65_536));
    }

    #[test]
    fn a_kernel_that_does_not_answer_is_waited_for_in_vain() {
        let mut kernel = Kernel::open().expect("a socket");
        // NLMSG_NOOP.
        let error = kernel.ask(1, &[], &[], libc::RTM_NEWROUTE).expect_err("no answer");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), link: Option<u32>) {
            if let Ok(way) = Way::read(&bytes) {
                let _ = way.meaning(link);
            }
        }

        #[test]
        fn a_byte_that_lies_is_harmless(at in 0_usize..100, value: u8) {
            let mut body = Reply { mtu: Some(1400), ..Reply::of(libc::AF_INET) }.body();
            if let Some(byte) = body.get_mut(at) {
                *byte = value;
            }
            let _ = Way::read(&body);
        }
    }
}
