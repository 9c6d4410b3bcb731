//! What the series and the requests cost. Every price stands here, once.

use super::{Owner, Presence, Series, Settings};

/// List prices in US dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// When they were collected, and for which region.
    pub as_of: &'static str,
    /// A series (CloudWatch: a custom metric) for a month: up to so many in an account and region, so much for each.
    pub series: &'static [(u64, f64)],
    /// A thousand `PutMetricData` requests.
    pub thousand_requests: f64,
    /// A GB through an interface endpoint, in either direction.
    pub endpoint_gb: f64,
    /// An alarm of standard resolution, or a metric analysed by a Metrics Insights alarm, for a month.
    pub alarm: f64,
}

/// Sources: the pricing pages of Amazon CloudWatch and of AWS PrivateLink. What is free for each account (10 series, a
/// million requests) is not taken off: others of the account may have used it up.
pub const PRICES: Prices = Prices {
    as_of: "us-east-1, November 2026",
    series: &[(10_000, 0.30), (250_000, 0.10), (1_000_000, 0.05), (u64::MAX, 0.02)],
    thousand_requests: 0.01,
    endpoint_gb: 0.01,
    alarm: 0.10,
};

/// What a month of 30 days costs.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Bill {
    /// Steady series.
    pub series: u64,
    /// Their price.
    pub series_usd: f64,
    /// `PutMetricData` requests.
    pub requests: f64,
    /// Their price.
    pub requests_usd: f64,
    /// Bytes through the interface endpoint of `monitoring`, by estimate.
    pub endpoint_bytes: f64,
    /// Their price.
    pub endpoint_usd: f64,
}

impl Bill {
    /// All of it.
    #[must_use]
    pub fn total_usd(&self) -> f64 {
        self.series_usd + self.requests_usd + self.endpoint_usd
    }
}

/// What so many healthy hosts of one VPC cost, the VPC's series included.
#[must_use]
pub fn fleet(settings: &Settings, series: &[Series], instances: u32) -> Bill {
    let number = |owner: Owner| {
        let of_each = match owner {
            Owner::Vpc => 1,
            Owner::Zone => instances.min(ZONES),
            Owner::Subnet => instances.min(SUBNETS),
            Owner::Instance => instances,
        };
        u64::from(of_each) * steady(series, owner)
    };
    let all = [Owner::Vpc, Owner::Zone, Owner::Subnet, Owner::Instance].into_iter().map(number).sum();
    bill(all, instances, &traffic(settings, series))
}

/// What one more healthy host adds: its own series, its requests and its bytes.
#[must_use]
pub fn instance(settings: &Settings, series: &[Series]) -> Bill {
    bill(steady(series, Owner::Instance), 1, &traffic(settings, series))
}

/// What a host that is not healthy adds for each hour, in US dollars: its own series, and a request for each round. The
/// series of causes that its VPC then has are priced by [`series_hour`].
#[must_use]
pub fn sick_hour(settings: &Settings, series: &[Series]) -> f64 {
    let own = series.iter().filter(|one| one.owner == Owner::Instance && one.presence == Presence::Trouble).count();
    let requests = 3600.0 / settings.interval.as_secs_f64();
    let bytes = requests * (REQUEST_BYTES + body_bytes(URGENT_DATUMS));
    count(own) * series_hour()
        + requests / 1000.0 * PRICES.thousand_requests
        + bytes / BYTES_PER_GB * PRICES.endpoint_gb
}

/// One series for each hour in which it has data.
#[must_use]
pub fn series_hour() -> f64 {
    priced(1) / MONTH_HOURS
}

/// The assumption behind series by zone or subnet: hosts of a fleet lie in so many (zones, subnets) at most.
#[must_use]
pub const fn spread() -> (u32, u32) {
    (ZONES, SUBNETS)
}

/// What one healthy host sends in a month.
struct Traffic {
    requests: f64,
    bytes: f64,
}

fn traffic(settings: &Settings, series: &[Series]) -> Traffic {
    let flush = settings.flush_interval.as_secs_f64();
    let rounds = (flush / settings.interval.as_secs_f64()).max(1.0);
    // Each steady series has one datum a round; the path MTU has fewer.
    let datums = rounds * count(series.iter().filter(|one| one.presence == Presence::Steady).count());
    let flushes = MONTH_HOURS * 3600.0 / flush;
    let requests = flushes * (datums / 1000.0).ceil().max(1.0);
    Traffic { requests, bytes: requests * REQUEST_BYTES + flushes * body_bytes(datums) }
}

/// So many datums as they are sent: a small body is not worth compressing (`aws-sdk-cloudwatch`).
fn body_bytes(datums: f64) -> f64 {
    let plain = datums * PLAIN_DATUM_BYTES;
    if plain < LEAST_COMPRESSED_BYTES { plain } else { datums * PACKED_DATUM_BYTES }
}

fn bill(series: u64, instances: u32, traffic: &Traffic) -> Bill {
    let requests = f64::from(instances) * traffic.requests;
    let endpoint_bytes = f64::from(instances) * traffic.bytes;
    Bill {
        series,
        series_usd: priced(series),
        requests,
        requests_usd: requests / 1000.0 * PRICES.thousand_requests,
        endpoint_bytes,
        endpoint_usd: endpoint_bytes / BYTES_PER_GB * PRICES.endpoint_gb,
    }
}

/// So many series for a month, tier by tier.
fn priced(series: u64) -> f64 {
    let mut below = 0;
    let mut usd = 0.0;
    for (up_to, each) in PRICES.series {
        let here = series.min(*up_to).saturating_sub(below);
        usd += count(usize::try_from(here).unwrap_or(usize::MAX)) * each;
        below = *up_to;
    }
    usd
}

fn steady(series: &[Series], owner: Owner) -> u64 {
    let steady = series.iter().filter(|one| one.owner == owner && one.presence == Presence::Steady).count();
    u64::try_from(steady).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "there are fewer series and datums than 2^53")]
const fn count(number: usize) -> f64 {
    number as f64
}

const MONTH_HOURS: f64 = 30.0 * 24.0;
const BYTES_PER_GB: f64 = 1e9;

/// Zones of a region that a fleet usually uses.
const ZONES: u32 = 3;
/// Subnets of a VPC that a fleet usually uses: two in each zone.
const SUBNETS: u32 = 6;

/// A request without its datums, both directions: 1.7 kB of headers with a role's token (measured, `tests/metric.rs`), and
/// some 7 kB of TLS handshake and reply (Amazon's certificates), a new connection for each request.
const REQUEST_BYTES: f64 = 9_000.0;
/// A datum as it is, and in a compressed body of a few rounds; `tests/metric.rs` measures that real ones have less, and not
/// much less.
const PLAIN_DATUM_BYTES: f64 = 185.0;
/// See above.
const PACKED_DATUM_BYTES: f64 = 15.0;
/// The SDK compresses bodies of at least so much.
const LEAST_COMPRESSED_BYTES: f64 = 10_240.0;
/// What a sick host says of each round: its own series, problems by severity, and a handful of causes.
const URGENT_DATUMS: f64 = 10.0;

#[cfg(test)]
mod tests {
    use super::priced;

    #[test]
    fn series_are_priced_tier_by_tier() {
        fn check(series: u64, usd: f64) {
            assert!((priced(series) - usd).abs() < 1e-6, "{series}: {}", priced(series));
        }
        check(0, 0.0);
        check(1, 0.30);
        check(10_000, 3_000.0);
        check(10_001, 3_000.1);
        check(250_000, 27_000.0);
        check(1_000_000, 64_500.0);
        check(1_000_001, 64_500.02);
    }
}
