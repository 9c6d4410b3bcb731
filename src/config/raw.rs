//! The document with its positions: readers that note every unknown key and every wrong type.
//!
//! A walk over the parsed document, not serde: serde stops at the first mistake, and a tired operator wants them all.

use std::{
    fmt,
    ops::{Range, RangeInclusive},
};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    diagnostic::{Report, quoted},
    keys::{bracketed, instead_of_key, keys},
};

/// A value and where it stands, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// What the file says about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setting<T> {
    /// Nothing: the default holds.
    Unset,
    /// Something wrong, which has been reported; no rule is applied to it.
    Broken,
    /// This.
    Set(At<T>),
}

impl<T> Setting<T> {
    /// The value, where there is a good one.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Set(at) => Some(at.value),
            Self::Unset | Self::Broken => None,
        }
    }

    /// The value with its position, where there is a good one.
    pub(super) const fn at(&self) -> Option<&At<T>> {
        match self {
            Self::Set(at) => Some(at),
            Self::Unset | Self::Broken => None,
        }
    }

    /// The value, or the default; `None` where the file's value is wrong, so that no second rule trips over it.
    pub(super) fn or_default(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Set(at) => Some(at.value.clone()),
            Self::Unset => Some(default),
            Self::Broken => None,
        }
    }
}

/// One table of the document. `None` inside: the file does not have it.
#[derive(Clone, Debug)]
pub(super) struct Table<'t> {
    section: &'static str,
    entries: Option<&'t DeTable<'t>>,
    span: Range<usize>,
}

impl<'t> Table<'t> {
    /// The document itself.
    pub(super) fn root(document: &'t DeTable<'t>, report: &mut Report<'_>) -> Self {
        let table = Self { section: "", entries: Some(document), span: 0..0 };
        table.refuse_unknown(report);
        table
    }

    /// Where the table begins.
    pub(super) const fn span(&self) -> &Range<usize> {
        &self.span
    }

    /// A table within this one.
    pub(super) fn table(&self, key: &'static str, section: &'static str, report: &mut Report<'_>) -> Self {
        let absent = Self { section, entries: None, span: 0..0 };
        let Some(node) = self.entries.and_then(|entries| entries.get(key)) else { return absent };
        let value = Value { key: section, node };
        let hint = if value.is_list() {
            format!("[{section}] with one bracket, and only once")
        } else {
            format!("[{section}] on a line of its own, its keys below it")
        };
        let Some(entries) = value.entries(&hint, report) else {
            return absent;
        };
        let table = Self { section, entries: Some(entries), span: node.span() };
        table.refuse_unknown(report);
        table
    }

    /// The entries of an array of tables, `[[key]]`.
    pub(super) fn tables(&self, key: &'static str, report: &mut Report<'_>) -> Vec<Self> {
        let Some(node) = self.entries.and_then(|entries| entries.get(key)) else { return Vec::new() };
        let value = Value { key, node };
        let hint = format!("[[{key}]] with two brackets, once for each {key}");
        let DeValue::Array(items) = node.get_ref() else {
            value.wrong(&format!("a list of tables, [[{key}]]"), Some(format!("write {hint}")), report);
            return Vec::new();
        };
        if value.is_too_long(items.len(), report) {
            return Vec::new();
        }
        let mut tables = Vec::new();
        for item in items {
            if let Some(entries) = (Value { key, node: item }).entries(&hint, report) {
                let table = Self { section: key, entries: Some(entries), span: item.span() };
                table.refuse_unknown(report);
                tables.push(table);
            }
        }
        tables
    }

    /// What the file says about a key, by one of the readers of [`Value`].
    pub(super) fn read<T>(
        &self,
        key: &'static str,
        report: &mut Report<'_>,
        reader: impl FnOnce(Value<'t>, &mut Report<'_>) -> Option<T>,
    ) -> Setting<T> {
        let Some(node) = self.entries.and_then(|entries| entries.get(key)) else { return Setting::Unset };
        reader(Value { key, node }, report)
            .map_or(Setting::Broken, |value| Setting::Set(At { value, span: node.span() }))
    }

