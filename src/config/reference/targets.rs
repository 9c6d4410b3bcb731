//! `[[target]]`.

use super::{Key, Kind, Table, Takes, list, text};
use crate::{
    config::{Config, Target, bounds::PORT},
    model::target::Expect,
};

pub(super) const TARGET: Table = Table {
    name: "target",
    about: "One for each further thing to probe, by its `service` or by its `host`. An entry that names a default target by \
            `service` or `name` is merged into it key by key: what it does not set stays.",
    keys: &[
        Key {
            name: "service",
            kind: Kind::Text("the code in `com.amazonaws.REGION.CODE`"),
            held: |config| first(config)?.service.as_ref().map(text),
            otherwise: || "none; then `host` is needed, or the `name` of a default target".to_owned(),
            example: "\"kms\"",
            takes: Takes::Reload,
            meaning: "An AWS service. Its host name and port are known for the region: `vpce-probe targets --service kms` shows \
                      those of one.",
            wrong: "A code whose host is not known is refused, with the nearest one that is; give `host` beside it.",
        },
        Key {
            name: "host",
            kind: Kind::Text("a full host name, no URL and no address"),
            held: |config| first(config)?.host.as_ref().map(text),
            otherwise: || "the service's own".to_owned(),
            example: "\"vault.corp.example\"",
            takes: Takes::Reload,
            meaning: "Any host that speaks TLS. Beside a `service` it is probed in place of the service's own: an endpoint's own \
                      DNS name, for example. The search list of `/etc/resolv.conf` is not applied.",
            wrong: "Its certificate must be for this name: else `tls-wrong-name`. A name that programs do not use says nothing \
                    about them.",
        },
        Key {
            name: "name",
            kind: Kind::Text("printable ASCII"),
            held: |config| first(config)?.name.as_ref().map(text),
            otherwise: || "the service, or the host".to_owned(),
            example: "\"keys\"",
            takes: Takes::Reload,
            meaning: "What reports, journal and metrics call it (dimension `Target`).",
            wrong: "With another name its series begin anew, and its alarms wait for a name that no longer comes: print and \
                    deploy them again. No two targets may have one name.",
        },
        Key {
            name: "port",
            kind: Kind::Whole(&PORT, "TCP port"),
            held: |config| first(config)?.port.map(|port| port.to_string()),
            otherwise: || "`443`, or the service's own where that is another".to_owned(),
            example: "8443",
            takes: Takes::Reload,
            meaning: "The port, which must speak TLS from the first byte.",
            wrong: "`tcp-refused`, `tcp-timeout` or `tls-not-tls`.",
        },
        Key {
            name: "expect",
            kind: Kind::Word(|| Expect::ALL.iter().map(|expect| expect.as_str()).collect()),
            held: |config| first(config)?.expect.map(text),
            otherwise: || {
                format!(
                    "`{}`; `{}` for the services `s3` and `dynamodb`, whose gateway endpoints keep public addresses",
                    text(Expect::Private),
                    text(Expect::Any)
                )
            },
            example: "\"own-vpc\"",
            takes: Takes::Reload,
            meaning: "Where its addresses must lie. `\"own-vpc\"`: in the VPC's networks. `\"private\"`: there, in \
                      `allowed_cidrs`, or in private space. `\"any\"`: anywhere. `\"public\"`: in public space. `\"absent\"`: \
                      the name must not answer.",
            wrong: "Too strict: `address-public` or `address-outside-vpc` where all is well. Too loose: a name that silently \
                    leads out of the VPC counts as healthy.",
        },
        Key {
            name: "required",
            kind: Kind::Flag,
            held: |config| first(config)?.required.map(|flag| flag.to_string()),
            otherwise: || {
                "`false`; a default target keeps its own, which is `true` for `ssm`, `ssmmessages` and `s3`".to_owned()
            },
            example: "true",
            takes: Takes::Reload,
            meaning: "Whether its failure fails the round. The round is degraded by the failure of one that is not required, and \
                      where that one has no endpoint here it is skipped (`endpoint-absent`).",
            wrong: "`false` where programs need it: nobody is told that its endpoint was never made.",
        },
        Key {
            name: "path",
            kind: Kind::Text("beginning with `/`"),
            held: |config| first(config)?.path.as_ref().map(text),
            otherwise: || {
                "`/`; for `s3` an object that the SSM agent fetches; none where the service speaks no HTTP".to_owned()
            },
            example: "\"/ping\"",
            takes: Takes::Reload,
            meaning: "What the HTTP question asks for. Any complete answer will do, an error status too.",
            wrong: "On `s3`, a path outside the agent's bucket does not show that the endpoint's policy keeps the agent out.",
        },
        Key {
            name: "allowed_cidrs",
            kind: Kind::Networks,
            held: |config| first(config).map(|target| list(&target.allowed_cidrs)),
            otherwise: || "`[]`".to_owned(),
            example: "[\"198.51.100.0/24\"]",
            takes: Takes::Reload,
            meaning: "Networks that count as private for this target only, beside those of `[address]`.",
            wrong: "As with `address.allowed_cidrs`.",
        },
        Key {
            name: "enabled",
            kind: Kind::Flag,
            held: |config| first(config)?.enabled.map(|flag| flag.to_string()),
            otherwise: || "`true`".to_owned(),
            example: "false",
            takes: Takes::Reload,
            meaning: "`false` takes a default target out.",
            wrong: "What is taken out is not watched, and nothing says so but `vpce-probe targets`.",
        },
    ],
};

fn first(config: &Config) -> Option<&Target> {
    config.targets.first()
}
