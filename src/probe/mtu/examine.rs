//! What is done on suspicion, and in which order: the cheapest connection that can decide comes first.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    channel::{Channel, Combed},
    evidence::{Arrival, CombEnding, Ending, Evidence, Missing, Sight, read},
    holes::{Found, Role, Signature},
    ladder,
    site::{Shaken, Site},
};
use crate::{
    model::observation::MtuOutcome,
    probe::{connect::Shape, line::headers, tls::Hello, trail::before},
};

/// What an examination found.
#[derive(Debug)]
pub(in crate::probe) struct Diagnosis {
    /// What was seen about sizes.
    pub(in crate::probe) evidence: Evidence,
    /// How large hellos end where everything else of that size passes: "not answered", …
    pub(in crate::probe) blocked: Option<String>,
    /// The handshake stood still: connections were opened to find out why.
    pub(in crate::probe) stalled: bool,
}

impl Diagnosis {
    /// The ordinary handshake was completed after all. That is late, which the other connections must explain.
    pub(in crate::probe) fn got_through(&mut self, late: Arrival) {
        self.blocked = None;
        let arrivals = &mut self.evidence.arrivals;
        if arrivals.first().is_some_and(|first| first.natural && first.ending.is_stall()) {
            arrivals.remove(0);
        }
        arrivals.push(late);
    }
}

/// One task's result.
enum Seen {
    Control(Shaken),
    Plain(Shaken),
    Rung(Arrival),
    Comb(Combed),
}

/// The ordinary handshake stands still, which may be the packets' size, the hello's, the server, or loss. `evidence` has
/// its arrival, and nothing else.
pub(in crate::probe) async fn handshake(site: &Arc<Site>, evidence: Evidence) -> Diagnosis {
    let own = Arc::clone(site);
    let mut tasks = JoinSet::new();
    let shape = Shape::Segments(CONTROL - headers(site.peer.ip()));
    tasks.spawn(async move { Seen::Control(own.shake(shape, Hello::Small).await) });
    Diagnosis { stalled: true, ..first_look(site, evidence, tasks).await }
}

/// The ordinary hello was refused at once: by the server, or by somebody who dislikes its size.
pub(in crate::probe) async fn hello(site: &Arc<Site>, evidence: Evidence) -> Diagnosis {
    let diagnosis = first_look(site, evidence, JoinSet::new()).await;
    let stalled = |arrival: &Arrival| arrival.natural && arrival.ending.is_stall();
    if diagnosis.blocked.is_none() && diagnosis.evidence.arrivals.last().is_some_and(stalled) {
        // The small one stands still where the large one was refused: that is another fault, and needs a control.
        return handshake(site, diagnosis.evidence).await;
    }
    diagnosis
}

/// A small hello beside whatever `tasks` do, and what follows from it.
async fn first_look(site: &Arc<Site>, mut evidence: Evidence, mut tasks: JoinSet<Seen>) -> Diagnosis {
    let own = Arc::clone(site);
    tasks.spawn(async move { Seen::Plain(own.shake(Shape::Natural, Hello::Small).await) });

    let mut control = false;
    let mut plain_by = None;
    loop {
        let joined = tokio::select! {
            biased;
            joined = tasks.join_next() => joined,
            () = sleep_until(plain_by.unwrap_or_else(Instant::now)), if plain_by.is_some() => break,
        };
        match joined {
            Some(Ok(Seen::Control(shaken))) => {
                control = shaken.arrival.ending == Ending::Done;
                if control {
                    site.expect(shaken.took);
                    plain_by = Some(Instant::now() + (shaken.took / 2).max(LEAST_GRACE));
                }
                evidence.arrivals.push(shaken.arrival);
            }
            Some(Ok(Seen::Plain(Shaken { arrival, channel, took }))) => {
                let own_fault = matches!(arrival.ending, Ending::StalledIn);
                evidence.arrivals.push(arrival);
                if let Some(channel) = channel {
                    site.expect(took);
                    // The control has no more to say, and its turn is another's.
                    drop(tasks);
                    return open(site, evidence, channel).await;
                }
                if control && own_fault {
                    break;
                }
            }
            Some(Ok(Seen::Rung(_) | Seen::Comb(_))) => {}
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Some(Err(_cancelled)) => {}
            None => break,
        }
    }
    if !control {
        return Diagnosis { evidence, blocked: None, stalled: false };
    }
    site.commit();
    measure(site, &mut evidence, tasks, true).await
}

