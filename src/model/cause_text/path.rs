//! Causes on the path: connecting, packet sizes, whole targets.

use super::{CauseText, Owner};

pub(super) static TCP_TIMEOUT: CauseText = CauseText {
    meaning: "No answer to the connection attempts: the packets are dropped without a word.",
    symptom: "Silence is how security groups, NACLs, missing routes and dropping firewalls look.",
    confirm: &[
        "nc -vz -w 4 ADDRESS 443",
        "ip route get ADDRESS",
        "sudo nft list ruleset",
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.SERVICE --query 'VpcEndpoints[].[VpcEndpointId,Groups]' --region REGION",
    ],
    mend: &[
        "In the endpoint's security group, allow TCP 443 from this host's subnet.",
        "In this instance's security group, allow TCP 443 out; in the NACLs of both subnets, 443 one way and 1024-65535 back.",
        "This host's own firewall may drop it as well: sudo nft list ruleset",
    ],
    owner: Owner::EndpointOwner,
};

pub(super) static TCP_REFUSED: CauseText = CauseText {
    meaning: "The connection was refused by a TCP reset or an ICMP message.",
    symptom: "Fails at once. A security group never refuses: it is a firewall that rejects, or an address where nothing listens.",
    confirm: &["nc -vz ADDRESS 443", "sudo nft list ruleset", "dig HOST"],
    mend: &[
        "Look for a reject rule in this host's own firewall: sudo nft list ruleset",
        "Check that the address is the endpoint's, and not one left over in a hosts file or a hand-made zone.",
        "Look for a rejecting firewall on the path (AWS Network Firewall, an appliance).",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static TCP_UNREACHABLE: CauseText = CauseText {
    meaning: "There is no route, or the last router or neighbour says that the address is unreachable.",
    symptom: "EHOSTUNREACH after 3 s in the own subnet: the interface is gone. ENETUNREACH at once: no route on this host.",
    confirm: &[
        "ip route get ADDRESS",
        "ip neigh show ADDRESS",
        "aws ec2 describe-network-interfaces --filters Name=addresses.private-ip-address,Values=ADDRESS --region REGION",
    ],
    mend: &[
        "Without a route: repair this host's routing table (ip route show).",
        "If the neighbour does not answer: the endpoint's interface is gone while its address is still handed out; rebuild the endpoint's subnet entry.",
    ],
    owner: Owner::EndpointOwner,
};

pub(super) static TCP_RESET: CauseText = CauseText {
    meaning: "The connection was reset while it opened.",
    symptom: "A middlebox answers in the endpoint's place, or a listener is overloaded.",
    confirm: &["nc -vz ADDRESS 443", "ip route get ADDRESS"],
    mend: &["Find the firewall or proxy on the path that resets, and let TCP 443 to this address pass."],
    owner: Owner::NetworkTeam,
};

pub(super) static TCP_DENIED: CauseText = CauseText {
    meaning: "This host itself forbids the connection: EPERM or EACCES from connect().",
    symptom: "Fails at once and no packet leaves: an output rule, a prohibit route, a cgroup or EDR filter.",
    confirm: &[
        "sudo nft list ruleset",
        "ip route get ADDRESS",
        "systemctl show vpce-probe -p IPAddressDeny -p RestrictAddressFamilies",
        "sudo bpftool cgroup tree",
    ],
    mend: &["Allow TCP 443 to the endpoint in this host's firewall, route table or security agent."],
    owner: Owner::ThisHost,
};

pub(super) static CONNECT_SLOW: CauseText = CauseText {
    meaning: "The connection took longer than a second to open.",
    symptom: "One lost SYN costs a second; more than that is a far or lossy path.",
    confirm: &["nc -vz ADDRESS 443", "ip -s link"],
    mend: &["Nothing to do for a single round; if it stays, look for loss or a far endpoint on the path."],
    owner: Owner::NetworkTeam,
};

/// Steps against a black hole, whose sizes the report has; 1,400 bytes stand for them.
const LOWER: &str = "Until it is mended, on this host, with the size that passes (1400 here; the MSS that it announces falls too, so it helps both ways): sudo ip route replace $(ip -o route get ADDRESS | sed 's/ src.*//') mtu 1400";
const CLAMP: &str = "On the device with the small MTU (VPN, transit gateway appliance, firewall), clamp the MSS to that size less 40, for IPv6 less 60: nft add rule inet filter forward tcp flags syn tcp option maxseg size set 1360";
pub(super) const CLAMP_BY_IPTABLES: &str =
    "The same by iptables: iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1360";
pub(super) const ALLOW: &str = "Allow ICMP type 3 code 4 (fragmentation needed) and ICMPv6 type 2 (Packet Too Big) in security groups, NACLs and the firewalls on the way.";
pub(super) const LIMIT: &str =
    "A VPC endpoint itself passes 8,500 bytes and drops larger packets without ICMP: a smaller limit is on the way.";
/// 20,000 bytes in packets as large as the connection's: needs no ICMP, which endpoints do not answer.
pub(super) const UPLOAD: &str = "head -c 20000 /dev/zero | curl -sS --max-time 5 -o /dev/null -w '%{http_code}\\n' --connect-to ::ADDRESS:443 --data-binary @- https://HOST/";
/// What answers it must be small.
const DOWNLOAD: &str = "timeout 5 openssl s_client -connect ADDRESS:443 -servername HOST </dev/null";
const MEND_HOLE: &[&str] = &[LOWER, CLAMP, CLAMP_BY_IPTABLES, ALLOW, LIMIT];

pub(super) static MTU_BLACKHOLE_OUT: CauseText = CauseText {
    meaning: "Large packets to the endpoint vanish, without the ICMP message that would tell the sender to shrink them.",
    symptom: "Connections open and small requests work; uploads, long requests and large ClientHellos hang.",
    confirm: &[UPLOAD, "ip route get ADDRESS", "ip link show", "vpce-probe once --explain"],
    mend: MEND_HOLE,
    owner: Owner::NetworkTeam,
};

pub(super) static MTU_BLACKHOLE_IN: CauseText = CauseText {
    meaning: "Large packets from the endpoint vanish on their way here.",
    symptom: "The TLS handshake hangs after the ClientHello, because the certificates come in large packets.",
    confirm: &[DOWNLOAD, "ip route get ADDRESS", "ip link show", "vpce-probe once --explain"],
    mend: MEND_HOLE,
    owner: Owner::NetworkTeam,
};

pub(super) static MTU_BLACKHOLE_BOTH: CauseText = CauseText {
    meaning: "Large packets vanish in both directions.",
    symptom: "Connections open, then hang as soon as anything large is sent either way; mostly the TLS handshake already.",
    confirm: &[DOWNLOAD, UPLOAD, "ip route get ADDRESS", "ip link show", "vpce-probe once --explain"],
    mend: MEND_HOLE,
    owner: Owner::NetworkTeam,
};

pub(super) static MTU_RELIES_ON_ICMP: CauseText = CauseText {
    meaning: "The path has a smaller MTU than the link, and works only because ICMP messages get through.",
    symptom: "Works today; a firewall rule against ICMP turns it into a black hole.",
    confirm: &["ip route get ADDRESS", "tracepath -n ADDRESS", "vpce-probe once --explain"],
    mend: &[
        "Clamp the MSS on the device with the small MTU, so that the path does not depend on ICMP.",
        "Until then, keep ICMP type 3 code 4 and ICMPv6 type 2 (Packet Too Big) allowed in security groups, NACLs and firewalls.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static MTU_INCONCLUSIVE: CauseText = CauseText {
    meaning: "The path MTU could not be measured, though the address answers.",
    symptom: "Packets of one size both pass and vanish (loss, or one bad path of several), large ones end the connection, or time ran out.",
    confirm: &["vpce-probe once --explain"],
    mend: &["Nothing to do by itself; if connections hang, look for loss on the path and measure again."],
    owner: Owner::ThisHost,
};

pub(super) static GATEWAY_UNREACHABLE: CauseText = CauseText {
    meaning: "A name that may be reached by gateway endpoint or NAT is public and silent. A host cannot tell the two apart.",
    symptom: "S3 hangs while interface endpoints work: packages, agent updates and patches fail.",
    confirm: &[
        "nc -vz -w 4 HOST 443",
        "aws ec2 describe-route-tables --filters Name=association.subnet-id,Values=SUBNET_ID --region REGION",
        "aws ec2 describe-managed-prefix-lists --filters Name=prefix-list-name,Values=com.amazonaws.REGION.s3 --region REGION",
    ],
    mend: &[
        "Associate the gateway endpoint with the route table of this very subnet: it must have a route to the prefix list.",
        "Allow TCP 443 out to the prefix list in this instance's security group.",
        "Allow the service's addresses in the NACL, both ways: a NACL cannot name a prefix list.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static NOT_FINISHED: CauseText = CauseText {
    meaning: "The round's deadline (or a limit of this process) came before the measurement ended.",
    symptom: "The target was not judged; nothing is said about the network.",
    confirm: &["vpce-probe once --timeout 30s --explain"],
    mend: &[
        "Give the round more time (round_deadline, --timeout), or shorten the stages' budgets ([timeouts]).",
        "If this host is starved of CPU, that is the reason: see its load.",
    ],
    owner: Owner::ThisHost,
};

pub(super) static ENDPOINT_PARTIAL: CauseText = CauseText {
    meaning: "Some of the endpoint's addresses are dead, others live.",
    symptom: "About as large a share of connections stalls or fails, seemingly at random.",
    confirm: &[
        "nc -vz -w 4 ADDRESS 443",
        "ip neigh show ADDRESS",
        "aws ec2 describe-network-interfaces --filters Name=addresses.private-ip-address,Values=ADDRESS --region REGION",
    ],
    mend: &[
        "Check the NACLs of the dead address's subnet and of this one.",
        "If the interface is gone, take its subnet out of the endpoint and add it again.",
    ],
    owner: Owner::EndpointOwner,
};

pub(super) static IPV6_BROKEN: CauseText = CauseText {
    meaning: "IPv6 addresses are dead beside live IPv4 ones.",
    symptom: "Programs that try IPv6 first stall, then fall back.",
    confirm: &["nc -6 -vz -w 4 HOST 443", "ip -6 route get ADDRESS"],
    mend: &[
        "Allow TCP 443 from this subnet's IPv6 CIDR in the endpoint's security group and the NACLs.",
        "Or set the endpoint's DNS record type to ipv4.",
    ],
    owner: Owner::EndpointOwner,
};
