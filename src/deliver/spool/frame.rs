//! The bytes of a segment: a header, then frames. Each frame has a marker, a header with its own checksum, and a payload
//! with another, so that the frames behind a damaged one are found again, and so that a damaged payload still says which
//! round it was. Both checksums begin with the segment's first number: a frame in the wrong file is none.

use super::mark::{Parts, Weight};

/// What a frame says of its round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub seq: u64,
    /// Milliseconds since 1970 began.
    pub tick: i64,
    pub owed: Parts,
    pub weight: Weight,
    /// Datums reported as lost by all rounds until this one, since the spool was made.
    pub reported: u64,
}

/// A frame that was found in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub header: Header,
    /// Where it starts in the file.
    pub at: u32,
    /// Whether the payload is all there, and undamaged.
    pub whole: bool,
}

/// What a file of a segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Frames. `tail`: behind the last one stands something that is none.
    Frames { tail: bool },
    /// A format of another version.
    Unknown { version: u16 },
    /// Another segment under this name.
    Foreign,
}

/// The header of the segment whose first round is `first`.
pub(super) fn segment_header(first: u64) -> [u8; SEGMENT_HEADER] {
    header_of_version(first, VERSION)
}

/// A frame, ready to be written.
pub(super) fn encode(first: u64, header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FRAME_HEADER + payload.len());
    bytes.extend_from_slice(&MARKER);
    bytes.extend_from_slice(&header.seq.to_le_bytes());
    bytes.extend_from_slice(&header.tick.to_le_bytes());
    bytes.extend_from_slice(&header.reported.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend_from_slice(&checksum(first, payload).to_le_bytes());
    bytes.extend_from_slice(&header.weight.urgent.to_le_bytes());
    bytes.extend_from_slice(&header.weight.scheduled.to_le_bytes());
    bytes.push(header.owed.bits());
    let sum = checksum(first, &bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// Reads a whole segment, and hands over its frames in ascending order. Never fails: what is no frame is passed over.
pub(super) fn scan(first: u64, bytes: &[u8], mut each: impl FnMut(Frame)) -> Content {
    match version(first, bytes) {
        Some((_, found)) if found != first => return Content::Foreign,
        Some((version, _)) if version != VERSION => return Content::Unknown { version },
        // A damaged header says nothing; the frames speak for themselves.
        Some(_) | None => {}
    }
    let mut last = None;
    let mut at = SEGMENT_HEADER.min(bytes.len());
    // A file without even a header holds the beginning of its first round.
    let mut tail = bytes.len() <= SEGMENT_HEADER;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let Some((header, length)) = parse(first, rest).filter(|(header, _)| fits(first, header, last)) else {
            tail = true;
            at += 1 + rest.iter().skip(1).position(|byte| *byte == MARKER[0]).unwrap_or(rest.len());
            continue;
        };
        let whole = payload(first, rest).is_some();
        tail = false;
        last = Some(header.seq);
        each(Frame { header, at: u32::try_from(at).unwrap_or(u32::MAX), whole });
        at = at.saturating_add(FRAME_HEADER).saturating_add(length);
    }
    Content::Frames { tail }
}

/// The payload of the frame that `bytes` begin with, if that frame is whole.
pub(super) fn payload(first: u64, bytes: &[u8]) -> Option<&[u8]> {
    let (_, length) = parse(first, bytes)?;
    let payload = bytes.get(FRAME_HEADER..)?.get(..length)?;
    (number(bytes, 32, u32::from_le_bytes)? == checksum(first, payload)).then_some(payload)
}

/// The header that `bytes` begin with, if its checksum is right, and the length of its payload.
pub(super) fn parse(first: u64, bytes: &[u8]) -> Option<(Header, usize)> {
    if !bytes.starts_with(&MARKER) {
        return None;
    }
    let summed = bytes.get(..FRAME_HEADER - 4)?;
    if number(bytes, FRAME_HEADER - 4, u32::from_le_bytes)? != checksum(first, summed) {
        return None;
    }
    let length = usize::try_from(number(bytes, 28, u32::from_le_bytes)?).ok()?;
    let header = Header {
        seq: number(bytes, 4, u64::from_le_bytes)?,
        tick: number(bytes, 12, i64::from_le_bytes)?,
        reported: number(bytes, 20, u64::from_le_bytes)?,
        weight: Weight {
            urgent: number(bytes, 36, u16::from_le_bytes)?,
            scheduled: number(bytes, 38, u16::from_le_bytes)?,
        },
        owed: Parts::from_bits(*bytes.get(40)?)?,
    };
    (length <= MOST_PAYLOAD).then_some((header, length))
}

/// CRC32 of `bytes`, begun with the segment's first number.
pub(super) fn checksum(first: u64, bytes: &[u8]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&first.to_le_bytes());
    sum.update(bytes);
    sum.finalize()
}

/// Whether a round may stand in the segment of `first`, behind `last`.
fn fits(first: u64, header: &Header, last: Option<u64>) -> bool {
    let above = header.seq.checked_sub(first).is_some_and(|above| above < MOST_ROUNDS);
    above && last.is_none_or(|last| last < header.seq)
}

/// The version and the first number that a segment's header names, if its checksum is right.
fn version(first: u64, bytes: &[u8]) -> Option<(u16, u64)> {
    let header = bytes.get(..SEGMENT_HEADER)?;
    let version = number(header, MAGIC.len(), u16::from_le_bytes)?;
    let named = number(header, MAGIC.len() + 2, u64::from_le_bytes)?;
    // Whatever else a version changes, this much of the header stays.
    [first, named].into_iter().find(|first| header == header_of_version(*first, version)).map(|first| (version, first))
}

fn header_of_version(first: u64, version: u16) -> [u8; SEGMENT_HEADER] {
    let mut bytes = [0; SEGMENT_HEADER];
    let sum = crc32fast::hash(&[&MAGIC[..], &version.to_le_bytes(), &first.to_le_bytes()].concat());
    let fields = MAGIC.into_iter().chain(version.to_le_bytes()).chain(first.to_le_bytes()).chain(sum.to_le_bytes());
    for (byte, field) in bytes.iter_mut().zip(fields) {
        *byte = field;
    }
    bytes
}

fn number<T, const N: usize>(bytes: &[u8], at: usize, read: fn([u8; N]) -> T) -> Option<T> {
    bytes.get(at..)?.first_chunk::<N>().map(|chunk| read(*chunk))
}

/// What every segment begins with.
const MAGIC: [u8; 6] = *b"vpceSP";
/// The version of all that stands in a segment, its acknowledgements included.
const VERSION: u16 = 1;
/// Magic, version, first number, checksum.
pub(super) const SEGMENT_HEADER: usize = 6 + 2 + 8 + 4;
/// What every frame begins with: bytes that no text has.
const MARKER: [u8; 4] = [0xF5, b'r', b'n', b'd'];
/// Marker, number, tick, reported, length, checksum of the payload, weights, parts, checksum of all these.
pub(super) const FRAME_HEADER: usize = 4 + 8 + 8 + 8 + 4 + 4 + 2 + 2 + 1 + 4;
/// The longest payload: some thousands of targets.
pub(super) const MOST_PAYLOAD: usize = 256 * 1024;
/// Above what any segment can hold; a number beyond that is none of this segment's.
pub(super) const MOST_ROUNDS: u64 = 1 << 24;
