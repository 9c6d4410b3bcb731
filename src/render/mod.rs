//! What people and programs see of a round. Pure: a [`crate::model::round::Round`] in, text out; every text ends with a
//! newline or is empty, and nothing that came from the network reaches a terminal unescaped.

pub mod explain;
pub mod json;
pub mod nagios;
pub mod openmetrics;
pub mod short;
pub mod table;

mod figures;
mod page;
mod text;

/// Whether the output may carry colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Color {
    /// No escape sequence at all.
    #[default]
    Plain,
    /// The 8 ANSI colours, bold and dim.
    Ansi,
}

/// Which characters the output may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Glyphs {
    /// Anything: the locale is UTF-8.
    Unicode,
    /// ASCII only.
    #[default]
    Ascii,
}

/// How the output may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Colour or none.
    pub color: Color,
    /// The characters.
    pub glyphs: Glyphs,
    /// The terminal's width in columns. Text is laid out for 72 to 100 of them: narrower tears the columns, wider tires.
    pub width: usize,
}

impl Style {
    /// The columns that the text is laid out for.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.width.clamp(NARROWEST, WIDEST)
    }
}

impl Default for Style {
    /// What every terminal and every pipe can take: plain ASCII in 80 columns.
    fn default() -> Self {
        Self { color: Color::Plain, glyphs: Glyphs::Ascii, width: 80 }
    }
}

/// A length of time for a person: `41 s`, `6 min`, `2 h 5 min`, `3 d 4 h`.
#[must_use]
pub fn span(seconds: f64) -> String {
    figures::span(seconds)
}

/// The text as one line that no terminal, log or parser obeys: white space becomes spaces, control and invisible characters
/// their escapes, and what is too long for a line is cut with a sign of it.
#[must_use]
pub fn line(text: &str) -> String {
    text::clean(text, Glyphs::Unicode)
}

const NARROWEST: usize = 72;
const WIDEST: usize = 100;
