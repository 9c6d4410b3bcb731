//! The byte stream below TLS, with a note of what went over it.
//!
//! What this side says after its hello is held back until the peer waits for it: written as it comes, the change of the
//! cipher, `Finished` and the first words after it would each be a packet (`TCP_NODELAY`). So they are one.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::verifier::Shown;

/// What was seen of one handshake; shared by the stream, the verifier and the stage's notes.
#[derive(Clone, Default)]
pub(super) struct Sight(Arc<Mutex<Seen>>);

/// The contents of a [`Sight`].
#[derive(Default)]
pub(super) struct Seen {
    /// Bytes sent before the first byte came.
    pub(super) first_flight: u64,
    /// Bytes received.
    pub(super) received: u64,
    /// The first bytes received.
    pub(super) heard: Vec<u8>,
    /// The certificates that the server sent.
    pub(super) shown: Option<Arc<Shown>>,
}

impl Sight {
    /// What was seen so far.
    pub(super) fn look(&self) -> MutexGuard<'_, Seen> {
        // A panic elsewhere cannot leave these counters half-written.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream that notes what goes over it.
pub(in crate::probe) struct Wire<IO> {
    io: IO,
    sight: Sight,
    /// Written, and not yet handed to `io`.
    held: Vec<u8>,
    /// Whether `io`, which may be a TLS stream itself, still has some of that.
    unflushed: bool,
    /// Whether the handshake goes on: tokio-rustls flushes whenever it has written something.
    shaking: bool,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    pub(super) const fn new(io: IO, sight: Sight) -> Self {
        Self { io, sight, held: Vec::new(), unflushed: false, shaking: true }
    }

    /// The handshake is over: what is written or flushed from now on is sent at once, and before it what was held back.
    pub(super) const fn shaken(&mut self) {
        self.shaking = false;
    }

    /// Notes what already lies in the receive buffer: a peer that talks first may have been cut off by its own reset
    /// while this side was still writing.
    pub(super) async fn overhear(&mut self) {
        let mut bytes = [0; MOST_HEARD];
        poll_fn(|context| {
            // The alert that tells the peer why.
            let _ = self.poll_release(context);
            let mut buffer = ReadBuf::new(&mut bytes);
            let _ = Pin::new(&mut *self).poll_read(context, &mut buffer);
            Poll::Ready(())
        })
        .await;
    }

    /// The stream itself, when no more needs to be noted; to be flushed before.
    pub(super) fn into_inner(self) -> IO {
        self.io
    }

    /// The stream itself.
    pub(in crate::probe) const fn inner(&self) -> &IO {
        &self.io
    }
}

impl<IO: AsyncWrite + Unpin> Wire<IO> {
    /// Hands on what is held back.
    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            match ready!(Pin::new(&mut self.io).poll_write(context, &self.held))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => drop(self.held.drain(..count)),
            }
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(context))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the peer waits for what is held back. Nobody waits for a change of the cipher alone: in TLS 1.3 it means
    /// nothing (RFC 8446, appendix D.4), and before that `Finished` follows it in the same flight.
    fn is_awaited(&self) -> bool {
        self.unflushed || !(self.held.is_empty() || self.held == CHANGE_CIPHER_SPEC)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            let mut seen = self.sight.look();
            seen.received += new.len() as u64;
            let room = MOST_HEARD.saturating_sub(seen.heard.len());
            seen.heard.extend(new.iter().take(room));
        }
        if polled.is_pending()
            && self.is_awaited()
            && let Poll::Ready(Err(error)) = self.poll_release(context)
        {
            return Poll::Ready(Err(error));
        }
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let is_hello = self.sight.look().received == 0;
        if is_hello {
            let polled = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
            if let Poll::Ready(Ok(count)) = polled {
                self.sight.look().first_flight += count as u64;
            }
            return polled;
        }
        if self.held.is_empty() && !self.shaking {
            return Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        }
        if self.held.len() >= MOST_HELD {
            ready!(self.poll_release(context))?;
        }
        let before = self.held.len();
        for piece in pieces {
            let room = MOST_HELD.saturating_sub(self.held.len());
            self.held.extend(piece.iter().take(room));
        }
        let taken = self.held.len() - before;
        // What the stream does not take now goes with the next write, flush, read or end.
        if !self.shaking
            && let Poll::Ready(Err(error)) = self.poll_release(context)
        {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.shaking {
            ready!(self.poll_release(context))?;
        }
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_release(context))?;
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// How much of what a peer says first is kept, in bytes.
const MOST_HEARD: usize = 64;
/// How much is held back before it is sent, in bytes: more than any client's last flight without a certificate of its own.
const MOST_HELD: usize = 4096;
/// The record of a change of the cipher (RFC 5246, section 7.1).
const CHANGE_CIPHER_SPEC: [u8; 6] = [20, 3, 3, 0, 1, 1];

