//! One TLS handshake on an open connection, verified, and never resumed.

mod certificates;
mod fault;
mod sizing;
mod verifier;
mod wire;

use std::{collections::HashSet, future::poll_fn, io, pin::Pin, sync::Arc, task::Poll, time::Duration};

use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion,
    client::{Resumption, WebPkiServerVerifier},
    crypto::{
        CryptoProvider,
        aws_lc_rs::{self, kx_group},
    },
    pki_types::{ServerName, UnixTime},
};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(super) use self::sizing::{Hello, Sizing};
pub(super) use self::wire::Wire;
use self::{
    certificates::NO_CHAIN,
    fault::{Scene, Spoke},
    verifier::{Recorder, Verifier},
    wire::Sight,
};
use super::{
    ProbeError,
    trail::{Ended, Notes, Stop},
    trust,
    words::span,
};
use crate::model::{
    cause::Cause,
    observation::{Failure, LargeHello, TlsRecord},
    plan::TlsPlan,
    units::Timestamp,
};

/// The TLS settings and the trust store, which outlive a round.
pub(super) struct Client {
    /// What the plan asks for.
    config: ClientConfig,
    /// The same with classical key shares only; `None` where the plan asks for nothing else.
    small: Option<ClientConfig>,
    sizing: Sizing,
    verifier: Arc<Verifier>,
    trusted: HashSet<Vec<u8>>,
}

/// A connection on which a verified TLS session runs.
pub(super) struct Secured<IO> {
    /// The session.
    pub(super) stream: TlsStream<Wire<IO>>,
}

/// What the handshake shows on its way.
pub(super) struct TlsNotes {
    sight: Sight,
    now: OffsetDateTime,
    session: Session,
}

/// What was agreed.
#[derive(Default)]
struct Session {
    version: Option<String>,
    cipher: Option<String>,
    key_exchange: Option<String>,
}

impl Client {
    /// Loads the trust store and prepares the settings of `plan`.
    ///
    /// # Errors
    /// [`ProbeError::TrustStore`].
    pub(super) fn new(plan: &TlsPlan) -> Result<Self, ProbeError> {
        let roots = Arc::new(trust::load(plan.extra_ca_file.as_deref())?);
        let provider = Arc::new(provider(plan.post_quantum));
        let unusable = |error: &dyn std::fmt::Display| ProbeError::TrustStore(error.to_string());
        let trusted = roots.subjects().into_iter().map(|subject| subject.as_ref().to_vec()).collect();
        let rules = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| unusable(&error))?;
        let settings = |provider: Arc<CryptoProvider>| {
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
                .map_err(|error| unusable(&error))?
                .with_webpki_verifier(Arc::clone(&rules))
                .with_no_client_auth();
            // With resumption nothing would be verified, and no certificate flight sent, from the second round on.
            config.resumption = Resumption::disabled();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Ok(config)
        };
        let config = settings(provider)?;
        let small = plan.post_quantum.then(|| settings(Arc::new(self::provider(false)))).transpose()?;
        let sizing = Sizing::new().map_err(|error| unusable(&error))?;
        let verifier = Arc::new(Verifier::new(rules));
        Ok(Self { config, small, sizing, verifier, trusted })
    }

    /// Whether the ordinary hello is a large one.
    pub(super) const fn says_large_hello(&self) -> bool {
        self.small.is_some()
    }

    /// The settings of sessions that only measure sizes.
    pub(super) const fn sizing(&self) -> &Sizing {
        &self.sizing
    }

    /// A connector that shows the server's certificates to `sight` before they are judged.
    fn connector(&self, hello: Hello, sight: &Sight, now: OffsetDateTime) -> TlsConnector {
        let mut config = match (hello, &self.small) {
            (Hello::Small, Some(small)) => small.clone(),
            (Hello::Small | Hello::Large, _) => self.config.clone(),
        };
        config.dangerous().set_certificate_verifier(Arc::new(Recorder {
            verifier: Arc::clone(&self.verifier),
            sight: sight.clone(),
            now: unix(now),
        }));
        TlsConnector::from(Arc::new(config))
    }
}