/// The handshake is fine, and a large segment after it is stuck. `evidence` has both.
pub(in crate::probe) async fn comb(site: &Arc<Site>, mut evidence: Evidence) -> Diagnosis {
    site.commit();
    measure(site, &mut evidence, JoinSet::new(), false).await
}

/// A small hello got its answer at once: is it the hello's size, the way out, or was it loss?
async fn open(site: &Arc<Site>, mut evidence: Evidence, mut channel: Channel) -> Diagnosis {
    // The ordinary handshake said another hello: it shows nothing about the sizes of packets.
    if evidence.arrivals.first().is_some_and(|first| first.natural && first.ending != Ending::Done) {
        evidence.arrivals.remove(0);
    }
    let line = Arc::clone(channel.line());
    let packets = ladder::first_comb(line.widest_out());
    let Combed { comb, learnt } = channel.comb(&site.target, &packets, site.end()).await;
    let stuck = matches!(comb.ending, CombEnding::Stuck { .. });
    let passes = comb.ending == CombEnding::Done;
    evidence.add(comb, learnt);
    if stuck {
        // With it goes its turn: kept, those of as many addresses would leave the measurements none.
        drop(channel);
        site.commit();
        return measure(site, &mut evidence, JoinSet::new(), false).await;
    }
    if passes {
        channel.close().await;
    }
    if !passes || !site.large {
        return Diagnosis { evidence, blocked: None, stalled: false };
    }
    // Twice more as any client says it, and once so that no large packet can come in answer.
    site.wait_for_large_hellos();
    // Their connections end at once, and with them their turns.
    let again = async |shape| site.shake(shape, Hello::Large).await.arrival;
    let (one, two, narrow) = tokio::join!(again(Shape::Natural), again(Shape::Natural), again(Shape::NarrowIn));
    let done = |arrival: &Arrival| arrival.ending == Ending::Done;
    let blocked = match &one.ending {
        _ if done(&one) || done(&two) => None,
        Ending::Other(why) => Some(format!("answered by an end: {why}")),
        ending if ending.is_stall() => Some("not answered".to_owned()),
        Ending::Done | Ending::DoneLate | Ending::StalledIn | Ending::StalledOut => None,
    };
    let stalled_in = [&one, &two].iter().all(|arrival| arrival.ending == Ending::StalledIn);
    if stalled_in && done(&narrow) {
        // The large hello arrived, and only its larger answer did not. The small hello's was too small to test the size.
        for arrival in evidence.arrivals.iter_mut().filter(|arrival| arrival.ending == Ending::Done) {
            arrival.allowed = arrival.seen.unwrap_or(CONTROL);
            arrival.natural = false;
        }
        evidence.arrivals.extend([one, two, narrow]);
        // They were waited for long enough.
        site.hurry();
        site.commit();
        site.say(Hello::Large);
        return measure(site, &mut evidence, JoinSet::new(), true).await;
    }
    if blocked.is_some() {
        site.commit();
    }
    Diagnosis { evidence, blocked, stalled: false }
}

/// Measures a hole, or confirms one that another address has measured. `handshake`: the handshake stalled.
async fn measure(site: &Arc<Site>, evidence: &mut Evidence, mut tasks: JoinSet<Seen>, handshake: bool) -> Diagnosis {
    // Two holes can look alike before they are measured: whoever finds that his is another one measures, or joins those
    // who found the same.
    for hole in 0.. {
        let signature = Signature { handshake, v6: site.peer.is_ipv6(), widest: site.widest, hole };
        let mut hears = match site.holes.enter(signature) {
            Role::First(announce) => {
                explore(site, evidence, tasks, handshake).await;
                let found = found(evidence);
                if found != Found::default() {
                    // Where nobody else is in it, nobody listens.
                    let _ = announce.send(Some(found));
                }
                break;
            }
            Role::Later(hears) => hears,
        };
        // Whoever measures needs the turns that these still have.
        gather(site, evidence, &mut tasks).await;
        let waits_until = site.end().checked_sub(OWN_TIME).unwrap_or_else(|| site.end());
        let Some(Ok(found)) = before(waits_until, hears.wait_for(Option::is_some)).await.map(|heard| heard.map(|f| *f))
        else {
            explore(site, evidence, tasks, handshake).await;
            break;
        };
        let found = found.unwrap_or_default();
        site.hurry();
        confirm(site, &mut tasks, found, handshake);
        gather(site, evidence, &mut tasks).await;
        if is_confirmed(evidence, found) {
            break;
        }
    }
    Diagnosis { evidence: std::mem::take(evidence), blocked: None, stalled: false }
}

