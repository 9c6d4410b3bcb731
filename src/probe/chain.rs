//! The stages of one address, and what shows the path's MTU beside them.
//!
//! Where all is well, one connection does everything: handshake, question, comb. A handshake that stands still is
//! examined while it is still given its time; what the examination finds may end it.

mod hello;
mod record;

use std::{
    net::SocketAddr,
    sync::{
        Arc, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Shared,
    connect::{self, ConnectNotes, Shape},
    http::{self, After, HttpNotes, Reuse},
    line::{Line, Side, Tap},
    mtu::{
        self, Arrival, Channel, CombEnding, Combed, Diagnosis, Due, Ending, Evidence, Facts, FanOut, Key, Memory, Site,
        Suspicion,
    },
    tls::{self, Hello, Secured, TlsNotes},
    trail::{Notes as _, Trail, before},
};
use crate::model::{
    cause::Cause,
    observation::{AddressRecord, LargeHello, MtuOutcome, MtuRecord},
    plan::MtuMode,
    target::{Expect, Target},
    units::{Millis, Timestamp},
};

/// One address on its way through the stages.
pub(super) struct Chain<'a> {
    shared: &'a Shared,
    target: &'a Target,
    peer: SocketAddr,
    trail: &'a mut Trail,
    record: &'a mut AddressRecord,
}

/// What a measurement of the address needs, where one may be made.
struct Measuring {
    site: Arc<Site>,
    key: Key,
    facts: Facts,
}

/// What the examination of a handshake says to it while it is under way.
#[derive(Default)]
struct Turn {
    /// It need not be waited for any longer.
    cut: Notify,
    /// Others are answered: the same once more on another connection, beside the one that stands still.
    again: Notify,
}

/// What became of a handshake that stood still.
enum Examined {
    /// It was examined.
    Anew(Diagnosis),
    /// It stands still as it did before: this was found then.
    Known(MtuRecord),
    /// Large hellos did not pass before, and do not now.
    KnownBlocked,
}

impl<'a> Chain<'a> {
    /// The chain of `record`'s address.
    pub(super) const fn new(
        shared: &'a Shared,
        target: &'a Target,
        trail: &'a mut Trail,
        record: &'a mut AddressRecord,
    ) -> Self {
        let peer = SocketAddr::new(record.address, target.port);
        Self { shared, target, peer, trail, record }
    }

    /// Connect, TLS, HTTP and the path MTU: the first stage that fails ends the chain.
    pub(super) async fn follow(mut self) -> Option<()> {
        let limits = &self.shared.plan.limits;
        let notes = ConnectNotes::new(self.peer);
        let opened = self.trail.step(&mut self.record.connect, limits.connect, notes, connect::open).await?;
        if self.target.expect == Expect::Absent {
            // That somebody answers is all that counts where nobody should.
            return None;
        }
        let line = Arc::new(Line::new(self.settled(opened).await));
        let Some(measuring) = self.measuring(&line) else {
            let secured = self.handshake(&line, Hello::Large, &Turn::default()).await?;
            self.ask(secured, After::Close).await;
            return Some(());
        };

        let (ordinary, mut examined) = self.watched_handshake(&line, &measuring).await;
        let stalled = line.look().is_ok_and(|info| info.may_send && info.unacked == 0);
        let stalled = stalled.then(|| record::arrival(&line, Ending::StalledIn));
        // Where the handshake failed, this closes its connection before another is opened.
        drop(line);
        let secured = match ordinary {
            Some(secured) => Some(secured),
            None => self.with_small_hello(&measuring, &mut examined).await,
        };
        match secured {
            Some(secured) => self.with_session(&measuring, secured, examined).await,
            None => self.without_session(&measuring, stalled, examined),
        }
        Some(())
    }