/// Makes the handshake with the server called `host` over `io`, with a large hello where the plan asks for one at all.
/// Where `is_followed` says so of `io` in the end, this side's last flight waits for the words that will follow it at
/// once; else it is sent, and what comes of that belongs to the handshake.
pub(super) async fn handshake<IO>(
    client: &Client,
    hello: Hello,
    io: IO,
    host: &str,
    notes: &mut TlsNotes,
    is_followed: impl FnOnce(&IO) -> bool,
) -> Result<Secured<IO>, Stop>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(host.to_owned()).map_err(|error| Stop::Ours {
        detail: format!("TLS cannot ask for the name {host:?}: {error}"),
        errno: None,
    })?;
    let connector = client.connector(hello, &notes.sight, notes.now);
    let wire = Wire::new(io, notes.sight.clone());
    match connector.connect(name.clone(), wire).into_fallible().await {
        Ok(mut stream) => {
            stream.get_mut().0.shaken();
            if !is_followed(stream.get_ref().0.inner())
                && let Err(error) = stream.flush().await
            {
                return Err(notes.read(client, &error, host, &name));
            }
            notes.session = Session::of(&stream);
            Ok(Secured { stream })
        }
        Err((error, mut wire)) => {
            wire.overhear().await;
            Err(notes.read(client, &error, host, &name))
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Secured<IO> {
    /// The connection below TLS.
    pub(super) fn connection(&self) -> &IO {
        self.stream.get_ref().0.inner()
    }

    /// The session apart from its connection, after everything that it said. An error shows with the next use, too.
    pub(super) async fn into_parts(mut self) -> (IO, ClientConnection) {
        let _ = self.stream.flush().await;
        let (wire, session) = self.stream.into_inner();
        (wire.into_inner(), session)
    }

    /// Says goodbye without waiting for an answer.
    pub(super) async fn close(mut self) {
        poll_fn(|context| {
            let _ = Pin::new(&mut self.stream).poll_shutdown(context);
            Poll::Ready(())
        })
        .await;
    }
}

impl TlsNotes {
    /// Nothing seen yet; certificates are judged as of `now`.
    pub(super) fn new(now: OffsetDateTime) -> Self {
        Self { sight: Sight::default(), now, session: Session::default() }
    }

    /// Bytes sent before the first byte came.
    pub(super) fn hello_bytes(&self) -> u64 {
        self.sight.look().first_flight
    }

    fn read(&self, client: &Client, error: &io::Error, host: &str, name: &ServerName<'_>) -> Stop {
        let seen = self.sight.look();
        let shown = seen.shown.as_deref();
        fault::read(
            error,
            &Scene {
                host,
                now: self.now,
                heard: &seen.heard,
                sent: shown.map(|shown| shown.sent.as_slice()).unwrap_or_default(),
                chain: shown.map_or(&NO_CHAIN, |shown| &shown.chain),
                trusted: &client.trusted,
                apart_from_dates: shown.and_then(|shown| client.verifier.apart_from_dates(shown, name)),
            },
        )
    }
}

impl Notes for TlsNotes {
    type Record = TlsRecord;

    fn timed_out(&self, budget: Duration) -> Failure {
        let seen = self.sight.look();
        let within = span(budget);
        match Spoke::of(&seen.heard) {
            Spoke::Other => Failure::new(Cause::TlsNotTls, fault::said_instead(&seen.heard)),
            Spoke::Nothing => Failure::new(
                Cause::TlsTimeout,
                format!("not one byte came within {within} after a ClientHello of {} bytes", seen.first_flight),
            ),
            Spoke::Tls => Failure::new(
                Cause::TlsTimeout,
                format!("the server began to answer ({} bytes) and did not finish within {within}", seen.received),
            ),
        }
    }

    fn record(self, ended: Ended) -> TlsRecord {
        let seen = self.sight.look();
        let chain = seen.shown.as_ref().map_or(&NO_CHAIN, |shown| &shown.chain);
        let sent = chain.length > 0;
        let leaf = chain.leaf();
        TlsRecord {
            outcome: ended.outcome,
            elapsed_ms: ended.elapsed_ms,
            version: self.session.version,
            cipher: self.session.cipher,
            key_exchange: self.session.key_exchange,
            issuer: leaf.map(|leaf| leaf.issuer.clone()),
            names: leaf.map(|leaf| leaf.names.clone()).unwrap_or_default(),
            not_after: leaf.map(|leaf| Timestamp::new(leaf.not_after)),
            not_before: leaf.map(|leaf| Timestamp::new(leaf.not_before)),
            days_left: leaf.map(|leaf| leaf.days_left(self.now)),
            chain_bytes: sent.then_some(chain.bytes),
            chain_length: sent.then_some(chain.length),
            chain_root: chain.path().last().map(|last| last.issuer.clone()),
            hello_bytes: (seen.first_flight > 0).then_some(seen.first_flight),
            large_hello: LargeHello::NotTried,
            small_hello_bytes: None,
            detail: ended.detail,
        }
    }
}

impl Session {
    fn of<IO>(stream: &TlsStream<IO>) -> Self {
        let (_, connection) = stream.get_ref();
        Self {
            version: connection.protocol_version().map(version),
            cipher: connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())),
            key_exchange: connection.negotiated_key_exchange_group().map(|group| format!("{:?}", group.name())),
        }
    }
}

