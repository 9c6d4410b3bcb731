//! `vpce-probe completions`: a script for a shell, from the same definition as the command line.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{args::Cli, exit::Exit, screen};

pub(super) fn run(shell: Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vpce-probe", &mut script);
    match screen::print(&String::from_utf8_lossy(&script)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the script: {error}"));
            Exit::Failed
        }
    }
}
