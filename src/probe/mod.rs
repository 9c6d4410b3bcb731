//! Carries out one round. Nothing is judged here: what the network did is recorded as data.

pub mod hosts_file;
pub mod resolve;

use tokio::time::Instant;

use crate::model::{host::Proxy, observation::Observation, plan::Plan};

/// Why nothing could be probed: our own fault or the host's, never a target's.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The trust store is empty or cannot be read.
    #[error("no trusted certificate authority: {0}")]
    TrustStore(String),
}

/// Everything that outlives a round: the trust store and the TLS settings.
pub struct Prober {}

impl Prober {
    /// Loads the trust store and prepares TLS.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub fn new(plan: &Plan) -> Result<Self, ProbeError> {
        let _ = plan;
        Ok(Self {})
    }

    /// One round over all targets of `plan`, side by side; ends by `deadline`. `done` is called with the number of
    /// targets finished so far, whenever one finishes.
    pub async fn round(
        &self,
        plan: &Plan,
        proxies: &[Proxy],
        deadline: Instant,
        done: &dyn Fn(usize),
    ) -> Vec<Observation> {
        let _ = (plan, proxies, deadline, done);
        Vec::new()
    }
}
