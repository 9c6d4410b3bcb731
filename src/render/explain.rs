//! `vpce-probe explain`: what a cause means, how it shows, how to confirm it, how to mend it, and who can.

use super::{
    Style,
    page::{Page, Paint},
};
use crate::model::cause::{Cause, Scope, Stage};

/// One cause in full.
#[must_use]
pub fn cause(cause: Cause, style: &Style) -> String {
    let told = cause.text();
    let mut page = Page::new(style);
    page.cells(&[
        Paint::from(cause.severity()).span(cause.as_str()),
        Paint::Faint.span(format!("{}, {}", cause.severity(), about(cause.scope()))),
    ]);
    for (title, words) in [("What it means", told.meaning), ("How it shows", told.symptom)] {
        page.gap();
        page.line(&[Paint::Strong.span(title)]);
        page.flow(&Paint::Plain.span("  "), 2, &Paint::Plain.span(words));
    }
    page.gap();
    page.cells(&[
        Paint::Strong.span("How to confirm it"),
        Paint::Faint.span("(words in capitals are yours to fill in)"),
    ]);
    for command in told.confirm {
        page.step("  ", command);
    }
    page.gap();
    page.line(&[Paint::Strong.span("How to mend it")]);
    for (at, step) in told.mend.iter().enumerate() {
        page.step(&format!("  {}. ", at + 1), step);
    }
    page.gap();
    page.line(&[Paint::Strong.span("Who can mend it")]);
    page.flow(&Paint::Plain.span("  "), 2, &Paint::Plain.span(told.owner.to_string()));
    page.gap();
    page.line(&[Paint::Faint.span(format!("Document: {DOCUMENTS}/{}", cause.place()))]);
    page.finish()
}

/// All causes by what they are about, each with its severity and a line of meaning.
#[must_use]
pub fn index(style: &Style) -> String {
    let mut page = Page::new(style);
    let name = Cause::ALL.iter().map(|cause| cause.as_str().len()).max().unwrap_or(0);
    for (title, causes) in groups() {
        page.gap();
        page.line(&[Paint::Strong.span(title)]);
        for cause in causes {
            let severity = cause.severity();
            let lead = format!("  {severity:7}  {cause:name$}  ");
            let hang = lead.len();
            page.flow(&Paint::from(severity).span(lead), hang, &Paint::Plain.span(in_short(cause)));
        }
    }
    page.gap();
    page.line(&[Paint::Faint.span("More: vpce-probe explain CAUSE")]);
    page.finish()
}

/// All causes by what they are about, each group with its title, in the order in which a round works.
pub fn groups() -> impl Iterator<Item = (&'static str, Vec<Cause>)> {
    SCOPES
        .into_iter()
        .map(|scope| (title(scope), Cause::ALL.iter().copied().filter(|cause| cause.scope() == scope).collect()))
}

/// What a cause means, in one sentence.
#[must_use]
pub fn in_short(cause: Cause) -> &'static str {
    let words = cause.text().meaning;
    words.split_inclusive(". ").next().unwrap_or(words).trim_end()
}

/// Where the packages put the documents.
pub const DOCUMENTS: &str = "/usr/share/doc/vpce-probe";

fn about(scope: Scope) -> String {
    match scope {
        Scope::Stage(stage) => format!("shows at {stage}"),
        Scope::Target => "about one target as a whole".to_owned(),
        Scope::Across => "about several targets at once".to_owned(),
        Scope::Host => "about this host, never part of the verdict".to_owned(),
        Scope::Shipping => "about the delivery of metrics, never part of the verdict".to_owned(),
    }
}

const fn title(scope: Scope) -> &'static str {
    match scope {
        Scope::Stage(Stage::Resolve) => "resolve: the name",
        Scope::Stage(Stage::Classify) => "classify: where the addresses lie",
        Scope::Stage(Stage::Connect) => "connect: TCP",
        Scope::Stage(Stage::Tls) => "tls: the handshake and the certificate",
        Scope::Stage(Stage::Mtu) => "mtu: the size of packets",
        Scope::Stage(Stage::Http) => "http: the answer",
        Scope::Target => "a target as a whole",
        Scope::Across => "several targets at once",
        Scope::Host => "this host (never part of the verdict)",
        Scope::Shipping => "the delivery of metrics (never part of the verdict)",
    }
}

/// In the order in which a round works.
const SCOPES: [Scope; 10] = [
    Scope::Stage(Stage::Resolve),
    Scope::Stage(Stage::Classify),
    Scope::Stage(Stage::Connect),
    Scope::Stage(Stage::Tls),
    Scope::Stage(Stage::Mtu),
    Scope::Stage(Stage::Http),
    Scope::Target,
    Scope::Across,
    Scope::Host,
    Scope::Shipping,
];

#[cfg(test)]
mod tests {
    use super::SCOPES;
    use crate::{model::cause::Cause, render::text};

    #[test]
    fn the_commands_that_confirm_are_known_as_commands() {
        for cause in Cause::ALL {
            for command in cause.text().confirm {
                assert!(text::step(command).command.is_some(), "{cause}: add its program to text::PROGRAMS: {command}");
            }
        }
    }

    #[test]
    fn every_cause_has_its_place_in_the_index() {
        for cause in Cause::ALL {
            assert!(SCOPES.contains(&cause.scope()), "{cause}");
        }
    }
}
