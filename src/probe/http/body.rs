//! The body of an HTTP/1.1 answer, put together from pieces; bounded.

use httparse::Status;

use super::head::Framing;

/// A body that is being received.
pub(super) struct Body {
    framing: Framing,
    raw: Vec<u8>,
    /// Up to where `raw` was understood (chunked only).
    at: usize,
    /// What is left of the current chunk.
    chunk: u64,
    content: Vec<u8>,
    state: State,
}

/// How far a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// More is to come.
    Open,
    /// It is complete, or as long as anybody will read.
    Complete,
    /// Its framing is broken.
    Broken,
}

impl Body {
    /// An empty body, framed as its head says.
    pub(super) const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::None => State::Complete,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => State::Open,
        };
        Self { framing, raw: Vec::new(), at: 0, chunk: 0, content: Vec::new(), state }
    }

    /// Adds what came.
    pub(super) fn push(&mut self, bytes: &[u8]) -> State {
        if self.state != State::Open {
            return self.state;
        }
        let room = MOST_RAW.saturating_sub(self.raw.len());
        self.raw.extend(bytes.iter().take(room));
        self.state = match self.framing {
            Framing::None => State::Complete,
            Framing::Length(length) if self.raw.len() as u64 >= length => State::Complete,
            Framing::Length(_) | Framing::UntilClose => State::Open,
            Framing::Chunked => self.chunks(),
        };
        if self.state == State::Open && self.raw.len() >= MOST_RAW {
            self.state = State::Complete;
        }
        self.state
    }

    /// The connection ended: whether that completes the body.
    pub(super) fn end(&mut self) -> State {
        if self.state == State::Open {
            self.state = if self.framing == Framing::UntilClose { State::Complete } else { State::Broken };
        }
        self.state
    }

    /// What was received of the content.
    pub(super) fn content(&self) -> &[u8] {
        match self.framing {
            Framing::None => &[],
            Framing::Chunked => &self.content,
            Framing::UntilClose => &self.raw,
            Framing::Length(length) => {
                usize::try_from(length).ok().and_then(|length| self.raw.get(..length)).unwrap_or(&self.raw)
            }
        }
    }

    /// Understands as many chunks as there are (RFC 9112, 7.1); trailers are not waited for.
    fn chunks(&mut self) -> State {
        loop {
            let rest = self.raw.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                return State::Open;
            }
            if self.chunk > 0 {
                let take = usize::try_from(self.chunk).unwrap_or(usize::MAX).min(rest.len());
                self.content.extend(rest.iter().take(take));
                self.at += take;
                self.chunk -= take as u64;
                continue;
            }
            // Between two chunks stands a line break that is part of neither.
            let skipped = if self.content.is_empty() {
                0
            } else {
                rest.iter().take_while(|b| b"\r\n".contains(b)).count().min(2)
            };
            let line = rest.get(skipped..).unwrap_or_default();
            match httparse::parse_chunk_size(line) {
                Ok(Status::Complete((_, 0))) => return State::Complete,
                Ok(Status::Complete((length, size))) => {
                    self.at += skipped + length;
                    self.chunk = size;
                }
                Ok(Status::Partial) if line.len() < MOST_CHUNK_LINE => return State::Open,
                Ok(Status::Partial) | Err(_) => return State::Broken,
            }
        }
    }
}

/// Bytes of one body that are read; S3's errors have under a thousand.
const MOST_RAW: usize = 64 * 1024;

/// Bytes of a chunk's first line.
const MOST_CHUNK_LINE: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::{Body, Framing, MOST_RAW, State};

    /// The outcome must not depend on how the bytes are cut into pieces.
    fn check(framing: Framing, bytes: &[u8], expected: (State, &str)) {
        for piece in [1, 3, bytes.len().max(1)] {
            let mut body = Body::new(framing);
            for part in bytes.chunks(piece) {
                body.push(part);
            }
            let content = String::from_utf8_lossy(body.content()).into_owned();
            assert_eq!((body.state, content.as_str()), expected, "{framing:?} {bytes:?} by {piece}");
        }
    }

    #[test]
    fn bodies_are_put_together() {
        check(Framing::None, b"junk", (State::Complete, ""));
        check(Framing::Length(5), b"3.3.0junk", (State::Complete, "3.3.0"));
        check(Framing::Length(5), b"3.3", (State::Open, "3.3"));
        check(Framing::Length(u64::MAX), b"3.3", (State::Open, "3.3"));
        check(Framing::UntilClose, b"3.3", (State::Open, "3.3"));
        check(Framing::Chunked, b"4\r\nRust\r\n3;a=b\r\nace\r\n0\r\n\r\n", (State::Complete, "Rustace"));
        check(Framing::Chunked, b"4\r\nRu", (State::Open, "Ru"));
        check(Framing::Chunked, b"0\r\n\r\n", (State::Complete, ""));
        check(Framing::Chunked, b"xyz\r\n", (State::Broken, ""));
        check(Framing::Chunked, &[b"1;".as_slice(), &[b'a'; 300]].concat(), (State::Broken, ""));
        check(Framing::Chunked, b"ffffffffffffffffff\r\n", (State::Broken, ""));
    }

    #[test]
    fn the_end_of_the_connection_completes_only_what_ends_with_it() {
        let end = |framing| {
            let mut body = Body::new(framing);
            body.push(b"3.3");
            body.end()
        };
        assert_eq!(end(Framing::UntilClose), State::Complete);
        assert_eq!(end(Framing::None), State::Complete);
        assert_eq!(end(Framing::Length(4)), State::Broken);
        assert_eq!(end(Framing::Chunked), State::Broken);
    }

    #[test]
    fn nobody_reads_more_than_the_bound() {
        let mut body = Body::new(Framing::UntilClose);
        let mut pushed = 0;
        while body.push(&[b'x'; 1_000]) == State::Open {
            pushed += 1_000;
            assert!(pushed <= MOST_RAW + 1_000);
        }
        assert_eq!(body.content().len(), MOST_RAW);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
            for framing in [Framing::Chunked, Framing::Length(100), Framing::UntilClose] {
                let mut body = Body::new(framing);
                for part in bytes.chunks(piece) {
                    body.push(part);
                }
                prop_assert!(body.content().len() <= bytes.len());
            }
        }
    }
}
