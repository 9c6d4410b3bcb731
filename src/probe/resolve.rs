//! STUB: one UDP question for A and AAAA to the first name server; replaced by the resolve engineer's file.

use std::{net::SocketAddr, time::Duration};

use hickory_resolver::proto::{
    op::{Message, Query},
    rr::{Name, RData, RecordType},
};
use tokio::{net::UdpSocket, time::Instant};

use super::hosts_file::HostsFile;
use crate::model::{
    cause::Cause,
    observation::{Outcome, ResolveRecord, ResolverRole, Transport},
    plan::{DnsPlan, Family},
    target::Target,
};

/// A name that is being asked for.
pub struct Names {
    host: String,
    server: Option<SocketAddr>,
    end: Instant,
    record: Option<ResolveRecord>,
}

/// Every name server's answer for one name.
pub struct Asked {
    /// One record for each name server.
    pub records: Vec<ResolveRecord>,
    /// Limits of our own.
    pub exhausted: Option<String>,
}

/// Starts to ask.
#[must_use]
pub fn start(
    target: &Target,
    dns: &DnsPlan,
    _family: Family,
    budget: Duration,
    deadline: Instant,
    _hosts: &HostsFile,
) -> Names {
    let server = dns.servers.first().map(|server| server.address);
    Names { host: target.host.clone(), server, end: deadline.min(Instant::now() + budget), record: None }
}

impl Names {
    /// The answer that the later stages use.
    pub async fn answer(&mut self) -> ResolveRecord {
        let start = Instant::now();
        let mut record = ResolveRecord {
            outcome: Outcome::Failed(Cause::DnsTimeout),
            elapsed_ms: Duration::ZERO.into(),
            resolver: self.server.map(|server| server.ip()),
            role: ResolverRole::System,
            behind: None,
            transport: Some(Transport::Udp),
            cnames: Vec::new(),
            addresses: Vec::new(),
            ttl_s: None,
            detail: None,
        };
        for kind in [RecordType::A, RecordType::AAAA] {
            tokio::select! {
                found = ask(self.server, &self.host, kind) => record.addresses.extend(found.unwrap_or_default()),
                () = tokio::time::sleep_until(self.end) => {}
            }
        }
        if !record.addresses.is_empty() {
            record.outcome = Outcome::Ok;
        }
        record.elapsed_ms = start.elapsed().into();
        self.record = Some(record.clone());
        record
    }

    /// Every answer.
    #[expect(clippy::unused_async, reason = "the real one waits")]
    pub async fn all(self) -> Asked {
        Asked { records: self.record.into_iter().collect(), exhausted: None }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a stub")]
async fn ask(server: Option<SocketAddr>, host: &str, kind: RecordType) -> Option<Vec<std::net::IpAddr>> {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(host).ok()?, kind));
    let socket = UdpSocket::bind("127.0.0.1:0").await.ok()?;
    socket.connect(server?).await.ok()?;
    socket.send(&query.to_vec().ok()?).await.ok()?;
    let mut buffer = [0; 4096];
    let count = socket.recv(&mut buffer).await.ok()?;
    let answer = Message::from_vec(buffer.get(..count)?).ok()?;
    Some(
        answer
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(a) => Some(a.0.into()),
                RData::AAAA(a) => Some(a.0.into()),
                _ => None,
            })
            .collect(),
    )
}
