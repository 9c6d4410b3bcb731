//! Judges a recorded round again: from its report back to what the judge was given.

use std::{fs, path::Path};

use serde::Deserialize;
use vpce_probe::{
    config::{self, Config, duration},
    judge::{Judgement, RULES, Rule, judge_with},
    model::{
        cause::Cause,
        host::HostFacts,
        observation::Observation,
        plan::{Family, Plan},
        round::{Round, TargetReport},
        verdict::Problem,
    },
    plan::{self, Choice},
    render::json,
};

/// One scenario's round, as the lab recorded it.
pub(crate) struct Recorded {
    /// The scenario.
    pub(crate) name: String,
    /// What the binary printed.
    pub(crate) round: Round,
    host: HostFacts,
    seen: Vec<Observation>,
    plan: Plan,
}

impl Recorded {
    /// The round in `report`, and what the judge was given for it: a report holds all of it but the plan, which is made
    /// again from the scenario's config and command line.
    pub(crate) fn read(report: &Path, scenarios: &Path) -> Self {
        let name = report.file_stem().expect("NAME.json").to_string_lossy().into_owned();
        let text = fs::read_to_string(report).expect("a readable report");
        let round: Round = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut host = round.host.clone();
        host.problems.retain(|problem| !OF_THE_JUDGE.contains(&problem.cause));
        let seen = round.targets.iter().map(|target| observation(target, &round.host)).collect();
        let scenario = fs::read_to_string(scenarios.join(&name).with_extension("toml")).expect("a readable scenario");
        let scenario: Scenario = toml::from_str(&scenario).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plan = scenario.probe.plan(&host);
        Self { name, round, host, seen, plan }
    }

    /// The same round by these rules.
    pub(crate) fn judged_by(&self, rules: &[Rule]) -> Round {
        let (seen, host) = (self.seen.clone(), self.host.clone());
        let Judgement { verdict, findings, targets, host } =
            judge_with(rules, seen, host, &self.plan, self.round.started_at);
        Round { verdict, host, findings, targets, ..self.round.clone() }
    }

    /// The replay is true: judged by all rules again, the round says what the binary said.
    pub(crate) fn assert_true(&self) {
        let (ours, theirs) = (comparable(&self.judged_by(RULES)), comparable(&self.round));
        let odd = ours.lines().zip(theirs.lines()).find(|(ours, theirs)| ours != theirs);
        assert!(ours == theirs, "{}: judged again and recorded differ: {odd:#?}", self.name);
    }
}

/// The report without the one sentence that cannot be had again, see [`exhausted`].
fn comparable(round: &Round) -> String {
    let mut round = round.clone();
    for problem in round.host.problems.iter_mut().filter(|problem| problem.cause == Cause::ResourceExhausted) {
        problem.summary.clear();
    }
    json::render(&round)
}

/// What host rules add to the host's own problems; `host` itself never gives these.
const OF_THE_JUDGE: &[Cause] = &[
    Cause::AgentStale,
    Cause::LinklocalLimit,
    Cause::ConntrackLimit,
    Cause::ResourceExhausted,
    Cause::ProxyInterferes,
];

fn observation(report: &TargetReport, host: &HostFacts) -> Observation {
    Observation {
        target: report.target.clone(),
        resolve: report.resolve.clone(),
        resolvers: report.resolvers.clone(),
        addresses: report.addresses.iter().map(|address| address.record.clone()).collect(),
        proxy: report.proxy.clone(),
        exhausted: exhausted(report, &host.problems),
    }
}

/// The limit of our own that this target ran into. The report has it only in words: in the target's own problem where the
/// limit spoilt it, else in the host's, which tells the first target's limit and names those that were hit, or the first
/// few of them: what a target that lives all the same ran into changes nothing but that sentence.
fn exhausted(report: &TargetReport, host: &[Problem]) -> Option<String> {
    const SPOILT: &str = "not judged, this process ran into a limit of its own: ";
    let spoilt = report.problems.iter().find_map(|problem| problem.summary.strip_prefix(SPOILT));
    let shared = host.iter().find(|problem| problem.cause == Cause::ResourceExhausted).and_then(|problem| {
        let (limit, names) = problem.summary.rsplit_once(" while ")?;
        names.split([' ', ',']).any(|name| name == report.target.name).then_some(limit)
    });
    spoilt.or(shared).map(str::to_owned)
}

/// The part of a scenario file that makes the plan; labkit/scenario.py knows the rest.
#[derive(Deserialize)]
struct Scenario {
    #[serde(default)]
    probe: Probe,
}

#[derive(Deserialize, Default)]
struct Probe {
    config: Option<String>,
    #[serde(default)]
    args: Vec<String>,
}

impl Probe {
    fn plan(&self, host: &HostFacts) -> Plan {
        let config = self.config.as_deref().map_or_else(Config::default, |text| {
            config::parse("config.toml", text).unwrap_or_else(|mistakes| panic!("{}", config::render(&mistakes))).config
        });
        plan::plan(&config, &self.choice(), host).expect("the round had a plan").plan
    }

    fn choice(&self) -> Choice {
        let mut choice = Choice::default();
        let mut words = self.args.iter().map(String::as_str);
        while let Some(word) = words.next() {
            let mut value = || words.next().expect("the option has a value");
            match word {
                // The host's facts tell the region already.
                "--region" => _ = value(),
                "--service" => choice.services.push(value().to_owned()),
                "--timeout" => choice.round_deadline = Some(duration::parse(value()).expect("a duration")),
                "-4" => choice.family = Some(Family::V4),
                "-6" => choice.family = Some(Family::V6),
                "-q" | "-v" | "--quiet" | "--verbose" => (),
                other => panic!("{other}: say here what it does to the plan"),
            }
        }
        choice
    }
}
