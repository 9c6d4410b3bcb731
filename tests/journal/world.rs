//! A journald of its own for a test: the test runs itself again in namespaces where /run is empty, starts journald there, and
//! a third time as the program that logs.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixDatagram,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;

use super::talker;

/// Plays `story` in a world of its own. `test` is the calling test's full name.
pub(crate) fn play(test: &'static str, story: impl FnOnce(&mut World)) {
    match env::var(ROLE).as_deref() {
        Ok("talker") => talker::run(),
        Ok("world") => story(&mut World { test, journald: None }),
        Ok(_) | Err(_) => outside(test),
    }
}

fn outside(test: &str) {
    let output = Command::new("unshare")
        .args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journal/namespace"))
        .arg(env::current_exe().expect("this test's own file"))
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, "world")
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    // What the story measured.
    eprint!("{complained}");
    assert!(output.status.success() && said.contains("1 passed"), "{said}\n{complained}");
}

/// The namespaces, seen from inside.
pub(crate) struct World {
    test: &'static str,
    journald: Option<Child>,
}

impl World {
    /// Starts journald, and waits until it listens.
    pub(crate) fn start_journald(&mut self) {
        let child =
            Command::new(JOURNALD).stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("systemd-journald");
        self.journald = Some(child);
        within("journald listens", || {
            let socket = UnixDatagram::unbound().expect("a socket");
            socket.connect(SOCKET).is_ok()
        });
    }

    /// Ends journald as a crash would.
    pub(crate) fn kill_journald(&mut self) {
        let mut child = self.journald.take().expect("journald runs");
        child.kill().and_then(|()| child.wait()).expect("ended");
    }

    /// journald stalls.
    pub(crate) fn stop_journald(&self) {
        self.signal(Signal::STOP);
        within("journald is stopped", || self.journald_is_stopped());
    }

    /// journald goes on.
    pub(crate) fn continue_journald(&self) {
        self.signal(Signal::CONT);
    }

    /// Whether it is stopped at this moment.
    pub(crate) fn journald_is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("journald runs");
        stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a PID");
        kill_process(pid, signal).expect("journald runs");
    }

    fn pid(&self) -> u32 {
        self.journald.as_ref().expect("journald runs").id()
    }

    /// The program that logs, in this world.
    pub(crate) fn talker(&self, variables: &[(&str, &str)]) -> Talker {
        self.talker_with(variables, Stdio::piped())
    }

    /// The same with a stderr of the test's choice.
    pub(crate) fn talker_with(&self, variables: &[(&str, &str)], stderr: Stdio) -> Talker {
        let mut child = Command::new(env::current_exe().expect("this test's own file"))
            .args(["--exact", self.test, "--nocapture"])
            .env_remove("JOURNAL_STREAM")
            .env_remove("VPCE_PROBE_LOG")
            .envs(variables.iter().copied())
            .env(ROLE, "talker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the talker");
        Talker {
            orders: child.stdin.take().expect("piped"),
            answers: lines(child.stdout.take().expect("piped")),
            complaints: child.stderr.take().map(lines),
            child,
        }
    }
}

/// The program that logs.
pub(crate) struct Talker {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
    complaints: Option<Receiver<String>>,
}

impl Talker {
    /// Orders something and waits for the answer.
    pub(crate) fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").expect("the talker runs");
        loop {
            match self.answers.recv_timeout(LONG) {
                Ok(line) => {
                    if let Some(answer) = line.strip_prefix(talker::ANSWER) {
                        return answer.to_owned();
                    }
                }
                Err(error) => panic!("no answer to {order}: {error}"),
            }
        }
    }

    /// The same, where the answer is a number.
    pub(crate) fn count(&mut self, order: &str) -> u64 {
        let answer = self.ask(order);
        answer.parse().unwrap_or_else(|_| panic!("{order}: {answer}"))
    }

    /// Waits for a line on stderr that contains `words`.
    pub(crate) fn complains(&self, words: &str) -> String {
        loop {
            match self.complaints.as_ref().expect("piped").recv_timeout(LONG) {
                Ok(line) if line.contains(words) => return line,
                Ok(_) => {}
                Err(error) => panic!("stderr never says {words}: {error}"),
            }
        }
    }

    /// Ends the program in order, and yields what stderr said that was not yet asked for.
    pub(crate) fn end(mut self) -> Vec<String> {
        drop(self.orders);
        let status = self.child.wait().expect("ended");
        let mut left = Vec::new();
        if let Some(complaints) = self.complaints {
            loop {
                match complaints.recv_timeout(LONG) {
                    Ok(line) => left.push(line),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => panic!("stderr stays open"),
                }
            }
        }
        assert!(status.success(), "{status}: {left:?}");
        left
    }
}

fn lines(stream: impl io::Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

/// What journald holds of vpce-probe's, oldest first.
pub(crate) fn journal(extra: &[&str]) -> Vec<Value> {
    let done = Command::new("journalctl").arg("--sync").status().expect("journalctl");
    assert!(done.success(), "journalctl --sync");
    let output = Command::new("journalctl")
        .args(["--directory=/run/log/journal", "-t", "vpce-probe", "-o", "json", "--all", "--no-pager", "-q"])
        .args(extra)
        .output()
        .expect("journalctl");
    String::from_utf8(output.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Waits until `is` holds.
pub(crate) fn within(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is() {
        assert!(Instant::now() < deadline, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The value of a field that is text.
pub(crate) fn text<'a>(record: &'a Value, field: &str) -> &'a str {
    record.get(field).and_then(Value::as_str).unwrap_or_else(|| panic!("no {field} in {record}"))
}

const ROLE: &str = "VPCE_TEST_ROLE";
const JOURNALD: &str = "/lib/systemd/systemd-journald";
const SOCKET: &str = "/run/systemd/journal/socket";
/// Longer than anything here takes on a busy machine.
const LONG: Duration = Duration::from_mins(1);
