//! One hole seen from many addresses is measured once: the first address with a fault measures it in full, the others
//! confirm what it found with a few connections.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

/// What two addresses in one hole have in common before it is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Signature {
    /// The handshake stalled, not only large segments after it.
    pub(super) handshake: bool,
    /// IPv6.
    pub(super) v6: bool,
    /// The largest packets that the connection may carry, out and in.
    pub(super) widest: (u32, u32),
    /// The how-manieth hole of that look.
    pub(super) hole: u32,
}

/// A hole that was measured: in each direction that has one the largest size that passes, as far as one is known, and the
/// smallest that does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Towards the endpoint.
    pub(super) outward: Option<(Option<u32>, u32)>,
    /// From the endpoint.
    pub(super) inward: Option<(u32, u32)>,
}

/// The holes of one round.
#[derive(Default)]
pub(in crate::probe) struct Holes(Mutex<HashMap<Signature, watch::Receiver<Option<Found>>>>);

/// Who measures.
pub(super) enum Role {
    /// This address: it announces what it finds, or nothing when it finds none.
    First(watch::Sender<Option<Found>>),
    /// Another one.
    Later(watch::Receiver<Option<Found>>),
}

impl Holes {
    /// Enters with a fault of that signature.
    pub(super) fn enter(&self, signature: Signature) -> Role {
        // A panic elsewhere cannot leave the map half-written.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = known.get(&signature) {
            return Role::Later(receiver.clone());
        }
        let (sender, receiver) = watch::channel(None);
        known.insert(signature, receiver);
        Role::First(sender)
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Holes, Role, Signature};

    #[tokio::test]
    async fn the_first_measures_and_the_others_hear_of_it() {
        let holes = Holes::default();
        let signature = Signature { handshake: true, v6: false, widest: (9001, 9001), hole: 0 };
        let Role::First(announce) = holes.enter(signature) else { panic!("the first is the first") };
        let Role::Later(mut hears) = holes.enter(signature) else { panic!("the second is not") };
        assert!(matches!(holes.enter(Signature { v6: true, ..signature }), Role::First(_)));
        let found = Found { outward: None, inward: Some((1400, 1405)) };
        announce.send(Some(found)).expect("somebody listens");
        assert_eq!(*hears.wait_for(Option::is_some).await.expect("announced"), Some(found));
        let Role::First(gone) = holes.enter(Signature { handshake: false, ..signature }) else { panic!("another") };
        let Role::Later(mut hears) = holes.enter(Signature { handshake: false, ..signature }) else { panic!("later") };
        drop(gone);
        assert!(hears.wait_for(Option::is_some).await.is_err(), "found nothing: nobody waits for ever");
    }
}
