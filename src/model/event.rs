//! Every kind of record that the daemon writes to its log: one table, from which the documentation and journald's message
//! catalog are made. A record is a value here; `sink::journal` writes it.

use std::fmt;

/// How urgent a record is: what it asks of whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something is broken.
    Error,
    /// Something needs a look.
    Warning,
    /// Worth knowing.
    Info,
    /// What is done, step by step.
    Debug,
}

impl Level {
    /// The syslog priority, as `journalctl -p` takes it: 3, 4, 6, 7.
    #[must_use]
    pub const fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }

    /// The level's name, as `journalctl -p` takes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "err",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

macro_rules! fields {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// A field of a record, stable across releases.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Field {
            /// Every field, in the order of the contract; later ones are additions.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in the journal.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What it holds, in a few words.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim()),+ }
            }
        }
    };
}

fields! {
    /// The round's name, as in the report.
    Round = "VPCE_ROUND";
    /// The target's name.
    Target = "VPCE_TARGET";
    /// The target's host name.
    Host = "VPCE_HOST";
    /// The address that the cause is about.
    Address = "VPCE_ADDRESS";
    /// The layer at which it shows.
    Stage = "VPCE_STAGE";
    /// The cause, as `vpce-probe explain` takes it.
    Cause = "VPCE_CAUSE";
    /// How bad it is: failure, warning or note.
    Severity = "VPCE_SEVERITY";
    /// The verdict: healthy, degraded, failed or skipped.
    Verdict = "VPCE_VERDICT";
    /// What it was before.
    Previous = "VPCE_PREVIOUS";
    /// How long the round took, in milliseconds.
    ElapsedMs = "VPCE_ELAPSED_MS";
    /// What to do about it, one step a line.
    Advice = "VPCE_ADVICE";
    /// How many of the thing that the record is about were lost. Any record may carry it: log records were then lost before it.
    Lost = "VPCE_LOST";
    /// How long the previous state lasted, in whole seconds.
    LastedS = "VPCE_LASTED_S";
    /// How many: targets, rounds, datums, as the event says.
    Count = "VPCE_COUNT";
    /// How many rounds wait for delivery.
    Spooled = "VPCE_SPOOLED";
    /// By how many seconds the clock was wrong; positive: it was ahead.
    ClockErrorS = "VPCE_CLOCK_ERROR_S";
    /// The file that the event is about.
    File = "VPCE_FILE";
    /// What the system or the service said.
    Error = "VPCE_ERROR";
    /// The version of vpce-probe.
    Version = "VPCE_VERSION";
}

macro_rules! events {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $id:literal, $level:ident, [$($field:ident),*], $subject:literal;)+) => {
        /// A kind of record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Event {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Event {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in `VPCE_EVENT`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// `MESSAGE_ID`: 32 hexadecimal digits, drawn at random once and never changed.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id),+ }
            }

            /// The usual level.
            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level),+ }
            }

            /// The fields that a record of this kind may have.
            #[must_use]
            pub const fn fields(self) -> &'static [Field] {
                match self { $(Self::$variant => &[$(Field::$field),*]),+ }
            }

            /// The catalog's headline; `@FIELD@` stands for a field's value.
            #[must_use]
            pub const fn subject(self) -> &'static str {
                match self { $(Self::$variant => $subject),+ }
            }

            /// What it means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim()),+ }
            }
        }
    };
}

