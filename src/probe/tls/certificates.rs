//! Reads the certificates that a server sent, trusted or not. The bytes are hostile until proven otherwise: whatever
//! cannot be read is left out, and everything is bounded.

use std::net::{Ipv4Addr, Ipv6Addr};

use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;
use x509_parser::{
    certificate::X509Certificate,
    extensions::GeneralName,
    oid_registry::{
        OID_DOMAIN_COMPONENT, OID_PKCS9_EMAIL_ADDRESS, OID_X509_COMMON_NAME, OID_X509_COUNTRY_NAME,
        OID_X509_LOCALITY_NAME, OID_X509_ORGANIZATION_NAME, OID_X509_ORGANIZATIONAL_UNIT,
        OID_X509_STATE_OR_PROVINCE_NAME, Oid,
    },
    prelude::FromDer as _,
    x509::{AttributeTypeAndValue, X509Name},
};

use crate::probe::words::printable;

/// What a server sent as its chain, leaf first.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// Those that can be read, at most [`MOST_CERTIFICATES`].
    pub(super) certificates: Vec<Certificate>,
    /// All of them together, in DER bytes.
    pub(super) bytes: u64,
    /// How many were sent.
    pub(super) length: u32,
}

/// That of a server that sent none.
pub(super) static NO_CHAIN: Chain = Chain { certificates: Vec::new(), bytes: 0, length: 0 };

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    /// e.g. `CN=Amazon RSA 2048 M01, O=Amazon, C=US`.
    pub(super) subject: String,
    /// Likewise.
    pub(super) issuer: String,
    /// In DER, to be compared.
    pub(super) raw_subject: Vec<u8>,
    /// In DER, to be compared.
    pub(super) raw_issuer: Vec<u8>,
    /// The subject's names, at most [`MOST_NAMES`].
    pub(super) names: Vec<String>,
    /// How many more names it has.
    pub(super) more_names: usize,
    /// The start of its life.
    pub(super) not_before: OffsetDateTime,
    /// The end of its life.
    pub(super) not_after: OffsetDateTime,
}

impl Chain {
    /// Reads `sent`.
    pub(super) fn read(sent: &[CertificateDer<'_>]) -> Self {
        Self {
            certificates: sent.iter().take(MOST_CERTIFICATES).filter_map(|der| Certificate::read(der)).collect(),
            bytes: sent.iter().map(|der| der.len() as u64).sum(),
            length: u32::try_from(sent.len()).unwrap_or(u32::MAX),
        }
    }

    /// The certificate of the server itself, if it can be read.
    pub(super) fn leaf(&self) -> Option<&Certificate> {
        self.certificates.first()
    }

    /// The leaf, its issuer, that one's issuer and so on, as far as they were sent, in whatever order.
    pub(super) fn path(&self) -> Vec<&Certificate> {
        let mut path: Vec<&Certificate> = self.leaf().into_iter().collect();
        while let Some(last) = path.last().copied()
            && !last.is_self_issued()
            && let Some(next) = self.certificates.iter().find(|other| {
                other.raw_subject == last.raw_issuer && !path.iter().any(|taken| std::ptr::eq(*taken, *other))
            })
        {
            path.push(next);
        }
        path
    }
}

impl Certificate {
    /// `None` when `der` is no certificate.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let mut names = alternative_names(&parsed);
        if names.is_empty() {
            names = parsed.subject().iter_common_name().map(text).collect();
        }
        let more_names = names.len().saturating_sub(MOST_NAMES);
        names.truncate(MOST_NAMES);
        Some(Self {
            subject: distinguished(parsed.subject()),
            issuer: distinguished(parsed.issuer()),
            raw_subject: parsed.subject().as_raw().to_vec(),
            raw_issuer: parsed.issuer().as_raw().to_vec(),
            names,
            more_names,
            not_before: parsed.validity().not_before.to_datetime(),
            not_after: parsed.validity().not_after.to_datetime(),
        })
    }

    /// Whether it names itself as its issuer: a root, or a self-signed certificate.
    pub(super) fn is_self_issued(&self) -> bool {
        self.raw_subject == self.raw_issuer
    }

    /// Whole days until `not_after`, negative once it is past.
    pub(super) fn days_left(&self, now: OffsetDateTime) -> i64 {
        (self.not_after - now).whole_seconds().div_euclid(86_400)
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    extension.value.general_names.iter().filter_map(alternative_name).collect()
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(dns) => Some(printable(dns, MOST_NAME)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|octets| Ipv4Addr::from(octets).to_string());
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|octets| Ipv6Addr::from(octets).to_string())).ok()
        }
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

