//! Every way in which a delivery can fail: its cause, one sentence, and what is to be done next.

use std::{net::IpAddr, time::Duration};

use super::{
    Way,
    connector::{Answer, Broken, Seen},
    pace::Setback,
};
use crate::model::{
    cause::Cause,
    verdict::{Problem, Severity},
};

/// Why a request did not do what it should.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trouble {
    /// The reason.
    pub(super) cause: Cause,
    /// The address that it is about.
    pub(super) address: Option<IpAddr>,
    /// One sentence.
    pub(super) summary: String,
    /// What is to be done next.
    pub(super) remedy: Remedy,
    /// Whether the data may have arrived all the same.
    pub(super) arrival: Arrival,
}

/// What is to be done after a failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Remedy {
    /// The same again, later.
    Later,
    /// The same again, and not before so long.
    Throttled(Option<Duration>),
    /// New credentials at once, and once more.
    Renew,
    /// The clock is off by so many seconds: once more with the right time.
    SetClock(f64),
    /// Some datum of it is not taken: halves.
    Halve,
}

/// Whether data of a failed request may have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// They did not, and nobody at CloudWatch had any work with them.
    No,
    /// They did not: an answer says so.
    Refused,
    /// All was sent, and no answer tells.
    InDoubt,
}

/// What CloudWatch said of a failure: the error's code and its message.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Said {
    /// The code, e.g. `AccessDenied`.
    pub(super) code: String,
    /// The message.
    pub(super) message: String,
}

impl Trouble {
    /// A failure after which the same is tried again later.
    pub(super) fn new(cause: Cause, summary: String) -> Self {
        Self { cause, address: None, summary, remedy: Remedy::Later, arrival: Arrival::No }
    }

    /// What the failure says of when to come back.
    pub(super) const fn setback(&self) -> Setback {
        match (self.remedy, self.arrival) {
            (Remedy::Throttled(retry_after), _) => Setback::Throttled { retry_after },
            (Remedy::Later | Remedy::Renew | Remedy::SetClock(_) | Remedy::Halve, Arrival::No) => Setback::Failed,
            (
                Remedy::Later | Remedy::Renew | Remedy::SetClock(_) | Remedy::Halve,
                Arrival::Refused | Arrival::InDoubt,
            ) => Setback::Erring,
        }
    }

    /// The failure as the report shows it.
    pub(super) fn problem(&self) -> Problem {
        Problem {
            cause: self.cause,
            severity: Severity::Note,
            stage: None,
            address: self.address,
            summary: self.summary.clone(),
        }
    }
}

/// What is known apart from the exchange.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// What the probe knows of addresses.
    pub(super) ways: &'a [Way],
    /// What was taken off this host's clock for the signature, in seconds.
    pub(super) correction_s: f64,
}

/// Why the exchange that `seen` shows failed. `said` is the error that came with an answer.
pub(super) fn read(seen: &Seen, said: &Said, known: Known<'_>) -> Trouble {
    let trouble = match (&seen.broken, &seen.answer) {
        (Some(broken), _) => below_http(broken, seen, known.ways),
        (None, Some(answer)) if answer.speaks_cbor => refused(answer, said, seen, known.correction_s),
        (None, Some(answer)) => foreign(answer, seen),
        (None, None) => {
            Trouble::new(Cause::PublishFailing, format!("the request could not be made: {}", words(&said.message)))
        }
    };
    let address = trouble.address.or_else(|| seen.peer.map(|peer| peer.ip()));
    Trouble { address, ..trouble }
}

/// Who answered, or should have.
fn peer(seen: &Seen) -> String {
    match seen.peer {
        Some(peer) if seen.host == peer.ip().to_string() => peer.to_string(),
        Some(peer) => format!("{} at {peer}", seen.host),
        None => seen.host.clone(),
    }
}

