//! What an operator wrote wrong: where it stands, what it is, and what to write instead.

use std::{borrow::Cow, fmt, ops::Range};

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How much a mistake matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The config cannot be used.
    Error,
    /// The config is used, and probably does not say what was meant.
    Warning,
}

/// One mistake in a config file. `Display` shows it with its source line, without colour, within 80 columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the config can be used nonetheless.
    pub severity: Severity,
    /// The file, as it was named to [`super::parse`].
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1; a tab is one character.
    pub column: usize,
    /// How many characters of the line are meant, from `column` on; at least 1.
    pub length: usize,
    /// The line as it stands in the file, without its end.
    pub source: String,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// What to write instead, in one sentence without a full stop.
    pub instead: Option<String>,
}

/// Shows diagnostics in the order of the file, and how many there are: `2 errors, 1 warning`.
///
/// Empty for no diagnostics, else it ends with a line break.
#[must_use]
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|found| (&found.file, found.line, found.column, found.severity));
    let mut out = String::new();
    for found in &sorted {
        out.push_str(&found.to_string());
        out.push('\n');
    }
    let errors = sorted.iter().filter(|found| found.severity == Severity::Error).count();
    let counts = [(errors, "error"), (sorted.len() - errors, "warning")];
    let counts: Vec<String> = counts.into_iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(n, noun)).collect();
    if !counts.is_empty() {
        out.push_str(&counts.join(", "));
        out.push('\n');
    }
    out
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match self.severity {
            Severity::Error => "",
            Severity::Warning => "warning: ",
        };
        let head = format!("{}:{}:{}: {label}{}", visible(&self.file), self.line, self.column, visible(&self.what));
        for line in wrapped(&head, WIDTH, 4) {
            writeln!(f, "{line}")?;
        }
        let number = self.line.to_string();
        let gutter = number.width();
        let view =
            View::new(&self.source, self.column.saturating_sub(1), self.length, WIDTH.saturating_sub(gutter + 4));
        writeln!(f, " {number} | {}", view.text.trim_end())?;
        writeln!(f, " {:gutter$} | {:indent$}{}", "", "", "^".repeat(view.carets), indent = view.indent)?;
        if let Some(instead) = &self.instead {
            let prefix = format!(" {:gutter$} = help: ", "");
            for line in wrapped(&format!("{prefix}{}", visible(instead)), WIDTH, prefix.width()) {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

/// The text of a config file, and the mistakes found in it so far.
#[derive(Debug)]
pub(super) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    /// Where each line begins, in bytes.
    starts: Vec<usize>,
    found: Vec<Diagnostic>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { file, text, starts: std::iter::once(0).chain(breaks).collect(), found: Vec::new() }
    }

    /// The file's text.
    pub(super) const fn text(&self) -> &'a str {
        self.text
    }

    /// Notes a mistake that makes the config unusable. `span` is in bytes.
    pub(super) fn error(&mut self, span: &Range<usize>, what: impl Into<String>, instead: impl Into<Option<String>>) {
        self.add(Severity::Error, span, what.into(), instead.into());
    }

    /// Notes an oddity.
    pub(super) fn warn(&mut self, span: &Range<usize>, what: impl Into<String>, instead: impl Into<Option<String>>) {
        self.add(Severity::Warning, span, what.into(), instead.into());
    }

    /// What was found, errors and warnings, in the order of the file.
    pub(super) fn into_found(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|found| (found.line, found.column, found.severity));
        self.found
    }

    /// The diagnostics so far.
    pub(super) fn found(&self) -> &[Diagnostic] {
        &self.found
    }

    /// Drops what was found, except what `keep` keeps.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Diagnostic) -> bool) {
        self.found.retain(keep);
    }

    fn add(&mut self, severity: Severity, span: &Range<usize>, what: String, instead: Option<String>) {
        let (line, start) = self.line_of(span.start);
        let source = self.text.get(start..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
        let source = source.strip_suffix('\r').unwrap_or(source);
        let before = chars_within(source, span.start.saturating_sub(start));
        let length = chars_within(source, span.end.saturating_sub(start)).saturating_sub(before).max(1);
        // A byte order mark is no character that an editor counts.
        let mark = usize::from(source.starts_with(BYTE_ORDER_MARK));
        self.found.push(Diagnostic {
            severity,
            file: self.file.to_owned(),
            line,
            column: before.saturating_sub(mark) + 1,
            length,
            source: source.trim_start_matches(BYTE_ORDER_MARK).to_owned(),
            what,
            instead,
        });
    }

    /// The number, from 1, and the start of the line that holds a byte.
    pub(super) fn line_of(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        (line, self.starts.get(line - 1).copied().unwrap_or(0))
    }
}

/// How many characters of `text` begin before that byte.
fn chars_within(text: &str, bytes: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < bytes).count()
}

/// A text of the file within a sentence: in quotes, control characters escaped, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (nth, character) in text.chars().enumerate() {
        if nth == LONGEST_QUOTE {
            out.push_str("...");
            break;
        }
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            character if is_invisible(character) => out.extend(character.escape_default()),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}

/// `1 error`, `2 errors`.
fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// The part of a source line that is shown, and where its carets stand.
struct View {
    text: String,
    indent: usize,
    carets: usize,
}

