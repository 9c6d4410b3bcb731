//! HTTP answers of all shapes, and what the record says of them.

use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};
use vpce_probe::model::{
    cause::Cause,
    observation::{Canary, HttpRecord, Outcome},
    target::Target,
};

use crate::{
    bed::{self, HOST, Log, one, plan, read_request, target, tls, tls_server, web_server},
    pki::{ALIVE, Authority},
};

fn s3(port: u16) -> Target {
    Target {
        service: Some("s3".to_owned()),
        path: "/amazon-ssm-eu-west-1/latest/VERSION".to_owned(),
        ..target(HOST, port)
    }
}

async fn exchange(root: &Authority, target: Target) -> HttpRecord {
    let ca = root.file();
    one(plan(vec![target], &ca)).await.http.expect("HTTP was reached")
}

async fn answer(bytes: impl Into<Vec<u8>>, aim: impl Fn(u16) -> Target) -> HttpRecord {
    let root = Authority::root("Example Root");
    let port = web_server(tls(root.identity(&[HOST], ALIVE, &[])), bytes).await;
    exchange(&root, aim(port)).await
}

fn plain(port: u16) -> Target {
    target(HOST, port)
}

#[tokio::test]
async fn any_complete_answer_is_reachability() {
    let check = async |bytes: &str, status: u16, aws: bool| {
        let record = answer(bytes, plain).await;
        assert_eq!((record.outcome, record.status, record.aws), (Outcome::Ok, Some(status), Some(aws)), "{bytes:?}");
        assert_eq!(record.canary, None);
    };
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-amzn-RequestId: 1\r\n\r\nok", 200, true).await;
    check("HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", 404, false).await;
    check("HTTP/1.0 503 Busy\r\nServer: AmazonEC2\r\n\r\nuntil the end", 503, true).await;
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 403 No\r\n\r\n", 403, false).await;
    check("HTTP/1.1 301 Moved\r\nLocation: https://elsewhere.example/\r\n\r\n", 301, false).await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\ncut short", 200, false).await;
}

#[tokio::test]
async fn the_request_is_unsigned_and_on_the_same_connection() {
    let root = Authority::root("Example Root");
    let requests: Log<String> = Log::default();
    let endings: Log<String> = Log::default();
    let (log, ends) = (requests.clone(), endings.clone());
    let port = tls_server(tls(root.identity(&[HOST], ALIVE, &[])), move |mut session| {
        let (log, ends) = (log.clone(), ends.clone());
        async move {
            bed::write(&log, read_request(&mut session).await);
            let _ = session.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
            let _ = session.flush().await;
            bed::write(&ends, format!("{:?}", session.read(&mut [0; 10]).await));
        }
    })
    .await;
    let record = exchange(&root, plain(port)).await;
    assert_eq!((record.outcome, record.status), (Outcome::Ok, Some(204)));
    let requests = bed::read(&requests);
    assert_eq!(requests.len(), 1, "one connection");
    assert!(requests[0].starts_with(&format!("GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\nUser-Agent: vpce-probe/")));
    assert!(!requests[0].to_ascii_lowercase().contains("authorization"));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bed::read(&endings), ["Ok(0)"], "a goodbye, not a reset");
}

#[tokio::test]
async fn answers_that_are_none() {
    let check = async |bytes: Vec<u8>, part: &str| {
        let record = answer(bytes, plain).await;
        assert_eq!(record.outcome, Outcome::Failed(Cause::HttpClosed), "{part}: {record:?}");
        assert_eq!(record.status, None);
        let detail = record.detail.unwrap_or_default();
        assert!(detail.contains(part), "{detail:?}");
    };
    check(b"".to_vec(), "closed the connection").await;
    check(b"HTTP/1.1 200 OK\r\nServer: x\r\n".to_vec(), "before a complete answer").await;
    check(b"\x00\xffgarbage\r\n\r\n".to_vec(), "the answer is not HTTP: \\x00\\xffgarbage").await;
    check(b"+OK POP3 ready\r\n".to_vec(), "the answer is not HTTP: +OK POP3 ready").await;
    let huge = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'a'; 40_000], b"\r\n\r\n".to_vec()].concat();
    check(huge, "longer than 16384 bytes").await;
    check("HTTP/1.1 100 Continue\r\n\r\n".repeat(2_000).into_bytes(), "longer than 16384 bytes").await;
}

#[tokio::test]
async fn a_reset_instead_of_an_answer_is_closed() {
    let root = Authority::root("Example Root");
    let port = tls_server(tls(root.identity(&[HOST], ALIVE, &[])), |mut session| async move {
        read_request(&mut session).await;
        let _ = session.get_ref().0.set_zero_linger();
    })
    .await;
    let record = exchange(&root, plain(port)).await;
    assert_eq!(record.outcome, Outcome::Failed(Cause::HttpClosed), "{record:?}");
}

