//! Service codes of `com.amazonaws.REGION.CODE`, and the host names that answer for them.

/// Whether a host name can be built for the code.
#[must_use]
pub fn known(code: &str) -> bool {
    codes().any(|known| known == code)
}

/// Every code for which a host name can be built, in no particular order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PLAIN.iter().copied().chain(SPECIAL.iter().map(|(code, _)| *code))
}

/// Codes whose host is `{code}.{region}.{suffix}`.
const PLAIN: &[&str] = &[
    "dynamodb",
    "ec2",
    "ec2messages",
    "kms",
    "logs",
    "monitoring",
    "s3",
    "secretsmanager",
    "sqs",
    "sns",
    "ssm",
    "ssmmessages",
    "sts",
];

/// Codes whose host begins with other labels.
const SPECIAL: &[(&str, &str)] = &[("ecr.api", "api.ecr")];
