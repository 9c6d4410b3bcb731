//! What certificates and clocks show together: inspection on the path, or this host's own clock.

use super::{Conclusion, open};
use crate::{
    judge::{
        across::names::distinct,
        advice,
        scene::{Judged, Scene},
        words::common_name,
    },
    model::{
        cause::Cause,
        observation::{HttpRecord, TlsRecord},
        verdict::Severity,
    },
};

/// The handshakes in which a certificate was judged, good or bad.
fn judged_chains<'a>(judged: &Judged<'a>) -> impl Iterator<Item = &'a TlsRecord> {
    let saw = |tls: &&TlsRecord| match tls.outcome.cause() {
        None => true,
        Some(cause) => {
            matches!(cause, Cause::TlsUntrusted | Cause::TlsWrongName | Cause::TlsExpired | Cause::TlsNotYetValid)
        }
    };
    judged.view.observation.addresses.iter().filter_map(|record| record.tls.as_ref()).filter(saw)
}

/// Rule: every certificate is expired or not valid yet, or every answer's Date is off by more than five minutes and they
/// agree: it is this host's clock. One target alone may simply have a bad certificate, or a bad clock.
pub(crate) fn clock_wrong(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let time = |cause| matches!(cause, Some(Cause::TlsExpired | Cause::TlsNotYetValid));
    let with_chain = || scene.targets.iter().filter(|judged| judged_chains(judged).next().is_some());
    let all = with_chain().all(|judged| judged_chains(judged).all(|tls| time(tls.outcome.cause())));
    if all && with_chain().count() >= 2 {
        let failed = |judged: &&Judged<'_>| judged_chains(judged).next().is_some();
        let targets: Vec<_> = open(scene, drawn).into_iter().filter(failed).collect();
        let early = with_chain().any(|j| judged_chains(j).any(|t| t.outcome.cause() == Some(Cause::TlsNotYetValid)));
        let what =
            if early { "not valid yet: this host's clock is behind" } else { "expired: this host's clock is ahead" };
        let summary = format!("every certificate seems {what} (it says {})", scene.now);
        return (!targets.is_empty())
            .then(|| {
                Conclusion::new(Cause::ClockWrong, Severity::Failure, &targets, &summary, advice::across::clock(scene))
            })
            .into_iter()
            .collect();
    }
    match agreed_skew(scene) {
        Some((skew, targets)) if skew.abs() > SIGV4_LIMIT_S && targets.len() >= 2 => {
            let summary = format!(
                "this host's clock is {} AWS's: SigV4 tolerates 5 min, so every signed request is refused",
                skew_words(skew)
            );
            // No probe fails by it, so whatever failed has another reason.
            vec![
                Conclusion::new(Cause::ClockWrong, Severity::Failure, &targets, &summary, advice::across::clock(scene))
                    .of_itself(),
            ]
        }
        Some(_) | None => Vec::new(),
    }
}

/// Rule: every Date is off by more than two minutes.
pub(crate) fn clock_skew(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let said = drawn.iter().any(|conclusion| conclusion.finding.cause == Cause::ClockWrong);
    match agreed_skew(scene) {
        Some((skew, targets)) if skew.abs() > SKEW_WARNING_S && !said => {
            let summary = format!(
                "this host's clock is {} AWS's; from 5 min on, SigV4 refuses every signed request",
                skew_words(skew)
            );
            vec![Conclusion::new(Cause::ClockSkew, Severity::Warning, &targets, &summary, advice::across::clock(scene))]
        }
        Some(_) | None => Vec::new(),
    }
}

/// The median skew and the targets that show it, where most answers agree with it within a minute and none says that
/// this host is right. A server with a wrong clock of its own is thus neither taken for this host's nor able to hide
/// it; a single answer counts only with AWS's marks on it.
fn agreed_skew<'s, 'a>(scene: &'s Scene<'a>) -> Option<(f64, Vec<&'s Judged<'a>>)> {
    let mut skews: Vec<f64> =
        scene.targets.iter().flat_map(answers).filter_map(|http| http.clock_skew_s).filter(|s| s.is_finite()).collect();
    skews.sort_by(f64::total_cmp);
    let median = *skews.get(skews.len() / 2)?;
    let agrees = |skew: f64| (skew - median).abs() <= AGREEMENT_S;
    let most = skews.iter().filter(|skew| agrees(**skew)).count() * 2 > skews.len();
    let acquitted = skews.iter().any(|skew| skew.abs() <= SKEW_WARNING_S) && median.abs() > SKEW_WARNING_S;
    let agreeing = |judged: &&Judged<'_>| answers(judged).filter_map(|http| http.clock_skew_s).any(agrees);
    let targets: Vec<_> = scene.targets.iter().filter(agreeing).collect();
    let marked = scene.targets.iter().flat_map(answers).any(|http| http.aws == Some(true));
    (most && !acquitted && (targets.len() >= 2 || marked)).then_some((median, targets))
}

/// What a target's addresses said over HTTP.
fn answers<'a>(judged: &Judged<'a>) -> impl Iterator<Item = &'a HttpRecord> {
    judged.view.observation.addresses.iter().filter_map(|record| record.http.as_ref())
}

fn skew_words(skew: f64) -> String {
    let total = skew.abs().round();
    let (minutes, seconds) = ((total / 60.0).floor(), total % 60.0);
    let side = if skew > 0.0 { "ahead of" } else { "behind" };
    format!("{minutes:.0} min {seconds:.0} s {side}")
}

/// Rule: every certificate is untrusted, and one foreign authority signed them all.
pub(crate) fn tls_inspection(scene: &Scene<'_>, drawn: &[Conclusion]) -> Vec<Conclusion> {
    let untrusted = |judged: &&Judged<'_>| judged_chains(judged).any(is_untrusted);
    let all = scene.targets.iter().all(|judged| judged_chains(judged).all(is_untrusted));
    let targets: Vec<_> = open(scene, drawn).into_iter().filter(untrusted).collect();
    if !all || targets.len() < 2 {
        return Vec::new();
    }
    let chains = || scene.targets.iter().flat_map(judged_chains);
    let issuers = distinct(chains().map(|tls| tls.issuer.as_deref()));
    let roots = distinct(chains().map(|tls| tls.chain_root.as_deref()));
    let Some(issuer) = single(&issuers).or_else(|| single(&roots)) else { return Vec::new() };
    if scene.plan.tls.expected_issuers.iter().any(|expected| issuer.contains(expected.as_str())) {
        // AWS's own authority, untrusted: the trust store is broken, nobody inspects.
        return Vec::new();
    }
    let issuer = common_name(issuer);
    let summary = format!("every certificate comes from {issuer}, which this host does not trust");
    let advice = advice::across::tls_inspection(&targets, &issuer);
    vec![Conclusion::new(Cause::TlsInspection, Severity::Failure, &targets, &summary, advice)]
}

fn is_untrusted(tls: &TlsRecord) -> bool {
    tls.outcome.cause() == Some(Cause::TlsUntrusted)
}

/// The one item, if there is just one and it is known.
fn single<'a>(items: &[Option<&'a str>]) -> Option<&'a str> {
    match items {
        [one] => *one,
        [] | [_, ..] => None,
    }
}

/// Signatures are refused beyond this (AWS Signature Version 4).
const SIGV4_LIMIT_S: f64 = 300.0;
const SKEW_WARNING_S: f64 = 120.0;
const AGREEMENT_S: f64 = 60.0;
