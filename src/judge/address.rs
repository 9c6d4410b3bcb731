//! Rules over one address: the first broken layer names the cause; a live address may still carry remarks.

use super::{
    Rule, Step,
    hole::Hole,
    scene::{AddressView, Seen, Sight, State},
    words,
};
use crate::model::{
    cause::{Cause, Stage},
    observation::{Canary, LargeHello, MtuOutcome, MtuRecord, Outcome, Place, Subnet, TlsRecord},
    plan::AddressRules,
    target::Expect,
    units::Millis,
    verdict::{Severity, Verdict},
};

/// Examines one address by the layers and remarks of `rules`.
pub(super) fn examine<'a>(view: AddressView<'a>, rules: &[Rule]) -> Seen<'a> {
    let broken = rules.iter().find_map(|rule| match rule.step {
        Step::Layer(layer) => layer(&view),
        Step::Remark(_) | Step::Target(_) | Step::Across(_) | Step::Host(_) => None,
    });
    let state = match broken {
        Some(sight) if sight.cause == Cause::NotFinished => State::Unfinished(sight.stage),
        Some(sight) => State::Dead(sight),
        None => State::Live,
    };
    let remarks = match state {
        State::Live => remarks(&view, rules),
        State::Dead(_) | State::Unfinished(_) | State::Unused => Vec::new(),
    };
    Seen { record: view.record, state, remarks }
}

fn remarks(view: &AddressView<'_>, rules: &[Rule]) -> Vec<Sight> {
    let remarks = rules.iter().filter_map(|rule| match rule.step {
        Step::Remark(remark) => remark(view),
        Step::Layer(_) | Step::Target(_) | Step::Across(_) | Step::Host(_) => None,
    });
    if expects_silence(view) { Vec::new() } else { remarks.collect() }
}

/// The verdict, cause and stage of an address, for its report.
pub(super) fn verdict(seen: &Seen<'_>) -> (Verdict, Option<Cause>, Option<Stage>) {
    let warning = seen.remarks.iter().find(|sight| sight.severity == Severity::Warning);
    match (&seen.state, warning) {
        (State::Dead(sight), _) => (Verdict::Failed, Some(sight.cause), Some(sight.stage)),
        (State::Unfinished(stage), _) => (Verdict::Skipped, Some(Cause::NotFinished), Some(*stage)),
        (State::Unused, _) => (Verdict::Skipped, None, None),
        (State::Live, Some(sight)) => (Verdict::Degraded, Some(sight.cause), Some(sight.stage)),
        (State::Live, None) => (Verdict::Healthy, None, None),
    }
}

/// How `place` breaks `expect`, if it does.
///
/// Where the VPC's CIDRs are not known, `own-vpc` cannot be told from private space and is judged as `private`.
pub(super) const fn violation(expect: Expect, place: Place, rules: &AddressRules) -> Option<Cause> {
    match (expect, place) {
        (Expect::OwnVpc, Place::Allowed | Place::Private) if !rules.vpc_cidrs.is_empty() => {
            Some(Cause::AddressOutsideVpc)
        }
        (Expect::Absent, _)
        | (Expect::OwnVpc | Expect::Private, Place::OwnVpc | Place::Allowed | Place::Private)
        | (Expect::Any, Place::OwnVpc | Place::Allowed | Place::Private | Place::Gateway | Place::Public)
        | (Expect::Public, Place::Gateway | Place::Public) => None,
        (Expect::OwnVpc | Expect::Private | Expect::Any | Expect::Public, Place::Bogus) => Some(Cause::AddressBogus),
        (Expect::OwnVpc | Expect::Private, Place::Gateway | Place::Public) => Some(Cause::AddressPublic),
        (Expect::Public, Place::OwnVpc | Place::Allowed | Place::Private) => Some(Cause::UnexpectedAnswer),
    }
}

/// `absent` is about answers, not about names: a name that leads nowhere is as good as none. So the later layers of
/// such a target are not asked.
fn expects_silence(view: &AddressView<'_>) -> bool {
    view.target.expect == Expect::Absent
}

/// Layer: the address lies where it should; for `absent`, it does not answer.
pub(super) fn expectation(view: &AddressView<'_>) -> Option<Sight> {
    if expects_silence(view) {
        return match view.record.connect.as_ref().map(|connect| connect.outcome) {
            None | Some(Outcome::Failed(Cause::NotFinished)) => Some(unfinished(Stage::Connect)),
            Some(Outcome::Failed(_)) => None,
            Some(Outcome::Ok) => Some(Sight::new(Cause::UnexpectedAnswer, Stage::Classify, "answers, and must not")),
        };
    }
    let cause = violation(view.target.expect, view.record.place, &view.plan.addresses)?;
    let detail = format!("is {}, {} is expected", place_words(view.record.place), view.target.expect);
    Some(Sight::new(cause, Stage::Classify, detail))
}