    /// `opened`, or a new connection in its place where that one began with a lost packet.
    async fn settled(&mut self, opened: TcpStream) -> TcpStream {
        let Some(record) = &mut self.record.connect else { return opened };
        if record.elapsed_ms < Millis::from(mtu::SYN_REPEATED) {
            return opened;
        }
        let Some(fresh) = mtu::replacement(self.peer, Shape::Natural, REPLACEMENT).await else { return opened };
        record.local = fresh.local_addr().ok().or(record.local);
        fresh
    }

    /// What a measurement needs, unless the plan or the kernel forbids one.
    fn measuring(&mut self, line: &Line) -> Option<Measuring> {
        let Shared { plan, tls, mtu, routes, deadline, .. } = self.shared;
        match (plan.mtu.mode, line.fault()) {
            (MtuMode::Off, _) => return None,
            (MtuMode::Full | MtuMode::Passive, Some(fault)) => {
                self.record.mtu = Some(record::not_tried(fault.to_owned(), self.now()));
                return None;
            }
            (MtuMode::Full | MtuMode::Passive, None) => {}
        }
        let facts = record::facts(line, self.peer.ip(), routes);
        let key = Key { target: self.target.name.clone(), address: self.peer.ip() };
        let site = Site::new(self.peer, self.target, tls, line, mtu, (plan.limits.mtu, *deadline));
        Some(Measuring { site, key, facts })
    }

    /// A handshake on `line` that `turn` may end early. Where it is repeated, the end that comes first counts, and the
    /// stage's time goes on from where it began: what stood still is not hidden.
    async fn handshake(&mut self, line: &Arc<Line>, hello: Hello, turn: &Turn) -> Option<Secured<Tap>> {
        let (shared, target, peer) = (self.shared, self.target, self.peer);
        let began = Instant::now();
        let asks = self.asks();
        // One that took long is examined, or was: nobody may wait for its last words meanwhile. One whose connection is
        // over already has failed.
        let is_followed =
            |tap: &Tap| asks && began.elapsed() < SUSPICIOUS && tap.line().look().is_ok_and(|info| info.may_send);
        let work = async |notes: &mut TlsNotes| {
            let repeated = {
                // Rare, and large: not carried in every address's future.
                let repeat = Box::pin(async {
                    turn.again.notified().await;
                    let opened = connect::open(&mut ConnectNotes::new(peer)).await.ok()?;
                    let mut notes = TlsNotes::new(shared.clock.now());
                    let tap = Tap(Arc::new(Line::new(opened)));
                    let ended = tls::handshake(&shared.tls, hello, tap, &target.host, &mut notes, |_| false).await;
                    Some((notes, ended))
                });
                let tap = Tap(Arc::clone(line));
                let first = tls::handshake(&shared.tls, hello, tap, &target.host, notes, is_followed);
                tokio::select! {
                    biased;
                    ended = first => return ended,
                    () = turn.cut.notified() => None,
                    Some(repeated) = repeat => Some(repeated),
                }
            };
            let Some((seen, ended)) = repeated else { return Err(notes.timed_out(began.elapsed()).into()) };
            *notes = seen;
            ended
        };
        let notes = TlsNotes::new(shared.clock.now());
        self.trail.step(&mut self.record.tls, shared.plan.limits.tls, notes, work).await
    }

