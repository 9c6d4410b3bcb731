//! The lab's server that completes X25519MLKEM768, which nginx cannot before OpenSSL 3.5.
//!
//! `pqserver CHAIN KEY REGION MODE:KIND:ADDRESS…` answers on port 443 of each address like the `aws` mode of
//! labkit/https.py, and says `ready` once it listens everywhere. A mode is `pq` (X25519MLKEM768, X25519) or `pq-only`; a
//! kind is `api` or `s3`.
#![expect(clippy::disallowed_types, reason = "one thread a connection, and no runtime")]

use std::{
    env,
    error::Error,
    io::{self, Read, Write},
    net::{IpAddr, Shutdown, TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, kx_group},
    },
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

/// What a front end reads of a request's head before it gives up, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
const HEADERS: usize = 64;
/// How long a peer may take to close after us: until then what we said last is not thrown away.
const LINGER: Duration = Duration::from_secs(1);
const DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

const MISSING: &str = "<UnknownOperationException/>\n";
const VERSION: &str = "3.3.2299.0\n";
const DENIED: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied\
                      </Message><RequestId>LABREQUEST0000001</RequestId></Error>";

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// One address: how it handshakes and what it answers.
struct Site {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    /// The path of S3's canary; an API has none.
    canary: Option<String>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [chain, key, region, sites @ ..] = arguments.as_slice() else {
        return Err("usage: pqserver CHAIN KEY REGION MODE:KIND:ADDRESS…".into());
    };
    let sites = sites.iter().map(|site| open(site, chain, key, region)).collect::<Result<Vec<_>, _>>()?;
    let threads: Vec<_> = sites.into_iter().map(|site| thread::spawn(move || accept(&site))).collect();
    io::stdout().write_all(b"ready\n")?;
    io::stdout().flush()?;
    for thread in threads {
        thread.join().map_err(|_| "a listener panicked")?;
    }
    Ok(())
}

fn open(site: &str, chain: &str, key: &str, region: &str) -> Result<Site, Box<dyn Error>> {
    let mut parts = site.splitn(3, ':');
    let (Some(mode), Some(kind), Some(address)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!("{site} is not MODE:KIND:ADDRESS").into());
    };
    let address: IpAddr = address.parse()?;
    let canary = match kind {
        "api" => None,
        "s3" => Some(format!("/amazon-ssm-{region}/latest/VERSION")),
        _ => return Err(format!("{kind} is no kind").into()),
    };
    let config = Arc::new(config(mode, chain, key)?);
    Ok(Site { listener: TcpListener::bind((address, 443))?, config, canary })
}

fn config(mode: &str, chain: &str, key: &str) -> Result<ServerConfig, Box<dyn Error>> {
    let (kx_groups, versions) = match mode {
        "pq" => (vec![kx_group::X25519MLKEM768, kx_group::X25519], vec![&TLS13, &TLS12]),
        "pq-only" => (vec![kx_group::X25519MLKEM768], vec![&TLS13]),
        _ => return Err(format!("{mode} is no mode").into()),
    };
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<Vec<_>, _>>()?;
    Ok(ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&versions)?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?)
}

fn accept(site: &Site) {
    for stream in site.listener.incoming().flatten() {
        let (config, canary) = (Arc::clone(&site.config), site.canary.clone());
        thread::spawn(move || {
            // The peer gave up first: that is its right.
            let _gone = converse(stream, config, canary.as_deref());
        });
    }
}

fn converse(stream: TcpStream, config: Arc<ServerConfig>, canary: Option<&str>) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut tls = StreamOwned::new(ServerConnection::new(config)?, stream);
    let said = converse_in(&mut tls, canary);
    tls.conn.send_close_notify();
    // Not `flush`, which would read on, and stop at what it has stopped at before.
    while tls.conn.wants_write() {
        tls.conn.write_tls(&mut tls.sock)?;
    }
    // Closing with bytes unread would reset the connection, and the peer lose our last words (an alert, say).
    tls.sock.shutdown(Shutdown::Write)?;
    tls.sock.set_read_timeout(Some(LINGER))?;
    io::copy(&mut tls.sock, &mut io::sink())?;
    said
}

