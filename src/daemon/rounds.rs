//! One round after the other, and what becomes of each.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Settings, announce,
    clock::Clock,
    files::Files,
    said::Said,
    settings::{delivery_settings, host_name},
    state_file,
    timetable::{Begun, Timetable},
    ways::surroundings,
    words,
};
use crate::{
    config::Config,
    deliver::{self, Delivery, Surroundings},
    disk::Disk,
    history::{History, News},
    host::Watch,
    metric,
    model::{
        cause::Cause,
        event::{Entry, Event, Field, Level},
        plan::DnsPlan,
        round::{Round, SCHEMA_VERSION},
        units::Timestamp,
        verdict::RoundVerdict,
    },
    plan::{self, Choice},
    probe::{ProbeError, Prober},
    round::{self, Finished},
    sink::journal::say,
};

/// The rounds of a daemon.
pub(super) struct Rounds {
    settings: Settings,
    environment: BTreeMap<String, String>,
    disk: Disk,
    files: Files,
    prober: Prober,
    watch: Watch,
    clock: Clock,
    history: History,
    tail: metric::Tail,
    delivery: Option<Delivery>,
    timetable: Timetable,
    /// When the daemon began.
    began: Timestamp,
    /// When the last round began that has a sample.
    sampled: Option<Timestamp>,
    /// When a summary was last told to everybody.
    summary: Option<Instant>,
    said: Said,
}

/// What a round leaves for systemd.
pub(super) struct Told {
    /// One line.
    pub(super) status: String,
    /// Whether the round ended when it should.
    pub(super) in_time: bool,
}

impl Rounds {
    /// Nothing has been probed yet; the first round is due at once.
    pub(super) fn new(
        settings: Settings,
        environment: &BTreeMap<String, String>,
        disk: Disk,
    ) -> Result<Self, ProbeError> {
        let prober = Prober::new(&plan::tls(&settings.config))?;
        let clock = Clock::new();
        let confirm = settings.config.confirm;
        let earlier = earlier(&state_file(&settings.config, environment), clock.read().wall);
        let began = clock.read().wall;
        let history = earlier.map_or_else(|| History::new(confirm), |last| History::resume(confirm, &last));
        let mut rounds = Self {
            files: files(&settings.config, environment, &disk),
            timetable: Timetable::new(settings.config.interval, host_name(), clock.read()),
            settings,
            environment: environment.clone(),
            disk,
            prober,
            watch: Watch::default(),
            clock,
            history,
            tail: metric::Tail::default(),
            delivery: None,
            began,
            sampled: None,
            summary: None,
            said: Said::default(),
        };
        rounds.start_delivery();
        Ok(rounds)
    }

    /// From one round to the next.
    pub(super) const fn interval(&self) -> Duration {
        self.settings.config.interval
    }

    /// How long the watchdog may wait for a round that ended in time: two may fail to.
    pub(super) fn patience(&self) -> Duration {
        3 * self.settings.config.interval + 2 * self.settings.config.round_deadline
    }

    /// When the next round is due.
    pub(super) fn due(&self) -> Instant {
        self.timetable.due()
    }

    /// Takes on other settings; what the old ones learnt stays.
    pub(super) fn take_on(&mut self, mut settings: Settings) -> Result<(), ProbeError> {
        self.prober.refresh(&plan::tls(&settings.config))?;
        self.stay(&mut settings.config);
        if self.settings.query != settings.query {
            self.watch.forget();
        }
        self.history.confirm(settings.config.confirm);
        self.files = files(&settings.config, &self.environment, &self.disk);
        self.settings = settings;
        let reading = self.clock.read();
        self.timetable.take_on(self.settings.config.interval, reading);
        self.said = Said::default();
        match (&self.delivery, self.settings.config.cloudwatch.enabled) {
            (Some(delivery), true) => {
                delivery.reconfigure(self.delivery_settings(), self.prober.dialer());
            }
            // What is on its way is in doubt from now on; nothing waits for its answer.
            (Some(_), false) => self.delivery = None,
            (None, _) => self.start_delivery(),
        }
        Ok(())
    }