/// Layer: the TCP connection.
pub(super) fn connect(view: &AddressView<'_>) -> Option<Sight> {
    if expects_silence(view) {
        return None;
    }
    let Some(record) = &view.record.connect else { return Some(unfinished(Stage::Connect)) };
    // Within the own subnet no router stands between, and only an unanswered ARP or ND takes so long to say so.
    let alone = view.record.subnet == Some(Subnet::Own) && record.elapsed_ms.as_f64() > SLOW_MS;
    let detail = match record.errno.as_deref() {
        Some("EHOSTUNREACH") if alone => Some("no neighbour answers for it"),
        Some(_) | None => record.detail.as_deref(),
    };
    broken(record.outcome, Stage::Connect, record.elapsed_ms, detail)
}

/// Layer: the TLS handshake and the certificate. One that hung in a black hole is left to that.
pub(super) fn tls(view: &AddressView<'_>) -> Option<Sight> {
    if expects_silence(view) || Hole::explains_handshake(view.record) {
        return None;
    }
    let Some(record) = &view.record.tls else { return Some(unfinished(Stage::Tls)) };
    broken(record.outcome, Stage::Tls, record.elapsed_ms, record.detail.as_deref())
}

/// Layer: a large `ClientHello` passes, unless it may have vanished in a black hole.
pub(super) fn large_hello(view: &AddressView<'_>) -> Option<Sight> {
    let record = tls_record(view).filter(|record| record.large_hello == LargeHello::Blocked)?;
    if hole(view).is_some_and(|hole| hole.explains_hello(record.hello_bytes)) {
        return None;
    }
    Some(Sight::new(Cause::LargeHelloBlocked, Stage::Tls, words::hellos([record])))
}

/// Layer: packets of the link's size pass.
pub(super) fn mtu(view: &AddressView<'_>) -> Option<Sight> {
    let hole = hole(view)?;
    Some(Sight::new(hole.cause(), Stage::Mtu, hole.sentence()))
}

fn hole(view: &AddressView<'_>) -> Option<Hole> {
    mtu_record(view).and_then(Hole::of)
}

/// Layer: one complete HTTP answer.
pub(super) fn http(view: &AddressView<'_>) -> Option<Sight> {
    if expects_silence(view) || !view.plan.http {
        return None;
    }
    let Some(record) = &view.record.http else { return Some(unfinished(Stage::Http)) };
    broken(record.outcome, Stage::Http, record.elapsed_ms, record.detail.as_deref())
}

fn unfinished(stage: Stage) -> Sight {
    Sight::new(Cause::NotFinished, stage, "not finished before the round's deadline")
}

fn broken(outcome: Outcome, stage: Stage, elapsed: Millis, detail: Option<&str>) -> Option<Sight> {
    let cause = outcome.cause()?;
    Some(Sight::new(cause, stage, words::failure(cause, elapsed, detail)))
}

/// The handshake of an address that is asked for one.
fn tls_record<'a>(view: &AddressView<'a>) -> Option<&'a TlsRecord> {
    view.record.tls.as_ref().filter(|_| !expects_silence(view))
}

/// The path-MTU measurement of an address that is asked for one.
fn mtu_record<'a>(view: &AddressView<'a>) -> Option<&'a MtuRecord> {
    view.record.mtu.as_ref().filter(|_| !expects_silence(view))
}

/// Remark: the certificate ends within the warning time.
pub(super) fn certificate_expiring(view: &AddressView<'_>) -> Option<Sight> {
    let days = tls_record(view)?.days_left?;
    let limit = view.plan.tls.expiry_warning.as_secs() / SECONDS_A_DAY;
    let near = days < i64::try_from(limit).unwrap_or(i64::MAX);
    near.then(|| Sight::new(Cause::CertificateExpiring, Stage::Tls, format!("its certificate expires in {days} days")))
}

/// Remark: a trusted issuer that is not one of those expected. AWS services only: a company's own host may have any.
pub(super) fn issuer_unexpected(view: &AddressView<'_>) -> Option<Sight> {
    let issuer = tls_record(view)?.issuer.as_deref()?;
    let expected = &view.plan.tls.expected_issuers;
    if view.target.service.is_none() || expected.is_empty() || expected.iter().any(|part| issuer.contains(part)) {
        return None;
    }
    let detail = format!("its certificate is trusted and comes from {}", words::tidy(issuer, 60));
    Some(Sight::new(Cause::IssuerUnexpected, Stage::Tls, detail))
}