    /// The ordinary handshake, and its examination where it stands still.
    async fn watched_handshake(
        &mut self,
        line: &Arc<Line>,
        measuring: &Measuring,
    ) -> (Option<Secured<Tap>>, Option<Examined>) {
        let Measuring { site, key, facts } = measuring;
        let shared = self.shared;
        let (turn, suspected) = (Turn::default(), AtomicBool::new(false));
        let examination = async {
            if shared.plan.mtu.mode != MtuMode::Full {
                return std::future::pending().await;
            }
            let side = match before(Instant::now() + LATEST_SUSPICION, line.stalled(SUSPICIOUS)).await {
                Some(side) => side,
                None if line.look().is_ok_and(|info| info.unacked > 0) => Side::Out,
                None => Side::In,
            };
            suspected.store(true, Ordering::Relaxed);
            site.begin();
            let plan = &shared.plan.mtu;
            if shared.memory().remembers_blocked(key, facts, plan) {
                return Examined::KnownBlocked;
            }
            let fan_out = shared.memory().may_fan_out(key, facts, Suspicion::HandshakeStalled, plan);
            if let FanOut::Carry(known) = fan_out {
                // As long again as it takes to tell loss from a hole.
                sleep_until((Instant::now() + SUSPICIOUS).min(shared.deadline)).await;
                return Examined::Known(known);
            }
            let ending = if side == Side::In { Ending::StalledIn } else { Ending::StalledOut };
            // Rare, and large: not carried in every address's future.
            let examination = Box::pin(mtu::handshake(site, record::evidence(line, facts, ending)));
            Examined::Anew(examination.await)
        };
        let (secured, mut examined) = {
            let ordinary = self.handshake(line, Hello::Large, &turn);
            tokio::pin!(ordinary, examination);
            tokio::select! {
                biased;
                secured = &mut ordinary => {
                    let needed = site.committed() || (secured.is_none() && suspected.load(Ordering::Relaxed));
                    let examined = if needed { Some(examination.await) } else { None };
                    (secured, examined)
                }
                examined = &mut examination => {
                    if explains(&examined) {
                        turn.cut.notify_one();
                    } else if is_answered(&examined) {
                        turn.again.notify_one();
                    }
                    (ordinary.await, Some(examined))
                }
            }
        };
        if let Some(secured) = &secured {
            if shared.tls.says_large_hello() {
                self.note_hello(measuring, LargeHello::Ok);
            }
            let ended = secured.connection().line();
            let repeated = !Arc::ptr_eq(ended, line);
            if let Some(Examined::Anew(diagnosis)) = &mut examined {
                if repeated {
                    if ended.widest_in() < line.widest_in() && line.look().is_ok_and(|info| info.unacked == 0) {
                        // The second was not allowed to carry what the first did: ICMP taught this side meanwhile.
                        diagnosis.evidence.arrivals.push(record::arrival(line, Ending::StalledIn));
                    }
                    diagnosis.evidence.arrivals.push(record::arrival(ended, Ending::Done));
                } else {
                    diagnosis.got_through(record::arrival(ended, Ending::DoneLate));
                }
            }
            if repeated && let Some(record) = &mut self.record.tls {
                record.detail =
                    Some("the first handshake stood still; one on another connection was completed".to_owned());
            }
        }
        (secured, examined)
    }

    /// No session came about: what the examination found is all there is.
    fn without_session(&mut self, measuring: &Measuring, stalled: Option<Arrival>, examined: Option<Examined>) {
        match examined {
            Some(Examined::Anew(mut diagnosis)) => {
                let timed_out =
                    self.record.tls.as_ref().is_some_and(|tls| tls.outcome.cause() == Some(Cause::TlsTimeout));
                let arrivals = &mut diagnosis.evidence.arrivals;
                let narrower = |first: &Arrival| arrivals.iter().any(|a| a.natural && a.allowed < first.allowed);
                // All its time did not help it, and the others could not carry what it could.
                if let Some(first) = stalled.filter(|first| timed_out && narrower(first)) {
                    arrivals.push(first);
                }
                let suspicion = diagnosis.stalled.then_some(Suspicion::HandshakeStalled);
                self.conclude(measuring, &diagnosis.evidence, suspicion);
            }
            Some(Examined::Known(known)) if known.outcome.is_hole() || known.outcome == MtuOutcome::Inconclusive => {
                self.record.mtu = Some(known);
            }
            // A slow server was known, and this is more than that.
            Some(Examined::Known(_)) => self.shared.memory().forget(&measuring.key),
            Some(Examined::KnownBlocked) | None => {}
        }
    }

