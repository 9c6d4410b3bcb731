//! The path MTU beside TLS and HTTP: what is asked on which connection, and what is remembered.
//!
//! Loopback has no holes; what a hole looks like is the lab's part.

use std::time::Duration;

use tokio::time::Instant;
use vpce_probe::{
    model::{
        cause::Cause,
        host::NameServer,
        observation::{AddressRecord, LargeHello, MtuOutcome, MtuRecord, Outcome, TlsRecord},
        plan::{Limits, MtuMode, Plan},
    },
    probe::Prober,
};

use crate::{
    bed::{HOST, local, name_server, plan, target, tls},
    pki::{ALIVE, Authority},
    visits::{End, Manner, Server, Visit},
};

const OPEN: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const CLOSING: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The size of the server's segments, in bytes: as on Ethernet. Loopback's own are half of its window, not of its MTU.
const SEGMENT: u32 = 1_460;

/// What no classical hello reaches, and every post-quantum one exceeds.
const LARGE: usize = 1_000;

/// A server, and a prober that lives as long as the test.
struct Bed {
    server: Server,
    prober: Prober,
    plan: Plan,
    _ca: tempfile::NamedTempFile,
}

impl Bed {
    /// The path MTU probed in full, with the budgets of a real round, unless `change` says otherwise.
    async fn new(manner: impl Fn(usize, usize) -> Manner + Send + 'static, change: impl FnOnce(&mut Plan)) -> Self {
        let root = Authority::root("Example Root");
        let server = Server::start(tls(root.identity(&[HOST], ALIVE, &[])), manner).await;
        server.announce(SEGMENT);
        let ca = root.file();
        let mut target = target(HOST, server.port);
        target.service = Some("ssm".to_owned());
        let mut plan = plan(vec![target], &ca);
        plan.mtu.mode = MtuMode::Full;
        plan.round_deadline = Duration::from_secs(14);
        plan.limits = Limits { tls: Duration::from_secs(5), mtu: Duration::from_secs(8), ..plan.limits };
        change(&mut plan);
        plan.dns.servers = vec![NameServer { address: name_server(local()).await, behind: None }];
        let prober = Prober::new(&plan.tls).expect("a trust store");
        Self { server, prober, plan, _ca: ca }
    }

    async fn answering(answer: &'static str, change: impl FnOnce(&mut Plan)) -> Self {
        Self::new(move |_, _| Manner::Answers(answer), change).await
    }

    /// One round: the record of the address, and the connections that it took.
    async fn round(&mut self) -> (AddressRecord, Vec<Visit>) {
        let deadline = Instant::now() + self.plan.round_deadline;
        let mut seen = self.prober.round(&self.plan, &[], deadline, &|_| {}).await;
        let mut observation = seen.remove(0);
        assert_eq!((observation.exhausted, observation.addresses.len()), (None, 1));
        (observation.addresses.remove(0), self.server.visits().await)
    }
}

fn mtu(record: &AddressRecord) -> &MtuRecord {
    record.mtu.as_ref().expect("the path MTU has a record")
}

fn tls_of(record: &AddressRecord) -> &TlsRecord {
    record.tls.as_ref().expect("TLS was reached")
}

/// The methods of its requests; each must be whole.
fn methods(visit: &Visit) -> Vec<&str> {
    assert!(visit.requests.iter().all(|request| request.complete), "{visit:?}");
    visit.requests.iter().filter_map(|request| request.head.split(' ').next()).collect()
}

/// One connection carried both requests and was closed in words.
fn is_one_for_all(visits: &[Visit]) -> bool {
    visits.len() == 1 && methods(&visits[0]) == ["GET", "POST"] && visits[0].end == End::Closed
}

/// The size that the server announces was measured, and passes.
fn is_measured(mtu: &MtuRecord) -> bool {
    (mtu.outcome, mtu.out_ok, mtu.link_mtu) == (MtuOutcome::Clamped, Some(SEGMENT + 40), Some(65_536))
        && mtu.in_seen > Some(400)
}

#[tokio::test]
async fn a_healthy_path_takes_one_connection() {
    let mut bed = Bed::answering(OPEN, |_| {}).await;
    let (record, visits) = bed.round().await;
    assert!(is_one_for_all(&visits), "{visits:?}");
    assert!(visits[0].hello > LARGE, "{visits:?}");
    assert!(!visits[0].requests[0].head.contains("Connection: close"), "the first is not the last");
    assert!(visits[0].requests[1].head.contains("Connection: close"), "the second is");
    assert!(is_measured(mtu(&record)) && mtu(&record).connections == 0, "{record:?}");
    assert_eq!(tls_of(&record).large_hello, LargeHello::Ok);
    assert_eq!(record.http.and_then(|http| http.status), Some(404));
}

