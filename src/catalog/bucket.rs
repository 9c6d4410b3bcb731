//! The S3 buckets of AWS that the SSM agent reads without credentials of this account's organisation.

/// The bucket, path style, whose object every region serves to everybody: the agent's current version.
///
/// The agent itself asks for it in this form, unsigned (`amazon-ssm-agent`, `agent/updateutil`).
#[must_use]
pub fn canary_path(region: &str) -> String {
    format!("/amazon-ssm-{region}/latest/VERSION")
}

/// The buckets that an S3 endpoint policy must allow `s3:GetObject` on, most needed first.
///
/// A name that ends in `*` has a suffix in that region that this version does not know. Sources: Systems Manager User
/// Guide, "SSM Agent communications with AWS managed S3 buckets" and "Reference: Amazon S3 buckets for patching
/// operations"; the agent's Distributor buckets from its minimum-permissions page.
#[must_use]
pub fn buckets(region: &str) -> Vec<String> {
    let snapshot = match suffix(SNAPSHOT_SUFFIXES, region) {
        Some(suffix) => format!("patch-baseline-snapshot-{region}-{suffix}"),
        None => format!("patch-baseline-snapshot-{region}"),
    };
    let patching = suffix(PATCH_MANAGER_SUFFIXES, region).unwrap_or("*");
    let distributor = if DISTRIBUTOR_FILE_REGIONS.contains(&region) {
        format!("aws-ssm-distributor-file-{region}")
    } else {
        format!("{region}-birdwatcher-prod")
    };
    vec![
        format!("amazon-ssm-{region}"),
        format!("aws-ssm-{region}"),
        format!("aws-patch-manager-{region}-{patching}"),
        snapshot,
        distributor,
        format!("aws-ssm-document-attachments-{region}"),
        format!("aws-windows-downloads-{region}"),
    ]
}

fn suffix(table: &'static [(&str, &str)], region: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == region).map(|(_, suffix)| *suffix)
}

const DISTRIBUTOR_FILE_REGIONS: &[&str] = &["af-south-1", "eu-south-1"];

const SNAPSHOT_SUFFIXES: &[(&str, &str)] = &[
    ("af-south-1", "tbxdb5b9"),
    ("ap-south-2", "50209442"),
    ("ap-southeast-3", "be0a3174"),
    ("ap-southeast-4", "dc6f76ce"),
    ("eu-south-2", "df2c9d70"),
    ("me-south-1", "uduvl7q8"),
];

const PATCH_MANAGER_SUFFIXES: &[(&str, &str)] = &[
    ("af-south-1", "bdd5f65a9"),
    ("ap-east-1", "632356271"),
    ("ap-northeast-1", "4849fa78f"),
    ("ap-northeast-2", "10467995c"),
    ("ap-northeast-3", "67373598a"),
    ("ap-south-1", "cb7c62ff9"),
    ("ap-south-2", "32f4b4128"),
    ("ap-southeast-1", "7fdfd9ef7"),
    ("ap-southeast-2", "17283a275"),
    ("ap-southeast-3", "aa48fc462"),
    ("ap-southeast-4", "01e2c40d3"),
    ("ca-central-1", "3148e69e3"),
    ("ca-west-1", "9e3a4b2f9"),
    ("eu-central-1", "9163fdaaf"),
    ("eu-central-2", "184ce43c8"),
    ("eu-north-1", "795879e9b"),
    ("eu-south-1", "c52f3f594"),
    ("eu-south-2", "a4cf248b1"),
    ("eu-west-1", "5522fb710"),
    ("eu-west-2", "902a2bc74"),
    ("eu-west-3", "29bf85721"),
    ("il-central-1", "e221cb57b"),
    ("me-central-1", "2932f2f80"),
    ("me-south-1", "a53fc9dce"),
    ("sa-east-1", "ddf4b6a09"),
    ("us-east-1", "1970c647d"),
    ("us-east-2", "552881074"),
    ("us-west-1", "8badb4304"),
    ("us-west-2", "34d7f99f8"),
];

#[cfg(test)]
mod tests {
    use super::{buckets, canary_path};

    fn check(region: &str, expected: &[&str]) {
        let buckets = buckets(region);
        for bucket in expected {
            assert!(buckets.iter().any(|name| name == bucket), "{bucket} is missing from {buckets:?}");
        }
        assert_eq!(buckets.len(), 7);
    }

    #[test]
    fn ordinary_regions_follow_the_pattern() {
        check(
            "eu-west-1",
            &[
                "amazon-ssm-eu-west-1",
                "aws-ssm-eu-west-1",
                "aws-patch-manager-eu-west-1-5522fb710",
                "patch-baseline-snapshot-eu-west-1",
                "eu-west-1-birdwatcher-prod",
                "aws-ssm-document-attachments-eu-west-1",
            ],
        );
        assert_eq!(canary_path("eu-west-1"), "/amazon-ssm-eu-west-1/latest/VERSION");
    }

    #[test]
    fn some_regions_have_names_of_their_own() {
        check("me-south-1", &["patch-baseline-snapshot-me-south-1-uduvl7q8", "aws-patch-manager-me-south-1-a53fc9dce"]);
        check("af-south-1", &["aws-ssm-distributor-file-af-south-1", "patch-baseline-snapshot-af-south-1-tbxdb5b9"]);
        check("eu-south-1", &["aws-ssm-distributor-file-eu-south-1", "patch-baseline-snapshot-eu-south-1"]);
        check("ap-southeast-4", &["patch-baseline-snapshot-ap-southeast-4-dc6f76ce"]);
    }

    #[test]
    fn an_unknown_suffix_is_left_open() {
        check("mx-central-1", &["aws-patch-manager-mx-central-1-*", "patch-baseline-snapshot-mx-central-1"]);
    }
}
