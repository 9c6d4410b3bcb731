//! Every key that a config may hold, in words: docs/configuration.md and vpce-probe.toml(5) are made from this one table.
//!
//! Only words are written here. Defaults are read from [`Config::default`], bounds from those that the readers refuse by.
//! In the words, what stands in backticks is meant literally: a key, a value, a path, a command, a cause.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    ops::RangeInclusive,
    time::Duration,
};

use super::{
    Config,
    bounds::{MOST_FIXED, MOST_SERVERS},
    duration, size,
};

mod probing;
mod shipping;
mod surroundings;
mod targets;
mod top;

/// A table of the file.
#[derive(Debug)]
pub struct Table {
    /// As in the file's header; empty for the top level.
    pub name: &'static str,
    /// What its keys are about.
    pub about: &'static str,
    /// Its keys, in the order of `config.example.toml`.
    pub keys: &'static [Key],
}

/// A key.
#[derive(Debug)]
pub struct Key {
    /// As in the file.
    pub name: &'static str,
    /// What its value may be.
    pub kind: Kind,
    /// The value that a config holds, as TOML; `None` where it holds none.
    pub held: fn(&Config) -> Option<String>,
    /// What holds where the file and [`Config::default`] say nothing; empty where the default is a value.
    pub otherwise: fn() -> String,
    /// A value, as TOML; another than the default.
    pub example: &'static str,
    /// When another value is in force.
    pub takes: Takes,
    /// What it is for.
    pub meaning: &'static str,
    /// What happens where its value does not fit.
    pub wrong: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub enum Kind {
    /// `true` or `false`.
    Flag,
    /// A duration.
    Duration(&'static RangeInclusive<Duration>),
    /// A whole number, and what it counts.
    Whole(&'static RangeInclusive<i64>, &'static str),
    /// A number, and its unit.
    Number(&'static RangeInclusive<f64>, &'static str),
    /// A size in bytes.
    Size(&'static RangeInclusive<u64>),
    /// One of these words.
    Word(fn() -> Vec<&'static str>),
    /// A text of this form.
    Text(&'static str),
    /// An absolute path, of this.
    Path(&'static str),
    /// A list of texts of this form.
    Texts(&'static str),
    /// A list of networks.
    Networks,
    /// Who is asked for names.
    Resolver,
    /// Names with their values.
    Dimensions,
    /// A list of lists of names.
    DimensionSets,
}

/// When another value is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// After `systemctl reload vpce-probe`; the other verbs read the file each time.
    Reload,
    /// After `systemctl restart vpce-probe`.
    Restart,
}

/// Every table, in the order of `config.example.toml`.
pub const TABLES: &[Table] = &[
    top::TOP,
    probing::TIMEOUTS,
    probing::DNS,
    probing::MTU,
    probing::TLS,
    surroundings::ADDRESS,
    surroundings::HOST,
    targets::TARGET,
    shipping::CLOUDWATCH,
    shipping::SPOOL,
    shipping::TEXTFILE,
];

impl Table {
    /// The header: `[dns]`; empty for the top level.
    #[must_use]
    pub fn header(&self) -> String {
        if self.name.is_empty() { String::new() } else { super::keys::bracketed(self.name) }
    }
}

impl Key {
    /// The default in words, its value in backticks.
    #[must_use]
    pub fn default_words(&self) -> String {
        (self.held)(&Config::default()).map_or_else(self.otherwise, |value| format!("`{value}`"))
    }
}

impl Takes {
    /// As the end of "a change takes".
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Reload => "a reload",
            Self::Restart => "a restart",
        }
    }
}

impl Kind {
    /// What may stand there, with its unit and its bounds.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Duration(bounds) => format!("duration, {}", span(bounds, |bound| text(duration::show(*bound)))),
            Self::Whole(bounds, unit) => format!("whole number ({unit}), {}", span(bounds, ToString::to_string)),
            Self::Number(bounds, unit) => format!("number ({unit}), {}", span(bounds, ToString::to_string)),
            Self::Size(bounds) => format!("size, {}", span(bounds, |bound| text(size::show(*bound)))),
            Self::Word(words) => {
                let literal: Vec<String> = words().into_iter().map(|word| format!("`\"{word}\"`")).collect();
                listed(&literal)
            }
            Self::Text(form) => format!("text, {form}"),
            Self::Path(of) => format!("absolute path of {of}"),
            Self::Texts(form) => format!("list of texts, {form}"),
            Self::Networks => "list of networks, each an address and a prefix".to_owned(),
            Self::Resolver => {
                format!("`\"system\"`, `\"vpc\"`, or a list of 1 to {MOST_SERVERS} addresses of name servers")
            }
            Self::Dimensions => {
                format!("inline table of at most {MOST_FIXED} names with their values, all of them texts")
            }
            Self::DimensionSets => {
                let names: Vec<String> = super::DIMENSIONS.iter().map(|name| format!("`\"{name}\"`")).collect();
                format!("list of sets; each set is a list of {}", listed(&names))
            }
        }
    }
}

fn span<T>(bounds: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> String {
    format!("`{}` to `{}`", show(bounds.start()), show(bounds.end()))
}

/// `a, b or c`
fn listed(words: &[String]) -> String {
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// A value in TOML's basic string; what the readers let through needs no escape but these two.
fn text(value: impl Display) -> String {
    format!("\"{}\"", value.to_string().replace('\\', "\\\\").replace('"', "\\\""))
}

fn path(value: Option<&std::path::PathBuf>) -> Option<String> {
    value.map(|path| text(path.display()))
}

fn time(value: Duration) -> String {
    text(duration::show(value))
}

fn list<T: Display>(values: &[T]) -> String {
    let items: Vec<String> = values.iter().map(text).collect();
    format!("[{}]", items.join(", "))
}

fn pairs(values: &[(String, String)]) -> String {
    if values.is_empty() {
        return "{}".to_owned();
    }
    let mut out = String::from("{");
    for (nth, (name, value)) in values.iter().enumerate() {
        let _ = write!(out, "{} {name} = {}", if nth == 0 { "" } else { "," }, text(value));
    }
    out + " }"
}

/// The word of a list that means the value.
fn word<T: PartialEq>(words: &[(&str, T)], value: &T) -> Option<String> {
    words.iter().find(|(_, meaning)| meaning == value).map(|(word, _)| text(word))
}

/// The words of a list.
fn names<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
    words.iter().map(|(word, _)| *word).collect()
}

/// For keys whose default is a value.
const fn nothing() -> String {
    String::new()
}

/// The folder that holds where neither the config nor systemd names one.
fn folder(variable: &str, of: fn(&Config, &BTreeMap<String, String>) -> std::path::PathBuf) -> String {
    let usual = of(&Config::default(), &BTreeMap::new());
    format!("`{variable}`, which systemd sets for the unit; else `{}`", usual.display())
}
