//! Plain data: what is probed, what was seen, what was judged. No clock, no I/O, no runtime.

pub mod cause;
pub mod cause_text;
pub mod host;
pub mod observation;
pub mod plan;
pub mod round;
pub mod target;
pub mod units;
pub mod verdict;
