//! Pure: from observations to verdicts, causes and advice; first for each address, then each target, then across them.
//!
//! Every decision is a [`Rule`] of the one table [`RULES`]: layers and remarks look at one address, target rules at one
//! name with its addresses, across rules at all targets, host rules at the host beside them. The first broken layer of
//! an address names its cause, with one exception: a handshake that hangs in a black hole is the hole's.
//!
//! The round's verdict: a required target that failed, or that nobody could finish judging before the deadline, makes it
//! failed (what was not seen to work counts as badly as what was seen broken, though it is called `not-finished` and
//! never blamed on the network); any other failure or warning, of optional targets too, makes it degraded; notes change
//! nothing. A round in which no target was judged is never healthy: failed where one of them was required or there was
//! none at all, else degraded. A target spoilt by a limit of this process (descriptors, ports) is skipped, the limit
//! stands in `host`, and the round is degraded, because it was not judged whole. `clock-wrong` fails a round of its own,
//! since no signature is accepted.

mod across;
mod address;
mod advice;
mod hole;
mod host;
mod own;
mod scene;
mod target;
mod words;

use std::collections::BTreeSet;

use self::{
    across::Conclusion,
    scene::{AddressView, Judged, Scene, Sight, TargetView},
};
use crate::model::{
    cause::{Cause, Stage},
    host::HostFacts,
    observation::Observation,
    plan::Plan,
    round::{AddressReport, TargetReport},
    units::Timestamp,
    verdict::{Finding, Problem, RoundVerdict, Severity, Verdict},
};

/// What the judge says of one round.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Over the round.
    pub verdict: RoundVerdict,
    /// Conclusions, worst first.
    pub findings: Vec<Finding>,
    /// Each target, in the plan's order.
    pub targets: Vec<TargetReport>,
    /// The host facts with the problems that only the round could show (drops by allowance beside time-outs, a stale agent).
    pub host: HostFacts,
}

/// One decision, by its name. Tests drop one at a time to prove that something fails without it.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Mostly the cause that the rule gives.
    pub name: &'static str,
    step: Step,
}

