//! Verifies certificates as rustls does, and remembers what was shown and what was found true.
//!
//! Whether a chain is good for a name is a function of its bytes, the name, the trust store and the moment. Endpoints show
//! the same bytes round after round, at each of their addresses: what was found good is good again as long as nothing but
//! the moment has changed, and that within the life of every certificate in the chain. That the server has the
//! certificate's key is proven anew in each handshake.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::{
    DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use time::OffsetDateTime;

use super::{certificates::Chain, unix, wire::Sight};

/// The rules of one trust store, and the chains that servers showed since it was loaded.
pub(super) struct Verifier {
    rules: Arc<WebPkiServerVerifier>,
    /// The latest last.
    gallery: Mutex<Vec<Arc<Shown>>>,
}

/// A chain as a server sent it, leaf first.
#[derive(Debug)]
pub(super) struct Shown {
    /// The certificates.
    pub(super) sent: Vec<CertificateDer<'static>>,
    /// What stands in them.
    pub(super) chain: Chain,
    /// The names for which the chain was found good.
    good_for: Mutex<Vec<ServerName<'static>>>,
}

impl Verifier {
    pub(super) const fn new(rules: Arc<WebPkiServerVerifier>) -> Self {
        Self { rules, gallery: Mutex::new(Vec::new()) }
    }

    /// Verifies `shown` for `name` as of `now`.
    fn verify(&self, shown: &Shown, name: &ServerName<'_>, now: UnixTime) -> Result<ServerCertVerified, Error> {
        if shown.is_good_for(name, now) {
            return Ok(ServerCertVerified::assertion());
        }
        let verified = self.judge(shown, name, now)?;
        shown.note_good_for(name);
        Ok(verified)
    }

    fn judge(&self, shown: &Shown, name: &ServerName<'_>, now: UnixTime) -> Result<ServerCertVerified, Error> {
        // RFC 8446, section 4.4.2: rustls does not go on without a certificate.
        let (leaf, others) = shown.sent.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.rules.verify_server_cert(leaf, others, name, &[], now)
    }

    /// What is wrong with `shown` at the first end of life in it, when none of its certificates is past that.
    pub(super) fn apart_from_dates(&self, shown: &Shown, name: &ServerName<'_>) -> Option<Error> {
        let ends = shown.chain.certificates.iter().map(|certificate| certificate.not_after).min()?;
        self.judge(shown, name, unix(ends)).err()
    }

    /// The chain as it was shown before, or from now on.
    fn shown(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Arc<Shown> {
        let mut gallery = lock(&self.gallery);
        if let Some(place) = gallery.iter().position(|shown| shown.is(leaf, others)) {
            let shown = gallery.remove(place);
            gallery.push(Arc::clone(&shown));
            return shown;
        }
        let shown = Arc::new(Shown::new(leaf, others));
        if shown.chain.bytes <= LARGEST_KEPT {
            if gallery.len() >= MOST_KEPT {
                gallery.remove(0);
            }
            gallery.push(Arc::clone(&shown));
        }
        shown
    }
}

impl Shown {
    fn new(leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Self {
        let sent: Vec<_> = std::iter::once(leaf).chain(others).map(|der| der.clone().into_owned()).collect();
        Self { chain: Chain::read(&sent), sent, good_for: Mutex::default() }
    }

    fn is(&self, leaf: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> bool {
        self.sent.split_first().is_some_and(|(own, rest)| own == leaf && rest == others)
    }

    /// Whether the chain was found good for `name`, and its certificates all live at `now`.
    fn is_good_for(&self, name: &ServerName<'_>, now: UnixTime) -> bool {
        let read = &self.chain.certificates;
        // What cannot be read may have any dates.
        read.len() == self.sent.len()
            && read.iter().all(|certificate| {
                (seconds(certificate.not_before)..=seconds(certificate.not_after)).contains(&now.as_secs())
            })
            && lock(&self.good_for).contains(name)
    }

    fn note_good_for(&self, name: &ServerName<'_>) {
        let mut names = lock(&self.good_for);
        if names.len() < MOST_NAMES && !names.contains(name) {
            names.push(name.to_owned());
        }
    }
}

/// Verifies one handshake, and shows its certificates to the handshake's notes before they are judged, so that an
/// untrusted chain can be described too.
pub(super) struct Recorder {
    pub(super) verifier: Arc<Verifier>,
    pub(super) sight: Sight,
    pub(super) now: UnixTime,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let shown = self.verifier.shown(end_entity, intermediates);
        self.sight.look().shown = Some(Arc::clone(&shown));
        self.verifier.verify(&shown, server_name, self.now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.rules.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.rules.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.rules.supported_verify_schemes()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is done under these locks can leave a list half-written.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seconds(moment: OffsetDateTime) -> u64 {
    unix(moment).as_secs()
}

/// Chains that are kept, and how large one of them may be, in bytes: those of some dozen endpoints, each of one to four
/// certificates.
const MOST_KEPT: usize = 32;
const LARGEST_KEPT: u64 = 16_384;
/// Names for which one chain is known to be good; AWS shows one certificate for one service.
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    use rustls::{
        CertificateError, Error, RootCertStore,
        client::WebPkiServerVerifier,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName, UnixTime},
    };
    use time::{Duration, OffsetDateTime};

    use super::{MOST_KEPT, Verifier, unix};

    /// An authority, and certificates of its making that live from `START` for so many days.
    struct Authority(Issuer<'static, KeyPair>, CertificateDer<'static>);

    impl Authority {
        fn new() -> Self {
            let key = KeyPair::generate().expect("a key");
            let mut params = CertificateParams::new(Vec::<String>::new()).expect("no names");
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let certificate = params.self_signed(&key).expect("a certificate").der().clone();
            Self(Issuer::new(params, key), certificate)
        }

        fn certificate(&self, name: &str, days: i64) -> CertificateDer<'static> {
            let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
            (params.not_before, params.not_after) = (start(), start() + Duration::days(days));
            let key = KeyPair::generate().expect("a key");
            params.signed_by(&key, &self.0).expect("a certificate").der().clone()
        }

        fn verifier(&self) -> Verifier {
            let mut roots = RootCertStore::empty();
            roots.add(self.1.clone()).expect("a root");
            let provider = Arc::new(aws_lc_rs::default_provider());
            let rules = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            Verifier::new(rules.expect("a trust store"))
        }
    }

    fn start() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a moment")
    }

