//! Keeps the layers of ARCHITECTURE.md: which module may name which, and which crate may be named where.

#![expect(clippy::string_slice, reason = "every position comes from a search in the same text")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// Each module with the modules that it may name. A module that is missing here fails the test.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("tell", &["model"]),
    ("catalog", &["model"]),
    ("classify", &["model", "catalog"]),
    ("judge", &["model", "catalog", "classify"]),
    ("sys", &["model", "catalog"]),
    ("metric", &["model"]),
    ("disk", &[]),
    ("history", &["model"]),
    ("config", &["model", "catalog", "metric"]),
    ("host", &["model", "catalog", "sys"]),
    ("render", &["model", "catalog"]),
    ("plan", &["model", "catalog", "classify", "config", "metric"]),
    ("probe", &["model", "catalog", "classify", "sys"]),
    ("schedule", &["model"]),
    ("alarms", &["model", "catalog", "metric"]),
    ("deliver", &["model", "tell", "disk", "metric", "schedule", "sys", "probe"]),
    ("sink", &["model", "tell", "render", "disk", "sys"]),
    ("round", &["model", "catalog", "config", "host", "plan", "probe", "judge"]),
    (
        "daemon",
        &[
            "model", "catalog", "disk", "metric", "history", "schedule", "sys", "config", "host", "render", "plan",
            "probe", "judge", "deliver", "sink", "round",
        ],
    ),
    (
        "cli",
        &[
            "model", "alarms", "daemon", "deliver", "metric", "sink", "disk", "catalog", "config", "host", "plan",
            "probe", "judge", "render", "round", "sys",
        ],
    ),
    ("main", &["cli"]),
];

/// Words that only the files below the given paths may name: crates behind their fence, and `unsafe`.
const FENCES: &[(&str, &[&str])] = &[
    ("hickory_resolver", &["probe"]),
    ("rustls", &["probe"]),
    ("tokio_rustls", &["probe"]),
    ("rustls_native_certs", &["probe"]),
    ("x509_parser", &["probe"]),
    ("httparse", &["probe"]),
    ("tokio::net", &["probe"]),
    ("aws_config", &["host/imds", "deliver/credentials"]),
    ("aws_smithy_http_client", &["host/imds"]),
    ("aws_smithy_runtime_api", &["host/imds", "deliver"]),
    ("aws_smithy_types", &["host/imds", "deliver"]),
    ("aws_smithy_async", &["deliver"]),
    ("aws_credential_types", &["deliver"]),
    ("aws_sdk_cloudwatch", &["deliver"]),
    ("hyper", &["deliver"]),
    ("hyper_util", &["deliver"]),
    ("http_body_util", &["deliver"]),
    ("postcard", &["deliver/spool"]),
    ("crc32fast", &["deliver/spool"]),
    ("systemd_journal_logger", &["sink/journal"]),
    ("toml", &["config"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("libc", &["sys"]),
    ("unsafe", &["sys"]),
    ("Timestamp::now", &["cli", "daemon", "deliver", "sink"]),
];

/// Modules that decide: values in, values out.
const PURE: &[&str] = &["model", "catalog", "classify", "judge", "metric", "history", "schedule", "alarms", "render"];

/// What a module that decides must not name.
const IMPURE: &[&str] =
    &["tokio", "std::fs", "std::env", "std::net::Udp", "std::net::Tcp", "SystemTime::now", "now_utc"];

#[test]
fn no_module_names_what_stands_right_of_it() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(allowed) = arrows.get(source.module.as_str()) else {
            wrong.push(format!("{}: module `{}` has no place in ARROWS", source.name, source.module));
            continue;
        };
        for named in source.named_modules() {
            if named != source.module && !allowed.contains(&named.as_str()) {
                wrong.push(format!("{}: `{}` names `{named}`", source.name, source.module));
            }
        }
    }
    assert!(wrong.is_empty(), "wrong arrows:\n{}", wrong.join("\n"));
}

