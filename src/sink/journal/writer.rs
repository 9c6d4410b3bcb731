//! The thread that writes: it alone waits for journald, and for whoever reads stderr.

use std::{
    fmt::{self, Write as _},
    io::{self, ErrorKind, Write},
    sync::Arc,
    time::Duration,
};

use log::kv::{self, Key, Source, Value, VisitSource};
use systemd_journal_logger::JournalLog;
use tokio::time::Instant;
use tracing::Level;

use super::{
    Way,
    queue::{Next, Queue},
    record::Record,
};
use crate::{
    model::{event, units::Timestamp},
    render,
};

/// Writes what the queue holds, in its order.
pub(super) struct Writer {
    queue: Arc<Queue>,
    way: Way,
    /// Opened at the first record: even that can block.
    journal: Option<JournalLog>,
    /// Since when journald is gone, and whether that was said.
    gone: Option<Gone>,
}

struct Gone {
    since: Instant,
    said: bool,
}

impl Writer {
    pub(super) const fn new(queue: Arc<Queue>, way: Way) -> Self {
        Self { queue, way, journal: None, gone: None }
    }

    /// Until the log ends.
    pub(super) fn run(mut self) {
        loop {
            match self.queue.next() {
                Next::Record(mut record) => {
                    if record.lost_before > 0 && record.fields.iter().any(|(name, _)| *name == LOST) {
                        // It has losses of its own to tell.
                        self.write_lost(std::mem::take(&mut record.lost_before));
                    }
                    if !self.write(&Written::of(&record)) {
                        self.queue.failed(1, record.lost_before);
                    }
                }
                Next::Lost(count) => self.write_lost(count),
                Next::Nothing => return,
            }
        }
    }

    fn write_lost(&mut self, count: u64) {
        if !self.write(&Written::lost(count)) {
            self.queue.failed(0, count);
        }
    }

    fn write(&mut self, line: &Written) -> bool {
        match self.way {
            Way::Text => line.to_stderr(),
            Way::Journal => self.send(line),
            Way::Both => {
                let shown = line.to_stderr();
                self.send(line) && shown
            }
        }
    }

    /// Sends the line, however long journald is away: the queue bounds what waits meanwhile. Any other trouble is given some
    /// tries.
    fn send(&mut self, line: &Written) -> bool {
        let (mut tries, mut pause) = (0, FIRST_PAUSE);
        loop {
            let Err(error) = self.try_send(line) else {
                self.gone = None;
                return true;
            };
            if is_gone(&error) {
                self.say_gone(&error);
            } else {
                tries += 1;
                if tries == MOST_TRIES {
                    return false;
                }
            }
            if !self.queue.pause(pause) {
                // The end of the log counts what it leaves behind.
                return true;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn try_send(&mut self, line: &Written) -> io::Result<()> {
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => JournalLog::empty()?.with_syslog_identifier(IDENTIFIER.to_owned()),
        };
        let sent = journal.journal_send(
            &log::Record::builder()
                .level(line.journal_level())
                .target(line.target)
                .module_path_static(line.module)
                .file_static(line.file)
                .line(line.line)
                .key_values(line)
                .args(format_args!("{}", line.message))
                .build(),
        );
        self.journal = Some(journal);
        sent
    }

    fn say_gone(&mut self, error: &io::Error) {
        let gone = self.gone.get_or_insert_with(|| Gone { since: Instant::now(), said: false });
        if !gone.said && gone.since.elapsed() >= PATIENCE {
            gone.said = true;
            // Nothing can be told about a stderr that is gone, too.
            let _ =
                writeln!(io::stderr(), "journald is gone ({error}): records wait for it, and are lost beyond a bound");
        }
    }
}

/// One record, made safe for both ways.
struct Written {
    at: Timestamp,
    level: Level,
    target: &'static str,
    module: Option<&'static str>,
    file: Option<&'static str>,
    line: Option<u32>,
    message: String,
    fields: Vec<(String, String)>,
}

impl Written {
    fn of(record: &Record) -> Self {
        let metadata = record.metadata;
        // A library's file has the path that it had on the machine that built it.
        let own = metadata.target().starts_with("vpce_probe");
        let mut line = Self {
            at: record.at,
            level: *metadata.level(),
            target: metadata.target(),
            module: metadata.module_path(),
            file: metadata.file().filter(|_| own),
            line: metadata.line().filter(|_| own),
            message: safe(&record.message),
            fields: Vec::with_capacity(record.fields.len() + 2),
        };
        for (name, value) in &record.fields {
            let value = safe(value);
            if *name == MESSAGE_ID || name.starts_with(PREFIX) {
                line.fields.push(((*name).to_owned(), value));
            } else {
                // Not a field that the documentation names: whoever reads the text wants it there.
                let _ = write!(line.message, " {name}={value}");
                line.fields.push((format!("{PREFIX}{name}"), value));
            }
        }
        if record.lost_before > 0 {
            let lost = record.lost_before;
            let _ = write!(line.message, " ({lost} log records before this one were lost)");
            line.fields.push((LOST.to_owned(), record.lost_before.to_string()));
        }
        line.stamp()
    }

    fn lost(count: u64) -> Self {
        let event = event::Event::RecordsLost;
        Self {
            at: Timestamp::now(),
            level: Level::WARN,
            target: module_path!(),
            module: Some(module_path!()),
            file: Some(file!()),
            line: Some(line!()),
            message: format!("{count} log records were lost"),
            fields: vec![
                (MESSAGE_ID.to_owned(), event.id().to_owned()),
                ("vpce_event".to_owned(), event.as_str().to_owned()),
                (LOST.to_owned(), count.to_string()),
            ],
        }
        .stamp()
    }

    /// The moment at which it was made: journald stamps what it receives, and that may be later.
    fn stamp(mut self) -> Self {
        self.fields.push(("vpce_at".to_owned(), self.at.to_string()));
        self
    }

    /// systemd-journal-logger makes 3, 4, 5, 6, 7 of the five levels; the journal's are 3 for errors, 4 for warnings, 6 for
    /// information and 7 for what debugs.
    fn journal_level(&self) -> log::Level {
        match self.level {
            Level::ERROR => log::Level::Error,
            Level::WARN => log::Level::Warn,
            Level::INFO => log::Level::Debug,
            Level::DEBUG | Level::TRACE => log::Level::Trace,
        }
    }

    fn to_stderr(&self) -> bool {
        io::stderr().lock().write_all(format!("{self}\n").as_bytes()).is_ok()
    }
}

/// As a person reads it: one line, no fields.
impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        write!(f, "{} {level}: {}", self.at, self.message.replace('\n', " "))
    }
}

