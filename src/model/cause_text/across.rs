//! Causes that several targets show together.

use super::{CauseText, Owner};

pub(super) static ENDPOINT_MISSING: CauseText = CauseText {
    meaning: "One service has no endpoint that serves this VPC, while its siblings have.",
    symptom: "Its name is public and mostly silent; the siblings' names are private and fine.",
    confirm: &[
        "dig HOST",
        "aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values=VPC_ID --region REGION",
        "aws ec2 describe-vpc-endpoint-services --service-names com.amazonaws.REGION.SERVICE --region REGION",
    ],
    mend: &[
        "Create the interface endpoint com.amazonaws.REGION.SERVICE with private DNS on; in a shared subnet, the VPC's owner must.",
        "If it exists, turn on its private DNS.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static PRIVATE_DNS_OFF: CauseText = CauseText {
    meaning: "Several services' names are public: private DNS does not work in this VPC, or there are no endpoints.",
    symptom: "All AWS names give public addresses; with a NAT gateway everything seems to work, and leaves the VPC.",
    confirm: &[
        "dig @169.254.169.253 ssm.REGION.amazonaws.com",
        "aws ec2 describe-vpc-attribute --vpc-id VPC_ID --attribute enableDnsSupport --region REGION",
        "aws ec2 describe-vpc-attribute --vpc-id VPC_ID --attribute enableDnsHostnames --region REGION",
        "aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values=VPC_ID --region REGION",
    ],
    mend: &[
        "Turn on both DNS attributes of the VPC: enableDnsSupport and enableDnsHostnames.",
        "Turn on private DNS of each endpoint, or associate the hub's private hosted zones (or Route 53 profile) with this VPC.",
        "If a custom DNS server is in use, make it forward AWS's names to the VPC's resolver.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static RESOLVER_DOWN: CauseText = CauseText {
    meaning: "No name at all could be resolved.",
    symptom: "Everything that uses names fails.",
    confirm: &[
        "cat /etc/resolv.conf",
        "dig +tries=1 +time=2 @169.254.169.253 ssm.REGION.amazonaws.com",
        "aws ec2 describe-vpc-attribute --vpc-id VPC_ID --attribute enableDnsSupport --region REGION",
    ],
    mend: &[
        "If the VPC's resolver answers, repair or replace the configured name servers.",
        "If it does not, turn on enableDnsSupport, and look for a firewall on this host.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static EGRESS_BLOCKED: CauseText = CauseText {
    meaning: "Nothing at all can be reached from here, private or public.",
    symptom: "Every connection attempt is met by silence: this instance's security group, its subnet's NACL, or its own firewall.",
    confirm: &[
        "sudo nft list ruleset",
        "aws ec2 describe-instances --instance-ids INSTANCE_ID --query 'Reservations[].Instances[].SecurityGroups' --region REGION",
        "aws ec2 describe-network-acls --filters Name=association.subnet-id,Values=SUBNET_ID --region REGION",
    ],
    mend: &[
        "Allow TCP 443 out in this instance's security group (Terraform removes the default egress rule).",
        "Allow TCP 443 out and 1024-65535 in, in the subnet's NACL.",
        "Look at this host's own firewall.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static ENDPOINTS_BLOCKED: CauseText = CauseText {
    meaning: "All endpoints are silent, while something else answers.",
    symptom: "Every private address swallows the SYN; S3 by gateway or another public name works.",
    confirm: &[
        "aws ec2 describe-vpc-endpoints --filters Name=vpc-id,Values=VPC_ID --query 'VpcEndpoints[].[ServiceName,Groups]' --region REGION",
        "aws ec2 describe-network-acls --filters Name=association.subnet-id,Values=SUBNET_ID --region REGION",
    ],
    mend: &[
        "In the security group that the endpoints share, allow TCP 443 from this host's subnet.",
        "Check the NACL of the endpoints' subnets, and this instance's egress rules towards them.",
        "For endpoints in a hub VPC, check the route to it.",
    ],
    owner: Owner::EndpointOwner,
};

pub(super) static PATH_MTU: CauseText = CauseText {
    meaning: "The same path-MTU hole, in direction and size, on the way to several endpoints.",
    symptom: "Connections to all of them open and hang on large packets.",
    confirm: &[super::path::UPLOAD, "ip route get ADDRESS", "ip link show", "vpce-probe once --explain"],
    mend: &[
        "Until it is mended, on this host, with the size that passes (1400 here; for endpoints in its own subnet, on its link): sudo ip route replace $(ip -o route show default) mtu 1400",
        "On the device that all these paths share (VPN, transit gateway appliance, firewall), clamp the MSS to that size less 40, for IPv6 less 60: nft add rule inet filter forward tcp flags syn tcp option maxseg size set 1360",
        super::path::CLAMP_BY_IPTABLES,
        super::path::ALLOW,
        super::path::LIMIT,
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static TLS_INSPECTION: CauseText = CauseText {
    meaning: "One foreign authority signs every certificate: something on the path opens TLS.",
    symptom: "'unknown authority' from every service at once.",
    confirm: &["openssl s_client -connect ADDRESS:443 -servername HOST -showcerts </dev/null"],
    mend: &[
        "Exempt the AWS endpoints from inspection: the SSM agent's channel does not survive it.",
        "If inspection is meant, trust its authority on this host, and name it in extra_ca_file.",
    ],
    owner: Owner::NetworkTeam,
};

pub(super) static CLOCK_WRONG: CauseText = CauseText {
    meaning: "This host's clock is wrong enough to break certificates or signatures.",
    symptom: "Certificates seem expired or not yet valid; or every signed request is refused (SigV4 tolerates 5 minutes).",
    confirm: &["date -u", "chronyc tracking", "curl -sI https://HOST/ | grep -i '^date'"],
    mend: &[
        "Set the clock: sudo chronyc makestep",
        "Keep it right: server 169.254.169.123 prefer iburst, in chrony.conf (fd00:ec2::123 over IPv6).",
    ],
    owner: Owner::ThisHost,
};

pub(super) static CLOCK_SKEW: CauseText = CauseText {
    meaning: "This host's clock differs from AWS's by more than two minutes.",
    symptom: "Works still; from 5 minutes on, SigV4 refuses every signed request.",
    confirm: &["chronyc tracking", "curl -sI https://HOST/ | grep -i '^date'"],
    mend: &[
        "Set the clock: sudo chronyc makestep",
        "Keep it right: server 169.254.169.123 prefer iburst, in chrony.conf (fd00:ec2::123 over IPv6).",
    ],
    owner: Owner::ThisHost,
};

pub(super) static PROXY_INTERFERES: CauseText = CauseText {
    meaning: "A proxy setting explains what is seen: traffic goes through a proxy past the endpoints, or only the proxy works.",
    symptom: "Programs with the setting behave otherwise than those without; the agent says so in its log only.",
    confirm: &[
        "env | grep -i _proxy",
        "systemctl show amazon-ssm-agent -p Environment",
        "curl -sv --proxy PROXY_URL --max-time 8 https://HOST/",
    ],
    mend: &[
        "Let the endpoints go past the proxy: no_proxy=169.254.169.254,169.254.169.253,.REGION.amazonaws.com in the agent's unit drop-in.",
        "If the proxy is the only way that is meant, the target's failure is expected: enabled = false takes it out.",
    ],
    owner: Owner::ThisHost,
};