/// The version as OpenSSL and the contract spell it.
fn version(version: ProtocolVersion) -> String {
    // rustls says `TLSv1_3`.
    format!("{version:?}").replace('_', ".")
}

/// aws-lc-rs with classical key shares, and before them the post-quantum one where it is wanted. Named here because cargo's features unify: another crate's
/// `prefer-post-quantum` would change the default provider's order behind our back.
fn provider(post_quantum: bool) -> CryptoProvider {
    let mut groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1];
    if post_quantum {
        groups.insert(0, kx_group::X25519MLKEM768);
    }
    CryptoProvider { kx_groups: groups, ..aws_lc_rs::default_provider() }
}

fn unix(moment: OffsetDateTime) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(u64::try_from(moment.unix_timestamp()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::Arc, time::Duration};

    use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_assert_eq, proptest};
    use rustls::{ClientConfig, HandshakeKind, client::Resumption, crypto::aws_lc_rs};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        time::Instant,
    };
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::{Client, Hello, TlsNotes, handshake, provider};
    use crate::{
        model::{
            cause::{Cause, Stage},
            observation::{Outcome, TlsRecord},
            plan::TlsPlan,
        },
        probe::trail::{Ended, Notes as _, Trail},
    };

    #[test]
    fn the_key_shares_are_ours_whatever_cargo_unifies() {
        let check = |post_quantum: bool, expected: &[&str]| {
            let groups: Vec<String> =
                provider(post_quantum).kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
            assert_eq!(groups, expected);
        };
        check(true, &["X25519MLKEM768", "X25519", "secp256r1", "secp384r1"]);
        check(false, &["X25519", "secp256r1", "secp384r1"]);
    }

    /// The settings for a server of that certificate, and a server of it that hands out tickets.
    fn pair(version: &'static rustls::SupportedProtocolVersion) -> (Client, TlsAcceptor) {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        let (plan, _file) = plan(&made.cert.pem());
        let client = Client::new(&plan).expect("a trust store");
        let key = rustls::pki_types::PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut server = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("an identity");
        server.ticketer = aws_lc_rs::Ticketer::new().expect("tickets");
        (client, TlsAcceptor::from(Arc::new(server)))
    }

    /// How the second of two handshakes with the same settings is made.
    async fn second_handshake(config: ClientConfig, acceptor: &TlsAcceptor) -> Option<HandshakeKind> {
        let connector = TlsConnector::from(Arc::new(config));
        let mut kind = None;
        for _ in 0..2 {
            let (near, far) = tokio::io::duplex(100_000);
            let name = rustls::pki_types::ServerName::try_from("a.example").expect("a name");
            let (near, far) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
            let (mut near, mut far) = (near.expect("a session"), far.expect("a session"));
            // A ticket is taken up with the first bytes that follow it.
            far.write_all(b"x").await.expect("written");
            far.flush().await.expect("flushed");
            assert_eq!(near.read_u8().await.expect("read"), b'x');
            kind = near.get_ref().1.handshake_kind();
        }
        kind
    }

    /// Each handshake has a verifier of its own, which alone keeps rustls from resuming. This holds the setting, too:
    /// the same settings with rustls's default do resume.
    #[tokio::test]
    async fn resumption_is_off_by_itself() {
        for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
            let (client, acceptor) = pair(version);
            assert_eq!(second_handshake(client.config.clone(), &acceptor).await, Some(HandshakeKind::Full));
            let mut control = client.config;
            control.resumption = Resumption::default();
            assert_eq!(
                second_handshake(control, &acceptor).await,
                Some(HandshakeKind::Resumed),
                "the server's tickets"
            );
        }
    }

    /// A plan that trusts `authority`, in a file that lives as long as the second value.
    pub(super) fn plan(authority: &str) -> (TlsPlan, tempfile::NamedTempFile) {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(authority.as_bytes()).expect("written");
        let plan = TlsPlan {
            post_quantum: false,
            extra_ca_file: Some(file.path().to_owned()),
            expiry_warning: Duration::ZERO,
            expected_issuers: Vec::new(),
        };
        (plan, file)
    }

    /// A handshake with a peer that says `words`, whatever it hears, and hangs up.
    fn hear(words: &[u8]) -> TlsRecord {
        let authority = rcgen::generate_simple_self_signed(["ca.example".to_owned()]).expect("a certificate");
        let (plan, _file) = plan(&authority.cert.pem());
        let client = Client::new(&plan).expect("a trust store");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let (near, mut far) = tokio::io::duplex(100_000);
            far.write_all(words).await.expect("room");
            far.shutdown().await.expect("shut");
            let mut slot = None;
            let work = async |notes: &mut TlsNotes| {
                handshake(&client, Hello::Large, near, "a.example", notes, |_| false).await
            };
            let budget = Duration::from_secs(5);
            let notes = TlsNotes::new(time::OffsetDateTime::now_utc());
            Trail::new(Instant::now() + budget).step(&mut slot, budget, notes, work).await;
            slot.expect("a record")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn nothing_that_a_peer_says_makes_it_panic(
            prefix in prop::sample::select(vec![
                b"".as_slice(), b"\x16\x03\x03", b"\x16\x03\x03\x00\x40\x02\x00\x00\x3c\x03\x03", b"\x15\x03\x03\x00\x02",
            ]),
            words in prop::collection::vec(any::<u8>(), 0..300),
        ) {
            let record = hear(&[prefix, &words].concat());
            let cause = record.outcome.cause().expect("no such handshake succeeds");
            prop_assert_eq!(cause.stage(), Some(Stage::Tls));
            prop_assert!(record.detail.is_some_and(|detail| !detail.is_empty() && detail.len() < 1_000));
        }
    }

    #[test]
    fn a_handshake_that_never_began_claims_nothing() {
        let notes = TlsNotes::new(time::OffsetDateTime::UNIX_EPOCH);
        assert_eq!(notes.timed_out(Duration::from_secs(5)).cause, Cause::TlsTimeout);
        let outcome = Outcome::Failed(Cause::NotFinished);
        let record = notes.record(Ended { outcome, elapsed_ms: Duration::ZERO.into(), detail: None, errno: None });
        assert_eq!((record.issuer, record.chain_bytes, record.hello_bytes), (None, None, None));
    }
}