#[test]
fn every_crate_stays_behind_its_fence() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (word, places) in FENCES {
            let inside = places.iter().any(|place| source.name.starts_with(&format!("src/{place}")));
            if !inside && source.names(word) {
                wrong.push(format!("{}: names `{word}`", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "outside the fence:\n{}", wrong.join("\n"));
}

#[test]
fn deciding_is_pure() {
    let mut wrong = Vec::new();
    for source in sources().into_iter().filter(|source| PURE.contains(&source.module.as_str())) {
        // `Timestamp::now` is the one place that reads the wall clock; the fence above says who may call it.
        let own_clock = source.name == "src/model/units.rs";
        for word in IMPURE {
            if source.names(word) && !(own_clock && *word == "now_utc") {
                wrong.push(format!("{}: names `{word}`", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "deciding is pure:\n{}", wrong.join("\n"));
}

#[test]
fn the_checks_can_fail() {
    let source =
        Source::of("src/judge/x.rs", "use crate::{cli, model::cause};\nfn f() { crate::probe::g(); unsafe { h() } }");
    assert_eq!(source.named_modules(), ["cli", "model", "probe"]);
    assert!(source.names("unsafe"));
    let quiet = Source::of(
        "src/judge/x.rs",
        "// crate::cli is not named here\nconst TEXT: &str = \"unsafe\"; fn unsafe_looking() {}",
    );
    assert!(quiet.named_modules().is_empty());
    assert!(!quiet.names("unsafe"));
    let grouped = Source::of("src/judge/x.rs", "use tokio::{net::TcpStream, time};");
    assert!(grouped.names("tokio::net") && !grouped.names("tokio::fs"));
}

/// One file of `src`, without comments, strings and its test module.
struct Source {
    name: String,
    module: String,
    code: String,
}

impl Source {
    fn of(name: &str, text: &str) -> Self {
        let path = name.strip_prefix("src/").unwrap_or(name);
        let module = path.split(['/', '.']).next().unwrap_or_default().to_owned();
        let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
        Self { name: name.to_owned(), module, code: without_comments_and_strings(shipped) }
    }

    /// The top-level modules that the file names, in order, once each.
    fn named_modules(&self) -> Vec<String> {
        let mut modules = Vec::new();
        for part in self.code.split("crate::").skip(1) {
            let names = match part.strip_prefix('{') {
                Some(group) => top_level_names(group),
                None => vec![leading_word(part)],
            };
            modules.extend(names.into_iter().filter(|name| !name.is_empty()));
        }
        modules.sort();
        modules.dedup();
        modules
    }

    /// Whether the code names `word`, spelt out or as `a::{…, b, …}`.
    fn names(&self, word: &str) -> bool {
        self.spells_out(word) || word.rsplit_once("::").is_some_and(|(outer, inner)| self.groups(outer, inner))
    }

    fn groups(&self, outer: &str, inner: &str) -> bool {
        let opening = format!("{outer}::{{");
        self.code.split(&opening).skip(1).any(|group| top_level_names(group).iter().any(|name| name == inner))
    }

    fn spells_out(&self, word: &str) -> bool {
        self.code.match_indices(word).any(|(at, _)| {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + word.len()..].chars().next();
            let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let path_tail = self.code[..at].ends_with("::") && !word.contains("::") && word != "unsafe";
            !joins(before) && !joins(after) && !path_tail
        })
    }
}

fn leading_word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The first names of a `{a::b, c::{d, e}}` group, given what follows its opening brace.
fn top_level_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let (mut depth, mut current) = (0, String::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(leading_word(std::mem::take(&mut current).trim())),
            _ if depth == 0 => current.push(c),
            _ => {}
        }
    }
    names.push(leading_word(current.trim()));
    names
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |at| &rest[at..]);
        } else if let Some(hashes) = raw_string_hashes(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = &rest[hashes + 2..];
            rest = body.find(&close).map_or("", |at| &body[at + close.len()..]);
            code.push_str("\"\"");
        } else if c == '"' {
            rest = after_string(&rest[1..]);
            code.push_str("\"\"");
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\''") {
            rest = &rest[if rest.starts_with("'\"'") { 3 } else { 4 }..];
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

fn raw_string_hashes(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.chars().take_while(|c| *c == '#').count();
    after[hashes..].starts_with('"').then_some(hashes)
}

fn after_string(text: &str) -> &str {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return &text[at + 1..],
            _ => {}
        }
    }
    ""
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    assert!(files.len() > 20, "src has {} files: is the walk broken?", files.len());
    files
        .iter()
        .filter(|path| !path.ends_with("src/lib.rs") && !path.ends_with("tests.rs"))
        .map(|path| {
            let name = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            Source::of(&name, &fs::read_to_string(path).expect("a source file"))
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            collect(&entry, files);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
}
