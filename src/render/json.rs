//! The report for programs: the contract's shape, pretty-printed.

use super::text;
use crate::model::round::Round;

/// The round as JSON with a newline at its end.
///
/// # Panics
/// Never: a report has string keys only, and its floats that are not finite are written as `null`.
#[must_use]
pub fn render(round: &Round) -> String {
    escaped(serde_json::to_string_pretty(round).expect("a report has string keys only and no failing Serialize"))
}

/// The same in one line: what a state file holds.
///
/// # Panics
/// Never, as [`render`].
#[must_use]
pub fn compact(round: &Round) -> String {
    escaped(serde_json::to_string(round).expect("a report has string keys only and no failing Serialize"))
}

fn escaped(mut plain: String) -> String {
    if plain.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)) {
        plain.push('\n');
        return plain;
    }
    let mut out = String::with_capacity(plain.len() + 1);
    // Only within strings can such a character stand: serde_json escapes those below U+0020 and leaves DEL, the C1
    // controls and the bidirectional overrides, which a terminal obeys.
    let mut rest = plain.as_str();
    while let Some(at) = rest.find(is_obeyed) {
        let (kept, more) = rest.split_at(at);
        let mut chars = more.chars();
        out += kept;
        for c in chars.by_ref().take(1) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out += format!("\\u{unit:04x}").as_str();
            }
        }
        rest = chars.as_str();
    }
    out += rest;
    out.push('\n');
    out
}

fn is_obeyed(c: char) -> bool {
    c != '\n' && (c.is_control() || text::is_hidden(c))
}
