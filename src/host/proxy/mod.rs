//! Proxy settings that somebody on this host obeys. vpce-probe itself never does.

mod unit;

use std::collections::BTreeMap;

use super::files::Root;
use crate::model::host::Proxy;

/// An environment: variables with their values.
pub(super) type Environment = BTreeMap<String, String>;

/// The proxies of this process's environment, of amazon-ssm-agent's units, and of the running agent's own environment
/// where that can be read (same user or root).
pub(super) fn read(root: Root<'_>, environment: &Environment, agent_pids: &[u32]) -> Vec<Proxy> {
    let mut found = settings(environment, "environment", Whose::Shells);
    for unit in unit::environments(root) {
        let mut proxies = settings(&unit.values, "unit", Whose::Agents);
        for proxy in &mut proxies {
            if let Some(file) = unit.origins.get(&proxy.variable) {
                proxy.origin.clone_from(file);
            }
        }
        found.extend(proxies);
    }
    for pid in agent_pids {
        let origin = format!("/proc/{pid}/environ");
        if let Ok(bytes) = root.bytes(&origin, MOST_ENVIRONMENT) {
            found.extend(settings(&environment_of(&bytes), &origin, Whose::Agents));
        }
    }
    without_repeats(found)
}

/// Whether a setting is amazon-ssm-agent's own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Agents,
    Shells,
}

fn settings(environment: &Environment, origin: &str, whose: Whose) -> Vec<Proxy> {
    // Upper case first, as Go does.
    let no_proxy =
        ["NO_PROXY", "no_proxy"].iter().find_map(|name| environment.get(*name).filter(|list| !list.is_empty()));
    let no_proxy: Vec<String> = no_proxy
        .map(|list| list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned))
        .into_iter()
        .flatten()
        .take(MOST_ENTRIES)
        .collect();
    let variables = VARIABLES.iter().filter_map(|variable| Some((variable, environment.get(*variable)?)));
    variables
        .filter_map(|(variable, value)| {
            let Some(Address { url, host, port }) = address(value) else {
                // The value may hold a password: only the variable's name is logged.
                if !value.is_empty() {
                    tracing::debug!(origin, variable, "this proxy setting is no URL");
                }
                return None;
            };
            Some(Proxy {
                origin: origin.to_owned(),
                agent: whose == Whose::Agents,
                variable: (*variable).to_owned(),
                url,
                host,
                port,
                no_proxy: no_proxy.clone(),
            })
        })
        .collect()
}

/// Where a proxy listens, and its URL without the password.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    url: String,
    host: String,
    port: u16,
}

/// Reads `[scheme://][user[:password]@]host[:port][/…]`. The URL is put together anew from its parts: nothing of a password
/// survives, however it is quoted. Everything before the last `@` counts as user and password.
fn address(text: &str) -> Option<Address> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        "socks4" | "socks4a" | "socks5" | "socks5h" => 1080,
        _ => return None,
    };
    let (credentials, rest) = match rest.rsplit_once('@') {
        Some((credentials, rest)) => (Some(credentials), rest),
        None => (None, rest),
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some("") | None => default_port,
        Some(port) => port.parse().ok()?,
    };
    let sane = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'%');
    if host.is_empty() || host.len() > 255 || !host.bytes().all(sane) {
        return None;
    }
    let credentials = match credentials.map(|credentials| credentials.split_once(':')) {
        Some(Some((user, _))) => format!("{}:***@", printable(user)),
        // Alone it may well be a token.
        Some(None) => "***@".to_owned(),
        None => String::new(),
    };
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    Some(Address { url: format!("{scheme}://{credentials}{bracketed}:{port}"), host: host.to_owned(), port })
}

