//! What becomes of a round in CloudWatch: which metrics there are, which series a config makes of them, what they cost,
//! and the datums of one round. Pure: values in, values out.

mod datum;
mod dimensions;
mod encode;
mod sample;
mod settings;
mod table;
mod tail;

pub use self::{
    datum::{Datum, Finite, Unit},
    encode::encode,
    sample::{Counters, origin, sample},
    settings::{Detail, Settings},
    table::{Dimension, METRICS, Metric, Name, Set},
    tail::Tail,
};
