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
    page.push_str(DESCRIPTION);
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
    let text = String::from_utf8_lossy(&roff).replace("[\\fB\\-4\\fR ]", "[\\fB\\-4\\fR]");
    let text = text.replace("[\\fB\\-6\\fR ]", "[\\fB\\-6\\fR]");
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

const DESCRIPTION: &str = r".PP
\fBvpce\-probe once\fR needs no root, no config file and no credentials. It asks every name server by itself, looks where
each address lies, connects to every address, completes and verifies TLS, and asks one unsigned HTTP question. What it
sees is reduced to one named cause for each fault, with the steps to take. It listens on no port.
";

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
could not judge: wrong command line or config, no region, an unreadable trust store, no or an old state file
.PP
Of the other commands: 0 done, 64 wrong command line, 75 another instance runs, 78 wrong config, 1 anything else.
.SH FILES
.TP
\fI/etc/vpce\-probe/config.toml\fR
the config; everything has a default
.TP
\fI/run/vpce\-probe/last.json\fR
the daemon's last round, as \fBonce \-\-format json\fR writes it
.TP
\fI/var/lib/vpce\-probe/spool/\fR
rounds that wait for CloudWatch
.TP
\fI/etc/resolv.conf\fR, \fI/etc/hosts\fR
the name servers that are asked, and the names that are pinned; behind a local stub of systemd\-resolved,
\fI/run/systemd/resolve/resolv.conf\fR
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
RUNTIME_DIRECTORY, STATE_DIRECTORY
where \fBrun\fR keeps its state file (and \fBstatus\fR looks for it) and its spool, unless the config says so
.TP
AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_CONTAINER_CREDENTIALS_FULL_URI,
AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
credentials for CloudWatch, before those of the instance's role
.TP
AWS_EC2_METADATA_DISABLED, AWS_EC2_METADATA_SERVICE_ENDPOINT
whether and where the instance metadata service is asked
.TP
VPCE_PROBE_LOG
where \fBrun\fR logs: \fIjournal\fR, \fItext\fR or \fIjournal+text\fR; default: the journal where systemd reads it
.TP
NOTIFY_SOCKET, WATCHDOG_USEC
systemd's
.TP
HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY
no probe uses a proxy; one that keeps programs off the endpoints is reported, and where the direct way fails, CONNECT
through it is tried and told
.SH EXAMPLES
.TP
\fBvpce\-probe once\fR
what is wrong, and what to do
.TP
\fBvpce\-probe once \-\-explain \-\-service ssm\fR
one target only, with every stage of every address
.TP
\fBvpce\-probe once \-\-format json | jq \-r \(aq.findings[].summary\(aq\fR
the findings, for a script
.TP
\fBvpce\-probe once \-\-quiet || echo \(dqexit code $?\(dq\fR
the verdict alone
.TP
\fBvpce\-probe explain tcp\-timeout\fR
what a cause means, how to confirm and how to mend it
.TP
\fBvpce\-probe targets \-\-region eu\-west\-1 \-\-service kms\fR
the host name that would be probed
.TP
\fBvpce\-probe status\fR
the daemon's last round, since when, and what became of its metrics
.TP
\fBvpce\-probe alarms \-\-expected\-hosts 40 > alarms.json\fR
a CloudFormation template of alarms and a dashboard
.TP
\fBjournalctl \-u vpce\-probe \-p warning\fR
what changed for the worse, and when
.SH "SEE ALSO"
.BR journalctl (1),
.BR dig (1),
.BR openssl\-s_client (1),
.BR ip\-neighbour (8),
.BR nft (8)
"#;
