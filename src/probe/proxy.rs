//! A try through a proxy that somebody on this host will obey, made where the direct way failed.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::{
    Shared, USER_AGENT,
    connect::{self, ConnectNotes},
    http::{self, head::Head},
    tls::{self, Hello, TlsNotes},
    trail::{Ended, Notes, Stop, Trail},
    words::span,
};
use crate::model::{
    cause::Cause,
    host::Proxy,
    observation::{Failure, ProxyRecord},
    target::{Expect, Target},
};

/// What the try shows on its way.
struct ProxyNotes {
    proxy: Proxy,
    status: Option<u16>,
    step: String,
}

impl Notes for ProxyNotes {
    type Record = ProxyRecord;

    fn timed_out(&self, budget: Duration) -> Failure {
        Failure::new(Cause::TcpTimeout, format!("{} did not end within {}", self.step, span(budget)))
    }

    fn record(self, ended: Ended) -> ProxyRecord {
        ProxyRecord {
            url: self.proxy.url,
            origin: self.proxy.origin,
            agent: self.proxy.agent,
            works: ended.outcome.is_ok(),
            status: self.status,
            detail: ended.detail,
        }
    }
}

/// The proxy that matters most among those that apply to `host`: the agent's own before this shell's, HTTPS's before
/// HTTP's.
pub(super) fn choose<'a>(proxies: &'a [Proxy], host: &str, port: u16) -> Option<&'a Proxy> {
    let rank = |proxy: &Proxy| (!proxy.agent, !proxy.variable.eq_ignore_ascii_case("https_proxy"));
    proxies.iter().filter(|proxy| proxy.applies_to(host, port)).min_by_key(|proxy| rank(proxy))
}

/// CONNECT through `proxy`, and a verified TLS handshake with `target` in that tunnel, within the budgets of connect
/// and TLS together.
pub(super) async fn attempt(shared: &Arc<Shared>, target: &Target, proxy: &Proxy) -> Option<ProxyRecord> {
    let mut slot = None;
    let notes = ProxyNotes { proxy: proxy.clone(), status: None, step: String::new() };
    let budget = shared.plan.limits.connect + shared.plan.limits.tls;
    // Boxed: two handshakes, one within the other, are large, and rarely needed.
    let work = async |notes: &mut ProxyNotes| Box::pin(tunnel(shared, target, notes)).await;
    Trail::new(shared.deadline).step(&mut slot, budget, notes, work).await;
    slot
}

async fn tunnel(shared: &Shared, target: &Target, notes: &mut ProxyNotes) -> Result<(), Stop> {
    let scheme = notes.proxy.url.split_once("://").map_or("http", |(scheme, _)| scheme).to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(Failure::new(Cause::TcpDenied, format!("not tried: vpce-probe does not speak {scheme}")).into());
    }
    notes.step = format!("finding the address of the proxy {}", notes.proxy.host);
    let addresses = addresses(shared, &notes.proxy).await?;
    let mut stream = open(&addresses, notes).await?;
    if scheme == "http" {
        connect_to(&mut stream, target, notes).await?;
        return secure(shared, stream, target, notes).await;
    }
    notes.step = format!("TLS with the proxy {} itself", notes.proxy.host);
    let mut tls = TlsNotes::new(shared.clock.now());
    let host = notes.proxy.host.clone();
    let mut secured = tls::handshake(&shared.tls, Hello::Large, stream, &host, &mut tls, |_| false)
        .await
        .map_err(|stop| within(notes, stop))?;
    connect_to(&mut secured.stream, target, notes).await?;
    secure(shared, secured.stream, target, notes).await
}

/// Where the proxy listens: the config's own resolver is asked, so that no blocking `getaddrinfo` comes in.
async fn addresses(shared: &Shared, proxy: &Proxy) -> Result<Vec<SocketAddr>, Stop> {
    let bare = proxy.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, proxy.port)]);
    }
    let asked = Target {
        name: proxy.host.clone(),
        service: None,
        host: proxy.host.clone(),
        port: proxy.port,
        required: false,
        expect: Expect::Any,
        path: "/".to_owned(),
        allowed_cidrs: Vec::new(),
    };
    let answer = shared.names(&asked).answer().await;
    match answer.outcome.cause() {
        None => Ok(answer.addresses.into_iter().map(|address| SocketAddr::new(address, proxy.port)).collect()),
        Some(cause) => Err(Failure::new(cause, format!("the proxy's name {}: {cause}", proxy.host)).into()),
    }
}

/// A connection to the first address that takes one.
async fn open(addresses: &[SocketAddr], notes: &mut ProxyNotes) -> Result<tokio::net::TcpStream, Stop> {
    let mut last = Failure::new(Cause::DnsNoData, "the proxy has no address").into();
    for address in addresses.iter().take(MOST_ADDRESSES) {
        notes.step = format!("connecting to the proxy {address}");
        match connect::open(&mut ConnectNotes::new(*address)).await {
            Ok(stream) => return Ok(stream),
            Err(stop) => last = within(notes, stop),
        }
    }
    Err(last)
}

