//! One line for Nagios and its kin (Monitoring Plugins Development Guidelines, "Plugin Output" and "Performance data").

use super::{Glyphs, figures, text};
use crate::model::{
    round::{Round, TargetReport},
    verdict::{RoundVerdict, Severity, Verdict},
};

/// The state, what is wrong and since when, and after `|` a time for each target (to the last answer by way of its
/// slowest live address; `U` when there is none), the round's time and the counts; of a daemon's round also its age and
/// the rounds and datums that wait or are lost. ASCII. The state agrees with the exit code.
#[must_use]
pub fn render(round: &Round) -> String {
    let tally = figures::Tally::of(round);
    let state = match round.verdict {
        RoundVerdict::Healthy => "OK",
        RoundVerdict::Degraded => "WARNING",
        RoundVerdict::Failed => "CRITICAL",
    };
    let mut words = vec![format!("{} of {} targets healthy", tally.healthy, tally.all())];
    if tally.skipped > 0 {
        words.push(format!(", {} skipped", tally.skipped));
    }
    let reasons = reasons(round);
    if !reasons.is_empty() {
        words.push(format!(": {}", reasons.join(", ")));
    }
    let wrong = round.targets.iter().filter(|report| figures::is_wrong(report));
    words.extend(wrong.filter_map(|report| report.since).min().map(|since| format!(", since {since}")));
    if round.starting {
        words.push("; starting".to_owned());
    }
    for problem in round.shipping.iter().flat_map(|shipping| &shipping.problems) {
        words.push(format!("; metrics {}", problem.cause));
    }
    format!("VPCE {state} - {} | {}\n", plain(&words.concat()), perfdata(round, tally).join(" "))
}

/// The line of a round that could not be judged at all (exit code 3): no region, no report, a stale one.
#[must_use]
pub fn unknown(reason: &str) -> String {
    format!("VPCE UNKNOWN - {}\n", plain(reason))
}

/// What is wrong: conclusions over several targets with these in brackets, then the targets that none of them names.
fn reasons(round: &Round) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for finding in round.findings.iter().filter(|finding| finding.severity != Severity::Note) {
        let named = |report: &&TargetReport| finding.targets.contains(&report.target.name);
        let concerned: Vec<&TargetReport> = round.targets.iter().filter(named).collect();
        if concerned.len() == 1 {
            continue;
        }
        told.extend(concerned.iter().map(|report| report.target.name.as_str()));
        let each: Vec<String> = concerned.iter().map(|report| reason(report)).collect();
        reasons.push(format!("{} [{}]", finding.cause, each.join(", ")));
    }
    let mut rest: Vec<&TargetReport> = round
        .targets
        .iter()
        .filter(|report| figures::is_wrong(report) && !told.contains(&report.target.name.as_str()))
        .collect();
    rest.sort_by_key(|report| std::cmp::Reverse(report.verdict));
    reasons.extend(rest.iter().map(|report| reason(report)));
    reasons
}

fn reason(report: &TargetReport) -> String {
    let cause = report.cause.map_or("no cause", |cause| cause.as_str());
    let dead: Vec<String> = report
        .addresses
        .iter()
        .filter(|address| address.verdict == Verdict::Failed)
        .map(|address| address.record.address.to_string())
        .collect();
    let size = figures::path_mtu(report).filter(|_| figures::has_hole(report));
    let size = size.map(|bytes| format!(", {bytes} bytes pass")).unwrap_or_default();
    let at = if dead.is_empty() { String::new() } else { format!(" ({})", dead.join(" ")) };
    format!("{} {cause}{size}{at}", report.target.name)
}

fn perfdata(round: &Round, tally: figures::Tally) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    let mut data = Vec::new();
    let mut add = |name: &str, value: String| {
        let label = label(name);
        if !labels.contains(&label) {
            data.push(format!("'{label}'={value}"));
            labels.push(label);
        }
    };
    for report in &round.targets {
        let value = figures::total_ms(report).map_or_else(|| "U;;;0".to_owned(), |ms| format!("{ms:.2}ms;;;0"));
        add(&report.target.name, value);
    }
    let all = tally.all();
    add("round", format!("{:.2}ms;;;0", round.elapsed_ms.as_f64()));
    add("failed", format!("{};;;0;{all}", tally.failed));
    add("degraded", format!("{};;;0;{all}", tally.degraded));
    add("skipped", format!("{};;;0;{all}", tally.skipped));
    if let Some(age) = round.age_s {
        add("age", format!("{age:.2}s;;;0"));
    }
    if let Some(shipping) = &round.shipping {
        add("spooled", format!("{};;;0", shipping.spooled));
        add("lost", format!("{};;;0", shipping.lost));
    }
    data
}

/// A label may hold anything but `=` and `'`; `|` would start the perfdata anew.
fn label(name: &str) -> String {
    plain(name).replace(['=', '\''], "_")
}

fn plain(words: &str) -> String {
    text::clean(words, Glyphs::Ascii).replace('|', "/")
}

#[cfg(test)]
mod tests {
    use super::{label, unknown};

    #[test]
    fn nothing_breaks_out_of_its_place() {
        assert_eq!(unknown("a | b\nc"), "VPCE UNKNOWN - a / b c\n");
        assert_eq!(label("it's=1|2"), "it_s_1/2");
    }
}
