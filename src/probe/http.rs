//! One unsigned HTTP/1.1 request on the connection that TLS proved.

mod body;
pub mod head;
mod s3;

use std::{fmt::Write as _, time::Duration};

use time::OffsetDateTime;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    time::{Instant, sleep},
};

use self::{
    body::{Body, State},
    head::{Head, Reading, read_head},
};
use super::{
    Clock, USER_AGENT, connect,
    trail::{Ended, Notes, Stop, errno},
    words::span,
};
use crate::model::{
    cause::Cause,
    observation::{Canary, Failure, HttpRecord},
    target::Target,
};

/// What the exchange shows on its way.
pub(super) struct HttpNotes {
    clock: Clock,
    head: Option<Head>,
    clock_skew_s: Option<f64>,
    canary: Option<Canary>,
    detail: Option<String>,
}

impl HttpNotes {
    /// Nothing seen yet; the server's `Date` is compared with `clock`.
    pub(super) const fn new(clock: Clock) -> Self {
        Self { clock, head: None, clock_skew_s: None, canary: None, detail: None }
    }
}

impl Notes for HttpNotes {
    type Record = HttpRecord;

    fn timed_out(&self, budget: Duration) -> Failure {
        let within = span(budget);
        Failure::new(
            Cause::HttpTimeout,
            match &self.head {
                Some(head) => format!("status {} came, but not the whole body within {within}", head.status),
                None => format!("no complete answer within {within}"),
            },
        )
    }

    fn record(self, ended: Ended) -> HttpRecord {
        let head = self.head;
        HttpRecord {
            outcome: ended.outcome,
            elapsed_ms: ended.elapsed_ms,
            status: head.as_ref().map(|head| head.status),
            aws: head.as_ref().map(|head| head.aws),
            clock_skew_s: self.clock_skew_s,
            canary: self.canary,
            bucket_region: head.as_ref().and_then(|head| head.bucket_region.clone()),
            server: head.and_then(|head| head.server),
            detail: ended.detail.or(self.detail),
        }
    }
}

/// What is to become of the connection after the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing: the server is told to close it.
    Close,
    /// It is to stay open for one more request.
    KeepAlive,
}

/// Whether a further request can be sent on the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reuse {
    /// As far as anybody said. The rest of the answer may still be on its way, so a further answer cannot be read.
    Possible,
    /// One side announced the end, it came, or the answer was not understood.
    Over,
}

/// Asks for the path of `target` and reads the answer as far as it says something: the head, and S3's body. `patience`
/// is how long the text of an S3 error is waited for after its head. Nothing is waited for because of `after`.
pub(super) async fn exchange<IO>(
    stream: &mut IO,
    target: &Target,
    after: After,
    patience: Duration,
    notes: &mut HttpNotes,
) -> Result<Reuse, Stop>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let asked = Instant::now();
    let request = request(target, after);
    stream.write_all(request.as_bytes()).await.map_err(|error| closed(&error, "while the request was sent"))?;
    stream.flush().await.map_err(|error| closed(&error, "while the request was sent"))?;

    let (head, rest) = head(stream).await?;
    let answered = Instant::now();
    notes.clock_skew_s = head.date.map(|date| skew(notes.clock.at(asked + (answered - asked) / 2), date));
    let framing = head.framing;
    let status = head.status;
    let announced = if after == After::KeepAlive && head.leaves_open() { Reuse::Possible } else { Reuse::Over };
    notes.head = Some(head);
    if !target.is_s3() {
        return Ok(announced);
    }

    let mut body = Body::new(framing);
    body.push(&rest);
    let reuse = if status == 200 {
        receive(stream, &mut body).await?;
        announced
    } else {
        // The head proves reachability, and only what a 200 promises must be there in full: an error's text is worth a
        // little patience, and no failure.
        tokio::select! {
            received = receive(stream, &mut body) => received.map_or(Reuse::Over, |()| announced),
            () = sleep(patience) => announced,
        }
    };
    notes.canary = Some(s3::canary(status, body.content()));
    notes.detail = s3::error(body.content());
    if let Some(head) = &mut notes.head
        && head.bucket_region.is_none()
    {
        head.bucket_region = s3::region(body.content());
    }
    Ok(reuse)
}

/// The request's text. In HTTP/1.1 a connection that nobody closes in words stays open.
fn request(target: &Target, after: After) -> String {
    let port = if target.port == 443 { String::new() } else { format!(":{}", target.port) };
    let host = &target.host;
    let path = encoded(&target.path);
    let connection = match after {
        After::Close => "Connection: close\r\n",
        After::KeepAlive => "",
    };
    format!("GET {path} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n{connection}\r\n")
}

