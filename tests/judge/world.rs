//! A private subnet's round as data: six targets with two addresses each, all well; cases spoil it.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use time::macros::datetime;
use vpce_probe::{
    classify::classify,
    model::{
        cause::Cause,
        host::{HostFacts, NameServer},
        observation::{
            AddressRecord, ConnectRecord, HttpRecord, LargeHello, MtuOutcome, MtuRecord, Observation, Outcome,
            ResolveRecord, ResolverRole, TlsRecord, Transport,
        },
        plan::{AddressRules, DnsPlan, Family, Limits, MtuMode, MtuPlan, Plan, TlsPlan},
        target::{Expect, Target},
        units::{Millis, Timestamp},
    },
};

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) host: HostFacts,
    pub(crate) seen: Vec<Observation>,
}

pub(crate) fn moment() -> Timestamp {
    Timestamp::new(datetime!(2026-11-21 03:04:05 UTC))
}

pub(crate) fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().map(|text| text.parse().expect("a CIDR")).collect()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn ms(milliseconds: u64) -> Millis {
    Duration::from_millis(milliseconds).into()
}

pub(crate) fn target(service: &str, expect: Expect, required: bool) -> Target {
    Target {
        name: service.to_owned(),
        service: Some(service.to_owned()),
        host: format!("{service}.eu-west-1.amazonaws.com"),
        port: 443,
        required,
        expect,
        path: "/".to_owned(),
        allowed_cidrs: Vec::new(),
    }
}

pub(crate) fn answer(server: &str, role: ResolverRole, outcome: Outcome, addresses: &[&str]) -> ResolveRecord {
    ResolveRecord {
        outcome,
        elapsed_ms: ms(2),
        resolver: Some(ip(server)),
        role,
        behind: None,
        transport: Some(Transport::Udp),
        cnames: Vec::new(),
        addresses: addresses.iter().map(|text| ip(text)).collect(),
        ttl_s: Some(60),
        detail: None,
    }
}

pub(crate) fn live(address: IpAddr, target: &Target, rules: &AddressRules) -> AddressRecord {
    let (place, subnet) = classify(address, target, rules);
    AddressRecord {
        address,
        place,
        subnet,
        connect: Some(ConnectRecord {
            outcome: Outcome::Ok,
            elapsed_ms: ms(1),
            local: Some("10.0.1.23:40000".parse().expect("an address")),
            errno: None,
            detail: None,
        }),
        tls: Some(TlsRecord {
            outcome: Outcome::Ok,
            elapsed_ms: ms(3),
            version: Some("TLSv1.3".to_owned()),
            cipher: None,
            key_exchange: None,
            issuer: Some("CN=Amazon RSA 2048 M01,O=Amazon,C=US".to_owned()),
            names: Vec::new(),
            not_after: None,
            not_before: None,
            days_left: Some(200),
            chain_bytes: Some(4200),
            chain_length: Some(3),
            chain_root: Some("CN=Amazon Root CA 1".to_owned()),
            hello_bytes: Some(1500),
            large_hello: LargeHello::NotTried,
            small_hello_bytes: None,
            detail: None,
        }),
        mtu: None,
        http: Some(HttpRecord {
            outcome: Outcome::Ok,
            elapsed_ms: ms(2),
            status: Some(404),
            aws: Some(true),
            clock_skew_s: Some(0.3),
            canary: None,
            bucket_region: None,
            server: None,
            detail: None,
        }),
    }
}

pub(crate) fn mtu(outcome: MtuOutcome) -> MtuRecord {
    MtuRecord {
        outcome,
        out_ok: Some(1400),
        out_fails: Some(1405),
        in_seen: Some(1380),
        in_ok: None,
        in_fails: None,
        link_mtu: Some(9001),
        elapsed_ms: ms(1500),
        connections: 5,
        measured_at: moment(),
        detail: None,
    }
}

/// A hole with these sizes that pass and that vanish: outwards (a second 0: none vanishes), then inwards.
pub(crate) fn holed(outcome: MtuOutcome, out: (u32, u32), back: Option<(u32, u32)>) -> MtuRecord {
    MtuRecord {
        out_ok: Some(out.0),
        out_fails: Some(out.1).filter(|fails| *fails > 0),
        in_seen: back.map_or(Some(4148), |(passes, _)| Some(passes)),
        in_ok: back.map(|(passes, _)| passes),
        in_fails: back.map(|(_, fails)| fails),
        ..mtu(outcome)
    }
}

/// A path that passes packets of `size`.
pub(crate) fn well(size: u32) -> MtuRecord {
    MtuRecord { connections: 0, ..holed(MtuOutcome::Ok, (size, 0), None) }
}

