//! One address under examination: how connections to it are opened, and what bounds them.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::pki_types::ServerName;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{
    channel::{Channel, Combed},
    evidence::{Arrival, Comb, CombEnding, Ending},
    holes::Holes,
};
use crate::{
    model::target::Target,
    probe::{
        connect::{self, ConnectNotes, Shape},
        line::{Line, headers},
        tls::{Client, Hello},
        trail::{Stop, before},
    },
};

/// What the measurements of one round share.
pub(in crate::probe) struct Common {
    holes: Arc<Holes>,
    /// Turns of the connections beside the ordinary ones.
    turns: Arc<Semaphore>,
}

impl Default for Common {
    fn default() -> Self {
        Self { holes: Arc::default(), turns: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }
}

/// What all connections to one address share.
pub(in crate::probe) struct Site {
    pub(super) peer: SocketAddr,
    pub(super) target: Target,
    pub(super) tls: Arc<Client>,
    /// The largest packets that the ordinary connection may carry, out and in.
    pub(super) widest: (u32, u32),
    /// How long the measurement may take, and the round's deadline.
    budget: Duration,
    deadline: Instant,
    /// When it began.
    began: OnceLock<Instant>,
    pub(super) holes: Arc<Holes>,
    /// The ordinary hello is a large one.
    pub(super) large: bool,
    /// The turns of all addresses, and of this one.
    turns: (Arc<Semaphore>, Arc<Semaphore>),
    opened: AtomicU32,
    /// How long a handshake may stand still, in milliseconds.
    patience: AtomicU64,
    /// What a small handshake took, in milliseconds.
    took: AtomicU64,
    /// The shortest round trip that the kernel knows of any connection, in microseconds.
    round_trip: AtomicU64,
    /// The fan-out has begun: what it finds counts also when the ordinary handshake ends well after all.
    committed: AtomicBool,
    /// Only the answer to a large hello is large enough to test the way in.
    says_large: AtomicBool,
    /// A limit of our own that a connection ran into.
    exhausted: Mutex<Option<String>>,
}

/// A connection and what its handshake showed.
pub(super) struct Shaken {
    /// The evidence.
    pub(super) arrival: Arrival,
    /// The session, where the handshake was completed.
    pub(super) channel: Option<Channel>,
    /// What the handshake took.
    pub(super) took: Duration,
}

impl Site {
    /// An address with nothing known of it.
    pub(in crate::probe) fn new(
        peer: SocketAddr,
        target: &Target,
        tls: &Arc<Client>,
        line: &Line,
        common: &Common,
        (budget, deadline): (Duration, Instant),
    ) -> Arc<Self> {
        Arc::new(Self {
            peer,
            target: target.clone(),
            tls: Arc::clone(tls),
            widest: (line.widest_out(), line.widest_in()),
            budget,
            deadline,
            began: OnceLock::new(),
            holes: Arc::clone(&common.holes),
            large: tls.says_large_hello(),
            turns: (Arc::clone(&common.turns), Arc::new(Semaphore::new(MOST_CONNECTIONS))),
            opened: AtomicU32::new(0),
            patience: AtomicU64::new(millis(UNKNOWN_PATIENCE)),
            took: AtomicU64::new(0),
            round_trip: AtomicU64::new(micros(line.at_start().rtt)),
            committed: AtomicBool::new(false),
            says_large: AtomicBool::new(false),
            exhausted: Mutex::new(None),
        })
    }

    /// The measurement begins, unless it has; its time counts from here.
    pub(in crate::probe) fn begin(&self) -> Instant {
        *self.began.get_or_init(Instant::now)
    }

    /// When the measurement began, if it has.
    pub(in crate::probe) fn began(&self) -> Option<Instant> {
        self.began.get().copied()
    }

    /// When the measurement must be over.
    pub(in crate::probe) fn end(&self) -> Instant {
        (self.begin() + self.budget).min(self.deadline)
    }

    /// Connections that were opened beside the ordinary one.
    pub(in crate::probe) fn opened(&self) -> u32 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Whether the fan-out has begun.
    pub(in crate::probe) fn committed(&self) -> bool {
        self.committed.load(Ordering::Relaxed)
    }

    /// The fan-out begins.
    pub(super) fn commit(&self) {
        self.committed.store(true, Ordering::Relaxed);
    }

    /// The rungs' hello from here on.
    pub(super) fn say(&self, hello: Hello) {
        self.says_large.store(hello == Hello::Large, Ordering::Relaxed);
    }