    fn on_day(day: i64) -> UnixTime {
        unix(start() + Duration::days(day))
    }

    fn name(name: &str) -> ServerName<'static> {
        ServerName::try_from(name.to_owned()).expect("a name")
    }

    #[test]
    fn what_was_good_is_good_for_the_same_name_within_its_life() {
        let authority = Authority::new();
        let (verifier, leaf) = (authority.verifier(), authority.certificate("a.example", 30));
        let shown = verifier.shown(&leaf, &[]);
        assert!(!shown.is_good_for(&name("a.example"), on_day(1)), "nobody has looked at it");
        verifier.verify(&shown, &name("a.example"), on_day(1)).expect("good");
        let again = verifier.shown(&leaf, &[]);
        assert!(Arc::ptr_eq(&shown, &again));
        for day in [0, 1, 30] {
            assert!(again.is_good_for(&name("a.example"), on_day(day)), "day {day}");
            verifier.verify(&again, &name("a.example"), on_day(day)).expect("good");
        }
        let expired = verifier.verify(&again, &name("a.example"), on_day(31));
        assert!(
            matches!(expired, Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))),
            "{expired:?}"
        );
        let early = verifier.verify(&again, &name("a.example"), on_day(-1));
        assert!(
            matches!(early, Err(Error::InvalidCertificate(CertificateError::NotValidYetContext { .. }))),
            "{early:?}"
        );
        let other = verifier.verify(&again, &name("b.example"), on_day(1));
        assert!(
            matches!(other, Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))),
            "{other:?}"
        );
    }

    /// Nothing that was found good makes anything else good.
    #[test]
    fn another_chain_is_another_matter() {
        let (authority, stranger) = (Authority::new(), Authority::new());
        let verifier = authority.verifier();
        let good = authority.certificate("a.example", 30);
        verifier.verify(&verifier.shown(&good, &[]), &name("a.example"), on_day(1)).expect("good");
        let bad = stranger.certificate("a.example", 30);
        for _ in 0..2 {
            let shown = verifier.shown(&bad, std::slice::from_ref(&good));
            verifier.verify(&shown, &name("a.example"), on_day(1)).expect_err("unknown issuer");
            assert!(!shown.is_good_for(&name("a.example"), on_day(1)));
        }
        let longer = verifier.shown(&good, std::slice::from_ref(&bad));
        assert!(!longer.is_good_for(&name("a.example"), on_day(1)), "its bytes are others");
    }

    #[test]
    fn a_chain_of_which_one_certificate_is_past_its_life_is_judged_each_time() {
        let authority = Authority::new();
        let verifier = authority.verifier();
        let (leaf, stale) = (authority.certificate("a.example", 30), authority.certificate("b.example", 1));
        let shown = verifier.shown(&leaf, &[stale]);
        // The stale one is not part of the path.
        verifier.verify(&shown, &name("a.example"), on_day(2)).expect("good");
        assert!(!shown.is_good_for(&name("a.example"), on_day(2)));
        verifier.verify(&shown, &name("a.example"), on_day(2)).expect("good");
    }

    #[test]
    fn the_gallery_is_bounded_and_keeps_what_is_seen() {
        let authority = Authority::new();
        let verifier = authority.verifier();
        let seen = authority.certificate("a.example", 30);
        let first = verifier.shown(&seen, &[]);
        for index in 0..2 * MOST_KEPT {
            verifier.shown(&CertificateDer::from(vec![0; index + 1]), &[]);
            assert!(Arc::ptr_eq(&first, &verifier.shown(&seen, &[])));
        }
        assert_eq!(super::lock(&verifier.gallery).len(), MOST_KEPT);
        let huge = CertificateDer::from(vec![0; 20_000]);
        verifier.shown(&huge, &[]);
        assert!(super::lock(&verifier.gallery).iter().all(|shown| shown.sent[0] != huge));
    }
}
