//! History by rounds in which two targets do what a story says.

use proptest::prelude::*;

use super::{Change, History, News, RoundChange, Standing};
use crate::model::{
    cause::{Cause, Stage},
    round::{Round, TargetReport},
    units::Timestamp,
    verdict::{Problem, RoundVerdict, Severity, Verdict},
};

const START_MS: i64 = 1_795_000_000_000;
const WELL: Standing = Standing { verdict: Verdict::Healthy, cause: None };
const SILENT: Standing = Standing { verdict: Verdict::Failed, cause: Some(Cause::TcpTimeout) };
const NAMELESS: Standing = Standing { verdict: Verdict::Failed, cause: Some(Cause::DnsTimeout) };
const REFUSED: Standing = Standing { verdict: Verdict::Failed, cause: Some(Cause::TcpRefused) };
const PARTIAL: Standing = Standing { verdict: Verdict::Degraded, cause: Some(Cause::EndpointPartial) };
const ABSENT: Standing = Standing { verdict: Verdict::Skipped, cause: Some(Cause::EndpointAbsent) };
const CUT: Standing = Standing { verdict: Verdict::Skipped, cause: Some(Cause::NotFinished) };

fn second(at: i64) -> Timestamp {
    Timestamp::from_unix_millis(START_MS + at * 1_000).expect("within the calendar")
}

/// A round of real shape that began so many seconds after the start, with `ssm` as it says and `s3` well.
fn round(at: i64, ssm: Standing) -> Round {
    let mut round: Round =
        serde_json::from_str(include_str!("../../tests/fixtures/rounds/healthy.json")).expect("a report");
    round.started_at = second(at);
    round.targets.retain(|report| ["ssm", "s3"].contains(&report.target.name.as_str()));
    for report in &mut round.targets {
        report.problems.clear();
        become_(report, WELL);
    }
    round.verdict = match ssm.verdict {
        Verdict::Failed => RoundVerdict::Failed,
        Verdict::Degraded => RoundVerdict::Degraded,
        Verdict::Healthy | Verdict::Skipped => RoundVerdict::Healthy,
    };
    become_(target(&mut round, "ssm"), ssm);
    round
}

fn target<'r>(round: &'r mut Round, name: &str) -> &'r mut TargetReport {
    round.targets.iter_mut().find(|report| report.target.name == name).expect("a target")
}

fn become_(report: &mut TargetReport, standing: Standing) {
    report.verdict = standing.verdict;
    report.cause = standing.cause;
    report.stage = standing.cause.and_then(Cause::stage);
    report.summary = standing.cause.map_or_else(|| "fine".to_owned(), |cause| cause.to_string());
    report.advice = standing.cause.map(|cause| format!("mend {cause}")).into_iter().collect();
    report.problems = standing.cause.map(|cause| problem(cause, report)).into_iter().collect();
}

fn problem(cause: Cause, report: &TargetReport) -> Problem {
    let address = report.addresses.first().map(|address| address.record.address);
    Problem { cause, severity: cause.severity(), stage: cause.stage(), address, summary: cause.to_string() }
}

/// Lets `ssm` go through a story, a round a minute from second `from` on.
fn play(history: &mut History, from: i64, story: &[Standing]) -> Vec<News> {
    let at = |n: usize| from + 60 * i64::try_from(n).expect("a short story");
    story.iter().enumerate().map(|(n, standing)| history.observe(&mut round(at(n), *standing))).collect()
}

/// A history whose start is over and was well; its next round is that of second 180.
fn settled(confirm: u32) -> History {
    let mut history = History::new(confirm);
    let news = play(&mut history, 0, &[WELL, WELL, WELL]);
    assert!(news.iter().all(|news| news.changes.is_empty() && !news.unsettled));
    history
}

fn only(news: &News) -> &Change {
    let [change] = news.changes.as_slice() else { panic!("one change: {news:?}") };
    change
}

