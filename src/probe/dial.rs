//! Connections for this program's own use, above all for shipping: the way that the probe measures, with what it knows.
//!
//! Names go to the prober's own resolver, certificates to its trust store. An address behind a path-MTU hole is spoken to
//! in segments that the probe saw pass, and one where a large ClientHello vanishes hears a small one: whoever reports a
//! hole must not sit in it.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_rustls::client::TlsStream;

use super::{
    connect::{self, ConnectNotes, Shape},
    hosts_file, is_peer, resolve,
    tls::{self, Hello, TlsNotes, Wire},
    trail::{Notes as _, Stop, before},
};
use crate::model::{
    cause::Cause,
    observation::Outcome,
    plan::{DnsPlan, Family},
    target::{Expect, Target},
};

/// What the probe knows of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The host name that led there.
    pub host: String,
    /// The address.
    pub address: IpAddr,
    /// Whether it did all that was asked of it.
    pub works: bool,
    /// The largest packet that passes both ways, where larger ones vanish; `None` where nothing vanishes.
    pub packet: Option<u32>,
    /// Whether a large ClientHello is known not to pass.
    pub small_hello: bool,
}

/// Whether a connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Bare TCP, as `http://` says.
    Plain,
    /// TLS, always verified.
    Tls,
}

/// One connection that is wanted.
#[derive(Clone, Debug)]
pub struct Call {
    /// A host name, or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Whether it is to be secured.
    pub security: Security,
    /// Who is asked for the name.
    pub dns: DnsPlan,
    /// Families used.
    pub family: Family,
    /// What is known of addresses.
    pub ways: Vec<Way>,
    /// Where among equally good addresses this host begins, so that a fleet spreads over them.
    pub spread: u64,
    /// All of it ends by then.
    pub deadline: Instant,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{summary}")]
pub struct Fault {
    /// The reason, of the stage that failed; `resource-exhausted` for a limit of this process or host.
    pub cause: Cause,
    /// One sentence with the name, the address and the layer.
    pub summary: String,
    /// The address that it is about.
    pub address: Option<IpAddr>,
}

/// Opens connections. Cheap to clone; it keeps nothing open.
#[derive(Clone)]
pub struct Dialer {
    tls: Arc<tls::Client>,
}

/// An open connection, its TLS session verified. It is cut off with a reset unless it is shut down.
pub struct Line {
    stream: Stream,
    /// The peer.
    pub address: SocketAddr,
    /// The segments that both sides keep to, in bytes with TCP's options, where a hole wants it.
    pub segments: Option<u32>,
    /// Bytes of the ClientHello; 0 without TLS.
    pub hello_bytes: u64,
}

enum Stream {
    Plain(TcpStream),
    Secured(Box<TlsStream<Wire<TcpStream>>>),
}

impl Dialer {
    /// A dialer with the trust store and the TLS settings of a prober.
    pub(super) const fn new(tls: Arc<tls::Client>) -> Self {
        Self { tls }
    }

