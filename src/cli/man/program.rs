//! vpce-probe(8): for somebody at a console, at night.

use clap::CommandFactory;

use super::{roff::Page, verbs};
use crate::{
    cli::{args::Cli, exit::Exit},
    model::verdict::RoundVerdict,
    render::explain,
};

pub(super) fn page() -> String {
    let mut program = Cli::command();
    program.build();
    let mut page = Page::new(program.get_name(), 8, "System Administration", ABOUT);
    page.section("SYNOPSIS");
    verbs::synopsis(&mut page, &program);
    page.section("DESCRIPTION");
    for paragraph in DESCRIPTION {
        page.paragraph(paragraph);
    }
    page.section("COMMANDS");
    page.paragraph(EVERY_COMMAND);
    verbs::commands(&mut page, &program);
    exit_status(&mut page);
    page.section("SIGNALS");
    entries(&mut page, SIGNALS);
    page.section("FILES");
    entries(&mut page, FILES);
    page.entry(&format!("`{}`", explain::DOCUMENTS), DOCUMENTS);
    page.section("ENVIRONMENT");
    entries(&mut page, ENVIRONMENT);
    diagnostics(&mut page);
    page.section("EXAMPLES");
    for (command, words) in EXAMPLES {
        page.entry(&format!("`{command}`"), words);
    }
    page.section("SEE ALSO");
    page.paragraph(SEE_ALSO);
    page.finish()
}

fn exit_status(page: &mut Page) {
    page.section("EXIT STATUS");
    page.paragraph("Of `once` and `status`, as Nagios plugins have it:");
    for (exit, words) in [
        (Exit::Judged(RoundVerdict::Healthy), "healthy"),
        (Exit::Judged(RoundVerdict::Degraded), "degraded: works, with a warning, or an optional target is broken"),
        (Exit::Judged(RoundVerdict::Failed), "failed: a required target is broken"),
        (
            Exit::NotJudged,
            "could not judge: wrong command line or config, no region, an unreadable trust store, no or an old state file",
        ),
    ] {
        page.row(CODE, &exit.code().to_string(), words);
    }
    page.paragraph("Of the other commands:");
    for (exit, words) in [
        (Exit::Done, "done; `run`: stopped"),
        (Exit::Failed, "anything that is not below"),
        (Exit::Usage, "wrong command line"),
        (Exit::Occupied, "`run`: another instance runs; systemd does not start it again"),
        (Exit::BadConfig, "wrong config, told with every mistake; systemd does not start it again"),
    ] {
        page.row(CODE, &exit.code().to_string(), words);
    }
    page.paragraph(&format!("An interrupt (Ctrl-C) ends every command but `run` with {}.", Exit::Interrupted.code()));
}

fn diagnostics(page: &mut Page) {
    page.section("DIAGNOSTICS");
    page.paragraph(CAUSES);
    for (title, causes) in explain::groups() {
        page.part(title);
        for cause in causes {
            let words = format!("{}: {}", cause.severity(), explain::in_short(cause));
            page.row(CAUSE, &format!("`{cause}`"), &words);
        }
    }
}

fn entries(page: &mut Page, entries: &[(&str, &str)]) {
    for (tag, words) in entries {
        page.entry(tag, words);
    }
}

const ABOUT: &str = "which AWS VPC endpoint is broken, at which layer, and what to do";

const DESCRIPTION: &[&str] = &[
    "On a host that AWS Systems Manager has lost, log in by the serial console and call `vpce-probe once`. It needs no root, no \
     config file, no credentials and no metadata service, and ends within ten seconds.",
    "It asks every name server by itself, looks where each address lies, connects to every address, completes and verifies TLS, \
     measures which packet sizes pass, and asks one unsigned HTTP question. What it sees is reduced to one named cause for each \
     fault (see `DIAGNOSTICS`), with the steps to take in their order.",
    "`vpce-probe run` is the same as a daemon: it makes a round every minute, tells the journal what changed, and ships metrics \
     to CloudWatch, late if need be. `vpce-probe status` shows its last round.",
    "Without a config it probes `ssm`, `ssmmessages`, `s3`, `ec2messages`, `logs` and `monitoring` of this host's region. It \
     listens on no port, needs no privilege, and sends nothing but what a client of these services would send.",
];

const EVERY_COMMAND: &str = "Every command takes `--help`. Results go to the standard output, logs and progress to the standard \
                             error.";

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGHUP",
        "`run` reads the config again: `systemctl reload vpce-probe`. A good one is in force at once, with a round. A bad one is \
         refused as a whole, each mistake is a record of the journal, and the old one stays.",
    ),
    (
        "SIGTERM, SIGINT",
        "`run` gives up a running round, delivers for at most three seconds what is fresh, and leaves the rest in the spool.",
    ),
];

