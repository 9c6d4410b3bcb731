//! Two addresses of one service: which is asked when. The ways to fail are tested through `discover` (tests/host.rs).

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    time::Instant,
};

use super::{
    Question, ask,
    client::{NoToken, Plain},
    without_token,
};
use crate::model::host::ImdsState;

const BUDGET: Duration = Duration::from_millis(1200);

/// A service that gives a token and every item as `eu-west-1`, which does for state and region.
async fn answering() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while let Ok(1..) = stream.read(&mut request).await {
                    let answer: &[u8] = if request.starts_with(b"PUT") {
                        b"HTTP/1.1 200 OK\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\nContent-Length: 1\r\n\r\nt"
                    } else if request.starts_with(b"GET /latest/meta-data/placement/region ") {
                        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\neu-west-1"
                    } else {
                        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                    };
                    if stream.write_all(answer).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Takes connections and says nothing.
async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

async fn check(first: SocketAddr, second: Option<SocketAddr>, expected: ImdsState, within: Duration) {
    let start = Instant::now();
    let answer = ask(&Question { endpoints: (first, second), connect: BUDGET, budget: BUDGET }).await;
    assert_eq!(answer.state, expected);
    assert_eq!(answer.metadata.region.is_some(), expected == ImdsState::Ok);
    assert!(start.elapsed() < within, "{:?}", start.elapsed());
}

#[tokio::test]
async fn the_second_address_stands_in_for_the_first() {
    let (_held, refused) = refusing();
    let (soon, hedged, whole) = (BUDGET / 4, BUDGET * 3 / 5, BUDGET + Duration::from_millis(200));
    check(answering().await, Some(silent().await), ImdsState::Ok, soon).await;
    check(refused, Some(answering().await), ImdsState::Ok, soon).await;
    check(silent().await, Some(answering().await), ImdsState::Ok, hedged).await;
    check(refused, Some(refused), ImdsState::Unreachable, soon).await;
    check(silent().await, Some(refused), ImdsState::Unreachable, whole).await;
    check(refused, None, ImdsState::Unreachable, soon).await;
}

#[test]
fn a_missing_token_is_explained_by_a_plain_get() {
    let region = || Plain::Status(200, "eu-west-1".to_owned());
    let page = || Plain::Status(200, "<html>".to_owned());
    let status = |status| Plain::Status(status, String::new());
    let check = |failure, plain: Plain, expected| {
        assert_eq!(without_token(failure, plain.clone()).state, expected, "{failure:?} {plain:?}");
    };
    check(NoToken::Status(403), region(), ImdsState::Off);
    check(NoToken::Status(503), region(), ImdsState::Slow);
    check(NoToken::Status(405), region(), ImdsState::V1Only);
    check(NoToken::Status(200), region(), ImdsState::V1Only);
    check(NoToken::Status(405), page(), ImdsState::Garbage);
    check(NoToken::Status(405), status(404), ImdsState::Garbage);
    check(NoToken::Status(405), Plain::Silent, ImdsState::Garbage);
    check(NoToken::Garbled, Plain::Garbled, ImdsState::Garbage);
    check(NoToken::TimedOut, status(401), ImdsState::HopLimit);
    check(NoToken::TimedOut, region(), ImdsState::HopLimit);
    check(NoToken::TimedOut, page(), ImdsState::Garbage);
    check(NoToken::TimedOut, Plain::Silent, ImdsState::Unreachable);
    check(NoToken::Unreachable, Plain::Silent, ImdsState::Unreachable);
}
