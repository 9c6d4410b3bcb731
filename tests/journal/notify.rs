//! `sd_notify` against a socket as systemd holds it.

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
};
use vpce_probe::sink::notify::Notifier;

#[test]
fn a_path_and_an_abstract_name_are_told_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let by_path = UnixDatagram::bind(&path).expect("bound");
    tells_everything(&by_path, &path.display().to_string());

    let name = format!("vpce-probe-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let hidden = UnixDatagram::bind_addr(&address).expect("bound");
    tells_everything(&hidden, &format!("@{name}"));
}

fn tells_everything(manager: &UnixDatagram, name: &str) {
    manager.set_nonblocking(true).expect("set");
    let pid = std::process::id().to_string();
    let mut notifier = notifier(&[("NOTIFY_SOCKET", name), ("WATCHDOG_USEC", "6000000"), ("WATCHDOG_PID", &pid)]);
    assert_eq!(notifier.watched(), Some(Duration::from_secs(6)));
    notifier.ready("first round in 3 s");
    assert_eq!(heard(manager), ["READY=1\nSTATUS=first round in 3 s"]);
    notifier.watchdog_usec(Duration::from_secs(75));
    notifier.watchdog();
    assert_eq!(heard(manager), ["WATCHDOG_USEC=75000000", "WATCHDOG=1"]);
    notifier.status("kms failed\nREADY=1\u{1b}[31m");
    assert_eq!(heard(manager), ["STATUS=kms failed READY=1\\x1b[31m"], "one line, one assignment");
    notifier.status(&"ü".repeat(5000));
    assert_eq!(heard(manager), [format!("STATUS={}", "ü".repeat(250))]);
    let before = monotonic();
    notifier.reloading();
    let after = monotonic();
    let told = heard(manager).concat();
    let micros = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{told}"));
    assert!((before..=after).contains(&micros.parse().expect("a number")), "{before} {told} {after}");
    notifier.ready("reloaded");
    notifier.stopping("told to");
    assert_eq!(heard(manager), ["READY=1\nSTATUS=reloaded", "STOPPING=1\nSTATUS=told to"]);
}

#[test]
fn a_watchdog_is_fed_only_where_one_is_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify").display().to_string();
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_nonblocking(true).expect("set");
    let others = (std::process::id() + 1).to_string();
    for variables in [
        vec![("NOTIFY_SOCKET", path.as_str())],
        vec![("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "0")],
        vec![("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "soon")],
        vec![("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "6000000"), ("WATCHDOG_PID", &others)],
        vec![("NOTIFY_SOCKET", &path), ("WATCHDOG_USEC", "6000000"), ("WATCHDOG_PID", "me")],
    ] {
        let mut notifier = notifier(&variables);
        notifier.watchdog_usec(Duration::from_secs(1));
        notifier.watchdog();
        notifier.status("all is well");
        assert_eq!(heard(&manager), ["STATUS=all is well"], "{variables:?}");
    }
}

#[test]
fn a_busy_manager_misses_no_change_of_state() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify").display().to_string();
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_nonblocking(true).expect("set");
    let mut notifier = notifier(&[("NOTIFY_SOCKET", &path)]);
    // Far more than fits; every call comes back although nobody reads.
    for n in 0..10_000 {
        notifier.status(&format!("round {n}"));
    }
    notifier.reloading();
    notifier.ready("reloaded");
    notifier.status("lost, and said again below");
    let early = heard(&manager);
    assert!(early.len() < 10_000 && early.iter().all(|told| told.starts_with("STATUS=round ")), "{}", early.len());
    notifier.status("round 10000");
    let late = heard(&manager);
    assert_eq!(late.len(), 3, "{late:?}");
    assert!(late[0].starts_with("RELOADING=1\nMONOTONIC_USEC="), "{late:?}");
    assert_eq!(late[1..], ["READY=1\nSTATUS=reloaded", "STATUS=round 10000"]);
}

#[test]
fn without_a_usable_socket_nothing_is_told_and_nothing_fails() {
    let long = format!("/{}", "x".repeat(300));
    let bad = ["vsock:2:1234", "relative/path", "/nonexistent/notify", "@no-such-name-is-bound", &long];
    for (name, warnings) in bad.iter().map(|name| (*name, 1)).chain([("", 0)]) {
        let warned = Arc::new(AtomicUsize::new(0));
        let subscriber = tracing_subscriber::registry().with(Warned(Arc::clone(&warned)));
        tracing::subscriber::with_default(subscriber, || {
            let mut notifier = notifier(&[("NOTIFY_SOCKET", name)]);
            notifier.ready("ready");
            notifier.status("running");
            notifier.stopping("stops");
        });
        assert_eq!(warned.load(Ordering::Relaxed), warnings, "{name}");
    }
    let mut silent = notifier(&[]);
    silent.ready("ready");
    assert_eq!(silent.watched(), None);
}

/// A manager that comes late (a new one after re-execution, at the same path) hears what waited.
#[test]
fn a_manager_that_comes_late_hears_what_waited() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify").display().to_string();
    let mut notifier = notifier(&[("NOTIFY_SOCKET", &path)]);
    notifier.ready("ready");
    let manager = UnixDatagram::bind(&path).expect("bound");
    manager.set_nonblocking(true).expect("set");
    notifier.status("running");
    assert_eq!(heard(&manager), ["READY=1\nSTATUS=ready", "STATUS=running"]);
}

/// Counts warnings.
struct Warned(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Warned {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() == tracing::Level::WARN {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn notifier(variables: &[(&str, &str)]) -> Notifier {
    let environment: BTreeMap<String, String> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Notifier::from_environment(&environment)
}

/// All that waits in the socket. A Unix datagram is there as soon as it is sent.
fn heard(manager: &UnixDatagram) -> Vec<String> {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match manager.recv(&mut buffer) {
            Ok(length) => all.push(String::from_utf8(buffer[..length].to_vec()).expect("UTF-8")),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

fn monotonic() -> i128 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000
}