#[test]
fn a_change_is_announced_once_confirmed_with_all_that_a_reader_needs() {
    let mut history = settled(2);
    let news = play(&mut history, 180, &[SILENT, SILENT, SILENT, SILENT]);
    assert!(news[0].changes.is_empty() && news[0].unsettled && news[0].round.is_none());
    let change = only(&news[1]);
    assert_eq!((change.target.as_str(), change.host.as_str()), ("ssm", "ssm.eu-west-1.amazonaws.com"));
    assert_eq!((change.previous, change.standing), (Some(WELL), SILENT));
    assert_eq!((change.since, change.lasted_s), (second(180), Some(180.0)));
    assert_eq!((change.stage, change.summary.as_str()), (Some(Stage::Connect), "tcp-timeout"));
    assert_eq!(change.address.expect("an address").to_string(), "10.0.1.10");
    assert_eq!(change.advice, ["mend tcp-timeout"]);
    assert!(!news[1].unsettled, "it is settled by its announcement");
    let whole =
        RoundChange { previous: Some(RoundVerdict::Healthy), verdict: RoundVerdict::Failed, lasted_s: Some(180.0) };
    assert_eq!(news[1].round, Some(whole));
    for later in &news[2..] {
        assert_eq!(later, &News::default(), "nothing changes, nothing is said");
    }
    let news = play(&mut history, 420, &[WELL, WELL]);
    let change = only(&news[1]);
    assert_eq!((change.previous, change.standing), (Some(SILENT), WELL));
    assert_eq!((change.since, change.lasted_s), (second(420), Some(240.0)));
    assert_eq!((change.stage, change.address), (None, None));
}

#[test]
fn second_looks_confirm_as_well() {
    let mut history = settled(3);
    for (at, announced) in [(180, 0), (185, 0), (200, 1)] {
        let news = history.observe(&mut round(at, SILENT));
        assert_eq!(news.changes.len(), announced, "second {at}");
        assert_eq!(news.unsettled, announced == 0);
    }
}

#[test]
fn a_blip_is_in_the_data_and_not_announced() {
    let mut history = settled(2);
    let mut blip = round(180, SILENT);
    let news = history.observe(&mut blip);
    assert!(news.unsettled && news.changes.is_empty());
    assert_eq!(target(&mut blip, "ssm").since, Some(second(180)));
    assert_eq!(target(&mut blip, "s3").since, Some(second(0)));
    let mut after = round(185, WELL);
    assert_eq!(history.observe(&mut after), News::default());
    assert_eq!(target(&mut after, "ssm").since, Some(second(185)), "since is that of the raw results");
    // What was announced has lasted all the same.
    let news = play(&mut history, 240, &[SILENT, SILENT]);
    assert_eq!(only(&news[1]).lasted_s, Some(240.0));
}

#[test]
fn one_result_is_enough_where_the_config_says_so() {
    for confirm in [0, 1] {
        let mut history = settled(confirm);
        let news = history.observe(&mut round(180, SILENT));
        assert_eq!(only(&news).standing, SILENT);
        assert!(!news.unsettled);
    }
    let mut history = settled(5);
    history.confirm(1);
    assert_eq!(history.observe(&mut round(180, SILENT)).changes.len(), 1, "a reload may say otherwise");
}

#[test]
fn the_first_two_rounds_are_reported_and_not_announced() {
    let mut history = History::new(1);
    for at in [0, 60] {
        let mut first = round(at, SILENT);
        let news = history.observe(&mut first);
        assert!(news.starting && news.changes.is_empty() && news.round.is_none() && !news.unsettled);
        assert!(first.starting);
        assert_eq!(target(&mut first, "ssm").since, Some(second(0)));
        assert_eq!(first.last_failure.expect("reported").started_at, second(at));
    }
    let mut third = round(120, SILENT);
    let news = history.observe(&mut third);
    assert!(!news.starting && !third.starting);
    let change = only(&news);
    assert_eq!((change.previous, change.lasted_s, change.since), (None, None, second(0)));
    assert_eq!(news.round, Some(RoundChange { previous: None, verdict: RoundVerdict::Failed, lasted_s: None }));
}

