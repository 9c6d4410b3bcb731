//! Handshakes: what is recorded when they work, and the cause when they do not.

use std::time::Duration;

use rustls::{HandshakeKind, ServerConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep},
};
use vpce_probe::{
    model::{
        cause::Cause,
        host::NameServer,
        observation::{LargeHello, Outcome, TlsRecord},
    },
    probe::Prober,
};

use crate::{
    bed::{self, HOST, Log, local, name_server, one, plan, server, target, tls, tls_server, versions, web_server},
    pki::{ALIVE, Authority, EXPIRED, Identity, UNBORN, self_signed},
};

const EMPTY: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

/// The handshake with a server that listens at `port`, trusting `root`.
async fn handshake(port: u16, root: &Authority) -> TlsRecord {
    let ca = root.file();
    let record = one(plan(vec![target(HOST, port)], &ca)).await;
    let tls = record.tls.expect("TLS was reached");
    assert_eq!(record.http.is_some(), tls.outcome.is_ok(), "the first failure ends the chain");
    tls
}

async fn with(config: ServerConfig, root: &Authority) -> TlsRecord {
    handshake(web_server(config, EMPTY).await, root).await
}

#[tokio::test]
async fn a_healthy_handshake_is_described() {
    let root = Authority::root("Example Root");
    let issuer = root.intermediate("Example M01", ALIVE);
    let identity = issuer.identity(&[HOST, "*.eu-west-1.vpce.amazonaws.com"], ALIVE, &[&issuer]);
    let bytes: usize = identity.chain.iter().map(|der| der.len()).sum();
    let record = with(tls(identity), &root).await;
    assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
    assert_eq!(record.version.as_deref(), Some("TLSv1.3"));
    assert_eq!(record.cipher.as_deref(), Some("TLS13_AES_256_GCM_SHA384"));
    assert_eq!(record.key_exchange.as_deref(), Some("X25519MLKEM768"));
    assert_eq!(record.issuer.as_deref(), Some("CN=Example M01, O=Example, C=US"));
    assert_eq!(record.chain_root.as_deref(), Some("CN=Example Root, O=Example, C=US"));
    assert_eq!(record.names, [HOST, "*.eu-west-1.vpce.amazonaws.com"]);
    assert_eq!(record.days_left, Some(89));
    assert_eq!((record.chain_length, record.chain_bytes), (Some(2), Some(bytes as u64)));
    assert!(record.hello_bytes.is_some_and(|bytes| (1_300..2_000).contains(&bytes)), "{record:?}");
    assert_eq!(record.large_hello, LargeHello::NotTried);
    assert!(record.not_before < record.not_after);
    assert_eq!(record.detail, None);
}

#[tokio::test]
async fn without_the_post_quantum_share_the_hello_is_small() {
    let root = Authority::root("Example Root");
    let port = web_server(tls(root.identity(&[HOST], ALIVE, &[])), EMPTY).await;
    let ca = root.file();
    let mut plan = plan(vec![target(HOST, port)], &ca);
    plan.tls.post_quantum = false;
    let record = one(plan).await.tls.expect("TLS was reached");
    assert_eq!(record.key_exchange.as_deref(), Some("X25519"));
    assert!(record.hello_bytes.is_some_and(|bytes| (150..500).contains(&bytes)), "{record:?}");
}

#[tokio::test]
async fn tls_1_2_is_enough() {
    let root = Authority::root("Example Root");
    let record = with(versions(root.identity(&[HOST], ALIVE, &[]), &[&rustls::version::TLS12]), &root).await;
    assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
    assert_eq!(record.version.as_deref(), Some("TLSv1.2"));
    assert_eq!(record.cipher.as_deref(), Some("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"));
    assert_eq!(record.key_exchange.as_deref(), Some("X25519"));
}

