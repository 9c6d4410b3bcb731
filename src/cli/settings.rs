//! Reads the config that the command line names, and what is known before anything is asked.

use std::{
    collections::BTreeMap,
    env,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use super::{args::ConfigArg, screen};
use crate::{
    config::{self, Config, LoadError, Parsed},
    host::{Known, Query},
};

/// A config, and where it came from.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) config: Config,
    /// `None`: there is no file, and everything has its default.
    pub(super) file: Option<String>,
}

/// The config cannot be used; everything was said on stderr already.
#[derive(Debug)]
pub(super) struct BadConfig {
    /// The same in one line.
    pub(super) reason: String,
}

/// Reads the config and says on stderr what is wrong or odd about it.
pub(super) fn read(arg: &ConfigArg) -> Result<Settings, BadConfig> {
    match load(arg) {
        Ok(Parsed { config, warnings }) => {
            screen::say_raw(&config::render(&warnings));
            let file = exists(arg).then(|| path(arg).display().to_string());
            Ok(Settings { config, file })
        }
        Err(error) => Err(refuse(path(arg), &error)),
    }
}

/// Reads the config and says nothing. The usual file need not be there.
pub(super) fn load(arg: &ConfigArg) -> Result<Parsed, LoadError> {
    let path = path(arg);
    match if is_stdin(arg) { from_stdin() } else { config::load(path) } {
        Err(LoadError::Io { source, .. }) if arg.file.is_none() && source.kind() == ErrorKind::NotFound => {
            Ok(Parsed { config: Config::default(), warnings: Vec::new() })
        }
        loaded => loaded,
    }
}

/// Whether the config comes from standard input.
pub(super) fn is_stdin(arg: &ConfigArg) -> bool {
    path(arg) == Path::new("-")
}

fn path(arg: &ConfigArg) -> &Path {
    arg.file.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
}

fn exists(arg: &ConfigArg) -> bool {
    arg.file.is_some() || Path::new(DEFAULT_FILE).exists()
}

fn refuse(path: &Path, error: &LoadError) -> BadConfig {
    let reason = match error {
        LoadError::Invalid(mistakes) => {
            screen::say_raw(&config::render(mistakes));
            return BadConfig { reason: format!("the config {} has mistakes", path.display()) };
        }
        LoadError::Io { source, .. } if source.kind() == ErrorKind::PermissionDenied => format!(
            "no permission to read {}: run as root, make it readable, or give another file with --config",
            path.display()
        ),
        LoadError::Io { .. } => screen::chain(error),
    };
    screen::say(&reason);
    BadConfig { reason }
}

fn from_stdin() -> Result<Parsed, LoadError> {
    let failed = |source| LoadError::Io { path: PathBuf::from("-"), source };
    let mut text = String::new();
    io::stdin().lock().take(LARGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LARGEST {
        return Err(failed(io::Error::new(ErrorKind::InvalidData, "standard input is larger than 1 MiB")));
    }
    config::parse("<stdin>", &text).map_err(LoadError::Invalid)
}

/// The question to the host, with what command line and config say already.
pub(super) fn query(config: &Config, region: Option<&str>) -> Query {
    let host = config.host.clone();
    Query {
        known: Known {
            region: region.map(str::to_owned).or_else(|| config.region.clone()),
            instance_id: host.instance_id,
            vpc_id: host.vpc_id,
            subnet_id: host.subnet_id,
            vpc_cidrs: host.vpc_cidrs.unwrap_or_default(),
            subnet_cidrs: host.subnet_cidrs.unwrap_or_default(),
            availability_zone: host.availability_zone,
            availability_zone_id: host.availability_zone_id,
        },
        environment: environment(),
        timeout: config.timeouts.imds,
        root: PathBuf::from("/"),
    }
}

/// Whatever is not UTF-8 is nothing that we read.
pub(super) fn environment() -> BTreeMap<String, String> {
    env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect()
}

const DEFAULT_FILE: &str = "/etc/vpce-probe/config.toml";
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::{
        io::{self, ErrorKind},
        path::{Path, PathBuf},
    };

    use super::refuse;
    use crate::config::LoadError;

    #[test]
    fn a_file_that_must_not_be_read_is_told_from_one_that_is_broken() {
        fn check(kind: ErrorKind, expected: &str) {
            let error = LoadError::Io { path: PathBuf::from("/x.toml"), source: io::Error::from(kind) };
            let reason = refuse(Path::new("/x.toml"), &error).reason;
            assert!(reason.starts_with(expected), "{reason}");
        }
        check(ErrorKind::PermissionDenied, "no permission to read /x.toml: run as root");
        check(ErrorKind::NotFound, "cannot read /x.toml: ");
    }
}