/// The name with its most specific part first, as people read it (RFC 4514).
fn distinguished(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_attributes()
        .take(MOST_ATTRIBUTES)
        .map(|attribute| format!("{}={}", attribute_name(attribute.attr_type()), text(attribute)))
        .collect();
    parts.reverse();
    if parts.is_empty() { "(no name)".to_owned() } else { parts.join(", ") }
}

fn text(attribute: &AttributeTypeAndValue<'_>) -> String {
    match attribute.as_str() {
        Ok(text) => printable(text, MOST_NAME),
        Err(_) => printable(&String::from_utf8_lossy(attribute.as_slice()), MOST_NAME),
    }
}

fn attribute_name(oid: &Oid<'_>) -> String {
    [
        (OID_X509_COMMON_NAME, "CN"),
        (OID_X509_ORGANIZATION_NAME, "O"),
        (OID_X509_ORGANIZATIONAL_UNIT, "OU"),
        (OID_X509_COUNTRY_NAME, "C"),
        (OID_X509_STATE_OR_PROVINCE_NAME, "ST"),
        (OID_X509_LOCALITY_NAME, "L"),
        (OID_DOMAIN_COMPONENT, "DC"),
        (OID_PKCS9_EMAIL_ADDRESS, "emailAddress"),
    ]
    .into_iter()
    .find(|(known, _)| known == oid)
    .map_or_else(|| printable(&oid.to_id_string(), MOST_NAME), |(_, name)| name.to_owned())
}

/// Certificates of one chain that are read; a real chain has two to five.
const MOST_CERTIFICATES: usize = 16;

/// Names of one certificate that are kept.
const MOST_NAMES: usize = 8;

/// Parts of one distinguished name that are kept.
const MOST_ATTRIBUTES: usize = 8;

/// Characters of one name that are kept.
const MOST_NAME: usize = 120;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::pki_types::CertificateDer;
    use time::{Duration, OffsetDateTime};

    use super::{Certificate, Chain, MOST_NAMES};

    fn params(names: &[&str], common_name: &str) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "US");
        params.distinguished_name.push(DnType::OrganizationName, "Amazon");
        params.distinguished_name.push(DnType::CommonName, common_name);
        params
    }

    fn der(params: &CertificateParams) -> CertificateDer<'static> {
        params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").der().clone()
    }

    #[test]
    fn a_certificate_is_read() {
        let read = Certificate::read(&der(&params(&["a.example", "10.0.0.1", "::1"], "Amazon RSA 2048 M01")))
            .expect("a certificate");
        assert_eq!(read.issuer, "CN=Amazon RSA 2048 M01, O=Amazon, C=US");
        assert_eq!(read.names, ["a.example", "10.0.0.1", "::1"]);
        assert!(read.is_self_issued());
    }

    #[test]
    fn names_are_bounded_and_the_common_name_stands_in() {
        let many: Vec<String> = (0..20).map(|index| format!("n{index}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let read = Certificate::read(&der(&params(&many, "x"))).expect("a certificate");
        assert_eq!((read.names.len(), read.more_names), (MOST_NAMES, 12));
        let read = Certificate::read(&der(&params(&[], "old.example\u{1b}[1m"))).expect("a certificate");
        assert_eq!(read.names, ["old.example\\u{1b}[1m"]);
    }

    #[test]
    fn days_are_whole_and_negative_once_past() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).expect("a moment");
        let check = |left: Duration, expected: i64| {
            let mut params = params(&[], "x");
            params.not_after = now + left;
            let read = Certificate::read(&der(&params)).expect("a certificate");
            assert_eq!(read.days_left(now), expected, "{left}");
        };
        check(Duration::days(14), 14);
        check(Duration::hours(47), 1);
        check(Duration::hours(1), 0);
        check(Duration::hours(-1), -1);
        check(Duration::days(-3), -3);
    }

    #[test]
    fn a_hostile_chain_is_bounded() {
        let one = der(&params(&["a.example"], "x"));
        let chain = Chain::read(&vec![one.clone(); 500]);
        assert_eq!(chain.length, 500);
        assert_eq!(chain.bytes, 500 * one.len() as u64);
        assert!(chain.certificates.len() <= 16 && chain.path().len() == 1);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Certificate::read(&bytes);
        }

        #[test]
        fn no_damage_makes_it_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
            let mut bytes = der(&params(&["a.example", "10.0.0.1"], "x")).to_vec();
            for (at, value) in damage {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let chain = Chain::read(&[CertificateDer::from(bytes)]);
            prop_assert!(chain.path().len() <= 1);
            if let Some(leaf) = chain.leaf() {
                let _ = leaf.days_left(OffsetDateTime::UNIX_EPOCH);
            }
        }
    }
}
