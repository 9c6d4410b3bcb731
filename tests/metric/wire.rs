//! Real bodies, as the SDK writes them: the estimates hold, and the constants of the price are measured.

use std::sync::{Arc, Mutex};

use aws_sdk_cloudwatch::{
    Client, Config,
    config::{BehaviorVersion, Credentials, Region},
    types::{Dimension, MetricDatum, StandardUnit},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::{DateTime, body::SdkBody};
use http_body_util::BodyExt as _;
use vpce_probe::{
    metric::{Datum, Finite, Name, Unit, body_bytes, cost, requests, sample, series},
    model::{
        sample::{Condition, Hundredths},
        units::Timestamp,
    },
};

use crate::{
    COUNTERS, defaults, everything,
    rounds::{named, tick},
    whole,
};

/// The bytes of one request.
#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    headers: usize,
    body: usize,
}

/// Takes requests and answers each with an empty 200.
#[derive(Clone, Debug, Default)]
struct Tap(Arc<Mutex<Sent>>);

impl HttpConnector for Tap {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let sent = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let headers = request.headers().iter().map(|(name, value)| name.len() + value.len() + 4).sum();
            let body = request.take_body().collect().await.expect("a body in memory").to_bytes().len();
            *sent.lock().expect("nobody panicked") = Sent { headers, body };
            let mut response = HttpResponse::new(200.try_into().expect("a status"), SdkBody::from(&b"\xbf\xff"[..]));
            response.headers_mut().insert("smithy-protocol", "rpc-v2-cbor");
            Ok(response)
        })
    }
}

