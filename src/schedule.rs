//! When the next tick is due. Pure: the clocks' readings are arguments.
//!
//! Ticks lie on a grid over the wall clock, so that a host's samples are evenly spaced for years and across restarts, and
//! each host has its own phase, so that a fleet does nothing in step. Between two ticks only monotonic time counts: a
//! clock that jumps moves the next tick by half an interval at most.

use std::time::Duration;

use crate::model::units::Timestamp;

/// Evenly spaced moments: every `interval` since 1970 began, shifted by a phase of the host's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cadence {
    interval_ms: i64,
    phase_ms: i64,
}

/// The next tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its moment on the grid, as the wall clock counts now.
    pub at: Timestamp,
    /// How long until then; to be waited on the monotonic clock.
    pub wait: Duration,
}

impl Cadence {
    /// The grid of the host that `key` names (the instance's id) for one `purpose` (rounds, flushes): two purposes of a
    /// host have nothing to do with each other. An interval below a millisecond counts as one.
    #[must_use]
    pub fn new(interval: Duration, key: &str, purpose: &str) -> Self {
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(LONGEST_MS).clamp(1, LONGEST_MS);
        let phase = spread(key, purpose) % interval_ms.unsigned_abs();
        Self { interval_ms, phase_ms: i64::try_from(phase).unwrap_or(0) }
    }

    /// From one tick to the next.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms.unsigned_abs())
    }

    /// The first moment of the grid after `now` that is at least half an interval after the last tick's beginning.
    ///
    /// `since_last` is monotonic time; `None` before the first tick. So nothing is stacked after an overrun, nothing is
    /// doubled after the clock was set back or forward, and the grid is kept: with a steady clock the wait ends exactly
    /// one interval after the last tick, and it is never longer than one and a half.
    #[must_use]
    pub fn next(&self, now: Timestamp, since_last: Option<Duration>) -> Due {
        let half = self.interval_ms / 2 + self.interval_ms % 2;
        let since_ms = since_last.map_or(half, |since| i64::try_from(since.as_millis()).unwrap_or(half).min(half));
        let earliest = now.unix_millis() + (half - since_ms).max(1);
        let at = earliest + (self.phase_ms - earliest).rem_euclid(self.interval_ms);
        let wait = Duration::from_millis(at.abs_diff(now.unix_millis()));
        // Only a clock at the end of the year 9999 gets the fallback.
        Due { at: Timestamp::from_unix_millis(at).unwrap_or(now), wait }
    }

    /// The moment of the grid that a tick which begins at `now` stands for: the nearest.
    ///
    /// That is [`Due::at`] unless the clock jumped or the machine slept during the wait. Two ticks that
    /// [`Cadence::next`] spaced never stand for the same moment, unless the clock was set back between them.
    #[must_use]
    pub fn nearest(&self, now: Timestamp) -> Timestamp {
        let behind = (now.unix_millis() - self.phase_ms).rem_euclid(self.interval_ms);
        // A tie goes down: `next` may lie just half an interval ahead.
        let nearest = if 2 * behind <= self.interval_ms {
            now.unix_millis() - behind
        } else {
            now.unix_millis() - behind + self.interval_ms
        };
        Timestamp::from_unix_millis(nearest).unwrap_or(now)
    }

    /// How many moments of the grid lie between two ticks and had none: an overrun, a suspended machine, or a clock that
    /// was set forward. None where it was set back.
    #[must_use]
    pub fn missed(&self, last: Timestamp, this: Timestamp) -> u64 {
        let steps = (this.unix_millis() - last.unix_millis()) / self.interval_ms;
        u64::try_from(steps - 1).unwrap_or(0)
    }
}

/// A number that is the same for this key and purpose on every machine and in every release, and evenly spread over keys.
#[must_use]
pub fn spread(key: &str, purpose: &str) -> u64 {
    // FNV-1a (draft-eastlake-fnv), then MurmurHash3's finaliser: ids that differ in one character get unrelated numbers.
    // The NUL keeps key and purpose apart.
    let bytes = key.bytes().chain([0]).chain(purpose.bytes());
    let hash = bytes.fold(FNV_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
/// Some three hundred years: no sum with a moment overflows.
const LONGEST_MS: i64 = 10_000_000_000_000;

#[cfg(test)]
mod tests;
