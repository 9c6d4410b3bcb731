//! What becomes of a round in CloudWatch: which metrics there are, which series a config makes of them, what they cost,
//! and the datums of one round. Pure: values in, values out.

mod batch;
pub mod cost;
mod datum;
mod dimensions;
mod encode;
mod sample;
mod series;
mod settings;
mod table;
mod tail;

pub use self::{
    batch::{body_bytes, requests},
    datum::{Datum, Finite, Unit},
    encode::encode,
    sample::{Counters, origin, sample, sample_since},
    series::{Owner, Presence, Series, series},
    settings::{Detail, Settings},
    table::{Dimension, METRICS, Metric, Name, Set},
    tail::Tail,
};