fn put(datums: &[Datum], namespace: &str, compressed: Compressed) -> Sent {
    let tap = Tap::default();
    let connector = SharedHttpConnector::new(tap.clone());
    let token = "t".repeat(900);
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("id", "key", Some(token), None, "test"))
        .retry_config(aws_sdk_cloudwatch::config::retry::RetryConfig::disabled())
        .disable_request_compression(compressed == Compressed::No)
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    let client = Client::from_conf(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let metric_data = datums.iter().map(datum).collect();
    runtime
        .block_on(client.put_metric_data().namespace(namespace).set_metric_data(Some(metric_data)).send())
        .expect("an empty 200");
    *tap.0.lock().expect("nobody panicked")
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compressed {
    Yes,
    No,
}

fn datum(datum: &Datum) -> MetricDatum {
    let dimension = |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    MetricDatum::builder()
        .metric_name(datum.metric.as_str())
        .set_dimensions(Some(datum.dimensions.iter().map(dimension).collect()))
        .timestamp(DateTime::from_millis(datum.at.unix_millis()))
        .set_values(Some(datum.values.iter().map(|(value, _)| value.as_f64()).collect()))
        .set_counts(Some(datum.values.iter().map(|(_, count)| f64::from(*count)).collect()))
        .unit(StandardUnit::from(datum.unit.as_str()))
        .build()
}

/// The datums of some healthy rounds of the fixture: six targets, twelve addresses, times that differ from round to round.
fn healthy(rounds: u32) -> Vec<Datum> {
    let mut measured = sample(&named("healthy"), tick(0), Condition::Healthy, COUNTERS);
    let mut datums = Vec::new();
    for nth in 0..rounds {
        measured.tick = tick(i64::from(nth) * 60_000 + 12_345);
        for (at, target) in (1u32..).zip(&mut measured.targets) {
            target.resolve = target.resolve.map(|Hundredths(time)| Hundredths(time * 31 % 997 + at * nth));
            for (which, address) in (1u32..).zip(&mut target.addresses) {
                let differs = |Hundredths(time): Hundredths| Hundredths(time * 37 % 997 + at * which * nth);
                address.connect = address.connect.map(differs);
                address.handshake = address.handshake.map(differs);
                // Most rounds carry the size over.
                address.mtu_out = address.mtu_out.filter(|_| nth == 0);
            }
        }
        datums.extend(whole(&measured, &defaults()));
    }
    datums
}

#[test]
fn the_estimate_is_never_below_the_truth() {
    let check = |what: &str, datums: &[Datum], namespace: &str| {
        let (estimate, truth) = (body_bytes(datums), put(datums, namespace, Compressed::No).body);
        assert!((truth..=truth + 512).contains(&estimate), "{what}: {truth} bytes, {estimate} by estimate");
    };
    let shortest = Datum {
        metric: Name::Lost,
        dimensions: Vec::new(),
        at: Timestamp::from_unix_millis(0).expect("a moment"),
        values: vec![(Finite::from(1u32), 1)],
        unit: Unit::None,
    };
    let longest = |length: usize, values: u32| Datum {
        metric: Name::CertificateDaysLeft,
        dimensions: (0..30).map(|nth| (format!("{nth:0>255}"), "x".repeat(length))).collect(),
        at: tick(123),
        values: (0..values).map(|value| (Finite::from(value), u32::MAX)).collect(),
        unit: Unit::Milliseconds,
    };
    check("the shortest", std::slice::from_ref(&shortest), "N");
    for length in [1, 23, 24, 255, 256, 1024] {
        for values in [1, 23, 24, 150] {
            let both = [longest(length, values), shortest.clone()];
            check(&format!("{length} {values}"), &both, &"n".repeat(255));
            // What a datum adds is known to the byte: the room for the envelope covers no mistake.
            let without = std::slice::from_ref(&shortest);
            let truth = put(&both, "N", Compressed::No).body - put(without, "N", Compressed::No).body;
            assert_eq!(body_bytes(&both) - body_bytes(without), truth, "{length} {values}");
        }
    }
    check("everything", &whole(&crate::rich(), &everything()), "VpceProbe");
    check("a flush", &healthy(5), "VpceProbe");
}

#[test]
fn the_largest_requests_are_below_a_megabyte() {
    let datums: Vec<Datum> = (0..200).flat_map(|_| whole(&crate::rich(), &everything())).collect();
    let requests = requests(datums);
    assert!(requests.len() > 1);
    for request in &requests {
        let sent = put(request, &"n".repeat(255), Compressed::No);
        assert!(request.len() <= 1000 && sent.body < 1_000_000, "{sent:?}");
    }
}

/// `cargo test --test metric wire -- --nocapture` prints the figures.
#[test]
#[expect(clippy::print_stdout, reason = "figures for a person who asks for them")]
fn the_price_of_bytes_is_that_of_real_bodies() {
    let round = sample(&named("healthy"), tick(0), Condition::Healthy, COUNTERS);
    println!("a healthy round in short: {} B", postcard::to_stdvec(&round).expect("encodes").len());
    for rounds in [1, 5, 10] {
        let datums = healthy(rounds);
        let (plain, packed) = (put(&datums, "VpceProbe", Compressed::No), put(&datums, "VpceProbe", Compressed::Yes));
        println!(
            "{rounds} rounds: {} datums, {} B plain, {} B as sent, {} B of headers",
            datums.len(),
            plain.body,
            packed.body,
            packed.headers
        );
    }
    let settings = defaults();
    let names = ["ssm", "ssmmessages", "s3", "ec2messages", "logs", "monitoring"];
    let all = series(&settings, &names, &sample(&named("healthy"), tick(0), Condition::Healthy, COUNTERS).origin);
    let bill = cost::instance(&settings, &all);
    let by_estimate = bill.endpoint_bytes / bill.requests;
    let sent = put(&healthy(5), "VpceProbe", Compressed::Yes);
    let each = u32::try_from(sent.headers + sent.body).expect("a small request");
    // What the certificates and the reply add.
    let whole = f64::from(each) + 7_000.0;
    println!("a flush: {whole} B, {by_estimate} B by estimate");
    assert!((whole..1.5 * whole).contains(&by_estimate), "{whole} B, {by_estimate} B by estimate");
}
