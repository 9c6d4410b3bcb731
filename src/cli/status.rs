//! `vpce-probe status`: the last round of the running daemon, from its state file.

use std::{
    env,
    fs::File,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    args::StatusArgs,
    exit::Exit,
    report, screen,
    settings::{self, BadConfig},
};
use crate::{
    config::{Config, duration},
    model::{
        round::{Round, SCHEMA_VERSION},
        units::Timestamp,
    },
};

/// Why there is no last round to show.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error("there is no {}: the daemon is not running, or has not finished a round; vpce-probe once probes now", .0.display())]
    Missing(PathBuf),
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{} is not a report", .0.display())]
    Garbled(PathBuf, #[source] serde_json::Error),
    #[error("{} has schema version {version}, and this program reads {SCHEMA_VERSION}: is the daemon another version?", path.display())]
    OtherSchema { path: PathBuf, version: u64 },
    #[error("the last round is {} old, and one was due every {}: the daemon is stuck or gone (systemctl status vpce-probe)", duration::show(*.age), duration::show(*.interval))]
    Stale { age: Duration, interval: Duration },
    #[error("the last round is from the future ({0}): the clock was set back")]
    Future(Timestamp),
}

pub(super) fn run(args: &StatusArgs) -> Exit {
    let settings = match settings::read(&args.config) {
        Ok(settings) => settings,
        Err(BadConfig { reason }) => return report::none(&reason, &args.output),
    };
    let path = runtime_dir(&settings.config).join(STATE_FILE);
    match read(&path).and_then(|round| aged(round, &settings.config, Timestamp::now())) {
        Ok(round) => report::show(&round, &args.output),
        Err(error) => {
            let reason = screen::chain(&error);
            screen::say(&reason);
            report::none(&reason, &args.output)
        }
    }
}

fn read(path: &Path) -> Result<Round, StatusError> {
    let mut bytes = Vec::new();
    let unreadable = |error: io::Error| {
        if error.kind() == ErrorKind::NotFound {
            StatusError::Missing(path.to_owned())
        } else {
            StatusError::Unreadable(path.to_owned(), error)
        }
    };
    File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)).map_err(unreadable)?;
    let garbled = |error| StatusError::Garbled(path.to_owned(), error);
    // The version first: another version's report need not have today's shape.
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(garbled)?;
    match value.get("schema_version").and_then(serde_json::Value::as_u64) {
        Some(version) if version != u64::from(SCHEMA_VERSION) => {
            Err(StatusError::OtherSchema { path: path.to_owned(), version })
        }
        Some(_) | None => serde_json::from_value(value).map_err(garbled),
    }
}

/// The round with its age at `now`; refused where it says nothing about the present any more.
fn aged(round: Round, config: &Config, now: Timestamp) -> Result<Round, StatusError> {
    let age = now.moment() - round.started_at.moment();
    let interval = interval(&round).unwrap_or(config.interval);
    let limit = 3 * interval;
    let Ok(positive) = Duration::try_from(age) else {
        // Some seconds backwards are an NTP step.
        if age.unsigned_abs() > limit {
            return Err(StatusError::Future(round.started_at));
        }
        return Ok(Round { age_s: Some(0.0), ..round });
    };
    if positive > limit {
        return Err(StatusError::Stale { age: whole_seconds(positive), interval });
    }
    Ok(Round { age_s: Some((positive.as_secs_f64() * 1000.0).round() / 1000.0), ..round })
}

/// The daemon's own, as its report says: it may run by another file than this command, or by one that was edited since.
fn interval(round: &Round) -> Option<Duration> {
    let told = Duration::try_from_secs_f64(round.interval_s?).ok()?;
    (!told.is_zero() && told <= LONGEST).then_some(told)
}

const fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

/// The config's, systemd's, or the one that the unit has. systemd may list several, the first is meant.
fn runtime_dir(config: &Config) -> PathBuf {
    let from_systemd = || {
        let list = env::var("RUNTIME_DIRECTORY").ok()?;
        list.split(':').next().filter(|first| !first.is_empty()).map(PathBuf::from)
    };
    config.runtime_dir.clone().or_else(from_systemd).unwrap_or_else(|| PathBuf::from("/run/vpce-probe"))
}

/// No interval is longer: a report that says so is not from our daemon.
const LONGEST: Duration = Duration::from_hours(24 * 7);
const STATE_FILE: &str = "last.json";
const LARGEST: u64 = 16 << 20;
