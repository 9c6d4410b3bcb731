//! The environment that systemd gives to amazon-ssm-agent: its units' `Environment=` and `EnvironmentFile=`
//! (systemd.exec(5)), as the files say; a daemon-reload or a restart may still be due.

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use super::Environment;
use crate::host::{
    agent::{UNIT_FOLDERS, UNITS},
    files::Root,
};

/// A unit's environment.
#[derive(Debug, Default)]
pub(super) struct UnitEnvironment {
    /// Variables with their values.
    pub(super) values: Environment,
    /// Variables with the file that had the last word on them: a person must find the line.
    pub(super) origins: BTreeMap<String, String>,
}

impl UnitEnvironment {
    fn set(&mut self, assignment: &str, origin: &str) {
        if let Some((name, value)) = assignment.split_once('=') {
            self.values.insert(name.trim().to_owned(), value.to_owned());
            self.origins.insert(name.trim().to_owned(), origin.to_owned());
        }
    }
}

/// The environment of each unit of the agent.
pub(super) fn environments(root: Root<'_>) -> Vec<UnitEnvironment> {
    UNITS.iter().map(|unit| environment(root, unit)).collect()
}

fn environment(root: Root<'_>, unit: &str) -> UnitEnvironment {
    let mut known = UnitEnvironment::default();
    let mut environment_files: Vec<String> = Vec::new();
    for file in files(root, unit) {
        let text = root.text(&file).unwrap_or_default();
        for (key, value) in service_settings(&text) {
            match key.as_str() {
                // An empty assignment takes back what stood before it.
                "Environment" if value.is_empty() => known = UnitEnvironment::default(),
                "Environment" => words(&value).iter().for_each(|assignment| known.set(assignment, &file)),
                "EnvironmentFile" if value.is_empty() => environment_files.clear(),
                "EnvironmentFile" => environment_files.push(value.trim_start_matches('-').to_owned()),
                _ => {}
            }
        }
    }
    // What a file sets is stronger than `Environment=`, wherever it stands.
    for file in environment_files.iter().take(MOST_FILES) {
        for line in logical_lines(&root.text(file).unwrap_or_default()) {
            if let Some((name, value)) = line.split_once('=') {
                let name = name.trim().trim_start_matches("export ");
                known.set(&format!("{name}={}", unquoted(value.trim())), file);
            }
        }
    }
    known
}

/// The unit's own file, then its drop-ins by name; of two with one name the stronger folder's wins.
fn files(root: Root<'_>, unit: &str) -> Vec<String> {
    let own = UNIT_FOLDERS.iter().map(|folder| format!("{folder}/{unit}")).find(|path| root.has(path));
    let mut drop_ins: BTreeMap<String, String> = BTreeMap::new();
    for folder in UNIT_FOLDERS {
        let folder = format!("{folder}/{unit}.d");
        for name in root.names(&folder) {
            let path = format!("{folder}/{name}");
            if Path::new(&path).extension() == Some(OsStr::new("conf")) {
                drop_ins.entry(name).or_insert(path);
            }
        }
    }
    own.into_iter().chain(drop_ins.into_values().take(MOST_FILES)).collect()
}

/// Keys and values of the `[Service]` section.
fn service_settings(text: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in logical_lines(text) {
        if line.starts_with('[') {
            section.clone_from(&line);
        } else if section == "[Service]"
            && let Some((key, value)) = line.split_once('=')
        {
            settings.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    settings
}

/// Lines without comments and empty ones; one that ends with a backslash goes on in the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut open = String::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(part) = line.strip_suffix('\\') {
            open.push_str(part);
            open.push(' ');
            continue;
        }
        open.push_str(line);
        let whole = std::mem::take(&mut open);
        if !whole.trim().is_empty() {
            lines.push(whole.trim().to_owned());
        }
    }
    if !open.trim().is_empty() {
        lines.push(open.trim().to_owned());
    }
    lines
}

