//! `vpce-probe completions`: a script for a shell, from the same definition as the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{args::Cli, exit::Exit, screen};
use crate::model::cause::Cause;

pub(super) fn run(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vpce-probe", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Fish => script.push_str(&fish_causes()),
        // clap_complete 4.6 writes the hyphen of the program's name in two ways, so that no verb is ever recognised.
        Shell::Bash => script = script.replace("vpce__subcmd__probe", "vpce__probe"),
        Shell::Elvish | Shell::PowerShell | Shell::Zsh | _ => {}
    }
    match screen::print(&script) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the script: {error}"));
            Exit::Failed
        }
    }
}

/// `clap_complete` writes no words for an argument without a name into fish's script.
fn fish_causes() -> String {
    let line = |cause: &Cause| {
        let meaning = cause.text().meaning.replace(['\'', '"'], "");
        format!(
            "complete -c vpce-probe -n \"__fish_vpce_probe_using_subcommand explain\" -f -a \"{cause}\" -d '{meaning}'\n"
        )
    };
    Cause::ALL.iter().map(line).collect()
}
