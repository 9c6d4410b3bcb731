//! What of the config decides which series there are.

use std::time::Duration;

/// How fine the series are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Detail {
    /// Series of the VPC alone, and of this host while it is not healthy.
    #[default]
    Fleet,
    /// One steady series a host besides: `Heartbeat`.
    Heartbeat,
    /// `Heartbeat`, and `Success` of each host and target.
    Instance,
}

/// What decides which series there are.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The namespace.
    pub namespace: String,
    /// How fine the series are.
    pub detail: Detail,
    /// Dimensions on every series, in the config's order.
    pub fixed_dimensions: Vec<(String, String)>,
    /// Further sets of dimensions, by name.
    pub extra_dimension_sets: Vec<Vec<String>>,
    /// From one round to the next.
    pub interval: Duration,
    /// From one flush to the next.
    pub flush_interval: Duration,
}
