//! Durations as people write them: `250ms`, `5s`, `1m30s`, `14d`.

use std::{fmt, time::Duration};

use super::diagnostic::quoted;

/// The text is no duration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotADuration {
    /// What was written.
    pub text: String,
    /// What was probably meant, as it should be written.
    pub meant: Option<String>,
}

impl fmt::Display for NotADuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not a duration", quoted(&self.text))?;
        match &self.meant {
            Some(meant) => write!(f, "; write {meant}"),
            None => write!(f, "; write a number and its unit (ms, s, m, h or d), like 5s, 250ms or 1m30s"),
        }
    }
}

impl std::error::Error for NotADuration {}

/// Reads whole numbers, each with its unit (`ms`, `s`, `m`, `h`, `d`), the larger unit first: `1m30s`.
///
/// # Errors
/// Anything else, with what was probably meant: `5 sec` means `5s`.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    strict(text).ok_or_else(|| NotADuration { text: text.to_owned(), meant: lenient(text).map(show) })
}

/// The shortest text that [`parse`] reads as this duration, cut to the millisecond: seconds up to ten minutes, whole
/// days, else the units that it takes.
#[must_use]
pub fn show(duration: Duration) -> String {
    let millis = duration.as_millis();
    let seconds = millis / 1000;
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis.is_multiple_of(1000) && seconds <= 600 {
        return format!("{seconds}s");
    }
    let mut rest = millis;
    let mut out = String::new();
    for (unit, length) in UNITS {
        let count = rest / u128::from(length);
        // Days only when nothing else is left: `36h` says more than `1d12h`.
        if count == 0 || (unit == "d" && !rest.is_multiple_of(u128::from(length))) {
            continue;
        }
        rest %= u128::from(length);
        out = format!("{out}{count}{unit}");
    }
    out
}

fn strict(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (digits, tail) = split(rest, |c| c.is_ascii_digit());
        let (name, tail) = split(tail, |c| !c.is_ascii_digit());
        let (_, unit) = UNITS.into_iter().find(|(unit, _)| *unit == name)?;
        if unit >= last {
            return None;
        }
        last = unit;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = tail;
    }
    (last != u64::MAX && total <= LONGEST).then(|| Duration::from_millis(total))
}

/// What a text means that is nearly a duration: words for units, capitals, blanks, fractions, a missing unit (seconds).
fn lenient(text: &str) -> Option<Duration> {
    let text: String = text.trim().to_lowercase().chars().filter(|c| !matches!(c, ' ' | '_' | '\t')).collect();
    let mut rest = text.as_str();
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let (number, tail) = split(rest, |c| c.is_ascii_digit() || c == '.');
        let (name, tail) = split(tail, |c| !(c.is_ascii_digit() || c == '.'));
        let name = name.trim_matches([',', '.', '+']);
        total += number.parse::<f64>().ok()? * word(name)?;
        rest = tail;
    }
    let whole = total.round();
    #[expect(clippy::cast_precision_loss, reason = "LONGEST is far below 2^53")]
    let longest = LONGEST as f64;
    if text.is_empty() || !(1.0..=longest).contains(&whole) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and LONGEST")]
    let millis = whole as u64;
    Some(Duration::from_millis(millis))
}

/// A unit's length in milliseconds, by any of its names.
fn word(name: &str) -> Option<f64> {
    Some(match name {
        "ms" | "msec" | "msecs" | "milli" | "millis" | "millisecond" | "milliseconds" => 1.0,
        "" | "s" | "sec" | "secs" | "second" | "seconds" => 1000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        "w" | "week" | "weeks" => 7.0 * 86_400_000.0,
        _ => return None,
    })
}

/// The longest beginning whose characters all match, and the rest.
pub(super) fn split(text: &str, matches: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.char_indices().find(|(_, c)| !matches(*c)).map_or(text.len(), |(at, _)| at);
    text.split_at(end)
}

/// Units and their milliseconds, largest first.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Ten years: beyond it a duration is a slip of the pen, and sums of durations cannot overflow.
const LONGEST: u64 = 3650 * 86_400_000;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::{prop_assert_eq, proptest};

    use super::{parse, show};

    #[test]
    fn durations_are_read() {
        let check = |text: &str, millis: u64| assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        check("5s", 5000);
        check("2m", 120_000);
        check("250ms", 250);
        check("1h", 3_600_000);
        check("14d", 14 * 86_400_000);
        check("1m30s", 90_000);
        check("1d2h3m4s5ms", 93_784_005);
        check("0s", 0);
    }

    #[test]
    fn near_misses_are_understood() {
        let check = |text: &str, meant: Option<&str>| {
            let refused = parse(text).expect_err("is refused");
            assert_eq!(refused.meant.as_deref(), meant, "{text:?}");
        };
        check("5 sec", Some("5s"));
        check("5", Some("5s"));
        check("5S", Some("5s"));
        check("1.5s", Some("1s500ms"));
        check("2 Minutes", Some("120s"));
        check("30s1m", Some("90s"));
        check("1h 30m", Some("1h30m"));
        check("1_000ms", Some("1s"));
        check("2w", Some("14d"));
        check("1s1s", Some("2s"));
        check("", None);
        check("soon", None);
        check("-5s", None);
        check("s", None);
        check("5 parsecs", None);
        check("99999999999999999999d", None);
        check("5s\u{1b}", None);
        check("٥s", None);
    }

    #[test]
    fn durations_are_shown() {
        let check = |millis: u64, text: &str| assert_eq!(show(Duration::from_millis(millis)), text);
        check(0, "0s");
        check(250, "250ms");
        check(1500, "1s500ms");
        check(60_000, "60s");
        check(600_000, "600s");
        check(3_600_000, "1h");
        check(5_400_000, "1h30m");
        check(14 * 86_400_000, "14d");
        check(36 * 3_600_000, "36h");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(millis in 0_u64..3650 * 86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&show(duration)), Ok(duration));
        }

        #[test]
        fn what_is_suggested_is_right(text in "[ 0-9a-zA-Z.]{0,12}") {
            if let Err(refused) = parse(&text) && let Some(meant) = refused.meant {
                prop_assert_eq!(parse(&meant).map(show), Ok(meant));
            }
        }
    }
}
