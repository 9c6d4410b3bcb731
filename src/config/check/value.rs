//! Readers of single values: each gives the value, or notes what is wrong with it.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use ipnet::{IpNet, ipv4_mask_to_prefix};

use crate::config::{
    diagnostic::{Report, quoted},
    duration,
    raw::{At, Value},
    size, suggest,
};

/// A duration within bounds.
pub(super) fn duration(
    value: Value<'_>,
    bounds: &RangeInclusive<Duration>,
    report: &mut Report<'_>,
) -> Option<Duration> {
    let instead = |written: &str| match duration::parse(written) {
        Err(duration::NotADuration { meant: Some(meant), .. }) => format!("write \"{meant}\""),
        Ok(_) | Err(_) => DURATION_HINT.to_owned(),
    };
    let text = value.text_like("a duration like \"5s\"", instead, report)?;
    match duration::parse(text) {
        Ok(duration) if bounds.contains(&duration) => Some(duration),
        Ok(duration) => {
            let (side, bound) =
                if duration < *bounds.start() { ("least", bounds.start()) } else { ("most", bounds.end()) };
            report.error(
                &value.span(),
                format!("{}: {text} is too {}", value.key, if side == "least" { "short" } else { "long" }),
                Some(format!("write at {side} \"{}\"", duration::show(*bound))),
            );
            None
        }
        Err(refused) => {
            let hint = refused.meant.map_or_else(|| DURATION_HINT.to_owned(), |meant| format!("write \"{meant}\""));
            report.error(&value.span(), format!("{}: {} is not a duration", value.key, quoted(text)), Some(hint));
            None
        }
    }
}

