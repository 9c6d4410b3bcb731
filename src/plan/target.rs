//! The targets: the default ones, those of the config merged into them, and the choice of the command line.

use crate::{
    catalog::{
        bucket,
        service::{self, Doubt, Place, Spelling},
    },
    config::{self, Config},
    model::target::{Expect, Target},
};

use super::{Choice, PlanError};

/// All targets, in the order: defaults, the config's in the file's order; or in the order of `--service`.
pub(super) fn targets(
    config: &Config,
    choice: &Choice,
    place: Option<&Place<'_>>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Target>, PlanError> {
    let drafts = chosen(drafts(config), choice)?;
    let mut maker = Maker { place, spelling: choice.spelling(), doubts: Vec::new() };
    let mut targets: Vec<Target> = Vec::new();
    for draft in drafts {
        if draft.entry.enabled == Some(false) || (draft.only_where_served && !place.is_some_and(serves_ec2messages)) {
            continue;
        }
        let target = maker.make(draft)?;
        if targets.iter().any(|other| other.name == target.name) {
            return Err(PlanError::SameName(target.name));
        }
        targets.push(target);
    }
    if targets.is_empty() {
        return Err(PlanError::NoTargets);
    }
    maker.warn(warnings);
    Ok(targets)
}

/// A target that has no host yet: what the config says, with the defaults of its kind behind it.
struct Draft {
    entry: config::Target,
    required: bool,
    /// A default target that is left out where the region does not serve it.
    only_where_served: bool,
}

impl Draft {
    fn new(entry: config::Target) -> Self {
        Self { required: entry.required.unwrap_or(false), entry, only_where_served: false }
    }

    fn default_target(code: &str, required: bool) -> Self {
        let entry = config::Target { service: Some(code.to_owned()), ..config::Target::default() };
        Self { entry, required, only_where_served: code == "ec2messages" }
    }

    /// The name in the report.
    fn name(&self) -> &str {
        let entry = &self.entry;
        entry.name.as_deref().or(entry.service.as_deref()).or(entry.host.as_deref()).unwrap_or_default()
    }

    fn is_called(&self, word: &str) -> bool {
        self.name() == word || self.entry.service.as_deref() == Some(word)
    }

    /// Every key that the entry sets replaces the default target's.
    fn merge(&mut self, entry: &config::Target) {
        let merged = std::mem::take(&mut self.entry);
        self.required = entry.required.unwrap_or(self.required);
        // Whoever writes the entry wants the target, whatever this version thinks of the region.
        self.only_where_served = false;
        self.entry = config::Target {
            service: entry.service.clone().or(merged.service),
            host: entry.host.clone(),
            name: entry.name.clone(),
            port: entry.port,
            expect: entry.expect,
            required: entry.required,
            path: entry.path.clone(),
            allowed_cidrs: entry.allowed_cidrs.clone(),
            enabled: entry.enabled,
        };
    }
}

fn drafts(config: &Config) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = if config.default_targets {
        DEFAULT_TARGETS.iter().map(|(code, required)| Draft::default_target(code, *required)).collect()
    } else {
        Vec::new()
    };
    let defaults = drafts.len();
    for entry in &config.targets {
        // By service first: a default target may be given another name.
        let word = entry.service.as_deref().or(entry.name.as_deref());
        let default = drafts.iter_mut().take(defaults).find(|draft| draft.entry.service.as_deref() == word);
        match default {
            Some(default) => default.merge(entry),
            None => drafts.push(Draft::new(entry.clone())),
        }
    }
    drafts
}

/// Only those that `--service` names; a code that is no target yet becomes a required one.
fn chosen(mut drafts: Vec<Draft>, choice: &Choice) -> Result<Vec<Draft>, PlanError> {
    if choice.services.is_empty() {
        return Ok(drafts);
    }
    let mut chosen: Vec<Draft> = Vec::new();
    for word in &choice.services {
        if chosen.iter().any(|draft| draft.is_called(word)) {
            continue;
        }
        let wanted = |draft: &Draft| draft.is_called(word) && draft.entry.enabled != Some(false);
        let (mut found, rest): (Vec<Draft>, Vec<Draft>) = drafts.into_iter().partition(wanted);
        drafts = rest;
        if found.is_empty() {
            refuse_unknown(word, &drafts)?;
            found.push(Draft::default_target(word, true));
        }
        // Asked for by name: probed, whatever this version thinks of the region.
        chosen.extend(found.into_iter().map(|draft| Draft { only_where_served: false, ..draft }));
    }
    Ok(chosen)
}

