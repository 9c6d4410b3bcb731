//! The SDK's client for CloudWatch, with everything of its own turned off that would wait, repeat or guess.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use aws_credential_types::{
    Credentials as Keys,
    provider::{self, ProvideCredentials, error::CredentialsError, future},
};
use aws_sdk_cloudwatch::{
    config::{AppName, BehaviorVersion, IdentityCache, Region, StalledStreamProtectionConfig, retry::RetryConfig},
    error::ProvideErrorMetadata as _,
    types::{Dimension, MetricDatum, StandardUnit},
};
use aws_smithy_async::time::TimeSource;
use aws_smithy_types::{DateTime, timeout::TimeoutConfig};
use rustix::time::{ClockId, clock_gettime};

use super::{
    Settings, Surroundings,
    connector::{Connector, Seen},
    credentials::{Keyring, NoKeys},
    fault::{self, Arrival, Known, Remedy, Said, Trouble},
};
use crate::{
    metric::{Datum, Finite, Unit},
    model::{cause::Cause, units::Timestamp},
};

/// What puts datums.
pub(super) struct Client {
    sdk: aws_sdk_cloudwatch::Client,
    connector: Connector,
    keyring: Keyring,
    keys: SharedKeys,
    clock: Clock,
    namespace: String,
}

/// What deliveries cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Cost {
    /// Requests, with those that had to be made once more.
    pub(super) requests: u32,
    /// Bytes written and read above TLS.
    pub(super) bytes: (u64, u64),
}

impl Client {
    /// A client for `region`; nothing is asked yet.
    pub(super) fn new(settings: &Settings, region: &str, connector: Connector, clock: &Clock) -> Self {
        let keys = SharedKeys::default();
        let mut config = aws_sdk_cloudwatch::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .use_fips(settings.fips)
            .use_dual_stack(settings.dual_stack)
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            // The connector's own budget ends every attempt.
            .timeout_config(TimeoutConfig::disabled())
            // The SDK would learn the clock by itself, and correct it unseen.
            .disable_clock_skew_correction(true)
            .time_source(clock.clone())
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(keys.clone())
            .http_client(connector.clone());
        config.set_endpoint_url(settings.endpoint_url.clone());
        config.set_app_name(AppName::new("vpce-probe").ok());
        Self {
            sdk: aws_sdk_cloudwatch::Client::from_conf(config.build()),
            keyring: Keyring::new(settings.credentials, settings.environment.clone(), &connector),
            connector,
            keys,
            clock: clock.clone(),
            namespace: settings.metrics.namespace.clone(),
        }
    }

    /// Puts `datums` in one request. Credentials that have ended and a clock that is off are mended on the way, each once.
    /// What it cost is added to `cost`, however it ends.
    pub(super) async fn put(
        &mut self,
        datums: &[Datum],
        around: &Surroundings,
        cost: &mut Cost,
    ) -> Result<(), Trouble> {
        self.connector.evidence().clear();
        let keys = self.keyring.keys(self.clock.now()).await.map_err(|none| without(&none))?;
        self.keys.set(keys);
        let data: Vec<MetricDatum> = datums.iter().map(datum).collect();
        let mut mended = Mended::default();
        loop {
            let trouble = match self.send(data.clone(), around, cost).await {
                Ok(()) => return Ok(()),
                Err(trouble) => trouble,
            };
            match trouble.remedy {
                Remedy::Renew if !mended.keys => {
                    mended.keys = true;
                    let renewed = self.keyring.renewed(self.clock.now()).await;
                    let keys = renewed.map_err(|none| Trouble {
                        summary: format!("{}; {}", trouble.summary, none.summary),
                        remedy: Remedy::Later,
                        ..trouble
                    })?;
                    self.keys.set(keys);
                }
                Remedy::SetClock(error) if !mended.clock => {
                    mended.clock = true;
                    self.clock.set_error(error);
                }
                Remedy::Later | Remedy::Throttled(_) | Remedy::Renew | Remedy::SetClock(_) | Remedy::Halve => {
                    return Err(trouble);
                }
            }
        }
    }

    /// Whether the request that is on its way may have arrived.
    pub(super) fn arrival(&self) -> Arrival {
        if self.connector.evidence().seen().sent { Arrival::InDoubt } else { Arrival::No }
    }

    async fn send(&self, data: Vec<MetricDatum>, around: &Surroundings, cost: &mut Cost) -> Result<(), Trouble> {
        self.connector.evidence().clear();
        let known = Known { ways: &around.ways, correction_s: self.clock.correction_s().unwrap_or(0.0) };
        let put = self.sdk.put_metric_data().namespace(&self.namespace).set_metric_data(Some(data));
        let result = put.send().await;
        let seen = self.connector.evidence().seen();
        cost.requests += 1;
        cost.bytes = (cost.bytes.0 + seen.bytes.0, cost.bytes.1 + seen.bytes.1);
        match result {
            Ok(_) if answered_well(&seen) => {
                self.learn(&seen);
                Ok(())
            }
            // A page with status 200 is no receipt.
            Ok(_) => Err(fault::read(&seen, &Said::default(), known)),
            Err(error) => {
                let said = Said {
                    code: error.code().unwrap_or_default().to_owned(),
                    message: error.message().map_or_else(|| error.to_string(), str::to_owned),
                };
                Err(fault::read(&seen, &said, known))
            }
        }
    }