    fn refuse_unknown(&self, report: &mut Report<'_>) {
        let known = keys(self.section);
        for (key, _) in self.entries.into_iter().flat_map(|entries| entries.iter()) {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let place =
                if self.section.is_empty() { String::new() } else { format!(" in {}", bracketed(self.section)) };
            report.error(
                &key.span(),
                format!("unknown key {}{place}", quoted(name)),
                Some(instead_of_key(name, self.section, &known)),
            );
        }
    }
}

/// One value of the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'t> {
    /// Its key, for sentences.
    pub(super) key: &'static str,
    node: &'t Spanned<DeValue<'t>>,
}

impl<'t> Value<'t> {
    /// Where it stands.
    pub(super) fn span(&self) -> Range<usize> {
        self.node.span()
    }

    /// A string.
    pub(super) fn text(self, report: &mut Report<'_>) -> Option<&'t str> {
        self.text_like("a text in quotes", |written| format!("write \"{written}\" in quotes"), report)
    }

    /// A string that means something else, e.g. a duration; `instead` is told the bare value that stands there.
    pub(super) fn text_like(
        self,
        wanted: &str,
        instead: impl FnOnce(&str) -> String,
        report: &mut Report<'_>,
    ) -> Option<&'t str> {
        let hint = match self.node.get_ref() {
            DeValue::String(text) => return Some(text),
            DeValue::Integer(number) => Some(instead(&number.to_string())),
            DeValue::Float(number) => Some(instead(number.as_str())),
            DeValue::Boolean(flag) => Some(instead(&flag.to_string())),
            DeValue::Datetime(moment) => Some(instead(&moment.to_string())),
            DeValue::Table(_) => Some(format!("write {wanted}")),
            DeValue::Array(items) => items
                .iter()
                .next()
                .filter(|_| items.len() == 1)
                .and_then(|item| item.get_ref().as_str())
                .map(|item| format!("write {} without brackets", quoted(item)))
                .or_else(|| Some(format!("write {wanted}, without brackets"))),
        };
        self.wrong(wanted, hint, report);
        None
    }

    /// `true` or `false`.
    pub(super) fn flag(self, report: &mut Report<'_>) -> Option<bool> {
        let meant = match self.node.get_ref() {
            DeValue::Boolean(flag) => return Some(*flag),
            DeValue::String(text) => truth(text),
            DeValue::Integer(number) => truth(number.as_str()),
            DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
        };
        let hint =
            meant.map_or_else(|| "write true or false".to_owned(), |flag| format!("write {flag} without quotes"));
        self.wrong("true or false", Some(hint), report);
        None
    }