/// Whether this address's hole is the one that was found: the same directions, and sizes as close together.
fn is_confirmed(evidence: &Evidence, theirs: Found) -> bool {
    let ours = found(evidence);
    let alike = |ours: Option<(u32, u32)>, theirs: Option<(u32, u32)>| match (ours, theirs) {
        (None, None) => true,
        (Some((ok, fails)), Some(their)) => {
            ladder::is_narrow(ok, fails) || fails.saturating_sub(ok) <= their.1.saturating_sub(their.0)
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    let outward = |found: Found| found.outward.map(|(ok, fails)| (ok.unwrap_or(0), fails));
    is_hole(evidence) && alike(outward(ours), outward(theirs)) && alike(ours.inward, theirs.inward)
}

/// One connection below the size that was found, one above it, and a comb with both.
fn confirm(site: &Arc<Site>, tasks: &mut JoinSet<Seen>, found: Found, handshake: bool) {
    if let Some((ok, fails)) = found.inward {
        rung(site, tasks, ok);
        rung(site, tasks, fails);
    }
    let packets = match found.outward {
        Some((ok, fails)) => [ladder::SMALLEST].into_iter().chain(ok).chain([fails]).collect(),
        None => vec![ladder::SMALLEST, site.widest.0],
    };
    // Two combs must agree; where the handshake was fine, the ordinary connection's is one of them.
    if handshake && found.outward.is_some() {
        comb_task(site, tasks, packets.clone(), handshake);
    }
    comb_task(site, tasks, packets, handshake);
}

/// Measures in full: a ladder of sizes first, then ever finer ones between what passes and what does not.
async fn explore(site: &Arc<Site>, evidence: &mut Evidence, mut tasks: JoinSet<Seen>, handshake: bool) {
    let (widest_out, widest_in) = site.widest;
    if handshake {
        // What another address's sizes told already is not tried again.
        let bracket = evidence.inbound_bracket();
        let open = |size: &u32| bracket.is_none_or(|(ok, fails)| ok < *size && *size < fails);
        for size in ladder::first_rungs(widest_in).into_iter().filter(open) {
            rung(site, &mut tasks, size);
        }
    }
    let outward = evidence.outbound();
    if outward.sight != Sight::Fine && (outward.fails.is_none() || outward.ok.is_none()) {
        comb_task(site, &mut tasks, ladder::first_comb(widest_out), handshake);
        comb_task(site, &mut tasks, ladder::first_comb(widest_out), handshake);
    }
    gather(site, evidence, &mut tasks).await;
    for _ in 0..MOST_REFINEMENTS {
        if site.end().saturating_duration_since(Instant::now()) < site.patience() {
            return;
        }
        if handshake && let Some((ok, fails)) = evidence.inbound_bracket() {
            for size in ladder::refine(ok, fails, FINER) {
                rung(site, &mut tasks, size);
            }
        }
        if let Some((ok, fails)) = evidence.outbound_bracket() {
            let teeth = (MOST_UNDER_WAY / fails).clamp(1, FINEST_COMB);
            let finer = ladder::refine(ok.unwrap_or(ladder::SMALLEST), fails, teeth);
            if !finer.is_empty() {
                let packets = [ladder::SMALLEST].into_iter().chain(finer).chain([fails]).collect();
                comb_task(site, &mut tasks, packets, handshake);
            }
        }
        if tasks.is_empty() {
            // The sizes are known. Loss may have spoilt a connection that the verdict needs.
            for missing in evidence.missing() {
                match missing {
                    Missing::Control => rung(site, &mut tasks, CONTROL),
                    Missing::Natural => {
                        let own = Arc::clone(site);
                        tasks.spawn(async move { Seen::Plain(own.shake(Shape::Natural, Hello::Small).await) });
                    }
                    // No comb can be sent where not even the smallest answer to a handshake comes through.
                    Missing::Comb if evidence.inbound().fails.is_some_and(|fails| fails <= site.narrow_in()) => {}
                    Missing::Comb => comb_task(site, &mut tasks, ladder::first_comb(widest_out), handshake),
                }
            }
        }
        if tasks.is_empty() {
            return;
        }
        // That there is a hole is settled, or will not be by waiting longer.
        site.hurry();
        gather(site, evidence, &mut tasks).await;
    }
}

/// A handshake whose segments make packets of at most `packet` bytes.
fn rung(site: &Arc<Site>, tasks: &mut JoinSet<Seen>, packet: u32) {
    let own = Arc::clone(site);
    let segment = packet.saturating_sub(headers(site.peer.ip()));
    tasks.spawn(async move { Seen::Rung(own.shake(Shape::Segments(segment), own.hello()).await.arrival) });
}

/// A connection with a comb; where large packets may vanish on the way in, one that lets none come.
fn comb_task(site: &Arc<Site>, tasks: &mut JoinSet<Seen>, packets: Vec<u32>, handshake: bool) {
    let own = Arc::clone(site);
    let shape = if handshake { Shape::NarrowIn } else { Shape::Natural };
    tasks.spawn(async move { Seen::Comb(own.comb(shape, &packets).await) });
}

/// Waits for all that is under way, and notes it.
async fn gather(site: &Arc<Site>, evidence: &mut Evidence, tasks: &mut JoinSet<Seen>) {
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(Seen::Rung(arrival)) => evidence.arrivals.push(arrival),
            Ok(Seen::Control(shaken)) => evidence.arrivals.push(shaken.arrival),
            Ok(Seen::Plain(Shaken { arrival, channel, .. })) => {
                evidence.arrivals.push(arrival);
                if let Some(mut channel) = channel {
                    // It was only slow: so it can tell about the way out as well.
                    let packets = [ladder::SMALLEST, channel.line().widest_out()];
                    let combed = channel.comb(&site.target, &packets, site.end()).await;
                    evidence.add(combed.comb, combed.learnt);
                }
            }
            Ok(Seen::Comb(combed)) => {
                evidence.add(combed.comb, combed.learnt);
            }
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => {}
        }
    }
}