#[test]
fn a_healthy_start_says_only_that_the_start_is_over() {
    let mut history = History::new(2);
    let news = play(&mut history, 0, &[WELL, WELL, WELL, WELL]);
    assert!(news.iter().all(|news| news.changes.is_empty() && !news.unsettled));
    let rounds: Vec<_> = news.iter().map(|news| news.round).collect();
    let healthy = RoundChange { previous: None, verdict: RoundVerdict::Healthy, lasted_s: None };
    assert_eq!(rounds, [None, None, Some(healthy), None]);
}

#[test]
fn what_goes_by_during_the_start_was_no_fault() {
    let mut history = History::new(2);
    let news = play(&mut history, 0, &[SILENT, WELL, WELL, WELL]);
    assert!(news.iter().all(|news| news.changes.is_empty()));
}

#[test]
fn a_service_without_an_endpoint_is_no_news_at_the_start_but_a_target_that_was_cut_short_is() {
    let mut history = History::new(2);
    assert!(play(&mut history, 0, &[ABSENT; 5]).iter().all(|news| news.changes.is_empty() && !news.unsettled));
    let news = play(&mut history, 300, &[WELL, WELL]);
    assert_eq!(only(&news[1]).previous, Some(ABSENT), "an endpoint was made");
    let mut history = History::new(2);
    let news = play(&mut history, 0, &[CUT, CUT, CUT]);
    assert_eq!(only(&news[2]).standing, CUT);
}

#[test]
fn a_healthy_targets_notes_are_no_change() {
    let mut history = settled(1);
    let note = Standing { verdict: Verdict::Healthy, cause: Some(Cause::ConnectSlow) };
    for (at, standing) in [(180, note), (240, WELL), (300, note)] {
        let mut noted = round(at, standing);
        assert_eq!(history.observe(&mut noted), News::default());
        assert_eq!(target(&mut noted, "ssm").since, Some(second(0)));
    }
}

#[test]
fn an_illness_of_changing_causes_is_announced_once() {
    let mut history = settled(2);
    let news = play(&mut history, 180, &[SILENT, NAMELESS, SILENT, NAMELESS, SILENT, NAMELESS]);
    let announced: Vec<usize> = news.iter().map(|news| news.changes.len()).collect();
    assert_eq!(announced, [0, 1, 0, 0, 0, 0]);
    let change = only(&news[1]);
    assert_eq!((change.standing, change.since), (NAMELESS, second(180)), "ill since the first of them");
    // Between failed and degraded as well.
    let mut history = settled(2);
    let news = play(&mut history, 180, &[PARTIAL, SILENT, PARTIAL, SILENT, PARTIAL, SILENT]);
    assert_eq!(news.iter().map(|news| news.changes.len()).sum::<usize>(), 1);
    // A cause that stays is told.
    let mut history = settled(2);
    let news = play(&mut history, 180, &[SILENT, SILENT, NAMELESS, NAMELESS]);
    assert_eq!(only(&news[3]).previous, Some(SILENT));
    assert_eq!((only(&news[3]).since, news[3].round), (second(300), None));
}

#[test]
fn flapping_is_no_spam_and_no_endless_hurry() {
    let mut history = settled(2);
    let story: Vec<Standing> = [SILENT, WELL].repeat(50);
    assert!(play(&mut history, 180, &story).iter().all(|news| news.changes.is_empty() && news.round.is_none()));
    let mut history = settled(2);
    let mut story = vec![SILENT, SILENT];
    story.extend([NAMELESS, REFUSED].repeat(50));
    let news = play(&mut history, 180, &story);
    assert_eq!(news.iter().map(|news| news.changes.len()).sum::<usize>(), 1);
    let hurried = news.iter().filter(|news| news.unsettled).count();
    assert!((2..20).contains(&hurried), "{hurried} of 102 rounds want another look at once");
}

