//! What the rules look at: borrowed views of a round, from one address up to all targets.

use std::net::IpAddr;

use crate::model::{
    cause::{Cause, Stage},
    host::HostFacts,
    observation::{AddressRecord, Observation, Place, ResolveRecord, ResolverRole, Transport},
    plan::{Family, Plan},
    target::{Expect, Target},
    units::Timestamp,
    verdict::{Problem, Severity, Verdict},
};

/// One thing that an address showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) cause: Cause,
    pub(super) severity: Severity,
    pub(super) stage: Stage,
    /// The sentence's end for a person: what was seen, without the address.
    pub(super) detail: String,
}

impl Sight {
    pub(super) fn new(cause: Cause, stage: Stage, detail: impl Into<String>) -> Self {
        Self { cause, severity: cause.severity(), stage, detail: detail.into() }
    }
}

/// An address with what is expected of it.
#[derive(Clone, Copy)]
pub(super) struct AddressView<'a> {
    pub(super) record: &'a AddressRecord,
    pub(super) target: &'a Target,
    pub(super) plan: &'a Plan,
}

/// What is known of an address after its own rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Every stage ended well.
    Live,
    /// The first broken layer.
    Dead(Sight),
    /// The deadline, or a limit of ours, came first.
    Unfinished(Stage),
    /// This host cannot use it (no IPv6, a family that was not asked for), and has another one.
    Unused,
}

/// An address, examined.
pub(super) struct Seen<'a> {
    pub(super) record: &'a AddressRecord,
    pub(super) state: State,
    /// Warnings and notes of a live address.
    pub(super) remarks: Vec<Sight>,
}

impl Seen<'_> {
    pub(super) const fn address(&self) -> IpAddr {
        self.record.address
    }

    pub(super) const fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    pub(super) const fn is_used(&self) -> bool {
        !matches!(self.state, State::Unused)
    }

    /// Dead by where it lies, not by what it did.
    pub(super) fn is_misplaced(&self) -> bool {
        self.dead().is_some_and(|sight| sight.stage == Stage::Classify)
    }

    /// The first broken layer of an address that lies where it should.
    pub(super) fn broken(&self) -> Option<&Sight> {
        self.dead().filter(|sight| sight.stage != Stage::Classify)
    }

    pub(super) const fn dead(&self) -> Option<&Sight> {
        match &self.state {
            State::Dead(sight) => Some(sight),
            State::Live | State::Unfinished(_) | State::Unused => None,
        }
    }

    /// Whether a TCP connection was opened, wherever the address lies.
    pub(super) fn answers(&self) -> bool {
        self.record.connect.as_ref().is_some_and(|connect| connect.outcome.is_ok())
    }

    /// Whether nothing came back from it: no answer, or a neighbour that could not be found, which takes its time to be
    /// said (by this host's kernel or the last router's). A refusal that comes at once has somebody behind it.
    pub(super) fn is_silent(&self) -> bool {
        self.record.connect.as_ref().is_some_and(|connect| match connect.outcome.cause() {
            Some(Cause::TcpTimeout) => true,
            Some(Cause::TcpUnreachable) => connect.elapsed_ms.as_f64() > NEIGHBOUR_MS,
            _ => false,
        })
    }
}

/// A target with its examined addresses.
pub(super) struct TargetView<'a> {
    pub(super) observation: &'a Observation,
    pub(super) plan: &'a Plan,
    pub(super) host: &'a HostFacts,
    pub(super) seen: Vec<Seen<'a>>,
    /// Addresses of the answer that nobody tried.
    pub(super) untried: Vec<IpAddr>,
}

