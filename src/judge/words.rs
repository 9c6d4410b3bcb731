//! Small pieces of sentences, each short enough for a line of 80 columns or two.

use std::{fmt::Display, net::IpAddr};

use crate::model::{cause::Cause, observation::Subnet, units::Millis};

/// What a stage's failure looks like, with what the network said.
pub(super) fn failure(cause: Cause, elapsed: Millis, detail: Option<&str>) -> String {
    let base = plain(cause, elapsed);
    match detail.map(|detail| tidy(detail, 90)).filter(|detail| !detail.is_empty()) {
        Some(detail) => format!("{base} ({detail})"),
        None => base,
    }
}

fn plain(cause: Cause, elapsed: Millis) -> String {
    let after = || seconds(elapsed);
    match cause {
        Cause::TcpTimeout => format!("no answer to TCP SYN in {}", after()),
        Cause::TcpRefused => "connection refused".to_owned(),
        Cause::TcpUnreachable => "unreachable".to_owned(),
        Cause::TcpReset => "connection reset while it opened".to_owned(),
        Cause::TcpDenied => "this host forbids the connection".to_owned(),
        Cause::TlsTimeout => format!("TCP opens, then no TLS answer in {}", after()),
        Cause::TlsClosed => "closed the connection during the TLS handshake".to_owned(),
        Cause::TlsReset => "reset the connection during the TLS handshake".to_owned(),
        Cause::TlsNotTls => "what answers does not speak TLS".to_owned(),
        Cause::TlsProtocol => "the TLS handshake breaks".to_owned(),
        Cause::TlsUntrusted => "the certificate's chain is not trusted".to_owned(),
        Cause::TlsWrongName => "the certificate is for another name".to_owned(),
        Cause::TlsExpired => "the certificate has expired".to_owned(),
        Cause::TlsNotYetValid => "the certificate is not valid yet".to_owned(),
        Cause::HttpTimeout => format!("TLS is fine, then no HTTP answer in {}", after()),
        Cause::HttpClosed => "closed the connection before a whole HTTP answer".to_owned(),
        Cause::DnsNxdomain => "the name does not exist".to_owned(),
        Cause::DnsNoData => "the name has no address".to_owned(),
        Cause::DnsServfail => "SERVFAIL".to_owned(),
        Cause::DnsRefused => "REFUSED".to_owned(),
        Cause::DnsTimeout => format!("no DNS answer in {}", after()),
        Cause::DnsUnreachable => "no name server can be reached".to_owned(),
        Cause::DnsMalformed => "the answer is no DNS message".to_owned(),
        // No stage ends with any other cause; if one does, its name still says it.
        other => other.as_str().to_owned(),
    }
}

/// e.g. `4.0 s`, `12 ms`.
pub(super) fn seconds(elapsed: Millis) -> String {
    let ms = elapsed.as_f64();
    if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

/// Text from the network made fit for a sentence: no control characters, at most `limit` characters.
pub(super) fn tidy(text: &str, limit: usize) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    if clean.chars().count() <= limit {
        return clean.to_owned();
    }
    let mut short: String = clean.chars().take(limit.saturating_sub(3)).collect();
    short.push_str("...");
    short
}

/// A sentence of at most 160 characters.
pub(super) fn sentence(text: &str) -> String {
    tidy(text, SENTENCE)
}

/// `a`, `a and b`, `a, b and c`, `a, b, c and 4 more`.
pub(super) fn list<T: Display>(items: &[T]) -> String {
    match items {
        [] => "nothing".to_owned(),
        [one] => one.to_string(),
        [first @ .., last] if first.len() <= SHOWN => format!("{} and {last}", join(first)),
        many => {
            let (shown, rest) = many.split_at(SHOWN.min(many.len()));
            format!("{} and {} more", join(shown), rest.len())
        }
    }
}

fn join<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// `resolves`, `resolve`: the verb for `count` subjects.
pub(super) const fn verb(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

/// An address for a sentence, with its mapped form undone.
pub(super) fn shown(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// ` (this host's subnet, zone eu-west-1a)`, ` (another subnet)`, or nothing where that is not known.
pub(super) fn subnet(subnet: Option<Subnet>, zone: Option<&str>) -> String {
    match (subnet, zone) {
        (Some(Subnet::Own), Some(zone)) => format!(" (this host's subnet, zone {})", tidy(zone, 20)),
        (Some(Subnet::Own), None) => " (this host's subnet)".to_owned(),
        (Some(Subnet::Other), _) => " (another subnet)".to_owned(),
        (None, _) => String::new(),
    }
}

const SENTENCE: usize = 160;
const SHOWN: usize = 3;