#[test]
fn targets_come_and_go_with_a_reload() {
    let mut history = settled(2);
    let without = |at: i64| {
        let mut less = round(at, SILENT);
        less.targets.retain(|report| report.target.name != "ssm");
        less.verdict = RoundVerdict::Healthy;
        less
    };
    let mut less = without(180);
    assert_eq!(history.observe(&mut less), News::default());
    assert_eq!(less.announced.expect("a daemon's").targets.len(), 1);
    // Back again, it is new: what was known of it is forgotten.
    let news = play(&mut history, 240, &[SILENT, SILENT]);
    assert!(news[0].unsettled && !news[0].starting);
    let change = only(&news[1]);
    assert_eq!((change.previous, change.since), (None, second(240)));
    let mut gone = without(360);
    history.observe(&mut gone);
    assert_eq!(gone.last_failure, None);
    // A target that is well from its first round is no news.
    assert!(play(&mut history, 420, &[WELL, WELL]).iter().all(|news| news.changes.is_empty()));
    // Another host under the same name is another target.
    let mut moved = round(540, SILENT);
    "vault.example".clone_into(&mut target(&mut moved, "ssm").target.host);
    history.observe(&mut moved);
    moved.started_at = second(545);
    assert_eq!(only(&history.observe(&mut moved)).previous, None);
}

#[test]
fn the_last_failure_is_kept_for_each_target() {
    let mut history = settled(2);
    let failure = |history: &mut History, round: &mut Round| {
        history.observe(round);
        let last = round.last_failure.clone();
        last.map(|last| {
            let targets = last.targets.iter();
            let named =
                targets.map(|failed| (failed.report.target.name.clone(), failed.failed_at, failed.report.cause));
            (last.started_at, named.collect::<Vec<_>>())
        })
    };
    assert_eq!(failure(&mut history, &mut round(180, WELL)), None);
    let ssm = |at| ("ssm".to_owned(), second(at), Some(Cause::TcpTimeout));
    assert_eq!(failure(&mut history, &mut round(240, SILENT)), Some((second(240), vec![ssm(240)])));
    assert_eq!(failure(&mut history, &mut round(300, SILENT)), Some((second(300), vec![ssm(300)])));
    assert_eq!(failure(&mut history, &mut round(360, WELL)), Some((second(300), vec![ssm(300)])));
    assert_eq!(failure(&mut history, &mut round(420, PARTIAL)), Some((second(300), vec![ssm(300)])), "a warning");
    // One that fails for ever does not hide the other.
    let mut other = round(480, WELL);
    become_(target(&mut other, "s3"), NAMELESS);
    let s3 = ("s3".to_owned(), second(480), Some(Cause::DnsTimeout));
    let mut both = vec![ssm(300), s3];
    both.sort_by_key(|(name, ..)| other.targets.iter().position(|report| &report.target.name == name));
    assert_eq!(failure(&mut history, &mut other), Some((second(480), both)));
}

/// `last.json`, written and read again.
fn saved(round: &Round) -> Round {
    serde_json::from_str(&serde_json::to_string(round).expect("serialises")).expect("a report")
}

