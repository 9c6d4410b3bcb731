//! Where the daemon keeps what it writes.

use std::{collections::BTreeMap, path::PathBuf};

use super::Config;

impl Config {
    /// The folder of `last.json`: the config's, systemd's `RUNTIME_DIRECTORY`, or the one that the unit has.
    #[must_use]
    pub fn runtime_dir(&self, environment: &BTreeMap<String, String>) -> PathBuf {
        chosen(self.runtime_dir.as_ref(), environment.get("RUNTIME_DIRECTORY"), "/run/vpce-probe")
    }

    /// The folder above the spool: the config's, systemd's `STATE_DIRECTORY`, or the one that the unit has.
    #[must_use]
    pub fn state_dir(&self, environment: &BTreeMap<String, String>) -> PathBuf {
        chosen(self.state_dir.as_ref(), environment.get("STATE_DIRECTORY"), "/var/lib/vpce-probe")
    }
}

/// systemd may list several folders; the first is meant.
fn chosen(config: Option<&PathBuf>, systemd: Option<&String>, usual: &str) -> PathBuf {
    let first = systemd.and_then(|list| list.split(':').next()).filter(|first| !first.is_empty());
    config.cloned().unwrap_or_else(|| PathBuf::from(first.unwrap_or(usual)))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use super::Config;

    #[test]
    fn the_config_is_stronger_than_systemd() {
        fn check(config: Option<&str>, systemd: Option<&str>, expected: &str) {
            let config = Config { state_dir: config.map(PathBuf::from), ..Config::default() };
            let environment: BTreeMap<String, String> =
                systemd.map(|list| ("STATE_DIRECTORY".to_owned(), list.to_owned())).into_iter().collect();
            assert_eq!(config.state_dir(&environment), PathBuf::from(expected));
        }
        check(None, None, "/var/lib/vpce-probe");
        check(None, Some(""), "/var/lib/vpce-probe");
        check(None, Some("/var/lib/a:/var/lib/b"), "/var/lib/a");
        check(Some("/srv"), Some("/var/lib/a"), "/srv");
    }
}
