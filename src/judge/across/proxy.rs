//! Findings that point away from the network: a proxy that diverts, an agent that is down.

use super::{Conclusion, names::is_well};
use crate::{
    judge::{
        advice,
        host::agent_stale,
        scene::{Judged, Scene},
        words::tidy,
    },
    model::{
        cause::Cause,
        observation::ProxyRecord,
        verdict::{Severity, Verdict},
    },
};

/// Rule: a failed target works through the proxy, or the agent's own proxy fails too.
///
/// The direct way stays broken, so the target keeps its own explanation; this one says what it means for the proxy's
/// users. Where the direct way works nothing was tried through the proxy, so nothing is claimed: that is a note about
/// the host (`proxy-diverts`).
pub(crate) fn interferes(scene: &Scene<'_>, _drawn: &[Conclusion]) -> Vec<Conclusion> {
    let tried = |works: bool| {
        let matches = |proxy: &&ProxyRecord| proxy.works == works && (works || proxy.agent);
        scene
            .targets
            .iter()
            .filter(|judged| judged.failed())
            .filter_map(move |judged| Some((judged, judged.view.observation.proxy.as_ref().filter(matches)?)))
            .collect::<Vec<_>>()
    };
    let mut conclusions = Vec::new();
    for (found, works) in [(tried(true), true), (tried(false), false)] {
        let Some((_, proxy)) = found.first() else { continue };
        let targets: Vec<&Judged<'_>> = found.iter().map(|(judged, _)| *judged).collect();
        let (whose, url) = (if proxy.agent { "the agent's proxy" } else { "the proxy" }, tidy(&proxy.url, 60));
        let summary = if works {
            format!("works through {whose} only, {url}")
        } else {
            let status = proxy.status.map_or_else(String::new, |status| format!(" (CONNECT: HTTP {status})"));
            format!("{whose} {url} does not reach it either{status}")
        };
        let advice = advice::across::proxy(scene, proxy);
        conclusions.push(Conclusion::new(Cause::ProxyInterferes, Severity::Warning, &targets, &summary, advice));
    }
    conclusions
}

/// Rule: the network is fine, and the agent is down or has no role: say so, it clears the network.
pub(crate) fn exonerates(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let required = || scene.targets.iter().filter(|judged| judged.view.target().required);
    let fine = required().next().is_some() && required().all(is_well);
    let failed = scene.targets.iter().any(|judged| judged.verdict == Verdict::Failed);
    let broken = drawn.iter().any(|conclusion| conclusion.finding.severity == Severity::Failure);
    if !fine || failed || broken {
        return Vec::new();
    }
    let stale = agent_stale(scene);
    let problems = scene.host.problems.iter().chain(&stale);
    problems
        .filter_map(|problem| {
            let (_, what) = EXONERATING.iter().find(|(cause, _)| *cause == problem.cause)?;
            let summary = format!("the network is fine, every required endpoint answers; {what}");
            let advice = advice::from_table(scene, problem.cause);
            Some(Conclusion::new(problem.cause, Severity::Note, &[], &summary, advice))
        })
        .collect()
}

/// What keeps an instance out of Systems Manager although its network is fine.
const EXONERATING: &[(Cause, &str)] = &[
    (Cause::AgentNotRunning, "the SSM agent is not running"),
    (Cause::RoleMissing, "the instance has no IAM role"),
    (Cause::AgentStale, "the SSM agent holds no connection to ssmmessages"),
];
