//! `[timeouts]`, `[dns]`, `[mtu]`, `[tls]`: how the stages work.

use super::{Key, Kind, Table, Takes, list, names, nothing, text, time, word};
use crate::config::{
    Config, ResolverChoice,
    bounds::{ATTEMPTS, EXPIRY, MODES, REPEAT, TIMEOUT},
};

pub(super) const TIMEOUTS: Table = Table {
    name: "timeouts",
    about: "How long each stage may take, for each name and each address by itself: a dead one costs no other its time.",
    keys: &[
        Key {
            name: "resolve",
            kind: Kind::Duration(&TIMEOUT),
            held: |config| Some(time(config.timeouts.resolve)),
            otherwise: nothing,
            example: "\"3s\"",
            takes: Takes::Reload,
            meaning: "Until a name server must have answered. `dns.attempts` sends are spread over it, and a late answer to an \
                      early one counts.",
            wrong: "Shorter than a slow name server takes: `dns-timeout` for names that programs do get.",
        },
        Key {
            name: "connect",
            kind: Kind::Duration(&TIMEOUT),
            held: |config| Some(time(config.timeouts.connect)),
            otherwise: nothing,
            example: "\"3s\"",
            takes: Takes::Reload,
            meaning: "Until TCP must be open. The kernel sends a lost SYN again after 1 s, and tells of a neighbour that does \
                      not answer after 3 s.",
            wrong: "Below 1 s one lost packet is a `tcp-timeout`; below 3 s so is an address in the own subnet that nobody has, in place of \
                    `tcp-unreachable`.",
        },
        Key {
            name: "tls",
            kind: Kind::Duration(&TIMEOUT),
            held: |config| Some(time(config.timeouts.tls)),
            otherwise: nothing,
            example: "\"4s\"",
            takes: Takes::Reload,
            meaning: "Until the handshake must be complete and verified, retransmissions included.",
            wrong: "Too short: `tls-timeout` on a path that loses packets, where a path-MTU hole could not be told from loss \
                    either.",
        },
        Key {
            name: "http",
            kind: Kind::Duration(&TIMEOUT),
            held: |config| Some(time(config.timeouts.http)),
            otherwise: nothing,
            example: "\"3s\"",
            takes: Takes::Reload,
            meaning: "Until the answer to the one HTTP question must be complete.",
            wrong: "Too short: `http-timeout` from a service that is merely slow.",
        },
        Key {
            name: "mtu",
            kind: Kind::Duration(&TIMEOUT),
            held: |config| Some(time(config.timeouts.mtu)),
            otherwise: nothing,
            example: "\"6s\"",
            takes: Takes::Reload,
            meaning: "One measurement of the path MTU, beside the other stages. It counts only with `mtu.mode = \"full\"`.",
            wrong: "Too short: `mtu-inconclusive`, above all where there is a hole.",
        },
        Key {
            name: "imds",
            kind: Kind::Duration(&TIMEOUT),
            held: |config| Some(time(config.timeouts.imds)),
            otherwise: nothing,
            example: "\"1s\"",
            takes: Takes::Reload,
            meaning: "All facts about this host together; where IMDS is silent, a round begins so much later. The daemon takes \
                      at most half of `round_deadline`.",
            wrong: "Too short: the VPC's networks and id are missing, so `own-vpc` cannot be judged and metrics go by Region in \
                    place of `VpcId`.",
        },
    ],
};

