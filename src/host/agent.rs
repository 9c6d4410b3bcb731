//! Whether amazon-ssm-agent runs, as its unit's control group says: readable without privilege, also from a hardened unit.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use super::files::Root;
use crate::model::host::{Agent, AgentState};

/// What the control groups show, with the processes of the agent's unit that this process can name.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// For the report.
    pub(super) agent: Agent,
    /// The unit's processes in this PID namespace.
    pub(super) pids: Vec<u32>,
}

/// Reads the state of the agent under `root`. "Cannot tell" is not "does not run": only a tree that shows systemd's
/// `system.slice` is taken as proof that a unit has no processes.
pub(super) fn read(root: Root<'_>, now: SystemTime) -> Seen {
    let trees: Vec<&str> = HIERARCHIES.into_iter().filter(|tree| root.has(&format!("{tree}/{SLICE}"))).collect();
    let mut unreadable = false;
    let mut known = None;
    for unit in UNITS {
        for tree in &trees {
            let group = format!("{tree}/{SLICE}/{unit}");
            match processes(root, &group) {
                Group::Absent => {}
                Group::Empty => known = Some(unit),
                Group::Unreadable => unreadable = true,
                Group::Populated(pids) => {
                    let running_s = age(root, &group, now).map(|age| age.as_secs());
                    let agent = Agent { state: AgentState::Running, unit: Some(unit.to_owned()), running_s };
                    return Seen { agent, pids };
                }
            }
        }
    }
    let installed = known.or_else(|| installed(root));
    let state = match installed {
        _ if unreadable => AgentState::Unknown,
        Some(_) if !trees.is_empty() => AgentState::Stopped,
        None if HIERARCHIES.iter().any(|tree| root.has(&format!("{tree}/cgroup.procs"))) || !trees.is_empty() => {
            AgentState::NotInstalled
        }
        Some(_) | None => AgentState::Unknown,
    };
    Seen { agent: Agent { state, unit: installed.map(str::to_owned), running_s: None }, pids: Vec::new() }
}

/// What a unit's control group holds.
enum Group {
    Absent,
    Empty,
    Unreadable,
    Populated(Vec<u32>),
}

/// The processes of the group. `cgroup.procs` shows a process of another PID namespace as 0: that is a process, too.
/// On version 2 `cgroup.events` also counts those of groups below.
fn processes(root: Root<'_>, group: &str) -> Group {
    if !root.has(group) {
        return Group::Absent;
    }
    let listed = root.text(&format!("{group}/cgroup.procs"));
    let events = root.text(&format!("{group}/cgroup.events"));
    if let Some(lines) = listed.as_deref().map(str::trim).filter(|lines| !lines.is_empty()) {
        let pids = lines.lines().filter_map(|line| line.trim().parse().ok()).filter(|&pid| pid != 0);
        return Group::Populated(pids.take(MOST_PIDS).collect());
    }
    match (listed, events) {
        (_, Some(events)) if events.lines().any(|line| line.trim() == "populated 1") => Group::Populated(Vec::new()),
        (Some(_), _) | (None, Some(_)) => Group::Empty,
        (None, None) => Group::Unreadable,
    }
}

/// How long ago the group was made, which systemd does when it starts the unit.
fn age(root: Root<'_>, group: &str, now: SystemTime) -> Option<Duration> {
    let made = fs::metadata(root.place(group)).ok()?.modified().ok()?;
    now.duration_since(made).ok()
}