#[test]
fn a_restart_repeats_and_swallows_nothing() {
    let restart = |story: &[Standing]| {
        let mut history = settled(2);
        let mut last = round(0, WELL);
        for (n, standing) in story.iter().enumerate() {
            last = round(180 + 60 * i64::try_from(n).expect("short"), *standing);
            history.observe(&mut last);
        }
        History::resume(2, &saved(&last))
    };
    // Announced before: since and last failure go on, nothing is said again.
    let mut history = restart(&[SILENT, SILENT]);
    let mut next = round(600, SILENT);
    assert_eq!(history.observe(&mut next), News { starting: true, ..News::default() });
    assert_eq!(target(&mut next, "ssm").since, Some(second(180)));
    let news = play(&mut history, 660, &[SILENT, SILENT, WELL, WELL]);
    assert!(news[..3].iter().all(|news| news.changes.is_empty() && news.round.is_none()));
    let change = only(&news[3]);
    assert_eq!((change.previous, change.lasted_s), (Some(SILENT), Some(600.0)));
    let mut next = round(900, WELL);
    history.observe(&mut next);
    assert_eq!(next.last_failure.expect("kept").started_at, second(720));
    // Not announced yet when the daemon went: announced after the start, with what it was before.
    let mut history = restart(&[SILENT]);
    let news = play(&mut history, 600, &[SILENT, SILENT, SILENT]);
    assert!(news[0].changes.is_empty() && news[1].changes.is_empty());
    let change = only(&news[2]);
    assert_eq!((change.previous, change.since), (Some(WELL), second(180)));
    // Mended while it was away.
    let mut history = restart(&[SILENT, SILENT]);
    let news = play(&mut history, 600, &[WELL, WELL, WELL]);
    let change = only(&news[2]);
    assert_eq!((change.previous, change.standing, change.since), (Some(SILENT), WELL, second(600)));
    assert_eq!(news[2].round.expect("as well").previous, Some(RoundVerdict::Failed));
    // The failure is kept where the last round is the only one that knows it.
    let mut bare = round(0, SILENT);
    bare.last_failure = None;
    let mut next = round(60, WELL);
    History::resume(2, &bare).observe(&mut next);
    assert_eq!(next.last_failure.expect("kept").started_at, second(0));
}

#[test]
fn a_clock_that_is_set_back_dates_nothing_into_the_future_and_no_time_is_negative() {
    let mut history = settled(2);
    let mut back = round(-86_400, WELL);
    history.observe(&mut back);
    assert_eq!(target(&mut back, "ssm").since, Some(second(-86_400)));
    let news = play(&mut history, -86_340, &[SILENT, SILENT]);
    assert_eq!(only(&news[1]).lasted_s, Some(0.0));
}

#[test]
fn other_addresses_are_noted_in_the_round_that_sees_them() {
    let moved = |at: i64, ssm: Standing, addresses: &[&str]| {
        let mut moved = round(at, ssm);
        target(&mut moved, "ssm").resolve.addresses =
            addresses.iter().map(|address| address.parse().expect("an address")).collect();
        moved
    };
    let (one, two) = (["10.0.1.10", "10.0.2.10"], ["10.0.1.10", "10.0.2.77"]);
    let mut history = settled(1);
    history.observe(&mut moved(180, WELL, &one));
    let mut seen = moved(240, WELL, &two);
    assert_eq!(history.observe(&mut seen), News::default(), "a note is no change");
    let report = target(&mut seen, "ssm").clone();
    let [note] = report.problems.as_slice() else { panic!("{:?}", report.problems) };
    assert_eq!((note.cause, note.severity, note.address), (Cause::AddressChanged, Severity::Note, None));
    assert_eq!(note.summary, "10.0.2.10 is gone, 10.0.2.77 is new");
    assert_eq!((report.verdict, report.cause, report.stage), (Verdict::Healthy, Some(note.cause), note.stage));
    // Once.
    let mut after = moved(300, WELL, &two);
    history.observe(&mut after);
    assert!(target(&mut after, "ssm").problems.is_empty() && target(&mut after, "ssm").cause.is_none());
    // A worse problem keeps its place; a name without an answer has no addresses to compare.
    let mut nameless = moved(360, NAMELESS, &[]);
    target(&mut nameless, "ssm").resolve.outcome = crate::model::observation::Outcome::Failed(Cause::DnsTimeout);
    history.observe(&mut nameless);
    assert_eq!(target(&mut nameless, "ssm").problems.len(), 1);
    let mut silent = moved(420, SILENT, &["10.0.3.1", "10.0.3.2"]);
    history.observe(&mut silent);
    let report = target(&mut silent, "ssm");
    assert_eq!((report.cause, report.problems.len()), (Some(Cause::TcpTimeout), 2));
    assert_eq!(report.problems[1].summary, "10.0.1.10 and 10.0.2.77 are gone, 10.0.3.1 and 10.0.3.2 are new");
    // Across a restart.
    let mut history = History::resume(2, &saved(&silent));
    let mut next = moved(480, WELL, &one);
    history.observe(&mut next);
    assert_eq!(target(&mut next, "ssm").cause, Some(Cause::AddressChanged));
    // Public addresses change with every answer.
    let mut public = round(540, WELL);
    target(&mut public, "s3").resolve.addresses = vec!["52.218.99.99".parse().expect("an address")];
    history.observe(&mut public);
    assert!(target(&mut public, "s3").problems.is_empty());
}

