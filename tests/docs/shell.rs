//! The simple commands of a piece of shell, as lists of words: enough of the grammar for what documents hold.

use std::{iter::Peekable, str::Chars};

/// The commands, in their order; those within `$(…)` come before the one that they stand in. A word with `$(…)` in it keeps
/// that as it is.
pub(super) fn commands(text: &str) -> Vec<Vec<String>> {
    let mut reader =
        Reader { signs: text.chars().peekable(), found: Vec::new(), words: Vec::new(), word: None, awaited: None };
    reader.read();
    reader.found.into_iter().map(|words| without_prefixes(&words)).filter(|words| !words.is_empty()).collect()
}

/// What a person types: the lines after a prompt, where there are prompts, else everything.
pub(super) fn typed(text: &str) -> String {
    if !text.lines().any(|line| line.starts_with("$ ")) {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut goes_on = false;
    for line in text.lines() {
        let Some(command) = line.strip_prefix("$ ").or_else(|| goes_on.then_some(line)) else { continue };
        goes_on = command.ends_with('\\');
        out.push_str(command);
        out.push('\n');
    }
    out
}

struct Reader<'a> {
    signs: Peekable<Chars<'a>>,
    found: Vec<Vec<String>>,
    words: Vec<String>,
    word: Option<String>,
    /// The word that ends the document which begins with the next line.
    awaited: Option<String>,
}

impl Reader<'_> {
    fn read(&mut self) {
        while let Some(sign) = self.signs.next() {
            match sign {
                '\\' => match self.signs.next() {
                    Some('\n') | None => {}
                    Some(escaped) => self.push(escaped),
                },
                '\'' => self.quoted('\''),
                '"' => self.quoted('"'),
                '$' if self.signs.peek() == Some(&'(') => self.nested(),
                '#' if self.word.is_none() => while self.signs.next_if(|sign| *sign != '\n').is_some() {},
                ' ' | '\t' => self.end_word(),
                '\n' => {
                    self.end_command();
                    self.skip_document();
                }
                '|' | ';' | '&' | '(' | ')' => self.end_command(),
                '<' | '>' => self.redirection(sign),
                _ => self.push(sign),
            }
        }
        self.end_command();
    }

    fn push(&mut self, sign: char) {
        self.word.get_or_insert_default().push(sign);
    }

    fn quoted(&mut self, end: char) {
        self.word.get_or_insert_default();
        while let Some(sign) = self.signs.next() {
            match sign {
                _ if sign == end => return,
                '\\' if end == '"' => {
                    let escaped = self.signs.next_if(|sign| matches!(sign, '"' | '\\' | '$' | '`'));
                    self.push(escaped.unwrap_or('\\'));
                }
                '$' if end == '"' && self.signs.peek() == Some(&'(') => self.nested(),
                _ => self.push(sign),
            }
        }
    }

    /// `$(…)`: a piece of shell by itself, and part of a word.
    fn nested(&mut self) {
        self.signs.next();
        let (mut depth, mut text) = (1, String::new());
        for sign in self.signs.by_ref() {
            match sign {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            text.push(sign);
        }
        self.found.extend(commands(&text));
        self.word.get_or_insert_default().extend(["$(", &text, ")"]);
    }

    /// The sign and the word after it belong to no command; a number before it neither.
    fn redirection(&mut self, sign: char) {
        if self.word.as_ref().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit())) {
            self.word = None;
        }
        self.end_word();
        let document = sign == '<' && self.signs.next_if_eq(&'<').is_some();
        while self.signs.next_if(|sign| matches!(sign, '>' | '&' | ' ' | '-')).is_some() {}
        let mut target = String::new();
        while let Some(sign) = self.signs.next_if(|sign| !sign.is_whitespace() && !matches!(sign, ';' | '|' | ')')) {
            target.push(sign);
        }
        if document {
            self.awaited = Some(target.trim_matches(['\'', '"']).to_owned());
        }
    }

    fn skip_document(&mut self) {
        let Some(end) = self.awaited.take() else { return };
        loop {
            let line: String = self.signs.by_ref().take_while(|sign| *sign != '\n').collect();
            if line == end || self.signs.peek().is_none() {
                return;
            }
        }
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        let words = std::mem::take(&mut self.words);
        if !words.is_empty() {
            self.found.push(words);
        }
    }
}

/// The command itself, without the words of the shell, `sudo` and assignments before it.
fn without_prefixes(words: &[String]) -> Vec<String> {
    let is_prefix = |word: &str| {
        matches!(word, "sudo" | "do" | "then" | "else" | "if" | "while" | "!" | "exec" | "time" | "env" | "echo")
            || word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    words.iter().skip_while(|word| is_prefix(word)).cloned().collect()
}

#[test]
fn commands_are_found() {
    let check = |text: &str, expected: &[&[&str]]| assert_eq!(commands(text), expected, "{text}");
    check("a b | c\n", &[&["a", "b"], &["c"]]);
    check("sudo A=1 a --b='c d' \\\n  \"e\\\"f\" # g\n", &[&["a", "--b=c d", "e\"f"]]);
    check(
        "x \"$(date -u -d '-2 h' +%F)\" 2>/dev/null >y; z",
        &[&["date", "-u", "-d", "-2 h", "+%F"], &["x", "$(date -u -d '-2 h' +%F)"], &["z"]],
    );
    check("python3 - <<'END'\nnot | this\nEND\nls || id", &[&["python3", "-"], &["ls"], &["id"]]);
    check("for a in b c; do\n  d $a\ndone", &[&["for", "a", "in", "b", "c"], &["d", "$a"], &["done"]]);
}

#[test]
fn prompts_are_told_from_output() {
    assert_eq!(typed("$ a \\\n  b\nout | put\n$ c\n"), "a \\\n  b\nc\n");
    assert_eq!(typed("a\nb\n"), "a\nb\n");
}
