//! From a file or a text to a [`Config`], or to every mistake in it.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    Config, check,
    diagnostic::{Diagnostic, Report, Severity},
    syntax::{self, Extent},
};

/// A config that can be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What it says.
    pub config: Config,
    /// What is odd about it, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It could not be read: the program's trouble, not the operator's words.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds mistakes: all of them, in the order of the file; at least one is an error. Show them with
    /// [`super::render`].
    #[error("the config has mistakes")]
    Invalid(Vec<Diagnostic>),
}

/// Reads a config file's text; `file_name` is what diagnostics call it.
///
/// # Errors
/// Every mistake in it, warnings included, in the order of the file; at least one is an error.
pub fn parse(file_name: &str, text: &str) -> Result<Parsed, Vec<Diagnostic>> {
    let mut report = Report::new(file_name, text);
    let readable = syntax::readable(&mut report);
    let document = syntax::parse(&readable, &mut report);
    let config = match document.extent {
        Extent::Broken => Config::default(),
        Extent::Whole | Extent::Gaps => {
            // A line that could not be read has been told once; what the recovered value seems to mean is noise.
            let told: BTreeSet<usize> = report.found().iter().map(|found| found.line).collect();
            let syntax = report.found().len();
            let config = check::check(&document, &mut report);
            let mut nth = 0;
            report.retain(|found| {
                nth += 1;
                nth <= syntax || !told.contains(&found.line)
            });
            config
        }
    };
    let found = report.into_found();
    if found.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
        return Err(found);
    }
    Ok(Parsed { config, warnings: found })
}

/// Reads a config file. It must be UTF-8 and at most 1 MiB.
///
/// # Errors
/// See [`LoadError`].
pub fn load(path: &Path) -> Result<Parsed, LoadError> {
    let failed = |source| LoadError::Io { path: path.to_owned(), source };
    let name = path.to_string_lossy();
    let invalid = |text: &str, at: usize, what: &str, instead: &str| {
        let mut report = Report::new(&name, text);
        report.error(&(at..at), what, Some(instead.to_owned()));
        LoadError::Invalid(report.into_found())
    };
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(invalid("", 0, "the file is larger than 1 MiB", "check the path: this is hardly a config"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(invalid("", 0, "the file is UTF-16", "save it as UTF-8"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(&name, &text).map_err(LoadError::Invalid),
        Err(broken) => {
            let at = broken.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(broken.as_bytes()).into_owned();
            Err(invalid(&text, at, "a byte that is not UTF-8", "save the file as UTF-8"))
        }
    }
}

const LARGEST: u64 = 1 << 20;
