//! Datums in requests of a size that CloudWatch takes (CloudWatch API Reference, `PutMetricData`: 1,000 datums, 1 MB).

use super::Datum;

/// The datums in as few requests as their order allows; none of the requests is empty.
#[must_use]
pub fn requests(datums: Vec<Datum>) -> Vec<Vec<Datum>> {
    let mut requests: Vec<Vec<Datum>> = Vec::new();
    let mut room = 0;
    for datum in datums {
        let bytes = datum_bytes(&datum);
        match requests.last_mut() {
            Some(request) if request.len() < MOST_DATUMS && bytes <= room => {
                request.push(datum);
                room -= bytes;
            }
            Some(_) | None => {
                requests.push(vec![datum]);
                room = MOST_BYTES.saturating_sub(ENVELOPE_BYTES + bytes);
            }
        }
    }
    requests
}

/// The body of a request with these datums, in bytes, before compression: never less than it has, whatever the namespace.
#[must_use]
pub fn body_bytes(datums: &[Datum]) -> usize {
    ENVELOPE_BYTES + datums.iter().map(datum_bytes).sum::<usize>()
}

/// Smithy RPC v2 CBOR: a map of indefinite length of the members that are set.
fn datum_bytes(datum: &Datum) -> usize {
    let dimension = |(name, value): &(String, String)| MAP + text("Name") + text(name) + text("Value") + text(value);
    let dimensions: usize = datum.dimensions.iter().map(dimension).sum();
    let numbers = header(datum.values.len()) + NUMBER * datum.values.len();
    MAP + text("MetricName")
        + text(datum.metric.as_str())
        + text("Dimensions")
        + header(datum.dimensions.len())
        + dimensions
        + text("Timestamp")
        + TAG
        + NUMBER
        + text("Values")
        + text("Counts")
        + 2 * numbers
        + text("Unit")
        + text(datum.unit.as_str())
}

const fn text(text: &str) -> usize {
    header(text.len()) + text.len()
}

/// The type and the length of a text or a list (RFC 8949 §3).
const fn header(length: usize) -> usize {
    match length {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        _ => 5,
    }
}

/// The beginning and the end of a map.
const MAP: usize = 2;
/// "What follows is seconds since 1970."
const TAG: usize = 1;
/// Every number goes as a double.
const NUMBER: usize = 9;
/// What stands around the datums: the namespace of up to 255 characters, and the members' names.
const ENVELOPE_BYTES: usize = 512;
const MOST_DATUMS: usize = 1000;
/// CloudWatch takes 1 MB; a tenth is left for what it may count beside the body.
const MOST_BYTES: usize = 900_000;

#[cfg(test)]
mod tests {
    use super::{ENVELOPE_BYTES, MOST_BYTES, body_bytes, requests};
    use crate::{
        metric::{Datum, Finite, Name, Unit},
        model::units::Timestamp,
    };

    fn datum(values: u32, text: &str) -> Datum {
        Datum {
            metric: Name::ConnectTime,
            dimensions: vec![("VpcId".to_owned(), text.to_owned())],
            at: Timestamp::from_unix_millis(1_795_000_000_000).expect("a moment"),
            values: (0..values).map(|value| (Finite::from(value), 1)).collect(),
            unit: Unit::Milliseconds,
        }
    }

    #[test]
    fn a_request_has_a_thousand_datums_at_most() {
        fn check(datums: usize, expected: &[usize]) {
            let found = requests(vec![datum(1, "vpc-1"); datums]);
            assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), expected);
        }
        check(0, &[]);
        check(1, &[1]);
        check(1000, &[1000]);
        check(2001, &[1000, 1000, 1]);
    }

    #[test]
    fn a_request_stays_below_a_megabyte_and_nothing_is_lost() {
        let large: Vec<Datum> = (0..1000).map(|nth| datum(150, &format!("{nth}{}", "x".repeat(1000)))).collect();
        let found = requests(large.clone());
        for request in &found {
            assert!(body_bytes(request) <= MOST_BYTES, "{}", body_bytes(request));
        }
        // As few as possible: the first of the next would not have fitted.
        for pair in found.windows(2) {
            let [one, next] = pair else { panic!("windows of two") };
            let more = next.first().map_or(0, |datum| body_bytes(std::slice::from_ref(datum)) - ENVELOPE_BYTES);
            assert!(body_bytes(one) + more > MOST_BYTES);
        }
        assert_eq!(found.concat(), large);
    }
}