    /// Opens the connection: addresses that work before the others, a few of them, each a little after the one before.
    /// Nothing is left open but the one that is returned.
    ///
    /// # Errors
    /// [`Fault`] of the first address that failed, or of the name.
    pub async fn open(&self, call: &Call) -> Result<Line, Fault> {
        let found = resolve(call).await?;
        let mut rest = order(&found, call).into_iter().take(MOST_ADDRESSES).peekable();
        let mut attempts = JoinSet::new();
        let mut first: Option<Fault> = None;
        let mut next = Instant::now();
        loop {
            if let Some(address) = rest.next_if(|_| attempts.is_empty() || Instant::now() >= next) {
                let attempt = Attempt::new(address, call, Arc::clone(&self.tls));
                attempts.spawn(attempt.make());
                next = Instant::now() + HEDGE;
            }
            tokio::select! {
                biased;
                ended = attempts.join_next() => match ended {
                    Some(Ok(Ok(line))) => return Ok(line),
                    Some(Ok(Err(fault))) => { first.get_or_insert(fault); }
                    Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Some(Err(_cancelled)) => {}
                    None if rest.peek().is_none() => return Err(first.unwrap_or_else(|| nothing(call))),
                    None => {}
                },
                () = sleep_until(next), if rest.peek().is_some() => {}
            }
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("address", &self.address)
            .field("segments", &self.segments)
            .field("hello_bytes", &self.hello_bytes)
            .finish_non_exhaustive()
    }
}

/// The name's addresses, or why there are none.
async fn resolve(call: &Call) -> Result<Vec<IpAddr>, Fault> {
    let target = Target {
        name: call.host.clone(),
        service: None,
        host: call.host.clone(),
        port: call.port,
        required: false,
        expect: Expect::Any,
        path: String::new(),
        allowed_cidrs: Vec::new(),
    };
    let budget = call.deadline.saturating_duration_since(Instant::now()).min(RESOLVE);
    let hosts = hosts_file();
    let record = resolve::start(&target, &call.dns, call.family, budget, call.deadline, &hosts).answer().await;
    let detail = || record.detail.clone().unwrap_or_else(|| "no answer".to_owned());
    let fault = |cause: Cause| Fault { cause, summary: format!("{}: {}", call.host, detail()), address: None };
    match record.outcome {
        Outcome::Ok if record.addresses.is_empty() => Err(fault(Cause::DnsNoData)),
        Outcome::Ok => Ok(record.addresses),
        // The shipper's own deadline is its budget: it asked for long enough.
        Outcome::Failed(Cause::NotFinished) => Err(fault(Cause::DnsTimeout)),
        Outcome::Failed(cause) => Err(fault(cause)),
    }
}

/// The order in which addresses are tried: those that work, those that nothing is known of, those that do not work; each
/// of these groups begins at a place of this host's own.
fn order(found: &[IpAddr], call: &Call) -> Vec<IpAddr> {
    let works = |address: &IpAddr| known(call, *address).map(|way| way.works);
    let mut groups = [Some(true), None, Some(false)].map(|standing| {
        let of_standing = |address: &&IpAddr| is_peer(**address) && works(address) == standing;
        found.iter().filter(of_standing).copied().collect::<Vec<_>>()
    });
    for group in &mut groups {
        if let Some(start) = call.spread.checked_rem(group.len() as u64) {
            group.rotate_left(usize::try_from(start).unwrap_or(0));
        }
    }
    groups.concat()
}

/// What is known of `address`, by the name that is called before any other.
fn known(call: &Call, address: IpAddr) -> Option<&Way> {
    let mut of_address = call.ways.iter().filter(|way| way.address == address);
    let first = of_address.clone().next();
    of_address.find(|way| way.host == call.host).or(first)
}

/// No address of the answer is one that a connection can be opened to.
fn nothing(call: &Call) -> Fault {
    let summary = format!("{}: the answer has no address that can be connected to", call.host);
    Fault { cause: Cause::AddressBogus, summary, address: None }
}

/// One address that is tried.
struct Attempt {
    host: String,
    peer: SocketAddr,
    security: Security,
    segments: Option<u32>,
    hello: Hello,
    tls: Arc<tls::Client>,
    deadline: Instant,
}

impl Attempt {
    fn new(address: IpAddr, call: &Call, tls: Arc<tls::Client>) -> Self {
        // What is known of the name's other addresses stands for one that was not seen yet: they share the way.
        let ways: Vec<&Way> = match known(call, address) {
            Some(way) => vec![way],
            None => call.ways.iter().filter(|way| way.host == call.host).collect(),
        };
        let packet = ways.iter().filter_map(|way| way.packet).min();
        let hello = if ways.iter().any(|way| way.small_hello) { Hello::Small } else { Hello::Large };
        Self {
            host: call.host.clone(),
            peer: SocketAddr::new(address, call.port),
            security: call.security,
            segments: packet.map(|packet| packet.saturating_sub(headers(address)).max(LEAST_SEGMENT)),
            hello,
            tls,
            deadline: call.deadline,
        }
    }

    async fn make(self) -> Result<Line, Fault> {
        let mut opening = ConnectNotes::shaped(self.peer, self.segments.map_or(Shape::Natural, Shape::Segments));
        let (opened, budget) = within(CONNECT, self.deadline, connect::open(&mut opening)).await;
        let tcp = opened
            .unwrap_or_else(|| Err(opening.timed_out(budget).into()))
            .map_err(|stop| self.fault(stop, "connecting to"))?;
        if self.security == Security::Plain {
            return Ok(self.line(Stream::Plain(tcp), 0));
        }
        let mut shaking = TlsNotes::new(OffsetDateTime::now_utc());
        let handshake = tls::handshake(&self.tls, self.hello, tcp, &self.host, &mut shaking, |_| false);
        let (shaken, budget) = within(TLS, self.deadline, handshake).await;
        let secured = shaken
            .unwrap_or_else(|| Err(shaking.timed_out(budget).into()))
            .map_err(|stop| self.fault(stop, "TLS with"))?;
        let hello_bytes = shaking.hello_bytes();
        Ok(self.line(Stream::Secured(Box::new(secured.stream)), hello_bytes))
    }

    const fn line(&self, stream: Stream, hello_bytes: u64) -> Line {
        Line { stream, address: self.peer, segments: self.segments, hello_bytes }
    }

