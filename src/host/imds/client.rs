//! The AWS SDK's IMDS client, with every answer bounded and every failure sorted.

use std::{
    error::Error,
    iter, mem,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_config::{
    imds::{
        Client,
        client::error::{ImdsError, TokenError},
    },
    provider_config::ProviderConfig,
};
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::{ConnectorError, SdkError},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};

/// How one question to IMDS ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// 200 with this text.
    Text(String),
    /// 404: not set on this instance, which is normal for many items.
    Absent,
    /// 403.
    Denied,
    /// An answer that the metadata service does not give.
    Garbled,
    /// No answer, or the service is too busy.
    Failed,
    /// There is no token to ask with.
    NoToken(NoToken),
}

/// Why there is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    /// The PUT was answered with this status and no token.
    Status(u16),
    /// The PUT's answer was not HTTP, or far too long.
    Garbled,
    /// The PUT was not answered in time.
    TimedOut,
    /// Refused, no route, reset: known at once.
    Unreachable,
}

/// What came back to a GET without a token, as version 1 of the metadata service took it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// An HTTP status, and the body where that was 200.
    Status(u16, String),
    /// Something that the metadata service does not say.
    Garbled,
    /// Nothing.
    Silent,
}

/// An SDK client for one IMDS address. It reads neither profile nor credentials; its HTTP client obeys no proxy.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    endpoint: SocketAddr,
    client: Client,
    wire: Arc<Wire>,
}

/// What the SDK keeps to itself: whether a token came, and the connection pool below the client.
#[derive(Debug, Default)]
struct Wire {
    token: AtomicBool,
    connector: OnceLock<SharedHttpConnector>,
}

impl Asker {
    /// A client that gives up a connection after `connect` and everything after `budget`; `None` for an address that makes
    /// no URL. TCP itself sends again what is lost: a request is made once more only after a 5xx or a 401.
    pub(super) fn new(endpoint: SocketAddr, connect: Duration, budget: Duration) -> Option<Self> {
        let wire = Arc::new(Wire::default());
        let http = Bounded { inner: Builder::new().build_http(), wire: Arc::clone(&wire) };
        let provider = ProviderConfig::without_region().with_http_client(http);
        let builder = match Client::builder().configure(&provider).endpoint(format!("http://{endpoint}")) {
            Ok(builder) => builder,
            Err(error) => {
                tracing::debug!(%endpoint, %error, "not an address for IMDS");
                return None;
            }
        };
        let client = builder
            .max_attempts(2)
            .connect_timeout(connect)
            .read_timeout(budget)
            .operation_attempt_timeout(budget)
            .operation_timeout(budget)
            .build();
        Some(Self { endpoint, client, wire })
    }

    /// Asks for `path`.
    pub(super) async fn ask(&self, path: String) -> Reply {
        match self.client.get(path).await {
            Ok(text) => Reply::Text(String::from(text)),
            Err(error) => reply_of(&error),
        }
    }

    /// Asks for `path` without a token, beside the SDK, which never does.
    ///
    /// Only where the token's PUT fails in a way that needs it to be told apart: each such request counts in the instance's
    /// `MetadataNoToken` metric, which people watch before they turn version 1 off.
    pub(super) async fn ask_plain(&self, path: &str) -> Plain {
        let request = HttpRequest::get(format!("http://{}{path}", self.endpoint));
        // The connector is there as soon as the SDK has sent its PUT.
        let (Some(connector), Ok(request)) = (self.wire.connector.get(), request) else { return Plain::Silent };
        match whole(connector.call(request)).await {
            Ok(response) => {
                let status = response.status().as_u16();
                let body = response.body().bytes().filter(|_| status == 200).unwrap_or_default();
                Plain::Status(status, String::from_utf8_lossy(body).trim().to_owned())
            }
            Err(Transport::Garbled) => Plain::Garbled,
            Err(Transport::Io | Transport::TimedOut) => Plain::Silent,
        }
    }

    /// Whether a PUT was answered with a token: the service is there, however late it answers the rest.
    pub(super) fn has_token(&self) -> bool {
        self.wire.token.load(Ordering::Relaxed)
    }
}

