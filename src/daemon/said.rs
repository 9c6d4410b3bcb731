//! What is told once, and again when it is over or another.

use std::{collections::BTreeSet, net::IpAddr};

use super::clock::Reading;
use crate::{
    model::{
        cause::Cause,
        event::{Entry, Event, Field, Level},
        host::Link,
        round::Round,
    },
    plan::PlanError,
    sink::journal::say,
};

/// Troubles that are told once, and again when they are over or others.
#[derive(Default)]
pub(super) struct Said {
    unplanned: Option<PlanError>,
    pub(super) trust: Option<String>,
    warnings: Vec<String>,
    clock: Option<i64>,
    host: Option<HostView>,
    problems: BTreeSet<Cause>,
}

/// What of a host's facts is told when it changes.
#[derive(Clone, PartialEq)]
struct HostView {
    region: Option<String>,
    link: Option<Link>,
    resolvers: Vec<IpAddr>,
}

impl Said {
    /// It is not known what to probe: told once, and tried again with the next round.
    pub(super) fn unplanned(&mut self, error: PlanError) -> String {
        let status = format!("nothing can be probed: {error}");
        if self.unplanned.as_ref() != Some(&error) {
            say(&Entry::new(Event::NothingToProbe, status.as_str()));
            self.unplanned = Some(error);
        }
        status
    }

    /// Something can be probed.
    pub(super) fn planned(&mut self) {
        self.unplanned = None;
    }

    /// What is odd about the plan.
    pub(super) fn warnings(&mut self, warnings: Vec<String>) {
        for warning in warnings.iter().filter(|warning| !self.warnings.contains(warning)) {
            say(&Entry::new(Event::OddPlan, warning.as_str()));
        }
        self.warnings = warnings;
    }

    /// A changed fact, and a problem that was not there before, are records.
    pub(super) fn host(&mut self, round: &Round) {
        let host = &round.host;
        let view = HostView { region: host.region.clone(), link: host.link.clone(), resolvers: host.resolvers.clone() };
        if let Some(before) = self.host.replace(view.clone()).filter(|before| *before != view) {
            let words = format!("this host changed: {}", changed(&before, &view).join("; "));
            say(&Entry::new(Event::HostFactsChanged, words));
        }
        for problem in host.problems.iter().filter(|problem| !self.problems.contains(&problem.cause)) {
            let words = format!("{} ({}). Next: vpce-probe explain {0}", problem.cause, problem.summary);
            let entry = Entry::new(Event::HostProblem, words).with(Field::Round, &round.round);
            say(&entry.with(Field::Cause, problem.cause).with(Field::Severity, problem.severity));
        }
        self.problems = host.problems.iter().map(|problem| problem.cause).collect();
    }

    /// The clock's error.
    pub(super) fn clock(&mut self, reading: Reading) {
        // Told again only when it is another error, not when the same one wavers.
        #[expect(clippy::cast_possible_truncation, reason = "whole minutes of an error of at most some years")]
        let minutes = reading.error_s.map(|error| (error / 60.0).round() as i64);
        if minutes == self.clock {
            return;
        }
        say(&match reading.error_s {
            Some(error) => {
                let side = if error > 0.0 { "ahead of" } else { "behind" };
                let words = "AWS's: metrics are signed and stamped by AWS's";
                Entry::new(Event::ClockCorrected, format!("this host's clock is {:.0} s {side} {words}", error.abs()))
                    .with(Field::ClockErrorS, error.round())
            }
            None => Entry::new(Event::ClockCorrected, "this host's clock agrees with AWS's again").at(Level::Info),
        });
        self.clock = minutes;
    }
}

/// What changed, in words.
fn changed(before: &HostView, now: &HostView) -> Vec<String> {
    let link =
        |link: &Option<Link>| link.as_ref().map_or_else(none, |link| format!("{} (MTU {})", link.name, link.mtu));
    let list = |all: &[IpAddr]| {
        if all.is_empty() { none() } else { all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ") }
    };
    let region = |region: &Option<String>| region.clone().unwrap_or_else(none);
    [
        ("region", region(&before.region), region(&now.region)),
        ("link", link(&before.link), link(&now.link)),
        ("name servers", list(&before.resolvers), list(&now.resolvers)),
    ]
    .into_iter()
    .filter(|(_, before, now)| before != now)
    .map(|(what, before, now)| format!("{what}: {now}, it was {before}"))
    .collect()
}

fn none() -> String {
    "none".to_owned()
}
