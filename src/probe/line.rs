//! An open TCP connection with a gauge: what the kernel counts on it tells how large the packets are that pass.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::net::{SendFlags, send};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::sys::{TcpInfo, tcp_info};

/// A connection, and what its segments were like when it opened.
pub(super) struct Line {
    stream: TcpStream,
    /// This end's address.
    local: Option<IpAddr>,
    start: Start,
    /// The largest payload that arrived in one segment so far, as `tcpi_rcv_mss`; it can shrink there.
    widest: AtomicU32,
    /// Bytes handed to the kernel so far.
    sent: AtomicU64,
    /// Why nothing can be measured by it.
    fault: Option<String>,
}

/// The kernel's figures right after the connection opened.
#[derive(Clone, Copy, Debug, Default)]
struct Start {
    info: TcpInfo,
    /// Bytes of IP and TCP around a payload.
    header: u32,
}

/// Which side owes the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// This one: what was sent is not acknowledged.
    Out,
    /// The peer: everything sent is acknowledged, and nothing comes.
    In,
}

impl Line {
    /// A gauge on `stream`, which has just been opened.
    pub(super) fn new(stream: TcpStream) -> Self {
        let local = stream.local_addr().map(|local| local.ip());
        let read = || {
            let info = tcp_info(&stream)?;
            if info.bytes_acked.is_none() || info.bytes_received.is_none() {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel does not count acknowledged bytes"));
            }
            // Both ends are of one version.
            let fixed = headers(*local.as_ref().map_err(|error| io::Error::from(error.kind()))?);
            Ok(Start { info, header: fixed + if info.timestamps { TIMESTAMPS } else { 0 } })
        };
        let (start, fault) = match read() {
            Ok(start) => (start, None),
            Err(error) => (Start::default(), Some(error.to_string())),
        };
        Self { stream, local: local.ok(), start, widest: AtomicU32::new(0), sent: AtomicU64::new(0), fault }
    }

    /// Why nothing can be measured by this connection, if so: the kernel, or an emulator, does not tell enough.
    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The connection.
    pub(super) const fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// This end's address.
    pub(super) const fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// What the kernel says now; the widest arrival is kept.
    pub(super) fn look(&self) -> io::Result<TcpInfo> {
        let info = tcp_info(&self.stream)?;
        if let Some(received @ 1..) = info.bytes_received {
            // The kernel begins at 536 and corrects itself with the first segments.
            let at_most = u32::try_from(received).unwrap_or(u32::MAX);
            self.widest.fetch_max(info.rcv_mss.min(at_most), Ordering::Relaxed);
        }
        Ok(info)
    }

    /// The kernel's figures when the connection opened.
    pub(super) const fn at_start(&self) -> &TcpInfo {
        &self.start.info
    }

    /// Bytes of ours that the peer has in order, since the connection opened.
    pub(super) fn acked(&self, info: &TcpInfo) -> u64 {
        let base = self.start.info.bytes_acked.unwrap_or(0);
        info.bytes_acked.unwrap_or(0).saturating_sub(base)
    }

    /// The IP packet around `payload` bytes.
    pub(super) const fn packet(&self, payload: u32) -> u32 {
        payload + self.start.header
    }

    /// The payload of an IP packet of `packet` bytes.
    pub(super) const fn payload(&self, packet: u32) -> u32 {
        packet.saturating_sub(self.start.header)
    }

    /// The largest packet that this side may send, as agreed when the connection opened.
    pub(super) const fn widest_out(&self) -> u32 {
        self.packet(self.start.info.snd_mss)
    }

    /// The largest packet that the peer may send, as far as this side announced.
    pub(super) const fn widest_in(&self) -> u32 {
        self.packet(self.start.info.advmss)
    }

    /// The largest packet that arrived so far.
    pub(super) fn seen(&self) -> Option<u32> {
        // A failed look leaves what was seen before.
        let _ = self.look();
        match self.widest.load(Ordering::Relaxed) {
            0 => None,
            payload => Some(self.packet(payload)),
        }
    }

    /// Sends `bytes` as one segment: `TCP_NODELAY` lets it go at once, and `MSG_EOR` keeps the kernel from merging it
    /// with its neighbours, also when it sends it again.
    pub(super) async fn send_segment(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let sent = self
                .stream
                .async_io(Interest::WRITABLE, || {
                    send(&self.stream, bytes, SendFlags::EOR | SendFlags::NOSIGNAL).map_err(io::Error::from)
                })
                .await?;
            self.count(sent);
            bytes = bytes.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Bytes handed to the kernel so far: what [`Line::acked`] comes to when nothing is under way.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn count(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Waits until the connection makes no progress for `patience` and four round trips, and says who owes the next
    /// byte. Never ends on a connection that goes on, has not begun to send, or is over.
    pub(super) async fn stalled(&self, patience: Duration) -> Side {
        let mut mark = (0, Some(0));
        let mut since = Instant::now();
        loop {
            sleep(TICK).await;
            let Ok(info) = self.look() else { continue };
            let now = (self.acked(&info), info.bytes_received);
            if now != mark || !info.may_send {
                (mark, since) = (now, Instant::now());
            }
            let begun = info.unacked > 0 || now.0 > 0;
            if begun && since.elapsed() > patience + 4 * info.rtt {
                return if info.unacked > 0 || info.notsent_bytes.is_some_and(|bytes| bytes > 0) {
                    Side::Out
                } else {
                    Side::In
                };
            }
        }
    }
}

/// The connection as a stream of bytes; the gauge is read at each arrival.
pub(super) struct Tap(pub(super) Arc<Line>);

impl Tap {
    /// The connection and its gauge.
    pub(super) const fn line(&self) -> &Arc<Line> {
        &self.0
    }
}

impl AsyncRead for Tap {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let line = &self.0;
        loop {
            ready!(line.stream.poll_read_ready(context))?;
            match line.stream.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    // A failed look leaves what was seen before.
                    let _ = line.look();
                    if count > 0 && buffer.remaining() > 0 {
                        // Less than there was room for: nothing more is there, and asking the kernel again would say so.
                        // What came meanwhile is told by an event of its own (epoll(7), question 9), which waits until
                        // this thread, the runtime's only one, asks for events.
                        let _ =
                            line.stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Tap {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(context))?;
            match self.0.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    if let Ok(count) = result {
                        self.0.count(count);
                    }
                    return Poll::Ready(result);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(socket2::SockRef::from(&self.0.stream).shutdown(std::net::Shutdown::Write))
    }
}

/// Bytes of the headers of IP and TCP without options, towards `peer` (RFC 791, RFC 8200, RFC 9293).
pub(super) const fn headers(peer: IpAddr) -> u32 {
    if peer.is_ipv4() { 40 } else { 60 }
}

/// The timestamp option with its padding (RFC 7323, appendix A).
const TIMESTAMPS: u32 = 12;

/// How often a waiting connection is looked at.
const TICK: Duration = Duration::from_millis(20);