    /// The question, and the comb on the same connection.
    async fn with_session(&mut self, measuring: &Measuring, secured: Secured<Tap>, examined: Option<Examined>) {
        let Measuring { key, facts, .. } = measuring;
        let line = Arc::clone(secured.connection().line());
        let full = self.shared.plan.mtu.mode == MtuMode::Full;
        let (known, suspicion) = match examined {
            Some(Examined::Anew(diagnosis)) => {
                let suspicion = diagnosis.stalled.then_some(Suspicion::HandshakeStalled);
                let told = mtu::read(&diagnosis.evidence).outcome != MtuOutcome::Inconclusive;
                if told {
                    self.conclude(measuring, &diagnosis.evidence, suspicion);
                }
                (told, suspicion)
            }
            Some(Examined::Known(_) | Examined::KnownBlocked) | None => (false, None),
        };
        let due = full && !known && {
            match self.shared.memory().due(key, facts, &self.shared.plan.mtu) {
                Due::Measure => true,
                Due::Carry(carried) => {
                    self.record.mtu = Some(carried);
                    false
                }
            }
        };
        if !full {
            self.record.mtu = Some(record::observed(&line, facts, self.now()));
        }
        let after = if due { After::KeepAlive } else { After::Close };
        let left = self.ask(secured, after).await;
        if due {
            self.comb(measuring, &line, left, suspicion).await;
        }
    }

    /// Whether the plan has a question for this target.
    const fn asks(&self) -> bool {
        self.shared.plan.http && !self.target.path.is_empty()
    }

    /// Asks the question, if the plan has one. The session, where it can be used again and shall be.
    async fn ask(&mut self, mut secured: Secured<Tap>, after: After) -> Option<Secured<Tap>> {
        let Shared { plan, clock, .. } = self.shared;
        let target = self.target;
        let mut reuse = Reuse::Possible;
        if self.asks() {
            let patience = plan.limits.http / ERROR_TEXT_SHARE;
            let exchange =
                async |notes: &mut HttpNotes| http::exchange(&mut secured.stream, target, after, patience, notes).await;
            let notes = HttpNotes::new(*clock);
            reuse = self.trail.step(&mut self.record.http, plan.limits.http, notes, exchange).await?;
        }
        if after == After::KeepAlive && reuse == Reuse::Possible {
            return Some(secured);
        }
        connect::keep_end(secured.connection().line().stream());
        secured.close().await;
        None
    }

    /// Sends the comb on the ordinary connection where that still stands, else on one of its own; examines it further
    /// where it is stuck.
    async fn comb(
        &mut self,
        measuring: &Measuring,
        line: &Arc<Line>,
        left: Option<Secured<Tap>>,
        mut suspicion: Option<Suspicion>,
    ) {
        let Measuring { site, key, facts } = measuring;
        site.begin();
        let packets = [mtu::SMALLEST, line.widest_out()];
        let mut evidence = record::evidence(line, facts, Ending::Done);
        let mut ordinary = None;
        if let Some(secured) = left
            && let Some((_, session)) = before(site.end(), secured.into_parts()).await
        {
            ordinary = Some(Channel::new(Arc::clone(line), session, None));
        }
        let mut combed = match &mut ordinary {
            Some(channel) => channel.comb(self.target, &packets, site.end()).await,
            None => site.comb(Shape::Natural, &packets).await,
        };
        if is_broken(&combed) {
            // The server ended the connection, or loss did: once more, on a connection that nothing else was asked on.
            ordinary = None;
            combed = site.comb(Shape::Natural, &packets).await;
        }
        let stuck = matches!(combed.comb.ending, CombEnding::Stuck { .. });
        let learnt = combed.learnt.or_else(|| ordinary.is_none().then(|| taught_peer(line, &combed)).flatten());
        evidence.add(combed.comb, learnt);
        if stuck {
            let fan_out = self.shared.memory().may_fan_out(key, facts, Suspicion::CombStuck, &self.shared.plan.mtu);
            if let FanOut::Carry(known) = fan_out {
                self.record.mtu = Some(known);
                return;
            }
            suspicion = Some(Suspicion::CombStuck);
            if let Some(tls) = &self.record.tls {
                // Nobody else measured how long this server thinks.
                site.expect(Duration::from_secs_f64(tls.elapsed_ms.as_f64().max(0.0) / 1000.0));
            }
            evidence = Box::pin(mtu::comb(site, evidence)).await.evidence;
            // What was stuck may have got through meanwhile: then it was loss.
            if let Some(again) = ordinary.as_ref().and_then(Channel::again) {
                evidence.correct(again.comb, again.learnt);
            }
        }
        self.conclude(measuring, &evidence, suspicion);
        if let Some(channel) = ordinary
            && !stuck
        {
            channel.close().await;
        }
    }