/// Answers one request after the other, until the peer has no more or asks for the end.
fn converse_in(tls: &mut Tls, canary: Option<&str>) -> Result<(), Box<dyn Error>> {
    let mut waiting = Vec::new();
    while let Some(request) = Request::read(tls, &mut waiting)? {
        tls.write_all(&request.answer(canary)?)?;
        tls.flush()?;
        if request.is_last {
            break;
        }
    }
    Ok(())
}

/// What the answer depends on; the body is read and dropped.
struct Request {
    method: String,
    path: String,
    is_last: bool,
}

/// A request's head, its length, and that of the body which follows.
struct Head {
    request: Request,
    length: usize,
    body: usize,
}

impl Request {
    /// The next request, to the end of its body; `waiting` holds what has arrived beyond. None: the peer has closed.
    fn read(tls: &mut Tls, waiting: &mut Vec<u8>) -> Result<Option<Self>, Box<dyn Error>> {
        let mut piece = [0; 16 * 1024];
        loop {
            if let Some(Head { request, length, body }) = Self::parse(waiting)? {
                waiting.drain(..length);
                let mut missing = body.saturating_sub(waiting.len());
                waiting.drain(..body.min(waiting.len()));
                while missing > 0 {
                    let count = tls.read(&mut piece)?;
                    let rest = piece.get(..count).unwrap_or_default();
                    if rest.is_empty() {
                        return Ok(None);
                    }
                    waiting.extend(rest.iter().skip(missing));
                    missing = missing.saturating_sub(count);
                }
                return Ok(Some(request));
            }
            if waiting.len() > HEAD_LIMIT {
                return Err("the request's head is too long".into());
            }
            match tls.read(&mut piece)? {
                0 => return Ok(None),
                count => waiting.extend(piece.iter().take(count)),
            }
        }
    }

    /// The whole head at the start of `bytes`.
    fn parse(bytes: &[u8]) -> Result<Option<Head>, Box<dyn Error>> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut parsed = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head) = parsed.parse(bytes)? else {
            return Ok(None);
        };
        let value = |name: &str| {
            let found = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
            found.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
        };
        let body = value("content-length").map_or(Ok(0), |length| length.parse())?;
        let is_last = value("connection").is_some_and(|said| said == "close") || parsed.version == Some(0);
        let (method, path) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        let request = Self { method: method.to_owned(), path: path.to_owned(), is_last };
        Ok(Some(Head { request, length: head, body }))
    }

    /// As the `aws` mode of labkit/https.py answers.
    fn answer(&self, canary: Option<&str>) -> Result<Vec<u8>, Box<dyn Error>> {
        let (status, body) = match canary {
            None => ("404 Not Found", MISSING),
            Some(_) if self.method != "GET" => ("405 Method Not Allowed", DENIED),
            Some(path) if self.path == path => ("200 OK", VERSION),
            Some(_) => ("403 Forbidden", DENIED),
        };
        let identity = match canary {
            None => "Server: Server\r\nx-amzn-RequestId: 01234567-89ab-cdef-0123-456789abcdef",
            Some(_) => "Server: AmazonS3\r\nx-amz-request-id: LABREQUEST0000001\r\nx-amz-id-2: bGFiIGhvc3QgaWQ=",
        };
        let (date, length) = (OffsetDateTime::now_utc().format(DATE)?, body.len());
        let connection = if self.is_last { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 {status}\r\n{identity}\r\nDate: {date}\r\nContent-Type: application/x-amz-json-1.1\r\n\
             Content-Length: {length}\r\nConnection: {connection}\r\n\r\n"
        );
        // In one piece: one record, one segment.
        Ok([head.as_bytes(), body.as_bytes()].concat())
    }
}
