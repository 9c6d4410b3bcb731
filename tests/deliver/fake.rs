//! A CloudWatch on real sockets that stores what it is given, and fails as it is told.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::Read as _,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use time::{OffsetDateTime, format_description::well_known::Rfc2822};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    time::sleep,
};
use tokio_rustls::TlsAcceptor;

use crate::cbor::{self, Value};

/// How one request is treated.
#[derive(Clone, Debug)]
pub(crate) enum Mode {
    /// Stored and answered.
    Ok,
    /// Stored, answered after so long.
    Slow(Duration),
    /// Not stored; answered with status, code and message.
    Error(u16, &'static str, &'static str),
    /// Not stored, not answered.
    Hang,
    /// Stored, and closed without an answer.
    LostReply,
    /// Closed before the request is read.
    CloseAtOnce,
    /// Not stored; answered with something that is not HTTP.
    Garbage,
    /// Not stored; answered by somebody else, with this status.
    Portal(u16),
    /// Refused with this code as long as it is signed with this key.
    RefuseKey(&'static str, &'static str),
    /// The clock of the server is so many seconds ahead; signatures five minutes off are refused.
    ClockAhead(i64),
    /// A request with a dimension of this value is refused.
    Poison(&'static str),
}

/// A datum's name: metric, dimensions, timestamp in milliseconds.
pub(crate) type Key = (String, String, i64);

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) headers: HashMap<String, String>,
    pub(crate) datums: Vec<Key>,
    pub(crate) bytes: usize,
    pub(crate) body: usize,
    pub(crate) mss: Option<u32>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Mode>,
    then: Option<Mode>,
    stored: BTreeMap<Key, u32>,
    requests: Vec<Request>,
    connections: usize,
    hello: Vec<usize>,
}

#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::serve(None).await
    }

    pub(crate) async fn with_tls(acceptor: TlsAcceptor) -> Self {
        Self::serve(Some(acceptor)).await
    }

    async fn serve(acceptor: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let fake = Self { address: listener.local_addr().expect("an address"), state: Arc::default() };
        let serving = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mss = socket2::SockRef::from(&stream).tcp_mss().ok();
                let (fake, acceptor) = (serving.clone(), acceptor.clone());
                fake.look().connections += 1;
                tokio::spawn(async move {
                    let Some(acceptor) = acceptor else { return fake.answer(stream, mss).await };
                    let mut head = [0; 5];
                    while stream.peek(&mut head).await.is_ok_and(|count| count < 5) {}
                    fake.look().hello.push(5 + usize::from(u16::from_be_bytes([head[3], head[4]])));
                    if let Ok(stream) = acceptor.accept(stream).await {
                        fake.answer(stream, mss).await;
                    }
                });
            }
        });
        fake
    }

    fn look(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }

    /// Everything from now on.
    pub(crate) fn always(&self, mode: Mode) {
        let mut state = self.look();
        state.script.clear();
        state.then = Some(mode);
    }

    /// Everything after what was scripted.
    pub(crate) fn always_then(&self, mode: Mode) {
        self.look().then = Some(mode);
    }

    /// The next requests.
    pub(crate) fn next(&self, modes: impl IntoIterator<Item = Mode>) {
        self.look().script.extend(modes);
    }

    pub(crate) fn stored(&self) -> BTreeMap<Key, u32> {
        self.look().stored.clone()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.look().requests.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.look().connections
    }

    /// Bytes of each ClientHello's record.
    pub(crate) fn hellos(&self) -> Vec<usize> {
        self.look().hello.clone()
    }

    /// How often each datum was sent, stored or not.
    pub(crate) fn sent(&self) -> BTreeMap<Key, u32> {
        let mut sent = BTreeMap::new();
        for key in self.look().requests.iter().flat_map(|request| request.datums.clone()) {
            *sent.entry(key).or_insert(0) += 1;
        }
        sent
    }

    fn store(&self, datums: &[Key]) {
        let mut state = self.look();
        for datum in datums {
            *state.stored.entry(datum.clone()).or_insert(0) += 1;
        }
    }

    async fn answer(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, mss: Option<u32>) {
        let mode = {
            let mut state = self.look();
            state.script.pop_front().or_else(|| state.then.clone()).unwrap_or(Mode::Ok)
        };
        if matches!(mode, Mode::CloseAtOnce) {
            return;
        }
        let Some(request) = read(&mut stream, mss).await else { return };
        self.look().requests.push(request.clone());
        let mut clock = OffsetDateTime::now_utc();
        let reply = match mode {
            Mode::Slow(by) => {
                sleep(by).await;
                self.fine(&request)
            }
            Mode::Error(status, code, message) => refusal(status, code, message),
            Mode::Hang => return sleep(Duration::from_hours(1)).await,
            Mode::LostReply | Mode::CloseAtOnce => return self.store(&request.datums),
            Mode::Garbage => b"SSH-2.0-fake\r\n\r\n".to_vec(),
            Mode::Portal(status) => {
                format!("HTTP/1.1 {status} x\r\ncontent-type: text/html\r\ncontent-length: 5\r\n\r\nhello").into_bytes()
            }
            Mode::RefuseKey(key, code) if request.headers["authorization"].contains(key) => {
                refusal(403, code, "The security token included in the request is expired")
            }
            Mode::ClockAhead(seconds) => {
                clock += time::Duration::seconds(seconds);
                let stamped = &request.headers["x-amz-date"];
                let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
                let signed = time::PrimitiveDateTime::parse(stamped, format).expect("a date").assume_utc();
                if (clock - signed).whole_seconds().abs() > 300 {
                    refusal(403, "SignatureDoesNotMatch", "Signature expired: it is now later")
                } else {
                    self.fine(&request)
                }
            }
            Mode::Poison(value) if request.datums.iter().any(|(_, dimensions, _)| dimensions.contains(value)) => {
                refusal(400, "InvalidParameterValue", "The value for parameter MetricData.member.1 is invalid.")
            }
            Mode::Ok | Mode::RefuseKey(..) | Mode::Poison(_) => self.fine(&request),
        };
        let date = clock.format(&Rfc2822).expect("a date").replace("+0000", "GMT");
        let reply = with_date(reply, &date);
        let _ = stream.write_all(&reply).await;
        let _ = stream.shutdown().await;
    }

    fn fine(&self, request: &Request) -> Vec<u8> {
        self.store(&request.datums);
        message(200, "", &[0xbf, 0xff])
    }
}

