//! The note that a name has other addresses than in the round before.
//!
//! The judge sees one round and no more, so this one note is added here. It changes no verdict, like every note.

use std::net::IpAddr;

use crate::model::{
    cause::Cause,
    observation::Place,
    round::TargetReport,
    verdict::{Problem, Severity},
};

/// The target's addresses; `None` where its name was not answered.
pub(super) fn answered(report: &TargetReport) -> Option<Vec<IpAddr>> {
    report.resolve.outcome.is_ok().then(|| report.resolve.addresses.clone())
}

/// Notes that the answer is not `last`, the last good one, and puts it in its place.
///
/// Only endpoints are held to their addresses: public ones (S3 by way of a gateway) change with every answer.
pub(super) fn note_change(report: &mut TargetReport, last: &mut Option<Vec<IpAddr>>) {
    let Some(addresses) = answered(report) else { return };
    let Some(before) = last.replace(addresses.clone()) else { return };
    let gone: Vec<IpAddr> = before.iter().filter(|old| !addresses.contains(old)).copied().collect();
    let new: Vec<IpAddr> = addresses.iter().filter(|new| !before.contains(new)).copied().collect();
    if (gone.is_empty() && new.is_empty()) || report.addresses.iter().any(|address| is_public(address.record.place)) {
        return;
    }
    let parts = [(gone, "gone"), (new, "new")];
    let parts: Vec<String> = parts.iter().filter_map(|(addresses, what)| sentence(addresses, what)).collect();
    report.problems.push(Problem {
        cause: Cause::AddressChanged,
        severity: Severity::Note,
        stage: Cause::AddressChanged.stage(),
        address: None,
        summary: parts.join(", "),
    });
    // As the judge does: the worst problem names the target's cause, and where there is no other, a note is the worst.
    if report.cause.is_none() {
        report.cause = Some(Cause::AddressChanged);
        report.stage = Cause::AddressChanged.stage();
    }
}

fn sentence(addresses: &[IpAddr], what: &str) -> Option<String> {
    let shown: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    match shown.as_slice() {
        [] => None,
        [one] => Some(format!("{one} is {what}")),
        [rest @ .., last] => Some(format!("{} and {last} are {what}", rest.join(", "))),
    }
}

const fn is_public(place: Place) -> bool {
    match place {
        Place::Gateway | Place::Public => true,
        Place::OwnVpc | Place::Allowed | Place::Private | Place::Bogus => false,
    }
}
