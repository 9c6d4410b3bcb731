//! One HTTP exchange over one connection of the probe's own making: nothing is pooled, nothing stays open between rounds.
//!
//! The SDK is given no evidence of how far a request came; whether a request may have been carried out is what decides
//! if it may be sent again. So that is noted here, byte by byte.

mod wire;

use std::{
    error::Error,
    fmt, io, iter,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response, Uri,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{CONNECTION, CONTENT_TYPE, DATE, EXPECT, HOST, HeaderValue, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use self::wire::Wire;
use super::Surroundings;
use crate::{
    model::units::http_date,
    probe::{self, Call, Dialer, Security},
};

/// The HTTP client below the SDK.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    dialer: Dialer,
    surroundings: watch::Receiver<Surroundings>,
    spread: u64,
    budget: Duration,
    evidence: Evidence,
}

/// What is known of the latest exchange; shared by the connector and whoever reads its failures.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence(Arc<Mutex<Seen>>);

/// What one exchange showed.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The host name that was asked for.
    pub(super) host: String,
    /// The peer.
    pub(super) peer: Option<SocketAddr>,
    /// The segments that the connection kept to, where a hole wanted it.
    pub(super) segments: Option<u32>,
    /// Bytes written and read above TLS.
    pub(super) bytes: (u64, u64),
    /// Whether all of the request was handed to the kernel: from then on it may have been carried out.
    pub(super) sent: bool,
    /// The answer, if there was a whole one.
    pub(super) answer: Option<Answer>,
    /// What went wrong below HTTP.
    pub(super) broken: Option<Broken>,
}

/// The answer's head, and how its body begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    /// Whether it speaks the protocol of CloudWatch (Smithy RPC v2 CBOR).
    pub(super) speaks_cbor: bool,
    /// `Content-Type`.
    pub(super) content_type: Option<String>,
    /// The error's code by the header `x-amzn-query-error: Code;Fault`.
    pub(super) query_error: Option<String>,
    /// `Retry-After`, where it is a number of seconds.
    pub(super) retry_after: Option<Duration>,
    /// This host's clock minus the answer's `Date`, in seconds.
    pub(super) clock_error_s: Option<f64>,
}

/// What went wrong below HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    /// There was no connection.
    #[error("{0}")]
    Dial(probe::Fault),
    /// Nothing, or not all of the answer, came in time.
    #[error("no complete answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// The peer ended the connection before its answer was complete.
    #[error("the connection was closed before a complete answer")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Cut(String),
    /// What came is not HTTP, or far too long.
    #[error("the answer is not one that CloudWatch gives: {0}")]
    Garbled(String),
    /// The request could not be made.
    #[error("the request could not be made: {0}")]
    Ours(String),
}

impl Evidence {
    /// Forgets everything: a new exchange begins.
    pub(super) fn clear(&self) {
        *self.look() = Seen::default();
    }

    /// What the latest exchange showed.
    pub(super) fn seen(&self) -> Seen {
        self.look().clone()
    }

    fn look(&self) -> MutexGuard<'_, Seen> {
        // A panic elsewhere cannot leave these half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector {
    /// A connector whose exchanges end within `budget`, name and handshake included.
    pub(super) fn new(
        dialer: Dialer,
        surroundings: watch::Receiver<Surroundings>,
        spread: u64,
        budget: Duration,
    ) -> Self {
        Self { dialer, surroundings, spread, budget, evidence: Evidence::default() }
    }

    /// The same with evidence of its own and another budget: for credentials, whose exchanges tell nothing of CloudWatch.
    pub(super) fn apart(&self, budget: Duration) -> Self {
        Self { budget, evidence: Evidence::default(), ..self.clone() }
    }

    /// What its exchanges show.
    pub(super) const fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// One exchange.
    pub(super) async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, Broken> {
        self.evidence.clear();
        let end = Instant::now() + self.budget;
        let work = self.carry_out(request, end);
        let result = tokio::select! {
            biased;
            result = work => result,
            () = sleep_until(end) => Err(Broken::Silent(self.budget)),
        };
        if let Err(broken) = &result {
            self.evidence.look().broken = Some(broken.clone());
        }
        result
    }

