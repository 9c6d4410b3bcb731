//! The unit, read: what must hold of its text wherever it runs. What systemd makes of it is shown on booted machines
//! (`tests/cloud/cloudkit/unitscenes.py`).

use std::{fs, path::Path, time::Duration};

use vpce_probe::config::{duration, parse};

#[test]
fn every_line_is_explained() {
    let guide = read("docs/unit.md");
    for (key, _) in settings() {
        assert!(guide.contains(&format!("`{key}=")), "docs/unit.md does not say what {key}= is for");
    }
}

/// Somebody has looked up whether systemd 219 knows it, and what it makes of the value.
#[test]
fn every_line_has_been_looked_up_in_219() {
    let table = read("tests/cloud/cloudkit/systemd219.py");
    for (key, _) in settings() {
        assert!(table.contains(&format!("\"{key}\"")), "{key}= is not in the tables of systemd219.py");
    }
}

/// systemd 219 knows no groups of calls. A list of what is denied is then short; of one of what is allowed, execve and exit
/// are left, and the daemon dies.
#[test]
fn calls_are_denied_never_allowed() {
    let lists = values("SystemCallFilter");
    assert!(!lists.is_empty());
    for list in lists {
        assert!(list.starts_with('~'), "SystemCallFilter={list}");
    }
}

/// Of two lines systemd 219 keeps the first, for it does not know the second's value; later ones keep the second.
#[test]
fn old_systems_protect_what_they_can() {
    assert_eq!(values("ProtectSystem"), ["full", "strict"]);
}

/// systemd 219 does not take `WATCHDOG_USEC=` from the daemon: there the unit's own limit holds, whatever the interval.
#[test]
fn the_longest_interval_fits_into_the_watchdog() {
    let config = |interval: &str, deadline: &str| {
        parse("config.toml", &format!("interval = \"{interval}\"\nround_deadline = \"{deadline}\"\n"))
    };
    assert!(config("24h1s", "10m").is_err(), "the interval may be longer by now");
    assert!(config("24h", "10m1s").is_err(), "a round may be longer by now");
    let longest = config("24h", "10m").expect("a valid config").config;
    // As in src/daemon/rounds.rs.
    let needed = 3 * longest.interval + 2 * longest.round_deadline;
    let limits = values("WatchdogSec");
    let [limit] = &limits[..] else { panic!("one limit: {limits:?}") };
    let limit = duration::parse(limit).expect("a duration");
    assert!(limit > needed && limit < needed + Duration::from_hours(2), "{limit:?} for {needed:?}");
}

/// The codes of src/cli/exit.rs for another instance and for a bad config.
#[test]
fn what_does_not_mend_itself_is_not_started_again() {
    assert_eq!(values("Restart"), ["always"]);
    assert_eq!(values("RestartPreventExitStatus"), ["75 78"]);
}

#[test]
fn the_user_is_the_one_that_the_package_makes() {
    let users = read("systemd/vpce-probe.sysusers");
    let made: Vec<&str> = users.lines().filter(|line| !line.starts_with('#')).collect();
    let [line] = made[..] else { panic!("one user: {made:?}") };
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    assert_eq!(words[..3], ["u", "vpce-probe", "-"]);
    for key in ["User", "Group", "StateDirectory", "RuntimeDirectory", "ConfigurationDirectory"] {
        assert_eq!(values(key), ["vpce-probe"], "{key}");
    }
    assert!(values("DynamicUser").is_empty());
    assert!(read("systemd/vpce-probe.preset").lines().any(|line| line == "enable vpce-probe.service"));
}

/// What the probe needs is not taken from it: a line that does would make every target of the fleet fail at once.
#[test]
fn the_network_is_left_open() {
    for key in [
        "IPAddressDeny",
        "IPAddressAllow",
        "PrivateNetwork",
        "SocketBindDeny",
        "RestrictNetworkInterfaces",
        "ProcSubset",
    ] {
        assert!(values(key).is_empty(), "{key}=");
    }
    assert_eq!(values("RestrictAddressFamilies"), ["AF_UNIX AF_INET AF_INET6 AF_NETLINK"]);
}

/// As it stands it changes nothing: somebody chooses lines.
#[test]
fn the_example_is_all_comments() {
    let example = read("systemd/example.conf");
    let active: Vec<&str> = example.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(active, ["[Service]"]);
}

/// The unit's settings in their order, without sections.
fn settings() -> Vec<(String, String)> {
    let unit = read("systemd/vpce-probe.service");
    let lines = unit.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', '[']));
    lines
        .map(|line| line.split_once('=').unwrap_or_else(|| panic!("no setting: {line}")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn values(key: &str) -> Vec<String> {
    settings().into_iter().filter(|(name, _)| name == key).map(|(_, value)| value).collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect(path)
}