impl World {
    pub(crate) fn healthy() -> Self {
        let plan = Plan {
            region: Some("eu-west-1".to_owned()),
            targets: Vec::new(),
            round_deadline: Duration::from_secs(10),
            limits: Limits {
                resolve: Duration::from_secs(4),
                connect: Duration::from_secs(4),
                tls: Duration::from_secs(5),
                http: Duration::from_secs(4),
                mtu: Duration::from_secs(8),
            },
            family: Family::Any,
            http: true,
            dns: DnsPlan {
                servers: vec![NameServer { address: "10.0.0.2:53".parse().expect("an address"), behind: None }],
                vpc: None,
                attempts: 4,
                hosts_file: true,
            },
            addresses: AddressRules {
                vpc_cidrs: nets(&["10.0.0.0/16", "2600:1f18:1234:1a00::/56"]),
                subnet_cidrs: nets(&["10.0.1.0/24"]),
                allowed_cidrs: Vec::new(),
                s3_prefixes: Vec::new(),
            },
            tls: TlsPlan {
                post_quantum: true,
                extra_ca_file: None,
                expiry_warning: Duration::from_hours(14 * 24),
                expected_issuers: vec!["Amazon".to_owned()],
            },
            mtu: MtuPlan { mode: MtuMode::Full, repeat_every: 10, spread: 0 },
        };
        let host = HostFacts {
            instance_id: Some("i-0123456789abcdef0".to_owned()),
            region: Some("eu-west-1".to_owned()),
            partition: Some("aws".to_owned()),
            availability_zone: Some("eu-west-1a".to_owned()),
            vpc_id: Some("vpc-0aaa".to_owned()),
            subnet_id: Some("subnet-0bbb".to_owned()),
            subnet_cidrs: nets(&["10.0.1.0/24"]),
            vpc_cidrs: nets(&["10.0.0.0/16"]),
            addresses: nets(&["10.0.1.23/24"]),
            ..HostFacts::default()
        };
        let mut world = Self { plan, host, seen: Vec::new() };
        for (service, last, required) in [
            ("ssm", 10, true),
            ("ssmmessages", 11, true),
            ("ec2messages", 12, false),
            ("logs", 13, false),
            ("monitoring", 14, false),
        ] {
            let addresses = [format!("10.0.1.{last}"), format!("10.0.2.{last}")];
            world.add(target(service, Expect::Private, required), &[&addresses[0], &addresses[1]]);
        }
        world.add(target("s3", Expect::Any, true), &["52.218.10.10", "52.218.10.11"]);
        world
    }

    pub(crate) fn add(&mut self, target: Target, addresses: &[&str]) {
        let resolve = answer("10.0.0.2", ResolverRole::System, Outcome::Ok, addresses);
        let addresses = addresses.iter().map(|text| live(ip(text), &target, &self.plan.addresses)).collect();
        self.seen.push(Observation {
            target,
            resolvers: vec![resolve.clone()],
            resolve,
            addresses,
            proxy: None,
            exhausted: None,
        });
    }

    pub(crate) fn only(&mut self, names: &[&str]) {
        self.seen.retain(|seen| names.contains(&seen.target.name.as_str()));
    }

    pub(crate) fn at(&mut self, name: &str) -> &mut Observation {
        self.seen.iter_mut().find(|seen| seen.target.name == name).expect("a target of the world")
    }

    /// The name gives these addresses, all of them live.
    pub(crate) fn resolves(&mut self, name: &str, addresses: &[&str]) {
        let rules = self.plan.addresses.clone();
        let seen = self.at(name);
        seen.resolve.addresses = addresses.iter().map(|text| ip(text)).collect();
        seen.resolvers = vec![seen.resolve.clone()];
        let target = seen.target.clone();
        seen.addresses = addresses.iter().map(|text| live(ip(text), &target, &rules)).collect();
    }

    /// The name is not resolved.
    pub(crate) fn unresolved(&mut self, name: &str, cause: Cause) {
        let seen = self.at(name);
        seen.resolve = answer("10.0.0.2", ResolverRole::System, Outcome::Failed(cause), &[]);
        seen.resolvers = vec![seen.resolve.clone()];
        seen.addresses = Vec::new();
    }

    pub(crate) fn vpc_says(&mut self, name: &str, addresses: &[&str]) {
        self.plan.dns.vpc = Some("10.0.0.2:53".parse().expect("an address"));
        let seen = self.at(name);
        for record in std::iter::once(&mut seen.resolve).chain(&mut seen.resolvers) {
            record.resolver = Some(ip("10.9.0.2"));
        }
        seen.resolvers.push(answer("10.0.0.2", ResolverRole::Vpc, Outcome::Ok, addresses));
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.seen.iter().map(|seen| seen.target.name.clone()).collect()
    }

    /// These targets' addresses do not connect.
    pub(crate) fn silent(&mut self, names: &[&str]) {
        for name in names {
            for record in &mut self.at(name).addresses {
                fails_to_connect(record, Cause::TcpTimeout);
            }
        }
    }

    pub(crate) fn each(&mut self, mut change: impl FnMut(&mut AddressRecord)) {
        for record in self.seen.iter_mut().flat_map(|seen| &mut seen.addresses) {
            change(record);
        }
    }
}

pub(crate) fn fails_to_connect(record: &mut AddressRecord, cause: Cause) {
    if let Some(connect) = &mut record.connect {
        connect.outcome = Outcome::Failed(cause);
        connect.elapsed_ms = ms(4000);
    }
    record.tls = None;
    record.http = None;
}

pub(crate) fn fails_tls(record: &mut AddressRecord, cause: Cause) {
    if let Some(tls) = &mut record.tls {
        tls.outcome = Outcome::Failed(cause);
    }
    record.http = None;
}

pub(crate) fn fails_http(record: &mut AddressRecord, cause: Cause) {
    if let Some(http) = &mut record.http {
        http.outcome = Outcome::Failed(cause);
        (http.status, http.aws, http.clock_skew_s) = (None, None, None);
    }
}

/// The large hello does not pass, the small one does; their sizes, where they are known.
pub(crate) fn blocked(record: &mut AddressRecord, sizes: Option<(u64, u64)>) {
    if let Some(tls) = &mut record.tls {
        tls.large_hello = LargeHello::Blocked;
        tls.hello_bytes = sizes.map(|(large, _)| large);
        tls.small_hello_bytes = sizes.map(|(_, small)| small);
        tls.key_exchange = sizes.map(|_| "X25519".to_owned());
    }
}
