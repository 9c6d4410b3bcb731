//! The other side of the probe: a name server and servers of all manners on loopback, and a plan that leads to them.

use std::{
    collections::BTreeMap,
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{RData, Record, RecordType},
};
use rustls::{ServerConfig, crypto::aws_lc_rs};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UdpSocket},
    time::Instant,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use vpce_probe::{
    model::{
        host::{NameServer, Proxy},
        observation::{AddressRecord, Observation},
        plan::{AddressRules, DnsPlan, Family, Limits, MtuMode, MtuPlan, Plan, TlsPlan},
        target::{Expect, Target},
    },
    probe::Prober,
};

use crate::pki::Identity;

pub(crate) const HOST: &str = "ssm.eu-west-1.amazonaws.com";

/// Names and what they resolve to.
pub(crate) type Zone = BTreeMap<String, Vec<IpAddr>>;

/// A zone in which [`HOST`] is 127.0.0.1.
pub(crate) fn local() -> Zone {
    zone(&[(HOST, &["127.0.0.1"])])
}

pub(crate) fn zone(entries: &[(&str, &[&str])]) -> Zone {
    let address = |text: &&str| text.parse().expect("an address");
    entries.iter().map(|(name, list)| ((*name).to_owned(), list.iter().map(address).collect())).collect()
}

pub(crate) fn target(host: &str, port: u16) -> Target {
    Target {
        name: host.split('.').next().unwrap_or(host).to_owned(),
        service: None,
        host: host.to_owned(),
        port,
        required: true,
        expect: Expect::Any,
        path: "/".to_owned(),
        allowed_cidrs: Vec::new(),
    }
}

/// A plan with budgets short enough for a test.
pub(crate) fn plan(targets: Vec<Target>, ca: &tempfile::NamedTempFile) -> Plan {
    Plan {
        region: Some("eu-west-1".to_owned()),
        targets,
        round_deadline: Duration::from_secs(8),
        limits: Limits {
            resolve: Duration::from_secs(2),
            connect: Duration::from_secs(2),
            tls: Duration::from_millis(1_200),
            http: Duration::from_millis(700),
            mtu: Duration::from_secs(1),
        },
        family: Family::Any,
        http: true,
        dns: DnsPlan { servers: Vec::new(), vpc: None, attempts: 4, hosts_file: false },
        addresses: AddressRules::default(),
        tls: TlsPlan {
            post_quantum: true,
            extra_ca_file: Some(ca.path().to_owned()),
            expiry_warning: Duration::from_hours(336),
            expected_issuers: Vec::new(),
        },
        mtu: MtuPlan { mode: MtuMode::Off, repeat_every: 10, spread: 0 },
    }
}

/// One round of `plan` with the names of `zone`.
pub(crate) async fn round(plan: Plan, zone: Zone) -> Vec<Observation> {
    round_with(plan, zone, &[], &|_| {}).await
}

pub(crate) async fn round_with(
    mut plan: Plan,
    zone: Zone,
    proxies: &[Proxy],
    done: &dyn Fn(usize),
) -> Vec<Observation> {
    plan.dns.servers = vec![NameServer { address: name_server(zone).await, behind: None }];
    let prober = Prober::new(&plan.tls).expect("a trust store");
    prober.round(&plan, proxies, Instant::now() + plan.round_deadline, done).await
}

/// The one address of the one target of `plan`.
pub(crate) async fn one(plan: Plan) -> AddressRecord {
    let mut seen = round(plan, local()).await;
    assert_eq!(seen.len(), 1);
    let observation = seen.remove(0);
    assert_eq!(observation.exhausted, None);
    assert_eq!(observation.addresses.len(), 1, "{observation:?}");
    observation.addresses.into_iter().next().expect("an address")
}

/// A name server for `zone`; other names do not exist.
pub(crate) async fn name_server(zone: Zone) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut buffer = [0; 2_048];
        while let Ok((count, client)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = answer(&zone, &buffer[..count]) {
                let _ = socket.send_to(&answer, client).await;
            }
        }
    });
    address
}

fn answer(zone: &Zone, question: &[u8]) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(question).ok()?;
    let query = message.queries.first()?.clone();
    message.metadata.message_type = MessageType::Response;
    message.metadata.recursion_available = true;
    message.additionals.clear();
    let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    match zone.get(&name) {
        None => message.metadata.response_code = ResponseCode::NXDomain,
        Some(addresses) => {
            for address in addresses {
                let data = match (address, query.query_type()) {
                    (IpAddr::V4(v4), RecordType::A) => RData::A((*v4).into()),
                    (IpAddr::V6(v6), RecordType::AAAA) => RData::AAAA((*v6).into()),
                    _ => continue,
                };
                message.answers.push(Record::from_rdata(query.name().clone(), 60, data));
            }
        }
    }
    message.to_vec().ok()
}

/// A server on 127.0.0.1 that does `serve` with each connection; its port.
pub(crate) async fn server<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let port = listener.local_addr().expect("its address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// TLS 1.2 and 1.3 with `identity`, tickets on, as servers do.
pub(crate) fn tls(identity: Identity) -> ServerConfig {
    versions(identity, rustls::ALL_VERSIONS)
}

pub(crate) fn versions(identity: Identity, versions: &[&'static rustls::SupportedProtocolVersion]) -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .expect("an identity");
    config.ticketer = aws_lc_rs::Ticketer::new().expect("tickets");
    config.send_tls13_tickets = 2;
    config
}

/// A TLS server that does `serve` with each session; its port.
pub(crate) async fn tls_server<F>(
    config: ServerConfig,
    serve: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    server(move |stream| {
        let accept = acceptor.accept(stream);
        let serve = serve.clone();
        async move {
            if let Ok(session) = accept.await {
                serve(session).await;
            }
        }
    })
    .await
}

/// A TLS server that reads a request, says `answer` and closes.
pub(crate) async fn web_server(config: ServerConfig, answer: impl Into<Vec<u8>>) -> u16 {
    let answer: Arc<[u8]> = answer.into().into();
    tls_server(config, move |mut session| {
        let answer = Arc::clone(&answer);
        async move {
            read_request(&mut session).await;
            let _ = session.write_all(&answer).await;
            let _ = session.shutdown().await;
        }
    })
    .await
}

/// Everything up to the empty line.
pub(crate) async fn read_request<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&request).into_owned()
}

/// Something that servers write down and tests read.
pub(crate) type Log<T> = Arc<Mutex<Vec<T>>>;

pub(crate) fn read<T: Clone>(log: &Log<T>) -> Vec<T> {
    log.lock().expect("not poisoned").clone()
}

pub(crate) fn write<T>(log: &Log<T>, entry: T) {
    log.lock().expect("not poisoned").push(entry);
}
