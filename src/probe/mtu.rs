//! The path MTU of one address, measured inside TCP: no ICMP, no privilege.

mod channel;
mod comb;
mod evidence;
mod examine;
mod holes;
mod ladder;
mod memory;
mod request;
mod shared;
mod site;

pub(super) use self::{
    channel::{Channel, Combed},
    evidence::{Arrival, CombEnding, Ending, Evidence, read},
    examine::{Diagnosis, comb, handshake, hello},
    ladder::SMALLEST,
    memory::{Due, Facts, FanOut, Key, Memory, Suspicion},
    shared::reconcile,
    site::{Common, SYN_REPEATED, Site, replacement},
};
