//! One TCP connection to one address.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use rustix::{
    io::Errno,
    net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery},
};
use socket2::SockRef;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::{Instant, sleep},
};

use super::{
    trail::{Ended, Notes, Stop},
    words::span,
};
use crate::model::{
    cause::Cause,
    observation::{ConnectRecord, Failure},
};

/// What limits the segments of a connection, beside the link and the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Shape {
    /// Nothing.
    #[default]
    Natural,
    /// Both directions: `TCP_MAXSEG`, the payload with TCP's options, in bytes.
    Segments(u32),
    /// Only what comes in: a receive window of a few hundred bytes, which no segment of the peer can exceed.
    NarrowIn,
}

/// What the attempt shows on its way.
pub(super) struct ConnectNotes {
    peer: SocketAddr,
    shape: Shape,
    local: Option<SocketAddr>,
    attempts: u8,
    detail: Option<String>,
}

impl ConnectNotes {
    /// Nothing seen yet.
    pub(super) const fn new(peer: SocketAddr) -> Self {
        Self::shaped(peer, Shape::Natural)
    }

    /// Nothing seen yet of a connection of that shape.
    pub(super) const fn shaped(peer: SocketAddr, shape: Shape) -> Self {
        Self { peer, shape, local: None, attempts: 0, detail: None }
    }
}

impl Notes for ConnectNotes {
    type Record = ConnectRecord;

    fn timed_out(&self, budget: Duration) -> Failure {
        let attempts = if self.attempts > 1 { "two connection attempts" } else { "one connection attempt" };
        Failure::new(Cause::TcpTimeout, format!("no answer to {attempts} within {}", span(budget)))
    }

    fn record(self, ended: Ended) -> ConnectRecord {
        ConnectRecord {
            outcome: ended.outcome,
            elapsed_ms: ended.elapsed_ms,
            local: self.local.or_else(|| source(self.peer)),
            errno: ended.errno.map(name),
            detail: ended.detail.or(self.detail),
        }
    }
}

/// Opens a connection to the address of `notes`. The stage's time counts from the first attempt, also when the second
/// one wins: that is what a client of one socket would have waited at least.
///
/// The stream is set to be torn down with a reset (`SO_LINGER` 0), so that a dead path leaves no socket retransmitting
/// for minutes behind; whoever ends it well takes that back.
pub(super) async fn open(notes: &mut ConnectNotes) -> Result<TcpStream, Stop> {
    let (stream, local) = race(notes).await.map_err(|error| stop(notes.peer, &error))?;
    notes.local = local;
    Ok(stream)
}

/// Lets `stream` end as TCP ends: everything went well, and the peer shall see a FIN. What is still said before it goes
/// in one packet with it.
pub(super) fn keep_end(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    // Failing to restore the default costs the peer a reset instead of a FIN, and us nothing.
    let _ = socket.set_linger(None);
    // Failing to hold the last words back costs a packet. The FIN pushes them (tcp(7), `TCP_CORK`).
    let _ = socket.set_tcp_cork(true);
}

/// The first answer of two sockets counts, the second of which starts late: a lost SYN is no fault.
async fn race(notes: &mut ConnectNotes) -> io::Result<Opened> {
    notes.attempts = 1;
    let first = dial(notes.peer, notes.shape);
    tokio::pin!(first);
    tokio::select! {
        biased;
        opened = &mut first => return opened,
        () = sleep(HEDGE_AFTER) => {}
    }
    notes.attempts = 2;
    let second_start = Instant::now();
    let second = dial(notes.peer, notes.shape);
    tokio::pin!(second);
    tokio::select! {
        biased;
        opened = &mut first => opened,
        opened = &mut second => match opened {
            Ok(opened) => {
                notes.detail = Some(format!(
                    "the first attempt got no answer within {}; a second one was answered after {}",
                    span(HEDGE_AFTER),
                    span(second_start.elapsed()),
                ));
                Ok(opened)
            }
            // Our own limit on the extra socket says nothing about the peer.
            Err(error) if error.raw_os_error().is_some_and(|errno| meaning(errno, Source::Known) == Meaning::Ours) => {
                first.await
            }
            Err(error) => Err(error),
        },
    }
}

