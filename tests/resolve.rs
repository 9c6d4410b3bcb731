//! The stage *resolve* against real name servers on loopback sockets.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::Command,
    sync::Arc,
    time::Duration,
};

use hickory_resolver::proto::{
    op::{Message, OpCode, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinSet,
    time::{Instant, sleep},
};
use vpce_probe::{
    model::{
        cause::Cause,
        host::NameServer,
        observation::{Outcome, ResolveRecord, ResolverRole, Transport},
        plan::{DnsPlan, Family},
        target::{Expect, Target},
    },
    probe::{
        hosts_file::HostsFile,
        resolve::{Asked, start},
    },
};

const HOST: &str = "ssm.eu-west-1.amazonaws.com";
const BUDGET: Duration = Duration::from_millis(1200);

/// What a name server does with one datagram or one TCP request.
#[derive(Clone)]
enum Say {
    Nothing,
    /// Code and records: owner, TTL, value.
    Answer(ResponseCode, Vec<(&'static str, u32, String)>),
    /// As it should be, but with TC=1 and no records.
    Truncated,
    /// A whole answer, with TC=1 and its last three bytes missing.
    CutShort,
    /// These bytes after the request's own id.
    Raw(&'static [u8]),
    /// The request itself, as an echo service does.
    Echo,
    /// The right answer with another id.
    OtherId,
    /// The code in a bare header, without the question.
    BareCode(ResponseCode),
    After(Duration, Box<Say>),
    Both(Box<Say>, Box<Say>),
    /// TCP only: end the connection.
    Close,
}

fn addresses(values: &[&str]) -> Say {
    Say::Answer(ResponseCode::NoError, values.iter().map(|value| (HOST, 60, (*value).to_owned())).collect())
}

fn code(code: ResponseCode) -> Say {
    Say::Answer(code, Vec::new())
}

fn no_data() -> Say {
    code(ResponseCode::NoError)
}

/// The usual name server: two IPv4 addresses, no IPv6 one.
fn usual(kind: RecordType) -> Say {
    if kind == RecordType::A { addresses(&["10.0.1.7", "10.0.0.7"]) } else { no_data() }
}

fn record(owner: &str, ttl: u32, value: &str) -> Record {
    let data = if let Ok(address) = value.parse::<Ipv4Addr>() {
        RData::A(A(address))
    } else if let Ok(address) = value.parse::<Ipv6Addr>() {
        RData::AAAA(AAAA(address))
    } else {
        RData::CNAME(CNAME(Name::from_ascii(format!("{value}.")).expect("a name")))
    };
    Record::from_rdata(Name::from_ascii(format!("{owner}.")).expect("a name"), ttl, data)
}

fn reply(request: &Message) -> Message {
    let mut message = Message::response(request.metadata.id, OpCode::Query);
    message.metadata.recursion_available = true;
    message.queries.clone_from(&request.queries);
    message
}

/// The datagrams to send, each with its delay.
fn datagrams(say: &Say, request: &Message, bytes: &[u8]) -> Vec<(Duration, Vec<u8>)> {
    let now = |bytes: Vec<u8>| vec![(Duration::ZERO, bytes)];
    let mut message = reply(request);
    match say {
        Say::Nothing | Say::Close => Vec::new(),
        Say::Answer(code, records) => {
            message.metadata.response_code = *code;
            message.answers = records.iter().map(|(owner, ttl, value)| record(owner, *ttl, value)).collect();
            now(message.to_vec().expect("encodes"))
        }
        Say::Truncated => {
            message.metadata.truncation = true;
            now(message.to_vec().expect("encodes"))
        }
        Say::CutShort => {
            message.metadata.truncation = true;
            message.answers.push(record(HOST, 60, "10.9.9.9"));
            let mut whole = message.to_vec().expect("encodes");
            whole.truncate(whole.len() - 3);
            now(whole)
        }
        Say::Raw(tail) => now([&request.metadata.id.to_be_bytes(), *tail].concat()),
        Say::Echo => now(bytes.to_vec()),
        Say::OtherId => {
            message.metadata.id ^= 1;
            message.answers.push(record(HOST, 60, "10.6.6.6"));
            now(message.to_vec().expect("encodes"))
        }
        Say::BareCode(code) => {
            now(Message::error_msg(request.metadata.id, OpCode::Query, *code).to_vec().expect("encodes"))
        }
        Say::After(delay, say) => {
            datagrams(say, request, bytes).into_iter().map(|(later, bytes)| (*delay + later, bytes)).collect()
        }
        Say::Both(first, second) => [datagrams(first, request, bytes), datagrams(second, request, bytes)].concat(),
    }
}

/// One name server on UDP and TCP; ends when dropped.
struct Server {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

type Script = Arc<dyn Fn(RecordType, usize) -> Say + Send + Sync>;

async fn server(udp: impl Fn(RecordType, usize) -> Say + Send + Sync + 'static) -> Server {
    server_with_tcp(udp, None).await
}

async fn server_with_tcp(
    udp: impl Fn(RecordType, usize) -> Say + Send + Sync + 'static,
    tcp: Option<Script>,
) -> Server {
    let (socket, listener) = sockets().await;
    let address = socket.local_addr().expect("bound");
    let mut tasks = JoinSet::new();
    tasks.spawn(serve_udp(Arc::new(socket), Arc::new(udp)));
    if let Some(tcp) = tcp {
        tasks.spawn(serve_tcp(listener, tcp));
    }
    Server { address, _tasks: tasks }
}

/// A datagram socket and a listener on the same port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().expect("bound")).await {
            return (socket, listener);
        }
    }
}

async fn serve_udp(socket: Arc<UdpSocket>, script: Script) {
    let mut counts: HashMap<RecordType, usize> = HashMap::new();
    let mut answers = JoinSet::new();
    let mut space = [0; 2048];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut space).await else { continue };
        let bytes = space[..length].to_vec();
        let request = Message::from_vec(&bytes).expect("a request");
        assert!(request.edns.is_none(), "no EDNS");
        let kind = request.queries.first().expect("a question").query_type;
        let count = counts.entry(kind).or_default();
        for (delay, datagram) in datagrams(&script(kind, *count), &request, &bytes) {
            let socket = Arc::clone(&socket);
            answers.spawn(async move {
                sleep(delay).await;
                // The asker may be gone by then.
                let _ = socket.send_to(&datagram, from).await;
            });
        }
        *count += 1;
    }
}

