//! The log against a real journald, in namespaces of its own; `sd_notify` against a real socket; the documents that are
//! made from the table of events. Needs root.

#[path = "journal/documents.rs"]
mod documents;
#[path = "journal/files.rs"]
mod files;
#[path = "journal/notify.rs"]
mod notify;
#[path = "journal/talker.rs"]
mod talker;
#[path = "journal/world.rs"]
mod world;

use std::{
    fs::File,
    os::{
        fd::OwnedFd,
        unix::{fs::MetadataExt, net::UnixStream},
    },
    process::Stdio,
};

use serde_json::Value;
use vpce_probe::model::event::Event;

use self::world::{journal, play, text};

#[test]
fn fields_arrive_as_fields() {
    play("fields_arrive_as_fields", |world| {
        world.start_journald();
        let mut talker = world.talker(JOURNAL);
        assert_eq!(talker.ask("way"), "Journal");
        talker.ask("kinds");
        assert_eq!(talker.count("finish 60000"), 0);
        let complaints = talker.end();
        assert!(complaints.iter().all(|line| !line.contains("failed")), "nothing goes to stderr: {complaints:?}");

        let records = journal(&[]);
        let seen: Vec<_> = records.iter().map(|record| (text(record, "PRIORITY"), text(record, "MESSAGE"))).collect();
        assert_eq!(
            seen,
            [
                ("3", "kms\\x1b[31m\\u{202e}ü failed: no answer from 10.0.0.7"),
                ("4", "the spool is full"),
                ("6", "started"),
                ("4", "a plain warning\nof two lines variable=AWS_REGION"),
            ]
        );
        let verdict = &records[0];
        for (field, value) in [
            ("MESSAGE_ID", Event::VerdictChanged.id()),
            ("SYSLOG_IDENTIFIER", "vpce-probe"),
            ("VPCE_EVENT", "verdict-changed"),
            ("VPCE_ROUND", "19a-2"),
            ("VPCE_TARGET", "kms\\x1b[31m\\u{202e}ü"),
            ("VPCE_HOST", "kms.eu-west-1.amazonaws.com"),
            ("VPCE_ADDRESS", "10.0.0.7"),
            ("VPCE_STAGE", "connect"),
            ("VPCE_CAUSE", "tcp-timeout"),
            ("VPCE_SEVERITY", "failure"),
            ("VPCE_VERDICT", "failed"),
            ("VPCE_PREVIOUS", "healthy"),
            ("VPCE_LASTED_S", "86400"),
            ("VPCE_ADVICE", talker::ADVICE),
        ] {
            assert_eq!(text(verdict, field), value, "{field}");
        }
        assert!(text(verdict, "VPCE_AT").ends_with('Z') && text(verdict, "CODE_FILE").starts_with("src/"));
        assert!(verdict.get("VPCE_LOST").is_none() && verdict.get("VPCE_VERSION").is_none(), "{verdict}");
        assert_eq!(text(&records[1], "VPCE_LOST"), "5");
        assert_eq!(text(&records[3], "VPCE_VARIABLE"), "AWS_REGION");

        let found = |query: &[&str]| journal(query).len();
        assert_eq!((found(&["-p", "err"]), found(&["-p", "warning"]), found(&["-p", "info"])), (1, 3, 4));
        assert_eq!(found(&[&format!("MESSAGE_ID={}", Event::VerdictChanged.id())]), 1);
        assert_eq!((found(&["VPCE_CAUSE=tcp-timeout"]), found(&["VPCE_CAUSE=tcp-reset"])), (1, 0));
    });
}