    /// A whole number within bounds.
    pub(super) fn integer(self, bounds: &RangeInclusive<i64>, report: &mut Report<'_>) -> Option<i64> {
        let range = format!("write a whole number from {} to {}", bounds.start(), bounds.end());
        let number = match self.node.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            DeValue::String(text) => {
                let hint = match text.trim().parse::<i64>() {
                    Ok(number) => format!("write {number} without quotes"),
                    Err(_) => range,
                };
                self.wrong("a whole number", Some(hint), report);
                return None;
            }
            DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong("a whole number", Some(range), report);
                return None;
            }
        };
        let within = number.filter(|number| bounds.contains(number));
        if within.is_none() {
            let written = self.found();
            report.error(&self.span(), format!("{}: {written} is out of range", self.key), Some(range));
        }
        within
    }

    /// A number, whole or not.
    pub(super) fn number(self, report: &mut Report<'_>) -> Option<f64> {
        let hint = match self.node.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => return number.as_str().parse().ok(),
            DeValue::Float(number) => return number.as_str().parse().ok(),
            DeValue::String(text) => {
                text.trim().parse::<f64>().ok().map(|number| format!("write {number} without quotes"))
            }
            DeValue::Integer(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        self.wrong("a number", hint, report);
        None
    }

    /// A list; each item is read, and all wrong ones are noted. `None` if the list or any item is wrong.
    pub(super) fn list<T>(
        self,
        report: &mut Report<'_>,
        mut reader: impl FnMut(Self, &mut Report<'_>) -> Option<T>,
    ) -> Option<Vec<At<T>>> {
        let DeValue::Array(items) = self.node.get_ref() else {
            let hint = match self.node.get_ref().as_str() {
                Some(item) => format!("write [{}]", quoted(item)),
                None => "write its items in brackets, with commas between them".to_owned(),
            };
            self.wrong("a list in brackets", Some(hint), report);
            return None;
        };
        if self.is_too_long(items.len(), report) {
            return None;
        }
        let read: Vec<Option<At<T>>> = items
            .iter()
            .map(|node| {
                let value = reader(Value { key: self.key, node }, report)?;
                Some(At { value, span: node.span() })
            })
            .collect();
        read.into_iter().collect()
    }

    /// A table whose keys are the operator's own, in the file's order.
    pub(super) fn pairs(self, report: &mut Report<'_>) -> Option<Vec<(At<&'t str>, Self)>> {
        let entries = self.entries(&format!("{} = {{ Key = \"value\" }}", self.key), report)?;
        let mut pairs: Vec<_> = entries
            .iter()
            .map(|(key, node)| (At { value: key.get_ref().as_ref(), span: key.span() }, Value { key: self.key, node }))
            .collect();
        pairs.sort_by_key(|(key, _)| key.span.start);
        Some(pairs)
    }

    /// Whether the value is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.get_ref(), DeValue::Array(_))
    }

    /// The value, if it is `true` or `false`.
    pub(super) fn as_flag(&self) -> Option<bool> {
        self.node.get_ref().as_bool()
    }

    /// Notes that the value is of the wrong type.
    pub(super) fn wrong(&self, wanted: &str, instead: Option<String>, report: &mut Report<'_>) {
        let what = format!("{}: expected {wanted}, found {}", self.key, self.found());
        report.error(&self.span(), what, instead);
    }

    /// Notes a list that no operator wrote: rules that compare its items would take for ever.
    fn is_too_long(&self, length: usize, report: &mut Report<'_>) -> bool {
        if length > MOST_ITEMS {
            let what = format!("{}: {length} items are too many", self.key);
            report.error(&self.span(), what, Some(format!("write at most {MOST_ITEMS}")));
        }
        length > MOST_ITEMS
    }

    fn entries(self, hint: &str, report: &mut Report<'_>) -> Option<&'t DeTable<'t>> {
        if let DeValue::Table(entries) = self.node.get_ref() {
            return Some(entries);
        }
        self.wrong("a table", Some(format!("write {hint}")), report);
        None
    }

    /// What stands there, within a sentence.
    fn found(&self) -> Found<'t> {
        Found(self.node.get_ref())
    }
}

struct Found<'t>(&'t DeValue<'t>);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            DeValue::String(text) => write!(f, "the text {}", quoted(text)),
            DeValue::Integer(number) => write!(f, "the number {number}"),
            DeValue::Float(number) => write!(f, "the number {}", number.as_str()),
            DeValue::Boolean(flag) => write!(f, "{flag}"),
            DeValue::Datetime(moment) => write!(f, "the date or time {moment}"),
            DeValue::Array(_) => f.write_str("a list"),
            DeValue::Table(_) => f.write_str("a table"),
        }
    }
}

/// The longest list.
const MOST_ITEMS: usize = 1000;

/// What people mean by words that are not TOML's.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "enabled" => Some(true),
        "false" | "no" | "off" | "0" | "disabled" => Some(false),
        _ => None,
    }
}
