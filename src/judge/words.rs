//! Small pieces of sentences, each short enough for a line of 80 columns or two.

use std::{fmt::Display, net::IpAddr};

use crate::model::{
    cause::Cause,
    observation::{Subnet, TlsRecord},
    units::Millis,
};

/// What a stage's failure looks like, with what the network said.
pub(super) fn failure(cause: Cause, elapsed: Millis, detail: Option<&str>) -> String {
    let timed =
        TIMED.iter().find(|(known, _)| *known == cause).map(|(_, words)| format!("{words} in {}", seconds(elapsed)));
    let plain =
        || PLAIN.iter().find(|(known, _)| *known == cause).map_or(cause.as_str(), |(_, words)| words).to_owned();
    let base = timed.unwrap_or_else(plain);
    match detail {
        Some(detail) if SPEAKS_FOR_ITSELF.contains(&cause) && !detail.trim().is_empty() => alone(detail),
        Some(_) | None => base + &aside(cause, detail),
    }
}

/// A detail in the place of a sentence; what it adds in brackets is left out where it is long.
fn alone(detail: &str) -> String {
    let short = detail.split_once(" (").filter(|_| detail.chars().count() > ALONE).map_or(detail, |(first, _)| first);
    tidy(short, ALONE)
}

/// ` (detail)`; nothing where it only repeats what [`failure`] says of the cause.
pub(super) fn aside(cause: Cause, detail: Option<&str>) -> String {
    let repeats = |detail: &str| {
        let known = |part: &str| detail.starts_with(part) || part == "no answer" && detail.ends_with(part);
        SAID.iter().any(|(other, part)| *other == cause && known(part))
    };
    match detail.filter(|detail| !detail.trim().is_empty() && !repeats(detail)) {
        None => String::new(),
        Some(detail) => format!(" ({})", tidy(detail, BESIDE)),
    }
}

/// The part of a distinguished name that a person knows it by: `CN=…` where it begins so, else the whole.
pub(super) fn common_name(name: &str) -> String {
    let first = name.split(", ").next().filter(|part| part.starts_with("CN="));
    tidy(first.unwrap_or(name), 60)
}