events! {
    /// A target's verdict changed, and enough equal results confirm it. An error where the target failed, a warning where it is degraded, information where it recovered or is skipped.
    VerdictChanged = "verdict-changed", "4a2b3d33069d415a8663a148c81d4e23", Error,
        [Round, Target, Host, Address, Stage, Cause, Severity, Verdict, Previous, LastedS, Advice],
        "@VPCE_TARGET@ is @VPCE_VERDICT@";
    /// The verdict over the whole round changed. The level follows the verdict as it does for a target.
    RoundChanged = "round-changed", "6d08fc36f7eb467f820fbafd6204491b", Error,
        [Round, Cause, Severity, Verdict, Previous, LastedS, ElapsedMs, Advice, Count],
        "The round is @VPCE_VERDICT@";
    /// One round in one line: at debug level each round, as information once an hour.
    RoundSummary = "round-summary", "38b2ecf7e2eb48a5870b5346da28235a", Debug,
        [Round, Cause, Verdict, ElapsedMs, Count],
        "A round was @VPCE_VERDICT@";
    /// Metrics do not reach CloudWatch. They are kept and sent later; the probing goes on.
    ShippingTrouble = "shipping-trouble", "4c06c73ea95847419225d2fd6f7fe8b9", Warning,
        [Cause, Severity, Spooled, Error, Advice, Address],
        "Metrics do not reach CloudWatch: @VPCE_CAUSE@";
    /// Metrics reach CloudWatch again; what was kept follows.
    ShippingRecovered = "shipping-recovered", "b05a309747a4438cb6a9e3319d11dfd1", Info,
        [Previous, LastedS, Spooled],
        "Metrics reach CloudWatch again";
    /// All that was kept while metrics did not reach CloudWatch is delivered; what was lost is counted.
    ShippingCaughtUp = "shipping-caught-up", "f87fe8f3bd502abf7307fe9880e13096", Info,
        [LastedS, Count, Lost],
        "All metrics that were kept are delivered";
    /// The spool cannot be written: rounds that wait for delivery are kept in memory only, and a restart loses them.
    SpoolDegraded = "spool-degraded", "6b59c3f2496b4d1187c778435137d5f3", Warning,
        [Cause, File, Error, Spooled, Advice],
        "The spool cannot be written";
    /// The spool can be written again.
    SpoolRecovered = "spool-recovered", "ed685aed44304e08bb84c60b49980227", Info,
        [File, LastedS],
        "The spool can be written again";
    /// Rounds or datums were lost before they could be delivered: the spool is full, they are too old, or the disk kept them badly.
    SpoolLost = "spool-lost", "1ef39f0df78545b6879137b2907d43ec", Warning,
        [Cause, Lost, Spooled, File, Advice],
        "Measurements were lost before delivery";
    /// CloudWatch refuses one datum for its content. It is dropped and counted, and the others are sent.
    DatumRejected = "datum-rejected", "7c51651262ae45159fab46111a1ab241", Warning,
        [Lost, Error],
        "CloudWatch refuses a datum";
    /// The daemon started, its config is valid.
    Started = "started", "3be42ff5eb834b14a4940ac07549f335", Info,
        [Version, File, Count],
        "vpce-probe started";
    /// The daemon stops, because it was told to.
    Stopping = "stopping", "82d9fec5a7aa41c29eaf22b398b932bf", Info,
        [Spooled, Lost],
        "vpce-probe stops";
    /// The config was read again and is in force.
    Reloaded = "reloaded", "5a03bbef477f48f188ac7506594766b0", Info,
        [File, Count],
        "The config was read again";
    /// The config was read again and is not valid: the old one stays in force. The message says every mistake.
    ReloadRefused = "reload-refused", "afdfb46e732345828e4ce79a3dad282b", Error,
        [File, Error, Count],
        "The new config is not valid, the old one stays";
    /// This host's clock was set, or is known to be wrong by an amount; metrics are stamped and signed with the right time.
    ClockCorrected = "clock-corrected", "0936e6f44e2a4cf98a7a87d640d19e9f", Warning,
        [ClockErrorS],
        "This host's clock is wrong by @VPCE_CLOCK_ERROR_S@ s";
    /// Rounds did not take place at their time: the host was suspended, or too busy.
    RoundsMissed = "rounds-missed", "4c060d0ba5cc4f6e864d59707d0842f1", Warning,
        [Lost],
        "Rounds were missed";
    /// Something about this host changed that the probing depends on: its region, name servers, link, trust store or role.
    HostFactsChanged = "host-facts-changed", "e2c04cba9f1e4935bfc399af4bb51305", Info,
        [Previous, Error],
        "This host changed";
    /// Something is wrong with this host itself, apart from any target.
    HostProblem = "host-problem", "228a22f3a8e44b16b7cb7849e5e6cba5", Warning,
        [Round, Cause, Severity, Advice],
        "This host has a problem: @VPCE_CAUSE@";
    /// Nothing can be probed: the region is not known, or no target is left. It is tried again with each round.
    NothingToProbe = "nothing-to-probe", "e5c6599c0ba9d6b7a0dac5f177e00b5d", Error,
        [Error],
        "Nothing can be probed";
    /// What is probed is odd, for example in a region that no partition knows.
    OddPlan = "odd-plan", "9320ab67c52091149573b7604a02d3b8", Warning,
        [Error],
        "What is probed is odd";
    /// The state file or the textfile cannot be written: `vpce-probe status` or the node exporter shows old data.
    StateUnwritable = "state-unwritable", "fbe216635f524a349babe2b647a58868", Warning,
        [File, Error],
        "@VPCE_FILE@ cannot be written";
    /// The state file or the textfile can be written again.
    StateWritable = "state-writable", "4d70f8278a084a55a1f0fbd5afce3e4f", Info,
        [File, LastedS],
        "@VPCE_FILE@ can be written again";
    /// Another instance runs on this host: this one ends with exit code 75.
    AlreadyRunning = "already-running", "5fed1a8b458c4791899e1ba54b46ee60", Error,
        [File],
        "Another instance runs";
    /// Log records were lost, because journald (or whoever reads stderr) was stalled for too long.
    RecordsLost = "records-lost", "d6462035f0354693ab14bba3cddd8b41", Warning,
        [Lost],
        "@VPCE_LOST@ log records were lost";
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One record of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    event: Event,
    level: Level,
    message: String,
    fields: Vec<(Field, String)>,
}

