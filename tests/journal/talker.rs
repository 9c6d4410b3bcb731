//! The program that logs: it does what it is told on stdin, line by line, and answers on stdout.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{self, Write},
    time::Duration,
};

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use vpce_probe::{
    model::event::{Entry, Event, Field, Level},
    sink::journal::{self, Logging},
};

/// Before each answer: the test harness writes to stdout, too.
pub(crate) const ANSWER: &str = "@ ";

/// The advice of [`verdict`]: two steps.
pub(crate) const ADVICE: &str = "Open port 443.\nThen look again: vpce-probe once";

/// A target's name with something in it that a terminal obeys.
pub(crate) const WILD: &str = "kms\u{1b}[31m\u{202e}ü";

pub(crate) fn run() {
    let variables: BTreeMap<String, String> = env::vars().collect();
    let level = if variables.contains_key("TALKER_DEBUG") { LevelFilter::DEBUG } else { LevelFilter::INFO };
    let logging = Logging::start(level, &variables).expect("a thread");
    let mut said = 0;
    for order in io::stdin().lines().map(|line| line.expect("text")) {
        let (verb, number) =
            order.split_once(' ').map_or((order.as_str(), 0), |(verb, n)| (verb, n.parse().expect("n")));
        let answer = match verb {
            "way" => format!("{:?}", logging.way()),
            "kinds" => kinds(),
            "say" => {
                let (longest, waits) = say(said, number);
                said += number;
                format!("{waits} waits, the longest call {} us", longest.as_micros())
            }
            "lost" => logging.lost().to_string(),
            "finish" => logging.finish(Instant::now() + Duration::from_millis(number)).to_string(),
            _ => panic!("{order}?"),
        };
        writeln!(io::stdout(), "\n{ANSWER}{answer}").expect("the test listens");
    }
}

/// One record of each level, one of a library, one with a loss of its own.
fn kinds() -> String {
    journal::say(&verdict());
    journal::say(&Entry::new(Event::SpoolLost, "the spool is full").with(Field::Lost, 5));
    journal::say(&Entry::new(Event::Started, "started").with(Field::Version, "0.1.0"));
    journal::say(&Entry::new(Event::RoundSummary, "a round").with(Field::Verdict, "healthy"));
    tracing::warn!(target: "vpce_probe::host", variable = "AWS_REGION", "a plain warning\nof two lines");
    tracing::warn!(target: "hyper::client", "of a library");
    tracing::info!(target: "hyper::client", "of a library, not even a warning");
    String::new()
}

fn verdict() -> Entry {
    Entry::new(Event::VerdictChanged, format!("{WILD} failed: no answer from 10.0.0.7"))
        .at(Level::Error)
        .with(Field::Round, "19a-2")
        .with(Field::Target, WILD)
        .with(Field::Host, "kms.eu-west-1.amazonaws.com")
        .with(Field::Address, "10.0.0.7")
        .with(Field::Stage, "connect")
        .with(Field::Cause, "tcp-timeout")
        .with(Field::Severity, "failure")
        .with(Field::Verdict, "failed")
        .with(Field::Previous, "healthy")
        .with(Field::LastedS, 86_400)
        .with(Field::Advice, ADVICE)
}

/// Logs `count` numbered records; yields the longest that one took, and how often this thread gave up the processor to wait
/// for something. That a busy machine took it away does not count.
fn say(first: u64, count: u64) -> (Duration, u64) {
    let before = waits();
    let longest = (first..first + count)
        .map(|n| {
            let before = Instant::now();
            tracing::info!(target: "vpce_probe::test", vpce_count = n, vpce_round = "19a-2", "one of many");
            before.elapsed()
        })
        .max()
        .unwrap_or_default();
    (longest, waits() - before)
}

fn waits() -> u64 {
    let status = fs::read_to_string("/proc/thread-self/status").expect("Linux");
    let waits = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).expect("Linux");
    waits.trim().parse().expect("a number")
}
