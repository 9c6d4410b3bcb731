//! The series that CloudWatch does not take. To look for them anew in every flush would cost some dozens of requests each
//! time, and 10,000 hosts with the same series would need the whole account's quota for that.

use std::time::Duration;

use tokio::time::Instant;

use crate::metric::{Datum, Name};

/// What is remembered of them.
#[derive(Debug, Default)]
pub(super) struct Refused {
    known: Vec<Known>,
}

/// What is to be done with a datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes with the others.
    Send,
    /// Its series was refused a short time ago: it would be, too.
    LeaveOut,
    /// That was long ago: one datum of the series goes, alone.
    Try,
}

#[derive(Debug)]
struct Known {
    metric: Name,
    dimensions: Vec<(String, String)>,
    until: Instant,
}

impl Refused {
    /// A datum was refused. Nothing is remembered of more series than there is room for: those are found anew each time.
    pub(super) fn note(&mut self, datum: &Datum, now: Instant) {
        let until = now + HOUR;
        if let Some(known) = self.known.iter_mut().find(|known| known.is_of(datum)) {
            known.until = until;
        } else if self.known.len() < MOST_SERIES {
            self.known.push(Known { metric: datum.metric, dimensions: datum.dimensions.clone(), until });
        }
    }

    /// Datums were taken: their series are like any other.
    pub(super) fn forget(&mut self, taken: &[Datum]) {
        self.known.retain(|known| !taken.iter().any(|datum| known.is_of(datum)));
    }

    /// What is to be done with a datum.
    pub(super) fn fate(&self, datum: &Datum, now: Instant) -> Fate {
        match self.known.iter().find(|known| known.is_of(datum)) {
            None => Fate::Send,
            Some(known) if now < known.until => Fate::LeaveOut,
            Some(_) => Fate::Try,
        }
    }
}

impl Known {
    fn is_of(&self, datum: &Datum) -> bool {
        self.metric == datum.metric && self.dimensions == datum.dimensions
    }
}

/// A series is tried again after this.
const HOUR: Duration = Duration::from_hours(1);
/// Series that are remembered.
const MOST_SERIES: usize = 256;

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::{Fate, HOUR, MOST_SERIES, Refused};
    use crate::{
        metric::{Datum, Name, Unit},
        model::units::Timestamp,
    };

    fn datum(metric: Name, target: usize) -> Datum {
        Datum {
            metric,
            dimensions: vec![("Target".to_owned(), target.to_string())],
            at: Timestamp::from_unix_millis(0).expect("a moment"),
            values: Vec::new(),
            unit: Unit::None,
        }
    }

    #[tokio::test]
    async fn a_series_is_left_out_for_an_hour_and_tried_again() {
        let (mut refused, now) = (Refused::default(), Instant::now());
        let bad = datum(Name::Healthy, 1);
        assert_eq!(refused.fate(&bad, now), Fate::Send);
        refused.note(&bad, now);
        assert_eq!(refused.fate(&bad, now + HOUR / 2), Fate::LeaveOut);
        assert_eq!(refused.fate(&datum(Name::Problems, 1), now), Fate::Send, "another metric");
        assert_eq!(refused.fate(&datum(Name::Healthy, 2), now), Fate::Send, "another target");
        assert_eq!(refused.fate(&bad, now + HOUR), Fate::Try);
        refused.note(&bad, now + HOUR);
        assert_eq!(refused.fate(&bad, now + HOUR), Fate::LeaveOut);
        refused.forget(std::slice::from_ref(&bad));
        assert_eq!(refused.fate(&bad, now + HOUR), Fate::Send);
    }

    #[tokio::test]
    async fn what_is_remembered_is_bounded() {
        let (mut refused, now) = (Refused::default(), Instant::now());
        for target in 0..=MOST_SERIES {
            refused.note(&datum(Name::Healthy, target), now);
        }
        assert_eq!(refused.known.len(), MOST_SERIES);
        assert_eq!(refused.fate(&datum(Name::Healthy, 0), now), Fate::LeaveOut);
        assert_eq!(refused.fate(&datum(Name::Healthy, MOST_SERIES), now), Fate::Send);
    }
}
