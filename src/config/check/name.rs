//! Names of AWS and of the DNS: regions, zones, ids, host names.

use std::net::IpAddr;

use crate::{
    catalog::partition,
    config::{
        diagnostic::{Report, quoted},
        raw::Value,
        suggest,
    },
};

/// A region: an error where it can be none, a warning where this version knows none like it.
pub(super) fn region(value: Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    if !partition::is_region_name(text) {
        let tidy = text.trim().to_lowercase().replace(['_', ' '], "-");
        let hint = if partition::is_region_name(&tidy) && partition::of_region(&tidy).is_some() {
            format!("write \"{tidy}\"")
        } else {
            "write a region such as \"eu-west-1\", or remove the key: it is then discovered".to_owned()
        };
        let what = format!("{}: {} cannot be a region: only a-z, 0-9 and \"-\" are allowed", value.key, quoted(text));
        report.error(&value.span(), what, Some(hint));
        return None;
    }
    let known = |region: &str| partition::of_region(region).is_some_and(|partition| partition.knows(region));
    let without_letter = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    if text.len() == without_letter.len() + 1 && known(without_letter) {
        let what = format!("{}: {} is an availability zone, not a region", value.key, quoted(text));
        report.error(&value.span(), what, Some(format!("write \"{without_letter}\"")));
        return None;
    }
    // A new region of a known place ("eu-west-9") is likely; a new spelling of a place ("eu-wset-1") is a slip.
    let body = |region: &'static str| region.trim_end_matches(|c: char| c.is_ascii_digit());
    let place = text.trim_end_matches(|c: char| c.is_ascii_digit());
    let plausible = place.ends_with('-') && partition::regions().any(|(_, region)| body(region) == place);
    let near = suggest::nearest(text, partition::regions().map(|(_, region)| region));
    if partition::of_region(text).is_none() || (!known(text) && !plausible && near.is_some()) {
        let hint = match near {
            Some(near) => format!("did you mean \"{near}\"? else host names end in amazonaws.com by guess"),
            None => "check it; host names end in amazonaws.com by guess".to_owned(),
        };
        report.warn(&value.span(), format!("{}: no partition knows {}", value.key, quoted(text)), Some(hint));
    }
    Some(text.to_owned())
}

/// An id such as `vpc-0123…`, by the beginnings that it may have.
pub(super) fn id(value: Value<'_>, prefixes: &[&str], report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let rest = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
    let shaped = rest.is_some_and(|rest| {
        (1..=40).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    if shaped {
        return Some(text.to_owned());
    }
    let prefix = prefixes.first().copied().unwrap_or_default();
    let tidy = text.trim().to_lowercase();
    let hint = if tidy != text && prefixes.iter().any(|prefix| tidy.starts_with(prefix)) {
        format!("write {}", quoted(&tidy))
    } else {
        format!("write it as \"{prefix}0123456789abcdef0\", or remove the key: IMDS is then asked")
    };
    let what = format!("{}: {} does not look like {prefix}...", value.key, quoted(text));
    report.error(&value.span(), what, Some(hint));
    None
}

/// An availability zone's name (`eu-west-1a`) or id (`euw1-az1`).
pub(super) fn zone(value: Value<'_>, kind: Zone, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let shaped = partition::is_region_name(text);
    let is_id = text.rsplit_once("-az").is_some_and(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let is_name = text.ends_with(|c: char| c.is_ascii_lowercase());
    let (fits, hint) = match kind {
        Zone::Name => {
            (is_name && !is_id, "write a zone's name like \"eu-west-1a\"; its id goes to availability_zone_id")
        }
        Zone::Id => (is_id, "write a zone's id like \"euw1-az1\"; its name goes to availability_zone"),
    };
    if shaped && fits {
        return Some(text.to_owned());
    }
    let what = format!("{}: {} is not an availability zone's {}", value.key, quoted(text), kind.as_str());
    report.error(&value.span(), what, Some(hint.to_owned()));
    None
}

/// The two names that a zone has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Zone {
    /// `eu-west-1a`: other accounts may mean another zone by it.
    Name,
    /// `euw1-az1`.
    Id,
}

impl Zone {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Id => "id",
        }
    }
}

/// A host name (RFC 1123 §2.1), in lower case and without the dot at its end.
pub(super) fn host(value: Value<'_>, report: &mut Report<'_>) -> Option<String> {
    let text = value.text(report)?;
    let name = text.strip_suffix('.').unwrap_or(text);
    let Err((what, hint)) = host_name(name) else {
        if !name.contains('.') {
            report.warn(
                &value.span(),
                format!("{}: {} has no dot, and the search list is not applied", value.key, quoted(text)),
                Some("write the full name, like \"vault.corp.example\"".to_owned()),
            );
        }
        return Some(name.to_lowercase());
    };
    report.error(&value.span(), format!("{}: {} {what}", value.key, quoted(text)), Some(hint));
    None
}

/// Why a text is no host name, and what to write instead.
fn host_name(text: &str) -> Result<(), (String, String)> {
    const EXAMPLE: &str = "write the full name, like \"vault.corp.example\"";
    let wrong = |what: &str, hint: String| Err((what.to_owned(), hint));
    if text.trim().is_empty() {
        return wrong("is empty", EXAMPLE.to_owned());
    }
    if text.parse::<IpAddr>().is_ok() {
        return wrong("is an IP address", "write the host name that its certificate is for".to_owned());
    }
    let bare = text.trim().split_once("://").map_or(text.trim(), |(_, rest)| rest);
    let (bare, path) = bare.find(['/', '?', '#']).map_or((bare, ""), |at| bare.split_at(at));
    let bare = bare.rsplit_once('@').map_or(bare, |(_, host)| host);
    let (bare, port) = match bare.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, Some(port)),
        _ => (bare, None),
    };
    if bare.len() < text.len() && host_name(bare).is_ok() {
        let mut hint = format!("give the bare name: host = \"{bare}\"");
        if let Some(port) = port.and_then(|port| port.parse::<u16>().ok()).filter(|port| *port != 443) {
            hint = format!("{hint} and port = {port}");
        }
        if path.starts_with('/') && path.len() > 1 {
            hint = format!("{hint} and path = {}", quoted(path));
        }
        return wrong("is more than a host name", hint);
    }
    if !text.is_ascii() {
        return wrong("has letters that the DNS does not carry", "write its xn-- form".to_owned());
    }
    if text.len() > 253 {
        return wrong("is longer than 253 characters", EXAMPLE.to_owned());
    }
    for label in text.split('.') {
        let problem = if label.is_empty() {
            "has an empty part between its dots"
        } else if label.len() > 63 {
            "has a part longer than 63 characters"
        } else if label == "*" {
            "has a wildcard: one name is probed, not many"
        } else if label.contains('_') {
            "has \"_\", which host names do not allow"
        } else if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            "has characters other than a-z, 0-9, \"-\" and \".\""
        } else if label.starts_with('-') || label.ends_with('-') {
            "has a part that begins or ends with \"-\""
        } else {
            continue;
        };
        return wrong(problem, EXAMPLE.to_owned());
    }
    if text.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return wrong("ends in a number, as no host name does", EXAMPLE.to_owned());
    }
    Ok(())
}