/// The unit of the package that is installed, started or not.
fn installed(root: Root<'_>) -> Option<&'static str> {
    let [package, snap] = UNITS;
    let has_unit = |unit: &str| UNIT_FOLDERS.iter().any(|folder| root.has(&format!("{folder}/{unit}")));
    if root.has("/snap/amazon-ssm-agent") || has_unit(snap) {
        return Some(snap);
    }
    (has_unit(package) || root.has("/usr/bin/amazon-ssm-agent")).then_some(package)
}

/// The unit of the deb and the rpm, and snap's.
pub(super) const UNITS: [&str; 2] = ["amazon-ssm-agent.service", "snap.amazon-ssm-agent.amazon-ssm-agent.service"];
/// Where units lie, the strongest folder first (systemd.unit(5)).
pub(super) const UNIT_FOLDERS: [&str; 5] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
/// Version 2; version 2 beside version 1 (hybrid); version 1.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
const SLICE: &str = "system.slice";
/// The agent has a handful of processes and one more for each session.
const MOST_PIDS: usize = 16;

#[cfg(test)]
mod tests {
    use std::{
        fs,
        time::{Duration, SystemTime},
    };

    use super::{Seen, read};
    use crate::{host::files::Root, model::host::AgentState};

    /// The state under a root with these files (`path` or `path=text`; a trailing `/` makes a folder).
    fn look(files: &[&str]) -> Seen {
        let folder = tempfile::tempdir().expect("a folder");
        for file in files {
            let (path, text) = file.split_once('=').unwrap_or((file, ""));
            let place = folder.path().join(path);
            if path.ends_with('/') {
                fs::create_dir_all(place).expect("made");
                continue;
            }
            fs::create_dir_all(place.parent().expect("has a parent")).expect("made");
            fs::write(place, text).expect("written");
        }
        read(Root::new(folder.path()), SystemTime::now() + Duration::from_secs(100))
    }

    const V2: &str = "sys/fs/cgroup/system.slice/amazon-ssm-agent.service";
    const UNIT: &str = "usr/lib/systemd/system/amazon-ssm-agent.service";

    #[test]
    fn processes_in_the_units_group_mean_running() {
        for tree in ["sys/fs/cgroup", "sys/fs/cgroup/unified", "sys/fs/cgroup/systemd"] {
            for unit in super::UNITS {
                let seen = look(&[&format!("{tree}/system.slice/{unit}/cgroup.procs=71\n0\n72\n")]);
                assert_eq!(seen.agent.state, AgentState::Running, "{tree} {unit}");
                assert_eq!(seen.agent.unit.as_deref(), Some(unit));
                assert_eq!(seen.pids, [71, 72]);
                assert!((99..=101).contains(&seen.agent.running_s.expect("told")), "{seen:?}");
            }
        }
    }

    #[test]
    fn every_other_state() {
        let check = |files: &[&str], expected| assert_eq!(look(files).agent.state, expected, "{files:?}");
        check(&[&format!("{V2}/cgroup.procs=0\n")], AgentState::Running);
        check(
            &[&format!("{V2}/cgroup.procs="), &format!("{V2}/cgroup.events=populated 1\nfrozen 0\n")],
            AgentState::Running,
        );
        check(&[&format!("{V2}/cgroup.procs="), UNIT], AgentState::Stopped);
        check(&[&format!("{V2}/cgroup.procs=")], AgentState::Stopped);
        check(&["sys/fs/cgroup/system.slice/ssh.service/cgroup.procs=1\n", UNIT], AgentState::Stopped);
        check(&["sys/fs/cgroup/system.slice/", "usr/bin/amazon-ssm-agent"], AgentState::Stopped);
        check(&["sys/fs/cgroup/system.slice/", "snap/amazon-ssm-agent/current/x"], AgentState::Stopped);
        check(&["sys/fs/cgroup/system.slice/ssh.service/cgroup.procs=1\n"], AgentState::NotInstalled);
        // A container's own small tree says nothing of the host's units.
        check(&["sys/fs/cgroup/cgroup.procs=1\n", UNIT], AgentState::Unknown);
        check(&["sys/fs/cgroup/", UNIT], AgentState::Unknown);
        check(&[UNIT], AgentState::Unknown);
        check(&[], AgentState::Unknown);
        // Present, and nothing in it can be read.
        check(&[&format!("{V2}/"), UNIT], AgentState::Unknown);
    }
}
