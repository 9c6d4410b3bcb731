//! What is wrong with a file that is not TOML, said in the words of the operator and not of the grammar.

use std::{collections::BTreeSet, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::{
    diagnostic::{Report, quoted},
    raw,
};

/// A document, as much of it as could be read.
#[derive(Debug)]
pub(super) struct Document<'t> {
    pub(super) root: Spanned<DeTable<'t>>,
    /// How much of the file `root` shows.
    pub(super) extent: Extent,
}

/// How much of a file could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// All but some lines, which have been reported.
    Gaps,
    /// Not enough to say anything about what it means.
    Broken,
}

/// The text with the lines blanked that keep the parser from seeing what follows them; every mistake of grammar is
/// reported, one for each line. Offsets stay what they are.
pub(super) fn readable(report: &mut Report<'_>) -> String {
    let mut text = report.text().to_owned();
    for _ in 0..MOST_GAPS {
        let (_, errors) = DeTable::parse_recoverable(&text);
        // The parser stops at a key without "=", as in YAML, and would hide every later mistake.
        let Some(at) = errors.iter().filter(|error| error.message().starts_with(NO_VALUE)).find_map(Error::span) else {
            break;
        };
        let (_, start) = report.line_of(at.start);
        let end = text.get(start..).map_or(text.len(), |rest| start + rest.find('\n').unwrap_or(rest.len()));
        let first = errors.iter().filter_map(Error::span).filter(|span| (start..=end).contains(&span.start));
        let span = first.min_by_key(|span| span.start).unwrap_or(at);
        explain(NO_VALUE, &span, report);
        if start == end {
            break;
        }
        text.replace_range(start..end, &" ".repeat(end - start));
    }
    text
}

/// Parses what [`readable`] gave, and reports what is still wrong.
pub(super) fn parse<'t>(text: &'t str, report: &mut Report<'_>) -> Document<'t> {
    let gaps = !report.found().is_empty();
    let (root, mut errors) = DeTable::parse_recoverable(text);
    let mut extent = if gaps || !errors.is_empty() { Extent::Gaps } else { Extent::Whole };
    if let Some(open) = unclosed(root.get_ref(), &errors, text) {
        // The rest of the file was swallowed as part of it: what the parser says of that is noise.
        errors.retain(|error| error.span().is_some_and(|span| span.start < open.start));
        let (what, bracket) = if text.get(open.clone()).is_some_and(|text| text.starts_with('[')) {
            ("this list is never closed", "]")
        } else {
            ("this table is never closed", "}")
        };
        report.error(&(open.start..open.start + 1), what, Some(format!("add \"{bracket}\" after its last value")));
        extent = Extent::Broken;
    }
    let mut told: BTreeSet<usize> = report.found().iter().map(|found| found.line).collect();
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));
    for error in &errors {
        if !LOCAL.iter().any(|message| error.message().starts_with(message)) {
            extent = Extent::Broken;
        }
        if report.found().len() >= MOST_TOLD {
            continue;
        }
        let span = match error.message() {
            message if message.starts_with("invalid multi-line basic") => opening("\"\"\"", error, text),
            message if message.starts_with("invalid multi-line literal") => opening("'''", error, text),
            _ => error.span().unwrap_or(0..0),
        };
        let (line, _) = report.line_of(span.start);
        // What follows another mistake on its line is mostly its echo; several bare values are not.
        if told.insert(line) || VALUES.iter().any(|beginning| error.message().starts_with(beginning)) {
            explain(error.message(), &span, report);
        }
    }
    Document { root, extent }
}

/// The quotes that open a text without an end, which the parser only misses at the end of the file.
fn opening(quotes: &str, error: &Error, text: &str) -> Range<usize> {
    let span = error.span().unwrap_or(0..0);
    let open = text.get(..span.start).filter(|_| span.is_empty()).and_then(|before| before.rfind(quotes));
    open.map_or(span, |at| at..at + quotes.len())
}