fn refuse_unknown(code: &str, drafts: &[Draft]) -> Result<(), PlanError> {
    if service::known(code) {
        return Ok(());
    }
    if let Some(form) = service::many_hosts(code) {
        return Err(PlanError::ManyHosts { code: code.to_owned(), form });
    }
    let names = drafts.iter().map(Draft::name);
    Err(PlanError::UnknownService { suggestion: nearest(code, names), code: code.to_owned() })
}

/// The code or name that is at most a third of its letters away from the word.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    // `com.amazonaws.eu-west-1.ecr.api`, as the console shows it.
    let from_console = service::codes()
        .filter(|code| word.starts_with("com.amazonaws.") && word.ends_with(&format!(".{code}")))
        .max_by_key(|code| code.len());
    if let Some(code) = from_console {
        return Some(code.to_owned());
    }
    let codes = service::codes().map(|code| -> &'a str { code });
    names
        .chain(codes)
        .map(|name| (strsim::damerau_levenshtein(&word.to_lowercase(), name), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name.to_owned())
}

fn serves_ec2messages(place: &Place<'_>) -> bool {
    service::has_ec2messages(place.region)
}

/// Gives drafts their hosts, and collects what speaks against the names.
struct Maker<'a> {
    place: Option<&'a Place<'a>>,
    spelling: Spelling,
    doubts: Vec<(Doubt, String)>,
}

impl Maker<'_> {
    fn make(&mut self, draft: Draft) -> Result<Target, PlanError> {
        let name = draft.name().to_owned();
        let Draft { entry, required, only_where_served: _ } = draft;
        let code = entry.service.as_deref();
        let (host, port) = match (entry.host, code) {
            (Some(host), _) => (host, None),
            (None, Some(code)) => self.endpoint(&name, code)?,
            // The config refuses an entry that has neither; one that comes by another way has nothing to probe.
            (None, None) => return Err(PlanError::UnknownService { code: name, suggestion: None }),
        };
        let gateway = matches!(code, Some("s3" | "dynamodb"));
        let path = match (code, self.place) {
            (Some("s3"), Some(place)) => bucket::canary_path(place.region),
            (Some(code), _) if service::known(code) && !service::speaks_http(code) => String::new(),
            _ => "/".to_owned(),
        };
        Ok(Target {
            name,
            host,
            port: entry.port.or(port).unwrap_or(443),
            required,
            expect: entry.expect.unwrap_or(if gateway { Expect::Any } else { Expect::Private }),
            path: entry.path.unwrap_or(path),
            allowed_cidrs: entry.allowed_cidrs,
            service: entry.service,
        })
    }

    fn endpoint(&mut self, name: &str, code: &str) -> Result<(String, Option<u16>), PlanError> {
        refuse_unknown(code, &[])?;
        let place = self.place.ok_or(PlanError::NoRegion)?;
        let endpoint = service::endpoint(code, place, self.spelling)
            .ok_or_else(|| PlanError::UnknownService { code: code.to_owned(), suggestion: None })?;
        self.doubts.extend(endpoint.doubts.into_iter().map(|doubt| (doubt, name.to_owned())));
        Ok((endpoint.host, Some(endpoint.port)))
    }

    /// One sentence for each kind of doubt, with the targets that it is about.
    fn warn(&self, warnings: &mut Vec<String>) {
        let region = self.place.map_or("", |place| place.region);
        for doubt in [Doubt::FipsUnlisted, Doubt::NoFipsName, Doubt::DualStackUnlisted, Doubt::NoDualStackName] {
            let about: Vec<&str> =
                self.doubts.iter().filter(|(other, _)| *other == doubt).map(|(_, name)| name.as_str()).collect();
            if !about.is_empty() {
                warnings.push(sentence(doubt, &about.join(", "), region));
            }
        }
    }
}

fn sentence(doubt: Doubt, about: &str, region: &str) -> String {
    match doubt {
        Doubt::FipsUnlisted => format!(
            "AWS lists no FIPS name in {region} for {about}, as far as this version knows: the name may not exist; \
             give host = in a [[target]] if there is another"
        ),
        Doubt::NoFipsName => format!(
            "no FIPS name in {region} is known for {about}: the ordinary name stands instead; give host = in a \
             [[target]] if there is one"
        ),
        Doubt::DualStackUnlisted => format!(
            "AWS does not list the dual-stack name of {about}: that it does not exist would be no fault of this network"
        ),
        Doubt::NoDualStackName => format!("no dual-stack name is known for {about}: the ordinary name stands instead"),
    }
}

