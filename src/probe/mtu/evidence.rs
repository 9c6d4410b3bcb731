//! What all connections to one address showed about sizes, and what that means. Pure.
//!
//! Sizes are IP packets in bytes. Nothing is concluded from one connection alone, from a timeout without a connection
//! that worked meanwhile, or against a packet that did get through.
//!
//! Each direction is read by itself ([`Way`]). A failure is held against the size only above everything that passed: what
//! fails at a size that passes elsewhere is loss, or one path of several. So a lost packet can spoil no verdict, and
//! forgetting a failure never makes one worse.

mod inbound;
mod outbound;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod replay;

use crate::model::observation::MtuOutcome;

/// Connections that must fail at a size before it counts: one may have met with loss.
const AGREE: usize = 2;

/// TCP never sends segments of more than half the peer's window, and a SYN offers 65,535 bytes at most. Above this, a
/// natural segment below the link's MTU is no clamp.
const HALF_A_WINDOW: u32 = 32_767;

/// Everything that was seen of one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// The MTU of the link that is used, where it is known.
    pub(crate) link_mtu: Option<u32>,
    /// A path MTU that ICMP taught: a route exception, or `tcpi_pmtu` shrinking during the probe.
    pub(crate) learnt: Option<u32>,
    /// Handshakes, one for each connection, in any order. A stall that turned out to be about the hello (a small one at
    /// the same sizes was answered) belongs here as [`Ending::Other`]: what arrived still counts, the stall says nothing.
    pub(crate) arrivals: Vec<Arrival>,
    /// Combs, one for each connection that sent one, in any order.
    pub(crate) combs: Vec<Comb>,
}

/// How a handshake went whose server flight tests the way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// The largest packet that the peer was allowed to send.
    pub(crate) allowed: u32,
    /// Nothing but the link and the route limited it.
    pub(crate) natural: bool,
    /// How it ended.
    pub(crate) ending: Ending,
    /// The largest packet that arrived, whatever the ending.
    pub(crate) seen: Option<u32>,
}

/// How a handshake ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was completed.
    Done,
    /// It was completed after a pause that counts as a stall: something came to its rescue (the kernel's own MTU probing
    /// sends smaller segments after some timeouts), or the server is slow.
    DoneLate,
    /// The hello is acknowledged, and nothing (more) comes.
    StalledIn,
    /// Not even the hello is acknowledged.
    StalledOut,
    /// Something else: refused, reset, closed, an alert, out of time. It says nothing about sizes.
    Other(String),
}

impl Ending {
    /// Whether the handshake stood still for too long, whoever owed the next byte.
    pub(crate) const fn is_stall(&self) -> bool {
        matches!(self, Self::StalledIn | Self::StalledOut)
    }
}

/// One series of growing segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comb {
    /// The largest packet that was sent.
    pub(crate) widest: u32,
    /// Nothing but the path's own agreement limited `widest`.
    pub(crate) natural: bool,
    /// The largest packet that is acknowledged at its full size.
    pub(crate) passed: Option<u32>,
    /// How it ended.
    pub(crate) ending: CombEnding,
}

/// How a comb ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CombEnding {
    /// Every segment was acknowledged at its full size.
    Done,
    /// A segment of `at` bytes is lost again and again while smaller ones pass (`proof`: the tail behind it was
    /// acknowledged selectively, or a smaller one before it; without it the whole path may be silent).
    Stuck {
        /// The smallest packet that did not pass.
        at: u32,
        /// Whether small packets passed meanwhile on the same connection.
        proof: bool,
    },
    /// The connection ended before it was told, or time did.
    Broken(String),
}

/// What the evidence means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reading {
    /// The verdict.
    pub(crate) outcome: MtuOutcome,
    /// The largest packet proven outwards.
    pub(crate) out_ok: Option<u32>,
    /// The smallest packet that failed outwards.
    pub(crate) out_fails: Option<u32>,
    /// The largest packet that arrived.
    pub(crate) in_seen: Option<u32>,
    /// The largest packet proven inwards, beside a hole.
    pub(crate) in_ok: Option<u32>,
    /// The smallest packet that failed inwards.
    pub(crate) in_fails: Option<u32>,
    /// For a person: why it is inconclusive, what ICMP said.
    pub(crate) detail: Option<String>,
}

/// What is known about one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    /// The largest packet that got through.
    pub(crate) ok: Option<u32>,
    /// The smallest packet that failed above everything that passed, as soon as one connection says so.
    pub(crate) fails: Option<u32>,
    /// How many connections failed above everything that passed: those that speak for a hole.
    pub(crate) failed: usize,
    /// How many connections failed although their sizes passed on another one.
    pub(crate) contradicted: usize,
    /// What follows.
    pub(crate) sight: Sight,
}

/// What follows for one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The natural size passes.
    Fine,
    /// Sizes from `fails` on vanish.
    Hole,
    /// It cannot be told, with the reason for a person.
    Unclear(String),
}

impl Sight {
    /// Why it cannot be told.
    fn reason(&self) -> Option<&str> {
        match self {
            Self::Unclear(reason) => Some(reason),
            Self::Fine | Self::Hole => None,
        }
    }
}

