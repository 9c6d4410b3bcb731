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
    /// What stands in them.
    pub(super) chain: &'a Chain,
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
        let own_limit = errno(error).and_then(connect::own_limit);
        return own_limit.unwrap_or_else(|| transport(error, spoke, scene.heard).into());
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
    let chain = scene.chain;
    let dates = wrong_dates(chain, scene.now);
    let name = wrong_name(chain, scene);
    let untrusted = |fault: &CertificateError| untrusted_words(fault, chain, scene.trusted);
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
    format!(
        "a missing intermediate, or an authority that this host does not trust: {sent}, and its issuer {issuer} is not \
         in the trust store"
    )
}

/// The alert's name in the TLS specification.
fn alert_name(alert: AlertDescription) -> String {
    alert.as_str().map_or_else(|| format!("number {}", u8::from(alert)), ToOwned::to_owned)
}

fn first_line(heard: &[u8]) -> &[u8] {
    heard.split(|byte| *byte == b'\n').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, io, sync::Arc};

    use rustix::io::Errno;
    use rustls::{
        AlertDescription, CertRevocationListError, CertificateError, ContentType, Error, HandshakeType,
        InconsistentKeys, InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved,
        pki_types::{ServerName, UnixTime},
    };
    use time::OffsetDateTime;

    use super::super::certificates::NO_CHAIN;
    use super::{Scene, Spoke, cause, certificate_cause, read, transport};
    use crate::{
        model::{
            cause::{Cause, Scope, Stage},
            observation::Failure,
        },
        probe::trail::Stop,
    };

    fn other() -> OtherError {
        OtherError(Arc::new(io::Error::other("anything")))
    }

    /// Every variant of [`CertificateError`], and its cause.
    fn certificate_faults() -> Vec<(CertificateError, Cause)> {
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_hours(500_000));
        let expected = ServerName::try_from("a.example").expect("a name");
        let untrusted = [
            CertificateError::BadEncoding,
            CertificateError::Revoked,
            CertificateError::UnhandledCriticalExtension,
            CertificateError::UnknownIssuer,
            CertificateError::UnknownRevocationStatus,
            CertificateError::ExpiredRevocationList,
            CertificateError::ExpiredRevocationListContext { time, next_update: time },
            CertificateError::BadSignature,
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: Vec::new(),
                supported_algorithms: Vec::new(),
            },
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: Vec::new(),
                public_key_algorithm_id: Vec::new(),
            },
            CertificateError::InvalidPurpose,
            CertificateError::InvalidPurposeContext {
                required: rustls::ExtendedKeyPurpose::ServerAuth,
                presented: Vec::new(),
            },
            CertificateError::InvalidOcspResponse,
            CertificateError::ApplicationVerificationFailure,
            CertificateError::Other(other()),
        ];
        let mut faults: Vec<_> = untrusted.into_iter().map(|fault| (fault, Cause::TlsUntrusted)).collect();
        faults.extend([
            (CertificateError::Expired, Cause::TlsExpired),
            (CertificateError::ExpiredContext { time, not_after: time }, Cause::TlsExpired),
            (CertificateError::NotValidYet, Cause::TlsNotYetValid),
            (CertificateError::NotValidYetContext { time, not_before: time }, Cause::TlsNotYetValid),
            (CertificateError::NotValidForName, Cause::TlsWrongName),
            (CertificateError::NotValidForNameContext { expected, presented: Vec::new() }, Cause::TlsWrongName),
        ]);
        faults
    }

    /// Every variant of [`Error`] but alerts and certificates, and its cause; `None`: our own fault.
    fn errors() -> Vec<(Error, Option<Cause>)> {
        let protocol = Some(Cause::TlsProtocol);
        vec![
            (
                Error::InappropriateMessage { expect_types: Vec::new(), got_type: ContentType::ApplicationData },
                protocol,
            ),
            (
                Error::InappropriateHandshakeMessage { expect_types: Vec::new(), got_type: HandshakeType::Finished },
                protocol,
            ),
            (Error::InvalidEncryptedClientHello(rustls::EncryptedClientHelloError::NoCompatibleConfig), protocol),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), protocol),
            (Error::InvalidMessage(InvalidMessage::MessageTooLarge), protocol),
            (Error::NoCertificatesPresented, protocol),
            (Error::DecryptError, protocol),
            (Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13), protocol),
            (Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon), protocol),
            (Error::PeerMisbehaved(PeerMisbehaved::AttemptedDowngradeToTls12WhenTls13IsSupported), protocol),
            (Error::PeerSentOversizedRecord, protocol),
            (Error::NoApplicationProtocol, protocol),
            (Error::InconsistentKeys(InconsistentKeys::Unknown), protocol),
            (Error::Other(other()), protocol),
            (Error::InvalidCertRevocationList(CertRevocationListError::BadSignature), Some(Cause::TlsUntrusted)),
            (Error::UnsupportedNameType, None),
            (Error::EncryptError, None),
            (Error::General("anything".to_owned()), None),
            (Error::FailedToGetCurrentTime, None),
            (Error::FailedToGetRandomBytes, None),
            (Error::HandshakeNotComplete, None),
            (Error::BadMaxFragmentSize, None),
        ]
    }

    fn scene<'a>(heard: &'a [u8], trusted: &'a HashSet<Vec<u8>>) -> Scene<'a> {
        Scene {
            host: "a.example",
            now: OffsetDateTime::UNIX_EPOCH,
            heard,
            sent: &[],
            chain: &NO_CHAIN,
            trusted,
            apart_from_dates: None,
        }
    }

    #[test]
    fn every_certificate_fault_has_one_cause() {
        for (fault, expected) in certificate_faults() {
            assert_eq!(certificate_cause(&fault), expected, "{fault:?}");
            assert_eq!(cause(&Error::InvalidCertificate(fault.clone()), Spoke::Tls), Some(expected), "{fault:?}");
        }
    }

    #[test]
    fn every_error_has_one_cause() {
        for (error, expected) in errors() {
            assert_eq!(cause(&error, Spoke::Tls), expected, "{error:?}");
            assert_eq!(cause(&error, Spoke::Nothing), expected, "{error:?}");
            assert_eq!(cause(&error, Spoke::Other), Some(Cause::TlsNotTls), "{error:?}");
        }
    }

    #[test]
    fn every_alert_has_one_cause() {
        for number in 0..=u8::MAX {
            let alert = AlertDescription::from(number);
            let expected = if number == 0 { Cause::TlsClosed } else { Cause::TlsProtocol };
            assert_eq!(cause(&Error::AlertReceived(alert), Spoke::Tls), Some(expected), "{alert:?}");
        }
    }

    #[test]
    fn every_failure_is_of_the_stage_and_says_something() {
        let trusted = HashSet::new();
        let alerts = (0..=u8::MAX).map(|number| Error::AlertReceived(AlertDescription::from(number)));
        let faults = certificate_faults().into_iter().map(|(fault, _)| Error::InvalidCertificate(fault));
        let errors = errors().into_iter().map(|(error, _)| error);
        for error in alerts.chain(faults).chain(errors) {
            for heard in [b"".as_slice(), b"\x16\x03\x03", b"SSH-2.0-x\r\nmore"] {
                let wrapped = io::Error::new(io::ErrorKind::InvalidData, error.clone());
                match read(&wrapped, &scene(heard, &trusted)) {
                    Stop::Network(Failure { cause, detail, .. }) => {
                        assert_eq!(cause.scope(), Scope::Stage(Stage::Tls), "{error:?}");
                        assert!(!detail.is_empty(), "{error:?}");
                    }
                    Stop::Ours { detail, .. } => assert!(!detail.is_empty(), "{error:?}"),
                }
            }
        }
    }

    #[test]
    fn what_happens_below_tls() {
        let check = |error: io::Error, spoke: Spoke, expected: Cause| {
            assert_eq!(transport(&error, spoke, b"SSH").cause, expected, "{error:?} {spoke:?}");
        };
        let eof = || io::Error::from(io::ErrorKind::UnexpectedEof);
        check(eof(), Spoke::Nothing, Cause::TlsClosed);
        check(eof(), Spoke::Tls, Cause::TlsClosed);
        check(eof(), Spoke::Other, Cause::TlsNotTls);
        check(Errno::CONNRESET.into(), Spoke::Nothing, Cause::TlsReset);
        check(Errno::CONNRESET.into(), Spoke::Tls, Cause::TlsReset);
        check(Errno::CONNRESET.into(), Spoke::Other, Cause::TlsNotTls);
        check(Errno::CONNABORTED.into(), Spoke::Nothing, Cause::TlsReset);
        check(Errno::PIPE.into(), Spoke::Nothing, Cause::TlsClosed);
        check(Errno::TIMEDOUT.into(), Spoke::Tls, Cause::TlsTimeout);
        check(Errno::HOSTUNREACH.into(), Spoke::Tls, Cause::TlsTimeout);
        check(Errno::NETUNREACH.into(), Spoke::Nothing, Cause::TlsTimeout);
        for errno in 1..200 {
            let failure = transport(&io::Error::from_raw_os_error(errno), Spoke::Tls, b"");
            assert_eq!(failure.cause.scope(), Scope::Stage(Stage::Tls));
            assert_eq!(failure.errno, Some(errno));
        }
    }

    #[test]
    fn our_own_limits_are_no_failure_of_the_peer() {
        let trusted = HashSet::new();
        for errno in [Errno::NOBUFS, Errno::NOMEM] {
            let stop = read(&errno.into(), &scene(b"", &trusted));
            assert!(matches!(stop, Stop::Ours { errno: Some(_), .. }), "{stop:?}");
        }
    }

    #[test]
    fn a_language_is_known_by_its_first_bytes() {
        let check = |heard: &[u8], expected: Spoke| assert_eq!(Spoke::of(heard), expected, "{heard:?}");
        check(b"", Spoke::Nothing);
        check(b"\x16", Spoke::Tls);
        check(b"\x16\x03\x03", Spoke::Tls);
        check(b"\x15\x03\x01", Spoke::Tls);
        check(b"\x16\x02", Spoke::Other);
        check(b"S", Spoke::Other);
        check(b"HTTP", Spoke::Other);
    }
}
