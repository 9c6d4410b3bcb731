//! The screen of `once` and `status`: the verdict in words, a line a target, what to do, and on request the transcript.

mod conclusions;
mod daemon;
mod host;
mod noticed;
mod transcript;

use super::{
    Glyphs, Style, figures,
    page::{Page, Paint, Span, mark, mark_width},
    text,
};
use crate::model::{
    cause::{Cause, Stage},
    host::ImdsState,
    round::{Round, TargetReport},
    units::Timestamp,
    verdict::{RoundVerdict, Verdict},
};

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Detail {
    /// Verdict, targets, conclusions with advice.
    #[default]
    Summary,
    /// That, and every stage of every address, every name server's answer, and the host's facts.
    Transcript,
}

/// The round as a person reads it.
#[must_use]
pub fn render(round: &Round, style: &Style, detail: Detail) -> String {
    let mut page = Page::new(style);
    heading(&mut page, round);
    targets(&mut page, round);
    conclusions::write(&mut page, round);
    daemon::troubles(&mut page, round);
    noticed::write(&mut page, round);
    daemon::failed_before(&mut page, round);
    match detail {
        Detail::Summary => {}
        Detail::Transcript => {
            transcript::write(&mut page, round);
            host::write(&mut page, round);
        }
    }
    page.finish()
}

/// The verdict in words; then where and when, which is what a ticket needs.
fn heading(page: &mut Page<'_>, round: &Round) {
    let word = round.verdict.as_str().to_uppercase();
    let mut cells = vec![Paint::from(round.verdict).span(word), Paint::Strong.span(counts(round))];
    let region = round.host.region.as_deref().unwrap_or("no region");
    if let Some(age) = round.age_s {
        // What is asked of a daemon is whether it still looks, and since when things are as they are.
        cells.extend(daemon::since(round).map(|since| Paint::Plain.span(since)));
        cells.push(Paint::Plain.span(format!("seen {} ago", figures::span(age))));
    } else {
        cells.push(Paint::Plain.span(region));
        cells.push(Paint::Plain.span(figures::elapsed(round.elapsed_ms)));
    }
    page.cells(&cells);

    let host = &round.host;
    let mut place: Vec<String> =
        [&host.instance_id, &host.availability_zone, &host.vpc_id].into_iter().flatten().cloned().collect();
    if place.is_empty() {
        place.push(format!("instance unknown ({})", imds(host.imds)));
    }
    if round.age_s.is_some() && host.availability_zone.is_none() {
        place.push(region.to_owned());
    }
    place.push(moment(round.started_at));
    let cells: Vec<Span> = place.into_iter().map(|words| Paint::Faint.span(words)).collect();
    page.cells(&cells);
    daemon::heading(page, round);
}

/// Why IMDS did not name the instance.
const fn imds(state: ImdsState) -> &'static str {
    match state {
        ImdsState::Ok => "IMDS does not name it",
        ImdsState::Slow => "IMDS answers too slowly",
        ImdsState::Off => "IMDS is off",
        ImdsState::Unreachable => "IMDS does not answer",
        ImdsState::HopLimit => "IMDS hop limit too low",
        ImdsState::Forbidden => "IMDS refuses",
        ImdsState::V1Only => "IMDS knows no tokens",
        ImdsState::Garbage => "IMDS answers garbage",
        ImdsState::NotAsked => "IMDS not asked",
    }
}

fn counts(round: &Round) -> String {
    let tally = figures::Tally::of(round);
    let all = tally.all();
    let of_all = match all {
        1 => "of 1 target".to_owned(),
        _ => format!("of {all} targets"),
    };
    let mut parts = match round.verdict {
        RoundVerdict::Healthy => vec![format!("{} {of_all}", tally.healthy)],
        RoundVerdict::Failed if tally.failed > 0 => vec![format!("{} {of_all}", tally.failed)],
        RoundVerdict::Degraded if tally.failed > 0 => vec![format!("{} {of_all} failed, not required", tally.failed)],
        RoundVerdict::Degraded if tally.degraded > 0 => return degraded(tally, &of_all),
        RoundVerdict::Degraded | RoundVerdict::Failed => vec![format!("{} {of_all} healthy", tally.healthy)],
    };
    if tally.degraded > 0 {
        parts.push(format!("{} degraded", tally.degraded));
    }
    if tally.skipped > 0 {
        parts.push(format!("{} skipped", tally.skipped));
    }
    parts.join(", ")
}

fn degraded(tally: figures::Tally, of_all: &str) -> String {
    match tally.skipped {
        0 => format!("{} {of_all}", tally.degraded),
        skipped => format!("{} {of_all}, {skipped} skipped", tally.degraded),
    }
}

/// A moment for people: `2026-11-21 03:04:05Z`.
fn moment(at: Timestamp) -> String {
    let t = at.moment();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}

/// The hour, with the date where the hour alone could mislead.
fn when(at: Timestamp, now: Timestamp) -> String {
    let whole = moment(at);
    match whole.split_once(' ') {
        Some((_, hour)) if seconds(at, now).abs() < 12.0 * 3_600.0 => hour.to_owned(),
        Some(_) | None => whole,
    }
}

/// `since 02:58:05Z (6 min)`
fn lasting(since: Timestamp, now: Timestamp) -> String {
    format!("since {} ({})", when(since, now), figures::span(seconds(since, now)))
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.moment() - from.moment()).as_seconds_f64()
}