    /// The rungs' hello.
    pub(super) fn hello(&self) -> Hello {
        if self.says_large.load(Ordering::Relaxed) { Hello::Large } else { Hello::Small }
    }

    /// The limit of our own that was met, if any.
    pub(in crate::probe) fn exhausted(&self) -> Option<String> {
        self.exhausted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The largest packet that comes through the kernel's least window.
    pub(super) fn narrow_in(&self) -> u32 {
        headers(self.peer.ip()) + NARROW
    }

    /// How long a handshake may stand still now, beside four round trips.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience.load(Ordering::Relaxed))
    }

    /// A small handshake took that long: the others get a multiple of it, for a server that thinks before it answers.
    pub(in crate::probe) fn expect(&self, took: Duration) {
        self.took.store(millis(took), Ordering::Relaxed);
        self.patience.store(millis((took * 2 + GRACE).max(LEAST_PATIENCE)), Ordering::Relaxed);
    }

    /// A server, or what inspects for it, may think longer about a large hello than about a small one; before it is said
    /// that large ones are dropped, they get as long as any handshake ought to take.
    pub(super) fn wait_for_large_hellos(&self) {
        self.patience.fetch_max(millis(LARGE_HELLO_PATIENCE), Ordering::Relaxed);
    }

    /// From here on only sizes are asked for, and a packet that is lost by chance makes them less exact, no more.
    pub(super) fn hurry(&self) {
        let took = Duration::from_millis(self.took.load(Ordering::Relaxed));
        self.patience.store(millis((took + GRACE).max(LEAST_HURRIED_PATIENCE)), Ordering::Relaxed);
    }

    /// The round trip to the address, now that one connection's seems to be `seen`. The shortest counts: where a SYN was
    /// lost, the kernel takes the wait for the repeated one for a round trip, and four of those are seconds.
    fn round_trip(&self, seen: Duration) -> Duration {
        let seen = micros(seen);
        Duration::from_micros(self.round_trip.fetch_min(seen, Ordering::Relaxed).min(seen))
    }

    /// Opens a connection of that shape; one that waits for seconds whenever a packet is lost would keep all others
    /// waiting.
    async fn open(&self, shape: Shape) -> Result<TcpStream, Stop> {
        let began = Instant::now();
        let stream = connect::open(&mut ConnectNotes::shaped(self.peer, shape)).await?;
        let round_trip = self.round_trip(Duration::MAX);
        if began.elapsed() < SYN_REPEATED + round_trip {
            return Ok(stream);
        }
        Ok(replacement(self.peer, shape, GRACE + round_trip).await.unwrap_or(stream))
    }

    /// Opens a connection of that shape and makes a handshake on it.
    pub(super) async fn shake(&self, shape: Shape, hello: Hello) -> Shaken {
        let natural = shape == Shape::Natural;
        let failed = |why: String| Shaken {
            arrival: Arrival { allowed: 0, natural, ending: Ending::Other(why), seen: None },
            channel: None,
            took: Duration::ZERO,
        };
        let Some(Some(turn)) = before(self.end(), self.turn()).await else {
            return failed("no turn came in time".to_owned());
        };
        self.opened.fetch_add(1, Ordering::Relaxed);
        let opens_by = (Instant::now() + LONGEST_CONNECT).min(self.end());
        let stream = match before(opens_by, Box::pin(self.open(shape))).await {
            Some(Ok(stream)) => stream,
            Some(Err(Stop::Network(failure))) => return failed(failure.detail),
            Some(Err(Stop::Ours { detail, .. })) => {
                self.exhausted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(detail.clone());
                return failed(detail);
            }
            None => return failed("the connection did not open in time".to_owned()),
        };
        let line = Line::new(stream);
        if let Some(fault) = line.fault() {
            return failed(fault.to_owned());
        }
        let name = match ServerName::try_from(self.target.host.clone()) {
            Ok(name) => name,
            Err(error) => return failed(error.to_string()),
        };
        let session = match self.tls.sizing().session(hello, &name) {
            Ok(session) => session,
            Err(error) => return failed(error.to_string()),
        };
        let began = Instant::now();
        let mut channel = Channel::new(Arc::new(line), session, Some(turn));
        if natural && hello == Hello::Large {
            channel.whole();
        }
        let ending = channel.handshake(|info| self.patience() + 4 * self.round_trip(info.rtt), self.end()).await;
        let line = channel.line();
        let allowed = match shape {
            Shape::Natural | Shape::Segments(_) => line.widest_in(),
            Shape::NarrowIn => line.widest_in().min(self.narrow_in()),
        };
        let arrival = Arrival { allowed, natural, seen: line.seen(), ending };
        tracing::trace!(?shape, ?hello, ?arrival, peer = %self.peer, "handshake");
        let channel = (arrival.ending == Ending::Done).then_some(channel);
        Shaken { arrival, channel, took: began.elapsed() }
    }

