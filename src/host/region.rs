//! Where the region comes from: flag or config, environment, IMDS, the search domain.

use std::collections::BTreeMap;

use super::imds::is_region;
use crate::model::host::RegionSource;

/// The region by the first source that has one: `known` (command line or config), `AWS_REGION`, `AWS_DEFAULT_REGION`,
/// IMDS, resolv.conf's search domains.
pub(super) fn choose(
    known: Option<&str>,
    environment: &BTreeMap<String, String>,
    imds: Option<&str>,
    search: &[String],
) -> (Option<String>, RegionSource) {
    let from_environment = || {
        ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|variable| {
            let value = environment.get(*variable)?.trim();
            if !value.is_empty() && !is_region(value) {
                tracing::warn!(variable, value, "this is no region's name and is passed over");
            }
            is_region(value).then(|| value.to_owned())
        })
    };
    None.or_else(|| Some((known?.to_owned(), RegionSource::Config)))
        .or_else(|| Some((from_environment()?, RegionSource::Environment)))
        .or_else(|| Some((imds?.to_owned(), RegionSource::Imds)))
        .or_else(|| Some((search.iter().find_map(|domain| of_domain(domain))?, RegionSource::ResolvConf)))
        .map_or((None, RegionSource::None), |(region, source)| (Some(region), source))
}

/// The region in a search domain that DHCP gives in a VPC: `REGION.compute.internal`, and `ec2.internal` in us-east-1
/// (Amazon VPC User Guide, "DHCP option sets").
fn of_domain(domain: &str) -> Option<String> {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    if domain == "ec2.internal" {
        return Some("us-east-1".to_owned());
    }
    let region = domain.strip_suffix(".compute.internal")?;
    // A region has a number at its end; `corp.compute.internal` is somebody's own domain.
    let numbered = region.rsplit_once('-').is_some_and(|(_, number)| number.parse::<u8>().is_ok());
    (is_region(region) && numbered).then(|| region.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{choose, of_domain};
    use crate::model::host::RegionSource::{self, Config, Environment, Imds, None as Nowhere, ResolvConf};

    #[test]
    fn the_first_source_wins() {
        let check =
            |known, environment: &[(&str, &str)], imds, search: &[&str], expected: (Option<&str>, RegionSource)| {
                let environment: BTreeMap<String, String> =
                    environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
                let search: Vec<String> = search.iter().map(|s| (*s).to_owned()).collect();
                let (region, source) = choose(known, &environment, imds, &search);
                assert_eq!((region.as_deref(), source), expected);
            };
        let both = [("AWS_DEFAULT_REGION", "eu-west-3"), ("AWS_REGION", "eu-west-2")];
        let search = ["corp.example", "eu-west-5.compute.internal"];
        check(Some("eu-west-1"), &both, Some("eu-west-4"), &search, (Some("eu-west-1"), Config));
        check(None, &both, Some("eu-west-4"), &search, (Some("eu-west-2"), Environment));
        check(None, &both[..1], Some("eu-west-4"), &search, (Some("eu-west-3"), Environment));
        check(None, &[("AWS_REGION", "EU West")], Some("eu-west-4"), &search, (Some("eu-west-4"), Imds));
        check(None, &[("AWS_REGION", "")], None, &search, (Some("eu-west-5"), ResolvConf));
        check(None, &[], None, &["corp.example"], (None, Nowhere));
    }

    #[test]
    fn search_domains_of_vpcs() {
        let check =
            |domain: &str, expected: Option<&str>| assert_eq!(of_domain(domain).as_deref(), expected, "{domain}");
        check("ec2.internal", Some("us-east-1"));
        check("eu-west-1.compute.internal.", Some("eu-west-1"));
        check("CN-north-1.compute.internal", Some("cn-north-1"));
        check("us-gov-west-1.compute.internal", Some("us-gov-west-1"));
        check("corp.example", None);
        check("compute.internal", None);
        check(".compute.internal", None);
        check("build.compute.internal", None);
        check("x.eu-west-1.compute.internal", None);
    }
}
