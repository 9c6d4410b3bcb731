//! Words of the command line that have a known list: completed by the shell, and near misses are named.

use std::{ffi::OsStr, str::FromStr};

use clap::{
    Arg, Command, Error,
    builder::{PossibleValue, StringValueParser, TypedValueParser},
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{catalog::service, model::cause::Cause};

/// Reads a cause's name.
#[derive(Clone, Debug)]
pub(super) struct CauseWord;

impl TypedValueParser for CauseWord {
    type Value = Cause;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Cause, Error> {
        let word = StringValueParser::new().parse_ref(command, arg, value)?;
        Cause::from_str(&word).map_err(|_| {
            let mut error = Error::new(ErrorKind::InvalidValue).with_cmd(command);
            error.insert(ContextKind::InvalidArg, ContextValue::String("[CAUSE]".to_owned()));
            error.insert(ContextKind::InvalidValue, ContextValue::String(word.clone()));
            match nearest(&word) {
                Some(near) => error.insert(ContextKind::SuggestedValue, ContextValue::String(near.to_owned())),
                None => error.insert(
                    ContextKind::Suggested,
                    ContextValue::StyledStrs(vec!["'vpce-probe explain' lists every cause".into()]),
                ),
            };
            error
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Cause::ALL.iter().map(|cause| PossibleValue::new(cause.as_str()))))
    }
}

fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_lowercase().replace('_', "-");
    Cause::ALL
        .iter()
        .map(|cause| cause.as_str())
        .map(|name| (strsim::damerau_levenshtein(&word, name), name))
        .filter(|(distance, name)| *distance <= name.len() / 3)
        .min()
        .map(|(_, name)| name)
        // `timeout` is part of several names; the first in the contract's order is as good as any.
        .or_else(|| Cause::ALL.iter().map(|cause| cause.as_str()).find(|name| !word.is_empty() && name.contains(&word)))
}

/// Takes any word; the known service codes are there to be completed. The plan knows the config's names as well.
#[derive(Clone, Debug)]
pub(super) struct ServiceWord;

impl TypedValueParser for ServiceWord {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(service::codes().map(PossibleValue::new)))
    }
}
