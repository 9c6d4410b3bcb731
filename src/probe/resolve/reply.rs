//! Reads a DNS answer: its meaning, the alias chain, the addresses at its end (RFC 1034 §3.6.2, RFC 2308 §2).

use std::net::IpAddr;

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};

use crate::model::{cause::Cause, observation::Outcome};

/// What an answer to one question says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// `Ok` with an address, else the cause that the answer itself names.
    pub(super) outcome: Outcome,
    /// The aliases that lead from the name to the addresses.
    pub(super) cnames: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
    /// The smallest TTL of the aliases and addresses.
    pub(super) ttl_s: Option<u32>,
    pub(super) detail: Option<String>,
}

impl Reply {
    /// Reads the answer to the question for the `kind` records of `name`.
    pub(super) fn read(message: &Message, name: &Name, kind: RecordType) -> Self {
        let records = || message.answers.iter().filter(|record| record.dns_class == DNSClass::IN);
        let mut owner = name;
        let mut cnames = Vec::new();
        let mut ttl_s: Option<u32> = None;
        let mut least = |ttl: u32| ttl_s = Some(ttl_s.map_or(ttl, |least| least.min(ttl)));
        while cnames.len() < LONGEST_CHAIN {
            let alias = records().filter(|record| record.name == *owner).find_map(|record| {
                let next = alias(&record.data)?;
                Some((next, record.ttl))
            });
            let Some((next, ttl)) = alias else { break };
            least(ttl);
            cnames.push(plain(next));
            owner = next;
        }
        let mut addresses = Vec::new();
        for record in records().filter(|record| record.name == *owner && record.record_type() == kind) {
            if let Some(address) = address(&record.data) {
                least(record.ttl);
                addresses.push(address);
            }
        }
        let (outcome, detail) = meaning(message.metadata.response_code, &cnames, &addresses);
        Self { outcome, cnames, addresses, ttl_s, detail }
    }
}

fn meaning(code: ResponseCode, cnames: &[String], addresses: &[IpAddr]) -> (Outcome, Option<String>) {
    if code == ResponseCode::NoError && !addresses.is_empty() {
        return (Outcome::Ok, None);
    }
    let (cause, detail) = match (code, cnames.last()) {
        (ResponseCode::NoError, None) => (Cause::DnsNoData, None),
        (ResponseCode::NoError, Some(last)) => (Cause::DnsNoData, Some(format!("the alias {last} has no address"))),
        // The name itself is there: it is the alias that leads nowhere.
        (ResponseCode::NXDomain, Some(last)) => {
            (Cause::DnsNoData, Some(format!("the name is an alias of {last}, which does not exist")))
        }
        (ResponseCode::NXDomain, None) => (Cause::DnsNxdomain, None),
        (ResponseCode::ServFail, _) => (Cause::DnsServfail, None),
        (ResponseCode::Refused, _) => (Cause::DnsRefused, None),
        (other, _) => (Cause::DnsServfail, Some(format!("the name server answered {}", code_name(other)))),
    };
    (Outcome::Failed(cause), detail)
}

fn code_name(code: ResponseCode) -> String {
    if code == ResponseCode::FormErr {
        "FORMERR".to_owned()
    } else if code == ResponseCode::NotImp {
        "NOTIMP".to_owned()
    } else {
        format!("RCODE {} ({})", u16::from(code), code.to_str())
    }
}

fn alias(data: &RData) -> Option<&Name> {
    if let RData::CNAME(name) = data { Some(&name.0) } else { None }
}

fn address(data: &RData) -> Option<IpAddr> {
    if let RData::A(address) = data {
        Some(IpAddr::V4(address.0))
    } else if let RData::AAAA(address) = data {
        Some(IpAddr::V6(address.0))
    } else {
        None
    }
}

/// The name as people write it: no dot at its end, and nothing that a terminal would obey (RFC 1035 §5.1 escapes).
fn plain(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// More aliases than any resolver follows; a loop ends here.
const LONGEST_CHAIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use hickory_resolver::proto::{
        op::{Message, OpCode, ResponseCode},
        rr::{
            Name, RData, Record, RecordType,
            rdata::{A, AAAA, CNAME},
        },
    };

    use super::{Cause, Outcome, Reply};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    fn record(owner: &str, ttl: u32, value: &str) -> Record {
        let data = if let Ok(address) = value.parse::<Ipv4Addr>() {
            RData::A(A(address))
        } else if let Ok(address) = value.parse::<Ipv6Addr>() {
            RData::AAAA(AAAA(address))
        } else {
            RData::CNAME(CNAME(name(value)))
        };
        Record::from_rdata(name(owner), ttl, data)
    }

    fn read(code: ResponseCode, records: &[(&str, u32, &str)]) -> Reply {
        let mut message = Message::response(1, OpCode::Query);
        message.metadata.response_code = code;
        message.answers = records.iter().map(|(owner, ttl, value)| record(owner, *ttl, value)).collect();
        Reply::read(&message, &name("x.test."), RecordType::A)
    }

    fn addresses(reply: &Reply) -> Vec<String> {
        reply.addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_chain_is_followed_in_any_order_of_the_records() {
        let reply = read(
            ResponseCode::NoError,
            &[
                ("c.test.", 60, "10.0.0.1"),
                ("b.test.", 30, "c.test."),
                ("X.test.", 300, "B.test."),
                ("c.test.", 60, "10.0.0.2"),
            ],
        );
        assert_eq!(reply.outcome, Outcome::Ok);
        assert_eq!(reply.cnames, ["B.test", "c.test"]);
        assert_eq!(addresses(&reply), ["10.0.0.1", "10.0.0.2"]);
        assert_eq!(reply.ttl_s, Some(30));
    }

    #[test]
    fn only_the_names_own_addresses_count() {
        let reply = read(ResponseCode::NoError, &[("other.test.", 60, "10.0.0.1"), ("x.test.", 60, "2001:db8::1")]);
        assert_eq!(reply.outcome, Outcome::Failed(Cause::DnsNoData));
        assert!(reply.addresses.is_empty());
    }

    #[test]
    fn a_loop_of_aliases_ends() {
        let reply = read(ResponseCode::NoError, &[("x.test.", 60, "y.test."), ("y.test.", 60, "x.test.")]);
        assert_eq!(reply.outcome, Outcome::Failed(Cause::DnsNoData));
    }

    #[test]
    fn each_code_has_its_cause() {
        let check = |code, expected| assert_eq!(read(code, &[]).outcome, Outcome::Failed(expected), "{code:?}");
        check(ResponseCode::NoError, Cause::DnsNoData);
        check(ResponseCode::NXDomain, Cause::DnsNxdomain);
        check(ResponseCode::ServFail, Cause::DnsServfail);
        check(ResponseCode::Refused, Cause::DnsRefused);
        check(ResponseCode::NotImp, Cause::DnsServfail);
        check(ResponseCode::FormErr, Cause::DnsServfail);
        check(ResponseCode::Unknown(15), Cause::DnsServfail);
        assert_eq!(read(ResponseCode::NotImp, &[]).detail.as_deref(), Some("the name server answered NOTIMP"));
    }

    #[test]
    fn an_alias_to_nowhere_is_no_data_with_its_chain() {
        for code in [ResponseCode::NXDomain, ResponseCode::NoError] {
            let reply = read(code, &[("x.test.", 60, "gone.test.")]);
            assert_eq!(reply.outcome, Outcome::Failed(Cause::DnsNoData));
            assert_eq!(reply.cnames, ["gone.test"]);
            assert!(reply.detail.expect("a detail").contains("gone.test"));
        }
    }
}
