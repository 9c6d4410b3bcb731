//! `[cloudwatch]`, `[cloudwatch.spool]`, `[textfile]`: where results go.

use super::{Key, Kind, Table, Takes, list, names, nothing, pairs, path, text, time, word};
use crate::config::{
    bounds::{CREDENTIALS, DETAILS, DOLLARS, FLUSH, SPOOL as SPOOL_SIZE},
    size,
};

pub(super) const CLOUDWATCH: Table = Table {
    name: "cloudwatch",
    about: "What the daemon, and `once --publish`, ship to CloudWatch. `vpce-probe check --instances N` lists the series of a \
            config and what they cost.",
    keys: &[
        Key {
            name: "enabled",
            kind: Kind::Flag,
            held: |config| Some(config.cloudwatch.enabled.to_string()),
            otherwise: nothing,
            example: "false",
            takes: Takes::Reload,
            meaning: "Ship metrics to CloudWatch at all.",
            wrong: "`false`: no alarm sees this host, and `silent-hosts` counts it as silent. `true` where there are no credentials: \
                    `credentials-missing` in the journal, and rounds wait in the spool; verdicts do not change.",
        },
        Key {
            name: "namespace",
            kind: Kind::Text("of letters, digits and `.-_/#:`, not beginning with `AWS/`"),
            held: |config| Some(text(&config.cloudwatch.namespace)),
            otherwise: nothing,
            example: "\"Corp/VpceProbe\"",
            takes: Takes::Reload,
            meaning: "The namespace of the metrics.",
            wrong: "It must be the one of the IAM policy's condition `cloudwatch:namespace`: else `publish-denied`. Alarms of \
                    another namespace see nothing: print and deploy them again.",
        },
        Key {
            name: "flush_interval",
            kind: Kind::Duration(&FLUSH),
            held: |config| Some(time(config.cloudwatch.flush_interval)),
            otherwise: nothing,
            example: "\"600s\"",
            takes: Takes::Reload,
            meaning: "Averages and percentiles go out this often, from sick and healthy hosts alike; problems go out at once. At \
                      least `interval`.",
            wrong: "Shorter: more requests, which are paid for and have a quota for the whole account (`publish-throttled`). \
                    Longer: alarms take longer. They reckon with it: print and deploy them again.",
        },
        Key {
            name: "detail",
            kind: Kind::Word(|| names(DETAILS)),
            held: |config| word(DETAILS, &config.cloudwatch.detail),
            otherwise: nothing,
            example: "\"heartbeat\"",
            takes: Takes::Reload,
            meaning: "`\"fleet\"`: series of the VPC, and of a host only while it is sick. `\"heartbeat\"`: one steady series a \
                      host besides. `\"instance\"`: also `Success` of each host and target.",
            wrong: "It sets the bill: `\"instance\"` on a thousand hosts is thousands of series. With `\"fleet\"` in a large fleet \
                    a single host that falls silent may go unseen (`docs/alarms.md`).",
        },
        Key {
            name: "endpoint_url",
            kind: Kind::Text("`https://` and a host"),
            held: |config| config.cloudwatch.endpoint_url.as_ref().map(text),
            otherwise: || "the region's own".to_owned(),
            example: "\"https://monitoring.eu-west-1.amazonaws.com\"",
            takes: Takes::Reload,
            meaning: "Ship there: an endpoint's own DNS name, for example. `http://` is warned of unless it leads to this host.",
            wrong: "`publish-unreachable` or `publish-failing`. Not together with `fips` or `dual_stack`, which choose the name.",
        },
        Key {
            name: "fips",
            kind: Kind::Flag,
            held: |config| Some(config.cloudwatch.fips.to_string()),
            otherwise: nothing,
            example: "true",
            takes: Takes::Reload,
            meaning: "Ship to CloudWatch's FIPS endpoint.",
            wrong: "`publish-unreachable` where the region has none, or none is reached from here.",
        },
        Key {
            name: "dual_stack",
            kind: Kind::Flag,
            held: |config| Some(config.cloudwatch.dual_stack.to_string()),
            otherwise: nothing,
            example: "true",
            takes: Takes::Reload,
            meaning: "Ship to CloudWatch's dual-stack endpoint, from an IPv6-only subnet for example.",
            wrong: "`publish-unreachable` where the VPC's endpoint has no such name.",
        },
        Key {
            name: "credentials",
            kind: Kind::Word(|| names(CREDENTIALS)),
            held: |config| word(CREDENTIALS, &config.cloudwatch.credentials),
            otherwise: nothing,
            example: "\"imds\"",
            takes: Takes::Reload,
            meaning: "Where credentials come from: the environment, the container's endpoint (`\"ecs\"`) or the instance's role \
                      (`\"imds\"`); `\"auto\"` asks in this order and takes the first that is there. Profiles are not read.",
            wrong: "`credentials-missing`, with what each source said.",
        },
        Key {
            name: "fixed_dimensions",
            kind: Kind::Dimensions,
            held: |config| Some(pairs(&config.cloudwatch.fixed_dimensions)),
            otherwise: nothing,
            example: "{ Team = \"core\" }",
            takes: Takes::Reload,
            meaning: "Put on every series. Not the names that vpce-probe sets itself.",
            wrong: "A value that differs from host to host splits every average, and makes each host's series paid for. Alarms \
                    must have the same dimensions: print and deploy them again.",
        },
        Key {
            name: "extra_dimension_sets",
            kind: Kind::DimensionSets,
            held: |config| {
                let sets: Vec<String> =
                    config.cloudwatch.extra_dimension_sets.iter().map(|set| list(set.as_slice())).collect();
                Some(format!("[{}]", sets.join(", ")))
            },
            otherwise: nothing,
            example: "[[\"AvailabilityZoneId\", \"Target\"]]",
            takes: Takes::Reload,
            meaning: "Further series. A set with `Target` applies to every metric by target, one without to `Healthy`, `Delivered` \
                      and `Lost`.",
            wrong: "Each set is paid for. A set with a dimension that a host does not know is not sent by that host.",
        },
        Key {
            name: "monthly_warning_usd",
            kind: Kind::Number(&DOLLARS, "US dollars"),
            held: |config| Some(config.cloudwatch.monthly_warning_usd.to_string()),
            otherwise: nothing,
            example: "2.5",
            takes: Takes::Reload,
            meaning: "`check` warns when the metrics of one host would cost more a month.",
            wrong: "Only the warning depends on it: nothing is held back.",
        },
    ],
};

