//! `docs/metrics.md`, made from METRICS.

use std::{fmt::Write as _, path::Path};

use vpce_probe::{
    metric::{Detail, Dimension, METRICS, Metric, cost::PRICES},
    model::sample::Part,
};

#[test]
fn the_document_of_metrics_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let made = document();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &made).expect("docs/metrics.md");
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "docs/metrics.md is stale: BLESS=1 cargo test --test metric");
}

fn document() -> String {
    let mut out = String::from(BEGINNING);
    out.push_str("| metric | unit | dimensions | goes out | value |\n|---|---|---|---|---|\n");
    for metric in METRICS {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} | {} |",
            metric.name.as_str(),
            metric.unit.as_str(),
            sets(metric),
            match metric.part {
                Part::Urgent => "at once while the host is not healthy, else on schedule",
                Part::Scheduled => "on schedule",
            },
            metric.meaning
        );
    }
    out.push_str(END);
    let tiers: Vec<String> = PRICES.series.iter().map(|(_, each)| format!("${each:.2}")).collect();
    let _ = write!(
        out,
        "\n## Price\n\n`vpce-probe check --instances N` lists the series of a config and what they cost. It reckons with list \
         prices ({}): {} a series and month (first 10,000, up to 250,000, up to a million, beyond), ${:.2} for a thousand \
         requests, ${:.2} for a GB through an interface endpoint; an alarm is ${:.2} a month. CloudWatch bills a series for \
         the hours in which it has data.\n",
        PRICES.as_of,
        tiers.join(", "),
        PRICES.thousand_requests,
        PRICES.endpoint_gb,
        PRICES.alarm
    );
    out
}

fn sets(metric: &Metric) -> String {
    let set = |dimensions: &[Dimension]| {
        let names: Vec<String> = dimensions.iter().map(|dimension| format!("`{}`", dimension.as_str())).collect();
        names.join(" + ")
    };
    let sets: Vec<String> = metric
        .sets
        .iter()
        .map(|one| {
            let detail = match one.from {
                Detail::Fleet => "",
                Detail::Heartbeat => " (detail `heartbeat` or `instance`)",
                Detail::Instance => " (detail `instance`)",
            };
            format!("{}{detail}", set(one.dimensions))
        })
        .collect();
    sets.join("; ")
}

const BEGINNING: &str = "\
# Metrics

Every metric that vpce-probe ships to CloudWatch, namespace `VpceProbe` unless the config says another. Made from the table
in the code (`BLESS=1 cargo test --test metric`). Timestamps are the round's scheduled moment, whenever the datum arrives.

";

const END: &str = "
`Severity` is `failure`, `warning` or `note`; failures and warnings are sent as 0 where there are none, notes only where there
are some. `Cause` is a name of [causes.md](causes.md). A problem of a target counts once; a finding counts where no target has
its cause, so a conclusion over several targets is one problem more. What stands in `host` and `shipping` is not counted.

## Dimensions

- Without a VPC id `Region` takes the place of `VpcId`; without both the dimension is left out. A host that does not know its
  own id sends nothing by `InstanceId`.
- `fixed_dimensions` are on every series.
- A set of `extra_dimension_sets` with `Target` applies to every metric by `VpcId` + `Target`; one without applies to
  `Healthy`, `Delivered` and `Lost`. A set with a dimension that a host does not know is not sent by that host; one that is a
  metric's own already is not sent twice.
- Characters other than printable ASCII become `_`, blanks around a value are cut, and a dimension of which nothing is left is
  left out.

## What goes out when

Everything *on schedule* waits for the host's next flush (`flush_interval`, at a phase of the host's own), whether the host is
healthy or not: no host's values arrive sooner than another's, so that none weighs more in an average. Each host gives one
sample for each round of its schedule; the rounds that look again at a change after 5 s and 15 s give none. `Problems` and
`InstanceHealthy` go out at once while a host is not healthy, and so does the first healthy round after.

A reader sees the whole of a period one flush after its end. Until then an average is over the hosts that have flushed: give an
alarm over a scheduled metric a period of at least twice `flush_interval`. Give it a period that `interval` divides: else a
period may have two rounds of one host and one of another.

## Statistics

A request whose reply is lost may be delivered twice: nobody can tell whether it arrived. A doubled request repeats every value
of a few rounds.

| statistic | after a doubled request |
|---|---|
| `Minimum`, `Maximum` | right |
| `Average`, percentiles | a few rounds of one host weigh twice; never beyond what was measured |
| `Sum`, `SampleCount` | too large: never alarm on a sum; a count of hosts (`SampleCount` of `Healthy`) can miss a silent host in those periods, and never invents one |

## Limits

A datum has at most 150 values (more go into further datums), 30 dimensions, values within \u{b1}2^360, never NaN. A request has
at most 1,000 datums and 900 kB before compression; CloudWatch takes 1 MB. Data older than two weeks are dropped and counted in
`Lost`. What is 3 to 24 hours old may take two hours to show, what is older two days.
";
