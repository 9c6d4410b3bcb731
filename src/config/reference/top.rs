//! The keys above the first table.

use super::{Key, Kind, Table, Takes, folder, names, nothing, path, text, time, word};
use crate::config::{
    Config,
    bounds::{CONFIRM, DEADLINE, FAMILIES, INTERVAL},
};

pub(super) const TOP: Table = Table {
    name: "",
    about: "Keys that stand at the top of the file, above the first `[table]`.",
    keys: &[
        Key {
            name: "region",
            kind: Kind::Text("a region's name"),
            held: |config| config.region.as_ref().map(text),
            otherwise: || {
                "what `AWS_REGION`, `AWS_DEFAULT_REGION`, IMDS or the search domain of `/etc/resolv.conf` says, the first of \
                 them; `--region` is stronger than all"
                    .to_owned()
            },
            example: "\"eu-west-1\"",
            takes: Takes::Reload,
            meaning: "The region whose endpoints are probed: host names and the SSM agent's S3 bucket are formed from it.",
            wrong: "Another region's names are probed. They are public from here, so required targets fail with \
                    `address-public`; on EC2 the note `region-mismatch` says so. A region that no partition knows is only \
                    warned of, because AWS opens new ones.",
        },
        Key {
            name: "interval",
            kind: Kind::Duration(&INTERVAL),
            held: |config| Some(time(config.interval)),
            otherwise: nothing,
            example: "\"30s\"",
            takes: Takes::Reload,
            meaning: "From one round of the daemon to the next. At least `round_deadline`, at most \
                      `cloudwatch.flush_interval`.",
            wrong: "Longer: a fault is found so much later. Shorter: more load on name servers and endpoints. The alarms \
                    reckon with it: after a change print them again (`vpce-probe alarms`) and deploy them.",
        },
        Key {
            name: "round_deadline",
            kind: Kind::Duration(&DEADLINE),
            held: |config| Some(time(config.round_deadline)),
            otherwise: nothing,
            example: "\"20s\"",
            takes: Takes::Reload,
            meaning: "A round ends here, the facts about the host included; `once --timeout` is stronger. The two largest of \
                      `timeouts.resolve`, `connect`, `tls` and `http` must fit into it together, so must the largest of them \
                      and `timeouts.imds`, and so must `timeouts.mtu` alone; `check` says which do not.",
            wrong: "What it cuts short is `not-finished`, with the verdict skipped: never blamed on the network, but not \
                    known either.",
        },
        Key {
            name: "confirm",
            kind: Kind::Whole(&CONFIRM, "rounds"),
            held: |config| Some(config.confirm.to_string()),
            otherwise: nothing,
            example: "3",
            takes: Takes::Reload,
            meaning: "Equal results in a row before a change of verdict is announced in the journal. After a change rounds \
                      are made again 5 s and 15 s later, so 2 costs seconds and not minutes. Metrics, `last.json` and \
                      `once` carry every round as it was.",
            wrong: "1: a single lost round is announced, and its recovery too. Large: a short fault is never announced.",
        },
        Key {
            name: "family",
            kind: Kind::Word(|| names(FAMILIES)),
            held: |config| word(FAMILIES, &config.family),
            otherwise: nothing,
            example: "\"v4\"",
            takes: Takes::Reload,
            meaning: "The addresses that are probed: of both families, or of one. `once -4` and `-6` are stronger.",
            wrong: "With one family faults of the other go unseen, such as dead IPv6 beside live IPv4 (`ipv6-broken`), on \
                    which programs stall.",
        },
        Key {
            name: "http",
            kind: Kind::Flag,
            held: |config| Some(config.http.to_string()),
            otherwise: nothing,
            example: "false",
            takes: Takes::Reload,
            meaning: "Ask one unsigned HTTP question after TLS. The answer shows whose endpoint it is, how wrong this host's \
                      clock is, and whether S3's endpoint policy lets the SSM agent's bucket through.",
            wrong: "`false`: no `clock-skew`, no `s3-access-denied`, no `http-timeout`; an endpoint that completes TLS and \
                    then says nothing counts as healthy.",
        },
        Key {
            name: "extra_ca_file",
            kind: Kind::Path("a PEM file"),
            held: |config| path(config.extra_ca_file.as_ref()),
            otherwise: || {
                "none, so those of the operating system, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`".to_owned()
            },
            example: "\"/etc/ssl/corp.pem\"",
            takes: Takes::Reload,
            meaning: "Authorities that are trusted beside the system's, for endpoints of a company's own. The file is read \
                      again when it changes.",
            wrong: "Without a usable certificate in it `once` ends with 3, `run` with 78, and a reload is refused. With a TLS \
                    inspection's authority in it, inspected connections count as trusted: only `issuer-unexpected` tells.",
        },
        Key {
            name: "default_targets",
            kind: Kind::Flag,
            held: |config| Some(config.default_targets.to_string()),
            otherwise: nothing,
            example: "false",
            takes: Takes::Reload,
            meaning: "Probe `ssm`, `ssmmessages`, `s3`, `ec2messages`, `logs` and `monitoring`. `ec2messages` only where the \
                      region has it.",
            wrong: "`false` leaves only the `[[target]]` entries: whatever is not among them is not watched. With no entry \
                    either the config is refused.",
        },
        Key {
            name: "state_dir",
            kind: Kind::Path("a directory"),
            held: |config| path(config.state_dir.as_ref()),
            otherwise: || folder("STATE_DIRECTORY", Config::state_dir),
            example: "\"/srv/vpce-probe\"",
            takes: Takes::Restart,
            meaning: "Where metrics wait for CloudWatch (`spool/`), and a lock.",
            wrong: "Where it cannot be written, rounds wait in memory and a restart loses them: `spool-degraded`. The unit's \
                    sandbox lets the daemon write to its own two directories only; another one needs `ReadWritePaths=`.",
        },
        Key {
            name: "runtime_dir",
            kind: Kind::Path("a directory"),
            held: |config| path(config.runtime_dir.as_ref()),
            otherwise: || folder("RUNTIME_DIRECTORY", Config::runtime_dir),
            example: "\"/run/user/1000/vpce-probe\"",
            takes: Takes::Restart,
            meaning: "Where the last round stands (`last.json`), and a lock.",
            wrong: "`vpce-probe status` looks where its own config says: with another it finds nothing and ends with 3. The \
                    sandbox is the same as for `state_dir`.",
        },
    ],
};