fn is_hole(evidence: &Evidence) -> bool {
    read(evidence).outcome.is_hole()
}

/// What the others may rely on.
fn found(evidence: &Evidence) -> Found {
    let reading = read(evidence);
    let inward = reading.in_ok.zip(reading.in_fails);
    let outward = reading.out_fails.map(|fails| (reading.out_ok, fails));
    match reading.outcome {
        MtuOutcome::BlackholeIn => Found { inward, outward: None },
        MtuOutcome::BlackholeOut => Found { inward: None, outward },
        MtuOutcome::BlackholeBoth => Found { outward, inward },
        MtuOutcome::Ok
        | MtuOutcome::Clamped
        | MtuOutcome::ReliesOnIcmp
        | MtuOutcome::Inconclusive
        | MtuOutcome::NotTried => Found::default(),
    }
}

/// The largest packets of the control connection.
const CONTROL: u32 = ladder::SMALLEST;
/// How long the plain handshake may take longer than the control's before its size is suspected.
const LEAST_GRACE: Duration = Duration::from_millis(150);
/// What an address keeps of its time for its own measurement when it waits for another's.
const OWN_TIME: Duration = Duration::from_millis(2500);
/// Passes after the first.
const MOST_REFINEMENTS: usize = 3;
/// Rungs in one pass.
const FINER: u32 = 8;
/// Sizes in one comb between two known ones: with these, the small first one and the tail a first window is full.
const FINEST_COMB: u32 = 6;
/// Bytes of one comb: a peer's first window may be no larger than 64 KB, and what waits for room proves nothing.
const MOST_UNDER_WAY: u32 = 36_000;
