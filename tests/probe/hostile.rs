//! Servers that would keep a path-MTU measurement busy for ever: the round ends in time all the same.

use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, interval, sleep},
};
use tokio_rustls::TlsAcceptor;
use vpce_probe::model::{observation::AddressRecord, plan::MtuMode};

use crate::{
    bed::{HOST, local, plan, read_request, round, server, target, tls},
    pki::{ALIVE, Authority},
};

/// The round with a server that does `serve` with each connection. In a thread of its own: a loop that never waits
/// would otherwise take the test's clock with it.
fn ends_in_time<F: Future<Output = ()> + Send + 'static>(
    root: Authority,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> AddressRecord {
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let port = server(serve).await;
            let ca = root.file();
            let mut plan = plan(vec![target(HOST, port)], &ca);
            plan.mtu.mode = MtuMode::Full;
            plan.round_deadline = Duration::from_secs(4);
            let (began, deadline) = (Instant::now(), plan.round_deadline);
            let mut seen = round(plan, local()).await;
            assert!(began.elapsed() < deadline + Duration::from_millis(500), "{:?}", began.elapsed());
            let _ = done.send(seen.remove(0).addresses.remove(0));
        });
    });
    ended.recv_timeout(Duration::from_secs(20)).expect("the round ends")
}

async fn hear(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0; 4_096]).await;
}

/// It reads no further than the question, so that the next one waits for room, and says goodbye meanwhile.
#[test]
fn a_server_that_talks_on_after_its_goodbye() {
    let root = Authority::root("Example Root");
    let acceptor = TlsAcceptor::from(Arc::new(tls(root.identity(&[HOST], ALIVE, &[]))));
    let record = ends_in_time(root, move |stream| {
        let acceptor = acceptor.clone();
        async move {
            SockRef::from(&stream).set_recv_buffer_size(1).expect("an option of sockets");
            stream.set_nodelay(true).expect("an option of TCP");
            let Ok(mut session) = acceptor.accept(stream).await else { return };
            read_request(&mut session).await;
            let _ = session.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
            let (stream, tls) = session.get_mut();
            tls.send_close_notify();
            let mut words = Vec::new();
            tls.write_tls(&mut words).expect("a vector takes all");
            let mut pause = interval(Duration::from_millis(50));
            while stream.write_all(&words).await.is_ok() {
                pause.tick().await;
            }
        }
    });
    assert!(record.http.is_some_and(|http| http.outcome.is_ok()));
}

#[test]
fn a_server_that_answers_by_drops() {
    let record = ends_in_time(Authority::root("Example Root"), |mut stream| async move {
        stream.set_nodelay(true).expect("an option of TCP");
        hear(&mut stream).await;
        // Long enough to be suspicious.
        sleep(Duration::from_millis(600)).await;
        let _ = stream.write_all(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb").await;
        let mut drops = interval(Duration::from_millis(3));
        while stream.write_all(b"\0").await.is_ok() {
            drops.tick().await;
        }
    });
    assert!(record.tls.is_some_and(|tls| !tls.outcome.is_ok()));
}
