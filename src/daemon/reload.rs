//! New settings for a running daemon: checked whole, and refused whole.

use super::{Read, Refusal, Settings, rounds::Rounds};
use crate::{
    config::{self, Severity},
    host,
    model::event::{Entry, Event, Field},
    plan::{self, Choice, PlanError},
    sink::journal::say,
};

/// Reads the settings anew and takes them on; the sentence for `systemctl status`.
pub(super) fn reload(rounds: &mut Rounds, read: Read<'_>) -> String {
    let taken = read().and_then(|settings| {
        carried_out(&settings).map_err(Refusal::Impossible)?;
        rounds.take_on(settings).map_err(|error| Refusal::Impossible(error.to_string()))
    });
    match taken {
        Ok(()) => {
            let every = config::duration::show(rounds.interval());
            let words = format!("the config was read again and is in force: a round every {every}");
            say(&Entry::new(Event::Reloaded, words));
            "reloaded; a round is due".to_owned()
        }
        Err(refusal) => refuse(&refusal),
    }
}

/// Every mistake is a record of its own; the status has the first.
fn refuse(refusal: &Refusal) -> String {
    let mistakes = refusal.mistakes();
    for mistake in &mistakes {
        let words = format!("the new config is refused, the old one stays in force: {mistake}");
        say(&Entry::new(Event::ReloadRefused, words).with(Field::Error, mistake));
    }
    let first = mistakes.first().and_then(|mistake| mistake.lines().next()).unwrap_or_default();
    let count = match mistakes.len() {
        1 => "1 mistake".to_owned(),
        many => format!("{many} mistakes"),
    };
    format!("reload refused ({count}), the old config stays: {first}")
}

impl Refusal {
    /// What is wrong, each mistake with its position and what to write instead.
    #[must_use]
    pub fn mistakes(&self) -> Vec<String> {
        match self {
            Refusal::Unreadable(said) | Refusal::Impossible(said) => vec![said.clone()],
            Refusal::Mistakes(diagnostics) => diagnostics
                .iter()
                .filter(|diagnostic| diagnostic.severity == Severity::Error)
                .map(|diagnostic| {
                    let shown = config::render(std::slice::from_ref(diagnostic));
                    // Without the count at its end: each is a record of its own.
                    shown.split("\n\n").next().unwrap_or_default().trim_end().to_owned()
                })
                .collect(),
        }
    }
}

/// Whether the settings lead to targets at all, as far as that can be told before the region is known.
///
/// # Errors
/// Why they do not, in a sentence.
pub(super) fn carried_out(settings: &Settings) -> Result<(), String> {
    let (region, _) = host::local_region(&settings.query);
    match plan::targets(&settings.config, &Choice::default(), region.as_deref(), None) {
        Ok(_) => Ok(()),
        // The region is what the first round asks for: any stands for it here.
        Err(PlanError::NoRegion) => plan::targets(&settings.config, &Choice::default(), Some(SOME_REGION), None)
            .map(drop)
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

const SOME_REGION: &str = "us-east-1";
