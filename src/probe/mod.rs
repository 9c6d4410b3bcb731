//! Carries out one round. Nothing is judged here: what the network did is recorded as data.

mod chain;
mod connect;
mod dial;
pub mod hosts_file;
#[doc(hidden)]
pub mod http;
mod line;
mod mtu;
mod proxy;
pub mod resolve;
mod tls;
mod trail;
mod trust;
mod words;

use std::{
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use time::OffsetDateTime;
use tokio::{sync::Semaphore, task::JoinSet, time::Instant};

pub use self::dial::{Call, Dialer, Fault, Line, Security, Way};
use self::{
    chain::Chain,
    hosts_file::{HostsFile, includes},
    trail::Trail,
};
use crate::{
    classify::classify,
    model::{
        cause::Cause,
        host::Proxy,
        observation::{AddressRecord, Observation, Outcome, ProxyRecord},
        plan::{Plan, TlsPlan},
        target::{Expect, Target},
    },
    sys::Routes,
};

/// Why nothing could be probed: our own fault or the host's, never a target's.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The trust store is empty or cannot be read.
    #[error("no trusted certificate authority: {0}")]
    TrustStore(String),
    /// The operator's own authorities cannot be read.
    #[error("extra_ca_file cannot be used: {0}")]
    ExtraAuthorities(String),
}

/// Everything that outlives a round: the trust store, the TLS settings, and what is known of each path's MTU.
pub struct Prober {
    tls: Arc<tls::Client>,
    settings: TlsPlan,
    trust: trust::Imprint,
    memory: Arc<Mutex<mtu::Memory>>,
}

impl Prober {
    /// Loads the trust store and prepares TLS.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub fn new(plan: &TlsPlan) -> Result<Self, ProbeError> {
        let trust = trust::Imprint::take(plan.extra_ca_file.as_deref());
        Ok(Self { tls: Arc::new(tls::Client::new(plan)?), settings: plan.clone(), trust, memory: Arc::default() })
    }

    /// Takes on other settings, or a trust store that was written anew; what is known of each path's MTU is kept. Returns
    /// whether anything changed.
    ///
    /// # Errors
    /// See [`ProbeError`]: then everything stays as it was, and the next call tries again.
    pub fn refresh(&mut self, plan: &TlsPlan) -> Result<bool, ProbeError> {
        let trust = trust::Imprint::take(plan.extra_ca_file.as_deref());
        if self.settings == *plan && self.trust == trust {
            return Ok(false);
        }
        self.tls = Arc::new(tls::Client::new(plan)?);
        self.settings = plan.clone();
        self.trust = trust;
        Ok(true)
    }

    /// What opens connections for this program's own use, with this prober's trust store and TLS settings.
    #[must_use]
    pub fn dialer(&self) -> Dialer {
        Dialer::new(Arc::clone(&self.tls))
    }

    /// One round over all targets of `plan`, side by side; ends by `deadline`. `done` is called with the number of
    /// targets finished so far, whenever one finishes. Dropping the future ends every task that it started.
    pub async fn round(
        &self,
        plan: &Plan,
        proxies: &[Proxy],
        deadline: Instant,
        done: &dyn Fn(usize),
    ) -> Vec<Observation> {
        let shared = Arc::new(Shared {
            plan: plan.clone(),
            proxies: proxies.to_vec(),
            tls: Arc::clone(&self.tls),
            hosts: hosts_file(),
            clock: Clock::start(),
            deadline,
            slots: Semaphore::new(MOST_CONNECTIONS),
            mtu: mtu::Common::default(),
            routes: Mutex::default(),
            memory: Arc::clone(&self.memory),
        });
        let mut tasks = JoinSet::new();
        for (index, target) in plan.targets.iter().enumerate() {
            let shared = Arc::clone(&shared);
            let target = target.clone();
            // Boxed, here and below: a large future is moved several times on its way into a task.
            tasks.spawn(Box::pin(async move { (index, observe(&shared, target).await) }));
        }
        let mut observations = in_order(tasks, done).await;
        mtu::reconcile(&mut observations);
        shared.memory().end_of_round();
        observations
    }
}