async fn dial(peer: SocketAddr, shape: Shape) -> io::Result<Opened> {
    let socket = if peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_nodelay(true)?;
    socket.set_zero_linger()?;
    // Never in fragments, whatever the sysctl says: a fragmented segment would pass where no whole one does.
    if peer.is_ipv4() {
        sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO)?;
    } else {
        sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::DO)?;
    }
    match shape {
        Shape::Natural => {}
        Shape::Segments(bytes) => SockRef::from(&socket).set_tcp_mss(bytes)?,
        // The kernel rounds it up to its own minimum.
        Shape::NarrowIn => socket.set_recv_buffer_size(1)?,
    }
    let stream = socket.connect(peer).await?;
    let local = stream.local_addr().ok();
    // A closed port in the ephemeral range of this host itself can be met by its own SYN (simultaneous open).
    if local == Some(peer) {
        return Err(Errno::CONNREFUSED.into());
    }
    Ok((stream, local))
}

/// The address that the kernel would use towards `peer`, port 0; nothing is sent.
fn source(peer: SocketAddr) -> Option<SocketAddr> {
    let any: IpAddr = if peer.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(peer).ok()?;
    let mut local = socket.local_addr().ok()?;
    local.set_port(0);
    Some(local)
}

fn stop(peer: SocketAddr, error: &io::Error) -> Stop {
    let Some(errno) = error.raw_os_error() else {
        return Failure::new(Cause::TcpUnreachable, error.to_string()).into();
    };
    let known = if source(peer).is_some() { Source::Known } else { Source::None };
    let said = said(errno, peer);
    match meaning(errno, known) {
        Meaning::Network(cause) => Failure { cause, detail: said, errno: Some(errno) }.into(),
        Meaning::Ours => Stop::Ours { detail: format!("connecting to {peer}: {said}"), errno: Some(errno) },
    }
}

/// Whether this host has an address to send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Known,
    None,
}

/// Who is to blame for an error of `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Network(Cause),
    Ours,
}

/// The one reading of the kernel's errors. `EADDRNOTAVAIL` means that no port is left, unless there is not even an
/// address to send from (IPv6 with nothing but a link-local address): then there is no way to the peer.
fn meaning(errno: i32, source: Source) -> Meaning {
    if errno == Errno::ADDRNOTAVAIL.raw_os_error() && source == Source::None {
        return Meaning::Network(Cause::TcpUnreachable);
    }
    entry(errno).map_or(Meaning::Network(Cause::TcpUnreachable), |entry| entry.2)
}

/// The words for an error that is a limit of this process or host, on a connection that is open already.
pub(super) fn own_limit(errno: i32) -> Option<Stop> {
    let (_, name, read, words) = entry(errno)?;
    (*read == Meaning::Ours).then(|| Stop::Ours { detail: format!("{name}: {words}"), errno: Some(errno) })
}

/// The kernel's name of an error number, e.g. `EHOSTUNREACH`.
pub(super) fn name(errno: i32) -> String {
    entry(errno).map_or_else(|| format!("errno {errno}"), |entry| entry.1.to_owned())
}

/// The error's name and what it says about a connection attempt.
fn said(errno: i32, peer: SocketAddr) -> String {
    let Some((_, name, _, words)) = entry(errno) else {
        return io::Error::from_raw_os_error(errno).to_string();
    };
    // ICMPv6 "administratively prohibited" arrives as EACCES (Linux, tab_unreach in net/ipv6/icmp.c).
    let router = if errno == Errno::ACCESS.raw_os_error() && peer.is_ipv6() {
        ", or a router's \"administratively prohibited\""
    } else {
        ""
    };
    format!("{name}: {words}{router}")
}

fn entry(errno: i32) -> Option<&'static Entry> {
    ERRORS.iter().find(|entry| entry.0.raw_os_error() == errno)
}

/// A connection and its own end's address.
type Opened = (TcpStream, Option<SocketAddr>);

