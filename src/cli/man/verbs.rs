//! The commands and their options, read from clap's own definition.

use clap::{Arg, ArgAction, Command, builder::PossibleValue};

use super::roff::{GLUE, Page};

/// One line for each command: how it is called.
pub(super) fn synopsis(page: &mut Page, program: &Command) {
    for verb in verbs(program) {
        page.paragraph(&usage(program, verb));
    }
    for flag in program.get_arguments().filter(|arg| is_shown(arg)) {
        page.paragraph(&format!("`{}` {}", program.get_name(), form(flag, Spellings::One)));
    }
}

/// Each command with its options.
pub(super) fn commands(page: &mut Page, program: &Command) {
    let mut told: Vec<String> = Vec::new();
    for verb in verbs(program) {
        page.part(verb.get_name());
        page.paragraph(&format!("{}.", verb.get_about().map(ToString::to_string).unwrap_or_default()));
        for arg in verb.get_arguments().filter(|arg| is_shown(arg)) {
            option(page, arg, &mut told);
        }
    }
}

fn verbs(program: &Command) -> impl Iterator<Item = &Command> {
    program.get_subcommands().filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
}

/// Help is told once for all of them.
fn is_shown(arg: &Arg) -> bool {
    arg.get_id() != "help" && !arg.is_hide_set()
}

fn option(page: &mut Page, arg: &Arg, told: &mut Vec<String>) {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let default = match arg.get_default_values() {
        [value] if takes_value(arg) => format!(" Default: `{}`.", value.to_string_lossy()),
        _ => String::new(),
    };
    let values: Vec<PossibleValue> = if arg.is_hide_possible_values_set() || !takes_value(arg) {
        Vec::new()
    } else {
        arg.get_possible_values().into_iter().filter(|value| !value.is_hide_set()).collect()
    };
    let list: Vec<String> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
    let explained = values.iter().all(|value| value.get_help().is_some());
    // What they mean is told where the option comes first.
    if list.is_empty() || (explained && !told.contains(&list.concat())) {
        page.entry(&form(arg, Spellings::All), &format!("{help}.{default}"));
    } else {
        page.entry(&form(arg, Spellings::All), &format!("{help}: {}.{default}", list.join(", ")));
        return;
    }
    if !list.is_empty() {
        told.push(list.concat());
        page.below(values.iter().map(|value| {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            (format!("`{}`", value.get_name()), format!("{help}."))
        }));
    }
}

fn usage(program: &Command, verb: &Command) -> String {
    let mut words = format!("`{} {}`", program.get_name(), verb.get_name());
    for arg in verb.get_arguments().filter(|arg| is_shown(arg)) {
        let form = form(arg, Spellings::One);
        let (before, after) = if arg.is_required_set() { (" ", "") } else { (" [", "]") };
        words.extend([before, &form, after]);
        if matches!(arg.get_action(), ArgAction::Append) {
            words.push_str("...");
        }
    }
    words
}

/// How many of an option's spellings are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spellings {
    One,
    All,
}

/// `--config FILE`; with every spelling: `-v, --verbose`.
fn form(arg: &Arg, spellings: Spellings) -> String {
    let short = arg.get_short().map(|short| format!("`-{short}`"));
    let long = arg.get_long().map(|long| format!("`--{long}`"));
    let flag = match (short, long) {
        (Some(short), Some(long)) if spellings == Spellings::All => format!("{short}, {long}"),
        (Some(flag), _) | (None, Some(flag)) => flag,
        (None, None) => return value_name(arg),
    };
    if takes_value(arg) { format!("{flag}{GLUE}{}", value_name(arg)) } else { flag }
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

fn value_name(arg: &Arg) -> String {
    let named = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    named.unwrap_or_else(|| arg.get_id().as_str().to_uppercase())
}
