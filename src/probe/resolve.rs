//! The stage *resolve*: every name server is asked for every name, and each is a measurement of its own.
//!
//! hickory's own resolver asks several servers at once and hides a dead first one; it gives up an earlier send when it
//! makes the next, and its sockets do not hear a refusal. So its parts are used one by one: a client for each name
//! server, each question sent by [`schedule`], over sockets of our own. There is no cache and no search list.

use std::{net::IpAddr, time::Duration};

use hickory_resolver::proto::rr::Name;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use self::{
    question::{Bound, Span},
    server::{Inquiry, Measured, rank},
};
use super::hosts_file::{HostsFile, includes};
use crate::model::{
    cause::Cause,
    host::NameServer,
    observation::{Outcome, ResolveRecord, ResolverRole, Transport},
    plan::{DnsPlan, Family},
    target::Target,
};

#[doc(hidden)]
pub mod datagram;
mod exchange;
mod fault;
mod question;
mod reply;
mod schedule;
mod server;
mod socket;

/// A name that is being asked for. Dropping it ends every question.
pub struct Names {
    /// What the later stages use, where no name server decides it: an address, the hosts file, or nobody to ask.
    given: Option<ResolveRecord>,
    tasks: JoinSet<(usize, Measured)>,
    inquiries: Vec<Inquiry>,
    measured: Vec<Option<Measured>>,
    span: Span,
}

/// Every name server's answer for one name.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// One record for each name server, in the plan's order, the VPC's last.
    pub records: Vec<ResolveRecord>,
    /// Limits of our own (descriptors, ports, buffers) that spoilt some of it.
    pub exhausted: Option<String>,
}

/// Starts to ask all of `dns`'s servers for `target`'s host name, side by side and in the background. All of it ends
/// `budget` from now and never after `deadline`.
#[must_use]
pub fn start(
    target: &Target,
    dns: &DnsPlan,
    family: Family,
    budget: Duration,
    deadline: Instant,
    hosts: &HostsFile,
) -> Names {
    let span = span(budget, deadline);
    let host = target.host.as_str();
    let mut names = Names { given: None, tasks: JoinSet::new(), inquiries: Vec::new(), measured: Vec::new(), span };
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        names.given = Some(literal(address, family));
        return names;
    }
    if dns.hosts_file {
        names.given = hosts.find(host, family).map(|found| from_hosts_file(found.addresses, found.place));
    }
    let name = match absolute(host) {
        Ok(name) => name,
        Err(text) => {
            names.given.get_or_insert_with(|| bare(Outcome::Failed(Cause::DnsNxdomain), text));
            return names;
        }
    };
    if dns.servers.is_empty() {
        let text = "no name server is configured".to_owned();
        names.given.get_or_insert_with(|| bare(Outcome::Failed(Cause::DnsUnreachable), text));
    }
    // Programs ask the stub, not the servers behind it: those are measured, and come after all that answer for the system.
    let (behind, own): (Vec<NameServer>, Vec<_>) = dns.servers.iter().cloned().partition(|one| one.behind.is_some());
    let system = own.into_iter().chain(behind).map(|server| (server, ResolverRole::System));
    let vpc = dns.vpc.iter().map(|&address| (NameServer { address, behind: None }, ResolverRole::Vpc));
    names.inquiries = system
        .chain(vpc)
        .map(|(server, role)| Inquiry { server, role, name: name.clone(), family, span, attempts: dns.attempts })
        .collect();
    let alive = watch::Sender::new(false);
    for (index, inquiry) in names.inquiries.iter().cloned().enumerate() {
        let alive = alive.clone();
        names.tasks.spawn(async move { (index, inquiry.measure(alive).await) });
        names.measured.push(None);
    }
    names
}

impl Names {
    /// The answer that the later stages use. It is the one that the C library would use: the first server's, in order,
    /// that has addresses or says that there are none; who fails is passed over. One difference: when a later server
    /// has addresses, an earlier silent one is waited for only a little, so that it does not cost the other stages
    /// their time. It is still measured: see [`Names::all`].
    pub async fn answer(&mut self) -> ResolveRecord {
        if let Some(given) = &self.given {
            return given.clone();
        }
        let mut late = None;
        loop {
            let patience = match late {
                Some(late) if Instant::now() >= late => Patience::Over,
                _ => Patience::Left,
            };
            if let Choice::Use(index) = choose(&self.standings(), patience) {
                return self.record(index);
            }
            if late.is_none() && self.standings().contains(&Some(Outcome::Ok)) {
                late = Some(Instant::now() + LATE);
            }
            let wake = late.filter(|late| Instant::now() < *late);
            tokio::select! {
                done = self.tasks.join_next() => match done {
                    Some(done) => self.keep(done.ok()),
                    // All have ended, and whoever left no result panicked: our fault, said as such.
                    None => return self.record(0),
                },
                () = sleep_until(wake.unwrap_or(self.span.end)), if wake.is_some() => {}
            }
        }
    }

    /// Every name server's record, once all have answered or their time is up.
    pub async fn all(mut self) -> Asked {
        while let Some(done) = self.tasks.join_next().await {
            self.keep(done.ok());
        }
        let mut limits: Vec<&str> =
            self.measured.iter().flatten().filter_map(|measured| measured.exhausted.as_deref()).collect();
        limits.dedup();
        Asked {
            records: (0..self.inquiries.len()).map(|index| self.record(index)).collect(),
            exhausted: (!limits.is_empty()).then(|| limits.join("; ")),
        }
    }

    fn keep(&mut self, done: Option<(usize, Measured)>) {
        if let Some((index, measured)) = done
            && let Some(place) = self.measured.get_mut(index)
        {
            *place = Some(measured);
        }
    }

