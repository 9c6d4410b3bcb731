//! What a round knows of the ways to endpoints, for the delivery: it must not sit in the hole that it reports.

use crate::{
    deliver::{Surroundings, Way},
    model::{
        observation::{LargeHello, MtuOutcome, MtuRecord},
        plan::Plan,
        round::{AddressReport, Round},
        verdict::Verdict,
    },
};

/// What helps a delivery of what a round found out; `clock_error_s` as in [`Surroundings`].
#[must_use]
pub fn surroundings(round: &Round, plan: &Plan, clock_error_s: Option<f64>) -> Surroundings {
    Surroundings {
        region: round.host.region.clone(),
        dns: plan.dns.clone(),
        family: plan.family,
        clock_error_s,
        ways: ways(round),
    }
}

/// One way for each address that was probed.
fn ways(round: &Round) -> Vec<Way> {
    let targets = round.targets.iter();
    targets.flat_map(|report| report.addresses.iter().map(|seen| way(&report.target.host, seen))).collect()
}

fn way(host: &str, seen: &AddressReport) -> Way {
    let tls = seen.record.tls.as_ref();
    Way {
        host: host.to_owned(),
        address: seen.record.address,
        works: matches!(seen.verdict, Verdict::Healthy | Verdict::Degraded),
        packet: seen.record.mtu.as_ref().and_then(packet),
        small_hello: tls.is_some_and(|tls| tls.large_hello == LargeHello::Blocked),
    }
}

/// The largest packet that was proven to pass, where larger ones vanish.
fn packet(mtu: &MtuRecord) -> Option<u32> {
    let inwards = mtu.in_ok.or(mtu.in_seen);
    let proven = match mtu.outcome {
        MtuOutcome::BlackholeOut => mtu.out_ok,
        MtuOutcome::BlackholeIn => inwards,
        MtuOutcome::BlackholeBoth => [mtu.out_ok, inwards].into_iter().flatten().min(),
        MtuOutcome::Ok
        | MtuOutcome::Clamped
        | MtuOutcome::ReliesOnIcmp
        | MtuOutcome::Inconclusive
        | MtuOutcome::NotTried => return None,
    };
    Some(proven.unwrap_or(SMALLEST))
}

/// What every link passes (RFC 8200): for a hole whose size is not known yet.
const SMALLEST: u32 = 1280;

#[cfg(test)]
mod tests {
    use super::packet;
    use crate::model::{
        observation::{MtuOutcome, MtuRecord},
        units::{Millis, Timestamp},
    };

    #[test]
    fn a_hole_limits_packets_to_what_was_proven() {
        fn check(outcome: MtuOutcome, sizes: [Option<u32>; 3], expected: Option<u32>) {
            let [out_ok, in_ok, in_seen] = sizes;
            let record = MtuRecord {
                outcome,
                out_ok,
                out_fails: None,
                in_seen,
                in_ok,
                in_fails: None,
                link_mtu: Some(9001),
                elapsed_ms: Millis::default(),
                connections: 0,
                measured_at: Timestamp::from_unix_millis(0).expect("a moment"),
                detail: None,
            };
            assert_eq!(packet(&record), expected, "{outcome:?}");
        }
        check(MtuOutcome::Ok, [Some(9001), None, Some(4000)], None);
        check(MtuOutcome::BlackholeOut, [Some(1400), None, Some(4000)], Some(1400));
        check(MtuOutcome::BlackholeIn, [Some(9001), Some(3000), Some(576)], Some(3000));
        check(MtuOutcome::BlackholeIn, [Some(9001), None, Some(1100)], Some(1100));
        check(MtuOutcome::BlackholeBoth, [Some(1400), Some(1380), None], Some(1380));
        check(MtuOutcome::BlackholeBoth, [None, None, None], Some(1280));
    }
}
