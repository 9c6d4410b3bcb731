//! Every table and every key that a config may hold.

use super::suggest;

/// A table of the file, and the keys that it may hold.
#[derive(Debug, PartialEq, Eq)]
pub struct Section {
    /// As in the file's header; empty for the top level.
    pub name: &'static str,
    /// Every key, tables aside.
    pub keys: &'static [&'static str],
}

/// Every table and every key, in the order of `config.example.toml`.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "",
        keys: &[
            "region",
            "interval",
            "round_deadline",
            "confirm",
            "family",
            "http",
            "extra_ca_file",
            "default_targets",
            "state_dir",
            "runtime_dir",
        ],
    },
    Section { name: "timeouts", keys: &["resolve", "connect", "tls", "http", "mtu", "imds"] },
    Section { name: "dns", keys: &["resolver", "attempts", "compare_with_vpc"] },
    Section { name: "mtu", keys: &["mode", "repeat_every"] },
    Section { name: "tls", keys: &["post_quantum", "expiry_warning", "expected_issuers"] },
    Section { name: "address", keys: &["allowed_cidrs", "s3_prefixes"] },
    Section {
        name: "host",
        keys: &[
            "instance_id",
            "vpc_id",
            "vpc_cidrs",
            "subnet_id",
            "subnet_cidrs",
            "availability_zone",
            "availability_zone_id",
        ],
    },
    Section {
        name: "target",
        keys: &["service", "host", "name", "port", "expect", "required", "path", "allowed_cidrs", "enabled"],
    },
    Section {
        name: "cloudwatch",
        keys: &[
            "enabled",
            "namespace",
            "flush_interval",
            "detail",
            "endpoint_url",
            "fips",
            "dual_stack",
            "credentials",
            "fixed_dimensions",
            "extra_dimension_sets",
            "monthly_warning_usd",
        ],
    },
    Section { name: "cloudwatch.spool", keys: &["max_size"] },
    Section { name: "textfile", keys: &["path"] },
];

/// The keys and the tables that may stand in a table.
pub(super) fn keys(section: &str) -> Vec<&'static str> {
    let own = SECTIONS.iter().filter(|known| known.name == section).flat_map(|known| known.keys.iter().copied());
    let nested = SECTIONS.iter().filter_map(|known| match known.name.rsplit_once('.') {
        Some((parent, name)) => (parent == section).then_some(name),
        None => (section.is_empty() && !known.name.is_empty()).then_some(known.name),
    });
    own.chain(nested).collect()
}

/// What to write in place of an unknown key.
pub(super) fn instead_of_key(name: &str, section: &str, known: &[&'static str]) -> String {
    let elsewhere = |wanted: &str| {
        SECTIONS.iter().find(|other| other.name != section && keys(other.name).contains(&wanted)).map(|other| {
            if SECTIONS.iter().any(|table| table.name == wanted) {
                format!("{} is a table of its own", bracketed(wanted))
            } else if other.name.is_empty() {
                format!("\"{wanted}\" belongs at the top of the file, above the first [table]")
            } else {
                format!("\"{wanted}\" belongs in {}", bracketed(other.name))
            }
        })
    };
    if let Some(known) = suggest::nearest(name, known.iter().copied()) {
        return format!("did you mean \"{known}\"?");
    }
    if let Some(place) = elsewhere(name) {
        return place;
    }
    let all = SECTIONS.iter().flat_map(|section| keys(section.name));
    if let Some(place) = suggest::nearest(name, all).and_then(elsewhere) {
        return format!("if you mean it, {place}");
    }
    format!("remove it; known here: {}", known.join(", "))
}

/// The header of a table.
pub(super) fn bracketed(section: &str) -> String {
    if section == "target" { "[[target]]".to_owned() } else { format!("[{section}]") }
}
