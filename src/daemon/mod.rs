//! `vpce-probe run`: rounds for months, on one thread. The only place that spawns what outlives a round.

mod announce;
mod clock;
mod files;
mod reload;
mod rounds;
mod settings;
mod timetable;
mod ways;
mod words;

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, sleep_until},
};

use self::rounds::Rounds;
pub use self::{clock::clock_error, settings::delivery_settings, ways::surroundings};
use crate::{
    config::{Config, Diagnostic, duration},
    disk::Disk,
    host::Query,
    model::event::{Entry, Event, Field},
    probe::ProbeError,
    sink::{
        journal::say,
        lock::{Lock, NoLock},
        notify::Notifier,
    },
};

/// What is configured, as the daemon needs it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The config.
    pub config: Config,
    /// What is asked of the host.
    pub query: Query,
}

/// Why settings cannot be used; the old ones stay.
#[derive(Debug)]
pub enum Refusal {
    /// The file cannot be read.
    Unreadable(String),
    /// Every mistake in it.
    Mistakes(Vec<Diagnostic>),
    /// It cannot be carried out.
    Impossible(String),
}

/// Reads the settings anew; warnings are said by whoever reads.
pub type Read<'a> = &'a dyn Fn() -> Result<Settings, Refusal>;

/// How the daemon ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was asked to.
    Asked,
    /// Another instance runs, with this process id where it says it.
    Occupied(Option<u32>),
    /// The settings cannot be carried out.
    BadConfig(String),
    /// It could not start.
    Failed(String),
}

/// Runs until it is asked to stop.
pub async fn run(settings: Settings, read: Read<'_>, environment: &BTreeMap<String, String>) -> Ended {
    match start(settings, environment) {
        Ok(daemon) => {
            daemon.live(read).await;
            Ended::Asked
        }
        Err(ended) => ended,
    }
}

struct Daemon {
    rounds: Rounds,
    stop: Stop,
    hangup: Signal,
    notifier: Notifier,
    /// Held for as long as the daemon lives.
    _locks: Vec<Lock>,
}

fn start(settings: Settings, environment: &BTreeMap<String, String>) -> Result<Daemon, Ended> {
    let failed = |what: &str, error: &dyn std::fmt::Display| Ended::Failed(format!("{what}: {error}"));
    reload::carried_out(&settings).map_err(Ended::BadConfig)?;
    let deaf = |error| failed("cannot listen to signals", &error);
    // Before the first file is written: at a limit of file sizes the write is to fail, as on a full disk, and not to kill.
    let _heard = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())).map_err(deaf)?;
    let locks = locks(&settings.config, environment)?;
    let stop = Stop::listen().map_err(deaf)?;
    let hangup = signal(SignalKind::hangup()).map_err(deaf)?;
    let disk = Disk::start().map_err(|error| failed("cannot start the disk thread", &error))?;
    let rounds = Rounds::new(settings, environment, disk).map_err(|error| match error {
        ProbeError::ExtraAuthorities(said) => Ended::BadConfig(format!("extra_ca_file cannot be used: {said}")),
        ProbeError::TrustStore(_) => Ended::Failed(error.to_string()),
    })?;
    Ok(Daemon { rounds, stop, hangup, notifier: Notifier::from_environment(environment), _locks: locks })
}

/// The locks of the folder of `last.json` and of the spool's. Where a folder cannot be had, nothing is written there, and
/// nothing is there to be fought over.
fn locks(config: &Config, environment: &BTreeMap<String, String>) -> Result<Vec<Lock>, Ended> {
    let (runtime_dir, state_dir) = (config.runtime_dir(environment), config.state_dir(environment));
    let mut locks = Vec::new();
    match fs::create_dir_all(&runtime_dir).map_err(|error| error.to_string()).and_then(|()| lock(&runtime_dir)) {
        Ok(lock) => locks.push(lock?),
        Err(said) => {
            let help = "vpce-probe status will show nothing (set runtime_dir, or let systemd make it)";
            let words = format!("cannot write in {}: {help}", runtime_dir.display());
            let entry = Entry::new(Event::StateUnwritable, words);
            say(&entry.with(Field::File, runtime_dir.display()).with(Field::Error, said));
        }
    }
    // Nothing above it is made: a mount that is missing must not be papered over. The spool itself says what is wrong.
    if state_dir != runtime_dir {
        let made = state_dir.is_dir() || DirBuilder::new().mode(0o750).create(&state_dir).is_ok();
        if made && let Ok(lock) = lock(&state_dir) {
            locks.push(lock?);
        }
    }
    Ok(locks)
}

/// The lock, or who has it; else why there can be none.
fn lock(folder: &Path) -> Result<Result<Lock, Ended>, String> {
    match Lock::take(folder) {
        Ok(lock) => Ok(Ok(lock)),
        Err(NoLock::Held { pid }) => Ok(Err(Ended::Occupied(pid))),
        Err(error @ NoLock::Io { .. }) => Err(error.to_string()),
    }
}

impl Daemon {
    async fn live(mut self, read: Read<'_>) {
        let every = duration::show(self.rounds.interval());
        let version = env!("CARGO_PKG_VERSION");
        let started = Entry::new(Event::Started, format!("vpce-probe {version} runs: a round every {every}"));
        say(&started.with(Field::Version, version));
        self.notifier.watchdog_usec(self.rounds.patience());
        self.notifier.ready("starting: the first round is due");
        loop {
            let due = self.rounds.due();
            tokio::select! {
                biased;
                () = self.stop.asked() => break,
                _ = self.hangup.recv() => self.reload(read),
                () = sleep_until(due) => {
                    let ended = tokio::select! {
                        biased;
                        () = self.stop.asked() => None,
                        told = Box::pin(self.rounds.round()) => Some(told),
                    };
                    let Some(told) = ended else { break };
                    self.notifier.status(&told.status);
                    if told.in_time {
                        self.notifier.watchdog();
                    }
                }
            }
        }
        self.notifier.stopping("stopping: delivering what can be delivered");
        say(&Entry::new(Event::Stopping, "vpce-probe was asked to stop"));
        self.rounds.stop(Instant::now() + GRACE).await;
    }

    fn reload(&mut self, read: Read<'_>) {
        self.notifier.reloading();
        let status = reload::reload(&mut self.rounds, read);
        self.notifier.watchdog_usec(self.rounds.patience());
        self.notifier.ready(&status);
    }
}

/// What asks the daemon to stop.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// How long a delivery may take once the daemon was asked to stop.
const GRACE: Duration = Duration::from_secs(3);

/// Where the last round stands for `vpce-probe status`.
#[must_use]
pub fn state_file(config: &Config, environment: &BTreeMap<String, String>) -> PathBuf {
    config.runtime_dir(environment).join(STATE_FILE)
}

const STATE_FILE: &str = "last.json";
