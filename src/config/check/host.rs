//! `[host]`: facts that are then not asked of IMDS.

use ipnet::IpNet;

use super::{
    name::{self, Zone},
    value,
};
use crate::config::{
    Host,
    diagnostic::{Report, quoted},
    raw::{Setting, Table, Value},
};

pub(super) fn read(table: &Table<'_>, region: &Setting<String>, report: &mut Report<'_>) -> Host {
    let instance_id = table.read("instance_id", report, |value, report| name::id(value, &["i-", "mi-"], report));
    let vpc_id = table.read("vpc_id", report, |value, report| name::id(value, &["vpc-"], report));
    let vpc_cidrs = table.read("vpc_cidrs", report, some_networks);
    let subnet_id = table.read("subnet_id", report, |value, report| name::id(value, &["subnet-"], report));
    let subnet_cidrs = table.read("subnet_cidrs", report, some_networks);
    let zone = table.read("availability_zone", report, |value, report| name::zone(value, Zone::Name, report));
    let zone_id = table.read("availability_zone_id", report, |value, report| name::zone(value, Zone::Id, report));

    subnets_within_vpc(&vpc_cidrs, &subnet_cidrs, report);
    if let (Some(region), Some(zone)) = (region.at(), zone.at())
        && !zone.value.starts_with(&region.value)
    {
        report.error(
            &zone.span,
            format!("availability_zone {} is not in region {}", quoted(&zone.value), quoted(&region.value)),
            Some("correct one of them, or remove both: they are then discovered".to_owned()),
        );
    }
    Host {
        instance_id: instance_id.value(),
        vpc_id: vpc_id.value(),
        vpc_cidrs: vpc_cidrs.value(),
        subnet_id: subnet_id.value(),
        subnet_cidrs: subnet_cidrs.value(),
        availability_zone: zone.value(),
        availability_zone_id: zone_id.value(),
    }
}

/// At least one network: an empty list would mean that the VPC has none.
fn some_networks(value: Value<'_>, report: &mut Report<'_>) -> Option<Vec<IpNet>> {
    let networks = value::networks(value, report)?;
    if networks.is_empty() {
        let hint = "remove the key: IMDS is then asked; or name a network".to_owned();
        report.error(&value.span(), format!("{} is empty", value.key), Some(hint));
        return None;
    }
    Some(networks)
}

fn subnets_within_vpc(vpc: &Setting<Vec<IpNet>>, subnets: &Setting<Vec<IpNet>>, report: &mut Report<'_>) {
    let (Some(vpc), Some(subnets)) = (vpc.at(), subnets.at()) else { return };
    for subnet in &subnets.value {
        if !vpc.value.iter().any(|cidr| cidr.contains(subnet)) {
            report.error(
                &subnets.span,
                format!("subnet_cidrs: {subnet} lies in none of vpc_cidrs"),
                Some("add the VPC's network to vpc_cidrs, or correct the subnet".to_owned()),
            );
        }
    }
}
