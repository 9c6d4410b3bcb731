//! Causes in the delivery of metrics.

use super::{CauseText, Owner};

pub(super) static CREDENTIALS_MISSING: CauseText = CauseText {
    meaning: "No credentials were found, so nothing can be shipped to CloudWatch.",
    symptom: "Probing works; metrics stay in the spool.",
    confirm: &[
        "aws ec2 describe-iam-instance-profile-associations --filters Name=instance-id,Values=INSTANCE_ID --region REGION",
    ],
    mend: &["Attach an instance profile that allows cloudwatch:PutMetricData, or set cloudwatch.enabled = false."],
    owner: Owner::VpcOwner,
};

pub(super) static CREDENTIALS_EXPIRED: CauseText = CauseText {
    meaning: "The credentials have expired, and no new ones came.",
    symptom: "IMDS or the credential source does not answer; metrics stay in the spool.",
    confirm: &["curl -sv --max-time 2 http://169.254.169.254/", "date -u"],
    mend: &["Repair the way to the credential source (IMDS), and the clock of this host."],
    owner: Owner::ThisHost,
};

pub(super) static PUBLISH_DENIED: CauseText = CauseText {
    meaning: "CloudWatch refused the data: the role's policy, an SCP, or the monitoring endpoint's policy.",
    symptom: "403 AccessDenied; the message names the policy type where AWS tells.",
    confirm: &[
        "aws iam simulate-principal-policy --policy-source-arn ROLE_ARN --action-names cloudwatch:PutMetricData",
        "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.monitoring --query 'VpcEndpoints[].PolicyDocument' --region REGION",
    ],
    mend: &[
        "Allow cloudwatch:PutMetricData on * with cloudwatch:namespace = VpceProbe in the instance's role.",
        "Allow the same in the monitoring endpoint's policy.",
    ],
    owner: Owner::EndpointOwner,
};

pub(super) static PUBLISH_THROTTLED: CauseText = CauseText {
    meaning: "CloudWatch throttles: too many requests in this account and region.",
    symptom: "Throttling errors; metrics come late.",
    confirm: &["aws service-quotas list-service-quotas --service-code monitoring --region REGION"],
    mend: &["Raise cloudwatch.flush_interval, or ask AWS for a higher PutMetricData quota."],
    owner: Owner::Aws,
};

pub(super) static PUBLISH_UNREACHABLE: CauseText = CauseText {
    meaning: "The monitoring endpoint cannot be reached.",
    symptom: "Metrics wait in the spool and are shipped when it is back.",
    confirm: &["vpce-probe once --service monitoring --explain"],
    mend: &[
        "If the target monitoring has a finding, mend that first.",
        "If it is healthy, something on the way takes the connection and not the data: the message says how far it came.",
    ],
    owner: Owner::VpcOwner,
};

pub(super) static PUBLISH_FAILING: CauseText = CauseText {
    meaning: "CloudWatch answers with errors.",
    symptom: "5xx or rejected data; metrics wait in the spool.",
    confirm: &["journalctl -u vpce-probe -n 50", "aws health describe-events --region us-east-1"],
    mend: &["Wait; if single data are rejected, the journal names them."],
    owner: Owner::Aws,
};

pub(super) static SPOOL_FULL: CauseText = CauseText {
    meaning: "The spool is full: the oldest data are dropped.",
    symptom: "Metrics of the start of a long outage are lost, and counted as such.",
    confirm: &["du -sh /var/lib/vpce-probe/spool"],
    mend: &["Mend what keeps data from being shipped, or raise cloudwatch.spool.max_size."],
    owner: Owner::ThisHost,
};

pub(super) static SPOOL_DEGRADED: CauseText = CauseText {
    meaning: "The spool cannot be written: data are kept in memory only.",
    symptom: "A restart loses what was not shipped.",
    confirm: &["df -h /var/lib/vpce-probe", "ls -ld /var/lib/vpce-probe/spool"],
    mend: &["Free space on the disk, or repair the rights of the state directory."],
    owner: Owner::ThisHost,
};
