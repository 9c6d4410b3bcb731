//! The daemon's log. Records go to journald with their fields as fields, or as text to stderr; either way a thread of its own
//! writes them, so that a stalled journald costs whoever logs nothing. What does not fit its bounded queue is counted, and
//! the next record says so.

mod gather;
mod queue;
mod record;
mod writer;

use std::{collections::BTreeMap, io, path::Path, sync::Arc, thread};

use systemd_journal_logger::connected_to_journal;
use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

pub use crate::tell::say;

use self::{gather::Gather, queue::Queue, writer::Writer};

/// The way to the log's thread, and its counts.
#[derive(Debug)]
pub struct Logging {
    queue: Arc<Queue>,
    way: Way,
}

/// Where records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To stderr, a line each, without the fields.
    Text,
    /// To journald.
    Journal,
    /// To both.
    Both,
}

impl Logging {
    /// Starts the thread and takes every record of this process from now on: its own down to `level`, those of libraries
    /// only at debug level, warnings and errors: what they warn of again in each round is the probe's to tell.
    ///
    /// Records go to journald where stderr is its stream, as systemd makes it for a service, else to stderr.
    /// `VPCE_PROBE_LOG=journal`, `text` or `journal+text` in `environment` decides otherwise; without a socket of journald's
    /// it is text always.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub fn start(level: LevelFilter, environment: &BTreeMap<String, String>) -> io::Result<Self> {
        let asked = environment.get(VARIABLE).map_or("", |value| value.trim());
        let choice = choose(asked, Path::new(SOCKET).exists(), connected_to_journal());
        let queue = Arc::new(Queue::new());
        let writer = Writer::new(Arc::clone(&queue), choice.way);
        thread::Builder::new().name("log".to_owned()).stack_size(STACK).spawn(move || writer.run())?;
        let libraries = if level >= LevelFilter::DEBUG { LevelFilter::WARN } else { LevelFilter::OFF };
        let filter = Targets::new().with_default(libraries).with_target("vpce_probe", level);
        // A second subscriber can only come from a test in the same process; the first then stays.
        let layer = Gather::new(Arc::clone(&queue)).with_filter(filter);
        let _ = tracing_subscriber::registry().with(layer).try_init();
        if let Some(doubt) = choice.doubt {
            tracing::warn!("{VARIABLE}={asked}: {doubt}");
        }
        Ok(Self { queue, way: choice.way })
    }

    /// Where records go.
    #[must_use]
    pub const fn way(&self) -> Way {
        self.way
    }

    /// Records lost so far: the queue was full, or they could not be written.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.queue.lost()
    }

    /// Takes no more records and waits, until `by` at most, for those taken to be written. Yields how many were not; they
    /// count as lost. Blocks: for the very end of the process.
    #[must_use]
    pub fn finish(&self, by: Instant) -> u64 {
        self.queue.finish(by)
    }
}

/// A way, and what is wrong with what was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    way: Way,
    doubt: Option<&'static str>,
}

fn choose(asked: &str, socket: bool, connected: bool) -> Choice {
    let (wanted, doubt) = match asked {
        "" => (if connected { Way::Journal } else { Way::Text }, None),
        "text" => (Way::Text, None),
        "journal" => (Way::Journal, None),
        "journal+text" => (Way::Both, None),
        _ => (if connected { Way::Journal } else { Way::Text }, Some("neither journal, text nor journal+text")),
    };
    match wanted {
        Way::Journal | Way::Both if !socket => {
            let missing = (!asked.is_empty() && doubt.is_none()).then_some("there is no journald here, so it is text");
            Choice { way: Way::Text, doubt: doubt.or(missing) }
        }
        Way::Text | Way::Journal | Way::Both => Choice { way: wanted, doubt },
    }
}

/// Says where records go.
const VARIABLE: &str = "VPCE_PROBE_LOG";
/// journald's own; systemd-journal-logger has it built in.
const SOCKET: &str = "/run/systemd/journal/socket";
/// Records are on the heap.
const STACK: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use super::{Choice, Way, choose};

    #[test]
    fn the_way_is_asked_for_or_seen() {
        let check = |asked, socket, connected, way, doubted: bool| {
            let Choice { way: chosen, doubt } = choose(asked, socket, connected);
            assert_eq!((chosen, doubt.is_some()), (way, doubted), "{asked} {socket} {connected}");
        };
        check("", true, true, Way::Journal, false);
        check("", true, false, Way::Text, false);
        check("", false, true, Way::Text, false);
        check("text", true, true, Way::Text, false);
        check("journal", true, false, Way::Journal, false);
        check("journal+text", true, false, Way::Both, false);
        check("journal", false, false, Way::Text, true);
        check("journal+text", false, true, Way::Text, true);
        check("syslog", true, true, Way::Journal, true);
        check("syslog", false, false, Way::Text, true);
    }
}