/// A size in bytes, within bounds.
pub(super) fn size(value: Value<'_>, bounds: &RangeInclusive<u64>, report: &mut Report<'_>) -> Option<u64> {
    let instead = |_: &str| "write a number and its unit in quotes, like \"16MB\"".to_owned();
    let text = value.text_like("a size like \"16MB\"", instead, report)?;
    match size::parse(text) {
        Ok(size) if bounds.contains(&size) => Some(size),
        Ok(_) => {
            let (least, most) = (size::show(*bounds.start()), size::show(*bounds.end()));
            report.error(
                &value.span(),
                format!("{}: {text} is out of range", value.key),
                Some(format!("write a size from \"{least}\" to \"{most}\"")),
            );
            None
        }
        Err(meant) => {
            let hint = meant.map_or_else(
                || "write a whole number and its unit (kB, MB, GB, KiB, MiB, GiB), like \"16MB\"".to_owned(),
                |meant| format!("write \"{meant}\""),
            );
            report.error(&value.span(), format!("{}: {} is not a size", value.key, quoted(text)), Some(hint));
            None
        }
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(value: Value<'_>, words: &[(&str, T)], report: &mut Report<'_>) -> Option<T> {
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let list = suggest::one_of(&names);
    if value.as_flag().is_some() {
        let hint = match value.as_flag() {
            Some(false) if names.contains(&"off") => "write \"off\"".to_owned(),
            _ => format!("write {list}"),
        };
        value.wrong(&list, Some(hint), report);
        return None;
    }
    let text = value.text_like(&list, |_| format!("write {list}"), report)?;
    let found = words.iter().find(|(name, _)| *name == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let hint = match suggest::nearest(text, names.iter().copied()) {
            Some(meant) => format!("did you mean \"{meant}\"? allowed: {list}"),
            None => format!("write {list}"),
        };
        report.error(&value.span(), format!("{}: {} is not one of its values", value.key, quoted(text)), Some(hint));
    }
    found
}

/// A text that is not empty, without control characters and blanks at its ends.
pub(super) fn plain<'t>(value: Value<'t>, report: &mut Report<'_>) -> Option<&'t str> {
    let text = value.text(report)?;
    if text.trim().is_empty() {
        report.error(
            &value.span(),
            format!("{} is empty", value.key),
            Some("remove the key, or give it a value".to_owned()),
        );
    } else if text.trim() != text {
        let hint = format!("write {}", quoted(text.trim()));
        report.error(&value.span(), format!("{}: {} has blanks at its ends", value.key, quoted(text)), Some(hint));
    } else if text.chars().any(char::is_control) {
        report.error(
            &value.span(),
            format!("{}: {} holds a control character", value.key, quoted(text)),
            Some("remove it".to_owned()),
        );
    } else {
        return Some(text);
    }
    None
}

/// An absolute path of a file or directory.
pub(super) fn path(value: Value<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = plain(value, report)?;
    if text.starts_with('/') {
        return Some(PathBuf::from(text));
    }
    let hint = if text.starts_with('~') {
        "write the whole path; \"~\" is known only to shells"
    } else {
        "write the whole path, beginning with \"/\": the daemon's working directory is not yours"
    };
    report.error(
        &value.span(),
        format!("{}: {} is not an absolute path", value.key, quoted(text)),
        Some(hint.to_owned()),
    );
    None
}

/// A list of networks.
pub(super) fn networks(value: Value<'_>, report: &mut Report<'_>) -> Option<Vec<IpNet>> {
    let list = value.list(report, network)?;
    warn_of_repeats(value.key, &list, report);
    Some(list.into_iter().map(|at| at.value).collect())
}

/// Networks that count as private; not the whole Internet.
pub(super) fn private_networks(value: Value<'_>, report: &mut Report<'_>) -> Option<Vec<IpNet>> {
    let list = value.list(report, |value, report| {
        let network = network(value, report)?;
        if network.prefix_len() == 0 {
            report.error(
                &value.span(),
                format!("{}: {network} is every address there is, so nothing would be judged", value.key),
                Some("write the networks that you mean, or expect = \"any\" for the target".to_owned()),
            );
            return None;
        }
        Some(network)
    })?;
    warn_of_repeats(value.key, &list, report);
    Some(list.into_iter().map(|at| at.value).collect())
}

/// An address that a name server can have.
pub(super) fn server(value: Value<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    let text = value.text_like("an IP address in quotes", |_| ADDRESS_HINT.to_owned(), report)?;
    let (what, hint) = match text.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() || address.is_multicast() || text == "255.255.255.255" => {
            (format!("{address} is no host's address"), ADDRESS_HINT.to_owned())
        }
        Ok(address) => return Some(address),
        Err(_) => (format!("{} is not an IP address", quoted(text)), address_meant(text)),
    };
    report.error(&value.span(), format!("{}: {what}", value.key), Some(hint));
    None
}

/// Warns of each item that stands earlier in its list.
pub(super) fn warn_of_repeats<T: PartialEq + std::fmt::Display>(key: &str, list: &[At<T>], report: &mut Report<'_>) {
    for (nth, item) in list.iter().enumerate() {
        if list.iter().take(nth).any(|earlier| earlier.value == item.value) {
            report.warn(&item.span, format!("{key}: {} stands here twice", item.value), Some("remove one".to_owned()));
        }
    }
}

fn network(value: Value<'_>, report: &mut Report<'_>) -> Option<IpNet> {
    let text = value.text_like("a network like \"10.0.0.0/16\"", |_| CIDR_HINT.to_owned(), report)?;
    let (what, hint) = match text.parse::<IpNet>() {
        Ok(network) if network.trunc() == network => return Some(network),
        Ok(network) => (
            format!("{text} has bits set outside its /{} prefix", network.prefix_len()),
            format!(
                "write \"{}\" for the network, or \"{}/{}\" for the one address",
                network.trunc(),
                network.addr(),
                network.max_prefix_len()
            ),
        ),
        Err(_) => (format!("{} is not a network", quoted(text)), network_meant(text)),
    };
    report.error(&value.span(), format!("{}: {what}", value.key), Some(hint));
    None
}

fn network_meant(text: &str) -> String {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return format!("write \"{}\" for this one address", IpNet::from(address));
    }
    let Some((address, prefix)) = text.split_once('/') else { return CIDR_HINT.to_owned() };
    let (address, prefix) = (address.trim(), prefix.trim());
    let (Ok(address), Ok(mask)) = (address.parse::<IpAddr>(), prefix.parse::<std::net::Ipv4Addr>()) else {
        return match (address.parse::<IpAddr>(), prefix.parse::<u32>()) {
            (Ok(IpAddr::V4(_)), Ok(33..)) => "an IPv4 prefix is at most /32".to_owned(),
            (Ok(IpAddr::V6(_)), Ok(129..)) => "an IPv6 prefix is at most /128".to_owned(),
            (Ok(address), Ok(prefix)) => match u8::try_from(prefix).ok().and_then(|p| IpNet::new(address, p).ok()) {
                Some(network) => format!("write \"{}\"", network.trunc()),
                None => CIDR_HINT.to_owned(),
            },
            _ => CIDR_HINT.to_owned(),
        };
    };
    match ipv4_mask_to_prefix(mask).ok().and_then(|prefix| IpNet::new(address, prefix).ok()) {
        Some(network) => format!("write \"{}\"", network.trunc()),
        None => CIDR_HINT.to_owned(),
    }
}

fn address_meant(text: &str) -> String {
    if let Ok(socket) = text.parse::<std::net::SocketAddr>() {
        return format!("write \"{}\"; name servers are asked on port 53", socket.ip());
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return format!("write \"{}\", without the prefix", network.addr());
    }
    let trimmed = text.trim().trim_matches(['[', ']']);
    let trimmed = trimmed.split('%').next().unwrap_or_default();
    match trimmed.parse::<IpAddr>() {
        Ok(address) if text.contains('%') => format!("write \"{address}\"; an interface cannot be given"),
        Ok(address) => format!("write \"{address}\""),
        Err(_) => ADDRESS_HINT.to_owned(),
    }
}

const DURATION_HINT: &str = "write a number and its unit (ms, s, m, h or d), like \"5s\", \"250ms\" or \"1m30s\"";
const CIDR_HINT: &str = "write an address and a prefix, like \"10.0.0.0/16\" or \"fd00::/8\"";
const ADDRESS_HINT: &str = "write an IPv4 or IPv6 address, like \"10.0.0.2\" or \"fd00:ec2::253\"";
