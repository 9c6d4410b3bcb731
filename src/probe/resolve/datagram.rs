//! Sorts what arrives from a name server into answers and strays, before hickory reads it.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

use hickory_resolver::proto::op::Message;

/// Something that is no answer to the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// Not a DNS answer at all: too short, cannot be read, or a question.
    NotAnAnswer,
    /// A DNS message with another id: a late one, or somebody guesses.
    OtherId,
    /// An answer to another question.
    OtherQuestion,
}

impl Stray {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::NotAnAnswer => "what came is not a DNS answer",
            Self::OtherId => "what came has the id of another question",
            Self::OtherQuestion => "what came answers another question",
        }
    }
}

/// What was seen of a question so far that is no answer by itself. Shared by all of its sends.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    strays: AtomicU32,
    last: AtomicU8,
    truncated: AtomicU32,
}

impl Evidence {
    pub(super) fn note(&self, stray: Stray) {
        self.strays.fetch_add(1, Ordering::Relaxed);
        self.last.store(stray as u8, Ordering::Relaxed);
    }

    pub(super) fn note_truncation(&self) {
        self.truncated.fetch_add(1, Ordering::Relaxed);
    }

    /// What the last stray was, if there was any.
    pub(super) fn stray(&self) -> Option<Stray> {
        if self.strays.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let last = self.last.load(Ordering::Relaxed);
        [Stray::OtherId, Stray::OtherQuestion].into_iter().find(|&kind| kind as u8 == last).or(Some(Stray::NotAnAnswer))
    }

    /// Whether the server answered over UDP and asked to come again over TCP.
    pub(super) fn was_truncated(&self) -> bool {
        self.truncated.load(Ordering::Relaxed) > 0
    }
}

/// The answer to `request` (as it was sent: a header and one question) that `received` is, made readable where a
/// server is sloppy: an error without its question gets it back, a truncated answer that ends inside a record loses
/// its records. `most` is the largest answer that the reader takes; a longer one counts as truncated.
///
/// # Errors
/// Why it is no answer to it.
pub fn answer_to<'a>(request: &[u8], received: &'a [u8], most: usize) -> Result<Cow<'a, [u8]>, Stray> {
    let header: &[u8; 12] = received.first_chunk().ok_or(Stray::NotAnAnswer)?;
    let [id_high, id_low, flags, more_flags, questions @ .., _, _, _, _, _, _] = header;
    if request.get(..2) != Some(&[*id_high, *id_low]) {
        return Err(Stray::OtherId);
    }
    if flags & RESPONSE == 0 {
        return Err(Stray::NotAnAnswer);
    }
    let truncated = flags & TRUNCATED != 0;
    match u16::from_be_bytes(*questions) {
        0 if more_flags & RCODE != 0 => Ok(bare(request, *flags, *more_flags)),
        1 if fits(header, received.len()) => match Message::from_vec(received) {
            Ok(message) if !same_question(&message, request) => Err(Stray::OtherQuestion),
            Ok(_) if received.len() > most => Ok(bare(request, flags | TRUNCATED, *more_flags)),
            Ok(_) => Ok(Cow::Borrowed(received)),
            Err(_) if truncated => Ok(bare(request, *flags, *more_flags)),
            Err(_) => Err(Stray::NotAnAnswer),
        },
        1 if truncated => Ok(bare(request, *flags, *more_flags)),
        _ => Err(Stray::NotAnAnswer),
    }
}

/// The request's own header and question with the answer's flags: an answer without records.
fn bare(request: &[u8], flags: u8, more_flags: u8) -> Cow<'static, [u8]> {
    let mut answer = request.to_vec();
    for (place, flags) in answer.iter_mut().skip(2).zip([flags, more_flags]) {
        *place = flags;
    }
    Cow::Owned(answer)
}

/// Whether so many records can be in so many bytes; the reader reserves room for as many as the header claims.
fn fits(header: &[u8; 12], length: usize) -> bool {
    let [.., a0, a1, b0, b1, c0, c1] = *header;
    let records: usize =
        [[a0, a1], [b0, b1], [c0, c1]].into_iter().map(|count| usize::from(u16::from_be_bytes(count))).sum();
    records.saturating_mul(SMALLEST_RECORD) <= length
}