#[test]
fn debug_shows_rounds_and_what_libraries_warn_of() {
    play("debug_shows_rounds_and_what_libraries_warn_of", |world| {
        world.start_journald();
        let mut talker = world.talker(&[("VPCE_PROBE_LOG", "journal+text"), ("TALKER_DEBUG", "1")]);
        assert_eq!(talker.ask("way"), "Both");
        talker.ask("kinds");
        assert_eq!(talker.count("finish 60000"), 0);
        let shown = talker.end().join("\n");
        let records = journal(&[]);
        let debug: Vec<_> = records.iter().filter(|record| text(record, "PRIORITY") == "7").collect();
        assert_eq!(debug.len(), 1, "{records:?}");
        assert_eq!((text(debug[0], "MESSAGE"), text(debug[0], "VPCE_VERDICT")), ("a round", "healthy"));
        assert_eq!(journal(&["-p", "info"]).len(), records.len() - 1);
        let library = records.iter().find(|record| text(record, "TARGET") == "hyper::client").expect("its warning");
        assert_eq!((text(library, "MESSAGE"), library.get("CODE_FILE")), ("of a library", None));
        assert!(shown.contains(" debug: a round\n") && shown.contains(" warning: of a library"), "{shown}");
    });
}

#[test]
fn a_burst_is_written_in_order_or_counted() {
    play("a_burst_is_written_in_order_or_counted", |world| {
        world.start_journald();
        let mut talker = world.talker(JOURNAL);
        let cost = talker.ask("say 5000");
        assert_eq!(talker.count("finish 60000"), 0);
        let lost = talker.count("lost");
        talker.end();
        let found = balance(5000, lost);
        eprintln!("burst: 5000 said, {found} found, {lost} counted as lost, {cost}");
    });
}

#[test]
fn a_stalled_journald_costs_nobody_anything() {
    play("a_stalled_journald_costs_nobody_anything", |world| {
        world.start_journald();
        let mut talker = world.talker(JOURNAL);
        talker.ask("say 10");
        world.stop_journald();
        // The writer gets stuck with the first of these.
        talker.ask("say 990");
        let cost = talker.ask("say 20000");
        // Every call came back, and journald has not run meanwhile.
        assert!(world.journald_is_stopped());
        let lost_meanwhile = talker.count("lost");
        assert!(lost_meanwhile > 0, "the queue is bounded");
        // The writer, before it got stuck, may have held the queue for a moment.
        let waits: u64 = cost.split(' ').next().and_then(|count| count.parse().ok()).expect("a count");
        assert!(waits < 20, "one in a thousand at most: {cost}");
        assert!(world.journald_is_stopped());
        world.continue_journald();
        world::within("journald goes on", || !journal(&[]).is_empty());
        talker.ask("say 1000");
        assert_eq!(talker.count("finish 60000"), 0);
        let lost = talker.count("lost");
        talker.end();
        let found = balance(22_000, lost);
        eprintln!("stalled: 22000 said, {found} found, {lost} counted as lost, {cost}");
    });
}

#[test]
fn the_end_does_not_wait_for_a_stalled_journald() {
    play("the_end_does_not_wait_for_a_stalled_journald", |world| {
        world.start_journald();
        let mut talker = world.talker(JOURNAL);
        world.stop_journald();
        talker.ask("say 3000");
        let unwritten = talker.count("finish 200");
        let lost = talker.count("lost");
        talker.end();
        // The process has ended, and journald has not run meanwhile.
        assert!(world.journald_is_stopped());
        assert!(unwritten > 0 && lost == unwritten, "{unwritten} {lost}");
        world.continue_journald();
        let found = numbers(&journal(&[])).len() as u64;
        assert_eq!(found + lost, 3000);
        eprintln!("stalled at the end: 3000 said, {found} found, {lost} counted as lost");
    });
}

/// The writer hangs in journald's socket when journald dies. What the socket held dies with it (under systemd, which holds the
/// socket, it would live); nothing else is missing.
#[test]
fn a_journald_that_dies_stalled_takes_only_what_it_was_given() {
    play("a_journald_that_dies_stalled_takes_only_what_it_was_given", |world| {
        world.start_journald();
        let mut talker = world.talker(JOURNAL);
        world.stop_journald();
        talker.ask("say 1000");
        world.kill_journald();
        world.start_journald();
        talker.ask("say 100");
        assert_eq!((talker.count("finish 60000"), talker.count("lost")), (0, 0));
        talker.end();
        let numbers = numbers(&journal(&[]));
        assert!(numbers.is_sorted_by(|before, after| before < after) && numbers.last() == Some(&1099));
        let held = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").expect("Linux");
        let held: usize = held.trim().parse().expect("a number");
        // The kernel takes one more than its limit, before the first record there is an empty one.
        assert!(1100 - numbers.len() <= held + 1, "{} of 1100 found", numbers.len());
        eprintln!("died stalled: 1100 said, {} found; a socket holds {held}", numbers.len());
    });
}

