//! One question (a name, A or AAAA) to one name server: sent several times, the first answer counts, however late.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::proto::{
    op::{Message, Query},
    rr::{Name, RecordType},
};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{datagram::Evidence, exchange::exchange, fault::Fault, reply::Reply, schedule::Schedule, socket::Sockets};
use crate::model::{
    cause::Cause,
    observation::{Outcome, Transport},
};

/// What to ask whom, and until when.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) server: SocketAddr,
    pub(super) name: Name,
    pub(super) kind: RecordType,
    pub(super) span: Span,
    pub(super) attempts: u8,
}

/// The time that a question has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: Instant,
    pub(super) end: Instant,
    pub(super) bound: Bound,
}

/// What sets the end of a [`Span`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// The stage's own budget: who is silent until then is silent.
    Budget,
    /// The round's deadline, before the budget is used up: nothing can be said of who is silent.
    Deadline,
}

/// What one question showed: half of a name server's record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Half {
    pub(super) outcome: Outcome,
    pub(super) transport: Option<Transport>,
    pub(super) cnames: Vec<String>,
    pub(super) addresses: Vec<std::net::IpAddr>,
    pub(super) ttl_s: Option<u32>,
    pub(super) elapsed: Duration,
    pub(super) detail: Option<String>,
    /// A limit of our own that spoilt it.
    pub(super) exhausted: Option<String>,
}

impl Half {
    /// A question that has no answer.
    pub(super) fn unanswered(cause: Cause, elapsed: Duration, detail: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Failed(cause),
            transport: None,
            cnames: Vec::new(),
            addresses: Vec::new(),
            ttl_s: None,
            elapsed,
            detail: Some(detail.into()),
            exhausted: None,
        }
    }
}

/// Asks. `alive` becomes true with the first answer to any question about this name, from whichever server: whoever
/// has none yet then sends again soon, for its datagram is probably lost.
pub(super) async fn ask(question: Question, alive: watch::Sender<bool>) -> Half {
    let Span { start, end, .. } = question.span;
    let sockets = Sockets::default();
    let mut schedule = Schedule::new(start, end, question.attempts);
    let mut sends = JoinSet::new();
    let mut faults = Faults::default();
    let mut others = alive.subscribe();
    let mut hurried = false;
    while !faults.settled() && (schedule.next().is_some() || !sends.is_empty()) {
        let due = schedule.next().unwrap_or(end);
        tokio::select! {
            biased;
            Some(sent) = sends.join_next() => match sent {
                Ok(Ok((message, transport))) => {
                    alive.send_replace(true);
                    return answered(&question, &message, transport);
                }
                Ok(Err(fault)) => {
                    if matches!(fault, Fault::Unreachable(_)) {
                        schedule.confirm(Instant::now());
                    }
                    faults.add(fault);
                }
                // A task ends so only by a panic, which is our own fault.
                Err(error) => faults.add(Fault::Exhausted(error.to_string())),
            },
            () = sleep_until(end) => break,
            () = sleep_until(due), if schedule.next().is_some() => {
                schedule.advance();
                let query = Query::query(question.name.clone(), question.kind);
                sends.spawn(exchange(question.server, query, end, sockets.clone()));
            }
            () = answer_elsewhere(&mut others), if !hurried => {
                hurried = true;
                schedule.hurry(Instant::now());
            }
        }
    }
    faults.mute += sends.len();
    faults.conclude(&question, &schedule, &sockets.evidence)
}

