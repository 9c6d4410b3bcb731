//! Text for people, made of what a peer sent: bounded, and with nothing in it that a terminal would obey.

use std::{fmt::Write as _, time::Duration};

/// `text` with everything but letters, digits, ASCII signs and spaces escaped, cut after `most` characters.
pub(super) fn printable(text: &str, most: usize) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == most {
            shown.push('…');
            break;
        }
        if character.is_alphanumeric() || character.is_ascii_graphic() || character == ' ' {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    shown
}

/// The first `most` bytes as a peer sent them: ASCII as it is, the rest escaped, a final line break left out.
pub(super) fn escaped(bytes: &[u8], most: usize) -> String {
    let cut = bytes.get(..most).unwrap_or(bytes);
    let mut shown = cut.trim_ascii_end().escape_ascii().to_string();
    if cut.len() < bytes.len() {
        shown.push('…');
    }
    shown
}

/// A span as a person says it: its two largest units, e.g. `3 days 4 h`, `7 min 12 s`, `40 ms`.
pub(super) fn span(length: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, " days"), (3_600, " h"), (60, " min"), (1, " s")];
    let seconds = length.as_secs();
    if seconds == 0 {
        return format!("{} ms", length.as_millis());
    }
    if seconds < 10 && length.subsec_millis() >= 100 {
        return format!("{:.1} s", length.as_secs_f64());
    }
    let mut left = seconds;
    let mut said = String::new();
    for (index, (size, name)) in UNITS.into_iter().enumerate() {
        let count = left / size;
        left %= size;
        if count > 0 {
            let name = if index == 0 && count == 1 { " day" } else { name };
            let first = said.is_empty();
            let _ = write!(said, "{}{count}{name}", if first { "" } else { " " });
            if !first {
                break;
            }
        } else if !said.is_empty() {
            break;
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{escaped, printable, span};

    #[test]
    fn a_terminal_sees_no_control_character() {
        assert_eq!(printable("Société \u{1b}[31mX\u{202e}", 40), "Société \\u{1b}[31mX\\u{202e}");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(escaped(b"SSH-2.0-x\r\n", 64), "SSH-2.0-x");
        assert_eq!(escaped(b"\x00\xffab", 3), "\\x00\\xffa…");
    }

    #[test]
    fn spans_have_two_units() {
        let check = |millis: u64, expected: &str| assert_eq!(span(Duration::from_millis(millis)), expected);
        check(40, "40 ms");
        check(1_500, "1.5 s");
        check(4_000, "4 s");
        check(432_000, "7 min 12 s");
        check(3_600_000, "1 h");
        check(86_400_000, "1 day");
        check(273_700_000, "3 days 4 h");
        check(86_460_000, "1 day");
    }
}
