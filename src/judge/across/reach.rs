//! What several silences show together: which side drops, and the sizes that vanish.

use std::net::IpAddr;

use super::{Conclusion, names, open};
use crate::{
    judge::{
        advice,
        hole::Hole,
        scene::{Judged, Scene, Seen, State, is_private, is_public},
        words::{self, list},
    },
    model::{
        cause::Cause,
        target::Expect,
        verdict::{Problem, Severity},
    },
};

/// The failed targets whose addresses are private, lie where they should, and are all silent.
fn silent_private<'s, 'a>(scene: &'s Scene<'a>, drawn: &[Conclusion]) -> Vec<&'s Judged<'a>> {
    let silent = |judged: &&Judged<'a>| judged.view.is_private() && judged.view.is_silent();
    open(scene, drawn).into_iter().filter(silent).collect()
}

/// Whether no private address of any target gave any sign of life.
fn all_private_silent(scene: &Scene<'_>) -> bool {
    scene
        .targets
        .iter()
        .flat_map(|judged| judged.view.used())
        .filter(|seen| is_private(seen.record.place))
        .all(Seen::is_silent)
}

/// Whether the round looked at a public address to the end, where it is no mere absence.
fn tried_public(judged: &Judged<'_>) -> bool {
    judged.view.target().expect != Expect::Absent
        && judged.view.used().any(|seen| {
            is_public(seen.record.place) && seen.record.connect.is_some() && !matches!(seen.state, State::Unfinished(_))
        })
}

/// Rule: everything that was tried is silent. Beside silent public names it is this side; with no public name to compare,
/// both sides are named.
pub(crate) fn egress_blocked(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let private = silent_private(scene, drawn);
    if private.len() < 2 || !all_private_silent(scene) || scene.witness().is_some() {
        return Vec::new();
    }
    let mut targets = private.clone();
    // S3 by gateway, silent too: the same wall, so it needs no finding of its own.
    targets.extend(open(scene, drawn).into_iter().filter(|judged| judged.has(Cause::GatewayUnreachable)));
    let compared = scene.targets.iter().any(tried_public);
    let own = advice::own_address(scene, private.first().map(|judged| &judged.view));
    let from = own.map_or_else(|| "this host".to_owned(), |own| own.address.to_string());
    let (summary, advice) = if compared {
        (
            format!("nothing answers {from}, private or public: blocked on this side"),
            advice::across::egress_blocked(scene),
        )
    } else {
        (
            "no endpoint answers: this instance's egress, or the endpoints' security group".to_owned(),
            advice::across::either_side_blocked(scene, &private),
        )
    };
    vec![Conclusion::new(Cause::EgressBlocked, Severity::Failure, &targets, &summary, advice)]
}

/// Rule: every private address is silent while a public one answers.
pub(crate) fn endpoints_blocked(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let targets = silent_private(scene, drawn);
    let Some(witness) = scene.witness() else { return Vec::new() };
    if targets.len() < 2 || !all_private_silent(scene) {
        return Vec::new();
    }
    let summary = format!(
        "{} endpoints are silent while {witness} answers: the security group or NACL they share",
        targets.len()
    );
    let advice = advice::across::endpoints_blocked(scene, &targets);
    vec![Conclusion::new(Cause::EndpointsBlocked, Severity::Failure, &targets, &summary, advice)]
}

/// Rule: a public name that may lie anywhere is silent, and not everything else is.
pub(crate) fn gateway_unreachable(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let silent = open(scene, drawn).into_iter().filter(|judged| judged.has(Cause::GatewayUnreachable));
    let conclude = |judged: &Judged<'_>| {
        let addresses: Vec<IpAddr> = judged.view.used().map(Seen::address).collect();
        let subnet = scene.host.subnet_id.as_deref().map_or_else(String::new, |id| format!(" from {id}"));
        let are = words::verb(addresses.len(), "is", "are");
        let summary = format!("{} (public) {are} silent{subnet}", list(&addresses));
        let advice = advice::across::gateway_unreachable(scene, judged);
        Conclusion::new(Cause::GatewayUnreachable, Severity::Failure, &[judged], &summary, advice)
    };
    silent.map(conclude).collect()
}

