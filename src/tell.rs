//! Writes a record, wherever its reader is: the daemon's log takes it with all its fields (`sink::journal`).

use crate::model::event::{Entry, Field, Level};

/// Writes the entry to the log. Never waits.
pub fn say(entry: &Entry) {
    macro_rules! at {
        ($level:ident) => {
            tracing::event!(
                tracing::Level::$level,
                message_id = entry.event().id(),
                vpce_event = entry.event().as_str(),
                vpce_round = entry.value(Field::Round),
                vpce_target = entry.value(Field::Target),
                vpce_host = entry.value(Field::Host),
                vpce_address = entry.value(Field::Address),
                vpce_stage = entry.value(Field::Stage),
                vpce_cause = entry.value(Field::Cause),
                vpce_severity = entry.value(Field::Severity),
                vpce_verdict = entry.value(Field::Verdict),
                vpce_previous = entry.value(Field::Previous),
                vpce_elapsed_ms = entry.value(Field::ElapsedMs),
                vpce_advice = entry.value(Field::Advice),
                vpce_lost = entry.value(Field::Lost),
                vpce_lasted_s = entry.value(Field::LastedS),
                vpce_count = entry.value(Field::Count),
                vpce_spooled = entry.value(Field::Spooled),
                vpce_clock_error_s = entry.value(Field::ClockErrorS),
                vpce_file = entry.value(Field::File),
                vpce_error = entry.value(Field::Error),
                vpce_version = entry.value(Field::Version),
                "{}",
                entry.message()
            )
        };
    }
    match entry.level() {
        Level::Error => at!(ERROR),
        Level::Warning => at!(WARN),
        Level::Info => at!(INFO),
        Level::Debug => at!(DEBUG),
    }
}