/// One line a target.
fn targets(page: &mut Page<'_>, round: &Round) {
    if round.targets.is_empty() {
        return;
    }
    let glyphs = page.glyphs();
    let cause = round.targets.iter().filter_map(named).map(|cause| cause.as_str().len() + GAP).max().unwrap_or(0);
    let times = TIMES.iter().map(|(_, _, wide)| wide).sum::<usize>();
    let fixed = mark_width(glyphs) + 1 + LIVE + times + cause.max(UNITS.len());
    let most = page.columns().saturating_sub(fixed).max(8);
    let widest = round.targets.iter().map(|report| text::width(&text::clean(&report.target.name, glyphs))).max();
    let widest = widest.unwrap_or(0).max(8);
    // A name that is cut beyond knowing is a high price for a number that the transcript has too.
    let has_mtu = round.targets.iter().any(|report| figures::path_mtu(report).is_some());
    let mtu = if has_mtu && most >= widest.min(NAME) + MTU { MTU } else { 0 };
    let columns = Columns { name: widest.min(most - mtu), mtu };

    page.gap();
    let mut titles = " ".repeat(mark_width(glyphs) + 1) + &text::left("target", columns.name);
    titles.push_str(&text::right("live", LIVE));
    if mtu > 0 {
        titles.push_str(&text::right("mtu", mtu));
    }
    for (_, title, wide) in TIMES {
        titles.push_str(&text::right(title, wide));
    }
    titles.push_str(UNITS);
    page.line(&[Paint::Faint.span(titles)]);
    for report in &round.targets {
        target(page, report, &columns);
    }
}

/// The widths that depend on the round.
struct Columns {
    name: usize,
    /// Nothing where no path MTU was measured.
    mtu: usize,
}

/// The cause that the target's line ends with.
fn named(report: &TargetReport) -> Option<Cause> {
    report.cause.filter(|_| report.verdict != Verdict::Healthy)
}

fn target(page: &mut Page<'_>, report: &TargetReport, columns: &Columns) {
    let glyphs = page.glyphs();
    let look = Paint::from(report.verdict);
    let name = columns.name;
    let mut row = vec![
        look.span(text::left(mark(report.verdict, glyphs), mark_width(glyphs) + 1)),
        Paint::Strong.span(text::left(&text::cut(&report.target.name, name, glyphs), name)),
        live(report, glyphs),
    ];
    if columns.mtu > 0 {
        row.push(path_mtu(report, columns.mtu, glyphs));
    }
    for (stage, _, wide) in TIMES {
        row.push(time(report, stage, wide, glyphs));
    }
    if let Some(cause) = named(report) {
        row.push(look.span(format!("{}{cause}", " ".repeat(GAP))));
    }
    page.line(&row);
}

/// What passes; in the verdict's colour where more than that vanishes.
fn path_mtu(report: &TargetReport, wide: usize, glyphs: Glyphs) -> Span {
    let look = if figures::has_hole(report) { Paint::from(report.verdict) } else { Paint::Plain };
    figures::path_mtu(report).map_or_else(
        || Paint::Faint.span(text::right(nothing(glyphs), wide)),
        |bytes| look.span(text::right(&bytes.to_string(), wide)),
    )
}

fn live(report: &TargetReport, glyphs: Glyphs) -> Span {
    let Some((live, judged)) = figures::live(report) else {
        return Paint::Faint.span(text::right(nothing(glyphs), LIVE));
    };
    let look = if live == judged { Paint::Plain } else { Paint::from(report.verdict) };
    look.span(text::right(&format!("{live}/{judged}"), LIVE))
}

fn time(report: &TargetReport, stage: Stage, wide: usize, glyphs: Glyphs) -> Span {
    match figures::slowest(report, stage) {
        None => Paint::Faint.span(text::right(nothing(glyphs), wide)),
        Some((outcome, ms)) => {
            let look = if outcome.is_ok() { Paint::Plain } else { Paint::from(report.verdict) };
            look.span(text::right(&figures::bare_ms(ms.as_f64()), wide))
        }
    }
}

const fn nothing(glyphs: Glyphs) -> &'static str {
    match glyphs {
        Glyphs::Unicode => "–",
        Glyphs::Ascii => "-",
    }
}

const LIVE: usize = 6;
/// `ssmmessages`.
const NAME: usize = 11;
/// Packets of 65,535 bytes, and the space before them.
const MTU: usize = 6;
/// The stages that have a column, their titles and widths.
const TIMES: [(Stage, &str, usize); 4] =
    [(Stage::Resolve, "resolve", 9), (Stage::Connect, "connect", 9), (Stage::Tls, "tls", 6), (Stage::Http, "http", 6)];
/// What the times are, above the causes.
const UNITS: &str = "  ms, slowest address";
/// Between the times and the cause.
const GAP: usize = 2;

#[cfg(test)]
mod tests {
    use super::{GAP, LIVE, MTU, NAME, TIMES};
    use crate::model::cause::{Cause, Scope};

    #[test]
    fn a_line_of_80_columns_holds_a_name_and_every_cause_that_a_target_can_have() {
        let longest = Cause::ALL
            .iter()
            .filter(|cause| !matches!(cause.scope(), Scope::Host | Scope::Shipping))
            .map(|cause| cause.as_str().len())
            .max();
        let fixed = "FAIL ".len() + LIVE + MTU + TIMES.iter().map(|(_, _, wide)| wide).sum::<usize>() + GAP;
        let left = 80 - fixed - longest.expect("causes");
        assert!(left >= NAME, "{left} columns for the name");
    }
}