/// With tickets on, a client that resumes would verify nothing from the second handshake on.
async fn every_handshake_is_full(config: impl Fn(Identity) -> ServerConfig, version: &str) {
    let root = Authority::root("Example Root");
    let issuer = root.intermediate("Example M01", ALIVE);
    let kinds: Log<Option<HandshakeKind>> = Log::default();
    let log = kinds.clone();
    let port = tls_server(config(issuer.identity(&[HOST], ALIVE, &[&issuer])), move |mut session| {
        bed::write(&log, session.get_ref().1.handshake_kind());
        async move {
            bed::read_request(&mut session).await;
            let _ = session.write_all(EMPTY.as_bytes()).await;
            let _ = session.shutdown().await;
        }
    })
    .await;
    let ca = root.file();
    let mut plan = plan(vec![target(HOST, port)], &ca);
    plan.dns.servers = vec![NameServer { address: name_server(local()).await, behind: None }];
    let prober = Prober::new(&plan.tls).expect("a trust store");
    for _ in 0..4 {
        let seen = prober.round(&plan, &[], Instant::now() + plan.round_deadline, &|_| {}).await;
        let record = seen[0].addresses[0].tls.as_ref().expect("TLS was reached");
        assert_eq!(record.outcome, Outcome::Ok, "{record:?}");
        assert_eq!(record.version.as_deref(), Some(version));
        assert!(record.chain_bytes.is_some(), "the chain was sent");
    }
    let full = |kind: &Option<HandshakeKind>| {
        matches!(kind, Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest))
    };
    let kinds = bed::read(&kinds);
    assert!(kinds.len() == 4 && kinds.iter().all(full), "{kinds:?}");
}

#[tokio::test]
async fn nothing_is_resumed_in_tls_1_3() {
    every_handshake_is_full(tls, "TLSv1.3").await;
}

#[tokio::test]
async fn nothing_is_resumed_in_tls_1_2() {
    every_handshake_is_full(|identity| versions(identity, &[&rustls::version::TLS12]), "TLSv1.2").await;
}

/// The cause, and what the detail must say, for a server with `identity` where `root` is trusted.
async fn check(what: &str, root: &Authority, identity: Identity, cause: Cause, parts: &[&str]) {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let chain = u32::try_from(identity.chain.len()).expect("a short chain");
        let identity = Identity { chain: identity.chain.clone(), key: identity.key.clone_key() };
        let record = with(versions(identity, &[version]), root).await;
        assert_eq!(record.outcome, Outcome::Failed(cause), "{what}: {record:?}");
        let detail = record.detail.as_deref().unwrap_or_default();
        for part in parts {
            assert!(detail.contains(part), "{what}: {part:?} is missing in {detail:?}");
        }
        assert!(record.issuer.is_some() && record.not_after.is_some(), "{what}: known even when not trusted");
        assert_eq!(record.chain_length, Some(chain), "{what}");
    }
}

#[tokio::test]
async fn certificates_that_are_out_of_their_life() {
    let root = Authority::root("Example Root");
    let issuer = root.intermediate("Example M01", ALIVE);
    let old = root.intermediate("Old M01", EXPIRED);
    let young = root.intermediate("Young M01", UNBORN);
    let wrong = Authority::root("Foreign Root");
    check(
        "expired",
        &root,
        issuer.identity(&[HOST], EXPIRED, &[&issuer]),
        Cause::TlsExpired,
        &["the server's certificate expired 3 days"],
    )
    .await;
    check(
        "expired intermediate",
        &root,
        old.identity(&[HOST], ALIVE, &[&old]),
        Cause::TlsExpired,
        &["the intermediate certificate CN=Old M01, O=Example, C=US expired 3 days"],
    )
    .await;
    check(
        "not yet valid",
        &root,
        issuer.identity(&[HOST], UNBORN, &[&issuer]),
        Cause::TlsNotYetValid,
        &["the server's certificate is not valid before", "in 4 days 23 h"],
    )
    .await;
    check(
        "intermediate not yet valid",
        &root,
        young.identity(&[HOST], ALIVE, &[&young]),
        Cause::TlsNotYetValid,
        &["the intermediate certificate CN=Young M01"],
    )
    .await;
    check(
        "expired and for another name",
        &root,
        issuer.identity(&["other.example"], EXPIRED, &[&issuer]),
        Cause::TlsExpired,
        &["expired 3 days", "besides, the certificate is for other.example"],
    )
    .await;
    let both = wrong.identity(&[HOST], EXPIRED, &[]);
    check("expired and untrusted", &root, both, Cause::TlsExpired, &["expired 3 days", "besides,", "CN=Foreign Root"])
        .await;
}