    fn fault(&self, stop: Stop, doing: &str) -> Fault {
        let (cause, detail) = match stop {
            Stop::Network(failure) => (failure.cause, failure.detail),
            Stop::Ours { detail, .. } => (Cause::ResourceExhausted, detail),
        };
        let named = if self.host == self.peer.ip().to_string() { String::new() } else { format!(" ({})", self.host) };
        let summary = format!("{doing} {}{named}: {detail}", self.peer);
        Fault { cause, summary, address: Some(self.peer.ip()) }
    }
}

/// `work`'s result, or `None` when `budget` or the time until `deadline` is used up; and the shorter of the two.
async fn within<T>(budget: Duration, deadline: Instant, work: impl Future<Output = T>) -> (Option<T>, Duration) {
    let start = Instant::now();
    let end = deadline.min(start + budget);
    (before(end, work).await, end.saturating_duration_since(start))
}

/// The bytes of IP's and TCP's headers without options (RFC 791, RFC 8200, RFC 9293).
const fn headers(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 40,
        IpAddr::V6(_) => 60,
    }
}

impl Line {
    /// The connection below TLS.
    fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Secured(tls) => tls.get_ref().0.inner(),
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_read(context, buffer),
            Stream::Secured(tls) => Pin::new(tls).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_write(context, bytes),
            Stream::Secured(tls) => Pin::new(tls).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_flush(context),
            Stream::Secured(tls) => Pin::new(tls).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever shuts down has ended well, and the peer shall see that.
        connect::keep_end(self.tcp());
        match &mut self.get_mut().stream {
            Stream::Plain(tcp) => Pin::new(tcp).poll_shutdown(context),
            Stream::Secured(tls) => Pin::new(tls).poll_shutdown(context),
        }
    }
}

/// Addresses that one call tries. AWS gives one to eight; the later ones come with the next call.
const MOST_ADDRESSES: usize = 4;
/// How long a name may take: the prober's default.
const RESOLVE: Duration = Duration::from_secs(4);
/// How long one TCP connection may take: a repeated SYN and a half, as the prober's default.
const CONNECT: Duration = Duration::from_secs(4);
/// How long one handshake may take.
const TLS: Duration = Duration::from_secs(5);
/// How long an address is waited for before the next one is tried beside it.
const HEDGE: Duration = Duration::from_secs(2);
/// The kernel takes no smaller `TCP_MAXSEG` (`TCP_MIN_MSS`, include/net/tcp.h).
const LEAST_SEGMENT: u32 = 88;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::time::Instant;

    use super::{Attempt, Call, Security, Way, order};
    use crate::model::plan::{DnsPlan, Family};

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn way(host: &str, of: &str, works: bool, packet: Option<u32>) -> Way {
        Way { host: host.to_owned(), address: address(of), works, packet, small_hello: packet.is_some() }
    }

    fn call(ways: Vec<Way>, spread: u64) -> Call {
        Call {
            host: "a.example".to_owned(),
            port: 443,
            security: Security::Tls,
            dns: DnsPlan { servers: Vec::new(), vpc: None, attempts: 1, hosts_file: false },
            family: Family::Any,
            ways,
            spread,
            deadline: Instant::now(),
        }
    }

    #[tokio::test]
    async fn addresses_that_work_come_first_and_hosts_begin_at_different_ones() {
        let found: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "0.0.0.0"].map(address).to_vec();
        let ways = vec![
            way("a.example", "10.0.0.1", false, None),
            way("a.example", "10.0.0.2", true, None),
            way("a.example", "10.0.0.3", true, None),
        ];
        let check = |spread: u64, expected: [&str; 4]| {
            assert_eq!(order(&found, &call(ways.clone(), spread)), expected.map(address), "{spread}");
        };
        check(0, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.1"]);
        check(1, ["10.0.0.3", "10.0.0.2", "10.0.0.4", "10.0.0.1"]);
        check(u64::MAX, ["10.0.0.3", "10.0.0.2", "10.0.0.4", "10.0.0.1"]);
        assert!(order(&[], &call(ways, 7)).is_empty());
    }

    #[tokio::test]
    async fn segments_are_what_the_probe_saw_pass() {
        let prober = crate::probe::Prober::new(&crate::probe::dial::tests::plan()).expect("a trust store");
        let check = |ways: Vec<Way>, to: &str, segments: Option<u32>| {
            let attempt = Attempt::new(address(to), &call(ways, 0), prober.tls.clone());
            assert_eq!(attempt.segments, segments, "{to}");
            assert_eq!(attempt.hello == super::Hello::Small, segments.is_some());
        };
        let hole = |of: &str, packet: u32| way("a.example", of, true, Some(packet));
        check(vec![hole("10.0.0.1", 1400)], "10.0.0.1", Some(1360));
        check(vec![hole("2001:db8::1", 1400)], "2001:db8::1", Some(1340));
        check(vec![hole("10.0.0.1", 20)], "10.0.0.1", Some(88));
        check(vec![way("a.example", "10.0.0.1", true, None)], "10.0.0.1", None);
        // Not seen yet: as its siblings; but nothing is concluded from another name's addresses.
        check(vec![hole("10.0.0.1", 1400), hole("10.0.0.2", 1300)], "10.0.0.3", Some(1260));
        check(vec![way("b.example", "10.0.0.1", true, Some(1400))], "10.0.0.3", None);
        check(vec![way("b.example", "10.0.0.1", true, Some(1400))], "10.0.0.1", Some(1360));
    }

    fn plan() -> crate::model::plan::TlsPlan {
        crate::model::plan::TlsPlan {
            post_quantum: true,
            extra_ca_file: None,
            expiry_warning: std::time::Duration::ZERO,
            expected_issuers: Vec::new(),
        }
    }
}