fn same_question(message: &Message, request: &[u8]) -> bool {
    Message::from_vec(request).is_ok_and(|sent| sent.queries == message.queries)
}

// RFC 1035 §4.1.1, the header's third and fourth byte.
const RESPONSE: u8 = 0x80;
const TRUNCATED: u8 = 0x02;
const RCODE: u8 = 0x0f;
/// A root name, type, class, TTL and length.
const SMALLEST_RECORD: usize = 11;

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use hickory_resolver::proto::{
        op::{Message, OpCode, Query, ResponseCode},
        rr::{Name, RData, Record, RecordType, rdata::A},
    };
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Evidence, Stray, answer_to};

    fn query(host: &str) -> Query {
        Query::query(Name::from_ascii(host).expect("a name"), RecordType::A)
    }

    fn request() -> Vec<u8> {
        let mut message = Message::query();
        message.metadata.id = 0x1234;
        message.add_query(query("x.test."));
        message.to_vec().expect("encodes")
    }

    fn reply(host: &str, id: u16) -> Message {
        let mut message = Message::response(id, OpCode::Query);
        message.add_query(query(host));
        let name = Name::from_ascii("x.test.").expect("a name");
        message.answers.push(Record::from_rdata(name, 60, RData::A(A::new(10, 0, 0, 1))));
        message
    }

    fn bytes(message: &Message) -> Vec<u8> {
        message.to_vec().expect("encodes")
    }

    #[test]
    fn strays_are_told_apart() {
        let check = |received: &[u8], expected| assert_eq!(answer_to(&request(), received, 512), Err(expected));
        check(b"", Stray::NotAnAnswer);
        check(b"\x12\x34 short", Stray::NotAnAnswer);
        check(&request(), Stray::NotAnAnswer);
        check(&bytes(&reply("x.test.", 0x4321)), Stray::OtherId);
        check(&bytes(&reply("y.test.", 0x1234)), Stray::OtherQuestion);
        check(b"\x12\x34\x80\x00\x00\x01\xff\xff\xff\xff\xff\xff\x00\x00\x01\x00\x01", Stray::NotAnAnswer);
    }

    #[test]
    fn an_answer_passes_unchanged_in_any_case() {
        for host in ["x.test.", "X.TEST."] {
            let received = bytes(&reply(host, 0x1234));
            assert_eq!(answer_to(&request(), &received, 512), Ok(Cow::Borrowed(received.as_slice())));
        }
    }

    #[test]
    fn a_sloppy_answer_becomes_readable() {
        let check = |received: &[u8], most: usize| {
            let answer = answer_to(&request(), received, most).expect("an answer");
            let message = Message::from_vec(&answer).expect("readable");
            assert_eq!(message.queries, [query("x.test.")]);
            assert!(message.answers.is_empty());
            message.metadata
        };
        let mut whole = reply("x.test.", 0x1234);
        assert!(check(&bytes(&whole), 20).truncation, "too long for the reader");
        whole.metadata.truncation = true;
        let cut = bytes(&whole);
        assert!(check(&cut[..cut.len() - 3], 512).truncation, "cut inside a record");
        let error = Message::error_msg(0x1234, OpCode::Query, ResponseCode::FormErr);
        assert_eq!(check(&bytes(&error), 512).response_code, ResponseCode::FormErr);
    }

    #[test]
    fn evidence_keeps_the_last_stray() {
        let evidence = Evidence::default();
        assert_eq!(evidence.stray(), None);
        for stray in [Stray::OtherQuestion, Stray::OtherId, Stray::NotAnAnswer] {
            evidence.note(stray);
            assert_eq!(evidence.stray(), Some(stray));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_sorted_and_an_answer_is_readable(
            mut received: Vec<u8>,
            with_id in any::<bool>(),
            flip in any::<(usize, u8)>(),
        ) {
            if with_id {
                let mut good = bytes(&reply("x.test.", 0x1234));
                let at = flip.0 % good.len();
                good[at] ^= flip.1;
                good.extend(received);
                received = good;
            }
            if let Ok(answer) = answer_to(&request(), &received, 512) {
                prop_assert!(Message::from_vec(&answer).is_ok());
                prop_assert!(answer.len() <= 512);
            }
        }
    }
}
