//! Partitions and regions (botocore's `partitions.json` 1.1; `amazon-ssm-agent`'s `common/identity/endpoint`).

/// A partition: regions that share a DNS suffix and an account system.
#[derive(Debug, PartialEq, Eq)]
pub struct Partition {
    /// e.g. `aws-us-gov`.
    pub name: &'static str,
    /// The suffix of ordinary host names, e.g. `amazonaws.com`.
    pub dns_suffix: &'static str,
    /// The suffix of dual-stack host names, e.g. `api.aws`.
    pub dual_stack_suffix: &'static str,
    /// The regions that were known when this version was made. New ones are recognised by their prefix.
    pub regions: &'static [&'static str],
    /// What its region names begin with, with the trailing `-`.
    prefixes: &'static [&'static str],
}

impl Partition {
    /// Whether this version knows the region by name, and not only by its prefix.
    #[must_use]
    pub fn knows(&self, region: &str) -> bool {
        self.regions.contains(&region)
    }

    /// Whether `suffix` is the ordinary suffix or the one of dual-stack names.
    #[must_use]
    pub fn has_suffix(&self, suffix: &str) -> bool {
        self.dns_suffix == suffix || self.dual_stack_suffix == suffix
    }
}

/// The partition of a region: by name where it is known, else by its prefix, as `amazon-ssm-agent` does.
///
/// `None`: nothing that this version knows begins like that; [`AWS`] is then the best guess, with a warning.
#[must_use]
pub fn of_region(region: &str) -> Option<&'static Partition> {
    // The longest prefix wins: `us-gov-west-1` begins with `us-` as well.
    ALL.iter()
        .copied()
        .flat_map(|partition| partition.prefixes.iter().map(move |prefix| (prefix.len(), *prefix, partition)))
        .filter(|(_, prefix, _)| region.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
        .max_by_key(|(length, _, _)| *length)
        .map(|(_, _, partition)| partition)
}

/// The partition of that name, e.g. `aws-cn`, as IMDS's `services/partition` says it.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Partition> {
    ALL.iter().copied().find(|partition| partition.name == name)
}

/// Whether the text can be a region's name at all: 1 to 63 of `a-z`, `0-9` and `-`, and no `-` at either end, so that
/// it is one label of a host name.
#[must_use]
pub fn is_region_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // 63: the longest label of a host name (RFC 1035 §2.3.4).
    (1..=63).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

/// Every region of every partition, with its partition.
pub fn regions() -> impl Iterator<Item = (&'static Partition, &'static str)> {
    ALL.iter().copied().flat_map(|partition| partition.regions.iter().map(move |region| (partition, *region)))
}

/// The commercial partition.
pub const AWS: &Partition = &Partition {
    name: "aws",
    dns_suffix: "amazonaws.com",
    dual_stack_suffix: "api.aws",
    regions: &[
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ],
    prefixes: &["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"],
};

/// Every partition.
pub const ALL: &[&Partition] = &[
    AWS,
    &Partition {
        name: "aws-cn",
        dns_suffix: "amazonaws.com.cn",
        dual_stack_suffix: "api.amazonwebservices.com.cn",
        regions: &["cn-north-1", "cn-northwest-1"],
        prefixes: &["cn-"],
    },
    &Partition {
        name: "aws-us-gov",
        dns_suffix: "amazonaws.com",
        dual_stack_suffix: "api.aws",
        regions: &["us-gov-east-1", "us-gov-west-1"],
        prefixes: &["us-gov-"],
    },
    &Partition {
        name: "aws-iso",
        dns_suffix: "c2s.ic.gov",
        dual_stack_suffix: "api.aws.ic.gov",
        regions: &["us-iso-east-1", "us-iso-west-1"],
        prefixes: &["us-iso-"],
    },
    &Partition {
        name: "aws-iso-b",
        dns_suffix: "sc2s.sgov.gov",
        dual_stack_suffix: "api.aws.scloud",
        regions: &["us-isob-east-1", "us-isob-west-1"],
        prefixes: &["us-isob-"],
    },
    &Partition {
        name: "aws-iso-e",
        dns_suffix: "cloud.adc-e.uk",
        dual_stack_suffix: "api.cloud-aws.adc-e.uk",
        regions: &["eu-isoe-west-1"],
        prefixes: &["eu-isoe-"],
    },
    &Partition {
        name: "aws-iso-f",
        dns_suffix: "csp.hci.ic.gov",
        dual_stack_suffix: "api.aws.hci.ic.gov",
        regions: &["us-isof-east-1", "us-isof-south-1"],
        prefixes: &["us-isof-"],
    },
    &Partition {
        name: "aws-eusc",
        dns_suffix: "amazonaws.eu",
        dual_stack_suffix: "api.amazonwebservices.eu",
        regions: &["eusc-de-east-1"],
        prefixes: &["eusc-de-"],
    },
];

#[cfg(test)]
mod tests {
    use super::{ALL, by_name, is_region_name, of_region, regions};

    #[test]
    fn every_region_belongs_to_its_own_partition() {
        for (partition, region) in regions() {
            assert_eq!(of_region(region), Some(partition), "{region}");
            assert!(is_region_name(region), "{region}");
            assert!(partition.knows(region));
            assert_eq!(by_name(partition.name), Some(partition));
        }
        assert_eq!(ALL.len(), 8);
        assert_eq!(regions().count(), 34 + 2 + 2 + 2 + 2 + 1 + 2 + 1);
    }

    #[test]
    fn an_unknown_region_is_placed_by_its_prefix() {
        fn check(region: &str, expected: Option<&str>) {
            assert_eq!(of_region(region).map(|partition| partition.name), expected, "{region}");
        }
        check("eu-west-9", Some("aws"));
        check("us-gov-south-1", Some("aws-us-gov"));
        check("us-isob-north-7", Some("aws-iso-b"));
        check("us-iso-", Some("aws"));
        check("cn-south-1", Some("aws-cn"));
        check("eusc-de-west-1", Some("aws-eusc"));
        check("eusc-fr-west-1", None);
        check("mars", None);
        check("mars-north-1", None);
        check("", None);
        check("eu", None);
        check("eu-", None);
    }

    #[test]
    fn only_one_label_of_a_host_name_can_be_a_region() {
        for good in ["eu-west-1", "mars", "x", "us-gov-west-1"] {
            assert!(is_region_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "EU-WEST-1", "eu_west_1", "eu-west-1.evil.example", "eu west", "-eu", "eu-", "é", "a/b", &long]
        {
            assert!(!is_region_name(bad), "{bad}");
        }
    }
}