/// At which level a rule works.
#[derive(Clone, Copy)]
enum Step {
    /// The first that returns something names the address's cause.
    Layer(fn(&AddressView<'_>) -> Option<Sight>),
    /// A warning or a note about a live address.
    Remark(fn(&AddressView<'_>) -> Option<Sight>),
    /// The problems of one target. Within a severity, earlier rules stand first.
    Target(fn(&TargetView<'_>) -> Vec<Problem>),
    /// A conclusion over several targets. Earlier rules explain first.
    Across(fn(&Scene<'_>, &[Conclusion]) -> Vec<Conclusion>),
    /// Problems of the host that only a round can show.
    Host(fn(&Scene<'_>) -> Vec<Problem>),
}

const fn layer(name: &'static str, rule: fn(&AddressView<'_>) -> Option<Sight>) -> Rule {
    Rule { name, step: Step::Layer(rule) }
}

const fn remark(name: &'static str, rule: fn(&AddressView<'_>) -> Option<Sight>) -> Rule {
    Rule { name, step: Step::Remark(rule) }
}

const fn target(name: &'static str, rule: fn(&TargetView<'_>) -> Vec<Problem>) -> Rule {
    Rule { name, step: Step::Target(rule) }
}

const fn across(name: &'static str, rule: fn(&Scene<'_>, &[Conclusion]) -> Vec<Conclusion>) -> Rule {
    Rule { name, step: Step::Across(rule) }
}

const fn host(name: &'static str, rule: fn(&Scene<'_>) -> Vec<Problem>) -> Rule {
    Rule { name, step: Step::Host(rule) }
}

/// Every rule, in the order in which it is asked.
pub const RULES: &[Rule] = &[
    layer("expectation", address::expectation),
    layer("connect", address::connect),
    layer("tls", address::tls),
    layer("large-hello-blocked", address::large_hello),
    layer("mtu", address::mtu),
    layer("http", address::http),
    remark("s3-access-denied", address::s3_access_denied),
    remark("s3-wrong-region", address::s3_wrong_region),
    remark("certificate-expiring", address::certificate_expiring),
    remark("issuer-unexpected", address::issuer_unexpected),
    remark("connect-slow", address::connect_slow),
    remark("tls-slow", address::tls_slow),
    remark("mtu-relies-on-icmp", address::mtu_relies_on_icmp),
    remark("mtu-inconclusive", address::mtu_inconclusive),
    remark("http-server-error", address::http_server_error),
    remark("http-not-aws", address::http_not_aws),
    target("resolve", target::resolve),
    target("address-mixed", target::address_mixed),
    target("misplaced", target::misplaced),
    target("gateway-unreachable", target::gateway_unreachable),
    target("dead", target::dead),
    target("not-finished", target::not_finished),
    target("endpoint-partial", target::endpoint_partial),
    target("ipv6-broken", target::ipv6_broken),
    target("hosts-override", target::hosts_override),
    target("resolver-disagrees", target::resolver_disagrees),
    target("nameserver-dead", target::nameserver_dead),
    target("endpoint-absent", target::endpoint_absent),
    target("remarks", target::remarks),
    target("dns-slow", target::dns_slow),
    target("single-zone", target::single_zone),
    across("clock-wrong", across::trust::clock_wrong),
    across("tls-inspection", across::trust::tls_inspection),
    across("resolver-down", across::names::resolver_down),
    across("resolver-disagrees-across", across::names::resolver_disagrees),
    across("hosts-override-across", across::names::hosts_override),
    across("private-dns-off", across::names::private_dns_off),
    across("endpoint-missing", across::names::endpoint_missing),
    across("egress-blocked", across::reach::egress_blocked),
    across("endpoints-blocked", across::reach::endpoints_blocked),
    across("gateway-unreachable-across", across::reach::gateway_unreachable),
    across("path-mtu", across::reach::path_mtu),
    across("large-hello-blocked-across", across::reach::large_hello_blocked),
    across("clock-skew", across::trust::clock_skew),
    across("nameserver-dead-across", across::names::nameserver_dead),
    across("not-finished-across", across::reach::not_finished),
    across("proxy-interferes", across::proxy::interferes),
    across("network-exonerated", across::proxy::exonerates),
    host("agent-stale", host::agent_stale),
    host("linklocal-limit", host::linklocal_limit),
    host("conntrack-limit", host::conntrack_limit),
    host("resource-exhausted", host::resource_exhausted),
    host("proxy-diverts", host::proxy_diverts),
];

/// Judges one round's observations. `now` is the wall clock at the round's start.
#[must_use]
pub fn judge(observations: Vec<Observation>, host: HostFacts, plan: &Plan, now: Timestamp) -> Judgement {
    judge_with(RULES, observations, host, plan, now)
}

/// As [`judge`], by other rules than [`RULES`]: for tests that drop one of them.
#[doc(hidden)]
#[must_use]
pub fn judge_with(
    rules: &[Rule],
    observations: Vec<Observation>,
    mut host: HostFacts,
    plan: &Plan,
    now: Timestamp,
) -> Judgement {
    let (verdict, findings, mut opinions, problems) = {
        let targets = observations.iter().map(|observation| target::judge(observation, plan, &host, rules)).collect();
        let scene = Scene { targets, host: &host, plan, now };
        let findings = conclude(&scene, rules);
        let verdict = round_verdict(&scene, &findings);
        let opinions: Vec<Opinion> = scene.targets.iter().map(|judged| opinion(judged, &findings)).collect();
        (verdict, findings, opinions, host_problems(&scene, rules))
    };
    let targets = observations.into_iter().zip(opinions.drain(..)).map(|(seen, opinion)| opinion.onto(seen)).collect();
    host.problems.extend(problems);
    Judgement { verdict, findings, targets, host }
}

/// Across rules first; what they leave unexplained gets a finding of its own.
fn conclude(scene: &Scene<'_>, rules: &[Rule]) -> Vec<Finding> {
    let mut conclusions: Vec<Conclusion> = Vec::new();
    for rule in rules {
        if let Step::Across(apply) = rule.step {
            let drawn = apply(scene, &conclusions);
            conclusions.extend(drawn);
        }
    }
    let left = own::findings(scene, &conclusions);
    let mut findings: Vec<Finding> = conclusions.into_iter().map(|conclusion| conclusion.finding).chain(left).collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn host_problems(scene: &Scene<'_>, rules: &[Rule]) -> Vec<Problem> {
    let mut known: BTreeSet<Cause> = scene.host.problems.iter().map(|problem| problem.cause).collect();
    let drawn = rules.iter().flat_map(|rule| match rule.step {
        Step::Host(apply) => apply(scene),
        Step::Layer(_) | Step::Remark(_) | Step::Target(_) | Step::Across(_) => Vec::new(),
    });
    drawn.filter(|problem| known.insert(problem.cause)).collect()
}

fn round_verdict(scene: &Scene<'_>, findings: &[Finding]) -> RoundVerdict {
    let targets = scene.targets.iter().map(|judged| {
        let required = judged.view.target().required;
        let worst = judged.problems.first().map(|problem| problem.severity);
        match (judged.verdict, worst) {
            (Verdict::Failed, _) | (Verdict::Skipped, Some(Severity::Failure)) if required => RoundVerdict::Failed,
            (Verdict::Failed | Verdict::Degraded, _)
            | (Verdict::Skipped, Some(Severity::Failure | Severity::Warning)) => RoundVerdict::Degraded,
            (Verdict::Healthy, _) | (Verdict::Skipped, Some(Severity::Note) | None) => RoundVerdict::Healthy,
        }
    });
    let findings = findings.iter().map(|finding| match finding.severity {
        Severity::Failure if finding.cause == Cause::ClockWrong => RoundVerdict::Failed,
        Severity::Failure | Severity::Warning => RoundVerdict::Degraded,
        Severity::Note => RoundVerdict::Healthy,
    });
    targets.chain(findings).chain([unjudged(scene)]).max().unwrap_or(RoundVerdict::Failed)
}

/// What a round is worth in which nothing was judged; healthy where something was.
fn unjudged(scene: &Scene<'_>) -> RoundVerdict {
    if scene.targets.iter().any(|judged| judged.verdict != Verdict::Skipped) {
        return RoundVerdict::Healthy;
    }
    if scene.targets.is_empty() || scene.targets.iter().any(|judged| judged.view.target().required) {
        return RoundVerdict::Failed;
    }
    RoundVerdict::Degraded
}

/// All that a [`TargetReport`] adds to its observation.
struct Opinion {
    verdict: Verdict,
    cause: Option<Cause>,
    stage: Option<Stage>,
    summary: String,
    advice: Vec<String>,
    problems: Vec<Problem>,
    addresses: Vec<(Verdict, Option<Cause>, Option<Stage>)>,
}

fn opinion(judged: &Judged<'_>, findings: &[Finding]) -> Opinion {
    let worst = judged.problems.first();
    // An absent or spoilt target's addresses were not judged: they are neither well nor ill.
    let settled = judged.verdict != Verdict::Skipped;
    let address = |seen| match address::verdict(seen) {
        judged @ (Verdict::Skipped, ..) => judged,
        judged if settled => judged,
        _ => (Verdict::Skipped, None, None),
    };
    let advice = findings
        .iter()
        .find(|finding| finding.severity > Severity::Note && finding.targets.iter().any(|name| name == judged.name()))
        .map_or_else(Vec::new, |finding| finding.advice.clone());
    Opinion {
        verdict: judged.verdict,
        cause: worst.map(|problem| problem.cause),
        stage: worst.and_then(|problem| problem.stage),
        summary: own::summary(judged),
        advice,
        problems: judged.problems.clone(),
        addresses: judged.view.seen.iter().map(address).collect(),
    }
}

impl Opinion {
    fn onto(self, observation: Observation) -> TargetReport {
        let Observation { target, resolve, resolvers, addresses, proxy, exhausted: _ } = observation;
        let addresses = addresses
            .into_iter()
            .zip(self.addresses)
            .map(|(record, (verdict, cause, stage))| AddressReport { record, verdict, cause, stage })
            .collect();
        TargetReport {
            target,
            verdict: self.verdict,
            cause: self.cause,
            stage: self.stage,
            summary: self.summary,
            advice: self.advice,
            since: None,
            problems: self.problems,
            resolve,
            resolvers,
            addresses,
            proxy,
        }
    }
}
