//! Where a round goes on this host: the log, the service manager, the state file, the textfile. A sink never makes a round
//! wait: what may stall is written by a thread of its own.

pub mod journal;
pub mod lock;
pub mod notify;
pub mod state;
pub mod textfile;

mod replace;
