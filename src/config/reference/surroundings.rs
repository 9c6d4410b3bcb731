//! `[address]` and `[host]`: what is known about this host's surroundings.

use super::{Key, Kind, Table, Takes, list, nothing, text};

pub(super) const ADDRESS: Table = Table {
    name: "address",
    about: "What counts as private, and what as S3's own.",
    keys: &[
        Key {
            name: "allowed_cidrs",
            kind: Kind::Networks,
            held: |config| Some(list(&config.address.allowed_cidrs)),
            otherwise: nothing,
            example: "[\"203.0.113.0/24\"]",
            takes: Takes::Reload,
            meaning: "Networks that count as private beside the VPC's own, RFC 1918, 100.64.0.0/10 and fc00::/7: a hub VPC with \
                      public addresses, for example.",
            wrong: "Too wide: a public address passes as private, and private DNS that does not work goes unseen. A prefix of \
                    `/0` is refused.",
        },
        Key {
            name: "s3_prefixes",
            kind: Kind::Networks,
            held: |config| Some(list(&config.address.s3_prefixes)),
            otherwise: nothing,
            example: "[\"52.218.0.0/17\"]",
            takes: Takes::Reload,
            meaning: "The region's prefix list of S3, to call addresses that a gateway endpoint routes by that name in the report.",
            wrong: "Missing or old: they are shown as public. No verdict depends on it.",
        },
    ],
};

pub(super) const HOST: Table = Table {
    name: "host",
    about: "Facts about this host. Each that is set is not asked of IMDS; with `region`, `instance_id`, `vpc_id`, `vpc_cidrs` \
            and `availability_zone` all set, IMDS is not asked at all. For hosts outside EC2, and where IMDS is off. A file \
            for a whole fleet should have none of them.",
    keys: &[
        Key {
            name: "instance_id",
            kind: Kind::Text("an id that begins with `i-` or `mi-`"),
            held: |config| config.host.instance_id.as_ref().map(text),
            otherwise: from_imds,
            example: "\"i-0123456789abcdef0\"",
            takes: Takes::Reload,
            meaning: "Names this host in reports and in the metrics `InstanceHealthy` and `Heartbeat`; its moment within \
                      `interval` and `flush_interval` follows from it.",
            wrong: "Two hosts with one id share a metric: nobody can tell which of them is sick.",
        },
        Key {
            name: "vpc_id",
            kind: Kind::Text("an id that begins with `vpc-`"),
            held: |config| config.host.vpc_id.as_ref().map(text),
            otherwise: from_imds,
            example: "\"vpc-0123456789abcdef0\"",
            takes: Takes::Reload,
            meaning: "The dimension that the metrics of one VPC's hosts share; without it Region takes its place.",
            wrong: "This host's metrics are counted in another VPC: there its faults raise alarms, and here it is silent.",
        },
        Key {
            name: "vpc_cidrs",
            kind: Kind::Networks,
            held: |config| config.host.vpc_cidrs.as_deref().map(list),
            otherwise: from_imds,
            example: "[\"10.0.0.0/16\", \"fd00:1::/56\"]",
            takes: Takes::Reload,
            meaning: "All networks of the VPC, those added later included: `expect = \"own-vpc\"` is judged by them.",
            wrong: "One too few: its endpoints are `address-outside-vpc`, or `address-public` where the network is public. One \
                    too many: foreign addresses pass as the VPC's own.",
        },
        Key {
            name: "subnet_id",
            kind: Kind::Text("an id that begins with `subnet-`"),
            held: |config| config.host.subnet_id.as_ref().map(text),
            otherwise: from_imds,
            example: "\"subnet-0123456789abcdef0\"",
            takes: Takes::Reload,
            meaning: "Named in the advice on route tables; a dimension where `cloudwatch.extra_dimension_sets` asks for it.",
            wrong: "The advice leads to another subnet's route table.",
        },
        Key {
            name: "subnet_cidrs",
            kind: Kind::Networks,
            held: |config| config.host.subnet_cidrs.as_deref().map(list),
            otherwise: from_imds,
            example: "[\"10.0.1.0/24\"]",
            takes: Takes::Reload,
            meaning: "Networks of this host's subnet: tells an endpoint's interface in the same subnet from one elsewhere, and \
                      so a route from a security group. Each must lie in `vpc_cidrs`, if that is set.",
            wrong: "The advice looks for the fault in the wrong place.",
        },
        Key {
            name: "availability_zone",
            kind: Kind::Text("a zone's name"),
            held: |config| config.host.availability_zone.as_ref().map(text),
            otherwise: from_imds,
            example: "\"eu-west-1a\"",
            takes: Takes::Reload,
            meaning: "The zone's name as this account sees it. It must begin with `region`, if that is set.",
            wrong: "Reports and, where asked for, metrics name another zone.",
        },
        Key {
            name: "availability_zone_id",
            kind: Kind::Text("a zone's id"),
            held: |config| config.host.availability_zone_id.as_ref().map(text),
            otherwise: from_imds,
            example: "\"euw1-az1\"",
            takes: Takes::Reload,
            meaning: "The zone's id, which means the same zone in every account: the one to compare hosts of several accounts \
                      by.",
            wrong: "As with `availability_zone`.",
        },
    ],
};

fn from_imds() -> String {
    "what IMDS says".to_owned()
}