/// Service codes, and whether they are required; in the order of the report.
const DEFAULT_TARGETS: &[(&str, bool)] = &[
    ("ssm", true),
    ("ssmmessages", true),
    ("s3", true),
    ("ec2messages", false),
    ("logs", false),
    ("monitoring", false),
];

#[cfg(test)]
mod tests {
    use crate::{
        catalog::partition,
        config::{self, Config},
        model::target::{Expect, Target},
        plan::{Choice, PlanError, targets},
    };

    const REGION: Option<&str> = Some("eu-west-1");

    /// One line a target: name, host:port, whether it is required, the expectation, the path.
    fn line(target: &Target) -> String {
        let Target { name, host, port, required, expect, path, .. } = target;
        format!("{name} {host}:{port} {} {expect} {path}", if *required { "required" } else { "optional" })
    }

    fn check(config: &Config, services: &[&str], expected: &[&str]) {
        let choice = Choice { services: services.iter().map(|&code| code.to_owned()).collect(), ..Choice::default() };
        let (targets, warnings) = targets(config, &choice, REGION, None).expect("a plan");
        assert_eq!(targets.iter().map(line).collect::<Vec<_>>(), expected);
        assert_eq!(warnings, Vec::<String>::new());
    }

    fn refuse(config: &Config, services: &[&str], expected: &PlanError) {
        let choice = Choice { services: services.iter().map(|&code| code.to_owned()).collect(), ..Choice::default() };
        assert_eq!(targets(config, &choice, REGION, None).as_ref(), Err(expected));
    }

    fn with(entries: Vec<config::Target>) -> Config {
        Config { targets: entries, ..Config::default() }
    }

    fn entry(service: Option<&str>, name: Option<&str>, host: Option<&str>) -> config::Target {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        config::Target { service: owned(service), name: owned(name), host: owned(host), ..config::Target::default() }
    }

    const SSM: &str = "ssm ssm.eu-west-1.amazonaws.com:443 required private /";
    const SSMMESSAGES: &str = "ssmmessages ssmmessages.eu-west-1.amazonaws.com:443 required private /";
    const S3: &str = "s3 s3.eu-west-1.amazonaws.com:443 required any /amazon-ssm-eu-west-1/latest/VERSION";
    const EC2MESSAGES: &str = "ec2messages ec2messages.eu-west-1.amazonaws.com:443 optional private /";
    const LOGS: &str = "logs logs.eu-west-1.amazonaws.com:443 optional private /";
    const MONITORING: &str = "monitoring monitoring.eu-west-1.amazonaws.com:443 optional private /";

    #[test]
    fn the_default_targets_are_those_of_the_ssm_agent() {
        check(&Config::default(), &[], &[SSM, SSMMESSAGES, S3, EC2MESSAGES, LOGS, MONITORING]);
    }

    #[test]
    fn ec2messages_is_a_default_only_where_it_exists() {
        for (_, region) in partition::regions().chain([(partition::AWS, "eu-west-9")]) {
            let (targets, _) = targets(&Config::default(), &Choice::default(), Some(region), None).expect("a plan");
            let has = targets.iter().any(|target| target.name == "ec2messages");
            assert_eq!(has, crate::catalog::service::has_ec2messages(region), "{region}");
            assert_eq!(targets.len(), if has { 6 } else { 5 }, "{region}");
        }
        // Whoever configures it wants it.
        let config = with(vec![entry(Some("ec2messages"), None, None)]);
        let (targets, _) = targets(&config, &Choice::default(), Some("mx-central-1"), None).expect("a plan");
        assert!(targets.iter().any(|target| target.name == "ec2messages"));
    }

    #[test]
    fn an_entry_is_merged_key_by_key_into_the_default_target_that_it_names() {
        let logs = config::Target { required: Some(true), ..entry(Some("logs"), None, None) };
        let by_name = entry(None, Some("ssm"), Some("vpce-1-x.ssm.eu-west-1.vpce.amazonaws.com"));
        let renamed =
            config::Target { expect: Some(Expect::OwnVpc), ..entry(Some("monitoring"), Some("cloudwatch"), None) };
        let gone = config::Target { enabled: Some(false), ..entry(Some("ec2messages"), None, None) };
        check(
            &with(vec![logs, by_name, renamed, gone]),
            &[],
            &[
                "ssm vpce-1-x.ssm.eu-west-1.vpce.amazonaws.com:443 required private /",
                SSMMESSAGES,
                S3,
                "logs logs.eu-west-1.amazonaws.com:443 required private /",
                "cloudwatch monitoring.eu-west-1.amazonaws.com:443 optional own-vpc /",
            ],
        );
    }

