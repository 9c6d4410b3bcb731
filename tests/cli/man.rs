//! The manual pages: complete, right, and clean for whoever formats them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use vpce_probe::{
    config::{SECTIONS, parse, render},
    model::cause::Cause,
};

use super::{probe, run, with_input};

fn page(arguments: &[&str]) -> String {
    let (code, page, stderr) = run(probe(&["man"]).args(arguments));
    assert_eq!((code, stderr.as_str()), (0, ""));
    page
}

/// As a terminal of 80 columns shows it, without its overstrikes.
fn screen(page: &str) -> String {
    let (code, shown, stderr) = with_input(Command::new("mandoc").args(["-Tascii", "-Owidth=78"]), page);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let mut plain = String::new();
    for c in shown.chars() {
        if c == '\u{8}' {
            plain.pop();
        } else {
            plain.push(c);
        }
    }
    plain
}

/// The lines between a heading and the next.
fn section<'p>(screen: &'p str, title: &str) -> &'p str {
    let from = screen.find(&format!("\n{title}\n")).unwrap_or_else(|| panic!("no {title} in\n{screen}"));
    let rest = screen.get(from + title.len() + 2..).expect("a boundary");
    let mut end = 0;
    for line in rest.split_inclusive('\n') {
        if line.starts_with(|c: char| !c.is_whitespace()) {
            break;
        }
        end += line.len();
    }
    rest.get(..end).expect("a boundary")
}

#[test]
fn both_pages_are_clean_and_fit_80_columns() {
    for arguments in [&[][..], &["--page", "config"]] {
        let page = page(arguments);
        assert!(page.is_ascii() && !page.contains("\\*"), "no string that another formatter may not have");
        let filled =
            page.split(".nf\n").map(|part| part.split_once("\n.fi").map_or(part, |(_, rest)| rest.trim_start()));
        assert!(filled.clone().all(|part| !part.contains("\n\n")), "an empty line would be a gap");
        for line in page.lines() {
            assert!(line.len() <= 250 && line.trim_end() == line, "{line:?}");
        }
        let (code, said, stderr) = with_input(Command::new("mandoc").args(["-Tlint", "-Wstyle"]), &page);
        assert_eq!((code, said.as_str(), stderr.as_str()), (0, "", ""), "{arguments:?}");
        for line in screen(&page).lines() {
            assert!(line.len() <= 80, "{line}");
            assert!(!line.contains('`') && !line.contains("\\f"), "{line}");
        }
    }
}

#[test]
fn the_page_of_the_program_has_its_sections_in_their_order() {
    let page = page(&[]);
    assert!(page.lines().any(|line| line.starts_with(".TH VPCE-PROBE 8 ")), "{page}");
    let found: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    let expected = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "COMMANDS",
        "\"EXIT STATUS\"",
        "SIGNALS",
        "FILES",
        "ENVIRONMENT",
        "DIAGNOSTICS",
        "EXAMPLES",
        "\"SEE ALSO\"",
    ];
    assert_eq!(found, expected);
    assert!(run(&mut probe(&["man", "--page", "program"])).1 == page);
}

/// Every command with every option that its `--help` shows, each with the same words.
#[test]
fn the_page_names_what_help_names() {
    let commands = one_line(section(&screen(&page(&[])), "COMMANDS"));
    let (_, help, _) = run(&mut probe(&["--help"]));
    let verbs: Vec<&str> = rows(&help, "Commands:");
    assert!(verbs.len() >= 9, "{help}");
    for verb in verbs.into_iter().filter(|verb| *verb != "help") {
        let (_, help, _) = run(probe(&[verb, "--help"]).env("COLUMNS", "1000"));
        let about = help.lines().next().expect("a line");
        assert!(commands.contains(&format!("{verb} {about}.")), "{verb}: {about}");
        let options = help.lines().skip_while(|line| *line != "Options:").filter(|line| line.contains("  -"));
        for option in options.filter(|line| !line.contains("--help")) {
            let flag = option.split_whitespace().find(|word| word.starts_with('-')).expect("a flag");
            assert!(commands.split(' ').any(|word| word == flag), "{verb}: {flag}");
        }
    }
}

