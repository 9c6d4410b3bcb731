//! A page in roff, man(7), from plain words.
//!
//! Words in backticks are meant literally: bold, and a path in italics. Everything else is escaped, so that neither groff nor
//! mandoc finds anything to obey in it.

/// A page in the making.
#[derive(Debug)]
pub(super) struct Page {
    out: String,
    /// Right below a heading: a paragraph needs no mark there.
    fresh: bool,
}

impl Page {
    /// Title and name; `about` is what `man -k` shows.
    pub(super) fn new(name: &str, section: u8, volume: &str, about: &str) -> Self {
        let mut page = Self { out: String::new(), fresh: true };
        page.line(".\\\" Made by `vpce-probe man`: do not edit.");
        page.line(&format!(
            ".TH {} {section} {DATE} \"vpce-probe {}\" \"{volume}\"",
            name.to_uppercase(),
            env!("CARGO_PKG_VERSION")
        ));
        // Words as long as host names look odd between margins that are both straight.
        page.line(".ad l");
        page.line(".nh");
        page.section("NAME");
        page.line(&format!("{} \\- {}", literal(name), escaped(about)));
        page
    }

    /// The page's text.
    pub(super) fn finish(self) -> String {
        self.out
    }

    /// A heading.
    pub(super) fn section(&mut self, title: &str) {
        self.line(&format!(".SH {}", quoted(title)));
        self.fresh = true;
    }

    /// A heading below a heading.
    pub(super) fn part(&mut self, title: &str) {
        self.line(&format!(".SS {}", quoted(title)));
        self.fresh = true;
    }

    /// A paragraph.
    pub(super) fn paragraph(&mut self, words: &str) {
        if !self.fresh {
            self.line(".PP");
        }
        self.flow(words);
    }

    /// A word, and beside or below it what it means.
    pub(super) fn entry(&mut self, tag: &str, words: &str) {
        self.line(".TP");
        self.line(&marked(tag).replace(GLUE, "\\ "));
        self.flow(words);
    }

    /// The same, with so many columns for the word.
    pub(super) fn row(&mut self, columns: usize, tag: &str, words: &str) {
        self.line(&format!(".TP {columns}"));
        self.line(&marked(tag).replace(GLUE, "\\ "));
        self.flow(words);
    }

    /// A further paragraph of the last entry.
    pub(super) fn more(&mut self, words: &str) {
        self.line(".IP");
        self.flow(words);
    }

    /// Entries below the last entry.
    pub(super) fn below(&mut self, entries: impl IntoIterator<Item = (String, String)>) {
        self.line(".RS");
        for (tag, words) in entries {
            self.entry(&tag, &words);
        }
        self.line(".RE");
    }

    /// Lines as they are.
    pub(super) fn verbatim(&mut self, lines: &str) {
        self.line(".PP");
        self.line(".RS 4");
        self.line(".nf");
        for line in lines.lines() {
            self.line(&guarded(&literal_text(line)));
        }
        self.line(".fi");
        self.line(".RE");
        self.fresh = false;
    }

    fn flow(&mut self, words: &str) {
        let mut line = String::new();
        for word in marked(words).split_ascii_whitespace() {
            if !line.is_empty() && line.len() + 1 + word.len() > COLUMNS {
                self.text(&line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.text(&line);
        self.fresh = false;
    }

    fn text(&mut self, line: &str) {
        self.line(&guarded(line).replace(GLUE, "\\ "));
    }

    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }
}

/// A line that begins with a dot or an apostrophe would be a request.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// Words with their backticks turned into fonts.
fn marked(words: &str) -> String {
    let mut out = String::new();
    for (nth, part) in words.split('`').enumerate() {
        if nth % 2 == 0 {
            out.push_str(&plain(part));
        } else if part.starts_with('/') && part.len() > 1 {
            out = out + "\\fI" + &literal_text(part) + "\\fR";
        } else {
            out.push_str(&literal(part));
        }
    }
    out
}

/// Words as they are; a path is not broken at its hyphens, whoever wrote it.
fn plain(words: &str) -> String {
    let word = |word: &str| if word.starts_with('/') { literal_text(word) } else { escaped(word) };
    words.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What is typed as it stands; a short one is not broken.
fn literal(words: &str) -> String {
    let text = literal_text(words);
    let text = if words.len() <= UNBROKEN { text.replace(' ', GLUE) } else { text };
    format!("\\fB{text}\\fR")
}

/// Minus signs that can be copied, in place of hyphens.
fn literal_text(words: &str) -> String {
    escaped(words).replace('-', "\\-")
}

fn escaped(words: &str) -> String {
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '\'' => out.push_str("\\(aq"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            other => out.push(other),
        }
    }
    out
}

fn quoted(title: &str) -> String {
    if title.contains(' ') { format!("\"{title}\"") } else { title.to_owned() }
}

/// Of the source, not of the screen.
const COLUMNS: usize = 76;
/// The longest literal that stays on one line of the screen.
const UNBROKEN: usize = 44;
/// Stands for a blank that is not broken at, until the line is written.
pub(super) const GLUE: &str = "\u{a0}";
/// When the words were last gone through. Not the day of the build: the same source gives the same page.
const DATE: &str = "2026-11-21";

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Page};

    #[test]
    fn nothing_in_the_words_is_obeyed() {
        let mut page = Page::new("x", 8, "Volume", "about");
        page.paragraph(".SH it's `--a -b` \\n and `/etc/x-y`.");
        let told = page.finish();
        assert!(told.ends_with("\\&.SH it\\(aqs \\fB\\-\\-a\\ \\-b\\fR \\en and \\fI/etc/x\\-y\\fR.\n"), "{told}");
    }

    #[test]
    fn long_paragraphs_are_broken_between_words() {
        let mut page = Page::new("x", 8, "Volume", "about");
        page.paragraph(&"some words 'here ".repeat(40));
        let told = page.finish();
        assert!(told.lines().all(|line| line.len() <= COLUMNS), "{told}");
        assert!(told.lines().filter(|line| line.starts_with("some words")).count() > 1, "{told}");
    }
}
