//! What a prober that lives longer than a round remembers of each address, so that it measures only when that is worth
//! it. Pure: time is counted in rounds.
//!
//! Two things are rationed. The *comb*, one round trip on the ordinary connection, is left out where an address is
//! healthy and unchanged. The *fan-out*, a dozen connections, is left out where its result is known. Both come back on
//! the address's *turn*: every `repeat_every`-th round, at a place in the cycle that host and address choose, so that
//! neither a host's addresses nor a fleet measure in step.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::IpAddr,
};

use crate::model::{
    observation::{LargeHello, MtuOutcome, MtuRecord},
    plan::MtuPlan,
};

/// Whose path is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The target's name: two targets at one address may stand behind different listeners.
    pub(crate) target: String,
    /// The address.
    pub(crate) address: IpAddr,
}

/// What is known of a path before anything is measured, as the connection stands when it is opened. A measurement holds
/// for as long as none of it changes. Sizes are IP packets in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// This side's address, and with it the interface.
    pub(crate) local: Option<IpAddr>,
    /// The largest packet that the connection may send.
    pub(crate) widest_out: u32,
    /// The largest packet that the peer may send.
    pub(crate) widest_in: u32,
    /// The MTU of the link that is used, where it is known.
    pub(crate) link_mtu: Option<u32>,
    /// A path MTU that ICMP taught before, where there is one. It expires, and that is a change as well.
    pub(crate) learnt: Option<u32>,
}

/// Why a fan-out is asked for. Where one thing leads to the other within a round, the first one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// The ordinary handshake makes no progress.
    HandshakeStalled,
    /// The comb's head is not acknowledged.
    CombStuck,
}

/// Whether an address's comb is due.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Due {
    /// It is.
    Measure,
    /// It is not: this holds still, and keeps its `measured_at` and `elapsed_ms`.
    Carry(MtuRecord),
}

/// Whether a fan-out is due.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FanOut {
    /// It is.
    Due,
    /// It is not: this is what the last one found, and keeps its `measured_at` and `elapsed_ms`.
    Carry(MtuRecord),
}

/// What is remembered of all addresses; bounded.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// The rounds that ended.
    round: u64,
    entries: HashMap<Key, Entry>,
}

/// What is remembered of one address.
#[derive(Debug, Default)]
struct Entry {
    /// The last round in which anybody asked.
    asked: u64,
    /// The last verdict, whatever it was drawn from.
    verdict: Option<Verdict>,
    /// The last fan-out.
    fan_out: Option<LastFanOut>,
    /// The rounds of the latest fan-outs, oldest first; at most [`MOST_FAN_OUTS`].
    fanned: VecDeque<u64>,
    /// Whether it is known that a large ClientHello does not pass.
    blocked: Option<Blocked>,
}

#[derive(Debug)]
struct Verdict {
    facts: Facts,
    record: MtuRecord,
    /// The round in which it was measured.
    round: u64,
}

#[derive(Debug)]
struct LastFanOut {
    facts: Facts,
    suspicion: Suspicion,
    record: MtuRecord,
    /// The round in which it was made.
    round: u64,
    /// The last round in which this suspicion came up and was answered.
    suspected: u64,
    /// How many in a row could not tell.
    inconclusive: u32,
}

#[derive(Debug)]
struct Blocked {
    facts: Facts,
    /// The round in which it was checked in full.
    checked: u64,
}

impl Memory {
    /// Whether the comb is sent: the first time, after a change, until a fault is gone, and on the address's turn.
    pub(crate) fn due(&mut self, key: &Key, facts: &Facts, plan: &MtuPlan) -> Due {
        let now = self.round;
        let Some(verdict) = self.recall(key).and_then(|entry| entry.verdict.as_ref()) else {
            return Due::Measure;
        };
        let holds =
            verdict.facts == *facts && is_healthy(verdict.record.outcome) && now < turn_after(verdict.round, key, plan);
        if holds { Due::Carry(verdict.record.clone()) } else { Due::Measure }
    }

    /// Whether a suspicion is followed up: when it was not there the round before, when the facts or its kind changed,
    /// twice more at once where it could not be told, and on the address's turn.
    ///
    /// Whatever changes, an address gets at most [`MOST_FAN_OUTS`] in `repeat_every` rounds (or [`KEPT`], if that is
    /// less), as long as there is something to say of it meanwhile: a fault that was found, or what was found of this
    /// very suspicion. A fan-out counts when its end is stored, and one that was cut is due again. A fault that is
    /// carried is the address's verdict again, until the comb says otherwise.
    pub(crate) fn may_fan_out(&mut self, key: &Key, facts: &Facts, suspicion: Suspicion, plan: &MtuPlan) -> FanOut {
        let now = self.round;
        let Some(entry) = self.recall(key) else {
            return FanOut::Due;
        };
        let Some(last) = &mut entry.fan_out else {
            return FanOut::Due;
        };
        let alike = last.facts == *facts && last.suspicion == suspicion;
        let lasting = alike && last.suspected + 1 >= now;
        let wanted = !lasting || (1..=RETRIES).contains(&last.inconclusive) || now >= turn_after(last.round, key, plan);
        let window = u64::from(plan.repeat_every).min(KEPT);
        let spent = entry.fanned.iter().filter(|round| **round + window > now).count() >= MOST_FAN_OUTS;
        let faulty = !is_healthy(last.record.outcome);
        if wanted && !(spent && (alike || faulty)) {
            return FanOut::Due;
        }
        if alike {
            last.suspected = now;
        }
        let record = last.record.clone();
        if faulty && let Some(verdict) = &mut entry.verdict {
            verdict.record = record.clone();
        }
        FanOut::Carry(record)
    }

