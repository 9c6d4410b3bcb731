//! Worlds and what must be said of them. Every rule of the judge is needed by one of them.

use vpce_probe::model::{
    cause::Cause::{
        self, AddressBogus, AddressMixed, AddressOutsideVpc, AddressPublic, AgentNotRunning, AgentStale,
        CertificateExpiring, ClockSkew, ClockWrong, ConnectSlow, ConntrackLimit, DnsNoData, DnsNxdomain, DnsServfail,
        DnsSlow, DnsTimeout, EgressBlocked, EndpointAbsent, EndpointMissing, EndpointPartial, EndpointsBlocked,
        GatewayUnreachable, HostsOverride, HttpNotAws, HttpServerError, HttpTimeout, Ipv6Broken, IssuerUnexpected,
        LargeHelloBlocked, LinklocalLimit, MtuBlackholeBoth, MtuBlackholeIn, MtuBlackholeOut, MtuInconclusive,
        MtuReliesOnIcmp, NameserverDead, NotFinished, PathMtu, PrivateDnsOff, ProxyInterferes, ResolverDisagrees,
        ResolverDown, ResourceExhausted, S3AccessDenied, S3WrongRegion, SingleZone, TcpRefused, TcpTimeout,
        TcpUnreachable, TlsClosed, TlsExpired, TlsInspection, TlsNotYetValid, TlsReset, TlsSlow, TlsTimeout,
        TlsUntrusted, UnexpectedAnswer,
    },
    host::{Agent, AgentState, Allowances, Link, Proxy},
    observation::{Canary, MtuOutcome, MtuRecord, Outcome, ProxyRecord, ResolverRole, Transport},
    target::{Expect, Target},
    verdict::{
        Problem,
        RoundVerdict::{self, Degraded, Failed, Healthy},
        Severity::{self, Failure, Note, Warning},
        Verdict,
    },
};

use crate::world::{
    World, answer, blocked, fails_http, fails_tls, fails_to_connect, holed, ip, ms, mtu, nets, target, well,
};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) world: fn(&mut World),
    pub(crate) verdict: RoundVerdict,
    /// The targets of which more is said than of the `others`.
    pub(crate) targets: &'static [(&'static str, Verdict, Option<Cause>)],
    pub(crate) others: (Verdict, Option<Cause>),
    /// All findings, in order.
    pub(crate) findings: &'static [(Cause, Severity)],
    /// Causes among the problems of targets or host.
    pub(crate) notes: &'static [Cause],
    /// Parts of the findings' texts.
    pub(crate) says: &'static [&'static str],
}

const WELL: (Verdict, Option<Cause>) = (Verdict::Healthy, None);
const BASE: Case = Case {
    name: "",
    world: |_| {},
    verdict: Healthy,
    targets: &[],
    others: WELL,
    findings: &[],
    notes: &[],
    says: &[],
};

const fn bad(name: &'static str, cause: Cause) -> (&'static str, Verdict, Option<Cause>) {
    (name, Verdict::Failed, Some(cause))
}

const fn warned(name: &'static str, cause: Cause) -> (&'static str, Verdict, Option<Cause>) {
    (name, Verdict::Degraded, Some(cause))
}

const fn noted(name: &'static str, cause: Cause) -> (&'static str, Verdict, Option<Cause>) {
    (name, Verdict::Healthy, Some(cause))
}

const fn skipped(name: &'static str, cause: Cause) -> (&'static str, Verdict, Option<Cause>) {
    (name, Verdict::Skipped, Some(cause))
}

const ABSENT: (Verdict, Option<Cause>) = (Verdict::Skipped, Some(EndpointAbsent));
const PUBLIC: [(&str, &str); 5] = [
    ("ssm", "52.46.0.10"),
    ("ssmmessages", "52.46.0.11"),
    ("ec2messages", "52.46.0.12"),
    ("logs", "52.46.0.13"),
    ("monitoring", "52.46.0.14"),
];
const PRIVATE: [&str; 5] = ["ssm", "ssmmessages", "ec2messages", "logs", "monitoring"];

fn own_host(name: &str, expect: Expect) -> Target {
    Target { name: name.to_owned(), service: None, host: format!("{name}.corp.example"), ..target(name, expect, true) }
}

fn proxy(agent: bool, no_proxy: &[&str]) -> Proxy {
    Proxy {
        origin: "override.conf".to_owned(),
        agent,
        variable: "https_proxy".to_owned(),
        url: "http://proxy.corp.example:3128".to_owned(),
        host: "proxy.corp.example".to_owned(),
        port: 3128,
        no_proxy: no_proxy.iter().map(|entry| (*entry).to_owned()).collect(),
    }
}

fn through_proxy(agent: bool, works: bool) -> ProxyRecord {
    ProxyRecord {
        url: "http://proxy.corp.example:3128".to_owned(),
        origin: "override.conf".to_owned(),
        agent,
        works,
        status: Some(if works { 200 } else { 403 }),
        detail: None,
    }
}

fn host_problem(cause: Cause) -> Problem {
    Problem { cause, severity: Note, stage: None, address: None, summary: "as the host layer says".to_owned() }
}

fn pin(world: &mut World, name: &str, address: &str) {
    world.resolves(name, &[address]);
    let seen = world.at(name);
    seen.resolve.transport = Some(Transport::HostsFile);
    seen.resolve.resolver = None;
    seen.resolvers = vec![seen.resolve.clone()];
}

fn issued_by(world: &mut World, issuer: &str) {
    world.each(|record| {
        fails_tls(record, TlsUntrusted);
        if let Some(tls) = &mut record.tls {
            tls.issuer = Some(issuer.to_owned());
            tls.chain_root = Some("CN=Corp Root".to_owned());
        }
    });
}

fn skew(world: &mut World, seconds: f64) {
    world.each(|record| {
        if let Some(http) = &mut record.http {
            http.clock_skew_s = Some(seconds);
        }
    });
}

