//! Text made fit for a terminal: escaped, folded to ASCII, cut, wrapped. The one gate for words from the network.

use unicode_width::UnicodeWidthChar;

use super::Glyphs;

/// The text with nothing in it that a terminal, a log or a parser obeys: white space becomes a space, control and
/// invisible characters (ANSI sequences, bidirectional overrides, zero-width joiners) their escape, and what is longer
/// than [`LONGEST`] characters is cut. Cleaning twice gives the same as once.
pub(super) fn clean(text: &str, glyphs: Glyphs) -> String {
    let mut out = String::with_capacity(text.len().min(LONGEST));
    let mut left = LONGEST;
    for c in text.chars() {
        if left == 0 {
            out.push_str(ellipsis(glyphs));
            break;
        }
        left -= 1;
        match (visible(c), glyphs) {
            (Seen::Space, _) => out.push(' '),
            (Seen::Hidden, _) => out.push_str(&escape(c)),
            (Seen::Shown, Glyphs::Ascii) if !c.is_ascii() => out.push_str(fold(c)),
            (Seen::Shown, Glyphs::Ascii | Glyphs::Unicode) => out.push(c),
        }
    }
    out
}

/// What a reader sees of a character.
enum Seen {
    Space,
    Hidden,
    Shown,
}

fn visible(c: char) -> Seen {
    if c.is_whitespace() {
        Seen::Space
    } else if c.is_control() || c.width().unwrap_or(0) == 0 {
        Seen::Hidden
    } else {
        Seen::Shown
    }
}

/// Whether a terminal would obey the character rather than show it.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(visible(c), Seen::Hidden)
}

fn escape(c: char) -> String {
    let code = u32::from(c);
    if code < 0x100 { format!("\\x{code:02x}") } else { format!("\\u{{{code:x}}}") }
}

/// The nearest ASCII; `?` where there is none.
fn fold(c: char) -> &'static str {
    match c {
        '…' => "...",
        '–' | '—' | '‑' | '−' => "-",
        '‘' | '’' => "'",
        '“' | '”' | '«' | '»' => "\"",
        '→' => "->",
        '←' => "<-",
        '×' => "x",
        '≥' => ">=",
        '≤' => "<=",
        '≈' => "~",
        '•' | '·' => "*",
        '✓' => "OK",
        'à'..='å' => "a",
        'À'..='Å' => "A",
        'è'..='ë' => "e",
        'È'..='Ë' => "E",
        'ì'..='ï' => "i",
        'Ì'..='Ï' => "I",
        'ò'..='ö' | 'ø' => "o",
        'Ò'..='Ö' | 'Ø' => "O",
        'ù'..='ü' | 'µ' | 'μ' => "u",
        'Ù'..='Ü' => "U",
        'ç' => "c",
        'ñ' => "n",
        'ß' => "ss",
        _ => "?",
    }
}

/// The sign of an omission.
pub(super) fn ellipsis(glyphs: Glyphs) -> &'static str {
    match glyphs {
        Glyphs::Unicode => "…",
        Glyphs::Ascii => "...",
    }
}

/// Columns that the text takes; an upper bound where a terminal joins characters.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// The cleaned text, cut to `columns` with a sign of the omission.
pub(super) fn cut(text: &str, columns: usize, glyphs: Glyphs) -> String {
    let whole = clean(text, glyphs);
    if width(&whole) <= columns {
        return whole;
    }
    let sign = ellipsis(glyphs);
    let mut room = columns.saturating_sub(width(sign));
    let mut out = String::new();
    for c in whole.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        out.push(c);
    }
    out.push_str(sign);
    out
}

/// Text that came from the network (an issuer, a banner, an error), at most [`BRIEF`] columns of it.
pub(super) fn brief(text: &str, glyphs: Glyphs) -> String {
    cut(text, BRIEF, glyphs)
}

/// The text and spaces after it up to `columns`.
pub(super) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Spaces up to `columns` and the text after them.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Cleaned text broken at spaces into lines of at most `first` columns and then `rest` each. Only a word that is wider
/// than a whole line is torn.
pub(super) fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut room = first.max(1);
    let rest = rest.max(1);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let need = if line.is_empty() { width(word) } else { width(word) + 1 };
        if need <= room {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            room -= need;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
            room = rest;
        }
        for c in word.chars() {
            let wide = c.width().unwrap_or(0);
            if wide > room && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
                room = rest;
            }
            line.push(c);
            room = room.saturating_sub(wide);
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// A step of advice, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'t> {
    /// What to do; empty when the step is only a command.
    pub(super) prose: &'t str,
    /// What to type.
    pub(super) command: Option<&'t str>,
}