impl Entry {
    /// A record that says `message` at the event's usual level.
    #[must_use]
    pub fn new(event: Event, message: impl Into<String>) -> Self {
        Self { event, level: event.level(), message: message.into(), fields: Vec::new() }
    }

    /// The same record at another level.
    #[must_use]
    pub fn at(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same record with one more field; a second value for the same field takes the first one's place.
    #[must_use]
    pub fn with(mut self, field: Field, value: impl fmt::Display) -> Self {
        debug_assert!(self.event.fields().contains(&field), "{} has no field {}", self.event, field.as_str());
        self.fields.retain(|(present, _)| *present != field);
        self.fields.push((field, value.to_string()));
        self
    }

    /// The kind.
    #[must_use]
    pub const fn event(&self) -> Event {
        self.event
    }

    /// The level.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// What a person reads.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The field's value, where the record has it.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<&str> {
        self.fields.iter().find(|(present, _)| *present == field).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Entry, Event, Field, Level};

    #[test]
    fn ids_and_names_are_well_formed_and_used_once() {
        let ids: BTreeSet<_> = Event::ALL.iter().map(|event| event.id()).collect();
        let names: BTreeSet<_> = Event::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!((ids.len(), names.len()), (Event::ALL.len(), Event::ALL.len()));
        for id in ids {
            assert!(id.len() == 32 && id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')), "{id}");
        }
        for field in Field::ALL {
            assert!(field.as_str().starts_with("VPCE_"), "{field:?}");
        }
    }

    #[test]
    fn a_subject_names_only_fields_of_its_event() {
        for event in Event::ALL {
            for name in event.subject().split('@').skip(1).step_by(2) {
                assert!(event.fields().iter().any(|field| field.as_str() == name), "{event}: {name}");
            }
        }
    }

    #[test]
    fn an_entry_keeps_one_value_a_field() {
        let entry = Entry::new(Event::VerdictChanged, "kms recovered")
            .at(Level::Info)
            .with(Field::Target, "ssm")
            .with(Field::Target, "kms");
        assert_eq!((entry.value(Field::Target), entry.value(Field::Cause)), (Some("kms"), None));
        assert_eq!((entry.level(), entry.event().level()), (Level::Info, Level::Error));
    }
}
