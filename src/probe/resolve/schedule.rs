//! When one question is sent, and sent again.

use std::time::Duration;

use tokio::time::Instant;

/// The moments of the sends of one question, first to last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    moments: Vec<Instant>,
    sent: usize,
}

impl Schedule {
    /// `attempts` sends (at least one) from `start`, closer together at first, so that the last one still has a third
    /// of the time until `end` for its answer: of four seconds, at 0, 0.59, 1.45 and 2.59 s.
    pub(super) fn new(start: Instant, end: Instant, attempts: u8) -> Self {
        let whole = end.saturating_duration_since(start);
        let attempts = attempts.max(1);
        let moments = (0..attempts)
            .map(|index| {
                let share = f64::from(index) / f64::from(attempts);
                start + whole.mul_f64(share * (0.45 + 0.55 * share))
            })
            .collect();
        Self { moments, sent: 0 }
    }

    /// When the next send is due; `None` after the last.
    pub(super) fn next(&self) -> Option<Instant> {
        self.moments.get(self.sent).copied()
    }

    /// How many were sent.
    pub(super) const fn sent(&self) -> usize {
        self.sent
    }

    /// The next one has been sent.
    pub(super) const fn advance(&mut self) {
        self.sent += 1;
    }

    /// The server, or a neighbour of it, has answered another question: the datagram was probably lost. Two sends more
    /// are made soon, beside those that are left: of four alone, one question in 11,000 loses all where 5 % of the packets
    /// are lost each way, and a hundred rounds ask 600 names. Who answers nothing at all is asked no more often for it.
    pub(super) fn hurry(&mut self, now: Instant) {
        if self.next().is_some() {
            self.moments.extend([now + LOST_AFTER, now + 2 * LOST_AFTER]);
            // Those that were sent stay first: they lie in the past.
            self.moments.sort_unstable();
        }
    }

    /// A send was refused: the next one is due at once, to see whether that was meant.
    pub(super) fn confirm(&mut self, now: Instant) {
        if let Some(place) = self.moments.get_mut(self.sent) {
            *place = (*place).min(now + CONFIRM_AFTER);
        }
    }
}

const LOST_AFTER: Duration = Duration::from_millis(100);
const CONFIRM_AFTER: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::Schedule;

    fn millis(schedule: &Schedule, start: Instant) -> Vec<u128> {
        schedule.moments.iter().map(|moment| (*moment - start).as_millis()).collect()
    }

    fn four(start: Instant) -> Schedule {
        Schedule::new(start, start + Duration::from_secs(4), 4)
    }

    #[test]
    fn sends_are_spread_over_the_budget() {
        let start = Instant::now();
        assert_eq!(millis(&four(start), start), [0, 587, 1450, 2587]);
        assert_eq!(millis(&Schedule::new(start, start + Duration::from_secs(4), 0), start), [0]);
        assert_eq!(millis(&Schedule::new(start, start, 3), start), [0, 0, 0]);
        let many = millis(&Schedule::new(start, start + Duration::from_secs(1), 255), start);
        assert!(many.is_sorted() && many.iter().all(|&moment| moment < 1000));
    }

    #[test]
    fn hurry_adds_two_sends_and_keeps_the_others() {
        let start = Instant::now();
        let mut schedule = four(start);
        schedule.advance();
        schedule.hurry(start + Duration::from_millis(5));
        assert_eq!(millis(&schedule, start), [0, 105, 205, 587, 1450, 2587]);
        let mut late = four(start);
        late.advance();
        late.hurry(start + Duration::from_millis(550));
        assert_eq!(millis(&late, start), [0, 587, 650, 750, 1450, 2587]);
        let mut spent = Schedule::new(start, start + Duration::from_secs(4), 1);
        spent.advance();
        spent.hurry(start);
        assert_eq!(spent.next(), None, "one send is one send");
    }

    #[test]
    fn a_refusal_is_confirmed_soon() {
        let start = Instant::now();
        let mut schedule = four(start);
        schedule.advance();
        schedule.confirm(start);
        assert_eq!(millis(&schedule, start), [0, 50, 1450, 2587]);
        let mut spent = Schedule::new(start, start, 1);
        spent.advance();
        spent.confirm(start);
        assert_eq!(spent.next(), None);
    }
}