async fn answer_elsewhere(others: &mut watch::Receiver<bool>) {
    // The sender lives as long as the question that holds it, so an error cannot come; it would mean "never".
    if others.wait_for(|alive| *alive).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn answered(question: &Question, message: &Message, transport: Transport) -> Half {
    let reply = Reply::read(message, &question.name, question.kind);
    Half {
        outcome: reply.outcome,
        transport: Some(transport),
        cnames: reply.cnames,
        addresses: reply.addresses,
        ttl_s: reply.ttl_s,
        elapsed: question.span.start.elapsed(),
        detail: reply.detail,
        exhausted: None,
    }
}

/// The sends that brought no answer.
#[derive(Default)]
struct Faults {
    refused: Vec<String>,
    malformed: Option<String>,
    exhausted: Option<String>,
    mute: usize,
}

impl Faults {
    fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Unreachable(text) => self.refused.push(text),
            Fault::Malformed(text) => self.malformed = Some(text),
            Fault::Mute => self.mute += 1,
            Fault::Exhausted(text) => self.exhausted = Some(text),
        }
    }

    /// One refusal may be spurious or forged, a second one is meant.
    const fn settled(&self) -> bool {
        self.refused.len() >= 2
    }

    fn conclude(self, question: &Question, schedule: &Schedule, evidence: &Evidence) -> Half {
        let elapsed = question.span.start.elapsed();
        let only_refused = self.mute == 0 && self.malformed.is_none() && self.exhausted.is_none();
        if let Some(text) = self.refused.last()
            && (self.refused.len() >= 2 || only_refused)
        {
            let first = if evidence.was_truncated() { "truncated over UDP; over TCP, " } else { "" };
            return Half::unanswered(Cause::DnsUnreachable, elapsed, format!("{first}{text}"));
        }
        // Two sends that were really made and stayed without an answer say enough of the server.
        if let Some(text) = self.exhausted
            && self.mute < 2
        {
            let half = Half::unanswered(Cause::NotFinished, elapsed, format!("this process's own limit: {text}"));
            return Half { exhausted: Some(text), ..half };
        }
        let over = Instant::now() >= question.span.end;
        if over && question.span.bound == Bound::Deadline {
            return Half::unanswered(Cause::NotFinished, elapsed, "the round's deadline came before an answer");
        }
        let stray = evidence.stray().map(|stray| stray.as_str().to_owned());
        if let Some(text) = self.malformed.or(stray) {
            return Half::unanswered(Cause::DnsMalformed, elapsed, text);
        }
        let asked = schedule.sent();
        let times = if asked == 1 { "once".to_owned() } else { format!("{asked} times") };
        let text = if evidence.was_truncated() {
            format!("asked {times}: truncated over UDP, and no answer over TCP")
        } else {
            format!("asked {times}, no answer")
        };
        Half::unanswered(Cause::DnsTimeout, elapsed, text)
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::time::Instant;

    use super::{
        super::datagram::Stray, Bound, Cause, Evidence, Fault, Faults, Half, Name, Outcome, Question, RecordType,
        Schedule, Span,
    };

    /// What is concluded of `faults` and `mute` silent sends at the end of the time.
    fn conclude(faults: &[Fault], mute: usize, bound: Bound, evidence: &Evidence) -> Half {
        let start = Instant::now();
        let span = Span { start, end: start, bound };
        let server = (Ipv4Addr::LOCALHOST, 53).into();
        let question = Question { server, name: Name::root(), kind: RecordType::A, span, attempts: 4 };
        let mut seen = Faults { mute, ..Faults::default() };
        for fault in faults {
            seen.add(fault.clone());
        }
        seen.conclude(&question, &Schedule::new(start, start + Duration::from_secs(1), 4), evidence)
    }

    fn check(faults: &[Fault], mute: usize, bound: Bound, expected: Cause) {
        let half = conclude(faults, mute, bound, &Evidence::default());
        assert_eq!(half.outcome, Outcome::Failed(expected), "{faults:?} and {mute} silent");
        assert_eq!(half.exhausted.is_some(), half.detail.expect("a detail").contains("own limit"), "{faults:?}");
    }

    #[test]
    fn only_two_refusals_or_nothing_but_a_refusal_are_believed() {
        let no = || Fault::Unreachable("no route".to_owned());
        check(&[no(), no()], 2, Bound::Budget, Cause::DnsUnreachable);
        check(&[no(), no()], 0, Bound::Deadline, Cause::DnsUnreachable);
        check(&[no()], 0, Bound::Budget, Cause::DnsUnreachable);
        check(&[no()], 1, Bound::Budget, Cause::DnsTimeout);
        check(&[no(), Fault::Mute], 0, Bound::Budget, Cause::DnsTimeout);
    }

    #[test]
    fn a_refusal_over_tcp_says_that_udp_answered() {
        let evidence = Evidence::default();
        evidence.note_truncation();
        let no = || Fault::Unreachable("no route".to_owned());
        let half = conclude(&[no(), no()], 0, Bound::Budget, &evidence);
        assert_eq!(half.outcome, Outcome::Failed(Cause::DnsUnreachable));
        assert_eq!(half.detail.as_deref(), Some("truncated over UDP; over TCP, no route"));
    }

    #[test]
    fn our_own_limit_blames_nobody() {
        let limit = || Fault::Exhausted("EMFILE".to_owned());
        check(&[limit()], 0, Bound::Budget, Cause::NotFinished);
        check(&[limit()], 1, Bound::Budget, Cause::NotFinished);
        check(&[limit(), Fault::Unreachable("no route".to_owned())], 1, Bound::Budget, Cause::NotFinished);
        check(&[limit()], 2, Bound::Budget, Cause::DnsTimeout);
    }

    #[test]
    fn the_deadline_blames_nobody() {
        check(&[], 4, Bound::Deadline, Cause::NotFinished);
        check(&[Fault::Malformed("x".to_owned())], 1, Bound::Deadline, Cause::NotFinished);
        check(&[], 4, Bound::Budget, Cause::DnsTimeout);
    }

    #[test]
    fn strays_without_an_answer_are_malformed() {
        let evidence = Evidence::default();
        evidence.note(Stray::OtherId);
        let half = conclude(&[], 4, Bound::Budget, &evidence);
        assert_eq!(half.outcome, Outcome::Failed(Cause::DnsMalformed));
        check(&[Fault::Malformed("x".to_owned())], 0, Bound::Budget, Cause::DnsMalformed);
    }
}