    /// Draws the conclusion, and remembers it.
    fn conclude(&mut self, measuring: &Measuring, evidence: &Evidence, suspicion: Option<Suspicion>) {
        let Measuring { site, key, facts } = measuring;
        if let Some(exhausted) = site.exhausted() {
            self.trail.exhaust(exhausted);
        }
        let record = record::measured(site, evidence, self.now());
        self.shared.memory().store(key, facts, suspicion, record.clone());
        self.record.mtu = Some(record);
    }

    fn now(&self) -> Timestamp {
        Timestamp::new(self.shared.clock.now())
    }
}

impl Shared {
    /// What is remembered of earlier rounds.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        // A panic elsewhere cannot leave it half-written: each call changes one address's entry.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the ordinary handshake need not be waited for any longer.
fn explains(examined: &Examined) -> bool {
    match examined {
        Examined::Anew(diagnosis) => diagnosis.blocked.is_some() || mtu::read(&diagnosis.evidence).outcome.is_hole(),
        Examined::Known(known) => known.outcome.is_hole(),
        Examined::KnownBlocked => true,
    }
}

/// Whether the address answers others, and nothing is known that would keep the ordinary handshake from an answer: that
/// it stands still may then be loss, after which the kernel's pauses grow beyond any budget.
fn is_answered(examined: &Examined) -> bool {
    match examined {
        Examined::Anew(diagnosis) => diagnosis.evidence.arrivals.iter().any(|arrival| arrival.ending == Ending::Done),
        Examined::Known(_) | Examined::KnownBlocked => false,
    }
}

/// The path MTU that ICMP taught the peer while it answered on `line`: what it sent there was cut to that size, and to the
/// connection after it, which sent the comb, it announced no more.
fn taught_peer(line: &Line, Combed { comb, .. }: &Combed) -> Option<u32> {
    let shrunk = comb.natural && comb.ending == CombEnding::Done && comb.widest < line.widest_out();
    (shrunk && line.seen() == Some(comb.widest)).then_some(comb.widest)
}

fn is_broken(combed: &Combed) -> bool {
    matches!(combed.comb.ending, CombEnding::Broken(_))
}

/// A handshake that makes no progress for that long (and four round trips) is examined. Below it lie a lost packet on a
/// fast path, which the kernel sends again after 0.2 s, and most servers' thinking.
const SUSPICIOUS: Duration = Duration::from_millis(350);
/// When a handshake is examined in any case: where the SYN was lost, what the kernel takes for a round trip holds the
/// whole wait for the repeated one, and four of those leave no time to do anything about it.
const LATEST_SUSPICION: Duration = Duration::from_millis(1500);
/// How long a better connection is waited for: a round trip of nearly everywhere.
const REPLACEMENT: Duration = Duration::from_millis(300);
/// The part of the HTTP budget for which the text of an error is waited for: half a second by default.
const ERROR_TEXT_SHARE: u32 = 8;