    #[test]
    fn other_entries_are_new_optional_targets() {
        let vault = config::Target {
            port: Some(8200),
            path: Some("/v1/sys".to_owned()),
            ..entry(None, None, Some("vault.corp.example"))
        };
        let config = Config {
            default_targets: false,
            ..with(vec![
                vault,
                entry(Some("kms"), None, None),
                entry(Some("dynamodb"), None, None),
                entry(Some("ecr.dkr"), None, Some("1.dkr.ecr.eu-west-1.amazonaws.com")),
                entry(Some("email-smtp"), None, None),
                entry(Some("ssm"), None, None),
            ])
        };
        check(
            &config,
            &[],
            &[
                "vault.corp.example vault.corp.example:8200 optional private /v1/sys",
                "kms kms.eu-west-1.amazonaws.com:443 optional private /",
                "dynamodb dynamodb.eu-west-1.amazonaws.com:443 optional any /",
                "ecr.dkr 1.dkr.ecr.eu-west-1.amazonaws.com:443 optional private /",
                "email-smtp email-smtp.eu-west-1.amazonaws.com:465 optional private ",
                "ssm ssm.eu-west-1.amazonaws.com:443 optional private /",
            ],
        );
    }

    #[test]
    fn named_services_are_the_only_ones() {
        let config = with(vec![entry(None, Some("vault"), Some("vault.corp.example"))]);
        check(&config, &["logs", "ssm", "logs"], &[LOGS, SSM]);
        check(&config, &["kms"], &["kms kms.eu-west-1.amazonaws.com:443 required private /"]);
        check(&config, &["dynamodb"], &["dynamodb dynamodb.eu-west-1.amazonaws.com:443 required any /"]);
        check(&config, &["vault"], &["vault vault.corp.example:443 optional private /"]);
        // What the config takes out is still there to be asked for.
        let without = with(vec![config::Target { enabled: Some(false), ..entry(Some("logs"), None, None) }]);
        check(&without, &["logs"], &["logs logs.eu-west-1.amazonaws.com:443 required private /"]);
    }

    #[test]
    fn what_cannot_be_probed_is_refused_with_what_to_do() {
        let unknown = |code: &str, near: Option<&str>| PlanError::UnknownService {
            code: code.to_owned(),
            suggestion: near.map(str::to_owned),
        };
        let config = Config::default();
        refuse(&config, &["smm"], &unknown("smm", Some("ssm")));
        refuse(&config, &["ssmmesages"], &unknown("ssmmesages", Some("ssmmessages")));
        refuse(
            &config,
            &["com.amazonaws.eu-west-1.ecr.api"],
            &unknown("com.amazonaws.eu-west-1.ecr.api", Some("ecr.api")),
        );
        refuse(&config, &["zzzzzzzzz"], &unknown("zzzzzzzzz", None));
        let dkr = PlanError::ManyHosts { code: "ecr.dkr".to_owned(), form: "ACCOUNT.dkr.ecr.REGION.amazonaws.com" };
        refuse(&config, &["ecr.dkr"], &dkr);
        refuse(&Config { default_targets: false, ..Config::default() }, &[], &PlanError::NoTargets);
        let twins = vec![entry(None, Some("a"), Some("a.example")), entry(None, Some("a"), Some("b.example"))];
        refuse(&with(twins), &[], &PlanError::SameName("a".to_owned()));
    }

    #[test]
    fn hosts_alone_need_no_region() {
        let config = Config { default_targets: false, ..with(vec![entry(None, None, Some("vault.corp.example"))]) };
        let (found, _) = targets(&config, &Choice::default(), None, None).expect("a plan");
        assert_eq!(found.len(), 1);
        let missing = targets(&Config::default(), &Choice::default(), None, None);
        assert_eq!(missing, Err(PlanError::NoRegion));
    }

    #[test]
    fn doubtful_names_are_told_once_for_each_kind() {
        let choice = Choice { fips: true, ..Choice::default() };
        let (_, warnings) = targets(&Config::default(), &choice, REGION, None).expect("a plan");
        assert_eq!(warnings.len(), 2);
        assert!(warnings.iter().any(|w| w.contains("for ssm, s3, logs, monitoring,")), "{warnings:?}");
        assert!(warnings.iter().any(|w| w.contains("for ssmmessages, ec2messages:") && w.contains("give host =")));
        let (_, none) = targets(&Config::default(), &choice, Some("us-east-1"), None).expect("a plan");
        assert_eq!(none, Vec::<String>::new());
    }
}