    /// A connection of that shape that sends a comb of `packets`.
    pub(in crate::probe) async fn comb(&self, shape: Shape, packets: &[u32]) -> Combed {
        let Shaken { channel, .. } = self.shake(shape, Hello::Small).await;
        let Some(mut channel) = channel else {
            let ending = CombEnding::Broken("its handshake did not succeed".to_owned());
            let comb = Comb { widest: 0, natural: false, passed: None, ending };
            return Combed { comb, learnt: None };
        };
        let combed = channel.comb(&self.target, packets, self.end()).await;
        tracing::trace!(comb = ?combed.comb, peer = %self.peer, "comb");
        if combed.comb.ending == CombEnding::Done {
            channel.close().await;
        }
        combed
    }

    /// The address's own turn first: who waits for its own must not keep the host's from others.
    async fn turn(&self) -> Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let (host, own) = &self.turns;
        let own = Arc::clone(own).acquire_owned().await.ok()?;
        Some((Arc::clone(host).acquire_owned().await.ok()?, own))
    }
}

/// A new connection for one that opened after a repeated SYN, if it opens within `wait`: after such a beginning the
/// kernel waits three seconds before it sends anything again (RFC 6298, 5.7), and one more lost packet looks like a
/// server that does not answer.
pub(in crate::probe) async fn replacement(peer: SocketAddr, shape: Shape, wait: Duration) -> Option<TcpStream> {
    before(Instant::now() + wait, connect::open(&mut ConnectNotes::shaped(peer, shape))).await?.ok()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Connections of all measurements at once.
const MOST_AT_ONCE: usize = 48;
/// Connections to one address at once, beside the ordinary one.
const MOST_CONNECTIONS: usize = 11;
/// Four SYNs of a recent kernel, three of an older one.
const LONGEST_CONNECT: Duration = Duration::from_secs(4);
/// Linux sends a SYN again after a second, and nothing else makes an address that answers take that much longer than a
/// round trip: `connect`'s second socket, which has a SYN of its own, begins earlier.
pub(in crate::probe) const SYN_REPEATED: Duration = Duration::from_millis(950);
/// How long a handshake may stand still before any has succeeded.
const UNKNOWN_PATIENCE: Duration = Duration::from_secs(3);
/// The kernel sends again after 0.2 s and 0.4 s more on a fast path: less than that is loss.
const LEAST_PATIENCE: Duration = Duration::from_millis(700);
const LARGE_HELLO_PATIENCE: Duration = Duration::from_secs(2);
const LEAST_HURRIED_PATIENCE: Duration = Duration::from_millis(450);
const GRACE: Duration = Duration::from_millis(250);
/// The kernel's least window, and so the largest payload that arrives through it, in bytes with room for options.
const NARROW: u32 = 600;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        net::{TcpListener, TcpSocket, TcpStream},
        time::Instant,
    };

    use super::replacement;
    use crate::probe::connect::Shape;

    #[tokio::test]
    async fn a_better_connection_is_waited_for_no_longer_than_that() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        // Whose queue is full drops further SYNs.
        let listener = socket.listen(0).expect("listens");
        let peer = listener.local_addr().expect("its address");
        let wait = Duration::from_millis(200);
        let first = replacement(peer, Shape::Natural, wait).await.expect("the one place in the queue");
        assert_eq!(first.peer_addr().ok(), Some(peer));
        let began = Instant::now();
        assert!(replacement(peer, Shape::Natural, wait).await.is_none(), "nobody answers");
        assert!(began.elapsed() >= wait);
        drop(listener);
        assert!(replacement(peer, Shape::Segments(536), wait).await.is_none(), "refused");
        let other = TcpListener::bind("127.0.0.1:0").await.expect("listens");
        let peer = other.local_addr().expect("its address");
        let narrow: Option<TcpStream> = replacement(peer, Shape::NarrowIn, wait).await;
        assert!(narrow.is_some(), "an open port");
    }
}
