//! The way through a proxy, tried only where the direct one failed.

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use vpce_probe::model::{host::Proxy, observation::Observation};

use crate::{
    bed::{self, HOST, Log, plan, read_request, round_with, server, target, tls, web_server, zone},
    pki::{ALIVE, Authority},
};

const EMPTY: &str = "HTTP/1.1 404 Not Found\r\n\r\n";

fn proxy(scheme: &str, host: &str, port: u16, no_proxy: &[&str]) -> Proxy {
    Proxy {
        origin: "/etc/systemd/system/amazon-ssm-agent.service.d/proxy.conf".to_owned(),
        agent: true,
        variable: "https_proxy".to_owned(),
        url: format!("{scheme}://user:***@{host}:{port}"),
        host: host.to_owned(),
        port,
        no_proxy: no_proxy.iter().map(|entry| (*entry).to_owned()).collect(),
    }
}

async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("its address").port()
}

/// A proxy that leads every CONNECT to `port`; what it was asked.
async fn forwarder(port: u16) -> (u16, Log<String>) {
    let asked: Log<String> = Log::default();
    let log = asked.clone();
    let listens = server(move |mut stream| {
        let log = log.clone();
        async move {
            bed::write(&log, read_request(&mut stream).await);
            let mut upstream = TcpStream::connect(("127.0.0.1", port)).await.expect("the endpoint");
            let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            let _ = copy_bidirectional(&mut stream, &mut upstream).await;
        }
    })
    .await;
    (listens, asked)
}

/// One round with the target's own port closed.
async fn observe(root: &Authority, names: bed::Zone, proxy: Proxy) -> Observation {
    let ca = root.file();
    let plan = plan(vec![target(HOST, closed_port().await)], &ca);
    round_with(plan, names, &[proxy], &|_| {}).await.remove(0)
}

#[tokio::test]
async fn a_proxy_that_works_is_told() {
    let root = Authority::root("Example Root");
    let endpoint = web_server(tls(root.identity(&[HOST], ALIVE, &[])), EMPTY).await;
    let (port, asked) = forwarder(endpoint).await;
    for (host, names) in [
        ("127.0.0.1", bed::local()),
        ("proxy.corp.example", zone(&[(HOST, &["127.0.0.1"]), ("proxy.corp.example", &["127.0.0.1"])])),
        ("127.0.0.1", bed::Zone::new()),
    ] {
        let seen = observe(&root, names, proxy("http", host, port, &[])).await;
        let record = seen.proxy.expect("the proxy was tried");
        assert!(record.works && record.agent, "{record:?}");
        assert_eq!((record.status, record.detail), (Some(200), None));
        assert_eq!(record.url, format!("http://user:***@{host}:{port}"));
    }
    for request in bed::read(&asked) {
        assert!(request.starts_with(&format!("CONNECT {HOST}:")), "{request:?}");
        assert!(!request.to_ascii_lowercase().contains("authorization"), "{request:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_speaks_tls_itself_works_too() {
    let root = Authority::root("Example Root");
    let endpoint = web_server(tls(root.identity(&[HOST], ALIVE, &[])), EMPTY).await;
    let acceptor = TlsAcceptor::from(Arc::new(tls(root.identity(&["proxy.corp.example"], ALIVE, &[]))));
    let port = server(move |stream| {
        let accept = acceptor.accept(stream);
        async move {
            let mut stream = accept.await.expect("TLS");
            read_request(&mut stream).await;
            let mut upstream = TcpStream::connect(("127.0.0.1", endpoint)).await.expect("the endpoint");
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = copy_bidirectional(&mut stream, &mut upstream).await;
        }
    })
    .await;
    let names = zone(&[(HOST, &["127.0.0.1"]), ("proxy.corp.example", &["127.0.0.1"])]);
    let record = observe(&root, names, proxy("https", "proxy.corp.example", port, &[])).await.proxy.expect("tried");
    assert!(record.works, "{record:?}");
}

#[tokio::test]
async fn a_proxy_that_does_not_work_says_why() {
    let root = Authority::root("Example Root");
    let check = async |scheme: &str, port: u16, status: Option<u16>, part: &str| {
        let seen = observe(&root, bed::local(), proxy(scheme, "127.0.0.1", port, &[])).await;
        let record = seen.proxy.expect("the proxy was tried");
        assert!(!record.works);
        assert_eq!(record.status, status, "{record:?}");
        assert!(record.detail.as_deref().is_some_and(|detail| detail.contains(part)), "{part}: {record:?}");
    };
    let says = async |answer: &'static [u8]| {
        server(move |mut stream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(answer).await;
        })
        .await
    };
    check("http", says(b"HTTP/1.1 407 Auth\r\n\r\n").await, Some(407), "credentials").await;
    check("http", says(b"HTTP/1.1 403 Forbidden\r\n\r\n").await, Some(403), "refuses").await;
    check("http", says(b"SSH-2.0-x\r\n").await, None, "SSH-2.0-x").await;
    check("http", says(b"").await, None, "closed the connection").await;
    check("http", closed_port().await, None, "ECONNREFUSED").await;
    check("socks5", closed_port().await, None, "not tried").await;
    // The scheme says https and the proxy is a plain one.
    let plain = server(|mut stream| async move {
        let _ = stream.read(&mut [0; 2_000]).await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    check("https", plain.await, None, "does not speak TLS").await;
    // A proxy that says yes to everything, with nothing behind it.
    check("http", says(b"HTTP/1.1 200 OK\r\n\r\n").await, Some(200), "TLS with ssm.eu-west-1.amazonaws.com through")
        .await;
    // One that inspects.
    let foreign = Authority::root("Inspection Root");
    let (port, _) = forwarder(web_server(tls(foreign.identity(&[HOST], ALIVE, &[])), EMPTY).await).await;
    check("http", port, Some(200), "CN=Inspection Root").await;
}

#[tokio::test]
async fn a_proxy_that_never_answers_is_bounded() {
    let root = Authority::root("Example Root");
    let port = server(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let seen = observe(&root, bed::local(), proxy("http", "127.0.0.1", port, &[])).await;
    let detail = seen.proxy.expect("tried").detail.expect("says why");
    assert!(detail.contains("CONNECT") && detail.contains("did not end within 3.2 s"), "{detail}");
}

#[tokio::test]
async fn no_proxy_is_tried_where_none_is_needed_or_none_applies() {
    let root = Authority::root("Example Root");
    let endpoint = web_server(tls(root.identity(&[HOST], ALIVE, &[])), EMPTY).await;
    let (port, asked) = forwarder(endpoint).await;
    let ca = root.file();
    let direct = plan(vec![target(HOST, endpoint)], &ca);
    let seen = round_with(direct, bed::local(), &[proxy("http", "127.0.0.1", port, &[])], &|_| {}).await;
    assert_eq!(seen[0].proxy, None);
    let covered = proxy("http", "127.0.0.1", port, &[".amazonaws.com"]);
    assert_eq!(observe(&root, bed::local(), covered).await.proxy, None);
    assert!(bed::read(&asked).is_empty());
}
