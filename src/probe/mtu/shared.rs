//! What the measurements of one round say together.

use crate::model::observation::{AddressRecord, MtuOutcome, Observation};

/// A peer that ICMP taught a path's MTU announces no more than that from then on, also to connections that find their
/// way unhindered because of it. Such a connection looks clamped; where another one in the same round was taught the
/// very same size, it depends on ICMP just as much.
pub(in crate::probe) fn reconcile(observations: &mut [Observation]) {
    let taught: Vec<(bool, u32)> = observations
        .iter()
        .flat_map(|observation| &observation.addresses)
        .filter_map(|record| size(record, MtuOutcome::ReliesOnIcmp))
        .collect();
    for record in observations.iter_mut().flat_map(|observation| &mut observation.addresses) {
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
