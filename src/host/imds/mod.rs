//! Facts from the instance metadata service (IMDSv2), and in which way it fails where it does.

mod client;
mod metadata;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub(super) use self::metadata::{Metadata, is_region};
use self::{
    client::{Asker, NoToken, Plain, Reply},
    metadata::{Answers, Item},
};
use crate::model::host::ImdsState;

/// What IMDS said, and how.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Answer {
    /// How it answered.
    pub(super) state: ImdsState,
    /// The facts, as many as there are.
    pub(super) metadata: Metadata,
}

/// Where to ask, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The address to ask, and one to ask beside it when that is silent.
    pub(super) endpoints: (SocketAddr, Option<SocketAddr>),
    /// The budget for a connection.
    pub(super) connect: Duration,
    /// The budget for everything.
    pub(super) budget: Duration,
}

/// `http://169.254.169.254`.
pub(super) const IPV4: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), 80);
/// `http://[fd00:ec2::254]`.
pub(super) const IPV6: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), 80);

/// Asks, within the budget. The second address is asked when the first fails or has been silent for a while: on most
/// hosts with both families only IPv4's answers, and on an IPv6-only subnet only IPv6's.
pub(super) async fn ask(question: &Question) -> Answer {
    let start = Instant::now();
    let patience = Patience { connect: question.connect, deadline: start + question.budget };
    let (first, second) = question.endpoints;
    let mut first = pin!(ask_one(first, patience));
    let Some(second) = second else { return first.await };
    let at_once = tokio::select! {
        answer = &mut first => Some(answer),
        () = sleep_until(start + question.budget.mul_f64(BEFORE_SECOND)) => None,
    };
    let mut second = pin!(ask_one(second, patience));
    match at_once {
        Some(answer) if answer.state != ImdsState::Unreachable => answer,
        Some(_) => second.await,
        None => tokio::select! {
            answer = &mut first => if answer.state == ImdsState::Unreachable { second.await } else { answer },
            answer = &mut second => if answer.state == ImdsState::Unreachable { first.await } else { answer },
        },
    }
}

/// How long to wait for what.
#[derive(Clone, Copy)]
struct Patience {
    connect: Duration,
    deadline: Instant,
}

async fn ask_one(endpoint: SocketAddr, patience: Patience) -> Answer {
    let now = Instant::now();
    let budget = patience.deadline.saturating_duration_since(now);
    let Some(asker) = Asker::new(endpoint, patience.connect.min(budget), budget) else {
        return Answer { state: ImdsState::Unreachable, ..Answer::default() };
    };
    let mut questions =
        Questions { tasks: JoinSet::new(), asker: asker.clone(), places: Arc::new(Semaphore::new(AT_ONCE)) };
    for item in Item::FIRST {
        questions.put(item);
    }
    let mut seen = Seen::default();
    let region = Item::Region.path();
    let mut plain: Option<Plain> = None;
    let mut asked_plain = pin!(async {
        sleep_until(now + budget.mul_f64(BEFORE_PLAIN)).await;
        asker.ask_plain(&region).await
    });
    let no_token = loop {
        let has_token = asker.has_token();
        tokio::select! {
            // The deadline first: what the SDK's own time-outs say at the same moment is less exact.
            biased;
            () = sleep_until(patience.deadline) => break (!asker.has_token()).then_some(NoToken::TimedOut),
            joined = questions.tasks.join_next() => match joined {
                None => break None,
                Some(Err(_)) => seen.failed += 1,
                Some(Ok((_, Reply::NoToken(failure)))) if !has_token => break Some(failure),
                Some(Ok((item, reply))) => {
                    let lists_interfaces = item == Item::Macs;
                    seen.take(item, reply);
                    if lists_interfaces {
                        for mac in metadata::macs(&seen.answers) {
                            Item::of_interface(&mac).for_each(|item| questions.put(item));
                        }
                    }
                }
            },
            answer = &mut asked_plain, if plain.is_none() && !has_token => plain = Some(answer),
        }
    };
    let open = questions.tasks.len();
    // Nothing more is sent, least of all a second PUT on behalf of the other items.
    drop(questions);
    let Some(failure) = no_token else { return seen.answer(open) };
    let plain = match (failure, plain) {
        (_, Some(plain)) => plain,
        // The status says it all, or a connection cannot even be opened.
        (NoToken::Status(403 | 429 | 500..) | NoToken::Unreachable | NoToken::TimedOut, None) => Plain::Silent,
        (NoToken::Status(_) | NoToken::Garbled, None) => tokio::select! {
            answer = asker.ask_plain(&region) => answer,
            () = sleep_until(patience.deadline) => Plain::Silent,
        },
    };
    without_token(failure, plain)
}