impl<'a> TargetView<'a> {
    pub(super) const fn target(&self) -> &'a Target {
        &self.observation.target
    }

    pub(super) const fn resolve(&self) -> &'a ResolveRecord {
        &self.observation.resolve
    }

    pub(super) fn used(&self) -> impl Iterator<Item = &Seen<'a>> {
        self.seen.iter().filter(|seen| seen.is_used())
    }

    pub(super) fn is_pinned(&self) -> bool {
        self.resolve().transport == Some(Transport::HostsFile)
    }

    /// Whether the addresses must be private.
    pub(super) const fn expects_private(&self) -> bool {
        expects_private(self.target())
    }

    /// Whether every address of the answer is public.
    pub(super) fn is_public(&self) -> bool {
        let mut places = self.used().map(|seen| seen.record.place).peekable();
        places.peek().is_some() && places.all(is_public)
    }

    /// Whether every address of the answer is private.
    pub(super) fn is_private(&self) -> bool {
        let mut places = self.used().map(|seen| seen.record.place).peekable();
        places.peek().is_some() && places.all(is_private)
    }

    /// Whether a limit of our own left something unmeasured, so that nothing can be said of the target. Where every
    /// address lives all the same, the limit cost only a second try.
    pub(super) fn is_spoilt(&self) -> bool {
        let whole = self.untried.is_empty() && self.used().next().is_some() && self.used().all(Seen::is_live);
        self.observation.exhausted.is_some() && !whole
    }

    /// Whether every address is silent.
    pub(super) fn is_silent(&self) -> bool {
        let mut used = self.used().peekable();
        used.peek().is_some() && used.all(Seen::is_silent)
    }

    /// The system's name servers that were asked.
    pub(super) fn system_servers(&self) -> impl Iterator<Item = &'a ResolveRecord> {
        self.observation.resolvers.iter().filter(|record| record.role == ResolverRole::System)
    }

    /// The VPC resolver's good answer, where it was asked for comparison.
    pub(super) fn vpc_answer(&self) -> Option<&'a ResolveRecord> {
        self.observation
            .resolvers
            .iter()
            .find(|record| record.role == ResolverRole::Vpc && record.outcome.is_ok() && !record.addresses.is_empty())
    }
}

/// Whether the target's addresses must be private.
pub(super) const fn expects_private(target: &Target) -> bool {
    match target.expect {
        Expect::OwnVpc | Expect::Private => true,
        Expect::Any | Expect::Public | Expect::Absent => false,
    }
}

/// Whether an address there can be an interface endpoint's.
pub(super) const fn is_private(place: Place) -> bool {
    match place {
        Place::OwnVpc | Place::Allowed | Place::Private => true,
        Place::Gateway | Place::Public | Place::Bogus => false,
    }
}

/// Whether an address there is reached through a gateway endpoint, NAT or an internet gateway.
pub(super) const fn is_public(place: Place) -> bool {
    match place {
        Place::Gateway | Place::Public => true,
        Place::OwnVpc | Place::Allowed | Place::Private | Place::Bogus => false,
    }
}

/// Whether the round asked for addresses of this family.
pub(super) const fn asked_for(family: Family, address: IpAddr) -> bool {
    match family {
        Family::Any => true,
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    }
}

/// A target, judged by its own rules.
pub(super) struct Judged<'a> {
    pub(super) view: TargetView<'a>,
    /// Worst first.
    pub(super) problems: Vec<Problem>,
    pub(super) verdict: Verdict,
}

impl<'a> Judged<'a> {
    pub(super) fn name(&self) -> &'a str {
        &self.view.target().name
    }

    pub(super) fn failed(&self) -> bool {
        self.verdict == Verdict::Failed
    }

    pub(super) fn has(&self, cause: Cause) -> bool {
        self.problems.iter().any(|problem| problem.cause == cause)
    }

    /// The failures' causes, not-finished left out.
    pub(super) fn failures(&self) -> impl Iterator<Item = Cause> {
        self.problems
            .iter()
            .filter(|problem| problem.severity == Severity::Failure && problem.cause != Cause::NotFinished)
            .map(|problem| problem.cause)
    }
}

/// A whole round, judged target by target.
pub(super) struct Scene<'a> {
    pub(super) targets: Vec<Judged<'a>>,
    pub(super) host: &'a HostFacts,
    pub(super) plan: &'a Plan,
    pub(super) now: Timestamp,
}

impl<'a> Scene<'a> {
    /// The region for names and commands; a placeholder where nobody said it.
    pub(super) fn region(&self) -> &'a str {
        self.plan.region.as_deref().unwrap_or("REGION")
    }

    /// Whether something public answers: the witness that this host's own way out is open.
    pub(super) fn witness(&self) -> Option<&'a str> {
        self.targets.iter().find_map(|judged| {
            let answers = judged.view.seen.iter().any(|seen| is_public(seen.record.place) && seen.answers());
            answers.then(|| judged.name())
        })
    }
}

/// The kernel asks three times, a second apart, for a neighbour; a router that knows no way says so at once.
const NEIGHBOUR_MS: f64 = 2000.0;