/// Remark: more than a second for the connection.
pub(super) fn connect_slow(view: &AddressView<'_>) -> Option<Sight> {
    let record = view.record.connect.as_ref()?;
    slow(Cause::ConnectSlow, Stage::Connect, record.elapsed_ms, "to connect")
}

/// Remark: more than a second for the handshake.
pub(super) fn tls_slow(view: &AddressView<'_>) -> Option<Sight> {
    slow(Cause::TlsSlow, Stage::Tls, tls_record(view)?.elapsed_ms, "for the TLS handshake")
}

fn slow(cause: Cause, stage: Stage, elapsed: Millis, what: &str) -> Option<Sight> {
    (elapsed.as_f64() > SLOW_MS).then(|| Sight::new(cause, stage, format!("took {} {what}", words::seconds(elapsed))))
}

/// Remark: the path works only because ICMP gets through.
pub(super) fn mtu_relies_on_icmp(view: &AddressView<'_>) -> Option<Sight> {
    let record = mtu_record(view).filter(|record| record.outcome == MtuOutcome::ReliesOnIcmp)?;
    let link = record.link_mtu.map_or_else(String::new, |link| format!(" (the link's are {})", words::bytes(link)));
    let detail = record.out_ok.map_or_else(
        || "works for large packets only while ICMP gets through".to_owned(),
        |size| format!("passes packets of {} bytes{link}, and only while ICMP gets through", words::bytes(size)),
    );
    Some(Sight::new(Cause::MtuReliesOnIcmp, Stage::Mtu, detail))
}

/// Remark: the path MTU could not be told.
pub(super) fn mtu_inconclusive(view: &AddressView<'_>) -> Option<Sight> {
    let record = mtu_record(view).filter(|record| record.outcome == MtuOutcome::Inconclusive)?;
    let aside = words::aside(Cause::MtuInconclusive, record.detail.as_deref());
    Some(Sight::new(Cause::MtuInconclusive, Stage::Mtu, format!("its path MTU could not be measured{aside}")))
}

/// Remark: S3 refuses the bucket that the SSM agent updates itself from. A warning: some fleets mean it.
pub(super) fn s3_access_denied(view: &AddressView<'_>) -> Option<Sight> {
    let record = view.record.http.as_ref()?;
    let denied = record.canary == Some(Canary::Denied);
    let detail = format!("S3 answers {} for the SSM agent's bucket", status(record.status));
    denied.then(|| Sight::new(Cause::S3AccessDenied, Stage::Http, detail))
}

/// Remark: S3 redirects to another region.
pub(super) fn s3_wrong_region(view: &AddressView<'_>) -> Option<Sight> {
    let record = view.record.http.as_ref()?;
    if record.canary != Some(Canary::WrongRegion) {
        return None;
    }
    let region = record.bucket_region.as_deref().map_or_else(|| "another region".to_owned(), |r| words::tidy(r, 30));
    let detail = format!("S3 answers {}: the bucket is in {region}", status(record.status));
    Some(Sight::new(Cause::S3WrongRegion, Stage::Http, detail))
}

/// Remark: a 5xx answer (S3's 503 included): reached, but not well.
pub(super) fn http_server_error(view: &AddressView<'_>) -> Option<Sight> {
    let status = view.record.http.as_ref()?.status.filter(|status| (500..600).contains(status))?;
    Some(Sight::new(Cause::HttpServerError, Stage::Http, format!("answers HTTP {status}")))
}

/// Remark: an AWS service's answer without AWS's marks. A verified name is proof enough, so only a note.
pub(super) fn http_not_aws(view: &AddressView<'_>) -> Option<Sight> {
    let record = view.record.http.as_ref()?;
    view.target.service.as_ref()?;
    let odd_body = record.canary == Some(Canary::NotVersion);
    if record.aws != Some(false) && !odd_body {
        return None;
    }
    let server = record.server.as_deref().map(|server| format!(" (Server: {})", words::tidy(server, 40)));
    let detail =
        format!("answers HTTP {} without any mark of AWS{}", status(record.status), server.unwrap_or_default());
    Some(Sight::new(Cause::HttpNotAws, Stage::Http, detail))
}

fn status(status: Option<u16>) -> String {
    status.map_or_else(|| "?".to_owned(), |status| status.to_string())
}

const fn place_words(place: Place) -> &'static str {
    match place {
        Place::OwnVpc => "in the own VPC",
        Place::Allowed => "in an allowed network",
        Place::Private => "private, outside the own VPC",
        Place::Gateway => "an S3 gateway's",
        Place::Public => "public",
        Place::Bogus => "nobody's endpoint",
    }
}

/// One lost SYN costs a second: what takes longer is slow, not only unlucky.
const SLOW_MS: f64 = 1000.0;
const SECONDS_A_DAY: u64 = 86_400;
