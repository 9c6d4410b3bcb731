//! The terminal: what it can show, and writing to it.

use std::{
    env,
    io::{self, ErrorKind, IsTerminal, Write},
};

use super::args::When;
use crate::render::{Color, Glyphs, Style};

/// How text for stdout may look.
pub(super) fn style(color: When) -> Style {
    let ansi = match color {
        When::Always => true,
        When::Never => false,
        When::Auto => io::stdout().is_terminal() && is_empty("NO_COLOR") && !is_dumb(),
    };
    Style {
        color: if ansi { Color::Ansi } else { Color::Plain },
        glyphs: if is_utf8(|name| env::var(name).ok()) { Glyphs::Unicode } else { Glyphs::Ascii },
        width: width(),
    }
}

/// Whether a line on stderr may be drawn over.
pub(super) fn can_animate() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

/// Writes a result. A reader that went away is no error of anybody's: the verdict stands.
pub(super) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Says something that is no result. There is nobody to tell where stderr is gone.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "vpce-probe: {}", printable(text));
}

/// Says what is odd, a line each.
pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        say(&format!("warning: {warning}"));
    }
}

/// Writes text to stderr as it stands.
pub(super) fn say_raw(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// What a terminal would obey is shown instead.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// An error with everything that led to it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}

/// The locale's character set, by the first of the variables that is set (locale(7)).
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale =
        ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// `COLUMNS` is stronger than what the terminal says: a person set it.
fn width() -> usize {
    let told = env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok()).filter(|width| *width > 0);
    let seen = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    told.or_else(seen).filter(|width| *width > 0).unwrap_or(80)
}

fn is_empty(variable: &str) -> bool {
    env::var_os(variable).is_none_or(|value| value.is_empty())
}

fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn the_strongest_variable_that_is_set_names_the_character_set() {
        fn check(variables: &[(&str, &str)], expected: bool) {
            let value =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(is_utf8(value), expected, "{variables:?}");
        }
        check(&[("LANG", "en_US.UTF-8")], true);
        check(&[("LANG", "C.utf8")], true);
        check(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "C")], false);
        check(&[("LANG", "en_US.UTF-8"), ("LC_ALL", "")], true);
        check(&[("LC_CTYPE", "de_DE.UTF-8"), ("LANG", "C")], true);
        check(&[("LANG", "POSIX")], false);
        check(&[], false);
    }
}
