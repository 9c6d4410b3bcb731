//! Plain data: what is probed, what was seen, what was judged. No clock, no I/O, no runtime.

pub mod cause;
pub mod cause_text;
pub mod event;
pub mod host;
pub mod no_proxy;
pub mod observation;
pub mod plan;
pub mod round;
pub mod sample;
pub mod target;
pub mod units;
pub mod verdict;