    /// The answer's `Date` says whether the correction is still right.
    fn learn(&self, seen: &Seen) {
        if let Some(error) = seen.answer.as_ref().and_then(|answer| answer.clock_error_s) {
            self.clock.set_error(if error.abs() < WORTH_CORRECTING_S { 0.0 } else { error });
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("keyring", &self.keyring).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Mended {
    keys: bool,
    clock: bool,
}

fn answered_well(seen: &Seen) -> bool {
    seen.answer.as_ref().is_some_and(|answer| (200..300).contains(&answer.status) && answer.speaks_cbor)
}

fn without(none: &NoKeys) -> Trouble {
    let cause = if none.ended { Cause::CredentialsExpired } else { Cause::CredentialsMissing };
    Trouble { arrival: Arrival::No, ..Trouble::new(cause, format!("no credentials: {}", none.summary)) }
}

fn datum(datum: &Datum) -> MetricDatum {
    let (values, counts) =
        datum.values.iter().map(|(value, count)| (Finite::as_f64(*value), f64::from(*count))).unzip();
    let dimension = |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    MetricDatum::builder()
        .metric_name(datum.metric.as_str())
        .set_dimensions(Some(datum.dimensions.iter().map(dimension).collect()))
        .timestamp(DateTime::from_millis(datum.at.unix_millis()))
        .set_values(Some(values))
        .set_counts(Some(counts))
        .unit(match datum.unit {
            Unit::None => StandardUnit::None,
            Unit::Count => StandardUnit::Count,
            Unit::Milliseconds => StandardUnit::Milliseconds,
            Unit::Bytes => StandardUnit::Bytes,
        })
        .build()
}

/// AWS's time as far as it is known, else the wall clock's.
///
/// An answer fixes AWS's time to the clock that nobody sets: were a correction of the wall clock kept instead, the step
/// that mends the wall clock would make it wrong, rounds in the spool would look weeks old, and would be dropped.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    known: Arc<Mutex<Option<Anchor>>>,
}

/// AWS's time at one moment, in milliseconds since 1970 began.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    aws: i64,
    /// That moment, in milliseconds since this host was started, sleep included.
    at: i64,
}

impl Clock {
    /// This host's clock minus AWS's, in seconds, as of now.
    pub(super) fn set_error(&self, seconds: f64) {
        #[expect(clippy::cast_possible_truncation, reason = "a float's conversion saturates, and years fit")]
        let error = (seconds * 1_000.0) as i64;
        let aws = Timestamp::now().unix_millis().saturating_sub(error);
        *self.known() = Some(Anchor { aws, at: since_boot() });
    }

    /// What is to be taken off this host's clock, in seconds; `None` where AWS's time is not known.
    pub(super) fn correction_s(&self) -> Option<f64> {
        let known = *self.known();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of some years")]
        known.map(|known| Timestamp::now().unix_millis().saturating_sub(known.now()) as f64 / 1_000.0)
    }

    /// AWS's time, else the wall clock's.
    pub(super) fn timestamp(&self) -> Timestamp {
        let known = *self.known();
        known.and_then(|known| Timestamp::from_unix_millis(known.now())).unwrap_or_else(Timestamp::now)
    }

    fn known(&self) -> MutexGuard<'_, Option<Anchor>> {
        // One assignment cannot be left half done.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Anchor {
    fn now(self) -> i64 {
        self.aws.saturating_add(since_boot().saturating_sub(self.at))
    }
}

fn since_boot() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec.saturating_mul(1_000).saturating_add(now.tv_nsec / 1_000_000)
}

impl TimeSource for Clock {
    fn now(&self) -> SystemTime {
        self.timestamp().moment().into()
    }
}

/// The keys for the next request.
#[derive(Clone, Default)]
struct SharedKeys(Arc<Mutex<Option<Keys>>>);

impl SharedKeys {
    fn set(&self, keys: Keys) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys);
    }

    fn held(&self) -> provider::Result {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        held.ok_or_else(|| CredentialsError::not_loaded("none were set"))
    }
}

impl ProvideCredentials for SharedKeys {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.held())
    }
}

impl fmt::Debug for SharedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKeys")
    }
}

/// A clock nearer than this is as good as AWS's: `Date` has whole seconds, and answers take their time.
const WORTH_CORRECTING_S: f64 = 30.0;

#[cfg(test)]
mod tests {
    use aws_smithy_async::time::TimeSource as _;

    use super::{Anchor, Clock, since_boot};
    use crate::model::units::Timestamp;

    #[test]
    fn what_is_known_of_aws_s_time_does_not_go_with_the_wall_clock() {
        let clock = Clock::default();
        assert_eq!(clock.correction_s(), None);
        let near = |a: i64, b: i64| assert!((a - b).abs() < 5_000, "{a} is not {b}");
        near(clock.timestamp().unix_millis(), Timestamp::now().unix_millis());
        for error in [86_400.0, -1.7e9, 0.0] {
            clock.set_error(error);
            let shown = clock.correction_s().expect("known");
            assert!((shown - error).abs() < 5.0, "{shown} is not {error}");
        }
        // The wall clock was set after that answer: it is not asked any more.
        let answered = 1_500_000_000_000;
        *clock.known() = Some(Anchor { aws: answered, at: since_boot() - 60_000 });
        near(clock.timestamp().unix_millis(), answered + 60_000);
        let signed = clock.now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        near(i64::try_from(signed).expect("some years"), answered + 60_000);
    }
}
