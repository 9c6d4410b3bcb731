//! A TLS session on a connection whose every segment is chosen here.

use std::{
    io::{self, Read as _, Write as _},
    sync::Arc,
    time::Duration,
};

use rustls::ClientConnection;
use socket2::SockRef;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};

use super::{
    comb::{Progress, Sent},
    evidence::{Comb, CombEnding, Ending},
    request,
};
use crate::{
    model::target::Target,
    probe::{connect, line::Line, trail::before},
    sys::TcpInfo,
};

/// A connection and its session. Dropped, the connection is reset: a dead path leaves nothing behind that retransmits.
pub(in crate::probe) struct Channel {
    line: Arc<Line>,
    session: ClientConnection,
    /// The turn that this connection takes among those of the host and of the address.
    _turn: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    /// The peer said that nothing more will come.
    ended: bool,
    /// Something came in answer to the comb.
    answered: bool,
    /// What is not a comb goes out in segments of at most so many bytes.
    pieces: usize,
    sent: Option<Sent>,
}

/// What a comb showed.
pub(in crate::probe) struct Combed {
    /// The evidence.
    pub(in crate::probe) comb: Comb,
    /// The path MTU that ICMP taught meanwhile.
    pub(in crate::probe) learnt: Option<u32>,
}

impl Channel {
    /// A session on `line`, begun or not.
    pub(in crate::probe) const fn new(
        line: Arc<Line>,
        session: ClientConnection,
        turn: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
    ) -> Self {
        Self { line, session, _turn: turn, ended: false, answered: false, pieces: SMALL, sent: None }
    }

    /// Leaves it to the kernel how the handshake is cut into segments, as other clients do.
    pub(super) const fn whole(&mut self) {
        self.pieces = usize::MAX;
    }

    /// The connection.
    pub(in crate::probe) const fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Makes the handshake, every write in segments that no path drops. `patience` is how long it may stand still, and
    /// is asked again and again: it depends on how long others take.
    pub(in crate::probe) async fn handshake(
        &mut self,
        patience: impl Fn(&TcpInfo) -> Duration,
        end: Instant,
    ) -> Ending {
        let mut mark = (0, Some(0));
        let mut since = Instant::now();
        loop {
            if let Err(error) = self.flush_by(end, &[]).await {
                return Ending::Other(error.to_string());
            }
            if !self.session.is_handshaking() {
                return Ending::Done;
            }
            match self.receive(TICK).await {
                Ok(Received::Bytes) => continue,
                Ok(Received::Nothing) => {}
                Ok(Received::End) => return Ending::Other("the peer closed the connection".to_owned()),
                Err(error) => return Ending::Other(error.to_string()),
            }
            let Ok(info) = self.line.look() else { continue };
            let now = (self.line.acked(&info), info.bytes_received);
            if now != mark {
                (mark, since) = (now, Instant::now());
            }
            if since.elapsed() > patience(&info) {
                if info.unacked == 0 {
                    return Ending::StalledIn;
                }
                if info.retransmits >= TIMEOUTS {
                    return Ending::StalledOut;
                }
            }
            if Instant::now() >= end {
                return Ending::Other("no time was left".to_owned());
            }
        }
    }

    /// Sends one request in segments that make packets of `packets` bytes, ascending, and a small tail. What the
    /// connection cannot send any more is sent as large as it can.
    pub(in crate::probe) async fn comb(&mut self, target: &Target, packets: &[u32], end: Instant) -> Combed {
        let segment = match self.line.look() {
            Ok(info) => info.snd_mss,
            Err(error) => return self.lost(&error),
        };
        let payloads = payloads(&self.line, packets, segment);
        // Where half a window limited the first segments, the kernel allows larger ones once the window has grown.
        let agreed = segment.min(self.line.at_start().snd_mss);
        let natural = payloads.last().is_some_and(|last| *last >= agreed);
        let total: usize = payloads.iter().map(|payload| *payload as usize).sum();
        let base = self.line.sent();
        self.session.set_buffer_limit(None);
        // The session's own overhead makes it longer than the segments: that is the tail.
        if let Err(error) = self.session.writer().write_all(&request::padding(target, total)) {
            return self.lost(&error);
        }
        self.sent = Some(Sent::new(payloads.clone(), base, natural));
        if let Err(error) = self.flush_by(end, &payloads).await {
            return self.lost(&error);
        }
        self.watch(end).await
    }

    /// The comb that was sent, looked at once more: what was stuck may have got through meanwhile.
    pub(in crate::probe) fn again(&self) -> Option<Combed> {
        match self.sent.as_ref()?.progress(&self.line, &self.line.look().ok()?) {
            Progress::Going => None,
            Progress::Ended { comb, learnt } => Some(Combed { comb, learnt }),
        }
    }