/// The first item, and how many more there are.
pub(super) fn first_of<T: Display>(items: &[T]) -> String {
    match items {
        [] => "nothing".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// What a name server did that gave no addresses: `says dns-nxdomain`, `does not answer (dns-timeout)`.
pub(super) fn without_addresses(cause: Cause) -> String {
    let silent = matches!(cause, Cause::DnsTimeout | Cause::DnsUnreachable);
    if silent { format!("does not answer ({cause})") } else { format!("says {cause}") }
}

/// e.g. `4.0 s`, `12 ms`.
pub(super) fn seconds(elapsed: Millis) -> String {
    let ms = elapsed.as_f64();
    if ms < 1000.0 { format!("{ms:.0} ms") } else { format!("{:.1} s", ms / 1000.0) }
}

/// A number of bytes as people read it: `1,400`.
pub(super) fn bytes(count: impl Into<u64>) -> String {
    let mut count: u64 = count.into();
    let mut groups = Vec::new();
    while count >= 1000 {
        groups.push(format!(",{:03}", count % 1000));
        count /= 1000;
    }
    groups.push(count.to_string());
    groups.reverse();
    groups.concat()
}

/// Which `ClientHello` does not pass and which does. Of several handshakes (their sizes differ by the name in them) the
/// smallest that does not and the largest that does.
pub(super) fn hellos<'a>(records: impl IntoIterator<Item = &'a TlsRecord>) -> String {
    let (mut large, mut small, mut exchange) = (None::<u64>, None::<u64>, None);
    for record in records {
        large = [large, record.hello_bytes].into_iter().flatten().min();
        small = small.max(record.small_hello_bytes);
        exchange = exchange.or(record.key_exchange.as_deref());
    }
    let large = large
        .map_or_else(|| "a large ClientHello".to_owned(), |size| format!("a ClientHello of {} bytes", bytes(size)));
    let small = small.map_or_else(|| "a small one".to_owned(), |size| format!("one of {} bytes", bytes(size)));
    let exchange = exchange.map_or_else(String::new, |exchange| format!(" ({})", tidy(exchange, 20)));
    format!("{large} ({LARGE_EXCHANGE}) does not pass, {small}{exchange} does")
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

/// ` (this host's subnet, eu-west-1a)`, ` (another subnet)`, or nothing where that is not known.
pub(super) fn subnet(subnet: Option<Subnet>, zone: Option<&str>) -> String {
    match (subnet, zone) {
        (Some(Subnet::Own), Some(zone)) => format!(" (this host's subnet, {})", tidy(zone, 20)),
        (Some(Subnet::Own), None) => " (this host's subnet)".to_owned(),
        (Some(Subnet::Other), _) => " (another subnet)".to_owned(),
        (None, _) => String::new(),
    }
}

/// The key exchange that makes a `ClientHello` large (draft-ietf-tls-ecdhe-mlkem).
const LARGE_EXCHANGE: &str = "X25519MLKEM768";
const SENTENCE: usize = 160;
/// A detail in the place of a sentence, beside a name and two addresses.
const ALONE: usize = 115;
/// A detail in brackets after a sentence.
const BESIDE: usize = 90;
const SHOWN: usize = 3;

/// How the waits end; the time follows.
const TIMED: &[(Cause, &str)] = &[
    (Cause::TcpTimeout, "no answer to TCP SYN"),
    (Cause::TlsTimeout, "TCP opens, then no TLS answer"),
    (Cause::HttpTimeout, "TLS is fine, then no HTTP answer"),
    (Cause::DnsTimeout, "no DNS answer"),
];

/// How the other failures of a stage look. A cause that no stage ends with shows its name.
const PLAIN: &[(Cause, &str)] = &[
    (Cause::TcpRefused, "connection refused"),
    (Cause::TcpUnreachable, "unreachable"),
    (Cause::TcpReset, "connection reset while it opened"),
    (Cause::TcpDenied, "this host forbids the connection"),
    (Cause::TlsClosed, "closed the connection during the TLS handshake"),
    (Cause::TlsReset, "reset the connection during the TLS handshake"),
    (Cause::TlsNotTls, "the peer does not speak TLS"),
    (Cause::TlsProtocol, "the TLS handshake breaks"),
    (Cause::TlsUntrusted, "the certificate's chain is not trusted"),
    (Cause::TlsWrongName, "the certificate is for another name"),
    (Cause::TlsExpired, "the certificate has expired"),
    (Cause::TlsNotYetValid, "the certificate is not valid yet"),
    (Cause::HttpClosed, "closed the connection before a whole HTTP answer"),
    (Cause::DnsNxdomain, "the name does not exist"),
    (Cause::DnsNoData, "the name has no address"),
    (Cause::DnsServfail, "SERVFAIL"),
    (Cause::DnsRefused, "REFUSED"),
    (Cause::DnsUnreachable, "no name server can be reached"),
    (Cause::DnsMalformed, "the answer is no DNS message"),
];

/// Causes whose detail is the whole sentence already.
const SPEAKS_FOR_ITSELF: &[Cause] =
    &[Cause::TlsNotTls, Cause::TlsUntrusted, Cause::TlsWrongName, Cause::TlsExpired, Cause::TlsNotYetValid];

/// How details begin that only repeat the words for the cause: they are left to the transcript.
const SAID: &[(Cause, &str)] = &[
    (Cause::TcpTimeout, ""),
    (Cause::TcpRefused, ""),
    (Cause::TcpReset, ""),
    (Cause::TlsTimeout, "not one byte came"),
    (Cause::TlsClosed, ""),
    (Cause::TlsReset, ""),
    (Cause::HttpTimeout, "no complete answer"),
    (Cause::DnsTimeout, "no answer"),
];

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn thousands_are_kept_apart() {
        for (count, shown) in [
            (0_u64, "0"),
            (576, "576"),
            (1_400, "1,400"),
            (8_005, "8,005"),
            (65_535, "65,535"),
            (1_000_000, "1,000,000"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }
}