/// The words of a value: separated by blanks, quoted by `"` or `'`, with backslash escapes; `%%` is a percent sign.
fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (c, None) if c.is_ascii_whitespace() => words.extend(word.take()),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, Some(open)) if c == open => quote = None,
            ('\\', _) => word.get_or_insert_default().extend(rest.next()),
            ('%', _) => {
                let _ = rest.next_if_eq(&'%');
                word.get_or_insert_default().push('%');
            }
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// A value of an environment file: one pair of quotes around it is taken off.
fn unquoted(value: &str) -> &str {
    ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

const MOST_FILES: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::{environment, service_settings, words};
    use crate::host::files::Root;

    #[test]
    fn words_are_split_as_systemd_does() {
        let check = |text: &str, expected: &[&str]| assert_eq!(words(text), expected, "{text}");
        check("A=1 B=2", &["A=1", "B=2"]);
        check(r#""A=1 2" 'B=3 4'"#, &["A=1 2", "B=3 4"]);
        check(r#"A="1 2" B=%%20"#, &["A=1 2", "B=%20"]);
        check(r#""A=say \"x\"""#, &["A=say \"x\""]);
        check("", &[]);
        check(r#""A=open"#, &["A=open"]);
    }

    /// `https_proxy` and its origin under a root with these files.
    fn look(files: &[(&str, &str)]) -> Option<(String, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in files {
            let place = folder.path().join(path);
            fs::create_dir_all(place.parent().expect("has a parent")).expect("made");
            fs::write(place, text).expect("written");
        }
        let known = environment(Root::new(folder.path()), "amazon-ssm-agent.service");
        Some((known.values.get("https_proxy")?.clone(), known.origins.get("https_proxy")?.clone()))
    }

    fn check(files: &[(&str, &str)], expected: Option<(&str, &str)>) {
        let found = look(files);
        assert_eq!(found.as_ref().map(|(value, origin)| (value.as_str(), origin.as_str())), expected, "{files:?}");
    }

    const ETC: &str = "etc/systemd/system/amazon-ssm-agent.service.d";
    const USR: &str = "usr/lib/systemd/system/amazon-ssm-agent.service.d";

    #[test]
    fn drop_ins_are_read_in_systemds_order() {
        let one = |n: u8| format!("[Service]\nEnvironment=https_proxy=http://p{n}:1\n");
        let (p1, p2) = (one(1), one(2));
        let place = |folder: &str, name: &str| format!("{folder}/{name}");
        let (a, b, usr_a) = (place(ETC, "a.conf"), place(ETC, "b.conf"), place(USR, "a.conf"));
        let origin = |path: &str| format!("/{path}");
        check(&[], None);
        check(&[(&a, &p1)], Some(("http://p1:1", &origin(&a))));
        check(&[(&a, &p1), (&b, &p2)], Some(("http://p2:1", &origin(&b))));
        check(&[(&a, &p1), (&usr_a, &p2)], Some(("http://p1:1", &origin(&a))));
        check(&[(&a, &p1), (&b, "[Service]\nEnvironment=\n")], None);
        check(&[(&place(ETC, "a.conf.bak"), &p1)], None);
        check(&[(&a, "Environment=https_proxy=http://p1:1\n[Unit]\nEnvironment=https_proxy=http://p1:1\n")], None);
    }

    #[test]
    fn an_environment_file_is_stronger() {
        let a = format!("{ETC}/a.conf");
        let text = "[Service]\nEnvironmentFile=-/etc/agent.env\nEnvironment=\"https_proxy=http://p1:1\" \\\n  X=1\n";
        check(&[(&a, text)], Some(("http://p1:1", "/etc/systemd/system/amazon-ssm-agent.service.d/a.conf")));
        check(
            &[(&a, text), ("etc/agent.env", "# mine\nexport https_proxy=\"http://p3:1\"\n")],
            Some(("http://p3:1", "/etc/agent.env")),
        );
    }

    proptest! {
        #[test]
        fn never_panics(text in "((\\[Service\\]|Environment=|#| |\"|'|\\\\|%|é|x|\n){0,30})") {
            let _ = (words(&text), service_settings(&text));
        }
    }
}
