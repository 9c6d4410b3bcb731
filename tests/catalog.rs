//! The tables of AWS's names, compared with the resolver that AWS ships and with names read in AWS's own data.

use aws_sdk_cloudwatch::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use vpce_probe::catalog::{
    partition::{self, AWS},
    service::{self, Doubt, Endpoint, Place, Spelling},
};

fn endpoint(code: &str, region: &str, spelling: Spelling) -> Endpoint {
    let partition = partition::of_region(region).unwrap_or(AWS);
    let place = Place { region, partition, dns_suffix: partition.dns_suffix };
    service::endpoint(code, &place, spelling).unwrap_or_else(|| panic!("{code} has no host"))
}

/// What the CloudWatch client would connect to.
async fn sdk_host(region: &str, spelling: Spelling) -> String {
    let params = Params::builder()
        .region(region.to_owned())
        .use_fips(spelling.is_fips())
        .use_dual_stack(spelling.is_dual_stack())
        .build()
        .expect("valid parameters");
    let endpoint = DefaultResolver::new().resolve_endpoint(&params).await.expect("the rules cover every region");
    endpoint.url().trim_start_matches("https://").to_owned()
}

#[tokio::test]
async fn monitoring_is_where_the_sdk_finds_it_in_every_region_and_spelling() {
    let mut compared = 0;
    for (_, region) in partition::regions() {
        for spelling in Spelling::ALL {
            let ours = endpoint("monitoring", region, *spelling).host;
            assert_eq!(ours, sdk_host(region, *spelling).await, "{region} {spelling:?}");
            compared += 1;
        }
    }
    assert_eq!(compared, 46 * 4);
}

#[tokio::test]
async fn regions_that_do_not_exist_yet_are_spelt_as_the_sdk_would() {
    for region in ["eu-west-9", "us-gov-south-1", "cn-south-1", "us-isob-south-1", "eusc-de-west-1", "mars"] {
        for spelling in Spelling::ALL {
            assert_eq!(endpoint("monitoring", region, *spelling).host, sdk_host(region, *spelling).await, "{region}");
        }
    }
}

#[test]
fn hosts_follow_their_service() {
    fn check(code: &str, region: &str, expected: &str) {
        let endpoint = endpoint(code, region, Spelling::Ordinary);
        assert_eq!(endpoint.host, expected);
        assert_eq!(endpoint.doubts, []);
    }
    check("ssm", "eu-west-1", "ssm.eu-west-1.amazonaws.com");
    check("ssmmessages", "cn-north-1", "ssmmessages.cn-north-1.amazonaws.com.cn");
    check("ec2messages", "us-gov-west-1", "ec2messages.us-gov-west-1.amazonaws.com");
    check("s3", "us-iso-east-1", "s3.us-iso-east-1.c2s.ic.gov");
    check("logs", "us-isob-east-1", "logs.us-isob-east-1.sc2s.sgov.gov");
    check("kms", "eu-isoe-west-1", "kms.eu-isoe-west-1.cloud.adc-e.uk");
    check("sts", "us-isof-south-1", "sts.us-isof-south-1.csp.hci.ic.gov");
    check("ec2", "eusc-de-east-1", "ec2.eusc-de-east-1.amazonaws.eu");
    check("ecr.api", "eu-west-1", "api.ecr.eu-west-1.amazonaws.com");
    check("kinesis-streams", "eu-west-1", "kinesis.eu-west-1.amazonaws.com");
    check("kinesis-firehose", "eu-west-1", "firehose.eu-west-1.amazonaws.com");
    check("sagemaker.api", "eu-west-1", "api.sagemaker.eu-west-1.amazonaws.com");
    check("sagemaker.runtime", "eu-west-1", "runtime.sagemaker.eu-west-1.amazonaws.com");
    check("ecs-agent", "eu-west-1", "ecs-a.eu-west-1.amazonaws.com");
    check("ecs-telemetry", "eu-west-1", "ecs-t.eu-west-1.amazonaws.com");
    check("codedeploy-commands-secure", "eu-west-1", "codedeploy-commands-secure.eu-west-1.amazonaws.com");
    check("git-codecommit", "eu-west-1", "git-codecommit.eu-west-1.amazonaws.com");
    check("elasticfilesystem", "eu-west-1", "elasticfilesystem.eu-west-1.amazonaws.com");
    check("dynamodb-streams", "eu-west-1", "streams.dynamodb.eu-west-1.amazonaws.com");
    check("eks-auth", "eu-west-1", "eks-auth.eu-west-1.api.aws");
    check("appstream.api", "eu-west-1", "appstream2.eu-west-1.amazonaws.com");
    check("transcribe", "cn-north-1", "cn.transcribe.cn-north-1.amazonaws.com.cn");
}

