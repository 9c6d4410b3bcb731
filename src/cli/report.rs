//! Shows a round in the form that was asked for.

use super::{
    args::{Format, OutputArgs},
    exit::Exit,
    screen,
};
use crate::{
    model::round::Round,
    render::{
        json, nagios, openmetrics, short,
        table::{self, Detail},
    },
};

/// Prints the round; the exit code is its verdict, or 3 where it could not be told.
pub(super) fn show(round: &Round, output: &OutputArgs) -> Exit {
    if output.quiet {
        return Exit::Judged(round.verdict);
    }
    let text = match output.format {
        Format::Table => {
            let detail = if output.explain { Detail::Transcript } else { Detail::Summary };
            table::render(round, &screen::style(output.color), detail)
        }
        Format::Json => json::render(round),
        Format::Short => short::render(round, &screen::style(output.color)),
        Format::Nagios => nagios::render(round),
        Format::Openmetrics => openmetrics::render(round),
    };
    match screen::print(&text) {
        Ok(()) => Exit::Judged(round.verdict),
        Err(error) => {
            screen::say(&format!("cannot write the report: {error}"));
            Exit::NotJudged
        }
    }
}

/// There is no round to show. `reason` was said on stderr already; a Nagios server reads only stdout.
pub(super) fn none(reason: &str, output: &OutputArgs) -> Exit {
    if output.format == Format::Nagios && !output.quiet {
        // The exit code says the same.
        let _ = screen::print(&nagios::unknown(reason));
    }
    Exit::NotJudged
}