#[test]
fn what_is_said_while_journald_is_gone_arrives_after_it_is_back() {
    play("what_is_said_while_journald_is_gone_arrives_after_it_is_back", |world| {
        world.start_journald();
        let mut talker = world.talker(JOURNAL);
        talker.ask("say 100");
        world::within("all is written", || numbers(&journal(&[])).len() == 100);
        world.kill_journald();
        let cost = talker.ask("say 100");
        let complaint = talker.complains("journald is gone");
        // The next two tries are as futile, and nothing more is said of it.
        talker.ask("say 100");
        world.start_journald();
        talker.ask("say 100");
        assert_eq!(talker.count("finish 60000"), 0);
        let lost = talker.count("lost");
        let more = talker.end();
        assert!(!more.iter().any(|line| line.contains("journald is gone")), "{more:?}");
        let found = balance(400, lost);
        assert_eq!(lost, 0, "all fits the queue");
        eprintln!("restarted: 400 said, {found} found, {lost} lost, {cost}; stderr: {complaint}");
    });
}

#[test]
fn without_journald_it_is_text() {
    play("without_journald_it_is_text", |world| {
        let mut talker = world.talker(&[("JOURNAL_STREAM", "1:2")]);
        assert_eq!(talker.ask("way"), "Text");
        talker.ask("kinds");
        assert_eq!(talker.count("finish 60000"), 0);
        let lines: Vec<String> =
            talker.end().iter().filter_map(|line| Some(line.split_once("Z ")?.1.to_owned())).collect();
        assert_eq!(
            lines,
            [
                "error: kms\\x1b[31m\\u{202e}ü failed: no answer from 10.0.0.7",
                "warning: the spool is full",
                "info: started",
                "warning: a plain warning of two lines variable=AWS_REGION",
            ]
        );
        let mut forced = world.talker(JOURNAL);
        assert_eq!(forced.ask("way"), "Text");
        forced.complains("there is no journald here");
        forced.end();
    });
}

#[test]
fn under_systemd_it_is_the_journal_by_itself() {
    play("under_systemd_it_is_the_journal_by_itself", |world| {
        world.start_journald();
        let stream: OwnedFd = UnixStream::connect("/run/systemd/journal/stdout").expect("journald's stream").into();
        let seen = File::from(stream.try_clone().expect("a copy")).metadata().expect("a socket");
        let name = format!("{}:{}", seen.dev(), seen.ino());
        let variables = [("JOURNAL_STREAM", name.as_str())];
        let mut service = world.talker_with(&variables, Stdio::from(stream));
        assert_eq!(service.ask("way"), "Journal");
        service.end();
        let mut redirected = world.talker(&variables);
        assert_eq!(redirected.ask("way"), "Text", "stderr is not that stream");
        redirected.end();
    });
}

/// That what was said is what is found and what is counted as lost, in order, each loss told. Yields how many were found.
fn balance(said: u64, lost: u64) -> u64 {
    let records = journal(&[]);
    let numbers = numbers(&records);
    assert!(numbers.is_sorted_by(|before, after| before < after), "out of order, or twice");
    let found = u64::try_from(numbers.len()).expect("small");
    assert_eq!(found + lost, said, "said = found + lost");
    let told: u64 = records
        .iter()
        .filter_map(|record| record.get("VPCE_LOST").and_then(Value::as_str))
        .map(|count| count.parse::<u64>().expect("a number"))
        .sum();
    assert_eq!(told, lost, "every loss is told in the journal");
    found
}

fn numbers(records: &[Value]) -> Vec<u64> {
    let number = |record: &Value| record.get("VPCE_COUNT").and_then(Value::as_str)?.parse().ok();
    records.iter().filter_map(number).collect()
}

const JOURNAL: &[(&str, &str)] = &[("VPCE_PROBE_LOG", "journal")];
