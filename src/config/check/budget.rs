//! Whether the stages' budgets fit the round's deadline.
//!
//! Stages follow each other, so the sum of all budgets would be a safe deadline, and a useless one: twice as long as any
//! round ever takes. The rule is: **a round must leave room for one slow stage beside the one that times out.** So the two
//! largest of resolve, connect, tls and http must fit together, and so must the largest of them after IMDS; mtu, which
//! runs only where the others were quick, must fit alone. A stage that the deadline then still cuts short is
//! `not-finished`, never blamed on the network.

use std::{ops::Range, time::Duration};

use crate::config::{
    diagnostic::Report,
    duration::show,
    raw::{Setting, Table},
};

/// One budget: its key, the file's value, and the value that holds.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    pub(super) key: &'static str,
    pub(super) setting: Setting<Duration>,
    pub(super) default: Duration,
}

/// The budgets that a round has to find room for.
#[derive(Debug)]
pub(super) struct Budgets {
    /// tls, connect, resolve, and http where it is asked: among equals the earlier is named.
    pub(super) stages: Vec<Budget>,
    /// Where the path MTU is measured.
    pub(super) mtu: Option<Budget>,
    pub(super) imds: Budget,
    pub(super) round_deadline: Budget,
    pub(super) interval: Budget,
}

/// Reports each rule that the budgets break. A budget that is itself wrong breaks none.
pub(super) fn check(budgets: &Budgets, root: &Table<'_>, report: &mut Report<'_>) {
    let Some(deadline) = budgets.round_deadline.value() else { return };
    let mut stages: Vec<&Budget> = budgets.stages.iter().filter(|budget| budget.value().is_some()).collect();
    // Among equals one that the file sets comes first: it can be pointed at.
    stages.sort_by_key(|budget| (std::cmp::Reverse(budget.value()), budget.setting.at().is_none()));
    let pair: Vec<&Budget> = stages.iter().take(2).copied().collect();
    let alone: Vec<&Budget> = budgets.mtu.iter().collect();
    let first: Vec<&Budget> = std::iter::once(&budgets.imds).chain(stages.first().copied()).collect();
    let misfits: Vec<Misfit<'_>> =
        [pair, alone, first].into_iter().filter_map(|parts| Misfit::of(parts, deadline)).collect();
    match budgets.round_deadline.setting.at() {
        // One key is too small for all of them.
        Some(at) => tell(&misfits, &at.span, deadline, report),
        None => {
            for misfit in &misfits {
                // Nothing set means the defaults, which fit.
                if let Some(at) = misfit.parts.iter().find_map(|part| part.setting.at()) {
                    tell(std::slice::from_ref(misfit), &at.span, deadline, report);
                }
            }
        }
    }
    within_interval(budgets, deadline, root, report);
}

/// Budgets that have to fit together and do not.
struct Misfit<'b> {
    parts: Vec<&'b Budget>,
    sum: Duration,
}

impl<'b> Misfit<'b> {
    fn of(parts: Vec<&'b Budget>, deadline: Duration) -> Option<Self> {
        let values = parts.iter().map(|part| part.value()).collect::<Option<Vec<_>>>()?;
        let sum = values.iter().sum();
        (sum > deadline).then_some(Self { parts, sum })
    }

    /// `tls 5s + connect 4s = 9s`
    fn terms(&self) -> String {
        let terms: Vec<String> =
            self.parts.iter().filter_map(|part| Some(format!("{} {}", part.key, show(part.value()?)))).collect();
        let total = if terms.len() > 1 { format!(" = {}", show(self.sum)) } else { String::new() };
        format!("{}{total}", terms.join(" + "))
    }
}

fn tell(misfits: &[Misfit<'_>], span: &Range<usize>, deadline: Duration, report: &mut Report<'_>) {
    let Some(longest) = misfits.iter().map(|misfit| misfit.sum).max() else { return };
    let terms: Vec<String> = misfits.iter().map(Misfit::terms).collect();
    let what = format!("{}, but round_deadline is {}", terms.join(", and "), show(deadline));
    let mut keys: Vec<String> = Vec::new();
    for part in misfits.iter().flat_map(|misfit| &misfit.parts) {
        let key = format!("timeouts.{}", part.key);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let hint = format!("write round_deadline = \"{}\" or more, or lower {}", show(longest), keys.join(", "));
    report.error(span, what, Some(hint));
}

fn within_interval(budgets: &Budgets, deadline: Duration, root: &Table<'_>, report: &mut Report<'_>) {
    let Some(interval) = budgets.interval.value() else { return };
    let set = budgets.round_deadline.setting.at().or(budgets.interval.setting.at());
    let span = set.map_or_else(|| root.span().clone(), |at| at.span.clone());
    if deadline > interval {
        let what = format!("round_deadline {} is longer than interval {}", show(deadline), show(interval));
        let hint = format!("write interval = \"{}\" or more, or a shorter round_deadline", show(deadline));
        report.error(&span, what, Some(hint));
    } else if deadline == interval {
        let what = format!("round_deadline is as long as interval, {}: a slow round delays the next", show(interval));
        report.warn(&span, what, Some("leave some time between the two".to_owned()));
    }
}

impl Budget {
    fn value(&self) -> Option<Duration> {
        self.setting.or_default(self.default)
    }
}