/// Read anew each round; a file that cannot be read overrides nothing, for us as for the C library.
fn hosts_file() -> HostsFile {
    HostsFile::load(Path::new(HOSTS_FILE)).unwrap_or_else(|error| {
        tracing::debug!(%error, file = HOSTS_FILE, "cannot be read: nothing in it counts");
        HostsFile::default()
    })
}

/// What all tasks of one round share.
struct Shared {
    plan: Plan,
    proxies: Vec<Proxy>,
    tls: Arc<tls::Client>,
    hosts: HostsFile,
    clock: Clock,
    deadline: Instant,
    /// Connections at once; fair, so that a target with many dead addresses cannot starve the others for long.
    slots: Semaphore,
    /// What the path-MTU measurements share.
    mtu: mtu::Common,
    /// Which ways packets take.
    routes: Mutex<Routes>,
    /// What is remembered of earlier rounds' measurements.
    memory: Arc<Mutex<mtu::Memory>>,
}

impl Shared {
    /// Asks every name server for `target`.
    fn names(&self, target: &Target) -> resolve::Names {
        let Plan { dns, family, limits, .. } = &self.plan;
        resolve::start(target, dns, *family, limits.resolve, self.deadline, &self.hosts)
    }
}

/// The wall clock as of the round's start, carried on by the monotonic one: a step of the clock during a round cannot
/// bend a measurement.
#[derive(Clone, Copy, Debug)]
struct Clock {
    wall: OffsetDateTime,
    monotonic: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { wall: OffsetDateTime::now_utc(), monotonic: Instant::now() }
    }

    fn at(&self, moment: Instant) -> OffsetDateTime {
        self.wall + moment.saturating_duration_since(self.monotonic)
    }

    fn now(&self) -> OffsetDateTime {
        self.at(Instant::now())
    }
}

/// The results of `tasks` by their index, whatever order they come in.
async fn in_order<T: 'static>(mut tasks: JoinSet<(usize, T)>, done: impl Fn(usize)) -> Vec<T> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(result) => results.push(result),
            // A panic of ours must not look like a target that nobody asked for.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_cancelled) => {}
        }
        done(results.len());
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// One target: its name, then all its addresses at once; the other name servers' answers come in meanwhile.
async fn observe(shared: &Arc<Shared>, target: Target) -> Observation {
    let mut names = shared.names(&target);
    let resolve = names.answer().await;
    tracing::debug!(
        outcome = ending(resolve.outcome), ms = %resolve.elapsed_ms, addresses = ?resolve.addresses, "{} resolve",
        target.name
    );
    let found = if resolve.outcome.is_ok() { resolve.addresses.as_slice() } else { &[] };
    let (addresses, asked) = tokio::join!(probe_all(shared, &target, found), names.all());
    let mut exhausted = asked.exhausted;
    let mut records = Vec::with_capacity(addresses.len());
    for (record, own_limit) in addresses {
        records.push(record);
        exhausted = exhausted.or(own_limit);
    }
    let proxy = through_proxy(shared, &target, &records).await;
    Observation { target, resolve, resolvers: asked.records, addresses: records, proxy, exhausted }
}

/// A try through a proxy, where no address of the target got through TLS and a proxy is set for it.
async fn through_proxy(shared: &Arc<Shared>, target: &Target, records: &[AddressRecord]) -> Option<ProxyRecord> {
    let direct = records.iter().any(|record| record.tls.as_ref().is_some_and(|tls| tls.outcome.is_ok()));
    if direct || target.expect == Expect::Absent {
        return None;
    }
    let proxy = proxy::choose(&shared.proxies, &target.host, target.port)?;
    proxy::attempt(shared, target, proxy).await
}

async fn probe_all(shared: &Arc<Shared>, target: &Target, found: &[IpAddr]) -> Vec<(AddressRecord, Option<String>)> {
    let mut tasks = JoinSet::new();
    // A target's own bound, so that one with a hundred dead addresses leaves room for the others.
    let own_slots = Arc::new(Semaphore::new(MOST_CONNECTIONS_PER_TARGET));
    let shared_target = Arc::new(target.clone());
    let wanted = || found.iter().copied().filter(|address| includes(shared.plan.family, *address));
    for (index, address) in wanted().take(MOST_ADDRESSES).enumerate() {
        let shared = Arc::clone(shared);
        let target = Arc::clone(&shared_target);
        let own_slots = Arc::clone(&own_slots);
        tasks.spawn(Box::pin(async move { (index, probe(&shared, &target, address, &own_slots).await) }));
    }
    let mut records = in_order(tasks, |_| {}).await;
    records.extend(wanted().skip(MOST_ADDRESSES).map(|address| (untouched(shared, target, address), None)));
    records
}