fn below_http(broken: &Broken, seen: &Seen, ways: &[Way]) -> Trouble {
    let arrival = if seen.sent { Arrival::InDoubt } else { Arrival::No };
    let peer = peer(seen);
    let (cause, summary) = match broken {
        Broken::Dial(fault) if fault.cause == Cause::ResourceExhausted => {
            (Cause::PublishFailing, format!("this host is short of something: {}", fault.summary))
        }
        Broken::Dial(fault) => {
            let hole = fault.address.map_or_else(String::new, |address| hole(address, seen, ways));
            let summary = format!("CloudWatch cannot be reached ({}): {}{hole}", fault.cause, fault.summary);
            let trouble = Trouble::new(Cause::PublishUnreachable, summary);
            return Trouble { address: fault.address, ..trouble };
        }
        Broken::Silent(budget) => {
            let span = budget.as_secs_f64();
            let hole = seen.peer.map_or_else(String::new, |peer| hole(peer.ip(), seen, ways));
            let summary = match (seen.peer, seen.sent, seen.bytes.1) {
                (None, ..) => format!("no connection to {peer} within {span} s"),
                (Some(_), false, _) => format!("{peer} took not even the whole request within {span} s{hole}"),
                (Some(_), true, 0) => format!("{peer} took the request and gave no answer within {span} s{hole}"),
                (Some(_), true, _) => format!("{peer} began to answer and did not end within {span} s{hole}"),
            };
            (Cause::PublishUnreachable, summary)
        }
        Broken::Closed => {
            let when = if seen.sent { "before it answered the request" } else { "before it took the request" };
            (Cause::PublishUnreachable, format!("{peer} closed the connection {when}"))
        }
        Broken::Cut(how) => (Cause::PublishUnreachable, format!("the connection to {peer} broke: {}", words(how))),
        Broken::Garbled(how) => {
            (Cause::PublishUnreachable, format!("what answers at {peer} is not CloudWatch: {}", words(how)))
        }
        Broken::Ours(how) => (Cause::PublishFailing, format!("the request could not be made: {}", words(how))),
    };
    Trouble { arrival, ..Trouble::new(cause, summary) }
}

/// What the probe knows of packets that vanish on the way.
fn hole(address: IpAddr, seen: &Seen, ways: &[Way]) -> String {
    let known =
        ways.iter().find(|way| way.address == address).or_else(|| ways.iter().find(|way| way.host == seen.host));
    let packet = known.and_then(|way| way.packet);
    match (packet, seen.segments) {
        (Some(packet), Some(segments)) => format!(
            "; packets of more than {packet} bytes vanish on this way, and segments of {segments} bytes do not help"
        ),
        (Some(packet), None) => format!("; packets of more than {packet} bytes vanish on this way"),
        (None, _) if ways.iter().any(|way| way.packet.is_some()) => {
            "; large packets vanish on the way to other endpoints (mtu-blackhole), perhaps on this way, too".to_owned()
        }
        (None, _) => String::new(),
    }
}

/// Something answers in CloudWatch's place: a captive portal, a proxy, a load balancer.
fn foreign(answer: &Answer, seen: &Seen) -> Trouble {
    let kind = answer.content_type.as_deref().map_or_else(|| "no content type".to_owned(), words);
    let status = answer.status;
    let summary =
        format!("{} answered {status} with {kind}: that is not CloudWatch, but something in between", peer(seen));
    // A gateway that got no answer itself may have passed the request on; any other 5xx may be of AWS's own front.
    let arrival = match status {
        502 | 504 => Arrival::InDoubt,
        500.. => Arrival::Refused,
        _ => Arrival::No,
    };
    Trouble { arrival, ..Trouble::new(Cause::PublishUnreachable, summary) }
}