/// Finds the command of a step: the whole step, or what follows a colon. It is known by its first word.
pub(super) fn step(text: &str) -> Step<'_> {
    let text = text.trim();
    if starts_with_program(text) {
        return Step { prose: "", command: Some(bare(text)) };
    }
    for (at, _) in text.match_indices(": ") {
        let (prose, tail) = text.split_at(at + 1);
        if starts_with_program(tail.trim_start()) {
            return Step { prose, command: Some(bare(tail)) };
        }
    }
    Step { prose: text, command: None }
}

fn bare(command: &str) -> &str {
    command.trim().trim_start_matches("$ ").trim_matches('`')
}

fn starts_with_program(text: &str) -> bool {
    let is_program = |word: &str| PROGRAMS.split(' ').any(|program| program == word);
    bare(text).split(' ').next().is_some_and(is_program)
}

/// Commands joined by `; `, each broken between its words into lines of at most `columns`, each but the last ending in
/// ` \`, so that the lines can be pasted as they are. Words in quotes stay whole, and a word wider than the line stays
/// whole too.
pub(super) fn fold_command(commands: &str, columns: usize) -> Vec<String> {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for mut word in shell_words(commands) {
        let is_last = word.ends_with(';') && word.pop().is_some();
        if let Some(command) = all.last_mut() {
            command.push(word);
        }
        if is_last {
            all.push(Vec::new());
        }
    }
    all.into_iter().filter(|words| !words.is_empty()).flat_map(|words| fold_words(words, columns)).collect()
}