#[test]
fn fips_names_follow_awss_list() {
    fn check(code: &str, region: &str, expected: &str, doubts: &[Doubt]) {
        let endpoint = endpoint(code, region, Spelling::Fips);
        assert_eq!(endpoint.host, expected);
        assert_eq!(endpoint.doubts, doubts, "{code} {region}");
    }
    check("ssm", "us-east-1", "ssm-fips.us-east-1.amazonaws.com", &[]);
    check("ssm", "ca-west-1", "ssm-fips.ca-west-1.amazonaws.com", &[]);
    check("ssm", "eu-west-1", "ssm-fips.eu-west-1.amazonaws.com", &[Doubt::FipsUnlisted]);
    check("monitoring", "us-west-2", "monitoring-fips.us-west-2.amazonaws.com", &[]);
    check("monitoring", "ca-central-1", "monitoring-fips.ca-central-1.amazonaws.com", &[Doubt::FipsUnlisted]);
    check("sts", "ca-west-1", "sts-fips.ca-west-1.amazonaws.com", &[Doubt::FipsUnlisted]);
    check("kms", "eu-west-1", "kms-fips.eu-west-1.amazonaws.com", &[]);
    check("kms", "ap-east-2", "kms-fips.ap-east-2.amazonaws.com", &[Doubt::FipsUnlisted]);
    check("s3", "us-east-2", "s3-fips.us-east-2.amazonaws.com", &[]);
    // GovCloud: the plain name is the FIPS name, for some services.
    for code in ["ssm", "logs", "monitoring", "ec2", "sts"] {
        check(code, "us-gov-west-1", &format!("{code}.us-gov-west-1.amazonaws.com"), &[]);
    }
    for code in ["kms", "s3", "dynamodb", "secretsmanager"] {
        check(code, "us-gov-east-1", &format!("{code}-fips.us-gov-east-1.amazonaws.com"), &[]);
    }
    // No rule: the ordinary name, and a doubt.
    check("ssmmessages", "eu-west-1", "ssmmessages.eu-west-1.amazonaws.com", &[Doubt::NoFipsName]);
    check("ec2messages", "us-gov-west-1", "ec2messages.us-gov-west-1.amazonaws.com", &[Doubt::NoFipsName]);
    check("s3", "cn-north-1", "s3.cn-north-1.amazonaws.com.cn", &[Doubt::NoFipsName]);
    // The agent's guide names these for five regions.
    check("ssmmessages", "us-east-1", "ssmmessages-fips.us-east-1.amazonaws.com", &[]);
    check("ec2messages", "ca-west-1", "ec2messages-fips.ca-west-1.amazonaws.com", &[]);
    check("eks", "us-east-1", "fips.eks.us-east-1.amazonaws.com", &[]);
    check("sagemaker.api", "us-east-1", "api-fips.sagemaker.us-east-1.amazonaws.com", &[]);
    check("ecr.api", "us-east-1", "ecr-fips.us-east-1.amazonaws.com", &[Doubt::FipsUnlisted]);
}

