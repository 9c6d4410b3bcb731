//! A delivery beside a fake CloudWatch, with everything short: a flush a second.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use tokio::time::{Instant, sleep};
use vpce_probe::{
    deliver::{Credentials, Delivery, Settings, Surroundings, Way},
    disk::Disk,
    metric,
    model::{
        plan::{DnsPlan, Family, TlsPlan},
        round::Shipping,
        sample::{AddressSample, Condition, Hundredths, Origin, ProblemCount, Sample, TargetSample},
        units::Timestamp,
        verdict::{RoundVerdict, Severity},
    },
    probe::{Dialer, Prober},
};

use crate::fake::Fake;

pub(crate) fn settings(endpoint: &str) -> Settings {
    Settings {
        metrics: metric::Settings {
            namespace: "VpceProbe".to_owned(),
            detail: metric::Detail::Fleet,
            fixed_dimensions: Vec::new(),
            extra_dimension_sets: Vec::new(),
            interval: Duration::from_millis(500),
            flush_interval: Duration::from_secs(1),
        },
        endpoint_url: Some(endpoint.to_owned()),
        fips: false,
        dual_stack: false,
        credentials: Credentials::Environment,
        environment: environment(&[("AWS_ACCESS_KEY_ID", "AKFIRST"), ("AWS_SECRET_ACCESS_KEY", "s3cret")]),
        spool: None,
        spool_max_size: 1 << 20,
        host: "i-1".to_owned(),
    }
}

pub(crate) fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(crate) fn surroundings(ways: Vec<Way>) -> Surroundings {
    Surroundings {
        region: Some("eu-west-1".to_owned()),
        dns: DnsPlan { servers: Vec::new(), vpc: None, attempts: 1, hosts_file: true },
        family: Family::V4,
        clock_error_s: None,
        ways,
    }
}

pub(crate) fn dialer(post_quantum: bool, authority: Option<PathBuf>) -> Dialer {
    let plan = TlsPlan {
        post_quantum,
        extra_ca_file: authority,
        expiry_warning: Duration::ZERO,
        expected_issuers: Vec::new(),
    };
    Prober::new(&plan).expect("a trust store").dialer()
}

pub(crate) fn start(settings: Settings) -> Delivery {
    Delivery::start(settings, dialer(true, None), Disk::start().expect("a thread"), surroundings(Vec::new()))
}

pub(crate) fn beside(fake: &Fake) -> Delivery {
    start(settings(&format!("http://{}", fake.address)))
}

/// A round `age` ago, of two targets.
pub(crate) fn sample(age: Duration, condition: Condition) -> Sample {
    let ago = i64::try_from(age.as_millis()).expect("some years");
    let sick = condition == Condition::Sick;
    let target = |name: &str, success: bool| TargetSample {
        name: name.to_owned(),
        success: Some(success),
        resolve: Some(Hundredths(123)),
        addresses: (1..=2)
            .map(|nth| AddressSample {
                success: Some(success),
                connect: success.then_some(Hundredths(50 * nth)),
                handshake: success.then_some(Hundredths(900 * nth)),
                mtu_out: None,
                days_left: Some(90),
            })
            .collect(),
    };
    let cause = vpce_probe::model::cause::Cause::TcpTimeout;
    Sample {
        tick: Timestamp::from_unix_millis(Timestamp::now().unix_millis() - ago).expect("a moment"),
        origin: Origin {
            instance_id: Some("i-1".to_owned()),
            region: Some("eu-west-1".to_owned()),
            vpc_id: Some("vpc-1".to_owned()),
            ..Origin::default()
        },
        verdict: if sick { RoundVerdict::Failed } else { RoundVerdict::Healthy },
        condition,
        targets: vec![target("ssm", !sick), target("logs", true)],
        problems: if sick { vec![ProblemCount { cause, severity: Severity::Failure, count: 2 }] } else { Vec::new() },
        delivered_late: 0,
        lost: 0,
    }
}

/// How many datums such a round has.
pub(crate) fn datums(sample: &Sample, settings: &Settings) -> u64 {
    use vpce_probe::model::sample::Part;
    let of = |part: Part| metric::encode(sample, part, &settings.metrics).len() as u64;
    of(Part::Urgent) + of(Part::Scheduled)
}

/// Waits until `done` says so; whatever takes longer than this does not happen.
pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Nothing is missing, and nothing is counted twice.
pub(crate) fn balance(delivery: &Delivery) {
    let totals = delivery.totals();
    let sum = totals.delivered + totals.waiting + totals.lost;
    assert_eq!(totals.produced.datums, sum.datums, "{totals:?}");
    assert_eq!(totals.produced.rounds, sum.rounds, "{totals:?}");
}

/// Everything is delivered, and stored as often as `most` at the most.
pub(crate) async fn all_delivered(delivery: &Delivery, fake: &Fake, rounds: u64, most: u32) {
    until("all is delivered", || {
        let totals = delivery.totals();
        totals.produced.rounds == rounds && totals.waiting.rounds == 0
    })
    .await;
    balance(delivery);
    let (totals, stored) = (delivery.totals(), fake.stored());
    assert_eq!(totals.lost.datums, 0, "{totals:?}");
    assert_eq!(totals.delivered.datums, stored.len() as u64, "{totals:?}");
    let often: Vec<_> = stored.iter().filter(|(_, times)| **times > most).collect();
    assert!(often.is_empty(), "{often:?}");
}

/// The causes and sentences of the report.
pub(crate) fn problems(shipping: &Shipping) -> Vec<(&'static str, String)> {
    shipping.problems.iter().map(|problem| (problem.cause.as_str(), problem.summary.clone())).collect()
}