fn fold_words(words: Vec<String>, columns: usize) -> Vec<String> {
    let whole = words.join(" ");
    if width(&whole) <= columns {
        return vec![whole];
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in options_with_values(words, columns.saturating_sub(CONTINUATION.len() + 2)) {
        let indent = if lines.is_empty() { 0 } else { CONTINUATION.len() };
        if !line.is_empty() && indent + width(&line) + 1 + width(&word) + 2 > columns {
            push_command_line(&mut lines, &format!("{line} \\"));
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&word);
    }
    push_command_line(&mut lines, &line);
    lines
}

/// `--option value` reads better on one line, where it fits, and where the value would stick out by itself as well.
fn options_with_values(words: Vec<String>, columns: usize) -> Vec<String> {
    let mut units: Vec<String> = Vec::new();
    let mut wants_value = false;
    for word in words {
        let is_option = word.starts_with('-');
        match units.last_mut() {
            Some(unit)
                if wants_value
                    && !is_option
                    && (width(unit) + 1 + width(&word) <= columns || width(&word) > columns) =>
            {
                unit.push(' ');
                unit.push_str(&word);
            }
            Some(_) | None => units.push(word),
        }
        wants_value = is_option;
    }
    units
}

fn push_command_line(lines: &mut Vec<String>, line: &str) {
    let indent = if lines.is_empty() { "" } else { CONTINUATION };
    lines.push(format!("{indent}{line}"));
}

fn shell_words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (None, ' ') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            (None | Some(_), _) => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// No sentence and no command of ours is longer; whatever is came from elsewhere.
const LONGEST: usize = 1_200;
/// Enough for a distinguished name.
const BRIEF: usize = 160;
const CONTINUATION: &str = "  ";
/// First words by which a command is told from a sentence. Sentences start with a capital letter.
const PROGRAMS: &str = "apt apt-get arping awk aws busctl cat chronyc chronyd cmp conntrack curl date df \
    diff dig dnf docker dpkg du echo env ethtool getent grep head host hostnamectl ip ip6tables iptables \
    journalctl kubectl ls lsof mtr nc networkctl nft nmcli nslookup ntpdate openssl ping ping6 printf \
    prlimit ps rdate resolvectl rpm sed snap ss ssm-cli stat sysctl sudo systemctl systemd-resolve tc tcpdump \
    timedatectl timeout tracepath traceroute trust ulimit unset update-ca-certificates update-ca-trust \
    update-crypto-policies uptime vmstat vpce-probe wget yum";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Step, clean, cut, fold_command, is_hidden, step, width, wrap};
    use crate::render::Glyphs;

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        let check = |input: &str, expected: &str| assert_eq!(clean(input, Glyphs::Unicode), expected, "{input:?}");
        check("plain", "plain");
        check("\u{1b}[31mred\u{7}", "\\x1b[31mred\\x07");
        check("one\r\ntwo\tthree", "one  two three");
        check("\u{9b}31m", "\\x9b31m");
        check("abc\u{202e}cba", "abc\\u{202e}cba");
        check("zero\u{200b}width", "zero\\u{200b}width");
        check("Müller & Söhne … CA", "Müller & Söhne … CA");
    }

    #[test]
    fn ascii_mode_folds_what_has_a_likeness() {
        let check = |input: &str, expected: &str| assert_eq!(clean(input, Glyphs::Ascii), expected, "{input:?}");
        check("a … b — c", "a ... b - c");
        check("10.0.1.50 → 10.0.1.10", "10.0.1.50 -> 10.0.1.10");
        check("证书", "??");
    }

    #[test]
    fn a_cut_text_says_so() {
        assert_eq!(cut("abcdefgh", 5, Glyphs::Unicode), "abcd…");
        assert_eq!(cut("abcdefgh", 5, Glyphs::Ascii), "ab...");
        assert_eq!(cut("abcde", 5, Glyphs::Ascii), "abcde");
        assert_eq!(cut("证书证书", 5, Glyphs::Unicode), "证书…");
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrap("the quick brown fox", 9, 10), ["the quick", "brown fox"]);
        assert_eq!(wrap("abcdefghij", 4, 5), ["abcd", "efghi", "j"]);
        assert_eq!(wrap("", 4, 5), [""]);
    }

    #[test]
    fn a_command_is_known_by_its_first_word() {
        let check = |input: &str, prose: &str, command: Option<&str>| {
            assert_eq!(step(input), Step { prose, command }, "{input:?}");
        };
        check("Ask the VPC's resolver: dig @10.0.0.2 a.b", "Ask the VPC's resolver:", Some("dig @10.0.0.2 a.b"));
        check("systemctl status amazon-ssm-agent", "", Some("systemctl status amazon-ssm-agent"));
        check("sudo ss -tnp", "", Some("sudo ss -tnp"));
        check("Note: this is prose", "Note: this is prose", None);
        check("First: then: curl -H 'a: b' x", "First: then:", Some("curl -H 'a: b' x"));
        check("Type: `ip route`", "Type:", Some("ip route"));
    }

    #[test]
    fn a_long_command_can_be_pasted_line_by_line() {
        let check = |columns, expected: &[&str]| {
            let command = "aws ec2 describe-x --filters 'Name=a b,Values=c d' --query 'X[].Y'";
            assert_eq!(fold_command(command, columns), expected, "{columns}");
        };
        check(80, &["aws ec2 describe-x --filters 'Name=a b,Values=c d' --query 'X[].Y'"]);
        check(60, &["aws ec2 describe-x --filters 'Name=a b,Values=c d' \\", "  --query 'X[].Y'"]);
        check(40, &["aws ec2 describe-x \\", "  --filters 'Name=a b,Values=c d' \\", "  --query 'X[].Y'"]);
        check(9, &["aws ec2 \\", "  describe-x \\", "  --filters 'Name=a b,Values=c d' \\", "  --query 'X[].Y'"]);
    }

    proptest! {
        #[test]
        fn cleaning_is_final(text in any::<String>()) {
            for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
                let once = clean(&text, glyphs);
                prop_assert!(!once.chars().any(is_hidden));
                if text.chars().count() < 100 {
                    prop_assert_eq!(&clean(&once, glyphs), &once);
                }
            }
            prop_assert!(clean(&text, Glyphs::Ascii).is_ascii());
        }

        #[test]
        fn no_line_is_wider_than_asked(text in any::<String>(), first in 2usize..90, rest in 2usize..90) {
            let text = clean(&text, Glyphs::Unicode);
            for (at, line) in wrap(&text, first, rest).iter().enumerate() {
                prop_assert!(width(line) <= if at == 0 { first } else { rest }, "{:?}", line);
            }
        }
    }
}