/// Questions under way, a bounded number at once.
struct Questions {
    tasks: JoinSet<(Item, Reply)>,
    asker: Asker,
    places: Arc<Semaphore>,
}

impl Questions {
    fn put(&mut self, item: Item) {
        let (asker, places) = (self.asker.clone(), Arc::clone(&self.places));
        self.tasks.spawn(async move {
            let _place = places.acquire().await;
            let reply = asker.ask(item.path()).await;
            (item, reply)
        });
    }
}

/// What was answered so far.
#[derive(Default)]
struct Seen {
    answers: Answers,
    denied: usize,
    garbled: usize,
    failed: usize,
}

impl Seen {
    fn take(&mut self, item: Item, reply: Reply) {
        match reply {
            Reply::Text(text) => match item.values(&text) {
                Some(values) => drop(self.answers.insert(item, values)),
                None => self.garbled += 1,
            },
            Reply::Absent => drop(self.answers.insert(item, Vec::new())),
            Reply::Denied => self.denied += 1,
            Reply::Garbled => self.garbled += 1,
            Reply::Failed | Reply::NoToken(_) => self.failed += 1,
        }
    }

    /// The state after a token was given, with `open` questions not answered. What is sane is kept in any state: a region
    /// beside a broken list of networks is still the region.
    fn answer(self, open: usize) -> Answer {
        let nothing = self.answers.values().all(Vec::is_empty);
        let state = if self.garbled > 0 {
            ImdsState::Garbage
        } else if nothing && self.denied > 0 {
            ImdsState::Forbidden
        } else if self.failed + open > 0 {
            ImdsState::Slow
        } else if nothing {
            // Every item is said not to be set, the instance's own id included.
            ImdsState::Garbage
        } else {
            ImdsState::Ok
        };
        Answer { state, metadata: Metadata::from_answers(&self.answers) }
    }
}

/// The state where no token was given, by what a GET without one got. Where version 1 tells the region, that is kept: it
/// saves the operator a flag.
fn without_token(failure: NoToken, plain: Plain) -> Answer {
    let region = match &plain {
        Plain::Status(200, text) => Some(text.clone()).filter(|text| is_region(text)),
        Plain::Status(_, _) | Plain::Garbled | Plain::Silent => None,
    };
    let state = match (failure, plain) {
        (NoToken::Status(403), _) => ImdsState::Off,
        (NoToken::Status(429 | 500..), _) => ImdsState::Slow,
        (NoToken::Unreachable, _) | (NoToken::TimedOut, Plain::Silent) => ImdsState::Unreachable,
        (NoToken::TimedOut, Plain::Status(401, _)) => ImdsState::HopLimit,
        (NoToken::TimedOut, Plain::Status(200, _)) if region.is_some() => ImdsState::HopLimit,
        (NoToken::Status(_) | NoToken::Garbled, Plain::Status(200, _)) if region.is_some() => ImdsState::V1Only,
        (NoToken::Status(_) | NoToken::Garbled | NoToken::TimedOut, _) => ImdsState::Garbage,
    };
    Answer { state, metadata: Metadata { region, ..Metadata::default() } }
}

/// Questions at once: all of the first ones, whose connections the others then use. Each connection more may cost a second
/// by a lost SYN, and the service allows 1024 packets a second in all.
const AT_ONCE: usize = Item::FIRST.len();
/// Shares of the budget: silence before the second address is asked, and before a GET goes out without a token.
const BEFORE_SECOND: f64 = 0.25;
const BEFORE_PLAIN: f64 = 0.35;

#[cfg(test)]
mod tests;
