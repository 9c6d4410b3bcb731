//! Remote ends of established TCP connections: whether the SSM agent (or anybody) holds one to an endpoint.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::time::Instant;

use super::files::Root;
use crate::model::host::{Agent, AgentState};

/// This host's connections, read anew once in a while only: for each look the kernel walks its whole table, which on a
/// large host takes half as long as a round.
#[derive(Debug, Default)]
pub(super) struct Connections {
    known: Option<(Option<Vec<SocketAddr>>, Instant)>,
    doubted: bool,
}

impl Connections {
    /// What [`established`] says, as of now or some minutes ago. Nobody asks while the agent, whose connection is looked
    /// for, does not run.
    pub(super) fn look(&mut self, root: Root<'_>, agent: &Agent) -> Option<Vec<SocketAddr>> {
        if agent.state != AgentState::Running {
            self.known = None;
            return None;
        }
        if let Some((remotes, at)) = &self.known
            && at.elapsed() < if self.doubted { DOUBTED } else { KEPT }
        {
            return remotes.clone();
        }
        let remotes = established(root);
        *self = Self { known: Some((remotes.clone(), Instant::now())), doubted: false };
        remotes
    }

    /// One that should be there was not found: looked for sooner than usual, until it is.
    pub(super) const fn doubt(&mut self) {
        self.doubted = true;
    }
}

/// The distinct remote ends with port 443 of this network namespace's established TCP connections, at most 256.
/// `None` where the kernel does not show its tables, or they are too long to be read whole: nobody can tell.
fn established(root: Root<'_>) -> Option<Vec<SocketAddr>> {
    let mut remotes = Vec::new();
    for (table, needed) in [("/proc/net/tcp", Needed::Always), ("/proc/net/tcp6", Needed::WherePresent)] {
        let bytes = match (root.bytes(table, MOST_TABLE), needed) {
            (Ok(bytes), _) => bytes,
            (Err(error), Needed::WherePresent) if error.kind() == std::io::ErrorKind::NotFound => continue,
            (Err(_), _) => return None,
        };
        if bytes.len() as u64 >= MOST_TABLE {
            return None;
        }
        remotes.extend(remotes_of(&String::from_utf8_lossy(&bytes)));
    }
    remotes.sort();
    remotes.dedup();
    (remotes.len() <= MOST_REMOTES).then_some(remotes)
}

/// A kernel without IPv6 has no table of it.
#[derive(Clone, Copy)]
enum Needed {
    Always,
    WherePresent,
}

/// `sl local_address rem_address st …`: addresses in hexadecimal, in words of the machine's byte order.
fn remotes_of(table: &str) -> Vec<SocketAddr> {
    let established = table.lines().skip(1).filter_map(|line| {
        let mut field = line.split_ascii_whitespace().skip(2);
        let (remote, state) = (field.next()?, field.next()?);
        (state == ESTABLISHED).then_some(remote)
    });
    established.filter_map(remote).filter(|remote| remote.port() == HTTPS).collect()
}

fn remote(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    if !matches!(address.len(), 8 | 32) {
        return None;
    }
    let bytes: Vec<u8> = address
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok())
        .collect::<Option<Vec<u32>>>()?
        .into_iter()
        .flat_map(u32::to_ne_bytes)
        .collect();
    let address = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(v4) => IpAddr::V4(Ipv4Addr::from(v4)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?)),
    };
    Some(SocketAddr::new(address.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

/// `TCP_ESTABLISHED`.
const ESTABLISHED: &str = "01";
const HTTPS: u16 = 443;
/// About 14,000 sockets; on a busier host nobody wants a monitor to walk them every minute.
const MOST_TABLE: u64 = 2 * 1024 * 1024;
const MOST_REMOTES: usize = 256;
/// The kernel walks all buckets of its table, most of them empty: with 24 GB of memory half as long as a round takes.
const KEPT: Duration = Duration::from_mins(15);
/// Who waits for the agent restarts it, and an agent that has just started is not looked for.
const DOUBTED: Duration = Duration::from_mins(2);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::remotes_of;

    const HEADER: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    #[cfg(target_endian = "little")]
    #[test]
    fn finds_established_https_only() {
        let check = |line: &str, expected: &[&str]| {
            let found: Vec<String> = remotes_of(&format!("{HEADER}{line}\n")).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{line}");
        };
        check(
            "   0: 3200010A:C350 0A01000A:01BB 01 00000000:00000000 00:00000000 00000000     0        0 1",
            &["10.0.1.10:443"],
        );
        check("   0: 3200010A:C350 0A01000A:01BB 06 00000000:00000000", &[]);
        check("   0: 3200010A:C350 0A01000A:0050 01 00000000:00000000", &[]);
        check("   0: 00000000:01BB 00000000:0000 0A 00000000:00000000", &[]);
        check(
            "   0: 0000000000000000FFFF00003200010A:C350 0000000000000000FFFF00000A01000A:01BB 01 00000000:00000000",
            &["10.0.1.10:443"],
        );
        check("   0: x:1 181F002600343412000000001000000:01BB 01 0", &[]);
    }

    proptest! {
        #[test]
        fn never_panics(table in "[ \n:0-9A-Fé]{0,200}") {
            let _ = remotes_of(&table);
        }
    }
}
