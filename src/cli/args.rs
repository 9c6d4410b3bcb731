//! The command line as clap reads it: help, man page and completions all come from here.
#![expect(clippy::doc_markdown, reason = "doc comments are the help texts here: backticks would be shown")]

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::words::{CauseWord, ServiceWord};
use crate::{
    config::duration,
    model::{cause::Cause, plan::Family},
};

/// Says which AWS VPC endpoint is broken, at which layer, and what to do about it.
#[derive(Debug, Parser)]
#[command(name = "vpce-probe", version, propagate_version = false, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(super) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The daemon: probe every minute, tell the journal what changed, and ship metrics to CloudWatch
    Run(RunArgs),
    /// Probe every target once, now, and say what is wrong
    Once(OnceArgs),
    /// Read the config, report every mistake in it, and show what would be probed and what its metrics cost
    Check(CheckArgs),
    /// Show the last round of the running daemon
    Status(StatusArgs),
    /// List the host names that would be probed; uses no network
    Targets(TargetsArgs),
    /// Print CloudWatch alarms and a dashboard for the configured targets
    Alarms(AlarmsArgs),
    /// Explain a cause: what it means, how to confirm and how to mend it
    Explain(ExplainArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print a manual page (roff): vpce-probe(8) or vpce-probe.toml(5)
    Man(ManArgs),
}

/// `vpce-probe run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_CODES)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// Log every round and every stage
    #[arg(short, long)]
    pub(super) verbose: bool,
}

/// `vpce-probe once`.
#[derive(Debug, Args)]
#[command(after_help = VERDICT_CODES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct OnceArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// The AWS region; default: discovered
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// Probe only this target or service, e.g. ssm, kms, ecr.api; may be repeated; one that is no target yet is required
    #[arg(long = "service", value_name = "SERVICE", value_parser = ServiceWord, hide_possible_values = true)]
    pub(super) services: Vec<String>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Ship the round's metrics to CloudWatch as well, and say on stderr what became of that; needs credentials
    #[arg(long)]
    pub(super) publish: bool,
    /// End the whole round after this, e.g. 5s; default: the config's round_deadline, 10s
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub(super) timeout: Option<Duration>,
    /// Probe IPv4 addresses only
    #[arg(short = '4', conflicts_with = "ipv6")]
    ipv4: bool,
    /// Probe IPv6 addresses only
    #[arg(short = '6')]
    ipv6: bool,
    /// Log what is done to stderr
    #[arg(short, long, conflicts_with = "quiet")]
    pub(super) verbose: bool,
}

impl OnceArgs {
    /// The address family asked for.
    pub(super) const fn family(&self) -> Option<Family> {
        match (self.ipv4, self.ipv6) {
            (true, _) => Some(Family::V4),
            (false, true) => Some(Family::V6),
            (false, false) => None,
        }
    }
}

/// How a round is shown.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// The form of the report
    #[arg(long, value_enum, default_value_t = Format::Table, value_name = "FORMAT")]
    pub(super) format: Format,
    /// Show the full transcript of every stage below the table
    #[arg(long)]
    pub(super) explain: bool,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(super) color: When,
    /// Print nothing but errors: the exit code tells the verdict
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// `vpce-probe check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// Reckon what metrics of so many hosts of one VPC cost
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) instances: u32,
}

/// `vpce-probe status`.
#[derive(Debug, Args)]
#[command(after_help = VERDICT_CODES)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `vpce-probe targets`.
#[derive(Debug, Args)]
pub(super) struct TargetsArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// The AWS region; default: the config's, AWS_REGION, AWS_DEFAULT_REGION, or the search domain of resolv.conf
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// List only this target or service; may be repeated
    #[arg(long = "service", value_name = "SERVICE", value_parser = ServiceWord, hide_possible_values = true)]
    pub(super) services: Vec<String>,
    /// FIPS host names
    #[arg(long)]
    pub(super) fips: bool,
    /// Dual-stack host names (IPv4 and IPv6)
    #[arg(long)]
    pub(super) dual_stack: bool,
    /// The form of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Table, value_name = "FORMAT")]
    pub(super) format: ListFormat,
}

/// `vpce-probe alarms`.
#[derive(Debug, Args)]
pub(super) struct AlarmsArgs {
    #[command(flatten)]
    pub(super) config: ConfigArg,
    /// The AWS region; default: the config's, AWS_REGION, AWS_DEFAULT_REGION, or the search domain of resolv.conf
    #[arg(long, value_name = "REGION")]
    pub(super) region: Option<String>,
    /// How many hosts should report, for the alarm on silent ones; a parameter of the template, by default 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) expected_hosts: Option<u32>,
    /// The Auto Scaling group of the hosts, whose in-service count should report; may be repeated
    #[arg(long = "auto-scaling-group", value_name = "NAME", conflicts_with = "expected_hosts")]
    pub(super) groups: Vec<String>,
    /// The form of the template
    #[arg(long, value_enum, default_value_t = TemplateFormat::Cloudformation, value_name = "FORMAT")]
    pub(super) format: TemplateFormat,
}

/// `vpce-probe explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The cause, e.g. tcp-timeout; without it, all causes are listed
    #[arg(value_name = "CAUSE", value_parser = CauseWord, hide_possible_values = true)]
    pub(super) cause: Option<Cause>,
    /// When to use colour
    #[arg(long, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(super) color: When,
}

/// `vpce-probe man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Which page
    #[arg(long, value_enum, default_value_t = ManualPage::Program, value_name = "PAGE")]
    pub(super) page: ManualPage,
}

/// A manual page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ManualPage {
    /// vpce-probe(8): commands, exit codes, files, environment, causes
    Program,
    /// vpce-probe.toml(5): every key of the config
    Config,
}

/// Which config file.
#[derive(Debug, Args)]
pub(super) struct ConfigArg {
    /// The config file, - for standard input; default: /etc/vpce-probe/config.toml if it exists
    #[arg(long = "config", value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,
}

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people: one line a target, then what is wrong and what to do
    Table,
    /// Everything, for programs
    Json,
    /// Only problems, one line each
    Short,
    /// One line with performance data, as a Nagios plugin
    Nagios,
    /// For Prometheus and its like
    Openmetrics,
}

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people
    Table,
    /// For programs
    Json,
}

/// The form of a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TemplateFormat {
    /// An AWS CloudFormation template in JSON
    Cloudformation,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration::parse(text).map_err(|error| error.to_string())?;
    if (SHORTEST..=LONGEST).contains(&timeout) {
        return Ok(timeout);
    }
    Err(format!("it must be from {} to {}", duration::show(SHORTEST), duration::show(LONGEST)))
}

/// Below this a round says more about the scheduler than about the network.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_hours(1);

const EXIT_CODES: &str = "\
Exit codes of once and status:
  0 healthy, 1 degraded, 2 failed, 3 could not judge
Of the other verbs:
  0 done, 64 wrong command line, 75 another instance runs, 78 wrong config, 1 anything else";

const RUN_CODES: &str = "\
SIGHUP reads the config again; a bad one is refused. SIGTERM stops; what is not delivered waits on disk.
The last round: vpce-probe status. The log: journalctl -t vpce-probe, or stderr outside systemd.
Exit codes: 0 stopped, 64 wrong command line, 75 another instance runs, 78 wrong config, 1 anything else.";

const VERDICT_CODES: &str = "Exit codes: 0 healthy, 1 degraded, 2 failed, 3 could not judge.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }
}