    async fn carry_out(&self, request: HttpRequest, end: Instant) -> Result<HttpResponse, Broken> {
        let request = plain(request).await?;
        let call = self.call_of(request.uri(), end)?;
        self.evidence.look().host.clone_from(&call.host);
        let line = self.dialer.open(&call).await.map_err(Broken::Dial)?;
        {
            let mut seen = self.evidence.look();
            seen.peer = Some(line.address);
            seen.segments = line.segments;
        }
        let length = request.body().size();
        let wire = TokioIo::new(Wire::new(line, self.evidence.clone(), length));
        let (response, took) = converse(wire, origin_form(request)?).await?;
        let answer = answer(&response, took);
        self.evidence.look().answer = Some(answer);
        HttpResponse::try_from(response.map(SdkBody::from)).map_err(|error| Broken::Garbled(error.to_string()))
    }

    fn call_of(&self, uri: &Uri, deadline: Instant) -> Result<Call, Broken> {
        let ours = || Broken::Ours(format!("{uri} is no address of a service"));
        let (security, port) = match uri.scheme_str() {
            Some("https") => (Security::Tls, 443),
            Some("http") => (Security::Plain, 80),
            Some(_) | None => return Err(ours()),
        };
        let host = uri.host().ok_or_else(ours)?.trim_matches(['[', ']']).to_owned();
        let Surroundings { dns, family, ways, .. } = self.surroundings.borrow().clone();
        let port = uri.port_u16().unwrap_or(port);
        Ok(Call { host, port, security, dns, family, ways, spread: self.spread, deadline })
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, _settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            connector.exchange(request).await.map_err(|broken| match broken {
                Broken::Silent(_) => ConnectorError::timeout(broken.into()),
                Broken::Ours(_) => ConnectorError::user(broken.into()),
                Broken::Dial(_) | Broken::Closed | Broken::Cut(_) | Broken::Garbled(_) => {
                    ConnectorError::io(broken.into())
                }
            })
        })
    }
}

/// The request with its whole body in memory, as it was given to us: its length is what tells when all of it is sent.
async fn plain(request: HttpRequest) -> Result<Request<Whole>, Broken> {
    let ours = |error: &dyn fmt::Display| Broken::Ours(error.to_string());
    let (parts, body) = request.try_into_http1x().map_err(|error| ours(&error))?.into_parts();
    let whole = match body.bytes() {
        Some(bytes) => Bytes::copy_from_slice(bytes),
        None => ByteStream::new(body).collect().await.map_err(|error| ours(&error))?.into_bytes(),
    };
    Ok(Request::from_parts(parts, Whole(whole)))
}

/// A body in memory.
struct Whole(Bytes);

impl Whole {
    const fn size(&self) -> usize {
        self.0.len()
    }
}

