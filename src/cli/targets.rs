//! `vpce-probe targets`: what would be probed, without any network.

use serde::Serialize;

use super::{
    args::{ListFormat, TargetsArgs},
    exit::Exit,
    list, screen, settings,
};
use crate::{
    host,
    model::target::{Expect, Target},
    plan::{self, Choice, PlanError},
};

pub(super) fn run(args: &TargetsArgs) -> Exit {
    let Ok(settings) = settings::read(&args.config) else { return Exit::BadConfig };
    let config = &settings.config;
    let choice =
        Choice { services: args.services.clone(), fips: args.fips, dual_stack: args.dual_stack, ..Choice::default() };
    let (region, _) = host::local_region(&settings::query(config, args.region.as_deref()));
    let (targets, warnings) = match plan::targets(config, &choice, region.as_deref(), None) {
        Ok(planned) => planned,
        Err(error) => {
            screen::say(&error.to_string());
            return whose(&error, args);
        }
    };
    screen::warn(&warnings);
    let text = match args.format {
        ListFormat::Table => list::table(&targets),
        ListFormat::Json => json(&targets),
    };
    match screen::print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the list: {error}"));
            Exit::Failed
        }
    }
}

/// Whether the command line or the config has to change.
fn whose(error: &PlanError, args: &TargetsArgs) -> Exit {
    match error {
        PlanError::NoRegion | PlanError::BadRegion(_) => Exit::Usage,
        PlanError::UnknownService { code, .. } | PlanError::ManyHosts { code, .. } if args.services.contains(code) => {
            Exit::Usage
        }
        PlanError::UnknownService { .. }
        | PlanError::ManyHosts { .. }
        | PlanError::SameName(_)
        | PlanError::NoTargets => Exit::BadConfig,
    }
}

/// One target as scripts read it.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    service: Option<&'a str>,
    host: &'a str,
    port: u16,
    required: bool,
    expect: Expect,
}

fn json(targets: &[Target]) -> String {
    let rows: Vec<Row<'_>> = targets
        .iter()
        .map(|target| Row {
            name: &target.name,
            service: target.service.as_deref(),
            host: &target.host,
            port: target.port,
            required: target.required,
            expect: target.expect,
        })
        .collect();
    let mut text = serde_json::to_string_pretty(&rows).expect("rows have string keys and no failing Serialize");
    text.push('\n');
    text
}
