//! One record on its way to the log's thread, bounded in size.

use std::fmt::{self, Write};

use tracing::{Event, Metadata, field::Visit};

use crate::model::units::Timestamp;

/// One record: its own text and values, and what came before it and was lost.
#[derive(Debug)]
pub(super) struct Record {
    /// When it was made; it may wait long for journald.
    pub(super) at: Timestamp,
    /// Level, and where in the code it was made.
    pub(super) metadata: &'static Metadata<'static>,
    /// The text.
    pub(super) message: String,
    /// The values, in the code's order, each with its name there.
    pub(super) fields: Vec<(&'static str, String)>,
    /// Records that were lost between the one before and this one.
    pub(super) lost_before: u64,
}

impl Record {
    /// What `event` says, cut where it is too long.
    pub(super) fn of(event: &Event<'_>, at: Timestamp) -> Self {
        let record =
            Self { at, metadata: event.metadata(), message: String::new(), fields: Vec::new(), lost_before: 0 };
        let mut reader = Reader { record, room: LONGEST_RECORD };
        event.record(&mut reader);
        reader.record
    }

    /// About as much as it takes in memory.
    pub(super) fn size(&self) -> usize {
        let values: usize = self.fields.iter().map(|(_, value)| value.len() + PER_FIELD).sum();
        PER_RECORD + self.message.len() + values
    }
}

struct Reader {
    record: Record,
    room: usize,
}

impl Reader {
    fn take(&mut self, field: &tracing::field::Field, value: fmt::Arguments<'_>) {
        let mut text = Bounded { text: String::new(), room: LONGEST_VALUE.min(self.room) };
        // The one error that there is means that it was cut.
        let whole = text.write_fmt(value).is_ok();
        self.room = self.room.saturating_sub(text.text.len());
        let mut text = text.text;
        if !whole {
            text.push_str(CUT);
        }
        if field.name() == "message" {
            self.record.message = text;
        } else {
            self.record.fields.push((field.name(), text));
        }
    }
}

impl Visit for Reader {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        self.take(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &tracing::field::Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.take(field, format_args!("{value:?}"));
    }
}

/// Takes text until there is no more room, and ends the formatting there.
struct Bounded {
    text: String,
    room: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if part.len() <= self.room {
            self.room -= part.len();
            self.text.push_str(part);
            return Ok(());
        }
        let fits = part.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= self.room).last();
        self.text.push_str(fits.and_then(|end| part.get(..end)).unwrap_or_default());
        self.room = 0;
        Err(fmt::Error)
    }
}

/// At the end of what was cut.
const CUT: &str = "… (cut)";
/// Bytes of one value: a page of advice, or of diagnostics.
const LONGEST_VALUE: usize = 8 * 1024;
/// Bytes of all values of a record.
const LONGEST_RECORD: usize = 32 * 1024;
/// Bytes for a string and a name.
const PER_FIELD: usize = 40;
/// Bytes for the rest.
const PER_RECORD: usize = 120;

#[cfg(test)]
pub(super) mod tests {
    use std::{
        fmt::Write,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{Layer, layer::SubscriberExt};

    use super::{Bounded, CUT, LONGEST_RECORD, LONGEST_VALUE, Record};
    use crate::model::units::Timestamp;

    #[test]
    fn a_record_keeps_its_values_and_is_cut_where_it_is_too_long() {
        let long = "ü".repeat(LONGEST_VALUE);
        let absent: Option<&str> = None;
        let record =
            made(|| tracing::info!(vpce_target = "kms", absent, n = 7, error = %"no\nroute", "it {}", "failed"));
        assert_eq!(record.message, "it failed");
        let fields: Vec<_> = record.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(fields, [("vpce_target", "kms"), ("n", "7"), ("error", "no\nroute")]);

        let record = made(|| tracing::info!(a = long, b = long, c = long, d = long, e = long, f = ?long, "{long}"));
        assert!(record.message.len() <= LONGEST_VALUE + CUT.len() && record.message.ends_with(CUT));
        assert_eq!(record.fields.len(), 6);
        assert!(record.fields.iter().all(|(_, value)| value.ends_with(CUT)));
        assert!(record.size() < LONGEST_RECORD + 1024, "{}", record.size());
    }

    #[test]
    fn text_is_cut_between_characters() {
        let mut text = Bounded { text: String::new(), room: 4 };
        assert!(text.write_str("aü").is_ok() && text.write_str("ü").is_err() && text.write_str("a").is_err());
        assert_eq!(text.text, "aü");
    }

    /// The record of the one event that `log` makes.
    pub(in crate::sink::journal) fn made(log: impl FnOnce()) -> Record {
        struct Keep(Arc<Mutex<Option<Record>>>);
        impl<S: tracing::Subscriber> Layer<S> for Keep {
            fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
                *self.0.lock().expect("not poisoned") = Some(Record::of(event, Timestamp::now()));
            }
        }
        let kept = Arc::new(Mutex::new(None));
        let subscriber = tracing_subscriber::registry().with(Keep(Arc::clone(&kept)));
        tracing::subscriber::with_default(subscriber, log);
        let record = kept.lock().expect("not poisoned").take();
        record.expect("one event")
    }
}