impl Source for Written {
    fn visit<'kvs>(&'kvs self, visitor: &mut dyn VisitSource<'kvs>) -> Result<(), kv::Error> {
        for (name, value) in &self.fields {
            visitor.visit_pair(Key::from_str(name), Value::from(value.as_str()))?;
        }
        Ok(())
    }
}

/// journald takes line breaks as they are; nothing else in the value makes a terminal do anything.
fn safe(text: &str) -> String {
    text.lines().map(render::line).collect::<Vec<_>>().join("\n")
}

/// Whether nobody listens, which passes: journald is being restarted.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::PermissionDenied
    )
}

/// What `journalctl -t` finds.
const IDENTIFIER: &str = "vpce-probe";
/// Of every field of our own.
const PREFIX: &str = "vpce_";
/// The event's id.
const MESSAGE_ID: &str = "message_id";
/// How many were lost.
const LOST: &str = "vpce_lost";
/// A restart takes a fraction of a second.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// For what is neither a stall nor an absence: no buffers, no memory.
const MOST_TRIES: u32 = 6;
/// How long journald may be gone before stderr is told.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::{LOST, Written, safe};
    use crate::sink::journal::record::tests::made;

    #[test]
    fn nothing_in_a_value_can_act_on_a_terminal() {
        assert_eq!(safe("a\nb\tc\u{1b}[31m\u{202e}\r\n"), "a\nb c\\x1b[31m\\u{202e}");
        assert_eq!(safe(""), "");
    }

    #[test]
    fn a_line_for_people_is_one_line() {
        let mut line = Written::lost(3);
        line.message = "one\ntwo".to_owned();
        let text = line.to_string();
        let (at, rest) = text.split_once(' ').expect("a time and the rest");
        assert_eq!((at.len(), rest), ("2026-11-21T03:04:05.678Z".len(), "warning: one two"));
    }

    #[test]
    fn a_record_tells_what_was_lost_before_it() {
        let mut record = made(|| tracing::info!(vpce_target = "kms", "kms recovered"));
        assert!(Written::of(&record).fields.iter().all(|(name, _)| name != LOST));
        record.lost_before = 3;
        let written = Written::of(&record);
        assert_eq!(written.message, "kms recovered (3 log records before this one were lost)");
        assert!(written.fields.contains(&(LOST.to_owned(), "3".to_owned())), "{:?}", written.fields);
    }
}
