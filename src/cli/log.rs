//! Logs on stderr, for one run of a verb.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Errors.
    Quiet,
    /// Warnings.
    Usual,
    /// What is done.
    Verbose,
}

/// Sends the program's own records to stderr, and those of libraries only where they matter.
pub(super) fn start(level: Level) {
    let (own, libraries) = match level {
        Level::Quiet => (LevelFilter::ERROR, LevelFilter::OFF),
        Level::Usual => (LevelFilter::WARN, LevelFilter::OFF),
        Level::Verbose => (LevelFilter::DEBUG, LevelFilter::INFO),
    };
    let filter = Targets::new().with_default(libraries).with_target("vpce_probe", own);
    let layer = fmt::layer().with_writer(io::stderr).with_ansi(false).with_target(false).without_time();
    // A second subscriber can only come from a test in the same process; the first then stays.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
}