async fn serve_tcp(listener: TcpListener, script: Script) {
    let mut connections = JoinSet::new();
    loop {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let script = Arc::clone(&script);
        connections.spawn(async move {
            let length = usize::from(stream.read_u16().await.expect("a length"));
            let mut bytes = vec![0; length];
            stream.read_exact(&mut bytes).await.expect("a request");
            let request = Message::from_vec(&bytes).expect("a request");
            let say = script(request.queries.first().expect("a question").query_type, 0);
            for (delay, answer) in datagrams(&say, &request, &bytes) {
                sleep(delay).await;
                stream.write_u16(u16::try_from(answer.len()).expect("short")).await.expect("written");
                stream.write_all(&answer).await.expect("written");
            }
            if !matches!(say, Say::Close) {
                // Open until the asker leaves.
                let _ = stream.read_u8().await;
            }
        });
    }
}

/// A port on which nothing listens: no other test uses this loopback address.
async fn closed() -> SocketAddr {
    UdpSocket::bind("127.0.0.2:0").await.expect("a port").local_addr().expect("bound")
}

fn target(host: &str) -> Target {
    Target {
        name: "ssm".to_owned(),
        service: Some("ssm".to_owned()),
        host: host.to_owned(),
        port: 443,
        required: true,
        expect: Expect::Private,
        path: "/".to_owned(),
        allowed_cidrs: Vec::new(),
    }
}

fn plan(servers: &[SocketAddr]) -> DnsPlan {
    let servers = servers.iter().map(|&address| NameServer { address, behind: None }).collect();
    DnsPlan { servers, vpc: None, attempts: 4, hosts_file: false }
}

/// What came of it, and after how long the answer could be used.
struct Seen {
    answer: ResolveRecord,
    after: Duration,
    asked: Asked,
}