/// CloudWatch answered with an error.
fn refused(answer: &Answer, said: &Said, seen: &Seen, correction_s: f64) -> Trouble {
    let code = match (said.code.as_str(), &answer.query_error) {
        ("", Some(code)) => code.clone(),
        (code, _) => code.to_owned(),
    };
    // `com.amazonaws.…#AccessDenied` and `AccessDeniedException` are spellings of one thing.
    let short = code.rsplit('#').next().unwrap_or_default().trim_end_matches("Exception");
    let (status, message) = (answer.status, words(&said.message));
    let shown = if short.is_empty() { format!("status {status}") } else { format!("{status} {}", words(short)) };
    let new = |cause: Cause, summary: String| Trouble { arrival: Arrival::Refused, ..Trouble::new(cause, summary) };
    if THROTTLED.contains(&short) || status == 429 || said.message.starts_with("Rate exceeded") {
        let summary = format!("CloudWatch throttles ({shown}): too many requests in this account and region");
        return Trouble { remedy: Remedy::Throttled(answer.retry_after), ..new(Cause::PublishThrottled, summary) };
    }
    if EXPIRED.contains(&short) {
        let summary = format!("CloudWatch says that the credentials have expired ({shown})");
        return Trouble { remedy: Remedy::Renew, ..new(Cause::CredentialsExpired, summary) };
    }
    // The message may hold the session token: it is not repeated.
    if let Some(trouble) = clock(short, &shown, answer, said, correction_s) {
        return trouble;
    }
    if UNKNOWN_KEYS.contains(&short) {
        let summary = format!("CloudWatch does not know these credentials ({shown}): deleted, or of another partition");
        return Trouble { remedy: Remedy::Renew, ..new(Cause::PublishDenied, summary) };
    }
    if DENIED.contains(&short) || (short.is_empty() && matches!(status, 401 | 403)) {
        return new(Cause::PublishDenied, denied(&shown, &message));
    }
    if status == 413 || TOO_LARGE.contains(&short) {
        let summary = format!("the request is too large for CloudWatch ({shown})");
        return Trouble { remedy: Remedy::Halve, ..new(Cause::PublishFailing, summary) };
    }
    if POISON.contains(&short) {
        let summary = format!("CloudWatch does not take the data ({shown}): {message}");
        // A namespace that is not taken is no fault of any datum: halves would be refused, too.
        let namespace = said.message.contains("Namespace") && !said.message.contains("MetricData");
        let remedy = if namespace { Remedy::Later } else { Remedy::Halve };
        return Trouble { remedy, ..new(Cause::PublishFailing, summary) };
    }
    if status >= 500 {
        let summary = format!("CloudWatch fails itself ({shown}) at {}", peer(seen));
        let arrival = if status == 504 { Arrival::InDoubt } else { Arrival::Refused };
        return Trouble { arrival, ..new(Cause::PublishFailing, summary) };
    }
    new(Cause::PublishFailing, format!("CloudWatch answered {shown}: {message}"))
}

/// A signature that is refused for its time.
fn clock(short: &str, shown: &str, answer: &Answer, said: &Said, correction_s: f64) -> Option<Trouble> {
    let late = said.message.contains("Signature expired") || said.message.contains("Signature not yet current");
    if !(SKEWED.contains(&short) || (SIGNATURE.contains(&short) && late)) {
        return None;
    }
    let off = answer.clock_error_s.filter(|error| (error - correction_s).abs() >= SKEW_S);
    let (summary, remedy) = match off {
        Some(error) => {
            let word = if error > 0.0 { "ahead of" } else { "behind" };
            let by = error.abs();
            let summary =
                format!("this host's clock is {by:.0} s {word} CloudWatch's, so its signature is refused ({shown})");
            (summary, Remedy::SetClock(error))
        }
        None => {
            (format!("CloudWatch refuses the signature's time ({shown}), and its answer has no other"), Remedy::Later)
        }
    };
    Some(Trouble { remedy, arrival: Arrival::Refused, ..Trouble::new(Cause::PublishFailing, summary) })
}

/// Whose policy it is, by the words of AWS (IAM User Guide, "Access denied error messages").
fn denied(shown: &str, message: &str) -> String {
    let who = if message.contains("VPC endpoint policy") {
        "the VPC endpoint's policy of monitoring does not allow cloudwatch:PutMetricData"
    } else if message.contains("service control policy") {
        "a service control policy of the organization forbids cloudwatch:PutMetricData"
    } else if message.contains("resource control policy") {
        "a resource control policy of the organization forbids cloudwatch:PutMetricData"
    } else if message.contains("permissions boundary") {
        "the role's permissions boundary does not allow cloudwatch:PutMetricData"
    } else if message.contains("session policy") {
        "the session's policy does not allow cloudwatch:PutMetricData"
    } else if message.contains("no identity-based policy allows") {
        "no policy of the role allows cloudwatch:PutMetricData"
    } else if message.contains("identity-based policy") {
        "a policy of the role forbids cloudwatch:PutMetricData"
    } else {
        "CloudWatch does not allow cloudwatch:PutMetricData, and does not say whose policy that is"
    };
    if message.is_empty() { format!("{who} ({shown})") } else { format!("{who} ({shown}: {message})") }
}