#[cfg(test)]
mod tests {
    use std::{
        io,
        pin::Pin,
        sync::{Arc, Mutex},
        task::{Context, Poll},
        time::Duration,
    };

    use rustls::{
        ServerConfig, SupportedProtocolVersion,
        crypto::{
            CryptoProvider,
            aws_lc_rs::{self, kx_group},
        },
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    };
    use tokio::{
        io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream, DuplexStream, ReadBuf, duplex},
        net::{TcpListener, TcpStream},
        time::Instant,
    };
    use tokio_rustls::TlsAcceptor;

    use super::Wire;
    use crate::{
        model::cause::Cause,
        probe::{
            tls::{Client, Hello, Secured, TlsNotes, handshake, tests::plan},
            trail::{Stop, before},
        },
    };

    /// A stream whose writes are counted: each would be a packet.
    struct Counted {
        io: DuplexStream,
        writes: Arc<Mutex<Vec<usize>>>,
    }

    impl AsyncRead for Counted {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counted {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            let polled = Pin::new(&mut self.io).poll_write(cx, bytes);
            if let Poll::Ready(Ok(count)) = polled {
                self.writes.lock().expect("a count").push(count);
            }
            polled
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_shutdown(cx)
        }
    }

    /// A server of a self-signed certificate, and that certificate in PEM.
    fn server(version: &'static SupportedProtocolVersion, provider: CryptoProvider) -> (TlsAcceptor, String) {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(made.cert.der().to_vec())], key.into())
            .expect("an identity");
        // A client that is gone takes none.
        config.send_tls13_tickets = 0;
        (TlsAcceptor::from(Arc::new(config)), made.cert.pem())
    }

    async fn shake<IO>(authority: &str, io: IO) -> Option<Secured<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        try_shake(authority, io, true).await.ok()
    }

    async fn try_shake<IO>(authority: &str, io: IO, is_followed: bool) -> Result<Secured<IO>, Stop>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let (plan, _file) = plan(authority);
        let client = Client::new(&plan).expect("a trust store");
        let mut notes = TlsNotes::new(time::OffsetDateTime::now_utc());
        handshake(&client, Hello::Large, io, "a.example", &mut notes, |_| is_followed).await
    }

    /// The sizes of what the client wrote until its first words were answered.
    async fn writes(version: &'static SupportedProtocolVersion, provider: CryptoProvider) -> Vec<usize> {
        let (acceptor, authority) = server(version, provider);
        let (near, far) = duplex(100_000);
        let writes = Arc::new(Mutex::new(Vec::new()));
        let near = Counted { io: near, writes: Arc::clone(&writes) };
        let client = async {
            let mut secured = shake(&authority, near).await.expect("a session");
            secured.stream.write_all(b"words").await.expect("written");
            secured.stream.flush().await.expect("flushed");
            assert_eq!(secured.stream.read_u8().await.expect("an answer"), b'!');
        };
        let server = async {
            let mut far = acceptor.accept(far).await.expect("a session");
            let mut heard = [0; 5];
            far.read_exact(&mut heard).await.expect("words");
            assert_eq!(&heard, b"words");
            far.write_all(b"!").await.expect("written");
            far.flush().await.expect("flushed");
        };
        tokio::join!(client, server);
        let writes = writes.lock().expect("a count");
        writes.clone()
    }

    #[tokio::test]
    async fn the_last_flight_and_the_first_words_are_one_write() {
        let writes = writes(&rustls::version::TLS13, aws_lc_rs::default_provider()).await;
        assert_eq!(writes.len(), 2, "the hello, and all the rest: {writes:?}");
    }

    /// The server answers before it has the client's `Finished` in TLS 1.3 only.
    #[tokio::test]
    async fn what_the_peer_waits_for_is_not_held_back() {
        let old = writes(&rustls::version::TLS12, aws_lc_rs::default_provider()).await;
        assert_eq!(old.len(), 3, "the hello, the flight, the words: {old:?}");
        // None of the shares that were sent: the server asks for another (RFC 8446, section 4.1.4).
        let picky = CryptoProvider { kx_groups: vec![kx_group::SECP384R1], ..aws_lc_rs::default_provider() };
        let again = writes(&rustls::version::TLS13, picky).await;
        assert_eq!(again.len(), 3, "the hello, another one, all the rest: {again:?}");
    }

    #[tokio::test]
    async fn a_session_that_is_taken_apart_has_said_all() {
        let (acceptor, authority) = server(&rustls::version::TLS13, aws_lc_rs::default_provider());
        let (near, far) = duplex(100_000);
        let client = async {
            let secured = shake(&authority, near).await.expect("a session");
            secured.into_parts().await
        };
        let (_parts, accepted) = tokio::join!(client, acceptor.accept(far));
        accepted.expect("the server has the client's Finished");
    }

    #[tokio::test]
    async fn a_session_that_is_closed_has_said_all() {
        let (acceptor, authority) = server(&rustls::version::TLS13, aws_lc_rs::default_provider());
        let (near, far) = duplex(100_000);
        let client = async { shake(&authority, near).await.expect("a session").close().await };
        let server = async {
            let mut far = acceptor.accept(far).await.expect("a session");
            assert_eq!(far.read(&mut [0; 1]).await.expect("an end in order"), 0);
        };
        tokio::join!(client, server);
    }

    #[tokio::test]
    async fn a_session_that_nothing_follows_has_said_all() {
        let (acceptor, authority) = server(&rustls::version::TLS13, aws_lc_rs::default_provider());
        let (near, far) = duplex(100_000);
        let (secured, accepted) = tokio::join!(try_shake(&authority, near, false), acceptor.accept(far));
        accepted.expect("the server has the client's Finished");
        secured.expect("a session");
    }

    /// As a TLS stream does where the kernel takes nothing: it takes bytes and keeps them until it is flushed.
    #[tokio::test]
    async fn a_stream_that_keeps_bytes_is_flushed() {
        let (acceptor, authority) = server(&rustls::version::TLS12, aws_lc_rs::default_provider());
        let (near, far) = duplex(100_000);
        let both = async { tokio::join!(shake(&authority, BufStream::new(near)), acceptor.accept(far)) };
        let (secured, accepted) =
            before(Instant::now() + Duration::from_secs(20), Box::pin(both)).await.expect("no standstill");
        secured.expect("a session");
        accepted.expect("a session");
    }

    /// The reset came while the client was busy with the server's flight.
    #[tokio::test]
    async fn a_reset_behind_the_servers_flight_is_the_handshakes() {
        let (acceptor, authority) = server(&rustls::version::TLS13, aws_lc_rs::default_provider());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (mut far, _) = listener.accept().await.expect("accepted");
        let server = async {
            let mut session = rustls::ServerConnection::new(Arc::clone(acceptor.config())).expect("a server");
            let mut heard = vec![0; 16_384];
            while !session.wants_write() {
                let count = far.read(&mut heard).await.expect("a hello");
                let mut piece = heard.get(..count).unwrap_or_default();
                session.read_tls(&mut piece).expect("read");
                session.process_new_packets().expect("a hello");
            }
            let mut flight = Vec::new();
            while session.wants_write() {
                session.write_tls(&mut flight).expect("written");
            }
            far.write_all(&flight).await.expect("sent");
            socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).expect("set");
            drop(far);
        };
        // Whether the flight is read before the reset, or lost to it.
        let (secured, ()) = tokio::join!(try_shake(&authority, near, false), server);
        let Err(Stop::Network(failure)) = secured else { panic!("no session, and not our fault") };
        assert_eq!(failure.cause, Cause::TlsReset, "{failure:?}");
    }

    /// A peer that presents a bad certificate hears what is wrong with it.
    #[tokio::test]
    async fn an_alert_is_not_held_back() {
        let (acceptor, _) = server(&rustls::version::TLS13, aws_lc_rs::default_provider());
        let (_, another) = server(&rustls::version::TLS13, aws_lc_rs::default_provider());
        let (near, far) = duplex(100_000);
        let (secured, accepted) = tokio::join!(shake(&another, near), acceptor.accept(far));
        assert!(secured.is_none());
        let said = accepted.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(said.contains("received fatal alert"), "{said}");
    }

    /// A stream that takes a few bytes now and then.
    #[tokio::test]
    async fn nothing_is_lost_where_the_kernel_is_slow_to_take_it() {
        let (near, mut far) = duplex(3);
        let mut wire = Wire::new(near, super::Sight::default());
        wire.sight.look().received = 1;
        wire.write_all(b"held").await.expect("held back");
        wire.shaken();
        let writer = async {
            wire.write_all(b" and more").await.expect("written");
            wire.shutdown().await.expect("shut");
        };
        let reader = async {
            let mut heard = String::new();
            far.read_to_string(&mut heard).await.expect("heard");
            heard
        };
        let ((), heard) = tokio::join!(writer, reader);
        assert_eq!(heard, "held and more");
    }

    /// While it is held back, and more than is ever held back.
    #[tokio::test]
    async fn what_is_held_back_is_bounded() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("an address")).await.expect("connected");
        let (mut far, _) = listener.accept().await.expect("accepted");
        let mut wire = Wire::new(near, super::Sight::default());
        wire.sight.look().received = 1;
        let mut heard = vec![0; 3 * super::MOST_HELD];
        for piece in 0_u8..3 {
            wire.write_all(&[piece; super::MOST_HELD]).await.expect("written");
            assert!(wire.held.len() <= super::MOST_HELD, "{piece}: {}", wire.held.len());
        }
        wire.shaken();
        wire.flush().await.expect("flushed");
        far.read_exact(&mut heard).await.expect("heard");
        assert!(heard.chunks(super::MOST_HELD).zip(0_u8..).all(|(part, piece)| part.iter().all(|byte| *byte == piece)));
    }
}
