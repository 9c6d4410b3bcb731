//! How a host stands from round to round: sick, just healthy again, healthy for a while.

use crate::model::{sample::Condition, units::Timestamp, verdict::RoundVerdict};

/// Follows one host's rounds. A new one knows of no trouble: what was before the start of the daemon is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tail {
    past: Past,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Past {
    #[default]
    Healthy,
    Sick,
    HealthySince(Timestamp),
}

impl Tail {
    /// How the host stands with the round of `tick`; each scheduled round is told once, in order.
    pub fn follow(&mut self, verdict: RoundVerdict, tick: Timestamp) -> Condition {
        let (past, condition) = match (verdict, self.past) {
            (RoundVerdict::Degraded | RoundVerdict::Failed, _) => (Past::Sick, Condition::Sick),
            (RoundVerdict::Healthy, Past::Sick) => (Past::HealthySince(tick), Condition::Recovered),
            (RoundVerdict::Healthy, Past::HealthySince(since)) if is_recent(since, tick) => {
                (self.past, Condition::Recovering)
            }
            (RoundVerdict::Healthy, Past::HealthySince(_) | Past::Healthy) => (Past::Healthy, Condition::Healthy),
        };
        self.past = past;
        condition
    }
}

/// A clock that was set back ends the time early, rather than let it last for a day.
fn is_recent(since: Timestamp, tick: Timestamp) -> bool {
    (0..RECOVERY_MS).contains(&(tick.unix_millis() - since.unix_millis()))
}

/// So long a healthy host says that it is healthy again: an alarm over `InstanceHealthy` sees 1, not silence.
const RECOVERY_MS: i64 = 15 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::Tail;
    use crate::model::{
        sample::Condition::{self, Healthy, Recovered, Recovering, Sick},
        units::Timestamp,
        verdict::RoundVerdict,
    };

    /// The conditions of rounds at these minutes.
    fn follow(rounds: &[(i64, RoundVerdict)]) -> Vec<Condition> {
        let mut tail = Tail::default();
        let at = |minute: i64| Timestamp::from_unix_millis(1_795_000_000_000 + minute * 60_000).expect("a moment");
        rounds.iter().map(|(minute, verdict)| tail.follow(*verdict, at(*minute))).collect()
    }

    #[test]
    fn a_recovery_is_told_for_a_quarter_of_an_hour() {
        let rounds: Vec<_> = (0..20)
            .map(|minute| (minute, if minute == 2 { RoundVerdict::Failed } else { RoundVerdict::Healthy }))
            .collect();
        let found = follow(&rounds);
        let mut expected = vec![Healthy, Healthy, Sick, Recovered];
        expected.extend([Recovering; 14]);
        expected.extend([Healthy, Healthy]);
        assert_eq!(found, expected);
        assert_eq!(found.iter().filter(|condition| condition.instance_healthy() == Some(true)).count(), 15);
        assert_eq!(found.iter().filter(|condition| condition.is_urgent()).count(), 2);
    }

    #[test]
    fn a_degraded_host_is_sick_and_a_relapse_starts_anew() {
        use RoundVerdict::{Degraded, Failed, Healthy as Well};
        let found = follow(&[(0, Degraded), (1, Failed), (2, Well), (3, Degraded), (4, Well), (18, Well), (19, Well)]);
        assert_eq!(found, [Sick, Sick, Recovered, Sick, Recovered, Recovering, Healthy]);
    }

    #[test]
    fn a_clock_that_jumps_does_not_prolong_a_recovery() {
        use RoundVerdict::{Failed, Healthy as Well};
        assert_eq!(follow(&[(0, Failed), (1, Well), (-1440, Well), (2, Well)]), [Sick, Recovered, Healthy, Healthy]);
        assert_eq!(follow(&[(0, Failed), (1, Well), (1440, Well)]), [Sick, Recovered, Healthy]);
    }
}