/// Text of a peer for a person: bounded, one line, nothing that a terminal would obey.
fn words(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() || *c == ' ' || c.is_alphanumeric()).take(MOST_WORDS).collect()
}

const MOST_WORDS: usize = 400;
/// A signature's time that is nearer than this cannot be why a signature is refused: AWS takes five minutes.
const SKEW_S: f64 = 60.0;
/// Codes without `Exception` (CloudWatch API Reference, "Common Errors"; SDKs' standard retry mode).
const THROTTLED: &[&str] = &[
    "Throttling",
    "Throttled",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequests",
    "SlowDown",
    "LimitExceeded",
];
const EXPIRED: &[&str] = &["ExpiredToken", "TokenRefreshRequired", "RequestExpired"];
const SKEWED: &[&str] = &["RequestTimeTooSkewed", "RequestInTheFuture"];
const SIGNATURE: &[&str] = &["SignatureDoesNotMatch", "InvalidSignature", "AuthFailure"];
const UNKNOWN_KEYS: &[&str] =
    &["UnrecognizedClient", "InvalidClientTokenId", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidSignature"];
const DENIED: &[&str] = &[
    "AccessDenied",
    "UnauthorizedOperation",
    "NotAuthorized",
    "AuthFailure",
    "OptInRequired",
    "SubscriptionRequired",
    "MissingAuthenticationToken",
    "IncompleteSignature",
];
const TOO_LARGE: &[&str] = &["RequestEntityTooLarge", "RequestTooLarge", "EntityTooLarge"];
const POISON: &[&str] = &[
    "InvalidParameterValue",
    "InvalidParameterCombination",
    "MissingParameter",
    "MissingRequiredParameter",
    "ValidationError",
    "Validation",
    "Serialization",
    "InvalidFormat",
];

#[cfg(test)]
mod tests {
    use super::{Answer, Arrival, Cause, Known, Remedy, Said, Seen, Setback, Trouble, Way, read};
    use crate::deliver::connector::Broken;

    fn answered(status: u16, code: &str, message: &str, clock_error_s: Option<f64>, correction_s: f64) -> Trouble {
        let answer = Answer { status, speaks_cbor: true, clock_error_s, ..Answer::default() };
        let seen = Seen { host: "a.example".to_owned(), sent: true, answer: Some(answer), ..Seen::default() };
        let said = Said { code: code.to_owned(), message: message.to_owned() };
        read(&seen, &said, Known { ways: &[], correction_s })
    }

    #[test]
    fn each_answer_has_its_remedy() {
        let check = |status, code, message, cause: Cause, remedy: Remedy| {
            let trouble = answered(status, code, message, None, 0.0);
            assert_eq!((trouble.cause, trouble.remedy, trouble.arrival), (cause, remedy, Arrival::Refused), "{code}");
        };
        check(400, "ThrottlingException", "", Cause::PublishThrottled, Remedy::Throttled(None));
        check(400, "Sender", "Rate exceeded", Cause::PublishThrottled, Remedy::Throttled(None));
        check(403, "com.amazonaws#ExpiredTokenException", "", Cause::CredentialsExpired, Remedy::Renew);
        check(400, "UnrecognizedClientException", "", Cause::PublishDenied, Remedy::Renew);
        check(403, "", "", Cause::PublishDenied, Remedy::Later);
        check(413, "", "", Cause::PublishFailing, Remedy::Halve);
        check(400, "InvalidParameterCombinationException", "", Cause::PublishFailing, Remedy::Halve);
        check(400, "ValidationError", "MetricData.member.3 of Namespace", Cause::PublishFailing, Remedy::Halve);
        check(
            400,
            "InvalidParameterValue",
            "The value AWS/x for parameter Namespace",
            Cause::PublishFailing,
            Remedy::Later,
        );
        check(500, "InternalFailure", "", Cause::PublishFailing, Remedy::Later);
        check(418, "Unheard", "of", Cause::PublishFailing, Remedy::Later);
    }

    #[test]
    fn who_comes_back_when() {
        let retry_after = Some(std::time::Duration::from_secs(7));
        let check = |remedy, arrival, setback| {
            let trouble = Trouble { remedy, arrival, ..Trouble::new(Cause::PublishFailing, String::new()) };
            assert_eq!(trouble.setback(), setback, "{remedy:?} {arrival:?}");
        };
        check(Remedy::Later, Arrival::No, Setback::Failed);
        check(Remedy::Later, Arrival::Refused, Setback::Erring);
        check(Remedy::Later, Arrival::InDoubt, Setback::Erring);
        check(Remedy::Throttled(retry_after), Arrival::Refused, Setback::Throttled { retry_after });
        assert_eq!(answered(503, "ServiceUnavailable", "", None, 0.0).setback(), Setback::Erring);
        assert_eq!(answered(504, "", "", None, 0.0).arrival, Arrival::InDoubt);
        // A portal is in between, a front end of AWS's may be what says 503.
        for (status, setback) in [(200, Setback::Failed), (403, Setback::Failed), (503, Setback::Erring)] {
            let answer = Some(Answer { status, ..Answer::default() });
            let seen = Seen { host: "a.example".to_owned(), sent: true, answer, ..Seen::default() };
            let trouble = read(&seen, &Said::default(), Known { ways: &[], correction_s: 0.0 });
            assert_eq!(trouble.setback(), setback, "{status}");
        }
    }

    #[test]
    fn a_clock_is_set_only_where_that_changes_something() {
        let skew = |error, correction| answered(403, "RequestTimeTooSkewed", "", error, correction).remedy;
        assert_eq!(skew(Some(600.0), 0.0), Remedy::SetClock(600.0));
        assert_eq!(skew(Some(0.2), 86_400.0), Remedy::SetClock(0.2));
        assert_eq!(skew(Some(600.0), 598.0), Remedy::Later);
        assert_eq!(skew(None, 0.0), Remedy::Later);
        let signature = answered(403, "SignatureDoesNotMatch", "X-Amz-Security-Token:t0ken", Some(0.1), 0.0);
        assert_eq!((signature.cause, signature.remedy), (Cause::PublishDenied, Remedy::Renew));
        assert!(!signature.summary.contains("t0ken"), "{}", signature.summary);
    }

    #[test]
    fn a_silence_says_what_was_sent_and_what_the_probe_knows() {
        let peer: std::net::SocketAddr = "10.0.0.1:443".parse().expect("an address");
        let way = |address: &str, packet| Way {
            host: "b.example".to_owned(),
            address: address.parse().expect("an address"),
            works: true,
            packet,
            small_hello: false,
        };
        let check = |sent: bool, ways: &[Way], arrival: Arrival, words: &[&str]| {
            let broken = Some(Broken::Silent(std::time::Duration::from_secs(20)));
            let seen = Seen { host: "a.example".to_owned(), peer: Some(peer), sent, broken, ..Seen::default() };
            let trouble = read(&seen, &Said::default(), Known { ways, correction_s: 0.0 });
            assert_eq!((trouble.cause, trouble.arrival), (Cause::PublishUnreachable, arrival));
            assert_eq!(trouble.address, Some(peer.ip()));
            for word in words {
                assert!(trouble.summary.contains(word), "{}", trouble.summary);
            }
        };
        check(true, &[], Arrival::InDoubt, &["a.example at 10.0.0.1:443", "gave no answer within 20 s"]);
        check(false, &[], Arrival::No, &["not even the whole request"]);
        check(true, &[way("10.0.0.1", Some(1_400))], Arrival::InDoubt, &["more than 1400 bytes vanish on this way"]);
        check(true, &[way("10.0.0.9", Some(1_400))], Arrival::InDoubt, &["other endpoints (mtu-blackhole)"]);
    }
}
