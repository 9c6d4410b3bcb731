//! Netlink's messages (netlink(7), linux/netlink.h): a header of sixteen bytes, a body, attributes; all in the host's
//! byte order and each padded to four bytes.

use std::{io, iter};

/// One request: `header` is the fixed part that `kind` asks for.
pub(super) fn request(kind: u16, sequence: u32, header: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = Vec::from(header);
    for &(kind, value) in attributes {
        let length = u16::try_from(ATTRIBUTE + value.len()).unwrap_or(u16::MAX);
        body.extend(length.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value);
        body.resize(padded(body.len()), 0);
    }
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let mut message = Vec::from(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    message.extend(sequence.to_ne_bytes());
    // The sender's port: the kernel knows it.
    message.extend([0; 4]);
    message.extend(body);
    message
}

/// The body of the message of this `kind` that answers request number `sequence`; `None` where the datagram holds none.
///
/// # Errors
/// The kernel's own, when that is its answer; `InvalidData` when its error message is cut off.
pub(super) fn answer(datagram: &[u8], sequence: u32, kind: u16) -> io::Result<Option<&[u8]>> {
    for message in messages(datagram).filter(|message| message.sequence == sequence) {
        if message.kind == kind {
            return Ok(Some(message.body));
        }
        if message.kind == ERROR {
            match word(message.body, 0) {
                None => return Err(io::ErrorKind::InvalidData.into()),
                // An acknowledgement.
                Some(0) => {}
                Some(code) => return Err(kernel_error(code)),
            }
        }
    }
    Ok(None)
}

/// The error that the kernel wrote into a message: the negative of an errno.
pub(super) fn kernel_error(code: u32) -> io::Error {
    i32::try_from(code.cast_signed().unsigned_abs())
        .map_or_else(|_| io::ErrorKind::InvalidData.into(), io::Error::from_raw_os_error)
}

/// Kind and value of each attribute, up to the first that is cut off.
pub(super) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    iter::from_fn(move || {
        let (length, kind) = (half(rest, 0)?, half(rest, 2)?);
        let value = rest.get(ATTRIBUTE..length.into())?;
        rest = rest.get(padded(length.into())..).unwrap_or_default();
        // The two highest bits tell how the value is written, not what it is.
        Some((kind & KIND, value))
    })
}

/// The value of the first attribute of this kind.
pub(super) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|&(found, _)| found == kind).map(|(_, value)| value)
}

/// The 32-bit word that begins at this byte.
pub(super) fn word(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// One message of a datagram.
struct Message<'a> {
    kind: u16,
    sequence: u32,
    body: &'a [u8],
}

/// The messages of one datagram, up to the first that is cut off.
fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    iter::from_fn(move || {
        let length = usize::try_from(word(rest, 0)?).ok()?;
        let message = Message { kind: half(rest, 4)?, sequence: word(rest, 8)?, body: rest.get(HEADER..length)? };
        rest = rest.get(padded(length)..).unwrap_or_default();
        Some(message)
    })
}

fn half(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(*bytes.get(offset..)?.first_chunk()?))
}

