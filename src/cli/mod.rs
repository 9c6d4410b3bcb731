//! The command line: one file a verb.

mod alarms;
mod args;
mod check;
mod completions;
mod exit;
mod explain;
mod list;
mod log;
mod man;
mod once;
mod progress;
mod publish;
mod report;
mod run;
mod screen;
mod settings;
mod status;
mod targets;
mod words;

use std::{ffi::OsString, process::ExitCode};

use clap::{Parser, error::ErrorKind};

use self::{
    args::{Cli, Verb},
    exit::Exit,
};

/// Parses the command line and runs the verb.
#[must_use]
pub fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let exit = match Cli::try_parse_from(&arguments) {
        Ok(Cli { verb }) => run(verb),
        Err(error) => refuse(&error, &arguments),
    };
    exit.into()
}

fn run(verb: Verb) -> Exit {
    match verb {
        Verb::Run(args) => run::run(&args),
        Verb::Once(args) => once::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Status(args) => status::run(&args),
        Verb::Targets(args) => targets::run(&args),
        Verb::Alarms(args) => alarms::run(&args),
        Verb::Explain(args) => explain::run(&args),
        Verb::Completions { shell } => completions::run(shell),
        Verb::Man(args) => man::run(&args),
    }
}

/// Prints clap's message. Its own exit code for a usage error, 2, would look like the verdict "failed".
fn refuse(error: &clap::Error, arguments: &[OsString]) -> Exit {
    // Nothing can be told about a stderr that is gone.
    let _ = error.print();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        Exit::Done
    } else if gives_a_verdict(arguments) {
        Exit::NotJudged
    } else {
        Exit::Usage
    }
}

/// Whether the verb is one whose exit code is a verdict.
fn gives_a_verdict(arguments: &[OsString]) -> bool {
    let verb = arguments.iter().skip(1).filter_map(|word| word.to_str()).find(|word| !word.starts_with('-'));
    matches!(verb, Some("once" | "status"))
}