pub(super) const DNS: Table = Table {
    name: "dns",
    about: "Who is asked for names. Every name server is asked by itself: a dead first one, on which programs stall, shows.",
    keys: &[
        Key {
            name: "resolver",
            kind: Kind::Resolver,
            held: |config| Some(resolver(config)),
            otherwise: nothing,
            example: "[\"10.0.0.2\", \"fd00:ec2::253\"]",
            takes: Takes::Reload,
            meaning: "`\"system\"`: those of `/etc/resolv.conf`, or those behind systemd-resolved's stub. `\"vpc\"`: the VPC's \
                      own resolver.",
            wrong: "With another than the system's, what is probed is not what programs on this host see: a broken \
                    `/etc/resolv.conf` goes unnoticed.",
        },
        Key {
            name: "attempts",
            kind: Kind::Whole(&ATTEMPTS, "sends"),
            held: |config| Some(config.dns.attempts.to_string()),
            otherwise: nothing,
            example: "2",
            takes: Takes::Reload,
            meaning: "How often a question is sent to a name server in all, spread over `timeouts.resolve`.",
            wrong: "1: one lost packet is a `dns-timeout`. Many: more load on a name server that is slow already.",
        },
        Key {
            name: "compare_with_vpc",
            kind: Kind::Flag,
            held: |config| Some(config.dns.compare_with_vpc.to_string()),
            otherwise: nothing,
            example: "false",
            takes: Takes::Reload,
            meaning: "On EC2, ask the VPC's resolver too where the system's is another one: tells whose answer is wrong.",
            wrong: "`false`: no `resolver-disagrees`, and a wrong answer of a forwarder looks like a fault of the VPC.",
        },
    ],
};

pub(super) const MTU: Table = Table {
    name: "mtu",
    about: "The size of packets on the way to each address; no ICMP and no privilege is needed for it (`docs/mtu.md`).",
    keys: &[
        Key {
            name: "mode",
            kind: Kind::Word(|| names(MODES)),
            held: |config| word(MODES, &config.mtu.mode),
            otherwise: nothing,
            example: "\"passive\"",
            takes: Takes::Reload,
            meaning: "`\"full\"`: growing segments on the connection that is there anyway, and further connections on \
                      suspicion. `\"passive\"`: send nothing for it, and tell what arrived. `\"off\"`: not at all.",
            wrong: "Other than `\"full\"`: `mtu-blackhole-out` and its like go unseen, and a hole is at best a `tls-timeout`.",
        },
        Key {
            name: "repeat_every",
            kind: Kind::Whole(&REPEAT, "rounds"),
            held: |config| Some(config.mtu.repeat_every.to_string()),
            otherwise: nothing,
            example: "60",
            takes: Takes::Reload,
            meaning: "The daemon measures a healthy address that did not change once in so many rounds; `once` measures always.",
            wrong: "Large: a hole that opens on an idle path is found so much later. 1: every round measures, which costs more \
                    packets and CPU time.",
        },
    ],
};

pub(super) const TLS: Table = Table {
    name: "tls",
    about: "How the handshake is made, and what is noted about certificates. Verification cannot be turned off.",
    keys: &[
        Key {
            name: "post_quantum",
            kind: Kind::Flag,
            held: |config| Some(config.tls.post_quantum.to_string()),
            otherwise: nothing,
            example: "false",
            takes: Takes::Reload,
            meaning: "Offer the post-quantum key share, as today's clients do: it makes the ClientHello larger than one packet.",
            wrong: "`false`: a firewall that drops a large ClientHello goes unseen (`large-hello-blocked`), while programs fail \
                    on it.",
        },
        Key {
            name: "expiry_warning",
            kind: Kind::Duration(&EXPIRY),
            held: |config| Some(time(config.tls.expiry_warning)),
            otherwise: nothing,
            example: "\"30d\"",
            takes: Takes::Reload,
            meaning: "Warn when a certificate has less left (`certificate-expiring`); `\"0s\"`: never. Whole days count.",
            wrong: "Longer than what is left when certificates are renewed: a standing warning, and the round is degraded.",
        },
        Key {
            name: "expected_issuers",
            kind: Kind::Texts("each a part of an issuer's name"),
            held: |config| Some(list(&config.tls.expected_issuers)),
            otherwise: nothing,
            example: "[\"Amazon\", \"Example Corp\"]",
            takes: Takes::Reload,
            meaning: "Issuers of AWS services' certificates that need no note; `[]`: no note about any. Another issuer that is \
                      trusted is the note `issuer-unexpected`, never a failure. A foreign authority that is not trusted and \
                      signs everything is `tls-inspection`.",
            wrong: "Without the issuer that a company's TLS inspection uses: a note in each round. With it, or with `[]`: a \
                    trusted inspection goes unmentioned.",
        },
    ],
};

fn resolver(config: &Config) -> String {
    match &config.dns.resolver {
        ResolverChoice::System => text("system"),
        ResolverChoice::Vpc => text("vpc"),
        ResolverChoice::Servers(servers) => list(servers),
    }
}