    async fn watch(&mut self, end: Instant) -> Combed {
        // Nothing can be acknowledged sooner than after a round trip.
        let mut pause = self.line.look().map_or(FIRST_PAUSE, |info| info.rtt.max(FIRST_PAUSE));
        let mut stuck_since = None;
        loop {
            let Some(sent) = &self.sent else { return self.lost(&io::ErrorKind::NotConnected.into()) };
            let info = match self.line.look() {
                Ok(info) => info,
                Err(error) => return self.lost(&error),
            };
            match sent.progress(&self.line, &info) {
                Progress::Going => stuck_since = None,
                Progress::Ended { comb: Comb { ending: CombEnding::Stuck { .. }, .. }, .. }
                    if stuck_since.get_or_insert_with(Instant::now).elapsed() < SETTLING + 2 * info.rtt => {}
                Progress::Ended { comb, learnt } => return Combed { comb, learnt },
            }
            if Instant::now() >= end {
                return self.lost(&io::Error::other("no time was left"));
            }
            if self.ended {
                sleep(pause).await;
            } else if let Err(error) = self.receive(pause).await {
                // The kernel counts on after a reset.
                tracing::trace!(%error, "while a comb was waited for");
                self.ended = true;
            }
            pause = (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        }
    }

    /// What can be said when the connection breaks.
    fn lost(&self, error: &io::Error) -> Combed {
        let info = self.line.look().ok();
        let comb = self.sent.as_ref().map_or_else(
            || Comb { widest: 0, natural: false, passed: None, ending: CombEnding::Broken(error.to_string()) },
            |sent| match info.as_ref().map(|info| sent.progress(&self.line, info)) {
                Some(Progress::Ended { comb, .. }) => comb,
                Some(Progress::Going) | None => sent.broken(&self.line, info.as_ref(), error.to_string()),
            },
        );
        Combed { comb, learnt: None }
    }

    /// As [`Channel::flush`], within the measurement's time: a stuck path and a small `tcp_wmem` leave no room for ever.
    async fn flush_by(&mut self, end: Instant, sizes: &[u32]) -> io::Result<()> {
        before(end, self.flush(sizes)).await.unwrap_or_else(|| Err(io::Error::other("no time was left")))
    }

    /// Sends what the session has to say: first segments of `sizes`, then small ones.
    async fn flush(&mut self, sizes: &[u32]) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut bytes)?;
        }
        let mut rest = bytes.as_slice();
        let (is_comb, mut halved) = (!sizes.is_empty(), false);
        let mut sizes = sizes.iter();
        while !rest.is_empty() {
            let wanted = match sizes.next() {
                Some(size) => *size as usize,
                // The tail is all that can be acknowledged behind a stuck segment: in two pieces it survives a loss.
                None if is_comb && !halved => {
                    halved = true;
                    rest.len().div_ceil(2).min(self.pieces)
                }
                None => self.pieces,
            };
            let (piece, after) = rest.split_at(wanted.min(rest.len()));
            self.line.send_segment(piece).await?;
            rest = after;
        }
        Ok(())
    }

    /// Takes what comes within `wait`.
    async fn receive(&mut self, wait: Duration) -> io::Result<Received> {
        tokio::select! {
            biased;
            ready = self.line.stream().readable() => ready?,
            () = sleep(wait) => return Ok(Received::Nothing),
        }
        self.take()
    }

    /// Takes what is there.
    fn take(&mut self) -> io::Result<Received> {
        let mut bytes = [0; ROOM];
        let count = match self.line.stream().try_read(&mut bytes) {
            Ok(0) => {
                self.ended = true;
                return Ok(Received::End);
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Nothing),
            Err(error) => return Err(error),
        };
        // A failed look leaves what was seen before.
        let _ = self.line.look();
        let mut rest = bytes.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            if self.session.read_tls(&mut rest)? == 0 {
                // The peer said goodbye and talks on: the session takes no more of it, ever.
                self.ended = true;
                return Ok(Received::End);
            }
            self.session.process_new_packets().map_err(io::Error::other)?;
            // Whatever the server says to the request is of no interest.
            let mut sink = [0; ROOM];
            while let Ok(1..) = self.session.reader().read(&mut sink) {
                self.answered = self.sent.is_some();
            }
        }
        Ok(Received::Bytes)
    }

    /// Ends the connection as the peer expects it. Its answer to the comb is waited for a moment: whatever came after
    /// the end would be reset, and operators count resets at their endpoints.
    pub(in crate::probe) async fn close(mut self) {
        let round_trip = self.line.look().map(|info| info.rtt).unwrap_or_default();
        let by = Instant::now() + round_trip + THINKING;
        while self.sent.is_some() && !self.answered && !self.ended {
            let left = by.saturating_duration_since(Instant::now());
            if left.is_zero() || self.receive(left).await.is_err() {
                break;
            }
        }
        // A peer that has answered closes as it was asked to, and would meet a last word with a reset.
        if !self.answered && !self.ended {
            self.session.send_close_notify();
            let _ = self.flush(&[]).await;
        }
        connect::keep_end(self.line.stream());
        let _ = SockRef::from(self.line.stream()).shutdown(std::net::Shutdown::Write);
    }
}

/// What a read gave.
enum Received {
    Bytes,
    Nothing,
    End,
}

/// The payloads of `packets`, or what a segment of the connection holds now.
fn payloads(line: &Line, packets: &[u32], segment: u32) -> Vec<u32> {
    let payload = |packet: &u32| line.payload(*packet).clamp(1, segment.max(1));
    let mut payloads: Vec<u32> = packets.iter().map(payload).collect();
    payloads.sort_unstable();
    payloads.dedup();
    payloads
}

/// Segments of that size pass every path (RFC 791 asks for datagrams of 576 bytes): the handshake's, in bytes.
const SMALL: usize = 500;
/// Timeouts in a row after which even a small segment counts as stuck: it was lost four times.
const TIMEOUTS: u8 = 2;
/// How long, and two round trips, a stuck comb is waited for after the timeout: what was sent again then may get through.
const SETTLING: Duration = Duration::from_millis(50);
/// How long a server may think about the comb before the connection is ended in its face.
const THINKING: Duration = Duration::from_millis(30);
/// How often a waiting handshake is looked at.
const TICK: Duration = Duration::from_millis(20);
/// A comb is looked at more and more rarely.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(10);
/// Bytes read at once.
const ROOM: usize = 4096;