/// Loopback's MTU is more than half of the window that a SYN can offer.
#[tokio::test]
async fn a_link_wider_than_half_a_window_is_whole() {
    let mut bed = Bed::answering(OPEN, |_| {}).await;
    bed.server.announce(0);
    let (record, visits) = bed.round().await;
    assert!(is_one_for_all(&visits), "{visits:?}");
    assert_eq!(mtu(&record).outcome, MtuOutcome::Ok, "{record:?}");
    assert!(mtu(&record).out_ok > Some(32_000), "{record:?}");
}

#[tokio::test]
async fn a_server_that_closes_gets_one_connection_more() {
    let mut bed = Bed::answering(CLOSING, |_| {}).await;
    let (record, visits) = bed.round().await;
    assert_eq!(visits.iter().map(methods).collect::<Vec<_>>(), [["GET"], ["POST"]]);
    assert!(visits.iter().all(|visit| visit.end == End::Closed), "{visits:?}");
    assert!(visits[0].hello > LARGE && visits[1].hello < 500, "{visits:?}");
    assert!(is_measured(mtu(&record)) && mtu(&record).connections == 1, "{record:?}");
}

#[tokio::test]
async fn without_http_the_comb_goes_out_all_the_same() {
    let mut bed = Bed::answering(OPEN, |plan| plan.http = false).await;
    let (record, visits) = bed.round().await;
    assert_eq!(visits.iter().map(methods).collect::<Vec<_>>(), [["POST"]]);
    assert_eq!(visits[0].end, End::Closed);
    assert!(is_measured(mtu(&record)) && mtu(&record).connections == 0 && record.http.is_none(), "{record:?}");
}

#[tokio::test]
async fn a_refused_request_spoils_no_verdict() {
    let mut bed = Bed::new(|_, _| Manner::Refuses(OPEN), |_| {}).await;
    let (record, visits) = bed.round().await;
    assert_eq!(visits.iter().map(methods).collect::<Vec<_>>(), [["GET", "POST"]]);
    assert!(is_measured(mtu(&record)), "{record:?}");
    assert!(record.http.is_some_and(|http| http.outcome.is_ok()));
}

#[tokio::test]
async fn passive_sends_nothing_and_says_what_it_saw() {
    let mut bed = Bed::answering(OPEN, |plan| plan.mtu.mode = MtuMode::Passive).await;
    for _ in 0..2 {
        let (record, visits) = bed.round().await;
        assert_eq!(visits.iter().map(methods).collect::<Vec<_>>(), [["GET"]]);
        let mtu = mtu(&record);
        assert_eq!((mtu.outcome, mtu.out_ok, mtu.connections), (MtuOutcome::NotTried, None, 0));
        assert!(mtu.in_seen > Some(400) && mtu.link_mtu == Some(65_536), "{mtu:?}");
        assert_eq!(tls_of(&record).large_hello, LargeHello::Ok);
    }
}

#[tokio::test]
async fn off_says_nothing() {
    let mut bed = Bed::answering(OPEN, |plan| plan.mtu.mode = MtuMode::Off).await;
    let (record, visits) = bed.round().await;
    assert_eq!(visits.iter().map(methods).collect::<Vec<_>>(), [["GET"]]);
    assert!(visits[0].requests[0].head.contains("Connection: close"));
    assert_eq!(record.mtu, None);
    assert_eq!(tls_of(&record).large_hello, LargeHello::NotTried);
}