/// Asks for a tunnel. Credentials are never sent, whatever the setting holds.
async fn connect_to<IO>(stream: &mut IO, target: &Target, notes: &mut ProxyNotes) -> Result<(), Stop>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let Target { host, port, .. } = target;
    notes.step = format!("CONNECT {host}:{port} through the proxy");
    let request = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nUser-Agent: {USER_AGENT}\r\n\r\n");
    let broke = |error: std::io::Error| Failure::new(Cause::HttpClosed, format!("the proxy broke off: {error}"));
    stream.write_all(request.as_bytes()).await.map_err(broke)?;
    stream.flush().await.map_err(broke)?;
    let (head, rest) = http::head(stream).await.map_err(|stop| within(notes, stop))?;
    notes.status = Some(head.status);
    refusal(&head, &rest).map_or(Ok(()), |said| Err(Failure::new(Cause::HttpClosed, said).into()))
}

/// Why the answer to CONNECT opens no tunnel, if it does not.
fn refusal(head: &Head, rest: &[u8]) -> Option<String> {
    match head.status {
        200..=299 if rest.is_empty() => None,
        200..=299 => Some("the proxy spoke into the tunnel before anything was asked".to_owned()),
        407 => Some("the proxy wants credentials (407), which vpce-probe never sends".to_owned()),
        403 | 405 => Some(format!("the proxy refuses this host or port ({})", head.status)),
        status => Some(format!("the proxy could not, or would not, connect ({status})")),
    }
}

async fn secure<IO>(shared: &Shared, stream: IO, target: &Target, notes: &mut ProxyNotes) -> Result<(), Stop>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    notes.step = format!("TLS with {} through the proxy", target.host);
    let mut tls = TlsNotes::new(shared.clock.now());
    let secured = tls::handshake(&shared.tls, Hello::Large, stream, &target.host, &mut tls, |_| false)
        .await
        .map_err(|stop| within(notes, stop))?;
    secured.close().await;
    Ok(())
}

/// The failure, with the step at which it came.
fn within(notes: &ProxyNotes, stop: Stop) -> Stop {
    match stop {
        Stop::Network(failure) => {
            Stop::Network(Failure { detail: format!("{}: {}", notes.step, failure.detail), ..failure })
        }
        ours @ Stop::Ours { .. } => ours,
    }
}

/// Addresses of one proxy that are tried, in order.
const MOST_ADDRESSES: usize = 4;

#[cfg(test)]
mod tests {
    use super::{choose, refusal};
    use crate::{
        model::host::Proxy,
        probe::http::head::{Reading, read_head},
    };

    fn proxy(variable: &str, agent: bool, no_proxy: &[&str]) -> Proxy {
        Proxy {
            origin: "environment".to_owned(),
            agent,
            variable: variable.to_owned(),
            url: "http://proxy.example:3128".to_owned(),
            host: "proxy.example".to_owned(),
            port: 3128,
            no_proxy: no_proxy.iter().map(|entry| (*entry).to_owned()).collect(),
        }
    }

    #[test]
    fn the_agents_own_proxy_comes_first() {
        let check = |proxies: &[Proxy], expected: Option<usize>| {
            assert_eq!(
                choose(proxies, "ssm.eu-west-1.amazonaws.com", 443),
                expected.and_then(|index| proxies.get(index))
            );
        };
        check(&[], None);
        check(&[proxy("http_proxy", false, &[]), proxy("HTTPS_PROXY", false, &[])], Some(1));
        check(&[proxy("https_proxy", false, &[]), proxy("http_proxy", true, &[])], Some(1));
        check(&[proxy("https_proxy", true, &["ssm.eu-west-1.amazonaws.com"])], None);
    }

    #[test]
    fn only_a_success_without_more_opens_the_tunnel() {
        let check = |answer: &str, rest: &[u8], expected: Option<&str>| match read_head(answer.as_bytes()) {
            Reading::Complete(head) => match (refusal(&head, rest), expected) {
                (None, None) => {}
                (Some(said), Some(part)) => assert!(said.contains(part), "{said}"),
                (said, expected) => panic!("{answer:?}: {said:?}, not {expected:?}"),
            },
            other @ (Reading::Partial | Reading::Garbage(_)) => panic!("{other:?}"),
        };
        check("HTTP/1.0 200 Connection established\r\n\r\n", b"", None);
        check("HTTP/1.0 200 OK\r\n\r\n", b"<html>", Some("spoke into the tunnel"));
        check("HTTP/1.0 407 Auth\r\n\r\n", b"", Some("credentials"));
        check("HTTP/1.0 403 No\r\n\r\n", b"", Some("refuses"));
        check("HTTP/1.0 503 No\r\n\r\n", b"", Some("503"));
    }
}