/// A length with its padding.
fn padded(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// `sizeof(struct nlmsghdr)` and `sizeof(struct nlattr)`.
const HEADER: usize = 16;
const ATTRIBUTE: usize = 4;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// `NLA_TYPE_MASK`.
const KIND: u16 = 0x3fff;

#[cfg(test)]
mod tests {
    use std::io;

    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{ERROR, answer, attribute, attributes, kernel_error, padded, request};

    /// Some kind that is not netlink's own.
    const REPLY: u16 = 24;

    /// The errno that a kernel's answer with this code becomes.
    fn refusal(code: i32) -> Option<i32> {
        let datagram = request(ERROR, 7, &code.to_ne_bytes(), &[]);
        answer(&datagram, 7, REPLY).err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn a_request_lies_as_the_kernel_reads_it() {
        let message = request(26, 7, &[9; 4], &[(1, &[1, 2, 3, 4]), (2, &[5])]);
        let mut wanted = Vec::new();
        wanted.extend(36_u32.to_ne_bytes());
        wanted.extend([26_u16, 1].iter().flat_map(|half| half.to_ne_bytes()));
        wanted.extend([7_u32, 0].iter().flat_map(|word| word.to_ne_bytes()));
        wanted.extend([9; 4]);
        wanted.extend([8_u16, 1].iter().flat_map(|half| half.to_ne_bytes()));
        wanted.extend([1, 2, 3, 4]);
        wanted.extend([5_u16, 2].iter().flat_map(|half| half.to_ne_bytes()));
        wanted.extend([5, 0, 0, 0]);
        assert_eq!(message, wanted);
    }

    #[test]
    fn errors_keep_their_number() {
        assert_eq!(refusal(-libc::ENETUNREACH), Some(libc::ENETUNREACH));
        assert_eq!(refusal(-libc::EPERM), Some(libc::EPERM));
        assert_eq!(kernel_error(i32::MIN.cast_unsigned()).kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn an_acknowledgement_is_not_the_end() {
        let mut datagram = request(ERROR, 7, &[0; 20], &[]);
        datagram.extend(request(REPLY, 7, b"body", &[]));
        assert_eq!(answer(&datagram, 7, REPLY).expect("no error"), Some(b"body".as_slice()));
    }

    #[test]
    fn another_requests_answer_is_passed_over() {
        let mut datagram = request(REPLY, 6, b"old!", &[]);
        datagram.extend(request(ERROR, 6, &(-libc::EPERM).to_ne_bytes(), &[]));
        assert_eq!(answer(&datagram, 7, REPLY).expect("no error"), None);
        datagram.extend(request(REPLY + 1, 7, b"else", &[]));
        datagram.extend(request(REPLY, 7, b"mine", &[]));
        assert_eq!(answer(&datagram, 7, REPLY).expect("no error"), Some(b"mine".as_slice()));
    }

    #[test]
    fn a_message_that_is_cut_off_is_no_answer() {
        let whole = request(REPLY, 7, b"body", &[]);
        for length in 0..whole.len() {
            let short = whole.get(..length).unwrap_or_default();
            assert_eq!(answer(short, 7, REPLY).expect("no error"), None, "{length} bytes");
        }
        let bare = request(ERROR, 7, &[], &[]);
        assert_eq!(answer(&bare, 7, REPLY).map_err(|e| e.kind()), Err(io::ErrorKind::InvalidData));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_spin(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = answer(&bytes, 7, REPLY);
            // Each attribute takes four bytes at least.
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4);
            prop_assert!(super::messages(&bytes).count() <= bytes.len() / 16);
        }

        #[test]
        fn lengths_that_lie_are_harmless(
            at in 0_usize..40, value: u8, values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..4),
        ) {
            let pairs: Vec<(u16, &[u8])> = (1..).zip(values.iter().map(Vec::as_slice)).collect();
            let mut datagram = request(REPLY, 7, &[], &pairs);
            datagram.extend(request(ERROR, 7, &[], &pairs));
            if let Some(byte) = datagram.get_mut(at) {
                *byte = value;
            }
            if let Ok(Some(body)) = answer(&datagram, 7, REPLY) {
                prop_assert!(attributes(body).all(|(_, value)| value.len() <= body.len()));
            }
        }

        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 0..6)) {
            let pairs: Vec<(u16, &[u8])> = (1..).zip(values.iter().map(Vec::as_slice)).collect();
            let datagram = request(REPLY, 7, &[], &pairs);
            prop_assert_eq!(padded(datagram.len()), datagram.len());
            let body = answer(&datagram, 7, REPLY).expect("no error").expect("an answer");
            prop_assert_eq!(attributes(body).collect::<Vec<_>>(), pairs.clone());
            for (kind, value) in pairs {
                prop_assert_eq!(attribute(body, kind), Some(value));
            }
        }
    }
}