/// The first words of the indented lines below a heading.
fn rows<'h>(help: &'h str, heading: &str) -> Vec<&'h str> {
    let below = help.lines().skip_while(|line| *line != heading).skip(1).take_while(|line| line.starts_with("  "));
    below.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next()).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_page_names_every_cause_with_its_severity() {
    let screen = screen(&page(&[]));
    let causes = section(&screen, "DIAGNOSTICS");
    for cause in Cause::ALL {
        let row = causes.lines().find(|line| line.split_whitespace().next() == Some(cause.as_str()));
        let row = row.unwrap_or_else(|| panic!("{cause} is missing in\n{causes}"));
        assert_eq!(row.split_whitespace().nth(1), Some(format!("{}:", cause.severity()).as_str()), "{row}");
    }
}

/// Whoever reads a variable names it in a string; whatever looks like one in a file that reads the environment, and is no
/// variable, is listed here.
#[test]
fn the_page_names_every_variable_that_is_read() {
    const NONE: &[&str] =
        &["UTF", "IMDS", "READY", "STATUS", "STOPPING", "RELOADING", "WATCHDOG", "MONOTONIC_USEC", "IPv6"];
    let mut read = BTreeSet::new();
    for file in sources(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).expect("a source");
        let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let reads = ["env::var", "environment.get(", ".variable(\"", "set(\"AWS_", "env::vars"];
        if file.ends_with("cli/man/program.rs")
            || file.ends_with("tests.rs")
            || !reads.iter().any(|word| shipped.contains(word))
        {
            continue;
        }
        let code = shipped.lines().filter(|line| !line.trim_start().starts_with("//"));
        for word in code.flat_map(|line| line.split('"').skip(1).step_by(2)) {
            let looks =
                word.len() > 3 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
            if looks && !NONE.contains(&word) {
                read.insert(word.to_owned());
            }
        }
    }
    let page = screen(&page(&[]));
    let told: BTreeSet<String> = section(&page, "ENVIRONMENT")
        .lines()
        .filter(|line| line.starts_with("       ") && !line.starts_with("        "))
        .chain(section(&page, "ENVIRONMENT").lines().filter(|line| line.contains("(JOURNAL_STREAM")))
        .flat_map(|line| line.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')))
        .filter(|word| word.len() > 3)
        .map(str::to_owned)
        .collect();
    // The library that writes to journald reads it.
    read.insert("JOURNAL_STREAM".to_owned());
    assert_eq!(told, read);
}

fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files.extend(sources(entry));
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            files.push(entry);
        }
    }
    files
}

#[test]
fn the_page_leads_to_documents_that_exist() {
    let screen = screen(&page(&[]));
    let files = section(&screen, "FILES");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named: Vec<&str> = files
        .split_whitespace()
        .map(|word| word.trim_end_matches([',', '.']))
        .filter(|word| word.starts_with("docs/") || word.starts_with("config."))
        .collect();
    assert!(named.len() >= 4, "{files}");
    for name in named {
        assert!(root.join(name).is_file(), "{name}");
    }
}

#[test]
fn the_page_of_the_config_has_every_key_and_its_examples_are_right() {
    let page = page(&["--page", "config"]);
    assert!(page.lines().any(|line| line.starts_with(".TH VPCE-PROBE.TOML 5 ")), "{page}");
    let shown = screen(&page);
    for table in SECTIONS {
        let title = match table.name {
            "" => "TOP LEVEL".to_owned(),
            "target" => "[[target]]".to_owned(),
            name => format!("[{name}]"),
        };
        let section = section(&shown, &title);
        for key in table.keys {
            assert!(section.lines().any(|line| line.split_whitespace().next() == Some(key)), "{title} {key}");
        }
    }
    let mut examples = 0;
    for block in page.split(".nf\n").skip(1).filter_map(|rest| rest.split("\n.fi").next()) {
        let text = block.replace("\\-", "-").replace("\\(aq", "'");
        let parsed = parse("example.toml", &text).unwrap_or_else(|found| panic!("{}", render(&found)));
        assert_eq!(render(&parsed.warnings), "");
        examples += 1;
    }
    assert_eq!(examples, 3);
}