async fn resolve(dns: &DnsPlan, family: Family) -> Seen {
    resolve_with(dns, family, &HostsFile::default(), HOST, BUDGET).await
}

async fn resolve_with(dns: &DnsPlan, family: Family, hosts: &HostsFile, host: &str, budget: Duration) -> Seen {
    let begin = Instant::now();
    let deadline = begin + Duration::from_secs(8);
    let mut names = start(&target(host), dns, family, budget, deadline, hosts);
    let answer = names.answer().await;
    let after = begin.elapsed();
    Seen { answer, after, asked: names.all().await }
}

async fn ask(server: &Server) -> ResolveRecord {
    ask_family(server, Family::Any).await
}

async fn ask_family(server: &Server, family: Family) -> ResolveRecord {
    let seen = resolve(&plan(&[server.address]), family).await;
    assert_eq!(seen.asked.records, std::slice::from_ref(&seen.answer), "the only server's record is the answer");
    assert_eq!(seen.asked.exhausted, None);
    seen.answer
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

fn check(record: &ResolveRecord, outcome: Result<&[&str], Cause>) {
    let expected = match outcome {
        Ok(addresses) => (Outcome::Ok, ips(addresses)),
        Err(cause) => (Outcome::Failed(cause), Vec::new()),
    };
    assert_eq!((record.outcome, record.addresses.clone()), expected, "{record:?}");
}

fn detail(record: &ResolveRecord) -> &str {
    record.detail.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_healthy_server_gives_everything_at_once() {
    let server = server(|kind, _| {
        if kind == RecordType::A {
            addresses(&["10.0.1.7", "10.0.0.7", "10.0.1.7"])
        } else {
            addresses(&["2001:db8::7", "2001:db8::5"])
        }
    })
    .await;
    let seen = resolve(&plan(&[server.address]), Family::Any).await;
    check(&seen.answer, Ok(&["10.0.0.7", "10.0.1.7", "2001:db8::5", "2001:db8::7"]));
    assert_eq!(seen.answer.transport, Some(Transport::Udp));
    assert_eq!(seen.answer.resolver, Some(server.address.ip()));
    assert_eq!(seen.answer.ttl_s, Some(60));
    assert_eq!(seen.answer.detail, None);
    assert!(seen.after < Duration::from_millis(500), "{:?}", seen.after);
}

#[tokio::test]
async fn a_family_is_asked_alone() {
    let server = server(|kind, _| if kind == RecordType::A { usual(kind) } else { addresses(&["2001:db8::7"]) }).await;
    check(&ask_family(&server, Family::V4).await, Ok(&["10.0.0.7", "10.0.1.7"]));
    check(&ask_family(&server, Family::V6).await, Ok(&["2001:db8::7"]));
}

#[tokio::test]
async fn each_negative_answer_has_its_cause() {
    let cases = [
        (code(ResponseCode::NXDomain), Cause::DnsNxdomain),
        (no_data(), Cause::DnsNoData),
        (code(ResponseCode::ServFail), Cause::DnsServfail),
        (code(ResponseCode::Refused), Cause::DnsRefused),
        (Say::BareCode(ResponseCode::Refused), Cause::DnsRefused),
        (Say::BareCode(ResponseCode::NotImp), Cause::DnsServfail),
    ];
    for (say, cause) in cases {
        let server = server(move |_, _| say.clone()).await;
        let record = ask(&server).await;
        check(&record, Err(cause));
        assert_eq!(record.transport, Some(Transport::Udp));
        assert!(record.elapsed_ms.as_f64() < 500.0, "{record:?}");
    }
}

#[tokio::test]
async fn silence_is_a_timeout_after_all_sends() {
    let record = ask(&server(|_, _| Say::Nothing).await).await;
    check(&record, Err(Cause::DnsTimeout));
    assert_eq!(detail(&record), "asked 4 times, no answer");
    assert_eq!(record.transport, None);
    assert!(record.elapsed_ms.as_f64() >= 1200.0, "{record:?}");
}

#[tokio::test]
async fn a_closed_port_is_unreachable_at_once() {
    let seen = resolve(&plan(&[closed().await]), Family::Any).await;
    check(&seen.answer, Err(Cause::DnsUnreachable));
    assert!(detail(&seen.answer).contains("ECONNREFUSED"), "{:?}", seen.answer);
    assert!(seen.after < Duration::from_millis(600), "{:?}", seen.after);
}

#[test]
fn used_up_descriptors_are_our_own_limit() {
    let me = std::env::current_exe().expect("this test's own file");
    let output = Command::new("sh")
        .args(["-c", "ulimit -n 64; exec \"$0\" --exact descriptors_are_used_up --ignored"])
        .arg(me)
        .output()
        .expect("a shell");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by the test above, in a process with few descriptors"]
async fn descriptors_are_used_up() {
    let (socket, _listener) = sockets().await;
    let dns = plan(&[socket.local_addr().expect("bound")]);
    let mut open = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        open.push(file);
    }
    let seen = resolve(&dns, Family::Any).await;
    drop(open);
    check(&seen.answer, Err(Cause::NotFinished));
    assert!(seen.asked.exhausted.as_deref().is_some_and(|text| text.starts_with("EMFILE")), "{:?}", seen.asked);
}

#[tokio::test]
async fn truncation_leads_to_tcp() {
    for udp in [Say::Truncated, Say::CutShort] {
        let tcp: Script = Arc::new(|kind, _| usual(kind));
        let server = server_with_tcp(move |_, _| udp.clone(), Some(tcp)).await;
        let record = ask(&server).await;
        check(&record, Ok(&["10.0.0.7", "10.0.1.7"]));
        assert_eq!(record.transport, Some(Transport::Tcp));
    }
}

#[tokio::test]
async fn truncation_without_tcp_says_so() {
    let refused = ask(&server(|_, _| Say::Truncated).await).await;
    check(&refused, Err(Cause::DnsUnreachable));
    let ending = |say: Say| async {
        let tcp: Script = Arc::new(move |_, _| say.clone());
        ask(&server_with_tcp(|_, _| Say::Truncated, Some(tcp)).await).await
    };
    let mute = ending(Say::Nothing).await;
    check(&mute, Err(Cause::DnsTimeout));
    assert!(detail(&mute).contains("no answer over TCP"), "{mute:?}");
    check(&ending(Say::Close).await, Err(Cause::DnsMalformed));
    check(&ending(Say::Raw(b"garbage over a stream")).await, Err(Cause::DnsMalformed));
}

#[tokio::test]
async fn garbage_does_not_defeat_a_good_answer() {
    let bad = [Say::OtherId, Say::Echo, Say::Raw(b"x"), Say::Raw(b"\x81\x80\x00\x01\x00\x09\x00\x00\x00\x00rubbish")];
    for garbage in bad {
        let server = server(move |kind, _| {
            let good = Say::After(Duration::from_millis(60), Box::new(usual(kind)));
            Say::Both(Box::new(garbage.clone()), Box::new(good))
        })
        .await;
        check(&ask(&server).await, Ok(&["10.0.0.7", "10.0.1.7"]));
    }
}

#[tokio::test]
async fn garbage_alone_is_malformed() {
    for garbage in [Say::OtherId, Say::Echo, Say::Raw(b"no DNS here at all"), Say::BareCode(ResponseCode::NoError)] {
        let record = ask(&server(move |_, _| garbage.clone()).await).await;
        check(&record, Err(Cause::DnsMalformed));
        assert!(detail(&record).starts_with("what came"), "{record:?}");
    }
}

#[tokio::test]
async fn a_late_answer_to_the_first_send_counts() {
    let server = server(|kind, count| {
        let late = Say::After(Duration::from_millis(900), Box::new(usual(kind)));
        if count == 0 { late } else { Say::Nothing }
    })
    .await;
    let record = ask(&server).await;
    check(&record, Ok(&["10.0.0.7", "10.0.1.7"]));
    assert!((900.0..1150.0).contains(&record.elapsed_ms.as_f64()), "{record:?}");
}

#[tokio::test]
async fn two_lost_sends_are_harmless() {
    let server = server(|kind, count| if count < 2 { Say::Nothing } else { usual(kind) }).await;
    check(&ask(&server).await, Ok(&["10.0.0.7", "10.0.1.7"]));
}

#[tokio::test]
async fn a_lost_aaaa_is_sent_again_and_arrives_in_the_grace() {
    let server = server(|kind, count| match (kind == RecordType::A, count) {
        (true, _) => usual(kind),
        (false, 0) => Say::Nothing,
        (false, _) => addresses(&["2001:db8::7"]),
    })
    .await;
    let record = ask(&server).await;
    check(&record, Ok(&["10.0.0.7", "10.0.1.7", "2001:db8::7"]));
    assert_eq!(record.detail, None);
}

#[tokio::test]
async fn a_mute_aaaa_beside_a_good_a_is_no_fault() {
    let server = server(|kind, _| if kind == RecordType::A { usual(kind) } else { Say::Nothing }).await;
    let seen = resolve(&plan(&[server.address]), Family::Any).await;
    check(&seen.answer, Ok(&["10.0.0.7", "10.0.1.7"]));
    assert!(seen.after < Duration::from_millis(700), "{:?}", seen.after);
    assert!(seen.answer.elapsed_ms.as_f64() < 250.0, "A's own time: {:?}", seen.answer);
    assert!(detail(&seen.answer).starts_with("AAAA: no answer"), "{:?}", seen.answer);
}

#[tokio::test]
async fn a_failed_aaaa_beside_a_good_a_is_no_fault_and_vice_versa() {
    let failing = |good: RecordType, value: &'static str| async move {
        let server =
            server(move |kind, _| if kind == good { addresses(&[value]) } else { code(ResponseCode::ServFail) });
        ask(&server.await).await
    };
    check(&failing(RecordType::A, "10.0.0.7").await, Ok(&["10.0.0.7"]));
    let record = failing(RecordType::AAAA, "2001:db8::7").await;
    check(&record, Ok(&["2001:db8::7"]));
    assert_eq!(detail(&record), "A: dns-servfail");
}

#[tokio::test]
async fn a_slow_a_is_waited_for_beside_a_quick_aaaa() {
    let server = server(|kind, count| match (kind == RecordType::AAAA, count) {
        (true, _) => addresses(&["2001:db8::7"]),
        (false, 0) => Say::After(Duration::from_millis(800), Box::new(usual(kind))),
        (false, _) => Say::Nothing,
    })
    .await;
    check(&ask(&server).await, Ok(&["10.0.0.7", "10.0.1.7", "2001:db8::7"]));
}

#[tokio::test]
async fn no_data_beside_silence_is_a_timeout() {
    let server = server(|kind, _| if kind == RecordType::A { no_data() } else { Say::Nothing }).await;
    let record = ask(&server).await;
    check(&record, Err(Cause::DnsTimeout));
    // Two sends more than the four: A's answer shows that the server is there.
    assert_eq!(detail(&record), "A: dns-no-data; AAAA: asked 6 times, no answer");
}

#[tokio::test]
async fn the_chain_of_aliases_is_kept() {
    let server = server(|kind, _| {
        let mut records =
            vec![(HOST, 300, "vpce-1.ssm.test".to_owned()), ("vpce-1.ssm.test", 20, "az.ssm.test".to_owned())];
        if kind == RecordType::A {
            records.push(("az.ssm.test", 60, "10.0.0.7".to_owned()));
        }
        Say::Answer(ResponseCode::NoError, records)
    })
    .await;
    let record = ask(&server).await;
    check(&record, Ok(&["10.0.0.7"]));
    assert_eq!(record.cnames, ["vpce-1.ssm.test", "az.ssm.test"]);
    assert_eq!(record.ttl_s, Some(20));
}

#[tokio::test]
async fn an_alias_to_nowhere_is_no_data_with_its_chain() {
    let server = server(|_, _| Say::Answer(ResponseCode::NXDomain, vec![(HOST, 300, "gone.test".to_owned())])).await;
    let record = ask(&server).await;
    check(&record, Err(Cause::DnsNoData));
    assert_eq!(record.cnames, ["gone.test"]);
    assert!(detail(&record).contains("gone.test"), "{record:?}");
}

#[tokio::test]
async fn a_dead_first_server_is_measured_and_delays_little() {
    let dead = server(|_, _| Say::Nothing).await;
    let good = server(|kind, _| usual(kind)).await;
    let seen = resolve(&plan(&[dead.address, good.address]), Family::Any).await;
    check(&seen.answer, Ok(&["10.0.0.7", "10.0.1.7"]));
    assert!(seen.after < Duration::from_millis(800), "{:?}", seen.after);
    let [first, second] = seen.asked.records.as_slice() else { panic!("two servers") };
    check(first, Err(Cause::DnsTimeout));
    assert!(first.elapsed_ms.as_f64() >= 1200.0, "all of its budget: {first:?}");
    assert_eq!(*second, seen.answer);
}

#[tokio::test]
async fn a_first_server_that_lost_one_datagram_is_still_believed() {
    let first = server(|kind, count| if count == 0 { Say::Nothing } else { usual(kind) }).await;
    let second = server(|kind, _| if kind == RecordType::A { addresses(&["52.1.1.1"]) } else { no_data() }).await;
    let seen = resolve(&plan(&[first.address, second.address]), Family::Any).await;
    check(&seen.answer, Ok(&["10.0.0.7", "10.0.1.7"]));
}

#[tokio::test]
async fn a_failing_first_server_is_passed_over_and_a_negative_one_is_not() {
    let second = server(|kind, _| usual(kind)).await;
    for first in [ResponseCode::ServFail, ResponseCode::Refused] {
        let failing = server(move |_, _| code(first)).await;
        let seen = resolve(&plan(&[failing.address, second.address]), Family::Any).await;
        check(&seen.answer, Ok(&["10.0.0.7", "10.0.1.7"]));
    }
    let absent = server(|_, _| code(ResponseCode::NXDomain)).await;
    let seen = resolve(&plan(&[absent.address, second.address]), Family::Any).await;
    check(&seen.answer, Err(Cause::DnsNxdomain));
    check(&seen.asked.records[1], Ok(&["10.0.0.7", "10.0.1.7"]));
}

#[tokio::test]
async fn the_vpcs_resolver_is_asked_last_and_never_used() {
    let system = server(|kind, _| if kind == RecordType::A { addresses(&["52.1.1.1"]) } else { no_data() }).await;
    let vpc = server(|kind, _| Say::After(Duration::from_millis(700), Box::new(usual(kind)))).await;
    let dns = DnsPlan { vpc: Some(vpc.address), ..plan(&[system.address]) };
    let seen = resolve(&dns, Family::Any).await;
    check(&seen.answer, Ok(&["52.1.1.1"]));
    assert!(seen.after < Duration::from_millis(500), "{:?}", seen.after);
    let [first, second] = seen.asked.records.as_slice() else { panic!("two servers") };
    assert_eq!((first.role, second.role), (ResolverRole::System, ResolverRole::Vpc));
    check(second, Ok(&["10.0.0.7", "10.0.1.7"]));
}

#[tokio::test]
async fn the_hosts_file_wins_and_the_servers_are_still_asked() {
    let server = server(|kind, _| usual(kind)).await;
    let hosts =
        HostsFile::parse(b"2001:db8::9 SSM.eu-west-1.amazonaws.com\n10.0.0.9 ssm.eu-west-1.amazonaws.com # pinned\n");
    let dns = DnsPlan { hosts_file: true, ..plan(&[server.address]) };
    let seen = resolve_with(&dns, Family::Any, &hosts, HOST, BUDGET).await;
    check(&seen.answer, Ok(&["10.0.0.9", "2001:db8::9"]));
    assert_eq!((seen.answer.transport, seen.answer.resolver), (Some(Transport::HostsFile), None));
    check(&seen.asked.records[0], Ok(&["10.0.0.7", "10.0.1.7"]));
    let ignored = resolve_with(&plan(&[server.address]), Family::Any, &hosts, HOST, BUDGET).await;
    check(&ignored.answer, Ok(&["10.0.0.7", "10.0.1.7"]));
    let nobody = DnsPlan { hosts_file: true, ..plan(&[]) };
    check(&resolve_with(&nobody, Family::V4, &hosts, HOST, BUDGET).await.answer, Ok(&["10.0.0.9"]));
}

#[tokio::test]
async fn what_needs_no_question_asks_none() {
    let none = resolve(&plan(&[]), Family::Any).await;
    check(&none.answer, Err(Cause::DnsUnreachable));
    assert!(detail(&none.answer).contains("no name server"), "{:?}", none.answer);
    assert_eq!(none.asked.records, []);
    let nobody = plan(&[closed().await]);
    let literal = |host: &'static str, family: Family| {
        let nobody = nobody.clone();
        async move { resolve_with(&nobody, family, &HostsFile::default(), host, BUDGET).await }
    };
    check(&literal("10.0.0.7", Family::Any).await.answer, Ok(&["10.0.0.7"]));
    check(&literal("2001:db8::7", Family::V6).await.answer, Ok(&["2001:db8::7"]));
    check(&literal("10.0.0.7", Family::V6).await.answer, Err(Cause::DnsNoData));
    check(&literal("not..a.name", Family::Any).await.answer, Err(Cause::DnsNxdomain));
}

