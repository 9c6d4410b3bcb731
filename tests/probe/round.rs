//! Rounds as a whole: side by side, in order, bounded, nothing left out.

use std::{cell::RefCell, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    time::Instant,
};
use vpce_probe::{
    model::{
        cause::Cause,
        observation::{Observation, Outcome},
        plan::Family,
        target::{Expect, Target},
    },
    probe::{ProbeError, Prober},
};

use crate::{
    bed::{HOST, local, one, plan, round, round_with, server, target, tls, web_server, zone},
    pki::{ALIVE, Authority},
};

const EMPTY: &str = "HTTP/1.1 404 Not Found\r\nx-amzn-requestid: 1\r\n\r\n";

async fn healthy(root: &Authority) -> u16 {
    web_server(tls(root.identity(&[HOST, "s3.example", "dead.example"], ALIVE, &[])), EMPTY).await
}

async fn mute() -> u16 {
    server(|stream: TcpStream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await
}

/// The address, and the outcomes of connect, TLS and HTTP.
type Stages = (String, Option<Outcome>, Option<Outcome>, Option<Outcome>);

fn outcomes(seen: &Observation) -> Vec<Stages> {
    seen.addresses
        .iter()
        .map(|record| {
            (
                record.address.to_string(),
                record.connect.as_ref().map(|stage| stage.outcome),
                record.tls.as_ref().map(|stage| stage.outcome),
                record.http.as_ref().map(|stage| stage.outcome),
            )
        })
        .collect()
}

#[tokio::test]
async fn every_address_is_a_measurement_of_its_own() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let port = healthy(&root).await;
    let names = zone(&[(HOST, &["127.0.0.1", "127.0.0.2", "127.0.0.3"])]);
    let seen = round(plan(vec![target(HOST, port)], &ca), names).await;
    let refused = Some(Outcome::Failed(Cause::TcpRefused));
    let ok = Some(Outcome::Ok);
    assert_eq!(
        outcomes(&seen[0]),
        [
            ("127.0.0.1".to_owned(), ok, ok, ok),
            ("127.0.0.2".to_owned(), refused, None, None),
            ("127.0.0.3".to_owned(), refused, None, None),
        ]
    );
    assert!(seen[0].addresses.iter().all(|record| record.mtu.is_none()));
    assert_eq!(seen[0].exhausted, None);
}

#[tokio::test]
async fn targets_come_back_in_order_and_a_dead_one_delays_nobody() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let (dead, port) = (mute().await, healthy(&root).await);
    let names = zone(&[(HOST, &["127.0.0.1"]), ("dead.example", &["127.0.0.1"])]);
    let targets = vec![target("dead.example", dead), target(HOST, port), target("gone.example", port)];
    let start = Instant::now();
    let finished = RefCell::new(Vec::new());
    let seen = round_with(plan(targets, &ca), names, &[], &|count| {
        finished.borrow_mut().push((count, start.elapsed()));
    })
    .await;
    let hosts: Vec<&str> = seen.iter().map(|observation| observation.target.host.as_str()).collect();
    assert_eq!(hosts, ["dead.example", HOST, "gone.example"]);
    assert!(!seen[2].resolve.outcome.is_ok() && seen[2].addresses.is_empty());
    assert_eq!(seen[0].addresses[0].tls.as_ref().map(|tls| tls.outcome), Some(Outcome::Failed(Cause::TlsTimeout)));
    let healthy = &seen[1].addresses[0];
    assert_eq!(healthy.http.as_ref().map(|http| http.outcome), Some(Outcome::Ok));
    assert!(healthy.tls.as_ref().is_some_and(|tls| tls.elapsed_ms.as_f64() < 500.0), "{healthy:?}");
    let finished = finished.into_inner();
    assert_eq!(finished.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(finished[1].1 < Duration::from_millis(900) && finished[2].1 > Duration::from_millis(1_100), "{finished:?}");
}

#[tokio::test]
async fn the_deadline_is_nobodys_fault() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let mut plan = plan(vec![target(HOST, mute().await)], &ca);
    plan.round_deadline = Duration::from_millis(400);
    let start = Instant::now();
    let seen = round(plan, local()).await;
    assert!(start.elapsed() < Duration::from_millis(800), "{:?}", start.elapsed());
    let unfinished = Some(Outcome::Failed(Cause::NotFinished));
    assert_eq!(outcomes(&seen[0]), [("127.0.0.1".to_owned(), Some(Outcome::Ok), unfinished, None)]);
    assert_eq!(seen[0].exhausted, None, "the deadline is no lack of anything");
}