impl View {
    /// `at` and `length` are in characters, `room` in columns.
    fn new(source: &str, at: usize, length: usize, room: usize) -> Self {
        let cells: Vec<(Cow<'static, str>, usize)> = cells(source);
        let width = |cells: &[(Cow<'static, str>, usize)]| cells.iter().map(|(_, width)| width).sum::<usize>();
        let at = at.min(cells.len());
        let end = at.saturating_add(length).min(cells.len());
        let marked = width(cells.get(at..end).unwrap_or_default());
        // A long line is shown from where the mistake is visible, with a little of what stands before it.
        let mut first = 0;
        let mut room = room;
        if width(&cells) > room {
            room = room.saturating_sub(2 * ELLIPSIS.len());
            let wanted = marked.min(room.saturating_sub(room / 3));
            while first < at && width(cells.get(first..at).unwrap_or_default()) + wanted > room {
                first += 1;
            }
        }
        let lead = if first > 0 { ELLIPSIS } else { "" };
        let mut text = lead.to_owned();
        let mut used = 0;
        let mut cut = "";
        for (cell, width) in cells.iter().skip(first) {
            if used + width > room {
                cut = ELLIPSIS;
                break;
            }
            used += width;
            text.push_str(cell);
        }
        text.push_str(cut);
        let before = width(cells.get(first..at).unwrap_or_default());
        let carets = marked.min(room.saturating_sub(before)).max(1);
        Self { text, indent: lead.len() + before, carets }
    }
}

/// Each character of a line as it is shown, with its width. A tab is spaces up to the next multiple of four.
fn cells(source: &str) -> Vec<(Cow<'static, str>, usize)> {
    let mut column = 0;
    let mut out = Vec::new();
    for character in source.chars() {
        let cell: Cow<'static, str> = match character {
            '\t' => Cow::Owned(" ".repeat(TAB - column % TAB)),
            character if is_invisible(character) => Cow::Borrowed("?"),
            character => Cow::Owned(character.to_string()),
        };
        let width = cell.chars().map(|shown| shown.width().unwrap_or(0)).sum();
        column += width;
        out.push((cell, width));
    }
    out
}

/// The text with everything replaced that would move the cursor or the reading direction.
fn visible(text: &str) -> String {
    text.chars().map(|character| if is_invisible(character) { '?' } else { character }).collect()
}

/// Control characters, and those that turn the direction of the text: a config must not write to the terminal.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | BYTE_ORDER_MARK)
}

/// The text in lines of at most `width` columns, broken at spaces; lines after the first are indented.
fn wrapped(text: &str, width: usize, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.width() + 1 + word.width() > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(indent)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

const WIDTH: usize = 80;
const TAB: usize = 4;
const ELLIPSIS: &str = "...";
const LONGEST_QUOTE: usize = 60;
const BYTE_ORDER_MARK: char = '\u{feff}';

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::{Report, quoted, render};

    fn shown(text: &str, meant: &str) -> String {
        let start = text.find(meant).expect("the text has it");
        let mut report = Report::new("c.toml", text);
        report.error(&(start..start + meant.len()), "wrong", Some("right".to_owned()));
        render(&report.into_found())
    }

    #[test]
    fn columns_count_characters_and_carets_count_cells() {
        let check = |text: &str, meant: &str, expected: &str| assert_eq!(shown(text, meant), expected);
        check("a = 1\n", "1", "c.toml:1:5: wrong\n 1 | a = 1\n   |     ^\n   = help: right\n\n1 error\n");
        check("\n\tb = 1", "b", "c.toml:2:2: wrong\n 2 |     b = 1\n   |     ^\n   = help: right\n\n1 error\n");
        check(
            "ä = '漢字', x",
            "x",
            "c.toml:1:11: wrong\n 1 | ä = '漢字', x\n   |             ^\n   = help: right\n\n1 error\n",
        );
        check("漢字 = 1", "漢字", "c.toml:1:1: wrong\n 1 | 漢字 = 1\n   | ^^^^\n   = help: right\n\n1 error\n");
        check("\u{feff}a = 1\r\n", "a", "c.toml:1:1: wrong\n 1 | a = 1\n   | ^\n   = help: right\n\n1 error\n");
        check("a = \u{1b}[2J", "[2J", "c.toml:1:6: wrong\n 1 | a = ?[2J\n   |      ^^^\n   = help: right\n\n1 error\n");
    }

    #[test]
    fn everything_fits_80_columns() {
        let long = format!("key = [{}\"here\", {}]", "\"aaaa\", ".repeat(40), "\"bbbb\", ".repeat(40));
        for meant in ["key", "\"here\"", "\"bbbb\", ]", long.as_str()] {
            let out = shown(&long, meant);
            assert!(out.lines().all(|line| line.width() <= 80), "{out}");
            assert!(out.contains('^'), "{out}");
        }
        assert!(shown(&long, "\"here\"").contains("\"here\""));
    }

    #[test]
    fn a_quote_is_short_and_printable() {
        assert_eq!(quoted("a\"b\u{1b}"), r#""a\"b\u{1b}""#);
        assert_eq!(quoted(&"x".repeat(99)), format!("\"{}...\"", "x".repeat(60)));
    }

    #[test]
    fn the_closing_line_counts() {
        let mut report = Report::new("c.toml", "a\nb\n");
        report.error(&(2..3), "second", None);
        report.warn(&(0..1), "first", None);
        report.error(&(0..1), "zeroth", None);
        let out = render(&report.into_found());
        assert!(out.ends_with("\n2 errors, 1 warning\n"), "{out}");
        let order: Vec<_> = ["zeroth", "first", "second"].map(|word| out.find(word).expect("is shown")).to_vec();
        assert!(order.is_sorted(), "{out}");
        assert_eq!(render(&[]), "");
    }
}