/// A user's name, fit for a terminal.
fn printable(user: &str) -> String {
    user.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// `/proc/PID/environ`: `NAME=value`, each ended by a zero byte.
fn environment_of(bytes: &[u8]) -> Environment {
    bytes
        .split(|&byte| byte == 0)
        .filter_map(|entry| {
            let entry = String::from_utf8_lossy(entry);
            let (name, value) = entry.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// One of each: the agent's processes inherit one environment, and many set a variable in both spellings.
fn without_repeats(found: Vec<Proxy>) -> Vec<Proxy> {
    let mut kept: Vec<Proxy> = Vec::new();
    for proxy in found {
        let same = |other: &Proxy| {
            other.agent == proxy.agent
                && other.variable.eq_ignore_ascii_case(&proxy.variable)
                && other.url == proxy.url
                && other.no_proxy == proxy.no_proxy
        };
        if kept.len() < MOST_PROXIES && !kept.iter().any(same) {
            kept.push(proxy);
        }
    }
    kept
}

const VARIABLES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const MOST_ENVIRONMENT: u64 = 256 * 1024;
const MOST_ENTRIES: usize = 256;
const MOST_PROXIES: usize = 32;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::{Environment, Whose, address, environment_of, read, settings};
    use crate::host::files::Root;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn an_address_is_read_and_its_password_forgotten() {
        let check = |text: &str, expected: Option<(&str, &str, u16)>| {
            let found = address(text);
            assert_eq!(found.as_ref().map(|a| (a.url.as_str(), a.host.as_str(), a.port)), expected, "{text}");
        };
        check("http://proxy.corp:3128", Some(("http://proxy.corp:3128", "proxy.corp", 3128)));
        check("proxy.corp:3128", Some(("http://proxy.corp:3128", "proxy.corp", 3128)));
        check("proxy.corp", Some(("http://proxy.corp:80", "proxy.corp", 80)));
        check("HTTPS://proxy.corp/", Some(("https://proxy.corp:443", "proxy.corp", 443)));
        check("socks5://10.0.0.9", Some(("socks5://10.0.0.9:1080", "10.0.0.9", 1080)));
        check("http://[fd00::9]:3128", Some(("http://[fd00::9]:3128", "fd00::9", 3128)));
        check("http://u:secret@proxy:1", Some(("http://u:***@proxy:1", "proxy", 1)));
        check("http://u:s/1@c#r@e:t@proxy:1/x", Some(("http://u:***@proxy:1", "proxy", 1)));
        check("u:secret@proxy", Some(("http://u:***@proxy:80", "proxy", 80)));
        check("http://u@proxy", Some(("http://***@proxy:80", "proxy", 80)));
        check("http://u:@proxy", Some(("http://u:***@proxy:80", "proxy", 80)));
        for bad in
            ["", "http://", "ftp://proxy", "http://proxy:99999", "http://pro xy", "http://<html>", "http://:3128"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn no_proxy_stands_beside_every_variable() {
        let found = settings(
            &environment(&[
                ("https_proxy", "http://p:1"),
                ("HTTP_PROXY", "http://q:2"),
                ("no_proxy", " .amazonaws.com, ,169.254.169.254"),
                ("PATH", "/bin"),
            ]),
            "environment",
            Whose::Shells,
        );
        let variables: Vec<&str> = found.iter().map(|p| p.variable.as_str()).collect();
        assert_eq!(variables, ["https_proxy", "HTTP_PROXY"]);
        assert!(found.iter().all(|p| p.no_proxy == [".amazonaws.com", "169.254.169.254"] && !p.agent));
        assert!(!found[0].applies_to("ssm.eu-west-1.amazonaws.com", 443));
        assert!(found[0].applies_to("vault.corp.example", 443));
    }

    #[test]
    fn both_spellings_of_one_setting_count_once() {
        let both =
            environment(&[("https_proxy", "http://p:1"), ("HTTPS_PROXY", "http://p:1"), ("ALL_PROXY", "http://p:1")]);
        let found = read(Root::new(Path::new("/nonexistent")), &both, &[]);
        let variables: Vec<&str> = found.iter().map(|p| p.variable.as_str()).collect();
        assert_eq!(variables, ["HTTPS_PROXY", "ALL_PROXY"]);
    }

    #[test]
    fn a_process_environment_is_split_at_zero_bytes() {
        let found = environment_of(b"A=1\0B=x=y\0\0nonsense\0C=\xff\0");
        assert_eq!(found, environment(&[("A", "1"), ("B", "x=y"), ("C", "\u{fffd}")]));
    }

    proptest! {
        #[test]
        fn a_password_never_survives(user in "[a-z]{1,5}", password in "[A-Z0-9:/@#?%]{6,20}") {
            let password = format!("QX{password}XQ");
            for text in [format!("http://{user}:{password}@proxy.corp:3128"), format!("{user}:{password}@proxy.corp")] {
                let shown = format!("{:?}", address(&text));
                prop_assert!(!shown.contains("QX") && !shown.contains("XQ"), "{}", shown);
            }
        }

        #[test]
        fn never_panics(text in ".{0,60}") {
            let _ = (address(&text), environment_of(text.as_bytes()));
        }
    }
}
