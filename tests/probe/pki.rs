//! Certificates made for one test: authorities, chains, lives.

use std::io::Write as _;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use time::{Duration, OffsetDateTime};

/// What a server shows.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Days from now until a certificate begins and ends to live.
#[derive(Clone, Copy)]
pub(crate) struct Life(pub(crate) i64, pub(crate) i64);

pub(crate) const ALIVE: Life = Life(-10, 90);
pub(crate) const EXPIRED: Life = Life(-10, -3);
pub(crate) const UNBORN: Life = Life(5, 90);

/// An authority that signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(authority(name, ALIVE), key()).expect("a root"))
    }

    pub(crate) fn intermediate(&self, name: &str, life: Life) -> Self {
        Self(CertifiedIssuer::signed_by(authority(name, life), key(), &self.0).expect("an intermediate"))
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A server's certificate for `names`, with `sent` behind it.
    pub(crate) fn identity(&self, names: &[&str], life: Life, sent: &[&Self]) -> Identity {
        let key = key();
        let leaf = params("server", names, life).signed_by(&key, &self.0).expect("a leaf");
        let chain = std::iter::once(leaf.der().clone()).chain(sent.iter().map(|authority| authority.der())).collect();
        Identity { chain, key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())) }
    }

    /// The authority as a file, for `extra_ca_file`.
    pub(crate) fn file(&self) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(self.0.pem().as_bytes()).expect("written");
        file
    }
}

pub(crate) fn self_signed(names: &[&str]) -> Identity {
    let key = key();
    let leaf = params("selfish", names, ALIVE).self_signed(&key).expect("a certificate");
    Identity {
        chain: vec![leaf.der().clone()],
        key: PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn authority(name: &str, life: Life) -> CertificateParams {
    let mut params = params(name, &[], life);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn params(common_name: &str, names: &[&str], Life(begins, ends): Life) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "US");
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = OffsetDateTime::now_utc() + Duration::days(begins);
    params.not_after = OffsetDateTime::now_utc() + Duration::days(ends);
    params
}