#[test]
fn dual_stack_names_have_their_exceptions() {
    fn check(code: &str, region: &str, spelling: Spelling, expected: &str) {
        assert_eq!(endpoint(code, region, spelling).host, expected);
    }
    check("ssm", "eu-west-1", Spelling::DualStack, "ssm.eu-west-1.api.aws");
    check("ssmmessages", "us-east-1", Spelling::DualStack, "ssmmessages.us-east-1.api.aws");
    check("logs", "cn-north-1", Spelling::DualStack, "logs.cn-north-1.api.amazonwebservices.com.cn");
    check("ec2", "us-isob-east-1", Spelling::DualStack, "ec2.us-isob-east-1.api.aws.scloud");
    check("s3", "eu-west-1", Spelling::DualStack, "s3.dualstack.eu-west-1.amazonaws.com");
    check("s3", "us-east-1", Spelling::FipsDualStack, "s3-fips.dualstack.us-east-1.amazonaws.com");
    check("s3", "cn-north-1", Spelling::FipsDualStack, "s3.dualstack.cn-north-1.amazonaws.com.cn");
    check("secretsmanager", "eu-west-1", Spelling::DualStack, "secretsmanager.eu-west-1.amazonaws.com");
    check("secretsmanager", "us-east-1", Spelling::FipsDualStack, "secretsmanager-fips.us-east-1.amazonaws.com");
    check("ecr.api", "eu-west-1", Spelling::DualStack, "ecr.eu-west-1.api.aws");
    check("elasticfilesystem", "eu-west-1", Spelling::DualStack, "efs.eu-west-1.api.aws");
    check("ecs-agent", "eu-west-1", Spelling::DualStack, "ecs-a.eu-west-1.amazonaws.com");
    assert_eq!(endpoint("ecs-agent", "eu-west-1", Spelling::DualStack).doubts, [Doubt::NoDualStackName]);
    assert_eq!(endpoint("kms", "eu-west-1", Spelling::DualStack).doubts, [Doubt::DualStackUnlisted]);
    assert_eq!(endpoint("s3", "eu-west-1", Spelling::DualStack).doubts, []);
}

#[test]
fn an_endpoint_service_for_the_fips_name_is_that_name() {
    assert_eq!(endpoint("kms-fips", "eu-west-1", Spelling::Ordinary).host, "kms-fips.eu-west-1.amazonaws.com");
    assert_eq!(endpoint("ssm-fips", "us-east-1", Spelling::Ordinary).host, "ssm-fips.us-east-1.amazonaws.com");
    assert_eq!(endpoint("eks-fips", "us-east-1", Spelling::Ordinary).host, "fips.eks.us-east-1.amazonaws.com");
    assert_eq!(
        endpoint("kinesis-streams-fips", "us-east-1", Spelling::Ordinary).host,
        "kinesis-fips.us-east-1.amazonaws.com"
    );
    assert!(!service::known("ssmmessages-fips"), "no endpoint service of that name is listed");
    assert!(!service::known("-fips"));
}

#[test]
fn codes_that_stand_for_many_hosts_have_none() {
    for code in ["ecr.dkr", "execute-api", "iot.data", "codeartifact.repositories"] {
        assert!(!service::known(code), "{code}");
        assert!(service::many_hosts(code).is_some_and(|form| form.contains("REGION")), "{code}");
    }
    for code in ["", "smm", "S3", "ssm.eu-west-1", "vault"] {
        assert!(!service::known(code), "{code}");
        assert_eq!(service::many_hosts(code), None);
    }
}

#[test]
fn ports_and_protocols_are_the_services_own() {
    fn check(code: &str, port: u16, http: bool) {
        assert_eq!(endpoint(code, "eu-west-1", Spelling::Ordinary).port, port);
        assert_eq!(service::speaks_http(code), http, "{code}");
    }
    check("ssm", 443, true);
    check("email", 443, true);
    check("email-smtp", 465, false);
    check("cassandra", 9142, false);
}

#[test]
fn every_code_makes_a_host_name_everywhere() {
    let mut codes: Vec<&str> = service::codes().collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count, "a code stands in two tables");
    assert!(count > 270, "{count}");
    for (_, region) in partition::regions() {
        for code in &codes {
            assert!(service::known(code), "{code}");
            for spelling in Spelling::ALL {
                let host = endpoint(code, region, *spelling).host;
                let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
                assert!(host.bytes().all(allowed) && host.contains(region) && !host.contains(".."), "{host}");
            }
        }
    }
}

#[test]
fn ec2messages_exists_only_where_it_was_before_2024() {
    for region in ["us-east-1", "ca-west-1", "il-central-1", "cn-north-1", "us-gov-east-1"] {
        assert!(service::has_ec2messages(region), "{region}");
    }
    for region in [
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "mx-central-1",
        "ap-east-2",
        "eusc-de-east-1",
        "us-isof-east-1",
        "eu-west-9",
        "",
    ] {
        assert!(!service::has_ec2messages(region), "{region}");
    }
}