/// The bracket that opens the outermost list or table without an end.
fn unclosed(root: &DeTable<'_>, errors: &[Error], text: &str) -> Option<Range<usize>> {
    let end = errors.iter().filter(|error| UNCLOSED.iter().any(|message| error.message().starts_with(message)));
    let end = end.filter_map(Error::span).map(|span| span.start).min()?;
    let mut open: Option<Range<usize>> = None;
    let mut tables = vec![root];
    while let Some(table) = tables.pop() {
        for (key, value) in table {
            let span = value.span();
            match value.get_ref() {
                DeValue::Table(nested) => tables.push(nested),
                DeValue::Array(items) => tables.extend(items.iter().filter_map(|item| item.get_ref().as_table())),
                DeValue::String(_)
                | DeValue::Integer(_)
                | DeValue::Float(_)
                | DeValue::Boolean(_)
                | DeValue::Datetime(_) => continue,
            }
            // A header's span begins before its key: that is no value that could be open.
            if key.span().end > span.start {
                continue;
            }
            // The parser lets a header's "]" end an open table, and misses the "}" only later.
            let written = text.get(span.clone()).unwrap_or_default();
            let mismatched = written.starts_with('{') && written.ends_with(']');
            let holds = mismatched || (span.start..=span.end).contains(&end);
            if holds && open.as_ref().is_none_or(|outer| span.start < outer.start) {
                open = Some(span);
            }
        }
    }
    open
}

/// Reports one mistake of grammar: `message` is the parser's.
fn explain(message: &str, span: &Range<usize>, report: &mut Report<'_>) {
    let text = report.text();
    let (_, start) = report.line_of(span.start);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    if let Some((what, instead)) = foreign(line) {
        report.error(span, what, instead);
    } else if VALUES.iter().any(|beginning| message.starts_with(beginning)) {
        let (value, span) = whole_value(span, start, line);
        let (what, instead) = bare(&value);
        report.error(&span, what, instead);
    } else {
        let (what, instead) =
            known(message, span, start, text, line).unwrap_or_else(|| (format!("this is not TOML: {message}"), None));
        report.error(span, what, instead);
    }
}

type Explained = (String, Option<String>);

/// Habits of other languages, seen from the whole line.
fn foreign(line: &str) -> Option<Explained> {
    let line = line.trim();
    if ["//", ";", "--", "/*"].iter().any(|mark| line.starts_with(mark)) {
        return Some(("this is not a comment in TOML".to_owned(), Some("begin comments with #".to_owned())));
    }
    let header = line.strip_prefix('[').and_then(|rest| rest.strip_suffix("]]"));
    if header.is_some_and(|name| !name.contains(['[', '='])) {
        return Some((
            "this header has one bracket on the left, two on the right".to_owned(),
            Some(format!("write [{line}")),
        ));
    }
    let (key, value) = line.split_once(':')?;
    let key = key.trim();
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let value = value.trim();
    is_key.then(|| {
        let instead = if value.is_empty() {
            format!("write [{key}] if a table begins here, else {key} = and its value")
        } else if let Some(flag) = raw::truth(value).filter(|_| value.parse::<f64>().is_err()) {
            format!("write {key} = {flag}")
        } else if value.starts_with(['"', '\'', '[', '{']) || value.parse::<f64>().is_ok() {
            format!("write {key} = {value}")
        } else {
            format!("write {key} = {}", quoted(value))
        };
        ("a key and its value are joined by \"=\", not by \":\"".to_owned(), Some(instead))
    })
}

/// The parser's own messages, in other words.
fn known(message: &str, span: &Range<usize>, start: usize, text: &str, line: &str) -> Option<Explained> {
    let is = |beginning: &str| message.starts_with(beginning);
    let some = |what: String, instead: &str| Some((what, Some(instead.to_owned())));
    let written = text.get(span.clone()).unwrap_or_default();
    if is("duplicate key") {
        return Some(duplicate(written, start, text, line));
    }
    if is(NO_VALUE) {
        return some("a key without a value".to_owned(), "write it as key = value");
    }
    if is("invalid basic string") || is("invalid literal string") {
        if written.is_empty() {
            let quote = if is("invalid literal string") { '\'' } else { '"' };
            return Some(("this text is not closed".to_owned(), Some(format!("add {quote} at its end"))));
        }
        return some(
            format!("a text cannot hold {}", quoted(written)),
            "remove it, or write it as an escape like \\u0009",
        );
    }
    if is("invalid multi-line") {
        return some("this text is not closed".to_owned(), "close it with the three quotes that it began with");
    }
    if is("missing escaped value") {
        return some(
            "a backslash begins an escape, and this one does not exist".to_owned(),
            "write \\\\ for a backslash",
        );
    }
    if is("unclosed table") || is("unclosed array table") {
        let brackets = if is("unclosed table") { "]" } else { "]]" };
        return Some(("this header is not closed".to_owned(), Some(format!("end it with {brackets}"))));
    }
    if is("unexpected key or value") {
        return some(
            "something follows the value on its line".to_owned(),
            "give each key a line of its own, with nothing after the value",
        );
    }
    if is("missing comma") {
        return some("a comma is missing".to_owned(), "put \",\" between the values");
    }
    if is("extra comma") {
        return some("a comma too many".to_owned(), "remove it");
    }
    if is("invalid unquoted key") && written.starts_with(':') {
        return some("a key and its value are joined by \"=\", not by \":\"".to_owned(), "write key = value");
    }
    if is("invalid unquoted key") || is("unquoted keys cannot be empty") {
        return some("this is not a key".to_owned(), "put it in quotes; vpce-probe's own keys are made of a-z and _");
    }
    if is("invalid comment character") {
        return some("a control character in a comment".to_owned(), "remove it");
    }
    None
}