    /// What is locked, and open, stays where it is until the daemon is started again; that is said.
    fn stay(&self, config: &mut Config) {
        let old = &self.settings.config;
        let (state, runtime) = (old.state_dir(&self.environment), old.runtime_dir(&self.environment));
        let others = [
            ("state_dir", config.state_dir(&self.environment) != state),
            ("runtime_dir", config.runtime_dir(&self.environment) != runtime),
            ("cloudwatch.spool.max_size", config.cloudwatch.spool_max_size != old.cloudwatch.spool_max_size),
        ];
        for (name, _) in others.iter().filter(|(_, other)| *other) {
            tracing::warn!("{name} is another now: that takes a restart (systemctl restart vpce-probe)");
        }
        config.cloudwatch.spool_max_size = old.cloudwatch.spool_max_size;
        (config.state_dir, config.runtime_dir) = (Some(state), Some(runtime));
    }

    /// Makes the round that is due, and hands it to everybody.
    pub(super) async fn round(&mut self) -> Told {
        let start = Instant::now();
        let reading = self.clock.read();
        if let Some(step) = self.clock.step() {
            self.history.clock_was_set(step);
        }
        let begun = self.timetable.begin(start, reading);
        if begun.missed > 0 {
            let words = "rounds were not made: the one before took too long, the machine slept, or its clock was set";
            let entry = Entry::new(Event::RoundsMissed, format!("{} {words}", begun.missed));
            say(&entry.with(Field::Lost, begun.missed));
        }
        self.refresh_trust();
        let config = &self.settings.config;
        let budget = config.round_deadline;
        let query =
            crate::host::Query { timeout: self.settings.query.timeout.min(budget / 2), ..self.settings.query.clone() };
        let facts = self.watch.facts(&query).await;
        let key = facts.instance_id.clone();
        let clock = round::Clock { start, started: reading.wall };
        let ended = Box::pin(round::of_facts(config, &Choice::default(), &self.prober, facts, clock, &|_, _| {})).await;
        let in_time = start.elapsed() <= budget + LENIENCE;
        if let Some(key) = key {
            self.spread(key);
        }
        let status = match ended {
            Ok(finished) => self.hand_out(finished, begun, start),
            Err(error) => {
                // IMDS can come up after this daemon, and nothing else has to be waited for: the next round waits for it.
                self.watch.forget();
                self.timetable.again(UNPLANNED);
                self.said.unplanned(error)
            }
        };
        self.timetable.end(Instant::now(), self.clock.read());
        Told { status, in_time }
    }

    /// Ends the delivery by `by`; what could not be delivered waits for the next start.
    pub(super) async fn stop(self, by: Instant) {
        if let Some(delivery) = self.delivery {
            delivery.stop(by).await;
        }
        // Whatever was given to the disk before this is on it.
        if let Ok(done) = self.disk.run(|| ()) {
            tokio::select! {
                _ = done => {}
                () = tokio::time::sleep_until(by) => {}
            }
        }
    }

    fn hand_out(&mut self, finished: Finished, begun: Begun, start: Instant) -> String {
        let Finished { mut round, plan, warnings } = finished;
        self.said.planned();
        self.said.warnings(warnings);
        self.clock.learn(&round, start);
        let reading = self.clock.read();
        self.said.clock(reading);
        if round.verdict != RoundVerdict::Healthy {
            self.watch.doubt();
        }
        if round.host.problems.iter().any(|problem| problem.cause == Cause::AgentStale) {
            self.watch.doubt_agent();
        }
        self.said.host(&round);
        round.interval_s = Some(self.settings.config.interval.as_secs_f64());
        let news = self.history.observe(&mut round);
        self.timetable.recheck(&news, begun.reason, self.settings.config.round_deadline);
        if let Some(delivery) = &self.delivery {
            delivery.surroundings(surroundings(&round, &plan, reading.correction_s()));
            if let Some(tick) = begun.stands_for {
                let condition = self.tail.follow(round.verdict, tick);
                let since = self.sampled.replace(round.started_at).unwrap_or(self.began);
                delivery.submit(metric::sample_since(&round, tick, condition, delivery.counters(), since));
            }
            round.shipping = Some(delivery.shipping());
        }
        let status = words::status(&round, news.starting);
        self.announce(&round, &news, &status);
        self.files.write(&Arc::new(round));
        status
    }

