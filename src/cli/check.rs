//! `vpce-probe check`: is the config right, and what would it do?

mod bill;

use std::fmt::Write as _;

use super::{args::CheckArgs, exit::Exit, list, screen, settings};
use crate::{
    config::{Config, ResolverChoice, duration},
    host,
    model::{host::RegionSource, target::Target},
    plan::{self, Choice, PlanError},
};

pub(super) fn run(args: &CheckArgs) -> Exit {
    let Ok(settings) = settings::read(&args.config) else { return Exit::BadConfig };
    let config = &settings.config;
    let (region, source) = host::local_region(&settings::query(config, None));
    let (targets, warnings) = match targets(config, region.as_deref()) {
        Ok(planned) => planned,
        Err(error) => {
            screen::say(&error.to_string());
            return Exit::BadConfig;
        }
    };
    screen::warn(&warnings);
    let bill = bill::Bill::new(config, &targets, args.instances);
    screen::warn(&bill.warning().map(|warning| vec![warning]).unwrap_or_default());
    let file = match &settings.file {
        Some(file) => format!("{file}: no mistake found\n"),
        None => "there is no config file: everything has its default\n".to_owned(),
    };
    let text = file + &programme(config, &targets, region.as_deref(), source) + &bill.show();
    match screen::print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the result: {error}"));
            Exit::Failed
        }
    }
}

/// The targets; where the region is found only on the host, `REGION` stands in their names.
fn targets(config: &Config, region: Option<&str>) -> Result<(Vec<Target>, Vec<String>), PlanError> {
    let planned = plan::targets(config, &Choice::default(), region, None);
    if planned != Err(PlanError::NoRegion) {
        return planned;
    }
    let (mut targets, _) = plan::targets(config, &Choice::default(), Some(PLACEHOLDER), None)?;
    for target in &mut targets {
        target.host = target.host.replace(PLACEHOLDER, "REGION");
    }
    Ok((targets, Vec::new()))
}

fn programme(config: &Config, targets: &[Target], region: Option<&str>, source: RegionSource) -> String {
    let mut out = String::new();
    let region = match (region, source) {
        (Some(region), RegionSource::Environment) => format!("{region}, from the environment"),
        (Some(region), RegionSource::ResolvConf) => format!("{region}, from resolv.conf, unless IMDS says another"),
        (Some(region), RegionSource::Config | RegionSource::Imds | RegionSource::None) => region.to_owned(),
        (None, _) => "discovered on the host; REGION stands for it here".to_owned(),
    };
    let _ = write!(out, "\nWould be probed (region: {region}):\n\n{}\n", list::table(targets));
    let _ = writeln!(out, "Names are asked of {}", name_servers(config));
    let t = &config.timeouts;
    let budgets = [("resolve", t.resolve), ("connect", t.connect), ("tls", t.tls), ("http", t.http), ("imds", t.imds)];
    let budgets: Vec<String> =
        budgets.iter().map(|(stage, budget)| format!("{stage} {}", duration::show(*budget))).collect();
    let _ =
        writeln!(out, "Budgets: {};\n  the whole round {}", budgets.join(", "), duration::show(config.round_deadline));
    out
}

fn name_servers(config: &Config) -> String {
    let servers = match &config.dns.resolver {
        ResolverChoice::System => "the system's name servers and the hosts file".to_owned(),
        ResolverChoice::Vpc => return "the VPC's resolver".to_owned(),
        ResolverChoice::Servers(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    if config.dns.compare_with_vpc {
        format!("{servers},\n  and on EC2 of the VPC's resolver beside them")
    } else {
        servers
    }
}

/// A label that no region and no service bears.
const PLACEHOLDER: &str = "the-region-of-the-host";