pub(crate) const CASES: &[Case] = &[
    Case { name: "healthy", ..BASE },
    // ---- names
    Case {
        name: "one required name does not exist",
        world: |w| w.unresolved("ssm", DnsNxdomain),
        verdict: Failed,
        targets: &[bad("ssm", DnsNxdomain)],
        findings: &[(DnsNxdomain, Failure)],
        says: &["dig @169.254.169.253 ssm.eu-west-1.amazonaws.com"],
        ..BASE
    },
    Case {
        name: "a broken answer for an optional name",
        world: |w| w.unresolved("logs", DnsServfail),
        verdict: Degraded,
        targets: &[bad("logs", DnsServfail)],
        findings: &[(DnsServfail, Failure)],
        ..BASE
    },
    Case {
        name: "no name has an address of the family that is asked for",
        world: |w| {
            for name in w.names() {
                w.unresolved(&name, DnsNoData);
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", DnsNoData), bad("ssmmessages", DnsNoData), bad("s3", DnsNoData)],
        others: ABSENT,
        findings: &[(DnsNoData, Failure), (DnsNoData, Failure), (DnsNoData, Failure)],
        ..BASE
    },
    Case {
        name: "no name resolves",
        world: |w| {
            for name in w.names() {
                w.unresolved(&name, DnsTimeout);
            }
        },
        verdict: Failed,
        others: (Verdict::Failed, Some(DnsTimeout)),
        findings: &[(ResolverDown, Failure)],
        says: &[
            "none of 6 names resolves (dns-timeout; asked 10.0.0.2)",
            "dig @169.254.169.253 ssm.eu-west-1.amazonaws.com",
        ],
        ..BASE
    },
    Case {
        name: "the only target's name is not answered",
        world: |w| {
            w.only(&["ssm"]);
            w.unresolved("ssm", DnsTimeout);
        },
        verdict: Failed,
        targets: &[bad("ssm", DnsTimeout)],
        findings: &[(DnsTimeout, Failure)],
        ..BASE
    },
    Case {
        name: "the company's resolver does not forward",
        world: |w| {
            for (name, address) in PUBLIC {
                w.resolves(name, &[address]);
                w.vpc_says(name, &["10.0.1.10", "10.0.2.10"]);
            }
        },
        verdict: Failed,
        targets: &[("s3", Verdict::Healthy, None)],
        others: (Verdict::Failed, Some(AddressPublic)),
        findings: &[(ResolverDisagrees, Failure)],
        notes: &[ResolverDisagrees],
        says: &[
            "10.9.0.2 says 52.46.0.10",
            "10.9.0.2 does not forward to it",
            "dig @10.9.0.2 ssm.eu-west-1.amazonaws.com",
        ],
    },
    Case {
        name: "split-horizon S3 on purpose",
        world: |w| {
            w.resolves("s3", &["10.0.1.15"]);
            w.vpc_says("s3", &["52.218.10.10"]);
        },
        ..BASE
    },
    Case {
        name: "the hosts file pins a name to a living address",
        world: |w| pin(w, "ssm", "10.0.1.10"),
        verdict: Degraded,
        targets: &[warned("ssm", HostsOverride)],
        findings: &[(HostsOverride, Warning)],
        says: &["grep -n ssm.eu-west-1.amazonaws.com /etc/hosts"],
        ..BASE
    },
    Case {
        name: "the hosts file pins an optional name to a public address",
        world: |w| pin(w, "logs", "52.46.0.13"),
        verdict: Degraded,
        targets: &[bad("logs", AddressPublic)],
        findings: &[(HostsOverride, Failure)],
        ..BASE
    },
    Case {
        name: "the first of two name servers is dead",
        world: |w| {
            for seen in &mut w.seen {
                let dead = answer("10.9.0.53", ResolverRole::System, Outcome::Failed(DnsTimeout), &[]);
                seen.resolvers.insert(0, dead);
            }
        },
        verdict: Degraded,
        others: (Verdict::Degraded, Some(NameserverDead)),
        findings: &[(NameserverDead, Warning)],
        says: &["name server 10.9.0.53"],
        ..BASE
    },
    Case {
        name: "a slow resolver",
        world: |w| w.seen.iter_mut().for_each(|seen| seen.resolve.elapsed_ms = ms(2000)),
        others: (Verdict::Healthy, Some(DnsSlow)),
        ..BASE
    },
    Case {
        name: "an answer without any address",
        world: |w| {
            w.at("ssm").resolve.addresses = Vec::new();
            w.at("ssm").addresses = Vec::new();
        },
        verdict: Failed,
        targets: &[bad("ssm", DnsNoData)],
        findings: &[(DnsNoData, Failure)],
        ..BASE
    },
    // ---- where addresses lie
    Case {
        name: "one name is public and silent, its siblings are private",
        world: |w| {
            w.resolves("ssmmessages", &["52.46.0.11"]);
            w.silent(&["ssmmessages"]);
        },
        verdict: Failed,
        targets: &[bad("ssmmessages", AddressPublic)],
        findings: &[(EndpointMissing, Failure)],
        says: &["com.amazonaws.eu-west-1.ssmmessages", "the VPC's owner must", "public and silent"],
        ..BASE
    },
    Case {
        name: "one name is public and answers",
        world: |w| w.resolves("ssm", &["52.46.0.10"]),
        verdict: Failed,
        targets: &[bad("ssm", AddressPublic)],
        findings: &[(EndpointMissing, Failure)],
        ..BASE
    },
    Case {
        name: "private DNS is off, NAT hides it",
        world: |w| PUBLIC.iter().for_each(|(name, address)| w.resolves(name, &[address])),
        verdict: Failed,
        targets: &[bad("ssm", AddressPublic), bad("ssmmessages", AddressPublic), ("s3", Verdict::Healthy, None)],
        others: ABSENT,
        findings: &[(PrivateDnsOff, Failure)],
        says: &[
            "Both DNS attributes of vpc-0aaa must be on",
            "enableDnsSupport",
            "enableDnsHostnames",
            "traffic leaves the VPC",
        ],
        ..BASE
    },
    Case {
        name: "the only private name is public",
        world: |w| {
            w.only(&["ssm", "s3"]);
            w.resolves("ssm", &["52.46.0.10"]);
        },
        verdict: Failed,
        targets: &[bad("ssm", AddressPublic)],
        findings: &[(AddressPublic, Failure)],
        ..BASE
    },
    Case {
        name: "the minimal VPC for SSM",
        world: |w| {
            for (name, address) in &PUBLIC[2..] {
                w.resolves(name, &[address]);
                w.silent(&[name]);
            }
        },
        targets: &[
            ("ssm", Verdict::Healthy, None),
            ("ssmmessages", Verdict::Healthy, None),
            ("s3", Verdict::Healthy, None),
        ],
        others: ABSENT,
        ..BASE
    },
    Case {
        name: "an optional name does not exist",
        world: |w| w.unresolved("ec2messages", DnsNxdomain),
        targets: &[skipped("ec2messages", EndpointAbsent)],
        ..BASE
    },
    Case { name: "a hub VPC is private enough", world: |w| w.resolves("ssm", &["10.50.0.10", "10.50.1.10"]), ..BASE },
    Case {
        name: "the own VPC is expected",
        world: |w| {
            w.resolves("ssm", &["10.50.0.10", "10.50.1.10"]);
            w.at("ssm").target.expect = Expect::OwnVpc;
        },
        verdict: Failed,
        targets: &[bad("ssm", AddressOutsideVpc)],
        findings: &[(AddressOutsideVpc, Failure)],
        ..BASE
    },
    Case {
        name: "a sinkhole",
        world: |w| w.resolves("ssm", &["0.0.0.0"]),
        verdict: Failed,
        targets: &[bad("ssm", AddressBogus)],
        findings: &[(AddressBogus, Failure)],
        ..BASE
    },
    Case {
        name: "private and public in one answer",
        world: |w| w.resolves("ssm", &["10.0.1.10", "52.46.0.10"]),
        verdict: Failed,
        targets: &[bad("ssm", AddressMixed)],
        findings: &[(AddressMixed, Failure)],
        ..BASE
    },
    Case {
        name: "a name that must not answer does",
        world: |w| w.add(own_host("vault", Expect::Absent), &["10.60.0.10"]),
        verdict: Failed,
        targets: &[bad("vault", UnexpectedAnswer)],
        findings: &[(UnexpectedAnswer, Failure)],
        ..BASE
    },
    Case {
        name: "a name that must not answer leads nowhere",
        world: |w| {
            w.add(own_host("vault", Expect::Absent), &["10.60.0.10"]);
            w.silent(&["vault"]);
        },
        ..BASE
    },
    Case {
        name: "a name that must not answer does not exist",
        world: |w| {
            w.add(own_host("vault", Expect::Absent), &["10.60.0.10"]);
            w.unresolved("vault", DnsNxdomain);
        },
        ..BASE
    },
    Case {
        name: "a private address where public is expected",
        world: |w| w.add(own_host("www", Expect::Public), &["10.60.0.10"]),
        verdict: Failed,
        targets: &[bad("www", UnexpectedAnswer)],
        findings: &[(UnexpectedAnswer, Failure)],
        ..BASE
    },
    Case {
        name: "one zone only",
        world: |w| w.resolves("ssm", &["10.0.1.10"]),
        targets: &[noted("ssm", SingleZone)],
        ..BASE
    },
    // ---- reaching them
    Case {
        name: "one closed security group",
        world: |w| w.silent(&["ssm"]),
        verdict: Failed,
        targets: &[bad("ssm", TcpTimeout)],
        findings: &[(TcpTimeout, Failure)],
        says: &[
            "ssm: 10.0.1.10 and 10.0.2.10: no answer to TCP SYN in 4.0 s",
            "allow TCP 443 from 10.0.1.0/24 (this host is 10.0.1.23)",
            "the endpoint com.amazonaws.eu-west-1.ssm",
            "aws ec2 describe-network-interfaces --region eu-west-1 --filters Name=addresses.private-ip-address,Values=10.0.1.10",
            "sudo nft list ruleset",
        ],
        ..BASE
    },
    Case {
        name: "all endpoints are silent, S3 answers",
        world: |w| w.silent(&PRIVATE),
        verdict: Failed,
        targets: &[("s3", Verdict::Healthy, None)],
        others: (Verdict::Failed, Some(TcpTimeout)),
        findings: &[(EndpointsBlocked, Failure)],
        says: &["while s3 answers"],
        ..BASE
    },
    Case {
        name: "nothing answers at all",
        world: |w| {
            w.silent(&PRIVATE);
            w.silent(&["s3"]);
        },
        verdict: Failed,
        targets: &[bad("s3", GatewayUnreachable)],
        others: (Verdict::Failed, Some(TcpTimeout)),
        findings: &[(EgressBlocked, Failure)],
        says: &["nothing answers 10.0.1.23, private or public", "blocked on this side"],
        ..BASE
    },
    Case {
        name: "all endpoints are silent, and no public name was tried",
        world: |w| {
            w.only(&PRIVATE);
            w.silent(&PRIVATE);
        },
        verdict: Failed,
        others: (Verdict::Failed, Some(TcpTimeout)),
        findings: &[(EgressBlocked, Failure)],
        says: &[
            "this instance's egress, or the endpoints' security group",
            "The endpoints' shared security group must allow TCP 443",
        ],
        ..BASE
    },
    Case {
        name: "S3 has no route",
        world: |w| w.silent(&["s3"]),
        verdict: Failed,
        targets: &[bad("s3", GatewayUnreachable)],
        findings: &[(GatewayUnreachable, Failure)],
        says: &[
            "subnet-0bbb needs the gateway endpoint's route (prefix list com.amazonaws.eu-west-1.s3)",
            "a host cannot tell the two apart",
        ],
        ..BASE
    },
    Case {
        name: "one dead ENI in this host's subnet",
        world: |w| fails_to_connect(&mut w.at("ssm").addresses[0], TcpUnreachable),
        verdict: Degraded,
        targets: &[warned("ssm", EndpointPartial)],
        findings: &[(EndpointPartial, Warning)],
        says: &["1 of 2 addresses is dead: 10.0.1.10 (this host's subnet, eu-west-1a)", "ip neigh show 10.0.1.10"],
        ..BASE
    },
    Case {
        name: "one dead ENI of an optional endpoint in another subnet",
        world: |w| fails_to_connect(&mut w.at("logs").addresses[1], TcpTimeout),
        verdict: Degraded,
        targets: &[warned("logs", EndpointPartial)],
        findings: &[(EndpointPartial, Warning)],
        says: &["10.0.2.13 (another subnet)"],
        ..BASE
    },
    Case {
        name: "IPv6 is dead",
        world: |w| {
            w.host.addresses = nets(&["10.0.1.23/24", "2600:1f18:1234:1a00::23/64"]);
            w.resolves("ssm", &["10.0.1.10", "10.0.2.10", "2600:1f18:1234:1a00::10"]);
            fails_to_connect(&mut w.at("ssm").addresses[2], TcpTimeout);
        },
        verdict: Degraded,
        targets: &[warned("ssm", Ipv6Broken)],
        findings: &[(Ipv6Broken, Warning)],
        ..BASE
    },
    Case {
        name: "an AAAA answer on a host without IPv6",
        world: |w| {
            w.resolves("ssm", &["10.0.1.10", "10.0.2.10", "2600:1f18:1234:1a00::10"]);
            fails_to_connect(&mut w.at("ssm").addresses[2], TcpUnreachable);
        },
        ..BASE
    },
    Case {
        name: "refused",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|record| fails_to_connect(record, TcpRefused)),
        verdict: Failed,
        targets: &[bad("ssm", TcpRefused)],
        findings: &[(TcpRefused, Failure)],
        says: &["reject rule in this host's own firewall"],
        ..BASE
    },
    Case {
        name: "a slow path",
        world: |w| {
            w.each(|record| {
                record.connect.as_mut().expect("connected").elapsed_ms = ms(1200);
                record.tls.as_mut().expect("shaken").elapsed_ms = ms(2400);
            });
        },
        others: (Verdict::Healthy, Some(ConnectSlow)),
        notes: &[TlsSlow],
        ..BASE
    },
    // ---- TLS
    Case {
        name: "an expired certificate",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|record| fails_tls(record, TlsExpired)),
        verdict: Failed,
        targets: &[bad("ssm", TlsExpired)],
        findings: &[(TlsExpired, Failure)],
        says: &["openssl s_client -connect 10.0.1.10:443 -servername ssm.eu-west-1.amazonaws.com"],
        ..BASE
    },
    Case {
        name: "every certificate is not valid yet",
        world: |w| w.each(|record| fails_tls(record, TlsNotYetValid)),
        verdict: Failed,
        others: (Verdict::Failed, Some(TlsNotYetValid)),
        findings: &[(ClockWrong, Failure)],
        says: &["this host's clock is behind"],
        ..BASE
    },
    Case {
        name: "one foreign authority signs everything",
        world: |w| issued_by(w, "CN=Corp Proxy CA"),
        verdict: Failed,
        others: (Verdict::Failed, Some(TlsUntrusted)),
        findings: &[(TlsInspection, Failure)],
        says: &["CN=Corp Proxy CA"],
        ..BASE
    },
    Case {
        name: "the trust store lacks Amazon's roots",
        world: |w| {
            w.only(&["ssm", "ssmmessages"]);
            issued_by(w, "CN=Amazon RSA 2048 M01,O=Amazon,C=US");
        },
        verdict: Failed,
        others: (Verdict::Failed, Some(TlsUntrusted)),
        findings: &[(TlsUntrusted, Failure), (TlsUntrusted, Failure)],
        ..BASE
    },
    Case {
        name: "large hellos are dropped for one",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|record| blocked(record, Some((1495, 240)))),
        verdict: Failed,
        targets: &[bad("ssm", LargeHelloBlocked)],
        findings: &[(LargeHelloBlocked, Failure)],
        says: &[
            "ssm: 10.0.1.10 and 10.0.2.10: a ClientHello of 1,495 bytes (X25519MLKEM768) does not pass, one of 240 bytes \
             (X25519) does",
            "/etc/systemd/system/amazon-ssm-agent.service.d",
            "GODEBUG=tlsmlkem=0,tlskyber=0",
            "3.3.2299",
            "Update the firewall (it must reassemble TCP first), or exempt these names.",
        ],
        ..BASE
    },
    Case {
        name: "large hellos are dropped for one, and nobody knows the sizes",
        world: |w| {
            w.host.agent.unit = Some("snap.amazon-ssm-agent.amazon-ssm-agent.service".to_owned());
            w.at("ssm").addresses.iter_mut().for_each(|record| blocked(record, None));
        },
        verdict: Failed,
        targets: &[bad("ssm", LargeHelloBlocked)],
        findings: &[(LargeHelloBlocked, Failure)],
        says: &[
            "a large ClientHello (X25519MLKEM768) does not pass, a small one does",
            "sudo systemctl restart snap.amazon-ssm-agent.amazon-ssm-agent.service",
        ],
        ..BASE
    },
    Case {
        name: "large hellos are dropped for all",
        world: |w| {
            w.each(|record| blocked(record, Some((1502, 247))));
            w.at("ssm").addresses.iter_mut().for_each(|record| blocked(record, Some((1495, 240))));
        },
        verdict: Failed,
        others: (Verdict::Failed, Some(LargeHelloBlocked)),
        findings: &[(LargeHelloBlocked, Failure)],
        says: &[
            "6 targets alike: a ClientHello of 1,495 bytes (X25519MLKEM768) does not pass, one of 247 bytes (X25519) does: \
             a firewall on the path",
        ],
        ..BASE
    },
    Case {
        name: "large hellos are dropped on the way to one address",
        world: |w| blocked(&mut w.at("ssm").addresses[1], Some((1495, 240))),
        verdict: Degraded,
        targets: &[warned("ssm", EndpointPartial)],
        findings: &[(EndpointPartial, Warning)],
        says: &["10.0.2.10 (another subnet): a ClientHello of 1,495 bytes", "GODEBUG=tlsmlkem=0"],
        ..BASE
    },
    Case {
        name: "a large hello vanishes in a hole that is narrower than it",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                blocked(record, Some((1495, 240)));
                record.mtu = Some(mtu(MtuOutcome::BlackholeOut));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut)],
        findings: &[(MtuBlackholeOut, Failure)],
        ..BASE
    },
    Case {
        name: "a large hello is dropped beside a hole that it does not reach",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                blocked(record, Some((1495, 240)));
                record.mtu = Some(holed(MtuOutcome::BlackholeOut, (8500, 8600), None));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", LargeHelloBlocked)],
        findings: &[(LargeHelloBlocked, Failure)],
        ..BASE
    },
    Case {
        name: "a certificate near its end",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                record.tls.as_mut().expect("shaken").days_left = Some(13);
            }
        },
        verdict: Degraded,
        targets: &[warned("ssm", CertificateExpiring)],
        findings: &[(CertificateExpiring, Warning)],
        ..BASE
    },
    Case {
        name: "a trusted issuer that is not Amazon",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                record.tls.as_mut().expect("shaken").issuer = Some("CN=DigiCert".to_owned());
            }
        },
        targets: &[noted("ssm", IssuerUnexpected)],
        ..BASE
    },
    // ---- path MTU
    Case {
        name: "a hole for one",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|r| r.mtu = Some(mtu(MtuOutcome::BlackholeOut))),
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut)],
        findings: &[(MtuBlackholeOut, Failure)],
        says: &[
            "ssm: 10.0.1.10 and 10.0.2.10: packets out up to 1,400 bytes pass, from 1,405 on they vanish, and no ICMP says so",
            "sudo ip route replace $(ip -o route get 10.0.1.10 | sed 's/ src.*//') mtu 1400; sudo ip route replace $(ip -o \
             route get 10.0.2.10 | sed 's/ src.*//') mtu 1400",
            "clamp the MSS to 1360, both ways: nft add rule inet filter forward tcp flags syn tcp option maxseg \
             size set 1360",
            "Allow ICMP type 3 code 4 to this host in security groups, NACLs, firewalls",
            "A VPC endpoint passes 8,500 bytes and drops larger ones without ICMP",
        ],
        ..BASE
    },
    Case {
        name: "the handshake hangs in a hole",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                fails_tls(record, TlsTimeout);
                record.mtu = Some(holed(MtuOutcome::BlackholeIn, (9001, 0), Some((1397, 1402))));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeIn)],
        findings: &[(MtuBlackholeIn, Failure)],
        says: &[
            "packets in up to 1,397 bytes pass, from 1,402 on they vanish, and no ICMP says so",
            "it helps both ways",
            "mtu 1397",
            "size set 1357",
            "Allow ICMP type 3 code 4 to both ends",
        ],
        ..BASE
    },
    Case {
        name: "the server gives up waiting for a hello that vanished",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                fails_tls(record, TlsClosed);
                record.tls.as_mut().expect("shaken").elapsed_ms = ms(2000);
                record.mtu = Some(mtu(MtuOutcome::BlackholeBoth));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeBoth)],
        findings: &[(MtuBlackholeBoth, Failure)],
        ..BASE
    },
    Case {
        name: "the deadline cuts a handshake that hangs in a hole",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                fails_tls(record, NotFinished);
                record.mtu = Some(mtu(MtuOutcome::BlackholeOut));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut)],
        findings: &[(MtuBlackholeOut, Failure)],
        ..BASE
    },
    Case {
        name: "no HTTP answer beside a hole",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                fails_http(record, HttpTimeout);
                record.mtu = Some(mtu(MtuOutcome::BlackholeOut));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut)],
        findings: &[(MtuBlackholeOut, Failure)],
        ..BASE
    },
    Case {
        name: "a reset at once is none of the hole's",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                fails_tls(record, TlsReset);
                record.mtu = Some(mtu(MtuOutcome::BlackholeOut));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", TlsReset)],
        findings: &[(TlsReset, Failure)],
        ..BASE
    },
    Case {
        name: "a foreign certificate beside a hole",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                fails_tls(record, TlsUntrusted);
                record.mtu = Some(mtu(MtuOutcome::BlackholeOut));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", TlsUntrusted)],
        findings: &[(TlsUntrusted, Failure)],
        ..BASE
    },
    Case {
        name: "a mute server is not a hole",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                fails_tls(record, TlsTimeout);
                record.mtu = Some(mtu(MtuOutcome::Inconclusive));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", TlsTimeout)],
        findings: &[(TlsTimeout, Failure)],
        ..BASE
    },
    Case {
        name: "a hole whose sizes nobody knows",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                let nothing = (None, None, None);
                record.mtu = Some(mtu(MtuOutcome::BlackholeBoth));
                let mtu = record.mtu.as_mut().expect("measured");
                (mtu.out_ok, mtu.out_fails, mtu.in_seen) = nothing;
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeBoth)],
        findings: &[(MtuBlackholeBoth, Failure)],
        says: &["large packets vanish both ways, and no ICMP says so", "with the size that passes"],
        ..BASE
    },
    Case {
        name: "a hole of which only the failing size is known",
        world: |w| {
            for record in &mut w.at("ssm").addresses {
                record.mtu = Some(mtu(MtuOutcome::BlackholeOut));
                record.mtu.as_mut().expect("measured").out_ok = None;
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut)],
        findings: &[(MtuBlackholeOut, Failure)],
        says: &["packets out of 1,405 bytes and more vanish"],
        ..BASE
    },
    Case {
        name: "a hole to one address of two",
        world: |w| {
            w.at("ssm").addresses[0].mtu = Some(well(9001));
            let record = &mut w.at("ssm").addresses[1];
            fails_tls(record, TlsTimeout);
            record.mtu = Some(holed(MtuOutcome::BlackholeBoth, (1400, 1405), Some((4000, 4500))));
        },
        verdict: Degraded,
        targets: &[warned("ssm", EndpointPartial)],
        findings: &[(EndpointPartial, Warning)],
        says: &[
            "1 of 2 addresses is dead: 10.0.2.10 (another subnet): packets up to 1,400 bytes out and 4,000 in pass, from \
             1,405 and 4,500 on they vanish",
            "Larger packets pass elsewhere. On this path's VPN",
            "ip -o route get 10.0.2.10 | sed 's/ src.*//') mtu 1400",
        ],
        ..BASE
    },
    Case {
        name: "a hole inwards from one address of two",
        world: |w| {
            w.at("ssm").addresses[0].mtu = Some(well(1300));
            let record = &mut w.at("ssm").addresses[1];
            fails_tls(record, TlsTimeout);
            record.mtu = Some(holed(MtuOutcome::BlackholeIn, (1300, 0), Some((1280, 1290))));
        },
        verdict: Degraded,
        targets: &[warned("ssm", EndpointPartial)],
        findings: &[(EndpointPartial, Warning)],
        says: &["packets in up to 1,280 bytes pass, from 1,290 on they vanish", "Larger packets pass elsewhere"],
        ..BASE
    },
    Case {
        name: "a hole on IPv6 alone",
        world: |w| {
            w.host.addresses = nets(&["10.0.1.23/24", "2600:1f18:1234:1a00::23/64"]);
            w.resolves("ssm", &["10.0.1.10", "10.0.2.10", "2600:1f18:1234:1a00::10"]);
            let record = &mut w.at("ssm").addresses[2];
            fails_tls(record, TlsTimeout);
            record.mtu = Some(holed(MtuOutcome::BlackholeBoth, (1280, 1290), Some((1280, 1290))));
        },
        verdict: Degraded,
        targets: &[warned("ssm", Ipv6Broken)],
        findings: &[(Ipv6Broken, Warning)],
        says: &[
            "2600:1f18:1234:1a00::10: packets up to 1,280 bytes pass, from 1,290 on they vanish both ways",
            "sudo ip -6 route replace $(ip -o route get 2600:1f18:1234:1a00::10 | sed 's/ src.*//') mtu 1280",
            "size set 1220",
            "ICMPv6 type 2 (Packet Too Big)",
        ],
        ..BASE
    },
    Case {
        name: "a hole for all",
        world: |w| {
            w.each(|record| {
                fails_tls(record, TlsTimeout);
                record.mtu = Some(holed(MtuOutcome::BlackholeBoth, (1400, 1405), Some((1397, 1402))));
            });
            // The others' refinements end a few bytes beside, and a small chain reaches the hole one way only.
            w.at("s3").addresses[0].mtu = Some(holed(MtuOutcome::BlackholeBoth, (1398, 1410), Some((1380, 1420))));
            let record = &mut w.at("logs").addresses[0];
            record.mtu = Some(MtuRecord { in_seen: Some(853), ..holed(MtuOutcome::BlackholeOut, (1380, 1412), None) });
        },
        verdict: Failed,
        targets: &[bad("logs", MtuBlackholeOut)],
        others: (Verdict::Failed, Some(MtuBlackholeBoth)),
        findings: &[(PathMtu, Failure)],
        says: &[
            "6 targets alike: packets up to 1,397 bytes pass, from 1,405 on they vanish both ways: this \
             side, or the path they share",
            "sudo ip route replace $(ip -o route show default) mtu 1380",
            "size set 1340",
        ],
        ..BASE
    },
    Case {
        name: "a hole for all, the own subnet among them",
        world: |w| {
            w.host.link = Some(Link { name: "ens5".to_owned(), mtu: 9001 });
            w.each(|record| record.mtu = Some(mtu(MtuOutcome::BlackholeOut)));
        },
        verdict: Failed,
        others: (Verdict::Failed, Some(MtuBlackholeOut)),
        findings: &[(PathMtu, Failure)],
        says: &["sudo ip link set dev ens5 mtu 1400"],
        ..BASE
    },
    Case {
        name: "two holes alike, and larger packets pass elsewhere",
        world: |w| {
            w.each(|record| record.mtu = Some(well(9001)));
            for name in ["ssm", "logs"] {
                w.at(name).addresses.iter_mut().for_each(|r| r.mtu = Some(mtu(MtuOutcome::BlackholeOut)));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut), bad("logs", MtuBlackholeOut)],
        findings: &[(PathMtu, Failure)],
        says: &["2 targets alike: packets out up to 1,400 bytes pass, from 1,405 on they vanish: the path they share"],
        ..BASE
    },
    Case {
        name: "two holes of sizes that rule each other out",
        world: |w| {
            w.at("ssm").addresses.iter_mut().for_each(|r| r.mtu = Some(mtu(MtuOutcome::BlackholeOut)));
            for record in &mut w.at("logs").addresses {
                record.mtu = Some(holed(MtuOutcome::BlackholeOut, (8500, 8600), None));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut), bad("logs", MtuBlackholeOut)],
        findings: &[(MtuBlackholeOut, Failure), (MtuBlackholeOut, Failure)],
        says: &["up to 8,500 bytes pass", "8,500 bytes is a VPC endpoint's own limit", "up to 1,400 bytes pass"],
        ..BASE
    },
    Case {
        name: "two holes in different directions",
        world: |w| {
            w.at("ssm").addresses.iter_mut().for_each(|r| r.mtu = Some(mtu(MtuOutcome::BlackholeOut)));
            for record in &mut w.at("logs").addresses {
                record.mtu = Some(holed(MtuOutcome::BlackholeIn, (9001, 0), Some((1397, 1402))));
            }
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut), bad("logs", MtuBlackholeIn)],
        findings: &[(MtuBlackholeOut, Failure), (MtuBlackholeIn, Failure)],
        ..BASE
    },
    Case {
        name: "two holes on the way to one target",
        world: |w| {
            w.at("ssm").addresses[0].mtu = Some(holed(MtuOutcome::BlackholeOut, (8500, 8600), None));
            w.at("ssm").addresses[1].mtu = Some(mtu(MtuOutcome::BlackholeOut));
        },
        verdict: Failed,
        targets: &[bad("ssm", MtuBlackholeOut)],
        findings: &[(MtuBlackholeOut, Failure)],
        says: &["10.0.2.10: packets out up to 1,400 bytes pass, from 1,405 on they vanish; other sizes elsewhere"],
        ..BASE
    },
    Case {
        name: "ICMP saves the day",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|r| r.mtu = Some(mtu(MtuOutcome::ReliesOnIcmp))),
        targets: &[noted("ssm", MtuReliesOnIcmp)],
        ..BASE
    },
    Case {
        name: "the size cannot be told",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|r| r.mtu = Some(mtu(MtuOutcome::Inconclusive))),
        targets: &[noted("ssm", MtuInconclusive)],
        ..BASE
    },
    Case {
        name: "what must not answer has no path MTU",
        world: |w| {
            w.add(own_host("old", Expect::Absent), &["10.0.1.77"]);
            let record = &mut w.at("old").addresses[0];
            fails_to_connect(record, TcpTimeout);
            record.mtu = Some(mtu(MtuOutcome::BlackholeOut));
        },
        ..BASE
    },
    // ---- HTTP
    Case {
        name: "no HTTP answer",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|record| fails_http(record, HttpTimeout)),
        verdict: Failed,
        targets: &[bad("ssm", HttpTimeout)],
        findings: &[(HttpTimeout, Failure)],
        ..BASE
    },
    Case {
        name: "S3 denies the agent's bucket",
        world: |w| {
            for record in &mut w.at("s3").addresses {
                let http = record.http.as_mut().expect("asked");
                (http.status, http.canary) = (Some(403), Some(Canary::Denied));
            }
        },
        verdict: Degraded,
        targets: &[warned("s3", S3AccessDenied)],
        findings: &[(S3AccessDenied, Warning)],
        says: &["arn:aws:s3:::amazon-ssm-eu-west-1/*"],
        ..BASE
    },
    Case {
        name: "S3 redirects",
        world: |w| {
            for record in &mut w.at("s3").addresses {
                let http = record.http.as_mut().expect("asked");
                (http.status, http.canary) = (Some(301), Some(Canary::WrongRegion));
                http.bucket_region = Some("us-east-1".to_owned());
            }
        },
        verdict: Degraded,
        targets: &[warned("s3", S3WrongRegion)],
        findings: &[(S3WrongRegion, Warning)],
        says: &["the bucket is in us-east-1"],
        ..BASE
    },
    Case {
        name: "S3 is throttled",
        world: |w| w.at("s3").addresses.iter_mut().for_each(|r| r.http.as_mut().expect("asked").status = Some(503)),
        targets: &[noted("s3", HttpServerError)],
        ..BASE
    },
    Case {
        name: "an answer without AWS's marks",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|r| r.http.as_mut().expect("asked").aws = Some(false)),
        targets: &[noted("ssm", HttpNotAws)],
        ..BASE
    },
    Case {
        name: "no neighbour is there, near or behind the router",
        world: |w| w.each(|record| fails_to_connect(record, TcpUnreachable)),
        verdict: Failed,
        others: (Verdict::Failed, Some(TcpUnreachable)),
        targets: &[bad("s3", GatewayUnreachable)],
        findings: &[(EgressBlocked, Failure)],
        ..BASE
    },
    Case {
        name: "a router says at once that there is no way to any endpoint",
        world: |w| {
            for name in PRIVATE {
                for record in &mut w.at(name).addresses {
                    fails_to_connect(record, TcpUnreachable);
                    record.connect.as_mut().expect("tried").elapsed_ms = ms(2);
                }
            }
        },
        verdict: Failed,
        others: (Verdict::Failed, Some(TcpUnreachable)),
        targets: &[("s3", Verdict::Healthy, None)],
        findings: &[(TcpUnreachable, Failure); 5],
        ..BASE
    },
    // ---- clocks
    Case {
        name: "the clock is four minutes ahead",
        world: |w| skew(w, 240.0),
        verdict: Degraded,
        findings: &[(ClockSkew, Warning)],
        says: &["4 min 0 s ahead of AWS's", "5 min"],
        ..BASE
    },
    Case {
        name: "the clock is an hour behind",
        world: |w| skew(w, -3600.0),
        verdict: Failed,
        findings: &[(ClockWrong, Failure)],
        says: &["60 min 0 s behind AWS's"],
        ..BASE
    },
    Case {
        name: "the clock is an hour behind, and one server's too by another hour",
        world: |w| {
            skew(w, -3600.0);
            w.at("ssm").addresses[0].http.as_mut().expect("asked").clock_skew_s = Some(-7200.0);
        },
        verdict: Failed,
        findings: &[(ClockWrong, Failure)],
        says: &["60 min 0 s behind AWS's"],
        ..BASE
    },
    Case {
        name: "most servers' clocks are wrong, and one says that ours is right",
        world: |w| {
            skew(w, 3600.0);
            w.at("s3").addresses[0].http.as_mut().expect("asked").clock_skew_s = Some(0.2);
        },
        ..BASE
    },
    Case {
        name: "the Dates agree on nothing",
        world: |w| {
            skew(w, 3600.0);
            let skews = [300.0, 900.0, 1800.0, -700.0, 4000.0, -2000.0];
            for (name, skew) in w.names().into_iter().zip(skews) {
                for record in &mut w.at(&name).addresses {
                    record.http.as_mut().expect("asked").clock_skew_s = Some(skew);
                }
            }
        },
        ..BASE
    },
    Case {
        name: "one server's clock is wrong",
        world: |w| w.at("ssm").addresses[0].http.as_mut().expect("asked").clock_skew_s = Some(4000.0),
        ..BASE
    },
    // ---- what was not judged
    Case {
        name: "the deadline cuts a required target",
        world: |w| w.at("ssm").addresses.iter_mut().for_each(|record| (record.tls, record.http) = (None, None)),
        verdict: Failed,
        targets: &[skipped("ssm", NotFinished)],
        findings: &[(NotFinished, Failure)],
        says: &["not judged", "--timeout"],
        ..BASE
    },
    Case {
        name: "the deadline cuts an optional target",
        world: |w| {
            w.at("logs").resolve.outcome = Outcome::Failed(NotFinished);
            w.at("logs").addresses = Vec::new();
        },
        verdict: Degraded,
        targets: &[skipped("logs", NotFinished)],
        findings: &[(NotFinished, Failure)],
        ..BASE
    },
    Case {
        name: "the deadline cuts one address of two",
        world: |w| w.at("ssm").addresses[1].http = None,
        verdict: Degraded,
        targets: &[warned("ssm", NotFinished)],
        findings: &[(NotFinished, Warning)],
        ..BASE
    },
    Case {
        name: "descriptors ran out",
        world: |w| {
            w.silent(&["ssm"]);
            w.at("ssm").exhausted = Some("EMFILE in socket()".to_owned());
        },
        verdict: Degraded,
        targets: &[skipped("ssm", NotFinished)],
        findings: &[(NotFinished, Warning)],
        notes: &[ResourceExhausted],
        ..BASE
    },
    Case { name: "nothing to judge", world: |w| w.seen.clear(), verdict: Failed, ..BASE },
    Case {
        name: "nothing but absent endpoints",
        world: |w| {
            w.only(&["logs"]);
            w.unresolved("logs", DnsNxdomain);
        },
        verdict: Degraded,
        others: ABSENT,
        ..BASE
    },
    // ---- beside the network
    Case {
        name: "works through the proxy only",
        world: |w| {
            w.silent(&["ssm"]);
            w.at("ssm").proxy = Some(through_proxy(false, true));
        },
        verdict: Failed,
        targets: &[bad("ssm", TcpTimeout)],
        findings: &[(TcpTimeout, Failure), (ProxyInterferes, Warning)],
        says: &["works through the proxy only"],
        ..BASE
    },
    Case {
        name: "the agent's proxy fails too",
        world: |w| {
            w.silent(&["ssm"]);
            w.at("ssm").proxy = Some(through_proxy(true, false));
        },
        verdict: Failed,
        targets: &[bad("ssm", TcpTimeout)],
        findings: &[(TcpTimeout, Failure), (ProxyInterferes, Warning)],
        says: &["CONNECT: HTTP 403"],
        ..BASE
    },
    Case {
        name: "the agent has a proxy that spares nothing",
        world: |w| w.host.proxies = vec![proxy(true, &["localhost"])],
        notes: &[ProxyInterferes],
        ..BASE
    },
    Case {
        name: "the agent is down",
        world: |w| w.host.problems = vec![host_problem(AgentNotRunning)],
        findings: &[(AgentNotRunning, Note)],
        says: &["the network is fine"],
        ..BASE
    },
    Case {
        name: "the agent is down and so is an endpoint",
        world: |w| {
            w.host.problems = vec![host_problem(AgentNotRunning)];
            w.silent(&["ssm"]);
        },
        verdict: Failed,
        targets: &[bad("ssm", TcpTimeout)],
        findings: &[(TcpTimeout, Failure)],
        ..BASE
    },
    Case {
        name: "the agent holds no connection",
        world: |w| {
            w.host.agent = Agent { state: AgentState::Running, unit: None, running_s: Some(900) };
            w.host.established = Some(Vec::new());
        },
        findings: &[(AgentStale, Note)],
        notes: &[AgentStale],
        ..BASE
    },
    Case {
        name: "DNS beside drops by the link-local allowance",
        world: |w| {
            w.host.allowances = Some(Allowances { linklocal: 7, conntrack: 0 });
            w.unresolved("ssm", DnsTimeout);
        },
        verdict: Failed,
        targets: &[bad("ssm", DnsTimeout)],
        findings: &[(DnsTimeout, Failure)],
        notes: &[LinklocalLimit],
        ..BASE
    },
    Case {
        name: "silence beside drops by the tracking allowance",
        world: |w| {
            w.host.allowances = Some(Allowances { linklocal: 0, conntrack: 7 });
            w.silent(&["ssm"]);
        },
        verdict: Failed,
        targets: &[bad("ssm", TcpTimeout)],
        findings: &[(TcpTimeout, Failure)],
        notes: &[ConntrackLimit],
        ..BASE
    },
];

