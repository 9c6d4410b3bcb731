//! The least that a round can cost: its DNS questions and its handshakes, and nothing else.
//!
//! `handshakes RESOLVER SECONDS NAME=ADDRESS,ADDRESS…` asks for each name's A and AAAA records, opens a connection to each
//! address, makes one full, verified handshake there with the TLS settings of vpce-probe, and closes it in order; all side
//! by side, once in so many seconds. Each round is a line on standard output. The bench holds the daemon's CPU time against
//! this.

use std::{
    env,
    error::Error,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, kx_group},
    },
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UdpSocket},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tokio_rustls::TlsConnector;

/// One host name, and where it is expected.
#[derive(Clone)]
struct Target {
    name: String,
    addresses: Vec<IpAddr>,
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Ended {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(rounds())
}

async fn rounds() -> Ended {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [resolver, seconds, targets @ ..] = arguments.as_slice() else {
        return Err("usage: handshakes RESOLVER SECONDS NAME=ADDRESS,ADDRESS…".into());
    };
    let resolver = SocketAddr::new(resolver.parse()?, 53);
    let targets = targets.iter().map(|target| read(target)).collect::<Result<Vec<_>, _>>()?;
    let tls = TlsConnector::from(Arc::new(settings()?));
    let mut pace = interval(Duration::from_secs_f64(seconds.parse()?));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        let mut tasks = JoinSet::new();
        for target in targets.clone() {
            tasks.spawn(probe(resolver, target, tls.clone()));
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        io::stdout().write_all(b"round\n")?;
        io::stdout().flush()?;
    }
}

fn read(target: &str) -> Result<Target, Box<dyn Error + Send + Sync>> {
    let (name, addresses) = target.split_once('=').ok_or("a target is NAME=ADDRESS,ADDRESS…")?;
    let addresses = addresses.split(',').map(str::parse).collect::<Result<_, _>>()?;
    Ok(Target { name: name.to_owned(), addresses })
}

async fn probe(resolver: SocketAddr, target: Target, tls: TlsConnector) -> Ended {
    let (a, aaaa) = tokio::join!(ask(resolver, &target.name, A), ask(resolver, &target.name, AAAA));
    a.and(aaaa)?;
    let mut tasks = JoinSet::new();
    for address in target.addresses {
        let (tls, name) = (tls.clone(), ServerName::try_from(target.name.clone())?);
        tasks.spawn(async move {
            let stream = TcpStream::connect((address, 443)).await?;
            stream.set_nodelay(true)?;
            // RFC 8446, section 6.1: who closes its side says so.
            tls.connect(name, stream).await?.shutdown().await
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// Asks one question, and waits for what comes.
async fn ask(resolver: SocketAddr, name: &str, kind: u8) -> Ended {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(resolver).await?;
    // An id, "recursion desired", one question.
    let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len())?);
        question.extend(label.bytes());
    }
    question.extend([0, 0, kind, 0, 1]);
    socket.send(&question).await?;
    socket.recv(&mut [0; 1500]).await?;
    Ok(())
}

/// As src/probe/tls.rs has them.
fn settings() -> Result<ClientConfig, Box<dyn Error + Send + Sync>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let kx_groups = vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    let provider = CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

const A: u8 = 1;
const AAAA: u8 = 28;