#[tokio::test]
async fn a_slow_drip_ends_with_the_budget() {
    let root = Authority::root("Example Root");
    let port = tls_server(tls(root.identity(&[HOST], ALIVE, &[])), |mut session| async move {
        read_request(&mut session).await;
        for byte in b"HTTP/1.1 200 OK\r\nServer: slow\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
            if session.write_all(&[*byte]).await.is_err() || session.flush().await.is_err() {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let record = exchange(&root, plain(port)).await;
    assert_eq!(record.outcome, Outcome::Failed(Cause::HttpTimeout), "{record:?}");
    assert!((690.0..1_000.0).contains(&record.elapsed_ms.as_f64()), "{record:?}");
}

#[tokio::test]
async fn s3_is_read_as_it_speaks() {
    let check = async |bytes: &str, outcome: Outcome, canary: Option<Canary>, detail: Option<&str>| {
        let record = answer(bytes, s3).await;
        assert_eq!((record.outcome, record.canary), (outcome, canary), "{bytes:?}: {record:?}");
        if let Some(part) = detail {
            assert!(record.detail.as_deref().is_some_and(|said| said.contains(part)), "{record:?}");
        }
        record
    };
    let ok = Outcome::Ok;
    check("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n3.3.2746.0", ok, Some(Canary::Read), None).await;
    check("HTTP/1.1 200 OK\r\n\r\n3.3.2746.0\n", ok, Some(Canary::Read), None).await;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n3.3\r\n7\r\n.2746.0\r\n0\r\n\r\n";
    check(chunked, ok, Some(Canary::Read), None).await;
    check("HTTP/1.1 200 OK\r\n\r\n<html>log in</html>", ok, Some(Canary::NotVersion), None).await;
    let denied = "HTTP/1.1 403 Forbidden\r\nServer: AmazonS3\r\n\r\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
    check(denied, ok, Some(Canary::Denied), Some("AccessDenied: Access Denied")).await;
    let gone = "HTTP/1.1 404 Not Found\r\n\r\n<Error><Code>NoSuchBucket</Code></Error>";
    check(gone, ok, Some(Canary::NotFound), Some("NoSuchBucket")).await;
    check("HTTP/1.1 503 Slow Down\r\n\r\n", ok, Some(Canary::Other), None).await;
    let moved = "HTTP/1.1 301 Moved\r\nx-amz-bucket-region: us-east-2\r\nContent-Length: 0\r\n\r\n";
    let record = check(moved, ok, Some(Canary::WrongRegion), None).await;
    assert_eq!(record.bucket_region.as_deref(), Some("us-east-2"));
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n3.3";
    let record = check(short, Outcome::Failed(Cause::HttpClosed), None, Some("before the whole body")).await;
    assert_eq!(record.status, Some(200));
    let long = format!("HTTP/1.1 200 OK\r\n\r\n{}", "9".repeat(200_000));
    check(&long, ok, Some(Canary::NotVersion), None).await;
}

#[tokio::test]
async fn an_error_whose_text_never_comes_is_still_an_answer() {
    let check = async |head: &'static str, outcome: Outcome, canary: Option<Canary>| {
        let root = Authority::root("Example Root");
        let port = tls_server(tls(root.identity(&[HOST], ALIVE, &[])), move |mut session| async move {
            read_request(&mut session).await;
            let _ = session.write_all(format!("{head}Content-Length: 200\r\n\r\n").as_bytes()).await;
            let _ = session.flush().await;
            sleep(Duration::from_secs(5)).await;
        })
        .await;
        let record = exchange(&root, s3(port)).await;
        assert_eq!((record.outcome, record.canary), (outcome, canary), "{head:?}: {record:?}");
        record
    };
    let denied = check("HTTP/1.1 403 Forbidden\r\n", Outcome::Ok, Some(Canary::Denied)).await;
    assert!(denied.elapsed_ms.as_f64() < 600.0, "the others' time is not spent on it: {denied:?}");
    let moved = "HTTP/1.1 301 Moved\r\nx-amz-bucket-region: us-east-2\r\n";
    let moved = check(moved, Outcome::Ok, Some(Canary::WrongRegion)).await;
    assert_eq!(moved.bucket_region.as_deref(), Some("us-east-2"));
    check("HTTP/1.1 503 Slow Down\r\n", Outcome::Ok, Some(Canary::Other)).await;
    check("HTTP/1.1 200 OK\r\n", Outcome::Failed(Cause::HttpTimeout), None).await;
}

#[tokio::test]
async fn an_answer_ends_by_its_framing_and_not_with_the_connection() {
    let check = async |bytes: &'static str, aim: fn(u16) -> Target, canary: Option<Canary>| {
        let root = Authority::root("Example Root");
        // It goes on listening, as servers do that keep connections alive.
        let port = tls_server(tls(root.identity(&[HOST], ALIVE, &[])), move |mut session| async move {
            read_request(&mut session).await;
            let _ = session.write_all(bytes.as_bytes()).await;
            let _ = session.flush().await;
            let _ = session.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let record = exchange(&root, aim(port)).await;
        assert_eq!((record.outcome, record.canary), (Outcome::Ok, canary), "{bytes:?}: {record:?}");
    };
    let read = Some(Canary::Read);
    check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", plain, None).await;
    check("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 9\r\n\r\n", plain, None).await;
    check("HTTP/1.1 301 Moved\r\n\r\n", plain, None).await;
    check("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n3.3.2746.0", s3, read).await;
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n3.3.2746.0\r\n0\r\n\r\n", s3, read).await;
}

#[tokio::test]
async fn the_date_tells_the_skew() {
    let check = async |date: &str, expected: Option<f64>| {
        let record = answer(format!("HTTP/1.1 200 OK\r\nDate: {date}\r\n\r\n"), plain).await;
        match (record.clock_skew_s, expected) {
            (None, None) => {}
            (Some(seen), Some(expected)) => assert!((seen - expected).abs() <= 1.6, "{date}: {seen}"),
            (seen, expected) => panic!("{date}: {seen:?}, not {expected:?}"),
        }
    };
    let at = |seconds: i64| {
        let moment = OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
        moment.format(&Rfc2822).expect("a date").replace("+0000", "GMT")
    };
    check(&at(0), Some(0.0)).await;
    check(&at(-400), Some(400.0)).await;
    check(&at(3_600), Some(-3_600.0)).await;
    check("tomorrow", None).await;
}
