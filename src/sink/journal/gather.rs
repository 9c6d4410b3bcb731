//! Takes what the code logs and queues it.

use std::sync::Arc;

use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

use super::{queue::Queue, record::Record};
use crate::model::units::Timestamp;

/// The end of `tracing`, the beginning of the queue.
#[derive(Debug)]
pub(super) struct Gather {
    queue: Arc<Queue>,
}

impl Gather {
    pub(super) const fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for Gather {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        self.queue.push(Record::of(event, Timestamp::now()));
    }
}