/// A connection that can bring a verdict nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// A handshake with small packets both ways: whether the server answers at all.
    Control,
    /// One more handshake at natural sizes, with a small hello.
    Natural,
    /// One more comb, with the smallest size that failed among its own.
    Comb,
}

impl Evidence {
    /// One more comb, and the path MTU that ICMP taught meanwhile.
    pub(crate) fn add(&mut self, comb: Comb, learnt: Option<u32>) {
        self.learnt = self.learnt.or(learnt);
        self.combs.push(comb);
    }

    /// The first comb showed more when it was looked at again.
    pub(crate) fn correct(&mut self, comb: Comb, learnt: Option<u32>) {
        self.learnt = self.learnt.or(learnt);
        if let Some(first) = self.combs.first_mut() {
            *first = comb;
        }
    }

    /// The way in.
    pub(crate) fn inbound(&self) -> Way {
        inbound::look(&self.arrivals)
    }

    /// The way out.
    pub(crate) fn outbound(&self) -> Way {
        outbound::look(&self.combs)
    }

    /// Between which sizes the limit inwards lies: the largest that arrived, and the smallest that failed, also while
    /// too few connections agree for a verdict.
    pub(crate) fn inbound_bracket(&self) -> Option<(u32, u32)> {
        let way = self.inbound();
        way.ok.zip(way.fails)
    }

    /// Between which sizes the limit outwards lies; nothing may have passed at its full size yet.
    pub(crate) fn outbound_bracket(&self) -> Option<(Option<u32>, u32)> {
        let way = self.outbound();
        way.fails.map(|fails| (way.ok, fails))
    }

    /// Connections of which one each can settle what is open; empty when all is told, or no single one can tell more.
    pub(crate) fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let inbound = self.inbound();
        if inbound.sight.reason().is_some() && inbound.contradicted < AGREE {
            if !inbound::controlled(&self.arrivals) {
                missing.push(Missing::Control);
            }
            if !inbound::settled_by_control(&self.arrivals, &inbound) {
                missing.push(Missing::Natural);
            }
        }
        let outbound = self.outbound();
        if outbound.sight.reason().is_some() && outbound.contradicted < AGREE && inbound::answered(&self.arrivals) {
            missing.push(Missing::Comb);
        }
        missing
    }
}

/// What the evidence means.
///
/// A hole is stated with the smallest size that failed in its direction; a healthy outcome with the largest that passed.
pub(crate) fn read(evidence: &Evidence) -> Reading {
    let (inbound, outbound) = (evidence.inbound(), evidence.outbound());
    let learnt = evidence.learnt.filter(|learnt| evidence.link_mtu.is_none_or(|link| *learnt < link));
    let outcome = match (&inbound.sight, &outbound.sight) {
        (Sight::Hole, Sight::Hole) => MtuOutcome::BlackholeBoth,
        (Sight::Hole, _) => MtuOutcome::BlackholeIn,
        (_, Sight::Hole) => MtuOutcome::BlackholeOut,
        (Sight::Fine, Sight::Fine) if learnt.is_some() => MtuOutcome::ReliesOnIcmp,
        (Sight::Fine, Sight::Fine) if is_clamped(evidence) => MtuOutcome::Clamped,
        (Sight::Fine, Sight::Fine) => MtuOutcome::Ok,
        (Sight::Unclear(_), _) | (_, Sight::Unclear(_)) => MtuOutcome::Inconclusive,
    };
    let out_ok = match (outcome, learnt) {
        // Acknowledged in pieces, after ICMP had its say: the whole size did not pass.
        (MtuOutcome::ReliesOnIcmp, Some(learnt)) => outbound.ok.map(|ok| ok.min(learnt)),
        _ => outbound.ok,
    };
    let hole_in = inbound.sight == Sight::Hole;
    Reading {
        outcome,
        out_ok,
        out_fails: outbound.fails.filter(|_| outbound.sight == Sight::Hole),
        in_seen: inbound.ok,
        in_ok: inbound.ok.filter(|_| hole_in),
        in_fails: inbound.fails.filter(|_| hole_in),
        detail: detail(&inbound.sight, &outbound.sight, learnt),
    }
}

/// Whether the natural segment is smaller than the link allows.
fn is_clamped(evidence: &Evidence) -> bool {
    let natural = evidence.combs.iter().filter(|comb| comb.natural && comb.ending == CombEnding::Done);
    let widest = natural.map(|comb| comb.widest).max();
    widest.zip(evidence.link_mtu).is_some_and(|(widest, link)| widest < link.min(HALF_A_WINDOW))
}

/// For a person: what could not be told and why, what ICMP said.
fn detail(inbound: &Sight, outbound: &Sight, learnt: Option<u32>) -> Option<String> {
    let mut said = Vec::new();
    said.extend(inbound.reason().map(|reason| format!("inwards: {reason}")));
    said.extend(outbound.reason().map(|reason| format!("outwards: {reason}")));
    said.extend(learnt.map(|learnt| format!("ICMP reported a path MTU of {learnt} bytes")));
    (!said.is_empty()).then(|| said.join("; "))
}
