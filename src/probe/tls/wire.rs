//! The byte stream below TLS, with a note of what went over it.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
    /// The certificates that the server sent, leaf first.
    pub(super) chain: Vec<CertificateDer<'static>>,
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
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Wire<IO> {
    pub(super) const fn new(io: IO, sight: Sight) -> Self {
        Self { io, sight }
    }

    /// Notes what already lies in the receive buffer: a peer that talks first may have been cut off by its own reset
    /// while this side was still writing.
    pub(super) async fn overhear(&mut self) {
        let mut bytes = [0; MOST_HEARD];
        poll_fn(|context| {
            let mut buffer = ReadBuf::new(&mut bytes);
            let _ = Pin::new(&mut *self).poll_read(context, &mut buffer);
            Poll::Ready(())
        })
        .await;
    }

    /// The stream itself, when no more needs to be noted.
    pub(super) fn into_inner(self) -> IO {
        self.io
    }

    /// The stream itself.
    pub(in crate::probe) const fn inner(&self) -> &IO {
        &self.io
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Wire<IO> {
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
        polled
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Wire<IO> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            let mut seen = self.sight.look();
            if seen.received == 0 {
                seen.first_flight += count as u64;
            }
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

/// How much of what a peer says first is kept, in bytes.
const MOST_HEARD: usize = 64;