fn reply_of(error: &ImdsError) -> Reply {
    if let ImdsError::ErrorResponse(error) = error {
        return match error.response().status().as_u16() {
            404 => Reply::Absent,
            403 => Reply::Denied,
            401 | 429 | 500..=599 => Reply::Failed,
            _ => Reply::Garbled,
        };
    }
    if let ImdsError::FailedToLoadToken(_) = error {
        return Reply::NoToken(no_token(error));
    }
    match find::<Transport>(error) {
        Some(Transport::Io | Transport::TimedOut) => Reply::Failed,
        // The SDK's own time-out.
        None if matches!(error, ImdsError::IoError(_)) => Reply::Failed,
        // Not HTTP, far too long, or not UTF-8.
        Some(Transport::Garbled) | None => Reply::Garbled,
    }
}

fn no_token(error: &ImdsError) -> NoToken {
    let Some(failure) = find::<SdkError<TokenError, HttpResponse>>(error) else { return NoToken::Garbled };
    if let SdkError::TimeoutError(_) = failure {
        return NoToken::TimedOut;
    }
    if let Some(response) = failure.raw_response() {
        return NoToken::Status(response.status().as_u16());
    }
    match find::<Transport>(failure) {
        Some(Transport::TimedOut) => NoToken::TimedOut,
        Some(Transport::Io) => NoToken::Unreachable,
        Some(Transport::Garbled) | None => NoToken::Garbled,
    }
}

/// The first error of type `E` in the chain.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    iter::successors(Some(error), |error| (*error).source()).find_map(|error| error.downcast_ref())
}

/// What went wrong below HTTP: put in place of hyper's errors, which cannot be told apart from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Transport {
    #[error("no answer in time")]
    TimedOut,
    #[error("the connection failed")]
    Io,
    #[error("the answer is not one of the metadata service")]
    Garbled,
}

impl Transport {
    fn of(error: &ConnectorError) -> Self {
        if error.is_timeout() {
            Self::TimedOut
        } else if error.is_io() || error.as_other().is_some() || find::<std::io::Error>(error).is_some() {
            // "Other" of a kind is a connection that ended before the answer did.
            Self::Io
        } else {
            Self::Garbled
        }
    }

    fn into_connector_error(self) -> ConnectorError {
        match self {
            Self::TimedOut => ConnectorError::timeout(self.into()),
            Self::Io => ConnectorError::io(self.into()),
            Self::Garbled => ConnectorError::other(self.into(), None),
        }
    }
}

/// An HTTP client whose answers are cut off at [`MOST_BODY`]: the SDK reads a body to its end, however long that is.
#[derive(Debug)]
struct Bounded {
    inner: SharedHttpClient,
    wire: Arc<Wire>,
}

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        // The inner one: what is kept in `wire` must not itself keep `wire` alive.
        self.wire.connector.get_or_init(|| inner.clone());
        SharedHttpConnector::new(BoundedConnector { inner, wire: Arc::clone(&self.wire) })
    }
}

#[derive(Debug)]
struct BoundedConnector {
    inner: SharedHttpConnector,
    wire: Arc<Wire>,
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = (request.method() == "PUT").then(|| Arc::clone(&self.wire));
        let answer = self.inner.call(request);
        HttpConnectorFuture::new(async move {
            let response = whole(answer).await.map_err(Transport::into_connector_error)?;
            let gives_token = response.status().is_success() && response.headers().contains_key(TTL);
            if let Some(wire) = wire.filter(|_| gives_token) {
                wire.token.store(true, Ordering::Relaxed);
            }
            Ok(response)
        })
    }
}

/// The answer with its whole body in memory.
async fn whole(answer: HttpConnectorFuture) -> Result<HttpResponse, Transport> {
    let mut response = answer.await.map_err(|error| Transport::of(&error))?;
    let body = mem::replace(response.body_mut(), SdkBody::taken());
    *response.body_mut() = bounded(body).await?;
    Ok(response)
}

async fn bounded(body: SdkBody) -> Result<SdkBody, Transport> {
    let mut stream = ByteStream::new(body);
    let mut whole: Vec<u8> = Vec::new();
    while let Some(piece) = stream.next().await {
        whole.extend_from_slice(&piece.map_err(|_| Transport::Io)?);
        if whole.len() > MOST_BODY {
            return Err(Transport::Garbled);
        }
    }
    Ok(SdkBody::from(whole))
}

/// The header without which an answer to the PUT gives no token.
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
/// The longest item, the CIDRs of a VPC, has some hundred bytes.
const MOST_BODY: usize = 64 * 1024;