#[test]
fn an_agent_with_a_connection_is_not_stale() {
    let mut world = World::healthy();
    world.host.agent = Agent { state: AgentState::Running, unit: None, running_s: Some(900) };
    world.host.established = Some(vec![(ip("10.0.2.11"), 443).into()]);
    let judgement = vpce_probe::judge::judge(world.seen, world.host, &world.plan, crate::world::moment());
    assert!(judgement.host.problems.is_empty(), "{:?}", judgement.host.problems);
}

#[test]
fn notes_about_the_path_have_its_sizes() {
    let said = |mut record: MtuRecord, change: fn(&mut MtuRecord)| {
        let mut world = World::healthy();
        change(&mut record);
        world.at("ssm").addresses.iter_mut().for_each(|address| address.mtu = Some(record.clone()));
        let judgement = vpce_probe::judge::judge(world.seen, world.host, &world.plan, crate::world::moment());
        assert_eq!(judgement.verdict, Healthy);
        judgement.targets[0].problems[0].summary.clone()
    };
    let icmp = mtu(MtuOutcome::ReliesOnIcmp);
    let unclear = mtu(MtuOutcome::Inconclusive);
    let sizes = "10.0.1.10 passes packets of 1,400 bytes (the link's are 9,001), and only while ICMP gets through";
    assert_eq!(said(icmp.clone(), |_| {}), sizes);
    assert_eq!(
        said(icmp, |record| record.out_ok = None),
        "10.0.1.10 works for large packets only while ICMP gets through"
    );
    assert_eq!(said(unclear.clone(), |_| {}), "10.0.1.10: its path MTU could not be measured");
    assert_eq!(
        said(unclear, |record| record.detail = Some("mixed: 1 of 3".to_owned())),
        "10.0.1.10: its path MTU could not be measured (mixed: 1 of 3)"
    );
}
