//! What becomes of the large ClientHello, and the session that a small one opens where it does not pass.

use std::sync::Arc;

use super::{Chain, Examined, Measuring, Turn};
use crate::{
    model::{
        cause::Cause,
        observation::{LargeHello, TlsRecord},
        plan::MtuMode,
    },
    probe::{
        connect::{self, ConnectNotes},
        line::{Line, Tap},
        mtu::{self, Evidence},
        tls::{Hello, Secured},
    },
};

impl Chain<'_> {
    /// A session with a small hello, where it is known (or an abrupt end lets suspect) that large ones do not pass.
    pub(super) async fn with_small_hello(
        &mut self,
        measuring: &Measuring,
        examined: &mut Option<Examined>,
    ) -> Option<Secured<Tap>> {
        let Measuring { site, key, facts } = measuring;
        let shared = self.shared;
        let failed = self.record.tls.as_ref()?;
        let suspicious = shared.plan.mtu.mode == MtuMode::Full && shared.tls.says_large_hello();
        if examined.is_none() && suspicious && is_abrupt(failed) {
            site.begin();
            let evidence = Evidence { link_mtu: facts.link_mtu, learnt: facts.learnt, ..Evidence::default() };
            *examined = Some(if shared.memory().remembers_blocked(key, facts, &shared.plan.mtu) {
                Examined::KnownBlocked
            } else {
                Examined::Anew(Box::pin(mtu::hello(site, evidence)).await)
            });
        }
        let (proven, end) = match examined.as_ref()? {
            Examined::Anew(diagnosis) => (true, diagnosis.blocked.clone()?),
            Examined::KnownBlocked => (false, "not answered, as before".to_owned()),
            Examined::Known(_) => return None,
        };
        let large = self.record.tls.take()?;
        let mut connected = None;
        let notes = ConnectNotes::new(self.peer);
        let opened = self.trail.step(&mut connected, shared.plan.limits.connect, notes, connect::open).await;
        let secured = match opened {
            Some(opened) => self.handshake(&Arc::new(Line::new(opened)), Hello::Small, &Turn::default()).await,
            None => None,
        };
        match self.record.tls.take() {
            // What the certificate is like can be said, even where it is bad.
            Some(small) if secured.is_some() || small.chain_bytes.is_some() => {
                self.record.tls = Some(blocked(&large, small, &end));
                if proven {
                    self.note_hello(measuring, LargeHello::Blocked);
                }
            }
            _ => self.record.tls = Some(large),
        }
        secured
    }

    /// Notes what became of the large hello, and remembers it.
    pub(super) fn note_hello(&mut self, measuring: &Measuring, hello: LargeHello) {
        if let Some(record) = &mut self.record.tls {
            record.large_hello = hello;
        }
        self.shared.memory().store_hello(&measuring.key, &measuring.facts, hello);
    }
}

/// The record of a handshake with a small hello, where the large one of `large` met its `end`.
fn blocked(large: &TlsRecord, small: TlsRecord, end: &str) -> TlsRecord {
    let bytes = |record: &TlsRecord| record.hello_bytes.unwrap_or_default();
    let said = format!(
        "a ClientHello of {} bytes (X25519MLKEM768) is {end}; one of {} bytes passes",
        bytes(large),
        bytes(&small)
    );
    TlsRecord {
        large_hello: LargeHello::Blocked,
        small_hello_bytes: small.hello_bytes,
        hello_bytes: large.hello_bytes,
        detail: Some(small.detail.map_or_else(|| said.clone(), |detail| format!("{detail}; {said}"))),
        ..small
    }
}

/// The peer, or somebody on the way, ended the handshake as if it disliked the hello.
fn is_abrupt(record: &TlsRecord) -> bool {
    matches!(record.outcome.cause(), Some(Cause::TlsReset | Cause::TlsClosed | Cause::TlsProtocol))
}
