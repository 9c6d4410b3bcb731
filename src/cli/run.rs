//! `vpce-probe run`: the daemon.

use std::collections::BTreeMap;

use tokio::time::{Duration, Instant};
use tracing::level_filters::LevelFilter;

use super::{
    args::RunArgs,
    exit::Exit,
    once::start_runtime,
    screen,
    settings::{self, BadConfig},
};
use crate::{
    config::{self, LoadError, Severity},
    daemon::{self, Ended, Refusal},
    model::event::{Entry, Event, Field},
    sink::journal::{Logging, Way, say},
    sys,
};

pub(super) fn run(args: &RunArgs) -> Exit {
    sys::raise_descriptor_limit();
    let environment = settings::environment();
    let level = if args.verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let logging = match Logging::start(level, &environment) {
        Ok(logging) => logging,
        Err(error) => {
            screen::say(&format!("cannot start: {error}"));
            return Exit::Failed;
        }
    };
    let exit = with_logging(args, &environment, logging.way());
    // What could not be written is nothing that could be written about.
    let _ = logging.finish(Instant::now() + LAST_WORDS);
    exit
}

fn with_logging(args: &RunArgs, environment: &BTreeMap<String, String>, way: Way) -> Exit {
    let settings = match way {
        // As it is on the screen of every other verb.
        Way::Text => settings::read(&args.config).map(|settings| settings.config).map_err(|BadConfig { .. }| ()),
        Way::Journal | Way::Both => read(args).map(|settings| settings.config).map_err(|refusal| refuse(&refusal)),
    };
    let Ok(config) = settings else { return Exit::BadConfig };
    let runtime = match start_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen::say(&format!("cannot start: {error}"));
            return Exit::Failed;
        }
    };
    let initial = daemon::Settings { query: settings::query(&config, None), config };
    let ended = runtime.block_on(Box::pin(daemon::run(initial, &|| read(args), environment)));
    runtime.shutdown_background();
    told(&ended)
}

/// Each mistake of a config that cannot be used, as an error of its own.
fn refuse(refusal: &Refusal) {
    for mistake in refusal.mistakes() {
        let words = format!("the config cannot be used: {mistake}");
        say(&Entry::new(Event::ConfigRefused, words).with(Field::Error, mistake));
    }
}

fn told(ended: &Ended) -> Exit {
    match ended {
        Ended::Asked => Exit::Done,
        Ended::Occupied(pid) => {
            let who = pid.map_or_else(String::new, |pid| format!(", process {pid}"));
            let words = format!("another vpce-probe runs already{who}: this one ends (systemctl status vpce-probe)");
            say(&Entry::new(Event::AlreadyRunning, words));
            Exit::Occupied
        }
        Ended::BadConfig(said) => {
            tracing::error!("the config cannot be carried out: {said}");
            Exit::BadConfig
        }
        Ended::Failed(said) => {
            tracing::error!("cannot start: {said}");
            Exit::Failed
        }
    }
}

/// The settings as the file says now; its warnings go to the journal.
fn read(args: &RunArgs) -> Result<daemon::Settings, Refusal> {
    if settings::is_stdin(&args.config) {
        // It is at its end, and an empty config would be a valid one.
        let words = "the config came from standard input, which cannot be read again: give a file to run";
        return Err(Refusal::Unreadable(words.to_owned()));
    }
    let loaded = settings::load(&args.config).map_err(|error| match error {
        LoadError::Invalid(mistakes) => Refusal::Mistakes(mistakes),
        LoadError::Io { .. } => Refusal::Unreadable(screen::chain(&error)),
    })?;
    for warning in loaded.warnings.iter().filter(|warning| warning.severity == Severity::Warning) {
        tracing::warn!("{}", config::render(std::slice::from_ref(warning)).trim_end());
    }
    Ok(daemon::Settings { query: settings::query(&loaded.config, None), config: loaded.config })
}

/// How long the journal may take for what was said last.
const LAST_WORDS: Duration = Duration::from_secs(1);