#[tokio::test]
async fn more_addresses_than_slots_are_all_probed() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let port = healthy(&root).await;
    // As many as fit into a datagram of 512 bytes.
    let many: Vec<String> = (2..30).map(|last| format!("127.0.9.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let seen = round(plan(vec![target(HOST, port)], &ca), zone(&[(HOST, &many)])).await;
    assert_eq!(seen[0].addresses.len(), 28);
    for (record, address) in seen[0].addresses.iter().zip(many) {
        assert_eq!(record.address.to_string(), address);
        assert_eq!(record.connect.as_ref().map(|stage| stage.outcome), Some(Outcome::Failed(Cause::TcpRefused)));
    }
}

#[tokio::test]
async fn many_targets_are_probed_side_by_side() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let dead = mute().await;
    let names: Vec<String> = (0..20).map(|index| format!("n{index}.example")).collect();
    let entries: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), ["127.0.0.1"].as_slice())).collect();
    let targets: Vec<Target> = names.iter().map(|name| target(name, dead)).collect();
    let start = Instant::now();
    let seen = round(plan(targets, &ca), zone(&entries)).await;
    assert!(start.elapsed() < Duration::from_secs(2), "20 time-outs of 1.2 s took {:?}", start.elapsed());
    assert!(seen.iter().all(|observation| observation.addresses[0].tls.is_some()));
}

#[tokio::test]
async fn an_address_without_its_turn_is_not_finished() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let listener = TcpListener::bind("0.0.0.0:0").await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let many: Vec<String> = (2..22).map(|last| format!("127.0.9.{last}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut plan = plan(vec![target(HOST, port)], &ca);
    plan.round_deadline = Duration::from_millis(500);
    let seen = round(plan, zone(&[(HOST, &many)])).await;
    let unfinished = Some(Outcome::Failed(Cause::NotFinished));
    let (begun, waiting): (Vec<_>, Vec<_>) =
        outcomes(&seen[0]).into_iter().partition(|stages| stages.1 == Some(Outcome::Ok));
    assert_eq!((begun.len(), waiting.len()), (16, 4));
    assert!(begun.iter().all(|stages| stages.2 == unfinished));
    assert!(waiting.iter().all(|stages| stages.1 == unfinished && stages.2.is_none()));
    drop(listener);
}

#[tokio::test]
async fn an_absent_name_is_connected_to_and_no_more() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let absent = Target { expect: Expect::Absent, ..target(HOST, healthy(&root).await) };
    let seen = round(plan(vec![absent], &ca), local()).await;
    assert!(seen[0].resolve.outcome.is_ok());
    let [(address, connect, tls, http)] = &outcomes(&seen[0])[..] else { panic!("one address: {seen:?}") };
    assert_eq!((address.as_str(), *connect), ("127.0.0.1", Some(Outcome::Ok)));
    assert_eq!((tls, http), (&None, &None), "that somebody answers is all that counts");
}

#[tokio::test]
async fn addresses_without_tcp_are_not_connected_to() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let names = zone(&[(HOST, &["0.0.0.0", "224.0.0.1"])]);
    let seen = round(plan(vec![target(HOST, healthy(&root).await)], &ca), names).await;
    for (_, connect, tls, http) in outcomes(&seen[0]) {
        assert_eq!((connect, tls, http), (None, None, None));
    }
    assert_eq!(seen[0].addresses.len(), 2, "they are recorded all the same");
}

#[tokio::test]
async fn only_the_wanted_family_is_probed() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let port = healthy(&root).await;
    let check = async |family: Family, expected: &[&str]| {
        let mut plan = plan(vec![target(HOST, port)], &ca);
        plan.family = family;
        let seen = round(plan, zone(&[(HOST, &["127.0.0.1", "::1"])])).await;
        let addresses: Vec<String> = seen[0].addresses.iter().map(|record| record.address.to_string()).collect();
        assert_eq!(addresses, expected, "{family:?}");
    };
    check(Family::Any, &["127.0.0.1", "::1"]).await;
    check(Family::V4, &["127.0.0.1"]).await;
    check(Family::V6, &["::1"]).await;
}

#[tokio::test]
async fn without_http_the_chain_ends_with_tls() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let mut plan = plan(vec![target(HOST, healthy(&root).await)], &ca);
    plan.http = false;
    let record = one(plan).await;
    assert!(record.tls.is_some_and(|tls| tls.outcome.is_ok()) && record.http.is_none());
}

#[tokio::test]
async fn no_name_server_is_no_address() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let plan = plan(vec![target(HOST, 443)], &ca);
    let prober = Prober::new(&plan.tls).expect("a trust store");
    let seen = prober.round(&plan, &[], Instant::now() + Duration::from_millis(300), &|_| {}).await;
    assert!(!seen[0].resolve.outcome.is_ok() && seen[0].addresses.is_empty());
}

#[tokio::test]
async fn an_unreadable_authority_is_our_error() {
    let root = Authority::root("Example Root");
    let ca = root.file();
    let mut plan = plan(Vec::new(), &ca);
    plan.tls.extra_ca_file = Some("/nonexistent/ca.pem".into());
    let Err(ProbeError::ExtraAuthorities(said)) = Prober::new(&plan.tls) else { panic!("it was read") };
    assert!(said.contains("/nonexistent/ca.pem"), "{said}");
}