#[tokio::test]
async fn the_rounds_deadline_is_not_the_servers_fault() {
    let mute = server(|_, _| Say::Nothing).await;
    let deadline = Instant::now() + Duration::from_millis(300);
    let hosts = HostsFile::default();
    let mut names = start(&target(HOST), &plan(&[mute.address]), Family::Any, BUDGET, deadline, &hosts);
    check(&names.answer().await, Err(Cause::NotFinished));
    let late = deadline.elapsed();
    assert!(late < Duration::from_millis(200), "{late:?}");
    let mut past = start(&target(HOST), &plan(&[mute.address]), Family::Any, BUDGET, deadline, &hosts);
    check(&past.answer().await, Err(Cause::NotFinished));
}

#[tokio::test]
async fn a_flood_of_addresses_is_cut() {
    let server = server_with_tcp(
        |_, _| Say::Truncated,
        Some(Arc::new(|kind, _| {
            let many = (0..200).map(|last| (HOST, 60, format!("10.0.0.{last}"))).collect();
            if kind == RecordType::A { Say::Answer(ResponseCode::NoError, many) } else { no_data() }
        })),
    )
    .await;
    let record = ask(&server).await;
    assert_eq!((record.addresses.len(), record.addresses[0]), (64, ips(&["10.0.0.0"])[0]));
    assert!(detail(&record).contains("200 addresses"), "{record:?}");
}

