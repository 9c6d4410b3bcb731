//! Which hosts a proxy setting spares, as amazon-ssm-agent (Go, `golang.org/x/net/http/httpproxy`) reads `no_proxy`.

use std::net::IpAddr;

use ipnet::IpNet;

/// Whether `no_proxy`'s entries send `host`, a name or an address without brackets, at `port` past the proxy.
///
/// An entry is `*`, a CIDR, an address, or a domain (which covers itself and all names below it; with a leading `.` or `*.`
/// only those below), the last two optionally with a port. Names are not resolved: a CIDR covers addresses only. The
/// local host never goes through a proxy.
#[must_use]
pub fn covers(no_proxy: &[String], host: &str, port: u16) -> bool {
    let host = host.trim().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok().map(|address: IpAddr| address.to_canonical());
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.iter().any(|entry| {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Ok(net) = entry.parse::<IpNet>() {
            return address.is_some_and(|address| net.contains(&address));
        }
        let (name, only) = with_port(&entry);
        if only.is_some_and(|only| only != port.to_string()) {
            return false;
        }
        match (name.parse::<IpAddr>(), address) {
            (Ok(listed), Some(address)) => listed.to_canonical() == address,
            (Ok(_), None) => false,
            (Err(_), _) => covers_name(name, &host),
        }
    })
}

fn covers_name(entry: &str, host: &str) -> bool {
    let entry = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(entry);
    match entry.strip_prefix('.') {
        Some(domain) => !domain.is_empty() && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        None if entry.is_empty() => false,
        None => host.strip_suffix(entry).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')),
    }
}

/// `name:port`, `[address]:port`, or neither; an IPv6 address without brackets has no port.
fn with_port(entry: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, Some(port)),
        Some(_) | None => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::covers;

    #[test]
    fn reads_the_list_as_go_does() {
        let check = |list: &str, host: &str, expected: bool| {
            let entries: Vec<String> = list.split(',').map(str::to_owned).collect();
            assert_eq!(covers(&entries, host, 443), expected, "{list} {host}");
        };
        let ssm = "ssm.eu-west-1.amazonaws.com";
        check("", ssm, false);
        check("*", ssm, true);
        check("amazonaws.com", ssm, true);
        check(".amazonaws.com", ssm, true);
        check("*.amazonaws.com", ssm, true);
        check(" .AmazonAWS.com ", ssm, true);
        check("zonaws.com", ssm, false);
        check(".amazonaws.com", "amazonaws.com", false);
        check("amazonaws.com", "amazonaws.com", true);
        check("amazonaws.com:443", ssm, true);
        check("amazonaws.com:80", ssm, false);
        check("ssm.eu-west-1.amazonaws.com", "ec2messages.eu-west-1.amazonaws.com", false);
        check("10.0.0.1,ssm.eu-west-1.amazonaws.com", ssm, true);
        check("169.254.169.254", "169.254.169.254", true);
        check("169.254.169.254:443", "169.254.169.254", true);
        check("169.254.169.254:80", "169.254.169.254", false);
        check("169.254.0.0/16", "169.254.169.254", true);
        check("169.254.", "169.254.169.254", false);
        check("fd00:ec2::/32", "fd00:ec2::254", true);
        check("[fd00:ec2::254]", "[fd00:ec2::254]", true);
        check("[fd00:ec2::254]:443", "fd00:ec2::254", true);
        check("10.0.0.0/8", ssm, false);
        check(".,*.,:,[", ssm, false);
        check("", "localhost", true);
        check("", "127.0.0.1", true);
        check("", "::1", true);
    }

    proptest! {
        #[test]
        fn never_panics(list in proptest::collection::vec("[ \\[\\]:*./0-9a-fé]{0,12}", 0..4), host in ".{0,20}", port: u16) {
            let _ = covers(&list, &host, port);
        }
    }
}
