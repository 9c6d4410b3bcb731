//! Why a handshake failed: the one reading of rustls's errors, and the words for it.

use std::{collections::HashSet, io, time::Duration};

use rustix::io::Errno;
use rustls::{
    AlertDescription, CertificateError, Error,
    client::verify_server_name,
    pki_types::{CertificateDer, ServerName},
    server::ParsedCertificate,
};
use time::OffsetDateTime;

use super::certificates::{Certificate, Chain};
use crate::{
    model::{cause::Cause, observation::Failure, units::Timestamp},
    probe::{
        connect,
        trail::{Stop, errno},
        words::{escaped, span},
    },
};

/// All that is known about a handshake that failed.
pub(super) struct Scene<'a> {
    /// The name that was asked for.
    pub(super) host: &'a str,
    /// The wall clock.
    pub(super) now: OffsetDateTime,
    /// The first bytes that the peer sent.
    pub(super) heard: &'a [u8],
    /// The certificates that it sent.
    pub(super) sent: &'a [CertificateDer<'static>],
    /// The subjects of the trusted authorities, in DER.
    pub(super) trusted: &'a HashSet<Vec<u8>>,
    /// What verification says once the certificates' dates are left out of it.
    pub(super) apart_from_dates: Option<Error>,
}

/// In which language the peer spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spoke {
    /// It said nothing.
    Nothing,
    /// What it said begins like a TLS record.
    Tls,
    /// It said something else.
    Other,
}

impl Spoke {
    /// By the first two bytes: the record's content type (20 to 24) and the version's major number (RFC 8446, 5.1).
    pub(super) const fn of(heard: &[u8]) -> Self {
        match heard {
            [] => Self::Nothing,
            [20..=24] | [20..=24, 3, ..] => Self::Tls,
            [..] => Self::Other,
        }
    }
}

/// Why the handshake failed with `error`.
pub(super) fn read(error: &io::Error, scene: &Scene<'_>) -> Stop {
    let spoke = Spoke::of(scene.heard);
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return transport(error, spoke, scene.heard).into();
    };
    let Some(cause) = cause(tls, spoke) else {
        return Stop::Ours { detail: format!("TLS could not be started: {tls}"), errno: None };
    };
    let detail = if cause == Cause::TlsNotTls {
        said_instead(scene.heard)
    } else if let Error::InvalidCertificate(fault) = tls {
        certificate_words(cause, fault, scene)
    } else if let Error::AlertReceived(alert) = tls {
        format!("the peer refused the handshake: alert {}", alert_name(*alert))
    } else {
        tls.to_string()
    };
    Failure::new(cause, detail).into()
}

/// What the peer said instead of TLS.
pub(super) fn said_instead(heard: &[u8]) -> String {
    format!("the peer does not speak TLS; it said: {}", escaped(first_line(heard), heard.len()))
}

/// The one reading of rustls's errors; `None`: not the network's doing.
pub(super) fn cause(error: &Error, spoke: Spoke) -> Option<Cause> {
    if spoke == Spoke::Other {
        return Some(Cause::TlsNotTls);
    }
    match error {
        Error::InvalidCertificate(fault) => Some(certificate_cause(fault)),
        Error::AlertReceived(AlertDescription::CloseNotify) => Some(Cause::TlsClosed),
        Error::InvalidCertRevocationList(_) => Some(Cause::TlsUntrusted),
        Error::UnsupportedNameType
        | Error::EncryptError
        | Error::General(_)
        | Error::FailedToGetCurrentTime
        | Error::FailedToGetRandomBytes
        | Error::HandshakeNotComplete
        | Error::BadMaxFragmentSize => None,
        Error::AlertReceived(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InvalidEncryptedClientHello(_)
        | Error::InvalidMessage(_)
        | Error::NoCertificatesPresented
        | Error::DecryptError
        | Error::PeerIncompatible(_)
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord
        | Error::NoApplicationProtocol
        | Error::InconsistentKeys(_)
        | Error::Other(_)
        // rustls may grow errors; whatever they are, the handshake broke.
        | _ => Some(Cause::TlsProtocol),
    }
}

/// The one reading of what may be wrong with a certificate.
fn certificate_cause(fault: &CertificateError) -> Cause {
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => Cause::TlsExpired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Cause::TlsNotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => Cause::TlsWrongName,
        CertificateError::UnknownIssuer
        | CertificateError::BadEncoding
        | CertificateError::BadSignature
        | CertificateError::Revoked
        | CertificateError::UnhandledCriticalExtension
        | CertificateError::UnknownRevocationStatus
        | CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
        | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. }
        | CertificateError::InvalidPurpose
        | CertificateError::InvalidPurposeContext { .. }
        | CertificateError::InvalidOcspResponse
        | CertificateError::ApplicationVerificationFailure
        | CertificateError::Other(_)
        // The deprecated UnsupportedSignatureAlgorithm, and whatever rustls may add: the chain is not trusted.
        | _ => Cause::TlsUntrusted,
    }
}

