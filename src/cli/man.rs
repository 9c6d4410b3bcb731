//! `vpce-probe man`: the manual page, from the same definition as the command line.

use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::{args::Cli, exit::Exit, screen};

pub(super) fn run() -> Exit {
    let page = match page() {
        Ok(page) => page,
        Err(error) => {
            screen::say(&format!("cannot make the page: {error}"));
            return Exit::Failed;
        }
    };
    match screen::print(&page) {
        Ok(()) => Exit::Done,
        Err(error) => {
            screen::say(&format!("cannot write the page: {error}"));
            Exit::Failed
        }
    }
}

/// One page for all verbs.
fn page() -> io::Result<String> {
    let mut command = Cli::command();
    command.build();
    let mut roff = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    let mut page = String::from_utf8_lossy(&roff).into_owned();
    page.push_str(".SH COMMANDS\n");
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        page.push_str(&section(verb)?);
    }
    page.push_str(REST);
    Ok(page)
}

/// A verb as a part of the page: its own sections' headings are left out.
fn section(verb: &Command) -> io::Result<String> {
    let name = verb.get_name();
    let man = Man::new(verb.clone());
    let mut roff = Vec::new();
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    let options = verb.get_arguments().any(|arg| !arg.is_hide_set() && arg.get_id() != "help");
    if options {
        man.render_options_section(&mut roff)?;
    }
    let text = String::from_utf8_lossy(&roff);
    let lines =
        text.lines().filter(|line| !line.starts_with(".SH ") && !line.starts_with(".ie ") && !line.starts_with(".el "));
    let mut section = format!(".SS {name}\n");
    for line in lines {
        section.push_str(if line.is_empty() { ".PP" } else { line });
        section.push('\n');
        // The synopsis and the description are one line each; without a break they would flow together.
        if line.starts_with("\\fB") && line.contains(name) {
            section.push_str(".PP\n");
        }
    }
    Ok(section)
}

const REST: &str = r#".SH "EXIT STATUS"
Of \fBonce\fR and \fBstatus\fR:
.TP
0
healthy
.TP
1
degraded: works, with a warning, or an optional target is broken
.TP
2
failed: a required target is broken
.TP
3
could not judge: wrong command line or config, no region, no or an old state file
.PP
Of the other commands: 0 done, 64 wrong command line, 78 wrong config, 1 anything else.
.SH FILES
.TP
\fI/etc/vpce\-probe/config.toml\fR
the config; everything has a default
.TP
\fI/run/vpce\-probe/last.json\fR
the daemon's last round
.SH ENVIRONMENT
.TP
AWS_REGION, AWS_DEFAULT_REGION
the region, where neither the command line nor the config names one
.TP
SSL_CERT_FILE, SSL_CERT_DIR
the trusted certificate authorities, in place of the system's
.TP
NO_COLOR, COLUMNS, LC_ALL, LC_CTYPE, LANG, TERM
how the output looks
.TP
RUNTIME_DIRECTORY
where \fBstatus\fR looks for the state file
"#;