/// A value that stands without quotes and is none of TOML's own.
fn bare(value: &str) -> Explained {
    let straight = value.trim_matches(TYPOGRAPHIC);
    if value.is_empty() {
        return ("the value is missing".to_owned(), Some("write one after the \"=\", or remove the line".to_owned()));
    }
    if straight.len() < value.len() {
        let what = "typographic quotes are not quotes in TOML".to_owned();
        return (what, Some(format!("write {}", quoted(straight))));
    }
    let stripped = value.trim_end_matches(';').trim_end();
    if let Some(flag) = raw::truth(stripped) {
        return (format!("{} is not a TOML value", quoted(value)), Some(format!("write {flag}")));
    }
    if stripped.len() < value.len() {
        return ("no \";\" ends a line in TOML".to_owned(), Some("remove it".to_owned()));
    }
    let digits = value.trim_start_matches(['+', '0']);
    if !digits.is_empty() && digits.len() < value.len() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return (format!("{} is not a TOML value", quoted(value)), Some(format!("write {digits}")));
    }
    let bare = quoted(value);
    (format!("the text {} needs quotes", bare.trim_matches('"')), Some(format!("write {bare}")))
}

/// A key or header that stands twice.
fn duplicate(written: &str, start: usize, text: &str, line: &str) -> Explained {
    let wanted = left(line);
    let header = wanted.starts_with('[');
    let before = text.get(..start).unwrap_or_default();
    let mut earlier = before.lines().enumerate().filter(|(_, line)| left(line) == wanted).map(|(number, _)| number + 1);
    // A key is repeated within its own table: the nearest line is meant. A header stands first where it first stands.
    let first = if header { earlier.next() } else { earlier.last() };
    let first = first.map(|number| format!("; it stands on line {number} already")).unwrap_or_default();
    if header {
        (format!("{} stands twice", quoted(wanted).trim_matches('"')), Some(format!("join the two into one{first}")))
    } else {
        (format!("{} is set twice", quoted(written)), Some(format!("remove one{first}")))
    }
}

/// What stands before the "=" of a line, or its header.
fn left(line: &str) -> &str {
    line.split(['=', '#']).next().unwrap_or_default().trim()
}

/// The whole of a value of which the parser shows a part.
fn whole_value(span: &Range<usize>, start: usize, line: &str) -> (String, Range<usize>) {
    let at = span.start.saturating_sub(start);
    let edge = |c: char| matches!(c, '=' | ',' | '[' | '{');
    let from = line.get(..at).and_then(|before| before.rfind(edge)).map_or(0, |edge| edge + 1);
    let rest = line.get(from..).unwrap_or_default();
    let value = rest.split([',', ']', '}', '#']).next().unwrap_or_default();
    let blanks = value.len() - value.trim_start().len();
    let value = value.trim();
    if value.is_empty() {
        return (String::new(), span.clone());
    }
    let from = start + from + blanks;
    (value.to_owned(), from..from + value.len())
}

/// A value that is none of TOML's own, mostly a text without quotes.
const BARE: &str = "string values must be quoted";

/// How the parser says that a value is none.
const VALUES: &[&str] =
    &[BARE, "invalid boolean", "invalid float", "invalid integer", "invalid digit", "unexpected leading zero"];

const NO_VALUE: &str = "key with no value";

/// Mistakes that end the shape of the document.
const UNCLOSED: &[&str] = &["unclosed array,", "unclosed inline table"];

/// Mistakes that stay within their line.
const LOCAL: &[&str] = &[
    "string values must be quoted",
    "duplicate key",
    "invalid boolean",
    "invalid float",
    "invalid integer",
    "invalid digit",
    "invalid unquoted key",
    "invalid comment character",
    "invalid basic string",
    "invalid literal string",
    "unexpected leading zero",
    "missing escaped value",
    "unexpected key or value",
];

const TYPOGRAPHIC: &[char] = &['“', '”', '„', '‟', '‘', '’', '‚', '«', '»'];

/// How many unreadable lines are stepped over before the rest is left alone.
const MOST_GAPS: usize = 100;

/// How many mistakes of grammar are told: a file that has more is no config.
const MOST_TOLD: usize = 500;