pub(super) const SPOOL: Table = Table {
    name: "cloudwatch.spool",
    about: "What waits for CloudWatch on disk, in `state_dir` (`docs/spool.md`).",
    keys: &[Key {
        name: "max_size",
        kind: Kind::Size(&SPOOL_SIZE),
        held: |config| Some(text(size::show(config.cloudwatch.spool_max_size))),
        otherwise: nothing,
        example: "\"64MiB\"",
        takes: Takes::Restart,
        meaning: "The most that may wait; beyond it the oldest rounds go. The default holds four weeks of a healthy host's rounds.",
        wrong: "Too small: `spool-full`, and a long outage is lost from its beginning on, counted in `Lost`. Too large: a disk \
                that fills up, which is `spool-degraded`.",
    }],
};

pub(super) const TEXTFILE: Table = Table {
    name: "textfile",
    about: "The last round for node_exporter's textfile collector.",
    keys: &[Key {
        name: "path",
        kind: Kind::Path("a file that ends in `.prom`"),
        held: |config| path(config.textfile.path.as_ref()),
        otherwise: || "not written".to_owned(),
        example: "\"/var/lib/node_exporter/vpce_probe.prom\"",
        takes: Takes::Reload,
        meaning: "Written by the daemon after each round, and replaced by rename.",
        wrong: "The unit's sandbox keeps the daemon out until `ReadWritePaths=` names the folder, and the folder must be writable \
                for its user: else `state-unwritable` in the journal. A name that does not end in `.prom` is warned of: \
                node_exporter reads no other.",
    }],
};
