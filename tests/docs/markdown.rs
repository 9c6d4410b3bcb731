//! Reads Markdown as GitHub does, as far as these documents use it: headings with their anchors, links, code.

use std::collections::{BTreeMap, BTreeSet};

/// A document.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// What `#…` may name.
    pub(super) anchors: BTreeSet<String>,
    /// Each `[text](target)`, with its line.
    pub(super) links: Vec<(usize, String)>,
    /// Each `code` within a line, with its line.
    pub(super) spans: Vec<(usize, String)>,
    /// Each block of code.
    pub(super) blocks: Vec<Block>,
}

/// A block of code.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Block {
    /// The line of its first line.
    pub(super) line: usize,
    /// The word after its fence; empty without one, and where it is told by its indentation.
    pub(super) language: String,
    /// Its text, without what it is indented by.
    pub(super) text: String,
}

/// Takes a document apart.
pub(super) fn read(text: &str) -> Document {
    let mut document = Document::default();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line)).peekable();
    let (mut blank, mut listed) = (true, false);
    let mut open = None;
    while let Some((number, line)) = lines.next() {
        let words = line.trim_start();
        let indent = line.len() - words.len();
        if words.is_empty() || words.starts_with(['#', '|']) || words.starts_with("```") || is_item(words) {
            open = None;
        }
        if let Some(language) = words.strip_prefix("```") {
            let mut block = Block { line: number + 1, language: language.trim().to_owned(), text: String::new() };
            for (_, line) in lines.by_ref() {
                if line.trim() == "```" {
                    break;
                }
                block.text.push_str(without_indent(line, indent));
                block.text.push('\n');
            }
            document.blocks.push(block);
            blank = false;
            continue;
        }
        // Within a list's item an indented line goes on with the item.
        if blank && !listed && indent >= 4 {
            let mut block = Block { line: number, language: String::new(), text: format!("{}\n", &line[4..]) };
            while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with("    ")) {
                block.text.push_str(&line[4..]);
                block.text.push('\n');
            }
            document.blocks.push(block);
            continue;
        }
        let hashes = words.bytes().take_while(|byte| *byte == b'#').count();
        if indent < 4 && (1..=6).contains(&hashes) && words[hashes..].starts_with(' ') {
            let slug = anchor(&words[hashes..]);
            let times = seen.entry(slug.clone()).or_default();
            document.anchors.insert(if *times == 0 { slug } else { format!("{slug}-{times}") });
            *times += 1;
        }
        blank = words.is_empty();
        listed = if blank { listed } else { is_item(words) || (listed && indent > 0) };
        open = inline(number, line, open, &mut document);
    }
    document
}

/// The name that GitHub gives a heading: its text in small letters, without signs, with hyphens for blanks.
pub(super) fn anchor(heading: &str) -> String {
    let text = plain(heading);
    let kept = text.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The text of `[text](target)`, and of everything else what it is.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        out.push_str(before);
        match link.split_once("](").and_then(|(words, after)| Some((words, after.split_once(')')?.1))) {
            Some((words, after)) => {
                out.push_str(words);
                rest = after;
            }
            None => rest = link,
        }
    }
    out.push_str(rest);
    out
}

fn is_item(words: &str) -> bool {
    let number = words.bytes().take_while(u8::is_ascii_digit).count();
    words.starts_with("- ") || words.starts_with("* ") || (number > 0 && words[number..].starts_with(". "))
}

fn without_indent(line: &str, most: usize) -> &str {
    let blanks = line.bytes().take(most).take_while(|byte| *byte == b' ').count();
    &line[blanks..]
}

/// Links and code of one line. `open` is code that the line before has begun; what this line leaves open comes back.
fn inline(number: usize, line: &str, open: Option<String>, document: &mut Document) -> Option<String> {
    let (mut prose, mut code) = (String::new(), open.map(|begun| begun + " "));
    for (at, part) in line.split('`').enumerate() {
        if at > 0 {
            code = match code.take() {
                Some(span) => {
                    document.spans.push((number, span));
                    prose.push('x');
                    None
                }
                None => Some(String::new()),
            };
        }
        code.as_mut().unwrap_or(&mut prose).push_str(part);
    }
    let mut rest = prose.as_str();
    while let Some((_, after)) = rest.split_once("](") {
        let Some((target, beyond)) = after.split_once(')') else { break };
        document.links.push((number, target.to_owned()));
        rest = beyond;
    }
    code
}

#[test]
fn anchors_are_githubs() {
    let check = |heading: &str, expected: &str| assert_eq!(anchor(heading), expected, "{heading}");
    check(" A healthy path", "a-healthy-path");
    check(" Does it work? (IPv4 & IPv6)", "does-it-work-ipv4--ipv6");
    check(" interfaces-TARGET", "interfaces-target");
    check(" `mtu.mode` of [the config](configuration.md)", "mtumode-of-the-config");
    check(" 50,000 rounds", "50000-rounds");
    check(" extra_ca_file", "extra_ca_file");
}

#[test]
fn documents_are_taken_apart() {
    let text = "# A\n\ntext `x\ny` [b](c.md#d)\n\n## A\n\n    aws s3 ls\n    more\n\n- item\n\n    its text\n\n  ```sh\n  ls\n    -l\n  ```\n";
    let document = read(text);
    assert_eq!(document.anchors.iter().collect::<Vec<_>>(), ["a", "a-1"]);
    assert_eq!(document.links, [(4, "c.md#d".to_owned())]);
    assert_eq!(document.spans, [(4, "x y".to_owned())]);
    let block = |line, language: &str, text: &str| Block { line, language: language.into(), text: text.into() };
    assert_eq!(document.blocks, [block(8, "", "aws s3 ls\nmore\n"), block(16, "sh", "ls\n  -l\n")]);
}
