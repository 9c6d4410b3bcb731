//! Whether the stages' budgets fit the round's deadline.
//!
//! Stages follow each other, so the sum of all budgets would be a safe deadline, and a useless one: twice as long as any
//! round ever takes. The rule is: **a round must leave room for one slow stage beside the one that times out.** So the two
//! largest of resolve, connect, tls and http must fit together, and so must the largest of them after IMDS; mtu, which
//! runs only where the others were quick, must fit alone. A stage that the deadline then still cuts short is
//! `not-finished`, never blamed on the network.

use std::time::Duration;

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
    /// resolve, connect, tls, and http where it is asked.
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
    // The one that the file does not set comes last among equals: a set one can be pointed at.
    stages.sort_by_key(|budget| (std::cmp::Reverse(budget.value()), budget.setting.at().is_none()));
    let pair: Vec<&Budget> = stages.iter().take(2).copied().collect();
    let alone: Vec<&Budget> = budgets.mtu.iter().collect();
    let first: Vec<&Budget> = std::iter::once(&budgets.imds).chain(stages.first().copied()).collect();
    for parts in [pair, alone, first] {
        fit(&parts, &budgets.round_deadline, deadline, report);
    }
    within_interval(budgets, deadline, root, report);
}

fn fit(parts: &[&Budget], limit: &Budget, deadline: Duration, report: &mut Report<'_>) {
    let Some(values) = parts.iter().map(|part| part.value()).collect::<Option<Vec<_>>>() else { return };
    let sum: Duration = values.iter().sum();
    if sum <= deadline {
        return;
    }
    let terms: Vec<String> =
        parts.iter().zip(&values).map(|(part, value)| format!("{} {}", part.key, show(*value))).collect();
    let total = if terms.len() > 1 { format!(" = {}", show(sum)) } else { String::new() };
    let what = format!("{}{total}, but round_deadline is {}", terms.join(" + "), show(deadline));
    let set = limit.setting.at().or_else(|| parts.iter().find_map(|part| part.setting.at()));
    // Nothing set means the defaults, which fit.
    let Some(set) = set else { return };
    let keys: Vec<String> = parts.iter().map(|part| format!("timeouts.{}", part.key)).collect();
    let hint = format!("write round_deadline = \"{}\" or more, or lower {}", show(sum), keys.join(" or "));
    report.error(&set.span, what, Some(hint));
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