#[tokio::test]
async fn a_healthy_address_is_measured_on_its_turn() {
    let mut bed = Bed::answering(OPEN, |plan| plan.mtu.repeat_every = 3).await;
    let (mut measured, mut last) = (Vec::new(), None);
    for round in 0..10 {
        let (record, visits) = bed.round().await;
        assert!(is_measured(mtu(&record)), "carried or not: {record:?}");
        assert_eq!(visits.len(), 1);
        if methods(&visits[0]) == ["GET", "POST"] {
            measured.push(round);
            assert!(Some(mtu(&record).measured_at) > last);
        } else {
            assert_eq!(methods(&visits[0]), ["GET"], "round {round}");
            assert_eq!(Some(mtu(&record).measured_at), last, "what is carried says when it was measured");
        }
        last = Some(mtu(&record).measured_at);
    }
    let turn = measured.get(1).copied().expect("a turn within three rounds");
    assert!((1..=3).contains(&turn), "{measured:?}");
    assert_eq!(measured, [0].into_iter().chain((turn..10).step_by(3)).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_change_is_measured_at_once() {
    let mut bed = Bed::answering(OPEN, |plan| plan.mtu.repeat_every = 1_000).await;
    let (before, _) = bed.round().await;
    let (carried, visits) = bed.round().await;
    assert_eq!(methods(&visits[0]), ["GET"]);
    assert_eq!(mtu(&carried), mtu(&before));
    bed.server.announce(SEGMENT - 100);
    let (clamped, visits) = bed.round().await;
    assert!(is_one_for_all(&visits), "{visits:?}");
    assert_eq!((mtu(&clamped).outcome, mtu(&clamped).out_ok), (MtuOutcome::Clamped, Some(SEGMENT - 60)));
    assert!(mtu(&clamped).measured_at > mtu(&before).measured_at);
}

#[tokio::test]
async fn a_mute_server_is_nothing_but_mute() {
    let mut bed = Bed::new(|_, _| Manner::Silent, |_| {}).await;
    let began = Instant::now();
    let (record, visits) = bed.round().await;
    assert!(began.elapsed() < bed.plan.limits.tls + Duration::from_millis(500), "{:?}", began.elapsed());
    assert_eq!(tls_of(&record).outcome, Outcome::Failed(Cause::TlsTimeout));
    assert_eq!(tls_of(&record).large_hello, LargeHello::NotTried);
    assert_eq!(mtu(&record).outcome, MtuOutcome::Inconclusive, "{record:?}");
    assert!(mtu(&record).detail.as_deref().is_some_and(|detail| detail.contains("mute")), "{record:?}");
    assert!(visits.len() <= 3, "{visits:?}");
    assert!(visits.iter().all(|visit| visit.end == End::Reset), "nothing is left retransmitting: {visits:?}");
}

/// The rounds with a server that answers small hellos and treats large ones in another manner.
async fn large_hellos(manner: Manner, detail: &str) {
    let answer = move |_, hello| if hello > LARGE { manner } else { Manner::Answers(OPEN) };
    let mut bed = Bed::new(answer, |plan| plan.mtu.repeat_every = 1_000).await;
    let (record, first) = bed.round().await;
    let tls = tls_of(&record);
    assert_eq!((tls.outcome, tls.large_hello), (Outcome::Ok, LargeHello::Blocked), "{tls:?}");
    let asked = first.iter().find(|visit| !visit.requests.is_empty() && methods(visit).contains(&"GET"));
    let hellos = (first.first().map(|visit| visit.hello as u64), asked.map(|visit| visit.hello as u64));
    assert_eq!((tls.hello_bytes, tls.small_hello_bytes), hellos);
    assert!(tls.small_hello_bytes < Some(500) && tls.hello_bytes > Some(LARGE as u64), "{tls:?}");
    assert_eq!(tls.key_exchange.as_deref(), Some("X25519"));
    assert!(tls.detail.as_deref().is_some_and(|said| said.contains(detail)), "{tls:?}");
    assert!(is_measured(mtu(&record)), "the path is not to blame: {record:?}");
    assert_eq!(record.http.as_ref().and_then(|http| http.status), Some(404));

    // The next round tries the large one again, and believes the first failure.
    let (record, second) = bed.round().await;
    assert_eq!(tls_of(&record).large_hello, LargeHello::Blocked);
    let sizes: Vec<_> = second.iter().map(|visit| visit.hello > LARGE).collect();
    assert_eq!(sizes, [true, false], "{second:?}");
}

#[tokio::test]
async fn large_hellos_that_vanish_are_told_from_a_mute_server() {
    large_hellos(Manner::Silent, "is not answered").await;
}

#[tokio::test]
async fn large_hellos_that_are_reset_are_told_from_a_broken_server() {
    large_hellos(Manner::Resets, "is answered by an end").await;
}

#[tokio::test]
async fn one_large_hello_that_fails_proves_nothing() {
    for manner in [Manner::Silent, Manner::Resets] {
        let mut bed = Bed::new(
            move |index, _| if index == 0 { manner } else { Manner::Answers(OPEN) },
            |plan| plan.limits.tls = Duration::from_secs(2),
        )
        .await;
        let (record, visits) = bed.round().await;
        assert!(visits.iter().skip(1).any(|visit| visit.hello > LARGE), "a second one was tried: {visits:?}");
        let tls = tls_of(&record);
        if manner == Manner::Silent {
            // A silence may be loss: the handshake is made once more, and says so. A reset is an answer.
            assert_eq!((tls.outcome, tls.large_hello), (Outcome::Ok, LargeHello::Ok), "{record:?}");
            assert!(tls.detail.as_ref().is_some_and(|said| said.contains("stood still")), "{record:?}");
        } else {
            assert_eq!((tls.outcome.is_ok(), tls.large_hello), (false, LargeHello::NotTried), "{record:?}");
        }
        assert!(is_measured(mtu(&record)), "{record:?}");
    }
}

#[tokio::test]
async fn without_the_post_quantum_share_nothing_is_said_of_large_hellos() {
    let answer = |_, hello| if hello > LARGE { Manner::Resets } else { Manner::Answers(OPEN) };
    let mut bed = Bed::new(answer, |plan| plan.tls.post_quantum = false).await;
    let (record, visits) = bed.round().await;
    assert!(is_one_for_all(&visits), "{visits:?}");
    let tls = tls_of(&record);
    assert_eq!((tls.outcome, tls.large_hello, tls.small_hello_bytes), (Outcome::Ok, LargeHello::NotTried, None));
    assert_eq!(tls.hello_bytes, Some(visits[0].hello as u64));
}
