//! Causes that lie on this host.

use super::{CauseText, Owner};

pub(super) static IMDS_OFF: CauseText = CauseText {
    meaning: "The instance metadata service is turned off for this instance.",
    symptom: "403 to the token request; region, VPC and role must come from the config.",
    confirm: &[
        "curl -s -o /dev/null -w '%{http_code}' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token",
        "aws ec2 describe-instances --instance-ids INSTANCE_ID --query 'Reservations[].Instances[].MetadataOptions' --region REGION",
    ],
    mend: &[
        "aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-endpoint enabled --region REGION",
        "Or say what is needed in the config: region, and [host].",
    ],
    owner: Owner::ThisHost,
};

pub(super) static IMDS_UNREACHABLE: CauseText = CauseText {
    meaning: "The instance metadata service does not answer.",
    symptom: "A firewall on this host, a wrong route, or no EC2 instance at all.",
    confirm: &[
        "curl -sv --max-time 2 http://169.254.169.254/",
        "ip route get 169.254.169.254",
        "sudo nft list ruleset",
    ],
    mend: &[
        "Let TCP 80 to 169.254.169.254 leave this host (fd00:ec2::254 over IPv6, which must be turned on for the instance).",
        "Outside EC2, give --region, and [host] in the config.",
    ],
    owner: Owner::ThisHost,
};

pub(super) static IMDS_HOP_LIMIT: CauseText = CauseText {
    meaning: "A plain request is answered and the token is not: the answer does not survive the hop to here.",
    symptom: "Typical of containers on a bridge: the hop limit is 1.",
    confirm: &[
        "curl -s -o /dev/null -w '%{http_code}' http://169.254.169.254/latest/meta-data/",
        "aws ec2 describe-instances --instance-ids INSTANCE_ID --query 'Reservations[].Instances[].MetadataOptions' --region REGION",
    ],
    mend: &[
        "aws ec2 modify-instance-metadata-options --instance-id INSTANCE_ID --http-put-response-hop-limit 2 --region REGION",
        "Or run in the host's network namespace.",
    ],
    owner: Owner::ThisHost,
};

pub(super) static IMDS_V1_ONLY: CauseText = CauseText {
    meaning: "The metadata service knows no tokens (IMDSv2).",
    symptom: "An emulator or an old proxy before the metadata service.",
    confirm: &[
        "curl -s -o /dev/null -w '%{http_code}' -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' http://169.254.169.254/latest/api/token",
    ],
    mend: &["Replace or update what answers for 169.254.169.254; EC2's own service always speaks version 2."],
    owner: Owner::ThisHost,
};

pub(super) static REGION_MISMATCH: CauseText = CauseText {
    meaning: "The configured region is not the one that this instance runs in.",
    symptom: "Names of another region are probed: public, or without an endpoint here.",
    confirm: &["grep -n region /etc/vpce-probe/config.toml", "env | grep AWS_REGION"],
    mend: &["Set region to the instance's own, or leave it out, unless the other region is meant."],
    owner: Owner::ThisHost,
};

pub(super) static ROLE_MISSING: CauseText = CauseText {
    meaning: "The instance has no IAM role.",
    symptom: "The network is fine and the agent cannot sign anything: the instance does not appear in Systems Manager.",
    confirm: &[
        "aws ec2 describe-iam-instance-profile-associations --filters Name=instance-id,Values=INSTANCE_ID --region REGION",
    ],
    mend: &["Attach an instance profile with AmazonSSMManagedInstanceCore, or turn on default host management."],
    owner: Owner::VpcOwner,
};

pub(super) static AGENT_NOT_RUNNING: CauseText = CauseText {
    meaning: "The SSM agent is installed and does not run.",
    symptom: "The network is fine; the instance is offline in Systems Manager.",
    confirm: &[
        "systemctl status amazon-ssm-agent snap.amazon-ssm-agent.amazon-ssm-agent",
        "journalctl -u amazon-ssm-agent -n 50",
    ],
    mend: &["sudo systemctl enable --now amazon-ssm-agent"],
    owner: Owner::ThisHost,
};

pub(super) static AGENT_STALE: CauseText = CauseText {
    meaning: "The SSM agent runs and holds no connection to ssmmessages, while the network is healthy.",
    symptom: "The instance stays offline in Systems Manager after an outage that is over.",
    confirm: &["ss -tnp dst :443", "sudo tail -n 50 /var/log/amazon/ssm/amazon-ssm-agent.log"],
    mend: &["sudo systemctl restart amazon-ssm-agent"],
    owner: Owner::ThisHost,
};

pub(super) static LINKLOCAL_LIMIT: CauseText = CauseText {
    meaning: "Packets to link-local services (DNS, IMDS, NTP) were dropped: more than 1024 a second on one interface.",
    symptom: "DNS and IMDS time out now and then.",
    confirm: &["ethtool -S ens5 | grep linklocal_allowance_exceeded"],
    mend: &[
        "Run a local DNS cache on this host, and find the program that asks so often.",
        "Cache metadata and credentials instead of asking IMDS for each request.",
    ],
    owner: Owner::ThisHost,
};

pub(super) static CONNTRACK_LIMIT: CauseText = CauseText {
    meaning: "Packets were dropped because the instance tracks too many connections.",
    symptom: "New connections time out under load.",
    confirm: &["ethtool -S ens5 | grep conntrack_allowance_exceeded"],
    mend: &["Reuse connections, use security group rules that need no tracking, or take a larger instance type."],
    owner: Owner::ThisHost,
};

pub(super) static RESOURCE_EXHAUSTED: CauseText = CauseText {
    meaning: "This process ran out of descriptors, ports or buffers (EMFILE, EADDRNOTAVAIL, ENOBUFS).",
    symptom: "Targets are skipped; nothing is said about the network.",
    confirm: &["ss -s", "cat /proc/sys/net/ipv4/ip_local_port_range", "systemctl show vpce-probe -p LimitNOFILE"],
    mend: &["Raise the limit, or find the program that uses up the ports of this host."],
    owner: Owner::ThisHost,
};