type Entry = (Errno, &'static str, Meaning, &'static str);

/// Before a second socket is opened beside a silent first one: just before the kernel sends the first one's SYN again,
/// which it does after 1 s. A connection that opens by a repeated SYN knows no round trip, and the kernel then waits 3 s
/// before it repeats anything on it (RFC 6298, 5.7): a second lost packet would look like a TLS that does not answer.
const HEDGE_AFTER: Duration = Duration::from_millis(900);

/// What `connect` says on Linux (connect(2); ICMP errors: `icmp_err_convert` in net/ipv4/icmp.c, net/ipv6/icmp.c).
const ERRORS: &[Entry] = &[
    (Errno::TIMEDOUT, "ETIMEDOUT", Meaning::Network(Cause::TcpTimeout), "the kernel gave up waiting for an answer"),
    (Errno::CONNREFUSED, "ECONNREFUSED", Meaning::Network(Cause::TcpRefused), "the connection was refused"),
    (Errno::NETUNREACH, "ENETUNREACH", Meaning::Network(Cause::TcpUnreachable), "no route to that network"),
    (
        Errno::HOSTUNREACH,
        "EHOSTUNREACH",
        Meaning::Network(Cause::TcpUnreachable),
        "no neighbour answers for it, or a router says so",
    ),
    (Errno::NETDOWN, "ENETDOWN", Meaning::Network(Cause::TcpUnreachable), "the network interface is down"),
    (Errno::HOSTDOWN, "EHOSTDOWN", Meaning::Network(Cause::TcpUnreachable), "a router says that the host is down"),
    (Errno::NONET, "ENONET", Meaning::Network(Cause::TcpUnreachable), "a router says that the host is isolated"),
    (Errno::NODEV, "ENODEV", Meaning::Network(Cause::TcpUnreachable), "the network interface is gone"),
    (Errno::NXIO, "ENXIO", Meaning::Network(Cause::TcpUnreachable), "the network interface is gone"),
    (Errno::NOPROTOOPT, "ENOPROTOOPT", Meaning::Network(Cause::TcpUnreachable), "the host says that it knows no TCP"),
    (Errno::PROTO, "EPROTO", Meaning::Network(Cause::TcpUnreachable), "a router calls the packet malformed"),
    (
        Errno::OPNOTSUPP,
        "EOPNOTSUPP",
        Meaning::Network(Cause::TcpUnreachable),
        "a router says that source routing failed",
    ),
    (Errno::MSGSIZE, "EMSGSIZE", Meaning::Network(Cause::TcpUnreachable), "the path takes no packet of that size"),
    (
        Errno::AFNOSUPPORT,
        "EAFNOSUPPORT",
        Meaning::Network(Cause::TcpUnreachable),
        "this host does not have that address family",
    ),
    (
        Errno::INVAL,
        "EINVAL",
        Meaning::Network(Cause::TcpUnreachable),
        "the kernel does not connect to such an address, or its route says blackhole",
    ),
    (Errno::CONNRESET, "ECONNRESET", Meaning::Network(Cause::TcpReset), "the connection was reset while it opened"),
    (Errno::CONNABORTED, "ECONNABORTED", Meaning::Network(Cause::TcpReset), "the connection was aborted"),
    (Errno::NETRESET, "ENETRESET", Meaning::Network(Cause::TcpReset), "the connection was aborted by the network"),
    (Errno::PIPE, "EPIPE", Meaning::Network(Cause::TcpReset), "the connection was closed while it opened"),
    (
        Errno::PERM,
        "EPERM",
        Meaning::Network(Cause::TcpDenied),
        "this host forbids the connection: its firewall, a cgroup's policy, or a security agent",
    ),
    (
        Errno::ACCESS,
        "EACCES",
        Meaning::Network(Cause::TcpDenied),
        "this host forbids the connection: a prohibit route, its firewall, or a security agent",
    ),
    (Errno::MFILE, "EMFILE", Meaning::Ours, "this process has no file descriptor left"),
    (Errno::NFILE, "ENFILE", Meaning::Ours, "this host has no file descriptor left"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL", Meaning::Ours, "this host has no local port, or no address, left for it"),
    (Errno::ADDRINUSE, "EADDRINUSE", Meaning::Ours, "this host has no free local port"),
    (Errno::AGAIN, "EAGAIN", Meaning::Ours, "this host has no free local port, or no room for the route"),
    (Errno::NOBUFS, "ENOBUFS", Meaning::Ours, "this host has no buffer space left"),
    (Errno::NOMEM, "ENOMEM", Meaning::Ours, "this host has no memory left"),
];

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use rustix::{
        io::Errno,
        net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery},
    };
    use tokio::net::{TcpListener, TcpSocket, TcpStream};

    use super::{ConnectNotes, ERRORS, Meaning, Source, meaning, name, open, said, source, stop};
    use crate::{
        model::{
            cause::{Cause, Scope, Stage},
            observation::Outcome,
        },
        probe::trail::{Stop, Trail},
    };
    use std::time::Duration;
    use tokio::time::{Instant, sleep};

    fn peer(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    /// In fragments everything would pass, whatever the sysctl `ip_no_pmtu_disc` says.
    #[tokio::test]
    async fn no_packet_is_ever_sent_in_fragments() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(any).await.expect("a port");
            let peer = listener.local_addr().expect("an address");
            let stream = open(&mut ConnectNotes::new(peer)).await.expect("open");
            if peer.is_ipv4() {
                assert_eq!(sockopt::ip_mtu_discover(&stream).expect("set"), Ipv4PathMtuDiscovery::DO);
            } else {
                assert_eq!(sockopt::ipv6_mtu_discover(&stream).expect("set"), Ipv6PathMtuDiscovery::DO);
            }
        }
    }

    #[test]
    fn every_error_has_one_reading() {
        for (index, (errno, errno_name, read, words)) in ERRORS.iter().enumerate() {
            let raw = errno.raw_os_error();
            assert_eq!(meaning(raw, Source::Known), *read, "{errno_name}");
            assert_eq!(name(raw), *errno_name);
            assert!(ERRORS.iter().skip(index + 1).all(|other| other.0 != *errno), "{errno_name} stands twice");
            assert!(errno_name.starts_with('E') && !words.is_empty());
            assert!(said(raw, peer("10.0.0.1:443")).starts_with(errno_name));
            match *read {
                Meaning::Network(cause) => assert_eq!(cause.scope(), Scope::Stage(Stage::Connect), "{errno_name}"),
                Meaning::Ours => {}
            }
        }
    }

    #[test]
    fn the_readings_of_the_issue() {
        let check = |errno: Errno, expected: Meaning| {
            assert_eq!(meaning(errno.raw_os_error(), Source::Known), expected, "{errno:?}");
        };
        check(Errno::CONNREFUSED, Meaning::Network(Cause::TcpRefused));
        for errno in [Errno::NETUNREACH, Errno::HOSTUNREACH, Errno::NETDOWN, Errno::NONET] {
            check(errno, Meaning::Network(Cause::TcpUnreachable));
        }
        for errno in [Errno::CONNRESET, Errno::CONNABORTED] {
            check(errno, Meaning::Network(Cause::TcpReset));
        }
        for errno in [Errno::PERM, Errno::ACCESS] {
            check(errno, Meaning::Network(Cause::TcpDenied));
        }
        for errno in [Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL, Errno::NOBUFS, Errno::NOMEM] {
            check(errno, Meaning::Ours);
        }
        check(Errno::TIMEDOUT, Meaning::Network(Cause::TcpTimeout));
    }

    #[test]
    fn every_error_number_is_read_without_panic() {
        for errno in -1..4_096 {
            let known = ERRORS.iter().any(|entry| entry.0.raw_os_error() == errno);
            let unreachable = Meaning::Network(Cause::TcpUnreachable);
            assert!(known || meaning(errno, Source::Known) == unreachable);
            assert!(!said(errno, peer("10.0.0.1:443")).is_empty());
        }
        assert_eq!(name(4_000), "errno 4000");
    }

    #[test]
    fn no_source_address_is_no_lack_of_ports() {
        let raw = Errno::ADDRNOTAVAIL.raw_os_error();
        assert_eq!(meaning(raw, Source::None), Meaning::Network(Cause::TcpUnreachable));
        assert_eq!(meaning(Errno::MFILE.raw_os_error(), Source::None), Meaning::Ours);
    }

    #[test]
    fn a_limit_of_our_own_is_no_failure_of_the_network() {
        match stop(peer("127.0.0.1:1"), &Errno::MFILE.into()) {
            Stop::Ours { detail, errno } => {
                assert_eq!(errno, Some(Errno::MFILE.raw_os_error()));
                assert!(detail.contains("EMFILE") && detail.contains("127.0.0.1"), "{detail}");
            }
            Stop::Network(failure) => panic!("blamed the network: {failure:?}"),
        }
    }

    async fn record(target: SocketAddr, budget: Duration) -> crate::model::observation::ConnectRecord {
        let mut trail = Trail::new(Instant::now() + Duration::from_secs(20));
        let mut slot = None;
        let opened = trail.step(&mut slot, budget, ConnectNotes::new(target), open).await;
        let record = slot.expect("a record");
        assert_eq!(opened.is_some(), record.outcome.is_ok());
        record
    }

    /// A listener whose queue is full drops further SYNs: an endpoint that does not answer, without any privilege.
    async fn silent() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(peer("127.0.0.1:0")).expect("a port");
        let listener = socket.listen(0).expect("listens");
        let address = listener.local_addr().expect("its address");
        let filler = TcpStream::connect(address).await.expect("the one place in the queue");
        (listener, vec![filler], address)
    }

    #[tokio::test]
    async fn an_open_port_is_ok_and_names_this_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let record = record(listener.local_addr().expect("its address"), Duration::from_secs(4)).await;
        assert_eq!(record.outcome, Outcome::Ok);
        assert!(record.local.is_some_and(|local| local.ip().is_loopback() && local.port() != 0), "{record:?}");
        assert_eq!((record.errno, record.detail), (None, None));
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let record = record(address, Duration::from_secs(4)).await;
        assert_eq!(record.outcome, Outcome::Failed(Cause::TcpRefused));
        assert_eq!(record.errno.as_deref(), Some("ECONNREFUSED"));
        assert!(record.elapsed_ms.as_f64() < 500.0);
        assert_eq!(record.local, source(address), "the address that would be used");
    }

    #[tokio::test]
    async fn an_impossible_peer_is_unreachable() {
        let record = record(peer("224.0.0.1:443"), Duration::from_secs(4)).await;
        assert_eq!(record.outcome, Outcome::Failed(Cause::TcpUnreachable));
        assert_eq!(record.errno.as_deref(), Some("ENETUNREACH"));
    }

    #[tokio::test]
    async fn silence_is_a_time_out_after_two_attempts() {
        let (_listener, _filler, address) = silent().await;
        let record = record(address, Duration::from_millis(1_700)).await;
        assert_eq!(record.outcome, Outcome::Failed(Cause::TcpTimeout));
        assert!(record.detail.is_some_and(|detail| detail.contains("two connection attempts")));
        assert!((1_690.0..2_500.0).contains(&record.elapsed_ms.as_f64()));
        assert!(record.local.is_some());
    }

    #[tokio::test]
    async fn a_lost_first_attempt_is_no_fault() {
        let (listener, _filler, address) = silent().await;
        // The SYNs of the first second and a half are lost, the second socket's one is heard.
        let opened = tokio::spawn(async move {
            sleep(Duration::from_millis(1_350)).await;
            let queued = listener.accept().await;
            let second = listener.accept().await;
            (queued, second)
        });
        let record = record(address, Duration::from_secs(4)).await;
        assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
        assert!((1_400.0..1_950.0).contains(&record.elapsed_ms.as_f64()), "{record:?}");
        assert!(record.detail.is_some_and(|detail| detail.contains("second")));
        opened.abort();
    }
}
