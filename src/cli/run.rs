//! `vpce-probe run`: the daemon.

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
    model::event::{Entry, Event},
    sink::journal::{Logging, say},
    sys,
};

pub(super) fn run(args: &RunArgs) -> Exit {
    // A mistake in the config is told on stderr, which systemd puts into the journal, before anything else begins.
    let settings = match settings::read(&args.config) {
        Ok(settings) => settings,
        Err(BadConfig { .. }) => return Exit::BadConfig,
    };
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
    let runtime = match start_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen::say(&format!("cannot start: {error}"));
            return Exit::Failed;
        }
    };
    let initial = daemon::Settings { query: settings::query(&settings.config, None), config: settings.config };
    let ended = runtime.block_on(Box::pin(daemon::run(initial, &|| read(args), &environment)));
    runtime.shutdown_background();
    let exit = told(&ended);
    // What could not be written is nothing that could be written about.
    let _ = logging.finish(Instant::now() + LAST_WORDS);
    exit
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
