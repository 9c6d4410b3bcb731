//! A page of text in the making: every word that is written passes [`text::clean`], so nothing raw can slip by.

use super::{Color, Glyphs, Style, text};
use crate::model::verdict::{RoundVerdict, Severity, Verdict};

/// Lines so far, and how they may look.
pub(super) struct Page<'s> {
    style: &'s Style,
    out: String,
}

/// A stretch of text in one look.
pub(super) struct Span {
    paint: Paint,
    text: String,
}

/// How a stretch of text looks where colour is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Plain,
    Strong,
    Faint,
    Good,
    Doubtful,
    Bad,
}

impl Paint {
    const fn code(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Good => Some("32"),
            Self::Doubtful => Some("33"),
            Self::Bad => Some("1;31"),
        }
    }

    /// The look of words about something with this verdict.
    pub(super) fn span(self, text: impl Into<String>) -> Span {
        Span { paint: self, text: text.into() }
    }
}

impl From<Verdict> for Paint {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Skipped => Self::Faint,
            Verdict::Healthy => Self::Good,
            Verdict::Degraded => Self::Doubtful,
            Verdict::Failed => Self::Bad,
        }
    }
}

impl From<RoundVerdict> for Paint {
    fn from(verdict: RoundVerdict) -> Self {
        match verdict {
            RoundVerdict::Healthy => Self::Good,
            RoundVerdict::Degraded => Self::Doubtful,
            RoundVerdict::Failed => Self::Bad,
        }
    }
}

impl From<Severity> for Paint {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Note => Self::Faint,
            Severity::Warning => Self::Doubtful,
            Severity::Failure => Self::Bad,
        }
    }
}

impl<'s> Page<'s> {
    /// An empty page.
    pub(super) const fn new(style: &'s Style) -> Self {
        Self { style, out: String::new() }
    }

    /// The page's text.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// The columns to lay out for.
    pub(super) fn columns(&self) -> usize {
        self.style.columns()
    }

    /// The characters to use.
    pub(super) const fn glyphs(&self) -> Glyphs {
        self.style.glyphs
    }

    /// An empty line, unless the page is empty.
    pub(super) fn gap(&mut self) {
        if !self.out.is_empty() {
            self.out.push('\n');
        }
    }

    /// One line, as it is: the caller has seen to its width.
    pub(super) fn line(&mut self, spans: &[Span]) {
        for span in spans {
            self.push(span.paint, &span.text);
        }
        self.end_line();
    }

    /// Words apart from each other by two spaces; a line is broken only between them, and then indented.
    pub(super) fn cells(&mut self, cells: &[Span]) {
        let mut at = 0;
        for cell in cells {
            let cut = text::cut(&cell.text, self.columns().saturating_sub(2), self.glyphs());
            let wide = text::width(&cut);
            if at > 0 && at + 2 + wide > self.columns() {
                self.end_line();
                self.out.push_str("  ");
                at = 2;
            } else if at > 0 {
                self.out.push_str("  ");
                at += 2;
            }
            self.push(cell.paint, &cut);
            at += wide;
        }
        self.end_line();
    }

    /// A paragraph after `lead`; all lines but the first start at column `hang`.
    pub(super) fn flow(&mut self, lead: &Span, hang: usize, body: &Span) {
        let lead_text = text::clean(&lead.text, self.glyphs());
        let columns = self.columns();
        let body_text = text::clean(&body.text, self.glyphs());
        let lines =
            text::wrap(&body_text, columns.saturating_sub(text::width(&lead_text)), columns.saturating_sub(hang));
        for (at, line) in lines.iter().enumerate() {
            if at == 0 {
                self.push(lead.paint, &lead_text);
            } else {
                self.push(Paint::Plain, &" ".repeat(hang));
            }
            self.push(body.paint, line);
            self.end_line();
        }
    }

    /// A step of advice: its sentence wrapped after `lead`, its command on lines of its own.
    pub(super) fn step(&mut self, lead: &str, advice: &str) {
        let hang = text::width(lead);
        let advice = text::clean(advice, self.glyphs());
        let step = text::step(&advice);
        let Some(command) = step.command else {
            self.flow(&Paint::Plain.span(lead), hang, &Paint::Plain.span(step.prose));
            return;
        };
        if step.prose.is_empty() {
            self.command(lead, command);
        } else {
            self.flow(&Paint::Plain.span(lead), hang, &Paint::Plain.span(step.prose));
            self.command(&" ".repeat(hang + 2), command);
        }
    }

    /// A command after `lead`, broken only between its words.
    pub(super) fn command(&mut self, lead: &str, command: &str) {
        let hang = text::width(lead);
        let command = text::clean(command, self.glyphs());
        for (at, line) in text::fold_command(&command, self.columns().saturating_sub(hang)).iter().enumerate() {
            let margin = if at == 0 { lead.to_owned() } else { " ".repeat(hang) };
            self.line(&[Paint::Plain.span(margin), Paint::Strong.span(line)]);
        }
    }

    fn push(&mut self, paint: Paint, words: &str) {
        let words = text::clean(words, self.glyphs());
        match (self.style.color, paint.code()) {
            (Color::Ansi, Some(code)) if !words.trim().is_empty() => {
                self.out += ["\u{1b}[", code, "m", &words, "\u{1b}[0m"].concat().as_str();
            }
            (Color::Ansi | Color::Plain, _) => self.out.push_str(&words),
        }
    }

    fn end_line(&mut self) {
        let end = self.out.trim_end_matches(' ').len();
        self.out.truncate(end);
        self.out.push('\n');
    }
}

/// The verdict as a mark: one column in Unicode, a word of up to four in ASCII.
pub(super) const fn mark(verdict: Verdict, glyphs: Glyphs) -> &'static str {
    match (verdict, glyphs) {
        (Verdict::Healthy, Glyphs::Unicode) => "✓",
        (Verdict::Healthy, Glyphs::Ascii) => "OK",
        (Verdict::Degraded, Glyphs::Unicode) => "!",
        (Verdict::Degraded, Glyphs::Ascii) => "WARN",
        (Verdict::Failed, Glyphs::Unicode) => "×",
        (Verdict::Failed, Glyphs::Ascii) => "FAIL",
        (Verdict::Skipped, Glyphs::Unicode) => "–",
        (Verdict::Skipped, Glyphs::Ascii) => "SKIP",
    }
}

/// The severity as a mark, as wide as [`mark`].
pub(super) const fn sign(severity: Severity, glyphs: Glyphs) -> &'static str {
    match (severity, glyphs) {
        (Severity::Failure, _) => mark(Verdict::Failed, glyphs),
        (Severity::Warning, _) => mark(Verdict::Degraded, glyphs),
        (Severity::Note, Glyphs::Unicode) => "i",
        (Severity::Note, Glyphs::Ascii) => "NOTE",
    }
}

/// The columns that a mark may take.
pub(super) const fn mark_width(glyphs: Glyphs) -> usize {
    match glyphs {
        Glyphs::Unicode => 1,
        Glyphs::Ascii => 4,
    }
}