#[tokio::test]
async fn certificates_for_other_names() {
    let root = Authority::root("Example Root");
    let offered = ["a.example", "b.example", "10.0.0.1"];
    let detail = "the certificate is for a.example, b.example, 10.0.0.1, not for ssm.eu-west-1.amazonaws.com";
    check("wrong name", &root, root.identity(&offered, ALIVE, &[]), Cause::TlsWrongName, &[detail]).await;
    let many: Vec<String> = (0..20).map(|index| format!("n{index}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let identity = root.identity(&many, ALIVE, &[]);
    check("many names", &root, identity, Cause::TlsWrongName, &["n7.example and 12 more"]).await;
}

#[tokio::test]
async fn chains_that_are_not_trusted() {
    let root = Authority::root("Example Root");
    let issuer = root.intermediate("Example M01", ALIVE);
    let foreign = Authority::root("Inspection Root");
    let inspector = foreign.intermediate("Inspection M01", ALIVE);
    let impostor = Authority::root("Example Root");
    check(
        "missing intermediate",
        &root,
        issuer.identity(&[HOST], ALIVE, &[]),
        Cause::TlsUntrusted,
        &["a missing intermediate", "no certificate but its own", "CN=Example M01"],
    )
    .await;
    check(
        "broken chain",
        &root,
        issuer.identity(&[HOST], ALIVE, &[&foreign]),
        Cause::TlsUntrusted,
        &["a missing intermediate", "none of the 2 certificates", "CN=Example M01"],
    )
    .await;
    check(
        "inspected",
        &root,
        inspector.identity(&[HOST], ALIVE, &[&inspector]),
        Cause::TlsUntrusted,
        &["leads to CN=Inspection Root", "issuer: CN=Inspection M01"],
    )
    .await;
    check(
        "foreign root sent along",
        &root,
        inspector.identity(&[HOST], ALIVE, &[&inspector, &foreign]),
        Cause::TlsUntrusted,
        &["leads to CN=Inspection Root"],
    )
    .await;
    check("self-signed", &root, self_signed(&[HOST]), Cause::TlsUntrusted, &["self-signed, by CN=selfish"]).await;
    let identity = impostor.identity(&[HOST], ALIVE, &[]);
    check("same name, other key", &root, identity, Cause::TlsUntrusted, &["CN=Example Root"]).await;
}

/// The cause and the detail for a server that does `serve` with the bare connection.
async fn bare<F: Future<Output = ()> + Send + 'static>(
    what: &str,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
    cause: Cause,
    part: &str,
) {
    let record = handshake(server(serve).await, &Authority::root("Example Root")).await;
    assert_eq!(record.outcome, Outcome::Failed(cause), "{what}: {record:?}");
    let detail = record.detail.unwrap_or_default();
    assert!(detail.contains(part), "{what}: {detail:?}");
}

async fn hear(stream: &mut TcpStream) {
    let mut hello = [0; 4_096];
    let _ = stream.read(&mut hello).await;
}

/// Says `words` once the ClientHello came, and keeps the connection open.
async fn says(mut stream: TcpStream, words: &[u8]) {
    hear(&mut stream).await;
    let _ = stream.write_all(words).await;
    sleep(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn peers_that_do_not_speak_tls() {
    let not_tls = Cause::TlsNotTls;
    bare("ssh", |stream| banner_of(stream, b"SSH-2.0-OpenSSH_9.6\r\n"), not_tls, "it said: SSH-2.0-OpenSSH_9.6").await;
    bare("smtp", |stream| banner_of(stream, b"220 mx ESMTP\r\n"), not_tls, "it said: 220 mx ESMTP").await;
    bare("short banner, then silence", |stream| banner_of(stream, b"22"), not_tls, "it said: 22").await;
    let http = b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<html>";
    bare("http", |stream| says(stream, http), not_tls, "it said: HTTP/1.1 400 Bad Request").await;
    bare("bytes", |stream| says(stream, b"\x00\x01\xff\x1b[31m123"), not_tls, "\\x00\\x01\\xff\\x1b[31m").await;
    let cut = |mut stream: TcpStream| async move {
        let _ = stream.write_all(b"-ERR go away").await;
        hear(&mut stream).await;
        let _ = stream.set_zero_linger();
    };
    bare("banner, then reset", cut, not_tls, "it said: -ERR go away").await;
    let close = |mut stream: TcpStream| async move {
        hear(&mut stream).await;
        let _ = stream.write_all(b"no").await;
    };
    bare("two bytes, then closed", close, not_tls, "it said: no").await;
}

async fn banner_of(mut stream: TcpStream, banner: &'static [u8]) {
    let _ = stream.write_all(banner).await;
    sleep(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn peers_that_break_off() {
    let close = |mut stream: TcpStream| async move { hear(&mut stream).await };
    bare("closed", close, Cause::TlsClosed, "closed the connection during the handshake").await;
    let reset = |mut stream: TcpStream| async move {
        hear(&mut stream).await;
        let _ = stream.set_zero_linger();
    };
    bare("reset", reset, Cause::TlsReset, "ECONNRESET").await;
    let goodbye = |mut stream: TcpStream| async move {
        hear(&mut stream).await;
        let _ = stream.write_all(b"\x15\x03\x03\x00\x02\x01\x00").await;
    };
    bare("goodbye", goodbye, Cause::TlsClosed, "closed the connection during the handshake").await;
}

#[tokio::test]
async fn peers_that_fall_silent() {
    let mute = |stream: TcpStream| async move {
        let _held = stream;
        sleep(Duration::from_secs(5)).await;
    };
    bare("mute", mute, Cause::TlsTimeout, "not one byte came within 1.2 s after a ClientHello of 1").await;
    // A record of which only the first bytes come: what an inbound path-MTU hole looks like.
    let half = |stream| says(stream, b"\x16\x03\x03\x04\x00\x02\x00\x00\x76");
    bare("half a record", half, Cause::TlsTimeout, "began to answer (9 bytes)").await;
}

/// A path that swallows everything would keep an orphaned socket retransmitting for minutes.
#[tokio::test]
async fn a_failed_handshake_is_torn_down() {
    let endings: Log<String> = Log::default();
    let log = endings.clone();
    let port = server(move |mut stream| {
        let log = log.clone();
        async move {
            hear(&mut stream).await;
            let end = stream.read(&mut [0; 10]).await.map_err(|error| error.kind());
            bed::write(&log, format!("{end:?}"));
        }
    })
    .await;
    let record = handshake(port, &Authority::root("Example Root")).await;
    assert_eq!(record.outcome, Outcome::Failed(Cause::TlsTimeout));
    sleep(Duration::from_millis(100)).await;
    assert_eq!(bed::read(&endings), ["Err(ConnectionReset)"]);
}

#[tokio::test]
async fn peers_that_refuse_or_break_the_protocol() {
    let protocol = Cause::TlsProtocol;
    bare("version", |stream| says(stream, b"\x15\x03\x01\x00\x02\x02\x46"), protocol, "alert ProtocolVersion").await;
    bare("failure", |stream| says(stream, b"\x15\x03\x03\x00\x02\x02\x28"), protocol, "alert HandshakeFailure").await;
    bare("unknown", |stream| says(stream, b"\x15\x03\x03\x00\x02\x02\xc8"), protocol, "alert").await;
    // A ServerHello for TLS 1.1.
    let mut hello = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\x00\xc0\x14\x00");
    let hello: &'static [u8] = hello.leak();
    bare("tls 1.1", |stream| says(stream, hello), protocol, "").await;
    bare("garbled record", |stream| says(stream, b"\x16\x03\x03\x00\x04\xff\xff\xff\xff"), protocol, "").await;
    bare("oversized record", |stream| says(stream, b"\x16\x03\x03\xff\xff\x02"), protocol, "").await;
}