fn refusal(status: u16, code: &str, text: &str) -> Vec<u8> {
    let extra = format!("x-amzn-query-error: {code};Sender\r\n");
    message(status, &extra, &cbor::map(&[("__type", code), ("message", text)]))
}

fn message(status: u16, extra: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} x\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\nDATE{extra}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The server writes its date into the place that `message` left for it.
fn with_date(reply: Vec<u8>, date: &str) -> Vec<u8> {
    match reply.windows(4).position(|four| four == b"DATE") {
        Some(at) => [&reply[..at], format!("date: {date}\r\n").as_bytes(), &reply[at + 4..]].concat(),
        None => reply,
    }
}

async fn read(stream: &mut (impl AsyncRead + Unpin), mss: Option<u32>) -> Option<Request> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).expect("ASCII");
    let headers: HashMap<String, String> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().expect("a length");
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut body = bytes[end..].to_vec();
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(body.as_slice()).read_to_end(&mut plain).expect("gzip");
        body = plain;
    }
    assert!(head.starts_with("POST /service/GraniteServiceVersion20100801/operation/PutMetricData HTTP/1.1\r\n"));
    let datums = keys(&Value::read(&body));
    Some(Request { headers, datums, bytes: bytes.len(), body: body.len(), mss })
}

fn keys(document: &Value) -> Vec<Key> {
    assert_eq!(document.field("Namespace").expect("a namespace").text(), "VpceProbe");
    let datums = document.field("MetricData").expect("data").list();
    datums
        .iter()
        .map(|datum| {
            let dimensions = datum.field("Dimensions").map(Value::list).unwrap_or_default().iter().map(|dimension| {
                let part = |name: &str| dimension.field(name).expect(name).text().to_owned();
                format!("{}={}", part("Name"), part("Value"))
            });
            let dimensions = dimensions.collect::<Vec<_>>().join(",");
            let millis = (datum.field("Timestamp").expect("a timestamp").number() * 1_000.0).round();
            let values = datum.field("Values").expect("values").list();
            assert_eq!(values.len(), datum.field("Counts").expect("counts").list().len());
            (datum.field("MetricName").expect("a name").text().to_owned(), dimensions, millis as i64)
        })
        .collect()
}
