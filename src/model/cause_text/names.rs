//! Causes at the name and at where its addresses lie.

use super::{CauseText, Owner};

pub(super) static DNS_NXDOMAIN: CauseText = CauseText {
    meaning: "A name server says that the name does not exist.",
    symptom: "NXDOMAIN at once; programs say 'no such host' or 'Name or service not known'.",
    confirm: &[
        "dig HOST",
        "dig @169.254.169.253 HOST",
        "aws route53 list-hosted-zones-by-vpc --vpc-id VPC_ID --vpc-region REGION",
    ],
    mend: &[
        "Check the region and the spelling of the name: not every service exists in every region.",
        "If a private hosted zone covers the domain, add the record to it: such a zone hides all public names below it.",
        "If a DNS firewall answers so, take the name out of its block list.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static DNS_NO_DATA: CauseText = CauseText {
    meaning: "The name exists and has no address of the kind that was asked for.",
    symptom: "NOERROR with an empty answer, for A and for AAAA.",
    confirm: &[
        "dig HOST A",
        "dig HOST AAAA",
        "aws route53resolver list-firewall-rule-group-associations --vpc-id VPC_ID --region REGION",
    ],
    mend: &[
        "If a private hosted zone covers the name, give it an A record (an alias of the endpoint).",
        "If a Route 53 DNS Firewall answers NODATA, allow the domain in its rule group.",
        "On a host with one family only, check that the endpoint's record type has that family.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static DNS_SERVFAIL: CauseText = CauseText {
    meaning: "The name server tried, and failed to find an answer.",
    symptom: "SERVFAIL: a forwarder's upstream is dead, DNSSEC validation fails, or a DNS firewall blocks.",
    confirm: &["dig HOST", "dig @169.254.169.253 HOST", "aws route53resolver list-resolver-rules --region REGION"],
    mend: &[
        "If the VPC's resolver answers, repair the forwarding of the custom name server.",
        "If the VPC's resolver says SERVFAIL, check its forwarding rules for this domain and the servers that they lead to.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static DNS_REFUSED: CauseText = CauseText {
    meaning: "The name server refuses to answer this host.",
    symptom: "REFUSED at once: an access list, or a server that does not serve this domain or recurse.",
    confirm: &["dig HOST", "cat /etc/resolv.conf"],
    mend: &[
        "Let the name server recurse for this host's subnet, or use the VPC's resolver (AmazonProvidedDNS in the DHCP options).",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static DNS_TIMEOUT: CauseText = CauseText {
    meaning: "No name server answered in time, though the question was sent several times.",
    symptom: "Programs stall for seconds and say 'i/o timeout' or 'Temporary failure in name resolution'.",
    confirm: &[
        "cat /etc/resolv.conf",
        "dig +tries=1 +time=2 @169.254.169.253 HOST",
        "ethtool -S ens5 | grep linklocal_allowance_exceeded",
        "sudo nft list ruleset",
    ],
    mend: &[
        "If the VPC's resolver answers and the configured one does not, repair the path to that one (UDP and TCP 53) or replace it.",
        "If the VPC's resolver is silent too, look for a firewall on this host: security groups and NACLs do not filter it.",
        "If linklocal_allowance_exceeded grows, this host asks more than 1024 packets a second: run a local cache.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static DNS_UNREACHABLE: CauseText = CauseText {
    meaning: "No name server can be reached: its port is closed, there is no route, or none is configured.",
    symptom: "Fails at once: 'connection refused', 'network is unreachable'.",
    confirm: &["cat /etc/resolv.conf", "ip route get 169.254.169.253", "resolvectl status"],
    mend: &[
        "Configure a name server: the VPC's is 169.254.169.253 (fd00:ec2::253 over IPv6).",
        "If a local stub or cache is configured, start it.",
    ],
    owner: Owner::ThisHost,
};

pub(super) static DNS_MALFORMED: CauseText = CauseText {
    meaning: "What came back on the DNS port is not a DNS answer to the question.",
    symptom: "Answers that no resolver can read: a middlebox, or another service on port 53.",
    confirm: &["dig HOST", "dig @169.254.169.253 HOST"],
    mend: &["Find what answers on port 53 of the configured name server, and bypass it: use the VPC's resolver."],
    owner: Owner::NetworkTeam,
};

pub(super) static NAMESERVER_DEAD: CauseText = CauseText {
    meaning: "One of several name servers is dead; another one answers.",
    symptom: "Look-ups work, and each one first stalls for seconds on the dead server, as glibc and Go ask it first.",
    confirm: &["cat /etc/resolv.conf", "dig +tries=1 +time=2 @SERVER HOST"],
    mend: &[
        "Repair the server, or take it out of the VPC's DHCP options (or of /etc/resolv.conf) and renew the lease.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static RESOLVER_DISAGREES: CauseText = CauseText {
    meaning: "The system's name server gives what breaks the expectation; the VPC's resolver gives what meets it.",
    symptom: "Public addresses or NXDOMAIN from the configured server, private addresses from 169.254.169.253.",
    confirm: &["dig HOST", "dig @169.254.169.253 HOST"],
    mend: &[
        "On the configured name server, forward AWS's domains to the VPC's resolver (through an inbound Resolver endpoint from outside).",
        "Or hand out AmazonProvidedDNS in the VPC's DHCP options.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static HOSTS_OVERRIDE: CauseText = CauseText {
    meaning: "The hosts file answers for this name, so DNS is not asked.",
    symptom: "Works until the endpoint is rebuilt; then this host alone keeps the old address.",
    confirm: &["grep -n HOST /etc/hosts", "getent ahosts HOST", "dig HOST"],
    mend: &["Take the line out of /etc/hosts and let DNS answer."],
    owner: Owner::ThisHost,
};

pub(super) static DNS_SLOW: CauseText = CauseText {
    meaning: "The name's answer took longer than a second.",
    symptom: "Every first connection is slow by as much.",
    confirm: &["dig HOST | grep 'Query time'", "dig @169.254.169.253 HOST | grep 'Query time'"],
    mend: &[
        "Compare the configured name server with the VPC's resolver; a far forwarder or a lossy path to it is the usual reason.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static ADDRESS_PUBLIC: CauseText = CauseText {
    meaning: "The name gives a public address where a private one is expected.",
    symptom: "Traffic leaves by NAT or not at all: private DNS is off, or there is no endpoint for the service.",
    confirm: &[
        "dig HOST",
        "dig @169.254.169.253 HOST",
        "aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values=VPC_ID --region REGION",
        "aws ec2 describe-vpc-attribute --vpc-id VPC_ID --attribute enableDnsHostnames --region REGION",
    ],
    mend: &[
        "Create the interface endpoint for the service, or turn on its private DNS.",
        "If the endpoint is in a hub VPC, associate the private hosted zone (or the Route 53 profile) with this VPC.",
        "If public is meant, say so: expect = \"any\" for this target.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static ADDRESS_OUTSIDE_VPC: CauseText = CauseText {
    meaning: "The address is private, but not in this VPC, where only the own VPC is allowed (expect = own-vpc).",
    symptom: "The name leads to an endpoint of another VPC: a hub, or a foreign hosted zone.",
    confirm: &[
        "dig HOST",
        "aws ec2 describe-vpcs --vpc-ids VPC_ID --query 'Vpcs[].CidrBlockAssociationSet' --region REGION",
    ],
    mend: &[
        "If a hub VPC is meant, set expect = \"private\", or list its networks in allowed_cidrs.",
        "Else find the private hosted zone that gives this address, and part it from this VPC.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static ADDRESS_BOGUS: CauseText = CauseText {
    meaning: "The address can be nobody's endpoint: loopback, link-local, unspecified, documentation or reserved.",
    symptom: "A sinkhole: a DNS firewall or a blocking name server answers with it.",
    confirm: &["dig HOST", "aws route53resolver list-firewall-rule-group-associations --vpc-id VPC_ID --region REGION"],
    mend: &["Allow the name in the DNS firewall, or in the name server that blocks it."],
    owner: Owner::NetworkTeam,
};

pub(super) static ADDRESS_MIXED: CauseText = CauseText {
    meaning: "Some addresses of the answer lie where they should, and some do not.",
    symptom: "Connections work or fail by the address that a program happens to pick.",
    confirm: &["dig HOST A", "dig HOST AAAA"],
    mend: &[
        "Take the foreign records out of the hand-made private hosted zone; an endpoint's own private DNS never mixes.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static UNEXPECTED_ANSWER: CauseText = CauseText {
    meaning: "Something answers where nothing should (expect = absent), or a private address where a public one is expected.",
    symptom: "A path that should be closed is open, or a name is overridden by a private zone.",
    confirm: &["dig HOST", "nc -vz HOST 443"],
    mend: &[
        "For absent: close the path (route, NAT, security group), or take the target out of the config.",
        "For public: find the private hosted zone that overrides the name.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static ENDPOINT_ABSENT: CauseText = CauseText {
    meaning: "An optional service has no endpoint here: its name is public or does not exist.",
    symptom: "Nothing is broken; whoever uses the service in this VPC does without.",
    confirm: &["aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values=VPC_ID --region REGION"],
    mend: &[
        "Nothing to do. If the service is needed, create its interface endpoint and set required = true for the target.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static SINGLE_ZONE: CauseText = CauseText {
    meaning: "The endpoint has one address, so one network interface in one availability zone.",
    symptom: "Works; when that zone fails, it does not.",
    confirm: &[
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.SERVICE --query 'VpcEndpoints[].SubnetIds' --region REGION",
    ],
    mend: &["Add a subnet of a second zone to the endpoint, where the price of an interface is worth it."],
    owner: Owner::EndpointOwner,
};

pub(super) static ADDRESS_CHANGED: CauseText = CauseText {
    meaning: "The set of addresses is not the one of the round before.",
    symptom: "An endpoint was rebuilt, or a zone was added or removed: addresses of one endpoint never change by themselves.",
    confirm: &[
        "dig HOST",
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.SERVICE --query 'VpcEndpoints[].[VpcEndpointId,CreationTimestamp,SubnetIds]' --region REGION",
    ],
    mend: &[
        "Nothing to do if it was meant; else ask the endpoint's owner. Look for old addresses in hosts files and firewalls.",
    ],
    owner: Owner::EndpointOwner,
};