const FILES: &[(&str, &str)] = &[
    ("`/etc/vpce-probe/config.toml`", "The config, see vpce-probe.toml(5); everything has a default."),
    (
        "`/run/vpce-probe/last.json`",
        "The daemon's last round, as `once --format json` writes it; for everybody to read.",
    ),
    ("`/var/lib/vpce-probe/spool/`", "Rounds that wait for CloudWatch."),
    (
        "`/etc/resolv.conf`, `/run/systemd/resolve/resolv.conf`",
        "The name servers; the latter behind systemd-resolved's stub.",
    ),
    ("`/etc/hosts`", "Names that are pinned."),
];

const DOCUMENTS: &str = "The documents: `docs/causes.md`, `docs/configuration.md`, `docs/daemon.md`, `docs/alarms.md` and others, \
                         and `config.example.toml`.";

const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "`AWS_REGION`, `AWS_DEFAULT_REGION`",
        "The region, where neither the command line nor the config names one. Else IMDS and the search domain tell it.",
    ),
    (
        "`AWS_EC2_METADATA_DISABLED`",
        "`true`: the metadata service is not asked, neither for facts about the host nor for credentials.",
    ),
    ("`AWS_EC2_METADATA_SERVICE_ENDPOINT`", "Where the metadata service is asked, as `http://ADDRESS:PORT`."),
    (
        "`AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE`",
        "`IPv6`: credentials are asked for at the metadata service's IPv6 address.",
    ),
    (
        "`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`",
        "Credentials for CloudWatch, before those of the container and of the instance's role.",
    ),
    (
        "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`",
        "Where ECS gives the container's credentials, as a path. Asked before the instance's role.",
    ),
    (
        "`AWS_CONTAINER_CREDENTIALS_FULL_URI`",
        "The same as a URL (EKS pod identity): https, or an address of this host or of the container's agent.",
    ),
    ("`AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`", "The file of the token that this endpoint wants."),
    ("`AWS_CONTAINER_AUTHORIZATION_TOKEN`", "The token itself."),
    (
        "`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, and the same in lower case",
        "No probe and no delivery uses a proxy. One that keeps programs off the endpoints is reported, here and in the SSM \
         agent's own environment; where the direct way fails, CONNECT through it is tried and told.",
    ),
    ("`SSL_CERT_FILE`, `SSL_CERT_DIR`", "The trusted authorities, in place of the system's."),
    (
        "`STATE_DIRECTORY`, `RUNTIME_DIRECTORY`",
        "Set by systemd: where `run` keeps its spool and `last.json`, and where `status` looks, unless the config says so.",
    ),
    (
        "`NOTIFY_SOCKET`, `WATCHDOG_USEC`, `WATCHDOG_PID`",
        "Set by systemd: readiness, status line and watchdog of `run`.",
    ),
    (
        "`VPCE_PROBE_LOG`",
        "Where `run` logs: `journal`, `text` or `journal+text`. Default: the journal where standard error is its stream \
         (`JOURNAL_STREAM`, set by systemd), else text on standard error.",
    ),
    ("`NO_COLOR`", "Not empty: no colour, unless `--color always` is given."),
    ("`TERM`", "`dumb`: no colour and no progress."),
    ("`COLUMNS`", "How wide the output is, before what the terminal says; without both it is 80."),
    ("`LC_ALL`, `LC_CTYPE`, `LANG`", "The first of them that is set: with UTF-8 in it, signs beyond ASCII are used."),
];

const CAUSES: &str = "Every fault has one of these names, in reports, journal (`VPCE_CAUSE`) and metrics (dimension `Cause`). A \
                      `failure` of a required target fails the round, a `warning` degrades it, a `note` changes nothing; a rule \
                      may lower what stands here. `vpce-probe explain CAUSE` prints how to confirm it, how to mend it, and who \
                      can.";

const EXAMPLES: &[(&str, &str)] = &[
    ("vpce-probe once", "What is wrong from this host, and what to do."),
    (
        "vpce-probe once --explain --service ssm",
        "One target only, with every stage of every address: what to attach to a ticket.",
    ),
    ("vpce-probe explain tcp-timeout", "What a cause means, how to confirm and how to mend it."),
    (
        "vpce-probe once --region eu-west-1 --service kms",
        "A service that is not configured, on a host that need not be in EC2.",
    ),
    ("vpce-probe once --format json | jq -r '.findings[].summary'", "The findings, for a script."),
    ("vpce-probe once --quiet || echo \"exit code $?\"", "The verdict alone."),
    ("vpce-probe status", "The daemon's last round, since when it is so, and what became of its metrics."),
    ("journalctl -t vpce-probe -p warning --since today", "What changed for the worse, and when."),
    ("vpce-probe check && systemctl reload vpce-probe", "Takes a changed config on, if it has no mistake."),
    (
        "vpce-probe alarms --region eu-west-1 --expected-hosts 40 > alarms.json",
        "A CloudFormation template of alarms and a dashboard.",
    ),
];

const SEE_ALSO: &str = "vpce-probe.toml(5), journalctl(1), systemctl(1), dig(1), resolv.conf(5), ip-route(8), nft(8)";

/// Columns for exit codes and for causes.
const CODE: usize = 6;
const CAUSE: usize = 23;
