//! Tells the service manager how the daemon is: `sd_notify(3)`, spoken by hand. Without a manager nothing is told.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind},
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::render;

/// The way to the service manager. Nothing here waits: a manager that is busy gets the message with the next one.
#[derive(Debug)]
pub struct Notifier {
    manager: Option<Manager>,
    watchdog: Option<Duration>,
}

#[derive(Debug)]
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
    /// Changes of state that it has not taken yet, oldest first.
    waiting: VecDeque<String>,
    /// Whether it was already said that it takes nothing.
    deaf: bool,
}

/// What becomes of a message that the manager cannot take now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Worth {
    /// It goes before the next one.
    Kept,
    /// The next one says the same anew.
    Passing,
}

impl Notifier {
    /// The manager that `NOTIFY_SOCKET` names, and its watchdog where `WATCHDOG_USEC` asks for one. A socket that cannot be
    /// used is warned of once, here.
    #[must_use]
    pub fn from_environment(environment: &BTreeMap<String, String>) -> Self {
        let manager = environment.get("NOTIFY_SOCKET").filter(|name| !name.is_empty()).and_then(|name| {
            Manager::at(name)
                .inspect_err(|error| tracing::warn!(socket = name, %error, "NOTIFY_SOCKET: nothing is told to systemd"))
                .ok()
        });
        Self { manager, watchdog: watchdog(environment) }
    }

    /// Whether the manager wants to hear from a watchdog, and how often it said so in the environment.
    #[must_use]
    pub const fn watched(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The daemon does its work (after a start, and after [`Self::reloading`]).
    pub fn ready(&mut self, status: &str) {
        self.tell(&format!("READY=1\n{}", status_line(status)), Worth::Kept);
    }

    /// What the daemon does, in one line for a person.
    pub fn status(&mut self, text: &str) {
        self.tell(&status_line(text), Worth::Passing);
    }

    /// A round finished in time. Nothing where no watchdog is on.
    pub fn watchdog(&mut self) {
        if self.watchdog.is_some() {
            self.tell("WATCHDOG=1", Worth::Passing);
        }
    }

    /// From now on [`Self::watchdog`] is called at least so often, or something is wrong. Nothing where the unit has no
    /// watchdog: it was turned off.
    pub fn watchdog_usec(&mut self, longest: Duration) {
        if self.watchdog.is_some() {
            self.watchdog = Some(longest);
            self.tell(&format!("WATCHDOG_USEC={}", longest.as_micros()), Worth::Kept);
        }
    }

    /// The config is being read again; [`Self::ready`] ends that, whether the new one is good or not.
    pub fn reloading(&mut self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"), Worth::Kept);
    }

    /// The daemon stops.
    pub fn stopping(&mut self, status: &str) {
        self.tell(&format!("STOPPING=1\n{}", status_line(status)), Worth::Kept);
    }

    fn tell(&mut self, message: &str, worth: Worth) {
        if let Some(manager) = &mut self.manager {
            manager.tell(message, worth);
        }
    }
}

impl Manager {
    fn at(name: &str) -> io::Result<Self> {
        let address = match (name.strip_prefix('@'), name.starts_with('/')) {
            (Some(hidden), _) => SocketAddr::from_abstract_name(hidden)?,
            (None, true) => SocketAddr::from_pathname(name)?,
            (None, false) => {
                return Err(io::Error::new(ErrorKind::Unsupported, "neither a path nor an abstract socket"));
            }
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address, waiting: VecDeque::new(), deaf: false })
    }

    fn tell(&mut self, message: &str, worth: Worth) {
        while let Some(earlier) = self.waiting.front() {
            if !self.took(earlier.clone().as_str()) {
                break;
            }
            self.waiting.pop_front();
        }
        if (!self.waiting.is_empty() || !self.took(message)) && worth == Worth::Kept {
            if self.waiting.len() == MOST_WAITING {
                self.waiting.pop_front();
            }
            self.waiting.push_back(message.to_owned());
        }
    }

    fn took(&mut self, message: &str) -> bool {
        match self.socket.send_to_addr(message.as_bytes(), &self.address) {
            Ok(_) => {
                self.deaf = false;
                true
            }
            Err(error) => {
                // A full queue is a busy manager and passes; anything else is worth a word, once.
                if error.kind() != ErrorKind::WouldBlock && !self.deaf {
                    self.deaf = true;
                    tracing::warn!(%error, "systemd does not take notifications");
                }
                false
            }
        }
    }
}

fn watchdog(environment: &BTreeMap<String, String>) -> Option<Duration> {
    let number = |name| environment.get(name).and_then(|text: &String| text.trim().parse::<u64>().ok());
    let for_us = match environment.get("WATCHDOG_PID") {
        Some(_) => number("WATCHDOG_PID") == Some(u64::from(std::process::id())),
        None => true,
    };
    number("WATCHDOG_USEC").filter(|micros| *micros > 0 && for_us).map(Duration::from_micros)
}

/// One line, nothing in it that a terminal obeys, and not longer than `systemctl status` can show.
fn status_line(text: &str) -> String {
    let line = render::line(text);
    let end = line.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= LONGEST_STATUS).last();
    let cut = end.and_then(|end| line.get(..end)).unwrap_or_default();
    format!("STATUS={cut}")
}

/// In bytes.
const LONGEST_STATUS: usize = 500;
/// Changes of state: a start, some reloads, a stop.
const MOST_WAITING: usize = 8;