    /// Remembers how a round's measurement of an address ended; `suspicion` is why a fan-out was made, if one was. A
    /// carried record (known by its `measured_at`) is nothing new and changes nothing.
    pub(crate) fn store(&mut self, key: &Key, facts: &Facts, suspicion: Option<Suspicion>, record: MtuRecord) {
        let now = self.round;
        if record.outcome == MtuOutcome::NotTried {
            return;
        }
        let Some(entry) = self.entry(key) else {
            return;
        };
        let known = entry.verdict.iter().map(|verdict| &verdict.record);
        if known.chain(entry.fan_out.iter().map(|last| &last.record)).any(|old| old.measured_at == record.measured_at) {
            return;
        }
        let conclusive = record.outcome != MtuOutcome::Inconclusive;
        if let Some(suspicion) = suspicion {
            let before = entry
                .fan_out
                .take()
                .filter(|last| last.facts == *facts && last.suspicion == suspicion)
                .map_or(0, |last| last.inconclusive);
            entry.fan_out = Some(LastFanOut {
                facts: facts.clone(),
                suspicion,
                record: record.clone(),
                round: now,
                suspected: now,
                inconclusive: if conclusive { 0 } else { before.saturating_add(1) },
            });
            entry.fanned.push_back(now);
            if entry.fanned.len() > MOST_FAN_OUTS {
                entry.fanned.pop_front();
            }
        } else if let Some(last) = &mut entry.fan_out
            && conclusive
        {
            last.inconclusive = 0;
        }
        entry.verdict = Some(Verdict { facts: facts.clone(), record, round: now });
    }

    /// Drops the verdicts on an address: the round itself contradicts what was carried (a handshake that never ended,
    /// where a slow but healthy server was known). The next round measures.
    pub(crate) fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.recall(key) {
            entry.verdict = None;
            entry.fan_out = None;
        }
    }

    /// Whether a large ClientHello that just failed where a small one passed needs no further proof: it was proven
    /// under the same facts, and it is not the address's turn to prove it again.
    pub(crate) fn remembers_blocked(&mut self, key: &Key, facts: &Facts, plan: &MtuPlan) -> bool {
        let now = self.round;
        let blocked = self.recall(key).and_then(|entry| entry.blocked.as_ref());
        blocked.is_some_and(|blocked| blocked.facts == *facts && now < turn_after(blocked.checked, key, plan))
    }

    /// Remembers what became of the large ClientHello. One that passed ends the matter at once. Told in every round that
    /// it is blocked, by proof or not, the memory still asks for the proof on the address's turns.
    pub(crate) fn store_hello(&mut self, key: &Key, facts: &Facts, hello: LargeHello) {
        let now = self.round;
        match hello {
            LargeHello::NotTried => {}
            LargeHello::Ok => {
                if let Some(entry) = self.recall(key) {
                    entry.blocked = None;
                }
            }
            LargeHello::Blocked => {
                if let Some(entry) = self.entry(key) {
                    entry.blocked = Some(Blocked { facts: facts.clone(), checked: now });
                }
            }
        }
    }

    /// Counts the round, and drops the addresses that went away.
    pub(crate) fn end_of_round(&mut self) {
        let now = self.round;
        self.entries.retain(|_, entry| now - entry.asked < KEPT);
        self.round += 1;
    }

    /// What is known of an address that is asked for.
    fn recall(&mut self, key: &Key) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(key)?;
        entry.asked = self.round;
        Some(entry)
    }

    /// The place of an address, a new one if need be; `None` when there is no room: it is measured in every round.
    fn entry(&mut self, key: &Key) -> Option<&mut Entry> {
        if self.entries.len() >= MOST_ADDRESSES && !self.entries.contains_key(key) {
            return None;
        }
        let entry = self.entries.entry(key.clone()).or_default();
        entry.asked = self.round;
        Some(entry)
    }
}

const fn is_healthy(outcome: MtuOutcome) -> bool {
    match outcome {
        MtuOutcome::Ok | MtuOutcome::Clamped | MtuOutcome::ReliesOnIcmp => true,
        MtuOutcome::BlackholeOut
        | MtuOutcome::BlackholeIn
        | MtuOutcome::BlackholeBoth
        | MtuOutcome::Inconclusive
        | MtuOutcome::NotTried => false,
    }
}

/// The address's first turn after `round`. Turns come every `repeat_every` rounds; a round that was missed is made up
/// for later and does not move the ones that follow.
fn turn_after(round: u64, key: &Key, plan: &MtuPlan) -> u64 {
    let every = u64::from(plan.repeat_every.max(1));
    let mut hasher = DefaultHasher::new();
    (plan.spread, key).hash(&mut hasher);
    let place = hasher.finish() % every;
    let next = round + 1;
    next + (place + every - next % every) % every
}

/// How often an inconclusive fan-out is repeated in the rounds that follow.
const RETRIES: u32 = 2;

/// Fan-outs of one address in `repeat_every` rounds: a suspicion and its retries, and one change more. Without such a
/// bound, a path that is broken every other round, or an address that changes with each, would cost a dozen connections
/// in every round.
const MOST_FAN_OUTS: usize = 4;

/// Addresses that are remembered: sixteen targets with as many addresses each as are probed.
const MOST_ADDRESSES: usize = 4_096;

/// Rounds for which an address that nobody asks for is remembered: S3's names answer with a few of many addresses, and
/// others each time. Nothing is believed for longer because of that: a turn that went by meanwhile is due.
const KEPT: u64 = 32;

#[cfg(test)]
mod tests;