/// A failure below TLS.
fn transport(error: &io::Error, spoke: Spoke, heard: &[u8]) -> Failure {
    let errno = errno(error);
    let named = |cause, said: &str| Failure {
        cause,
        detail: errno.map_or_else(|| said.to_owned(), |errno| format!("{}: {said}", connect::name(errno))),
        errno,
    };
    if spoke == Spoke::Other {
        return Failure { errno, ..Failure::new(Cause::TlsNotTls, said_instead(heard)) };
    }
    match errno.map(Errno::from_raw_os_error) {
        // EPIPE: the peer's FIN came before its reset (Linux, tcp_reset in CLOSE_WAIT).
        None | Some(Errno::PIPE) => named(Cause::TlsClosed, "the peer closed the connection during the handshake"),
        Some(Errno::TIMEDOUT | Errno::HOSTUNREACH | Errno::NETUNREACH) => {
            named(Cause::TlsTimeout, "what was sent was never acknowledged")
        }
        Some(_) => named(Cause::TlsReset, "the connection was reset during the handshake"),
    }
}

fn certificate_words(cause: Cause, fault: &CertificateError, scene: &Scene<'_>) -> String {
    let chain = Chain::read(scene.sent);
    let dates = wrong_dates(&chain, scene.now);
    let name = wrong_name(&chain, scene);
    let untrusted = |fault: &CertificateError| untrusted_words(fault, &chain, scene.trusted);
    let mut words: Vec<String> = Vec::new();
    if cause == Cause::TlsExpired || cause == Cause::TlsNotYetValid {
        words.extend(if dates.is_empty() { vec![fault.to_string()] } else { dates });
        if let Some(Error::InvalidCertificate(other)) = &scene.apart_from_dates
            && certificate_cause(other) == Cause::TlsUntrusted
        {
            words.push(format!("besides, {}", untrusted(other)));
        }
        words.extend(name.map(|name| format!("besides, {name}")));
    } else if cause == Cause::TlsWrongName {
        words.push(name.unwrap_or_else(|| fault.to_string()));
        words.extend(dates.into_iter().map(|date| format!("besides, {date}")));
    } else {
        words.push(untrusted(fault));
        words.extend(dates.into_iter().chain(name).map(|other| format!("besides, {other}")));
    }
    words.join("; ")
}

/// Every certificate on the path from the leaf that is out of its life, and by how much.
fn wrong_dates(chain: &Chain, now: OffsetDateTime) -> Vec<String> {
    let mut words = Vec::new();
    for (index, certificate) in chain.path().into_iter().enumerate() {
        let who = if index == 0 {
            "the server's certificate".to_owned()
        } else {
            format!("the intermediate certificate {}", certificate.subject)
        };
        if now > certificate.not_after {
            let by = between(certificate.not_after, now);
            words.push(format!("{who} expired {by} ago, on {}", Timestamp::new(certificate.not_after)));
        } else if now < certificate.not_before {
            let by = between(now, certificate.not_before);
            words.push(format!("{who} is not valid before {}, in {by}", Timestamp::new(certificate.not_before)));
        }
    }
    words
}

fn between(earlier: OffsetDateTime, later: OffsetDateTime) -> String {
    span(Duration::try_from(later - earlier).unwrap_or_default())
}

/// The names offered, when the one asked for is not among them.
fn wrong_name(chain: &Chain, scene: &Scene<'_>) -> Option<String> {
    let parsed = ParsedCertificate::try_from(scene.sent.first()?).ok()?;
    let asked = ServerName::try_from(scene.host).ok()?;
    verify_server_name(&parsed, &asked).err()?;
    let leaf = chain.leaf()?;
    let mut names = if leaf.names.is_empty() { "no name at all".to_owned() } else { leaf.names.join(", ") };
    if leaf.more_names > 0 {
        names = format!("{names} and {} more", leaf.more_names);
    }
    Some(format!("the certificate is for {names}, not for {}", scene.host))
}

fn untrusted_words(fault: &CertificateError, chain: &Chain, trusted: &HashSet<Vec<u8>>) -> String {
    let path = chain.path();
    let (Some(leaf), Some(last)) = (path.first(), path.last()) else {
        return format!("the certificate cannot be read: {fault}");
    };
    if leaf.is_self_issued() {
        return format!("the certificate is self-signed, by {}", leaf.issuer);
    }
    if *fault != CertificateError::UnknownIssuer {
        return format!("{fault}; the certificate's issuer is {}", leaf.issuer);
    }
    unknown_issuer_words(leaf, last, chain.length, trusted)
}

/// `last` is the end of the path from `leaf` that can be made of what the server sent.
fn unknown_issuer_words(leaf: &Certificate, last: &Certificate, sent: u32, trusted: &HashSet<Vec<u8>>) -> String {
    let issuer = &last.issuer;
    if trusted.contains(&last.raw_issuer) {
        return format!("the chain names {issuer}, which this host trusts, but is not signed with that one's key");
    }
    if last != leaf || last.is_self_issued() {
        return format!(
            "the chain leads to {issuer}, which this host does not trust (the certificate's issuer: {})",
            leaf.issuer
        );
    }
    let sent = match sent {
        1 => "the server sent no certificate but its own".to_owned(),
        more => format!("none of the {more} certificates that the server sent is its issuer's"),
    };
    format!("a missing intermediate: {sent}, and its issuer {issuer} is no authority that this host trusts")
}

/// The alert's name in the TLS specification.
fn alert_name(alert: AlertDescription) -> String {
    alert.as_str().map_or_else(|| format!("number {}", u8::from(alert)), ToOwned::to_owned)
}

fn first_line(heard: &[u8]) -> &[u8] {
    heard.split(|byte| *byte == b'\n').next().unwrap_or_default()
}
