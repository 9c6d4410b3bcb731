//! What the measurements of one round say together.

use crate::model::observation::{AddressRecord, MtuOutcome, Observation};

/// A peer that ICMP taught a path's MTU announces no more than that from then on, also to connections that find their
/// way unhindered because of it. Such a connection looks clamped; where another one in the same round was taught the
/// very same size, it depends on ICMP just as much.
pub(in crate::probe) fn reconcile(observations: &mut [Observation]) {
    settle(&mut observations.iter_mut().flat_map(|observation| &mut observation.addresses).collect::<Vec<_>>());
}

fn settle(records: &mut [&mut AddressRecord]) {
    let taught: Vec<_> = records.iter().filter_map(|record| size(record, MtuOutcome::ReliesOnIcmp)).collect();
    for record in records {
        let alike = size(record, MtuOutcome::Clamped).is_some_and(|size| taught.contains(&size));
        if let Some(mtu) = record.mtu.as_mut().filter(|_| alike) {
            mtu.outcome = MtuOutcome::ReliesOnIcmp;
            mtu.detail =
                Some("the peer announces the size that ICMP reported on the way to another address".to_owned());
        }
    }
}

/// The family and the size that passes, where a measurement ended like that.
fn size(record: &AddressRecord, outcome: MtuOutcome) -> Option<(bool, u32)> {
    let mtu = record.mtu.as_ref().filter(|mtu| mtu.outcome == outcome)?;
    Some((record.address.is_ipv6(), mtu.out_ok?))
}

#[cfg(test)]
mod tests {
    use super::settle;
    use crate::model::{
        observation::{AddressRecord, MtuOutcome, MtuRecord, Place},
        units::{Millis, Timestamp},
    };

    fn record(address: &str, outcome: MtuOutcome, out_ok: Option<u32>) -> AddressRecord {
        let mtu = MtuRecord {
            outcome,
            out_ok,
            out_fails: None,
            in_seen: None,
            in_ok: None,
            in_fails: None,
            link_mtu: Some(9001),
            elapsed_ms: Millis::default(),
            connections: 0,
            measured_at: Timestamp::new(time::OffsetDateTime::UNIX_EPOCH),
            detail: None,
        };
        AddressRecord {
            address: address.parse().expect("an address"),
            place: Place::Private,
            subnet: None,
            connect: None,
            tls: None,
            mtu: Some(mtu),
            http: None,
        }
    }

    #[test]
    fn what_is_clamped_to_a_size_that_icmp_taught_depends_on_icmp() {
        use MtuOutcome::{Clamped, Ok, ReliesOnIcmp};
        let check = |others: &[(&str, MtuOutcome, Option<u32>)], expected: MtuOutcome| {
            let mut all = vec![record("10.0.2.10", Clamped, Some(1400))];
            all.extend(others.iter().map(|&(address, outcome, out_ok)| record(address, outcome, out_ok)));
            settle(&mut all.iter_mut().collect::<Vec<_>>());
            let mtu = all.swap_remove(0).mtu.expect("it had one");
            assert_eq!((mtu.outcome, mtu.detail.is_some()), (expected, expected == ReliesOnIcmp), "{others:?}");
        };
        check(&[("10.0.2.11", ReliesOnIcmp, Some(1400))], ReliesOnIcmp);
        check(&[("10.0.2.11", Ok, Some(9001)), ("10.0.2.12", ReliesOnIcmp, Some(1400))], ReliesOnIcmp);
        check(&[], Clamped);
        check(&[("10.0.2.11", ReliesOnIcmp, Some(1500))], Clamped);
        check(&[("10.0.2.11", ReliesOnIcmp, None)], Clamped);
        check(&[("10.0.2.11", Clamped, Some(1400))], Clamped);
        check(&[("fd00::11", ReliesOnIcmp, Some(1400))], Clamped);
    }

    #[test]
    fn nothing_else_is_touched() {
        for outcome in [MtuOutcome::Ok, MtuOutcome::BlackholeOut, MtuOutcome::Inconclusive, MtuOutcome::NotTried] {
            let mut all =
                [record("10.0.2.10", outcome, Some(1400)), record("10.0.2.11", MtuOutcome::ReliesOnIcmp, Some(1400))];
            let before = all.clone();
            settle(&mut all.iter_mut().collect::<Vec<_>>());
            assert_eq!(all, before);
        }
    }
}
