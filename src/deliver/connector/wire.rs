//! The byte stream of one exchange, with a note of how far the request came.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Evidence;
use crate::probe::Line;

/// The connection, with a note of what goes over it.
pub(super) struct Wire {
    line: Line,
    evidence: Evidence,
    tail: Tail,
}

impl Wire {
    /// The stream for a request whose body has so many bytes.
    pub(super) const fn new(line: Line, evidence: Evidence, body: usize) -> Self {
        Self { line, evidence, tail: Tail::new(body) }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.line).poll_read(context, buffer);
        self.evidence.look().bytes.1 += (buffer.filled().len() - before) as u64;
        polled
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.line).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = polled {
            self.tail.passed(bytes.get(..count).unwrap_or_default());
            self.evidence.look().bytes.0 += count as u64;
        }
        polled
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.line).poll_flush(context);
        if let Poll::Ready(Ok(())) = polled
            && self.tail.is_over()
        {
            self.evidence.look().sent = true;
        }
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.line).poll_shutdown(context)
    }
}

/// How much of a request is still to come: its head ends with an empty line, and the length of its body is known.
struct Tail {
    /// How much of the empty line has been seen; all of it: the head is over.
    matched: usize,
    body_left: usize,
}

impl Tail {
    const fn new(body: usize) -> Self {
        Self { matched: 0, body_left: body }
    }

    const fn is_over(&self) -> bool {
        self.matched == HEAD_END.len() && self.body_left == 0
    }

    fn passed(&mut self, mut bytes: &[u8]) {
        while self.matched < HEAD_END.len() {
            let Some((first, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.matched = if HEAD_END.get(self.matched) == Some(first) {
                self.matched + 1
            } else {
                usize::from(HEAD_END.first() == Some(first))
            };
        }
        self.body_left = self.body_left.saturating_sub(bytes.len());
    }
}

const HEAD_END: &[u8] = b"\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::Tail;

    #[test]
    fn a_request_is_over_with_the_last_byte_of_its_body() {
        let request = b"POST / HTTP/1.1\r\nhost: a\r\n\r\nbody\r\n\r\n!";
        let check = |cuts: &[usize]| {
            let mut tail = Tail::new(9);
            let mut at = 0;
            for cut in cuts.iter().copied().chain([request.len() - 1]) {
                tail.passed(&request[at..cut]);
                assert!(!tail.is_over(), "{cut}");
                at = cut;
            }
            tail.passed(&request[at..]);
            assert!(tail.is_over());
        };
        check(&[]);
        check(&[20, 27, 28, 29, 31]);
        check(&(1..request.len() - 1).collect::<Vec<_>>());
        let mut empty = Tail::new(0);
        empty.passed(b"GET / HTTP/1.1\r\n\r\r\n");
        assert!(!empty.is_over());
        empty.passed(b"\r\n");
        assert!(empty.is_over());
    }
}