    fn announce(&mut self, round: &Round, news: &News, status: &str) {
        announce::news(round, news);
        let changed = news.round.is_some() || !news.changes.is_empty();
        let hourly = self.summary.is_none_or(|last| last.elapsed() >= SUMMARY_EVERY);
        let level = if changed || hourly { Level::Info } else { Level::Debug };
        if level == Level::Info {
            self.summary = Some(Instant::now());
        }
        announce::summary(round, status, level);
    }

    /// A trust store that was written anew is in force from the next round on.
    fn refresh_trust(&mut self) {
        let trouble = match self.prober.refresh(&plan::tls(&self.settings.config)) {
            Ok(false) => return,
            Ok(true) => {
                say(&Entry::new(Event::HostFactsChanged, "the trust store changed and was read again"));
                if let Some(delivery) = &self.delivery {
                    delivery.reconfigure(self.delivery_settings(), self.prober.dialer());
                }
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(trouble) = trouble.as_ref().filter(|trouble| self.said.trust.as_ref() != Some(trouble)) {
            let entry = Entry::new(Event::HostFactsChanged, format!("the trust store stays as it was: {trouble}"));
            say(&entry.at(Level::Error).with(Field::Error, trouble));
        }
        self.said.trust = trouble;
    }

    /// The instance's own name is known: from now on this host keeps to its own place among the others.
    fn spread(&mut self, key: String) {
        if self.timetable.key() == key {
            return;
        }
        self.timetable.spread(key, self.clock.read());
        if let Some(delivery) = &self.delivery {
            delivery.reconfigure(self.delivery_settings(), self.prober.dialer());
        }
    }

    fn start_delivery(&mut self) {
        if !self.settings.config.cloudwatch.enabled {
            return;
        }
        let surroundings = Surroundings {
            region: None,
            dns: DnsPlan {
                servers: Vec::new(),
                vpc: None,
                attempts: self.settings.config.dns.attempts,
                hosts_file: true,
            },
            family: self.settings.config.family,
            clock_error_s: None,
            ways: Vec::new(),
        };
        self.delivery =
            Some(Delivery::start(self.delivery_settings(), self.prober.dialer(), self.disk.clone(), surroundings));
    }

    fn delivery_settings(&self) -> deliver::Settings {
        delivery_settings(&self.settings.config, &self.environment, self.timetable.key())
    }
}

fn files(config: &Config, environment: &BTreeMap<String, String>, disk: &Disk) -> Files {
    Files::new(disk.clone(), state_file(config, environment), config.textfile.path.clone())
}

/// The last round of a daemon that ended a moment ago: after an update or a crash, what was announced stays announced.
fn earlier(path: &Path, now: Timestamp) -> Option<Round> {
    // A pipe in its place would be waited for.
    if !path.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST_STATE).read_to_end(&mut bytes)).ok()?;
    let round: Round = serde_json::from_slice(&bytes).ok()?;
    let age = now.unix_millis() - round.started_at.unix_millis();
    (round.schema_version == SCHEMA_VERSION && (0..=LONGEST_GAP_MS).contains(&age)).then_some(round)
}

/// A gap that was longer says nothing about what was in it.
const LONGEST_GAP_MS: i64 = 15 * 60 * 1000;

/// A report of hundreds of targets has some megabytes.
const LARGEST_STATE: u64 = 16 << 20;

/// What to probe is asked for again after this.
const UNPLANNED: Duration = Duration::from_secs(15);

/// A summary for everybody comes this often while nothing changes.
const SUMMARY_EVERY: Duration = Duration::from_hours(1);

/// A round that ends so much after its deadline still ended in time: the machine was busy.
const LENIENCE: Duration = Duration::from_secs(5);
