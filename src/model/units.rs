//! Numbers that get confused, each with its unit in its type.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize, de, ser};
use time::{
    OffsetDateTime, UtcOffset,
    format_description::well_known::{Rfc2822, Rfc3339},
};

/// An elapsed time in milliseconds, always finite and never negative, kept to a hundredth.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Millis(f64);

impl Millis {
    /// The value in milliseconds.
    #[must_use]
    pub const fn as_f64(self) -> f64 {
        self.0
    }
}

impl From<Duration> for Millis {
    fn from(elapsed: Duration) -> Self {
        Self((elapsed.as_secs_f64() * 100_000.0).round() / 100.0)
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A moment in UTC; serialised as RFC 3339 with milliseconds, e.g. `2026-11-21T03:04:05.678Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// The same moment, cut to the millisecond and turned to UTC.
    #[must_use]
    pub fn new(moment: OffsetDateTime) -> Self {
        // The last hours that the type can hold have no moment in UTC.
        let utc = moment.checked_to_offset(UtcOffset::UTC).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let millis = u32::from(utc.millisecond());
        Self(utc.replace_nanosecond(millis * 1_000_000).unwrap_or(utc))
    }

    /// The wall clock, read now. Only the edges of the program (`cli`, `daemon`) may ask.
    #[must_use]
    pub fn now() -> Self {
        Self::new(OffsetDateTime::now_utc())
    }

    /// Milliseconds since 1970 began.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        // Every moment that the type can hold lies within some ten thousand years.
        i64::try_from(self.0.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
    }

    /// The moment so many milliseconds after 1970 began; `None` beyond the year 9999.
    #[must_use]
    pub fn from_unix_millis(millis: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok().map(Self::new)
    }

    /// The moment as the `time` crate's type.
    #[must_use]
    pub const fn moment(self) -> OffsetDateTime {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let t = self.0;
        write!(
            f,
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            t.millisecond()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: ser::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let moment = OffsetDateTime::parse(&text, &Rfc3339).map_err(de::Error::custom)?;
        let utc = moment.checked_to_offset(UtcOffset::UTC);
        utc.map(Self::new).ok_or_else(|| de::Error::custom("a moment outside the years of UTC that can be written"))
    }
}

/// The moment of an HTTP `Date`. One of another age is nobody's clock: it would be reckoned with until it overflows.
#[must_use]
pub fn http_date(text: &str) -> Option<OffsetDateTime> {
    let date = OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?;
    (1990..2200).contains(&date.year()).then_some(date)
}

/// Names one round: the start in milliseconds since the epoch and the process id, both in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoundId(String);

impl RoundId {
    /// The id of the round that `pid` started at `started_at`.
    #[must_use]
    pub fn new(started_at: Timestamp, pid: u32) -> Self {
        Self(format!("{:x}-{pid:x}", started_at.0.unix_timestamp_nanos() / 1_000_000))
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Millis, Timestamp, http_date};

    #[test]
    fn a_timestamp_survives_its_own_text() {
        let text = "\"2026-11-21T03:04:05.678Z\"";
        let parsed: Timestamp = serde_json::from_str(text).expect("RFC 3339");
        assert_eq!(serde_json::to_string(&parsed).expect("serialises"), text);
    }

    #[test]
    fn a_moment_that_utc_cannot_hold_is_refused() {
        let text = "\"9999-12-31T23:59:59-01:00\"";
        serde_json::from_str::<Timestamp>(text).expect_err(text);
    }

    #[test]
    fn a_date_of_another_age_is_no_date() {
        assert!(http_date(" Sun, 06 Nov 1994 08:49:37 GMT").is_some());
        for text in
            ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2300", "Mon, 01 Jan 1900 00:00:00 GMT", "x"]
        {
            assert_eq!(http_date(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_keep_a_hundredth() {
        assert_eq!(Millis::from(Duration::from_micros(41_237)).to_string(), "41.24");
    }
}