/// The path with everything escaped that would end the request's first line early.
pub(super) fn encoded(path: &str) -> String {
    let mut safe = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        safe.push('/');
    }
    for byte in path.bytes() {
        if byte.is_ascii_graphic() {
            safe.push(char::from(byte));
        } else {
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    safe
}

/// The first head that is not an interim one, and what came after it.
pub(super) async fn head<IO: AsyncRead + Unpin>(stream: &mut IO) -> Result<(Head, Vec<u8>), Stop> {
    let mut bytes = Vec::new();
    let mut total = 0;
    loop {
        match read_head(&bytes) {
            Reading::Complete(head) if head.is_interim() => {
                bytes.drain(..head.length.min(bytes.len()));
                continue;
            }
            Reading::Complete(head) => {
                let rest = bytes.split_off(head.length.min(bytes.len()));
                return Ok((head, rest));
            }
            Reading::Garbage(said) => {
                return Err(Failure::new(Cause::HttpClosed, format!("the answer is not HTTP: {said}")).into());
            }
            Reading::Partial => {}
        }
        if total >= MOST_HEAD {
            let said = format!("the answer's head is longer than {MOST_HEAD} bytes");
            return Err(Failure::new(Cause::HttpClosed, said).into());
        }
        let mut piece = [0; PIECE];
        let count = stream.read(&mut piece).await.map_err(|error| closed(&error, "before a complete answer"))?;
        if count == 0 {
            let said = format!("the peer closed the connection after {total} bytes, before a complete answer");
            return Err(Failure::new(Cause::HttpClosed, said).into());
        }
        total += count;
        bytes.extend(piece.iter().take(count));
    }
}

async fn receive<IO: AsyncRead + Unpin>(stream: &mut IO, body: &mut Body) -> Result<(), Stop> {
    let mut piece = [0; PIECE];
    let mut state = body.push(&[]);
    while state == State::Open {
        state = match stream.read(&mut piece).await {
            Ok(0) => body.end(),
            Ok(count) => body.push(piece.get(..count).unwrap_or_default()),
            // Many servers end a body with the connection and without TLS's goodbye.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => body.end(),
            Err(error) => return Err(closed(&error, "before the whole body")),
        };
    }
    match state {
        State::Open | State::Complete => Ok(()),
        State::Broken => {
            Err(Failure::new(Cause::HttpClosed, "the connection or the framing broke before the whole body").into())
        }
    }
}

fn closed(error: &std::io::Error, when: &str) -> Stop {
    if let Some(own_limit) = errno(error).and_then(connect::own_limit) {
        return own_limit;
    }
    let said = if error.kind() == std::io::ErrorKind::UnexpectedEof {
        format!("the peer closed the connection {when}")
    } else {
        format!("the connection broke {when}: {error}")
    };
    Failure { errno: errno(error), ..Failure::new(Cause::HttpClosed, said) }.into()
}

/// Local time minus the server's, in seconds, to a tenth. `Date` has whole seconds, cut off: half of one is added; what
/// is left of the error is half a second and half a round trip.
fn skew(local: OffsetDateTime, date: OffsetDateTime) -> f64 {
    let seconds = (local - date).as_seconds_f64() - 0.5;
    // The sum turns -0.0 into 0.0.
    (seconds * 10.0).round() / 10.0 + 0.0
}

/// Bytes of all heads of one answer.
const MOST_HEAD: usize = 16 * 1024;

/// Bytes read at once.
const PIECE: usize = 1024;

#[cfg(test)]
mod tests {
    use time::{Duration, OffsetDateTime};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        time::Instant,
    };

    use super::{After, HttpNotes, Reuse, encoded, exchange, request, skew};
    use crate::{
        model::target::{Expect, Target},
        probe::{Clock, trail::Stop},
    };

    fn target(port: u16, path: &str) -> Target {
        Target {
            name: "s3".to_owned(),
            service: Some("s3".to_owned()),
            host: "s3.eu-west-1.amazonaws.com".to_owned(),
            port,
            required: true,
            expect: Expect::Any,
            path: path.to_owned(),
            allowed_cidrs: Vec::new(),
        }
    }

    #[test]
    fn the_request_is_one_line_and_its_headers() {
        let text = request(&target(443, "/amazon-ssm-eu-west-1/latest/VERSION"), After::Close);
        assert!(
            text.starts_with(
                "GET /amazon-ssm-eu-west-1/latest/VERSION HTTP/1.1\r\nHost: s3.eu-west-1.amazonaws.com\r\n"
            )
        );
        assert!(
            text.contains(concat!("User-Agent: vpce-probe/", env!("CARGO_PKG_VERSION"), "\r\n"))
                && text.ends_with("\r\n\r\n")
        );
        let other_port = request(&target(8443, "/"), After::Close);
        assert!(other_port.contains("Host: s3.eu-west-1.amazonaws.com:8443\r\n"));
    }

    #[test]
    fn only_the_last_request_announces_the_end() {
        let closing = request(&target(443, "/"), After::Close);
        let staying = request(&target(443, "/"), After::KeepAlive);
        assert!(!staying.to_ascii_lowercase().contains("connection:"), "{staying}");
        assert_eq!(closing.replace("Connection: close\r\n", ""), staying);
        assert_ne!(closing, staying);
    }

    /// The exchange with a server that says `answer` and then closes or stays: what it says of the connection, the time
    /// that it took, and the server's end.
    async fn exchanged(
        answer: &str,
        service: Option<&str>,
        after: After,
        server_closes: bool,
    ) -> (Result<Reuse, Stop>, std::time::Duration, DuplexStream) {
        let (mut client, mut server) = duplex(64 * 1024);
        server.write_all(answer.as_bytes()).await.expect("room for the answer");
        if server_closes {
            server.shutdown().await.expect("an end");
        }
        let target = Target { service: service.map(str::to_owned), ..target(443, "/") };
        let start = Instant::now();
        let mut notes = HttpNotes::new(Clock::start());
        let reuse = exchange(&mut client, &target, after, PATIENCE, &mut notes).await;
        let elapsed = start.elapsed();
        if reuse.is_ok() {
            assert!(notes.head.is_some(), "{answer:?}");
        }
        // What is sent next must follow the request, however much of the answer was left unread.
        client.write_all(b"next").await.expect("the connection");
        drop(client);
        (reuse, elapsed, server)
    }

    const PATIENCE: std::time::Duration = std::time::Duration::from_millis(500);

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_nobody_ends_takes_a_further_request() {
        let check = async |answer: &str, service: Option<&str>, waits: bool| {
            let (reuse, elapsed, mut server) = exchanged(answer, service, After::KeepAlive, false).await;
            assert!(matches!(reuse, Ok(Reuse::Possible)), "{answer:?}: {reuse:?}");
            assert_eq!(elapsed, if waits { PATIENCE } else { std::time::Duration::ZERO }, "{answer:?}");
            let mut heard = String::new();
            server.read_to_string(&mut heard).await.expect("text");
            assert!(heard.ends_with("\r\n\r\nnext"), "{heard:?}");

            let (reuse, again, _server) = exchanged(answer, service, After::Close, false).await;
            assert!(matches!(reuse, Ok(Reuse::Over)), "the request said close: {reuse:?}");
            assert_eq!(again, elapsed, "keeping it costs no time: {answer:?}");
        };
        let s3 = Some("s3");
        check("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", None, false).await;
        check("HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nn", None, false).await;
        check("HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 204 No\r\n\r\n", None, false).await;
        check("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", None, false).await;
        check("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n3.3.2746.0", s3, false).await;
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n3.3\r\n0\r\n", s3, false).await;
        check("HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\n<E>", s3, false).await;
        check("HTTP/1.1 403 No\r\nContent-Length: 200\r\n\r\n<Error>", s3, true).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_the_server_ends_takes_none() {
        let check = async |answer: &str, service: Option<&str>, server_closes: bool| {
            let (reuse, elapsed, _server) = exchanged(answer, service, After::KeepAlive, server_closes).await;
            assert!(matches!(reuse, Ok(Reuse::Over)), "{answer:?}: {reuse:?}");
            assert_eq!(elapsed, std::time::Duration::ZERO, "{answer:?}");
        };
        let s3 = Some("s3");
        // Announced, with the end still to come.
        check("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\n", None, false).await;
        check("HTTP/1.1 301 Moved\r\n\r\n", None, false).await;
        check("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n", None, false).await;
        check("HTTP/1.1 101 Switching\r\n\r\n", None, false).await;
        check("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n3.3", s3, false).await;
        // It came.
        check("HTTP/1.1 200 OK\r\n\r\n3.3.2746.0", s3, true).await;
        check("HTTP/1.1 403 No\r\nContent-Length: 200\r\n\r\n<Error>", s3, true).await;
        // Broken chunks: the answer was not understood.
        check("HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", s3, false).await;
    }

    #[test]
    fn a_path_cannot_smuggle_a_header() {
        assert_eq!(encoded("/a b\r\nX: y"), "/a%20b%0D%0AX:%20y");
        assert_eq!(encoded("ä"), "/%C3%A4");
        assert_eq!(encoded(""), "/");
    }

    #[test]
    fn skew_is_positive_when_this_host_is_ahead() {
        let date = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a moment");
        let check = |local: Duration, expected: f64| {
            let seen = skew(date + local, date);
            assert!((seen - expected).abs() < 1e-9, "{local}: {seen}");
            assert!(seen.is_sign_positive() == (expected >= 0.0));
        };
        check(Duration::milliseconds(500), 0.0);
        check(Duration::milliseconds(460), 0.0);
        check(Duration::milliseconds(920), 0.4);
        check(Duration::seconds(301), 300.5);
        check(Duration::seconds(-299), -299.5);
    }
}
