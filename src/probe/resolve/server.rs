//! One name server's answer for one name: A and AAAA side by side, put together to one record.

use std::{net::IpAddr, time::Duration};

use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::question::{Half, Question, Span, ask};
use crate::model::{
    cause::Cause,
    host::NameServer,
    observation::{Outcome, ResolveRecord, ResolverRole},
    plan::Family,
};

/// A name server, why it is asked, and what.
#[derive(Clone, Debug)]
pub(super) struct Inquiry {
    pub(super) server: NameServer,
    pub(super) role: ResolverRole,
    pub(super) name: Name,
    pub(super) family: Family,
    pub(super) span: Span,
    pub(super) attempts: u8,
}

/// One name server, measured.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Measured {
    pub(super) record: ResolveRecord,
    /// A limit of our own that spoilt it, in whole or in part.
    pub(super) exhausted: Option<String>,
}

impl Inquiry {
    /// Asks; ends by the span's end.
    pub(super) async fn measure(self, alive: watch::Sender<bool>) -> Measured {
        let halves = match self.family {
            Family::V4 => (Some(ask(self.question(RecordType::A), alive).await), None),
            Family::V6 => (None, Some(ask(self.question(RecordType::AAAA), alive).await)),
            Family::Any => self.both(alive).await,
        };
        self.put_together(halves)
    }

    fn question(&self, kind: RecordType) -> Question {
        let (server, name) = (self.server.address, self.name.clone());
        Question { server, name, kind, span: self.span, attempts: self.attempts }
    }

    /// The A answer is always waited for: without it, a host that has only IPv4 would see a broken target where one
    /// datagram was lost. The AAAA answer is waited for a little once A has decided.
    async fn both(&self, alive: watch::Sender<bool>) -> (Option<Half>, Option<Half>) {
        let four = ask(self.question(RecordType::A), alive.clone());
        let six = ask(self.question(RecordType::AAAA), alive);
        tokio::pin!(four, six);
        let (a, six_done) = tokio::select! {
            a = &mut four => (a, None),
            aaaa = &mut six => (four.await, Some(aaaa)),
        };
        if let Some(aaaa) = six_done {
            return (Some(a), Some(aaaa));
        }
        // Without an answer to A, or with "no data", the name may have IPv6 addresses only: AAAA decides.
        let open = a.transport.is_none() || a.outcome == Outcome::Failed(Cause::DnsNoData);
        let patience = if open { self.span.end.saturating_duration_since(Instant::now()) + END_FIRST } else { GRACE };
        let aaaa = tokio::select! {
            biased;
            aaaa = &mut six => aaaa,
            () = sleep_until(Instant::now() + patience) => {
                let text = format!("no answer within {} ms of A's", GRACE.as_millis());
                Half::unanswered(Cause::DnsTimeout, self.span.start.elapsed(), text)
            }
        };
        (Some(a), Some(aaaa))
    }

    fn put_together(self, (a, aaaa): (Option<Half>, Option<Half>)) -> Measured {
        let halves: Vec<(&str, &Half)> =
            a.iter().map(|half| ("A", half)).chain(aaaa.iter().map(|half| ("AAAA", half))).collect();
        let deciding = deciding(&halves);
        let outcome = deciding.map_or(Outcome::Failed(Cause::NotFinished), |half| half.outcome);
        let good = |half: &Half| half.outcome.is_ok() == outcome.is_ok();
        let used = || halves.iter().map(|(_, half)| *half).filter(|half| good(half));
        let mut addresses: Vec<IpAddr> = used().flat_map(|half| half.addresses.iter().copied()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let mut detail = detail(&halves, outcome);
        if addresses.len() > MOST_ADDRESSES {
            detail.push(format!("{} addresses, of which the first {MOST_ADDRESSES} are kept", addresses.len()));
            addresses.truncate(MOST_ADDRESSES);
        }
        let record = ResolveRecord {
            outcome,
            elapsed_ms: used().map(|half| half.elapsed).max().unwrap_or_default().into(),
            resolver: Some(self.server.address.ip()),
            role: self.role,
            behind: self.server.behind,
            transport: deciding.and_then(|half| half.transport),
            cnames: used().map(|half| &half.cnames).find(|chain| !chain.is_empty()).cloned().unwrap_or_default(),
            addresses,
            ttl_s: used().filter_map(|half| half.ttl_s).min(),
            detail: (!detail.is_empty()).then(|| detail.join("; ")),
        };
        let exhausted = halves.iter().find_map(|(_, half)| half.exhausted.clone());
        Measured { record, exhausted }
    }
}

/// The half that decides the outcome: one with addresses; else, of the two, the one that leaves less room for doubt.
/// "No data" beside an open question is that question's outcome, for nobody knows what it would have said.
fn deciding<'a>(halves: &[(&str, &'a Half)]) -> Option<&'a Half> {
    let mut best: Option<&'a Half> = None;
    for (_, half) in halves {
        if best.is_none_or(|best| rank(half.outcome) < rank(best.outcome)) {
            best = Some(half);
        }
    }
    best
}

/// How much an outcome says of the name: the smallest decides, over the two halves and over several servers.
pub(super) const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ok => 0,
        Outcome::Failed(Cause::DnsNxdomain) => 1,
        Outcome::Failed(Cause::DnsServfail) => 2,
        Outcome::Failed(Cause::DnsRefused) => 3,
        Outcome::Failed(Cause::DnsMalformed) => 4,
        Outcome::Failed(Cause::DnsTimeout) => 5,
        Outcome::Failed(Cause::DnsUnreachable) => 6,
        Outcome::Failed(Cause::DnsNoData) => 8,
        // NotFinished, and what no question ends with.
        Outcome::Failed(_) => 7,
    }
}

/// What the two halves say beyond the outcome: once where they agree, else each by its type.
fn detail(halves: &[(&str, &Half)], outcome: Outcome) -> Vec<String> {
    let differs = halves.iter().any(|(_, half)| half.outcome != outcome);
    let mut said: Vec<String> = Vec::new();
    for (kind, half) in halves {
        let text = match (half.outcome, &half.detail) {
            (Outcome::Failed(_), Some(text)) => text.clone(),
            // Most names have no IPv6 address: not worth a word beside good addresses.
            (Outcome::Failed(cause), None) if differs && !(outcome.is_ok() && cause == Cause::DnsNoData) => {
                cause.to_string()
            }
            (Outcome::Ok, _) | (Outcome::Failed(_), None) => continue,
        };
        let text = if differs { format!("{kind}: {text}") } else { text };
        if !said.contains(&text) {
            said.push(text);
        }
    }
    said
}

/// How long AAAA is waited for once A is there.
const GRACE: Duration = Duration::from_millis(300);
/// A question ends by itself at the span's end and knows why; only then may this file end it.
const END_FIRST: Duration = Duration::from_millis(5);
/// Every address is probed: a bound for what one name can make us do.
pub(super) const MOST_ADDRESSES: usize = 64;