/// What can be said of an address without a packet.
fn untouched(shared: &Shared, target: &Target, address: IpAddr) -> AddressRecord {
    let (place, subnet) = classify(address, target, &shared.plan.addresses);
    AddressRecord { address, place, subnet, connect: None, tls: None, mtu: None, http: None }
}

/// One address: one measurement, with budgets of its own.
async fn probe(
    shared: &Shared,
    target: &Target,
    address: IpAddr,
    own_slots: &Semaphore,
) -> (AddressRecord, Option<String>) {
    let mut record = untouched(shared, target, address);
    if !is_peer(address) {
        return (record, None);
    }
    let mut trail = Trail::new(shared.deadline);
    // Without a turn before the deadline, the first step says that it could not begin.
    let _turn = trail.wait(async { (own_slots.acquire().await, shared.slots.acquire().await) }).await;
    let _end: Option<()> = Chain::new(shared, target, &mut trail, &mut record).follow().await;
    log_stages(target, &record);
    (record, trail.into_exhausted())
}

/// One line for each stage that `record`'s address went through.
fn log_stages(target: &Target, record: &AddressRecord) {
    let stages = [
        record.connect.as_ref().map(|stage| ("connect", stage.outcome, stage.elapsed_ms)),
        record.tls.as_ref().map(|stage| ("tls", stage.outcome, stage.elapsed_ms)),
        record.http.as_ref().map(|stage| ("http", stage.outcome, stage.elapsed_ms)),
    ];
    for (stage, outcome, elapsed) in stages.into_iter().flatten() {
        tracing::debug!(outcome = ending(outcome), ms = %elapsed, "{} {} {stage}", target.name, record.address);
    }
    if let Some(mtu) = &record.mtu {
        let size = |size: Option<u32>| size.map_or_else(|| "-".to_owned(), |size| size.to_string());
        tracing::debug!(
            outcome = mtu.outcome.as_str(), ms = %mtu.elapsed_ms, connections = mtu.connections,
            "{} {} mtu out={}..{} in={}..{} in_seen={}", target.name, record.address, size(mtu.out_ok),
            size(mtu.out_fails), size(mtu.in_ok), size(mtu.in_fails), size(mtu.in_seen)
        );
    }
}

/// An outcome as the report spells it.
fn ending(outcome: Outcome) -> &'static str {
    outcome.cause().map_or("ok", Cause::as_str)
}

/// Whether `address` is one that a connection can be opened to. The unspecified address would reach this host itself,
/// and multicast and broadcast have no TCP; whatever else is bogus (loopback, link-local, documentation) is tried, for
/// the answer tells who took the name over.
fn is_peer(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => !(v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast()),
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast()),
    }
}

/// Connections that one round has open at once. Each may take two sockets, and 256 descriptors is the lowest limit
/// that a service is likely to run with.
const MOST_CONNECTIONS: usize = 96;

/// Connections to one target at once.
const MOST_CONNECTIONS_PER_TARGET: usize = 16;

/// Addresses of one target that are probed; AWS gives one to eight. A hostile answer of thousands must not cost memory:
/// the rest of it is recorded and left alone.
const MOST_ADDRESSES: usize = 256;

/// Where the system's own names stand (hosts(5)).
const HOSTS_FILE: &str = "/etc/hosts";

/// How this program names itself to servers.
const USER_AGENT: &str = concat!("vpce-probe/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::is_peer;

    #[test]
    fn only_what_has_tcp_is_a_peer() {
        let check = |address: &str, expected: bool| {
            assert_eq!(is_peer(address.parse().expect("an address")), expected, "{address}");
        };
        for address in ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "ff02::1", "255.255.255.255"] {
            check(address, false);
        }
        for address in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.0.2.1", "::1", "fe80::1", "2001:db8::1"] {
            check(address, true);
        }
    }
}
