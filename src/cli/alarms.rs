//! `vpce-probe alarms`: alarms and a dashboard for what is probed.

use super::{
    args::{AlarmsArgs, TemplateFormat},
    exit::Exit,
    screen, settings,
};
use crate::{
    alarms::{self, AlarmsError, Fleet},
    host,
    plan::{self, Choice, PlanError},
};

pub(super) fn run(args: &AlarmsArgs) -> Exit {
    let Ok(settings) = settings::read(&args.config) else { return Exit::BadConfig };
    let config = &settings.config;
    let (region, _) = host::local_region(&settings::query(config, args.region.as_deref()));
    let (targets, warnings) = match plan::targets(config, &Choice::default(), region.as_deref(), None) {
        Ok(planned) => planned,
        Err(error) => {
            screen::say(&error.to_string());
            return whose(&error);
        }
    };
    screen::warn(&warnings);
    if !config.cloudwatch.enabled {
        screen::warn(&["cloudwatch.enabled is false: nothing is shipped that these alarms could read".to_owned()]);
    }
    let fleet = Fleet {
        settings: &plan::metrics(config),
        targets: &targets,
        vpc_id: config.host.vpc_id.as_deref(),
        expiry_warning: config.tls.expiry_warning,
        expected_hosts: args.expected_hosts,
        groups: &args.groups,
    };
    let template = match alarms::template(&fleet) {
        Ok(template) => template,
        Err(error) => {
            screen::say(&error.to_string());
            return match error {
                AlarmsError::TooManyTargets(..) => Exit::BadConfig,
                AlarmsError::TooManyGroups(_) => Exit::Usage,
            };
        }
    };
    screen::warn(&template.notes);
    let text = match args.format {
        TemplateFormat::Cloudformation => template.json,
    };
    match screen::print(&text) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the template: {error}"));
            Exit::Failed
        }
    }
}

/// Whether the command line or the config has to change.
const fn whose(error: &PlanError) -> Exit {
    match error {
        PlanError::NoRegion | PlanError::BadRegion(_) => Exit::Usage,
        PlanError::UnknownService { .. }
        | PlanError::ManyHosts { .. }
        | PlanError::SameName(_)
        | PlanError::NoTargets => Exit::BadConfig,
    }
}