/// The same decisions over the whole list of results, kept whole.
#[derive(Default)]
struct Model {
    results: Vec<Standing>,
    announced: Option<Standing>,
}

impl Model {
    fn observe(&mut self, result: Standing, confirm: usize) -> Option<(Option<Standing>, Standing)> {
        self.results.push(result);
        let is_well = |s: &Standing| (s.verdict == Verdict::Healthy, s.verdict == Verdict::Skipped);
        let agree = |same: &dyn Fn(&Standing, &Standing) -> bool| {
            let recent = self.results.iter().rev().take(confirm);
            let differs = self.announced.is_none_or(|told| !same(&told, &result));
            differs.then(|| recent.clone().count() == confirm && recent.clone().all(|one| same(one, &result)))
        };
        let is_due = agree(&|a, b| is_well(a) == is_well(b))
            .or_else(|| agree(&|a, b| a.verdict == b.verdict))
            .or_else(|| agree(&|a, b| a == b))?;
        let silent = self.announced.is_none() && (result == WELL || result == ABSENT);
        let is_starting = self.results.len() <= 2;
        if !is_due || (is_starting && !silent) {
            return None;
        }
        let previous = self.announced.replace(result);
        (!silent).then_some((previous, result))
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_story_is_told_as_the_simple_model_tells_it(
        confirm in 1..5_u32,
        story in prop::collection::vec(prop::sample::select(vec![WELL, WELL, SILENT, NAMELESS, PARTIAL, ABSENT, CUT]), 1..40),
        restart in 0..80_usize,
    ) {
        let mut history = History::new(confirm);
        let mut model = Model::default();
        let mut at = 0;
        let mut told: Option<Standing> = None;
        for (n, result) in story.iter().enumerate() {
            at += 60;
            let mut seen = round(at, *result);
            let news = history.observe(&mut seen);
            let changes: Vec<_> = news.changes.iter().map(|change| (change.previous, change.standing)).collect();
            let expected = model.observe(*result, confirm as usize);
            prop_assert_eq!(&changes, &expected.into_iter().collect::<Vec<_>>());
            for (previous, standing) in changes {
                prop_assert_ne!(Some(standing), told, "said twice");
                prop_assert!(previous.is_none() || told.is_none() || previous == told);
                told = Some(standing);
            }
            let since = target(&mut seen, "ssm").since.expect("a history");
            let same = story[..=n].iter().rev().take_while(|one| *one == result).count();
            prop_assert_eq!(since, second(at - 60 * (i64::try_from(same).expect("short") - 1)));
            let failed = story[..=n].iter().rposition(|one| one.verdict == Verdict::Failed);
            let last = seen.last_failure.as_ref().map(|last| last.started_at);
            prop_assert_eq!(last, failed.map(|n| second(60 * (i64::try_from(n).expect("short") + 1))));
            if n == restart {
                // Whatever was last said is known to whoever reads the file.
                let next = History::resume(confirm, &saved(&seen));
                prop_assert_eq!(next.announced(&seen), history.announced(&seen));
            }
        }
    }
}

#[test]
fn a_clock_that_is_set_bends_no_length() {
    let mut history = settled(2);
    let day = 86_400;
    history.clock_was_set(time::Duration::seconds(day));
    let news = play(&mut history, day + 180, &[SILENT, SILENT]);
    let lasted = news.last().and_then(|news| news.changes.first()).and_then(|change| change.lasted_s);
    assert_eq!(lasted, Some(180.0), "{news:?}");
}
