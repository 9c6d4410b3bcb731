//! Host names that do not follow the rule (botocore 1.43's endpoint rules and `endpoints.json`; services' own guides).

use super::service::{Place, Spelling};

/// A code whose host begins with other labels than the code.
#[derive(Debug)]
pub(super) struct Own {
    /// The service code.
    pub(super) code: &'static str,
    /// The labels of the ordinary name.
    pub(super) ordinary: &'static str,
    /// The labels of the FIPS name; `None`: AWS has no rule for it.
    pub(super) fips: Option<&'static str>,
    /// The labels of the dual-stack name; `None`: AWS has no rule for it.
    pub(super) dual_stack: Option<&'static str>,
    /// The labels of the FIPS name with dual stack; `None`: AWS has no rule for it.
    pub(super) fips_dual_stack: Option<&'static str>,
    /// The port on which TLS begins with the first byte.
    pub(super) port: u16,
}

/// The template of a name that breaks the rule, with `{r}` for the region, `{s}` and `{d}` for the two suffixes.
pub(super) fn exception(code: &str, place: &Place<'_>, spelling: Spelling) -> Option<&'static str> {
    use Spelling::{DualStack, Fips, FipsDualStack, Ordinary};
    // The three partitions in which the legacy suffix serves IPv6 for some services.
    let old_suffix = matches!(place.partition.name, "aws" | "aws-cn" | "aws-us-gov");
    match (code, place.partition.name, spelling) {
        ("s3", _, DualStack) => Some("s3.dualstack.{r}.{s}"),
        ("s3", _, FipsDualStack) => Some("s3-fips.dualstack.{r}.{s}"),
        ("secretsmanager", _, DualStack) if old_suffix => Some("secretsmanager.{r}.{s}"),
        ("secretsmanager", "aws" | "aws-us-gov", FipsDualStack) => Some("secretsmanager-fips.{r}.{s}"),
        ("servicediscovery", _, DualStack) if old_suffix => Some("servicediscovery.{r}.{s}"),
        ("cognito-identity", "aws", DualStack) => Some("cognito-identity.{r}.{s}"),
        ("cognito-idp", "aws", DualStack) => Some("cognito-idp.{r}.{s}"),
        ("cognito-identity", "aws", FipsDualStack) if place.region.starts_with("us-") => {
            Some("cognito-identity-fips.{r}.{s}")
        }
        ("cognito-idp", "aws", FipsDualStack) if place.region.starts_with("us-") => Some("cognito-idp-fips.{r}.{s}"),
        ("elasticfilesystem", _, DualStack) if old_suffix => Some("efs.{r}.{d}"),
        ("elasticfilesystem", _, FipsDualStack) if old_suffix => Some("efs-fips.{r}.{d}"),
        ("kafka", "aws" | "aws-cn" | "aws-us-gov" | "aws-eusc", DualStack) | ("kafka", "aws-us-gov", FipsDualStack) => {
            Some("kafka-api.{r}.{d}")
        }
        ("kafka", "aws", FipsDualStack) => Some("kafka-api-fips.{r}.{d}"),
        ("batch", "aws", Fips) => Some("fips.batch.{r}.{s}"),
        ("eks", "aws", Fips) => Some("fips.eks.{r}.{s}"),
        ("transcribe", "aws" | "aws-us-gov", Fips) => Some("fips.transcribe.{r}.{s}"),
        ("transcribe", "aws-cn", Ordinary) => Some("cn.transcribe.{r}.{s}"),
        ("dms", "aws-iso" | "aws-iso-b", Fips) => Some("dms.{r}.{s}"),
        // GovCloud: the plain name is the FIPS name of many services, but seldom with dual stack.
        ("events", "aws-us-gov", FipsDualStack) => Some("events.{r}.{d}"),
        ("kafkaconnect", "aws-us-gov", FipsDualStack) => Some("kafkaconnect.{r}.{d}"),
        ("monitoring", "aws-us-gov", FipsDualStack) => Some("monitoring.{r}.{d}"),
        ("states", "aws-us-gov", DualStack) => Some("states-fips.{r}.{d}"),
        ("swf", "aws-us-gov", DualStack) => Some("swf-fips.{r}.{d}"),
        ("states", "aws-us-gov", Fips) if place.region == "us-gov-west-1" => Some("states.{r}.{s}"),
        ("databrew", "aws-us-gov", Fips) if place.region == "us-gov-west-1" => Some("databrew.{r}.{s}"),
        ("kinesis-streams", "aws-us-gov", Fips) => Some("kinesis.{r}.{s}"),
        ("sagemaker.runtime", "aws-us-gov", Fips) => Some("runtime.sagemaker.{r}.{s}"),
        ("sso-oauth", "aws-us-gov", Fips) => Some("oidc.{r}.{s}"),
        _ => None,
    }
}

/// A code with all four spellings.
const fn all(
    code: &'static str,
    ordinary: &'static str,
    fips: &'static str,
    dual_stack: &'static str,
    fips_dual_stack: &'static str,
) -> Own {
    Own {
        code,
        ordinary,
        fips: Some(fips),
        dual_stack: Some(dual_stack),
        fips_dual_stack: Some(fips_dual_stack),
        port: 443,
    }
}

/// A code of which only the ordinary name is known.
const fn one(code: &'static str, ordinary: &'static str) -> Own {
    Own { code, ordinary, fips: None, dual_stack: None, fips_dual_stack: None, port: 443 }
}

/// Every code whose labels are its own, in alphabetical order.
pub(super) const OWN: &[Own] = &[
    one("airflow.api", "api.airflow"),
    one("airflow.env", "env.airflow"),
    one("airflow.ops", "ops.airflow"),
    all("appstream.api", "appstream2", "appstream2-fips", "appstream2", "appstream2-fips"),
    // CQL over TLS, not HTTPS (Keyspaces Developer Guide, "Service endpoints").
    Own {
        code: "cassandra",
        ordinary: "cassandra",
        fips: Some("cassandra-fips"),
        dual_stack: None,
        fips_dual_stack: None,
        port: 9142,
    },
    all("codeartifact.api", "codeartifact", "codeartifact-fips", "codeartifact", "codeartifact-fips"),
    all("codeconnections.api", "codeconnections", "codeconnections-fips", "codeconnections", "codeconnections-fips"),
    all(
        "codestar-connections.api",
        "codestar-connections",
        "codestar-connections-fips",
        "codestar-connections",
        "codestar-connections-fips",
    ),
    all("detective", "api.detective", "api.detective-fips", "detective", "detective-fips"),
    Own {
        code: "dynamodb-streams",
        ordinary: "streams.dynamodb",
        fips: None,
        dual_stack: Some("streams-dynamodb"),
        fips_dual_stack: None,
        port: 443,
    },
    one("ecr-fips.api", "ecr-fips"),
    one("ecr-public.api", "api.ecr-public"),
    all("ecr.api", "api.ecr", "ecr-fips", "ecr", "ecr-fips"),
    one("ecs-agent", "ecs-a"),
    one("ecs-telemetry", "ecs-t"),
    // Port 587 begins in clear text (STARTTLS); on 465 TLS begins with the first byte (SES Developer Guide, "Connecting
    // to an SMTP endpoint").
    Own { code: "email-smtp", ordinary: "email-smtp", fips: None, dual_stack: None, fips_dual_stack: None, port: 465 },
    one("iotsitewise.api", "api.iotsitewise"),
    one("iotsitewise.data", "data.iotsitewise"),
    one("iottwinmaker.api", "api.iottwinmaker"),
    one("iottwinmaker.data", "data.iottwinmaker"),
    one("iotwireless.api", "api.iotwireless"),
    all("kinesis-firehose", "firehose", "firehose-fips", "firehose", "firehose-fips"),
    all("kinesis-streams", "kinesis", "kinesis-fips", "kinesis", "kinesis-fips"),
    one("metering-marketplace", "metering.marketplace"),
    one("payment-cryptography.controlplane", "controlplane.payment-cryptography"),
    one("payment-cryptography.dataplane", "dataplane.payment-cryptography"),
    all("pinpoint-sms-voice-v2", "sms-voice", "sms-voice-fips", "sms-voice", "sms-voice-fips"),
    one("pricing.api", "api.pricing"),
    one("rum-dataplane", "dataplane.rum"),
    all("sagemaker.api", "api.sagemaker", "api-fips.sagemaker", "api.sagemaker", "api.sagemaker-fips"),
    one("sagemaker.featurestore-runtime", "featurestore-runtime.sagemaker"),
    one("sagemaker.metrics", "metrics.sagemaker"),
    all(
        "sagemaker.runtime",
        "runtime.sagemaker",
        "runtime-fips.sagemaker",
        "runtime.sagemaker",
        "runtime.sagemaker-fips",
    ),
    all("sso-oauth", "oidc", "oidc-fips", "oidc", "oidc-fips"),
];