    /// How the servers that programs ask stand, in order; `None`: still asked. They are the first of all.
    fn standings(&self) -> Vec<Option<Outcome>> {
        self.inquiries
            .iter()
            .zip(&self.measured)
            .filter(|(inquiry, _)| inquiry.role == ResolverRole::System && inquiry.server.behind.is_none())
            .map(|(_, measured)| measured.as_ref().map(|measured| measured.record.outcome))
            .collect()
    }

    fn record(&self, index: usize) -> ResolveRecord {
        let measured = self.measured.get(index).and_then(Option::as_ref);
        measured.map_or_else(
            || {
                bare(
                    Outcome::Failed(Cause::NotFinished),
                    "the question was abandoned by a fault of this program".to_owned(),
                )
            },
            |measured| measured.record.clone(),
        )
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    Left,
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Use(usize),
    Wait,
}

/// Which server's answer to use, given how they stand, in order (`None`: still asked). getaddrinfo(3) of the C library
/// stops at the first that knows the name or knows that it is not there, and goes on after a failure. Only addresses
/// are worth passing over a silent one: nothing would be started early with anything else.
fn choose(standings: &[Option<Outcome>], patience: Patience) -> Choice {
    let mut silent = false;
    for (index, standing) in standings.iter().enumerate() {
        match standing {
            None => silent = true,
            Some(outcome) if decides(*outcome) => {
                let usable = !silent || (patience == Patience::Over && outcome.is_ok());
                return if usable { Choice::Use(index) } else { Choice::Wait };
            }
            Some(_) => {}
        }
    }
    if silent {
        return Choice::Wait;
    }
    let failed = standings.iter().enumerate().filter_map(|(index, standing)| Some((index, (*standing)?)));
    failed.min_by_key(|(_, outcome)| rank(*outcome)).map_or(Choice::Wait, |(index, _)| Choice::Use(index))
}

fn decides(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Failed(Cause::DnsNxdomain | Cause::DnsNoData))
}

fn span(budget: Duration, deadline: Instant) -> Span {
    let start = Instant::now();
    let end = start.checked_add(budget).unwrap_or(deadline);
    if deadline < end {
        Span { start, end: deadline.max(start), bound: Bound::Deadline }
    } else {
        Span { start, end, bound: Bound::Budget }
    }
}

/// The name with its final dot: no search list applies to it.
fn absolute(host: &str) -> Result<Name, String> {
    let dotted = format!("{}.", host.strip_suffix('.').unwrap_or(host));
    Name::from_ascii(&dotted).map_err(|error| format!("not a host name: {error}"))
}

fn literal(address: IpAddr, family: Family) -> ResolveRecord {
    if !includes(family, address) {
        let text = "the address is of the family that is not asked for".to_owned();
        return bare(Outcome::Failed(Cause::DnsNoData), text);
    }
    ResolveRecord { addresses: vec![address], ..bare(Outcome::Ok, "an address, not a name".to_owned()) }
}

fn from_hosts_file(mut addresses: Vec<IpAddr>, place: String) -> ResolveRecord {
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(server::MOST_ADDRESSES);
    ResolveRecord { transport: Some(Transport::HostsFile), addresses, ..bare(Outcome::Ok, place) }
}

/// A record without a question.
fn bare(outcome: Outcome, detail: String) -> ResolveRecord {
    ResolveRecord {
        outcome,
        elapsed_ms: Duration::ZERO.into(),
        resolver: None,
        role: ResolverRole::System,
        behind: None,
        transport: None,
        cnames: Vec::new(),
        addresses: Vec::new(),
        ttl_s: None,
        detail: Some(detail),
    }
}

/// How long an earlier silent name server is waited for once a later one has addresses. Long enough for two more
/// sends, so that one lost datagram does not change who is believed.
const LATE: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::{Cause, Choice, Outcome, Patience, choose};

    #[test]
    fn the_choice_is_the_c_librarys() {
        const OK: Option<Outcome> = Some(Outcome::Ok);
        const ABSENT: Option<Outcome> = Some(Outcome::Failed(Cause::DnsNxdomain));
        const EMPTY: Option<Outcome> = Some(Outcome::Failed(Cause::DnsNoData));
        const REFUSED: Option<Outcome> = Some(Outcome::Failed(Cause::DnsRefused));
        const DEAD: Option<Outcome> = Some(Outcome::Failed(Cause::DnsTimeout));
        let check = |standings: &[Option<Outcome>], left: Choice, over: Choice| {
            assert_eq!(choose(standings, Patience::Left), left, "{standings:?}, patience left");
            assert_eq!(choose(standings, Patience::Over), over, "{standings:?}, patience over");
        };
        check(&[OK, OK], Choice::Use(0), Choice::Use(0));
        check(&[None, OK], Choice::Wait, Choice::Use(1));
        check(&[None, REFUSED, OK], Choice::Wait, Choice::Use(2));
        check(&[None, ABSENT], Choice::Wait, Choice::Wait);
        check(&[None, ABSENT, OK], Choice::Wait, Choice::Wait);
        check(&[ABSENT, OK], Choice::Use(0), Choice::Use(0));
        check(&[EMPTY, OK], Choice::Use(0), Choice::Use(0));
        check(&[DEAD, OK], Choice::Use(1), Choice::Use(1));
        check(&[REFUSED, None], Choice::Wait, Choice::Wait);
        check(&[DEAD, REFUSED], Choice::Use(1), Choice::Use(1));
        check(&[DEAD, DEAD], Choice::Use(0), Choice::Use(0));
        check(&[], Choice::Wait, Choice::Wait);
    }
}
