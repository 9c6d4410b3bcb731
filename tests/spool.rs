//! The spool against what disks and processes do: ends at any moment, torn and flipped bytes, full and read-only disks.
//! Needs root and tmpfs.

#[path = "spool/bed.rs"]
mod bed;
#[path = "spool/damage.rs"]
mod damage;
#[path = "spool/kill.rs"]
mod kill;
#[path = "spool/model.rs"]
mod model;
#[path = "spool/mounts.rs"]
mod mounts;
#[path = "spool/order.rs"]
mod order;