#[tokio::test]
async fn an_answer_larger_than_it_may_be_is_fetched_over_tcp() {
    let many: Vec<_> = (0..60).map(|last| (HOST, 60, format!("10.0.0.{last}"))).collect();
    let say = Say::Answer(ResponseCode::NoError, many);
    let tcp = say.clone();
    let server = server_with_tcp(move |_, _| say.clone(), Some(Arc::new(move |_, _| tcp.clone()))).await;
    let record = ask_family(&server, Family::V4).await;
    assert_eq!((record.addresses.len(), record.transport), (60, Some(Transport::Tcp)));
}

#[tokio::test]
async fn the_name_is_absolute_and_a_final_dot_is_allowed() {
    let (socket, _listener) = sockets().await;
    let dns = plan(&[socket.local_addr().expect("bound")]);
    let host = format!("{HOST}.");
    let names = start(&target(&host), &dns, Family::V4, BUDGET, Instant::now() + BUDGET, &HostsFile::default());
    let mut space = [0; 512];
    let length = socket.recv(&mut space).await.expect("a question");
    let request = Message::from_vec(&space[..length]).expect("a request");
    let expected = Query::query(Name::from_ascii(&host).expect("a name"), RecordType::A);
    assert_eq!(request.queries, [expected]);
    assert!(request.metadata.recursion_desired);
    drop(names);
}