/// The request as HTTP/1.1 writes it to the server itself (RFC 9112, 3.2.1), for a connection that ends with it.
fn origin_form(request: Request<Whole>) -> Result<Request<Full<Bytes>>, Broken> {
    let (mut parts, body) = request.into_parts();
    let ours = |error: &dyn fmt::Display| Broken::Ours(error.to_string());
    if let Some(authority) = parts.uri.authority() {
        let default = if parts.uri.scheme_str() == Some("http") { 80 } else { 443 };
        let host = match authority.port_u16() {
            Some(port) if port != default => format!("{}:{port}", authority.host()),
            Some(_) | None => authority.host().to_owned(),
        };
        parts.headers.insert(HOST, HeaderValue::try_from(host).map_err(|error| ours(&error))?);
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    parts.uri = path.parse().map_err(|error| ours(&error))?;
    parts.headers.remove(EXPECT);
    parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(Request::from_parts(parts, Full::new(body.0)))
}

/// Sends the request and reads the whole answer; then ends the connection well. Says when the request began and ended,
/// by the wall clock.
async fn converse(
    wire: TokioIo<Wire>,
    request: Request<Full<Bytes>>,
) -> Result<(Response<Bytes>, [OffsetDateTime; 2]), Broken> {
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MOST_ANSWER).handshake(wire).await.map_err(|error| reading(&error))?;
    let mut connection = pin!(connection);
    let asked = OffsetDateTime::now_utc();
    let mut answer = pin!(async move {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let answered = OffsetDateTime::now_utc();
        Ok::<_, hyper::Error>((parts, bounded(body).await?, answered))
    });
    let mut open = true;
    let (parts, body, answered) = loop {
        tokio::select! {
            biased;
            result = &mut answer => break result.map_err(|error| reading(&error))?,
            // Its error reaches the answer, too.
            _ended = &mut connection, if open => open = false,
        }
    };
    if open {
        // hyper closes after the answer, as the request says; a peer that keeps its end open is not waited for.
        let end = Instant::now() + FAREWELL;
        tokio::select! {
            biased;
            _ended = &mut connection => {}
            () = sleep_until(end) => {}
        }
    }
    let body = body.ok_or_else(|| Broken::Garbled(format!("it has more than {MOST_ANSWER} bytes")))?;
    Ok((Response::from_parts(parts, body), [asked, answered]))
}

/// The whole body; `None` where it is longer than any answer of CloudWatch.
async fn bounded(mut body: Incoming) -> Result<Option<Bytes>, hyper::Error> {
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            whole.extend_from_slice(&data);
        }
        if whole.len() > MOST_ANSWER {
            return Ok(None);
        }
    }
    Ok(Some(whole.into()))
}

/// The one reading of hyper's errors.
fn reading(error: &hyper::Error) -> Broken {
    let mut causes = iter::successors(Some(error as &(dyn Error + 'static)), |error| (*error).source());
    if let Some(io) = causes.find_map(|cause| cause.downcast_ref::<io::Error>()) {
        return if io.kind() == io::ErrorKind::UnexpectedEof {
            Broken::Closed
        } else if matches!(io.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) {
            Broken::Cut("the peer reset it".to_owned())
        } else {
            Broken::Cut(io.to_string())
        };
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Broken::Closed
    } else if error.is_parse() {
        Broken::Garbled(error.to_string())
    } else if error.is_user() {
        Broken::Ours(error.to_string())
    } else {
        Broken::Cut(error.to_string())
    }
}

fn answer(response: &Response<Bytes>, [asked, answered]: [OffsetDateTime; 2]) -> Answer {
    let headers = response.headers();
    let content_type = text(headers, CONTENT_TYPE.as_str());
    let cbor = content_type.as_deref().is_some_and(|kind| kind.starts_with("application/cbor"));
    let protocol = text(headers, "smithy-protocol").as_deref() == Some("rpc-v2-cbor");
    let date = text(headers, DATE.as_str()).and_then(|date| http_date(&date));
    // `Date` has whole seconds, cut off: half of one is added. It was written somewhere between the two moments.
    let middle = asked + (answered - asked) / 2;
    let error = |date: OffsetDateTime| time::Duration::as_seconds_f64(middle - date) - 0.5;
    Answer {
        status: response.status().as_u16(),
        speaks_cbor: cbor || protocol,
        content_type,
        query_error: text(headers, "x-amzn-query-error")
            .and_then(|both| Some(both.split(';').next()?.trim().to_owned())),
        retry_after: text(headers, RETRY_AFTER.as_str())
            .and_then(|seconds| seconds.trim().parse::<u32>().ok())
            .map(|seconds| Duration::from_secs(seconds.into())),
        clock_error_s: date.map(error),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.chars().take(MOST_HEADER).collect())
}

/// The longest answer that is read, in bytes; CloudWatch's have some hundred.
const MOST_ANSWER: usize = 64 * 1024;
/// The longest header that is kept, in characters.
const MOST_HEADER: usize = 200;
/// How long the end of a connection may take after a complete answer.
const FAREWELL: Duration = Duration::from_millis(500);