/// Rule: large packets vanish on the way to several targets, from one size on. Holes whose sizes or directions rule each
/// other out are several faults, and each is told by itself.
pub(crate) fn path_mtu(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let mut groups: Vec<(Hole, Vec<&Judged<'_>>)> = Vec::new();
    for judged in open(scene, drawn) {
        let Some(hole) = Hole::of_target(judged).filter(|_| is_holed(judged)) else { continue };
        match groups.iter_mut().find(|(known, _)| known.is_like(&hole)) {
            Some((known, targets)) => {
                *known = known.meet(&hole);
                targets.push(judged);
            }
            None => groups.push((hole, vec![judged])),
        }
    }
    let conclude = |(hole, targets): &(Hole, Vec<&Judged<'_>>)| {
        let wider = scene
            .targets
            .iter()
            .flat_map(|judged| judged.view.used())
            .any(|seen| seen.record.mtu.as_ref().is_some_and(|record| hole.is_passed_by(record)));
        let whose = if wider { "the path they share" } else { "this side, or the path they share" };
        let summary = format!("{} targets alike: {}: {whose}", targets.len(), hole.words());
        let advice = advice::path::shared_hole(scene, targets, hole);
        Conclusion::new(Cause::PathMtu, Severity::Failure, targets, &summary, advice)
    };
    groups.iter().filter(|(_, targets)| targets.len() > 1).map(conclude).collect()
}

/// Whether black holes are all that is wrong with the target's addresses.
fn is_holed(judged: &Judged<'_>) -> bool {
    let hole = |cause| matches!(cause, Cause::MtuBlackholeOut | Cause::MtuBlackholeIn | Cause::MtuBlackholeBoth);
    judged.failures().all(hole)
}

/// Rule: large `ClientHello`s are dropped on the way to several targets.
pub(crate) fn large_hello_blocked(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let blocked = |judged: &&Judged<'_>| judged.failures().any(|cause| cause == Cause::LargeHelloBlocked);
    let targets: Vec<_> = open(scene, drawn).into_iter().filter(blocked).collect();
    if targets.len() < 2 {
        return Vec::new();
    }
    let is_blocked = |seen: &&Seen<'_>| seen.dead().is_some_and(|sight| sight.cause == Cause::LargeHelloBlocked);
    let handshakes = targets.iter().flat_map(|judged| judged.view.used().filter(is_blocked));
    let hellos = words::hellos(handshakes.filter_map(|seen| seen.record.tls.as_ref()));
    let summary = format!("{} targets alike: {hellos}: a firewall on the path", targets.len());
    let advice = advice::path::large_hello(scene);
    vec![Conclusion::new(Cause::LargeHelloBlocked, Severity::Failure, &targets, &summary, advice)]
}

/// Rule: what was not finished, together: it says more about the round than about any target.
pub(crate) fn not_finished(scene: &Scene<'_>, _drawn: &[Conclusion]) -> Vec<Conclusion> {
    let cut = |judged: &&Judged<'_>| judged.has(Cause::NotFinished) && !judged.view.is_spoilt();
    let spoilt = |judged: &&Judged<'_>| judged.view.is_spoilt();
    let cut: Vec<_> = scene.targets.iter().filter(cut).collect();
    let spoilt: Vec<_> = scene.targets.iter().filter(spoilt).collect();
    let mut conclusions = Vec::new();
    let not_finished = |problem: &&Problem| problem.cause == Cause::NotFinished;
    let worst = cut.iter().flat_map(|judged| judged.problems.iter().filter(not_finished)).map(|p| p.severity).max();
    if let Some(severity) = worst {
        let deadline = scene.plan.round_deadline.as_secs_f64();
        let was = words::verb(cut.len(), "was", "were");
        let summary =
            format!("{} {was} not finished when the round's {deadline} s were over: not judged", list(&names(&cut)));
        let advice = advice::from_table(scene, Cause::NotFinished);
        conclusions.push(Conclusion::new(Cause::NotFinished, severity, &cut, &summary, advice));
    }
    if !spoilt.is_empty() {
        let summary = format!(
            "{} {} not judged: this process ran into a limit of its own (see host)",
            list(&names(&spoilt)),
            words::verb(spoilt.len(), "was", "were")
        );
        let advice = advice::from_table(scene, Cause::ResourceExhausted);
        conclusions.push(Conclusion::new(Cause::NotFinished, Severity::Warning, &spoilt, &summary, advice));
    }
    conclusions
}
