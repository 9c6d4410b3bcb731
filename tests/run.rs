//! `vpce-probe run` where the system gives it less than it wants. No network: the name server that is asked is this host, which runs none.

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// A daemon, and the lines that it writes.
struct Daemon {
    child: Child,
    said: Receiver<String>,
}

impl Daemon {
    /// Starts it by a shell that does `first`.
    fn start(first: &str, config: &Path) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", &format!("{first}; exec \"$0\" run --config \"$1\"")])
            .args([Path::new(env!("CARGO_BIN_EXE_vpce-probe")), config])
            .env_clear()
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("VPCE_PROBE_LOG", "text")
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let (say, said) = channel();
        let lines: Lines<BufReader<ChildStderr>> = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| say.send(line)));
        Self { child, said }
    }

    /// Waits for a line that contains `word`.
    fn says(&self, word: &str) -> String {
        let mut before = String::new();
        loop {
            match self.said.recv_timeout(Duration::from_secs(20)) {
                Ok(line) if line.contains(word) => return line,
                Ok(line) => before.push_str(&line),
                Err(error) => panic!("{error}, no {word:?} in {before}"),
            }
        }
    }

    fn hear(&self, signal: &str) {
        let done = Command::new("kill").args([signal, &self.child.id().to_string()]).status().expect("kill");
        assert!(done.success());
    }

    /// Ends it; its exit code.
    fn end(mut self) -> Option<i32> {
        self.hear("-TERM");
        self.child.wait().expect("it ends").code()
    }
}

fn config(folder: &TempDir, name: &str, runtime: &str, state: &str) -> std::path::PathBuf {
    let path = folder.path().join(name);
    let place = folder.path().display();
    let text = format!(
        r#"
region = "eu-west-1"
interval = "20s"
default_targets = false
runtime_dir = "{place}/{runtime}"
state_dir = "{place}/{state}"
[dns]
resolver = ["127.0.0.1"]
[[target]]
host = "vault.example"
required = true
"#
    );
    fs::write(&path, text).expect("a file in a temporary folder");
    path
}

#[test]
fn a_limit_of_file_sizes_is_a_full_disk_and_no_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let daemon = Daemon::start("ulimit -f 0", &config(&folder, "config.toml", "run", "var"));
    daemon.says("the spool cannot be written");
    daemon.says("cannot write");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn two_that_share_a_folder_do_not_both_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Daemon::start(":", &config(&folder, "first.toml", "run", "var"));
    first.says("targets healthy");
    for (name, runtime, state) in [("spool.toml", "other", "var"), ("state.toml", "run", "other")] {
        let mut second = Daemon::start(":", &config(&folder, name, runtime, state));
        second.says("another vpce-probe runs already");
        assert_eq!(second.child.wait().expect("it ends").code(), Some(75), "{name}");
    }
    let beside = Daemon::start(":", &config(&folder, "beside.toml", "beside", "beside"));
    beside.says("targets healthy");
    assert_eq!((beside.end(), first.end()), (Some(0), Some(0)));
}

#[test]
fn a_config_that_cannot_be_read_again_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = config(&folder, "config.toml", "run", "var");
    let daemon = Daemon::start(&format!("exec < {}", path.display()), Path::new("-"));
    daemon.says("targets healthy");
    daemon.hear("-HUP");
    daemon.says("cannot be read again");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn what_is_locked_stays_until_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = config(&folder, "config.toml", "run", "var");
    let daemon = Daemon::start(":", &path);
    daemon.says("targets healthy");
    config(&folder, "config.toml", "elsewhere", "elsewhere");
    daemon.hear("-HUP");
    daemon.says("state_dir is another now");
    daemon.says("runtime_dir is another now");
    daemon.says("in force");
    assert_eq!(daemon.end(), Some(0));
    assert!(folder.path().join("run/last.json").exists());
    assert!(!folder.path().join("elsewhere").exists());
}
