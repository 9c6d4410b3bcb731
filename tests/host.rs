//! Host facts against a metadata service on loopback, in every way in which the real one fails.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{Instant, sleep},
};
use vpce_probe::{
    host::{Known, Query, discover},
    model::{
        cause::Cause,
        host::{AgentState, HostFacts, ImdsState, RegionSource, Role},
    },
};

/// What the service does with one request.
enum Act {
    Answer(u16, String),
    Token,
    Raw(&'static [u8]),
    Endless,
    Silence,
}

/// One request as the service sees it.
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    token: bool,
}

/// A metadata service that keeps account of the requests without a token and of the paths.
struct Service {
    address: SocketAddr,
    plain: Arc<AtomicUsize>,
}

async fn service(delay: Duration, act: impl Fn(&Asked<'_>) -> Act + Send + Sync + 'static) -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port on loopback");
    let address = listener.local_addr().expect("bound");
    let plain = Arc::new(AtomicUsize::new(0));
    let (act, counter) = (Arc::new(act), Arc::clone(&plain));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(connection(stream, delay, Arc::clone(&act), Arc::clone(&counter)));
        }
    });
    Service { address, plain }
}

async fn connection(
    mut stream: TcpStream,
    delay: Duration,
    act: Arc<impl Fn(&Asked<'_>) -> Act + Send + Sync + 'static>,
    plain: Arc<AtomicUsize>,
) {
    let mut head = Vec::new();
    let mut byte = [0];
    while stream.read_exact(&mut byte).await.is_ok() {
        head.push(byte[0]);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = String::from_utf8(std::mem::take(&mut head)).expect("requests are text");
        let mut words = text.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let token = text.to_ascii_lowercase().contains("x-aws-ec2-metadata-token: lab-token\r\n");
        if method == "GET" && !token {
            plain.fetch_add(1, Ordering::Relaxed);
        }
        sleep(delay).await;
        let answer = match act(&Asked { method, path, token }) {
            Act::Answer(status, body) => {
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
            }
            Act::Token => TOKEN.to_vec(),
            Act::Raw(bytes) => {
                let _ = stream.write_all(bytes).await;
                return;
            }
            Act::Endless => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
                let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
                while stream.write_all(chunk.as_bytes()).await.is_ok() {}
                return;
            }
            Act::Silence => std::future::pending().await,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

const TOKEN: &[u8] =
    b"HTTP/1.1 200 OK\r\nX-aws-ec2-metadata-token-ttl-seconds: 21600\r\nContent-Length: 9\r\n\r\nlab-token";

fn ok(text: &str) -> Act {
    Act::Answer(200, text.to_owned())
}

fn status(status: u16) -> Act {
    Act::Answer(status, String::new())
}

/// The metadata of an instance with three interfaces, one of them in another VPC. The credentials themselves are a trap.
fn metadata(path: &str) -> Act {
    let Some(path) = path.strip_prefix("/latest/meta-data/") else { return status(404) };
    if let Some((mac, item)) = path.strip_prefix("network/interfaces/macs/").and_then(|rest| rest.split_once('/')) {
        return interface(mac, item);
    }
    match path {
        "placement/region" => ok("eu-west-1"),
        "placement/availability-zone" => ok("eu-west-1a"),
        "placement/availability-zone-id" => ok("euw1-az3"),
        "instance-id" => ok("i-0123456789abcdef0"),
        "services/domain" => ok("amazonaws.com"),
        "services/partition" => ok("aws"),
        "iam/security-credentials/" => ok("web-role"),
        "iam/security-credentials/web-role" => Act::Endless,
        "mac" => ok("0a:00:00:00:00:01"),
        "network/interfaces/macs/" => ok("0a:00:00:00:00:03/\n0a:00:00:00:00:01/\n0a:00:00:00:00:02/"),
        _ => status(404),
    }
}

fn interface(mac: &str, item: &str) -> Act {
    let (vpc, nets, subnet) = match mac {
        "0a:00:00:00:00:01" => ("vpc-1", "10.0.0.0/16\n100.64.0.0/16", "10.0.1.0/24"),
        "0a:00:00:00:00:02" => ("vpc-1", "10.0.0.0/16\n100.64.0.0/16", "100.64.1.0/24"),
        _ => ("vpc-2", "172.16.0.0/16", "172.16.1.0/24"),
    };
    match item {
        "vpc-id" => ok(vpc),
        "subnet-id" => ok("subnet-1"),
        "vpc-ipv4-cidr-block" => ok(nets.lines().next().unwrap_or_default()),
        "vpc-ipv4-cidr-blocks" => ok(nets),
        "subnet-ipv4-cidr-block" => ok(subnet),
        "vpc-ipv6-cidr-blocks" if vpc == "vpc-1" => ok("2600:1f18:1234::/56"),
        "subnet-ipv6-cidr-blocks" if vpc == "vpc-1" => ok("2600:1f18:1234:1::/64"),
        "device-number" => ok(if mac.ends_with('1') { "0" } else { "1" }),
        _ => Act::Answer(404, "<?xml version=\"1.0\"?><html>404</html>".to_owned()),
    }
}

/// IMDSv2 as it is: a token first, 401 without one.
fn healthy(asked: &Asked<'_>) -> Act {
    match (asked.method, asked.token) {
        ("PUT", _) if asked.path == "/latest/api/token" => Act::Token,
        ("GET", true) => metadata(asked.path),
        ("GET", false) => status(401),
        _ => status(403),
    }
}

/// A service with this answer to the PUT, and data for everybody.
fn with_put(put: fn() -> Act) -> impl Fn(&Asked<'_>) -> Act {
    move |asked| if asked.method == "PUT" { put() } else { metadata(asked.path) }
}

/// A service that gives tokens and these data.
fn with_data(data: fn(&str) -> Act) -> impl Fn(&Asked<'_>) -> Act {
    move |asked| if asked.token { data(asked.path) } else { healthy(asked) }
}

fn query(service: SocketAddr, root: &Path) -> Query {
    let endpoint = ("AWS_EC2_METADATA_SERVICE_ENDPOINT".to_owned(), format!("http://{service}/"));
    Query { known: Known::default(), environment: BTreeMap::from([endpoint]), timeout: BUDGET, root: root.to_owned() }
}

/// The facts against this service, on a host that has no files.
async fn facts(service: SocketAddr) -> HostFacts {
    let root = tempfile::tempdir().expect("a folder");
    discover(&query(service, root.path())).await
}

/// A port that refuses, as long as the socket is held.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("bound");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

fn causes(facts: &HostFacts) -> Vec<Cause> {
    facts.problems.iter().map(|problem| problem.cause).collect()
}

const BUDGET: Duration = Duration::from_millis(1500);
/// The budget with some time for a busy machine.
const WHOLE: Duration = Duration::from_millis(1800);
/// Well within the budget: nothing was waited for.
const SOON: Duration = Duration::from_millis(900);
const NOW: Duration = Duration::ZERO;

#[tokio::test]
async fn a_healthy_service_tells_everything() {
    let service = service(NOW, healthy).await;
    let facts = facts(service.address).await;
    assert_eq!(facts.imds, ImdsState::Ok);
    assert_eq!((facts.region.as_deref(), facts.source), (Some("eu-west-1"), RegionSource::Imds));
    assert_eq!((facts.partition.as_deref(), facts.domain.as_deref()), (Some("aws"), Some("amazonaws.com")));
    assert_eq!(facts.instance_id.as_deref(), Some("i-0123456789abcdef0"));
    assert_eq!(facts.availability_zone.as_deref(), Some("eu-west-1a"));
    assert_eq!(facts.availability_zone_id.as_deref(), Some("euw1-az3"));
    assert_eq!((facts.vpc_id.as_deref(), facts.subnet_id.as_deref()), (Some("vpc-1"), Some("subnet-1")));
    let texts = |nets: &[ipnet::IpNet]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&facts.vpc_cidrs), ["10.0.0.0/16", "100.64.0.0/16", "2600:1f18:1234::/56"]);
    assert_eq!(texts(&facts.subnet_cidrs), ["10.0.1.0/24", "100.64.1.0/24", "2600:1f18:1234:1::/64"]);
    assert_eq!(facts.primary_vpc_cidr.map(|net| net.to_string()).as_deref(), Some("10.0.0.0/16"));
    assert_eq!(facts.role, Role::Name("web-role".to_owned()));
    assert!(facts.on_ec2);
    assert_eq!(facts.problems, []);
    assert_eq!(service.plain.load(Ordering::Relaxed), 0, "a healthy service sees no request of version 1");
}

/// State, region, causes and time against a service that acts like this.
async fn check(
    name: &str,
    act: impl Fn(&Asked<'_>) -> Act + Send + Sync + 'static,
    expected: (ImdsState, Option<&str>, &[Cause]),
    within: Duration,
) {
    let service = service(NOW, act).await;
    let start = Instant::now();
    let facts = facts(service.address).await;
    let took = start.elapsed();
    assert_eq!((facts.imds, facts.region.as_deref(), causes(&facts).as_slice()), expected, "{name}");
    assert!(took < within, "{name} took {took:?}");
}

#[tokio::test]
async fn off_forbidden_and_silent() {
    let off = (ImdsState::Off, None, &[Cause::ImdsOff][..]);
    check("off", |_| status(403), off, SOON).await;
    check("token refused", with_put(|| status(403)), off, SOON).await;
    let forbidden = (ImdsState::Forbidden, None, &[Cause::ImdsUnreachable][..]);
    check("forbidden", with_data(|_| status(403)), forbidden, SOON).await;
    let silent = (ImdsState::Unreachable, None, &[Cause::ImdsUnreachable][..]);
    check("silent", |_| Act::Silence, silent, WHOLE).await;
    let busy = |asked: &Asked<'_>| if asked.method == "PUT" { status(503) } else { healthy(asked) };
    check("busy", busy, (ImdsState::Slow, None, &[]), WHOLE).await;
}

#[tokio::test]
async fn a_token_that_does_not_arrive() {
    let hop_limit = |asked: &Asked<'_>| if asked.method == "PUT" { Act::Silence } else { healthy(asked) };
    check("required", hop_limit, (ImdsState::HopLimit, None, &[Cause::ImdsHopLimit]), WHOLE).await;
    let expected = (ImdsState::HopLimit, Some("eu-west-1"), &[Cause::ImdsHopLimit][..]);
    check("optional", with_put(|| Act::Silence), expected, WHOLE).await;
}

#[tokio::test]
async fn version_1_only() {
    let expected = (ImdsState::V1Only, Some("eu-west-1"), &[Cause::ImdsV1Only][..]);
    check("400", with_put(|| status(400)), expected, SOON).await;
    check("404", with_put(|| status(404)), expected, SOON).await;
    check("405", with_put(|| status(405)), expected, SOON).await;
    check("200 without a token", with_put(|| ok("?")), expected, SOON).await;
}

#[tokio::test]
async fn something_else_answers() {
    let garbage = (ImdsState::Garbage, None, &[Cause::ImdsUnreachable][..]);
    check("captive portal", |_| ok("<html>please log in</html>"), garbage, SOON).await;
    check("another cloud's", |_| status(404), garbage, SOON).await;
    check("not HTTP", |_| Act::Raw(b"SSH-2.0-OpenSSH_9.6\r\n"), garbage, SOON).await;
    check("endless", |_| Act::Endless, garbage, WHOLE).await;
    check("a page for data", with_data(|_| ok("<html>\u{1}</html>")), garbage, SOON).await;
    check("nothing is set", with_data(|_| status(404)), garbage, SOON).await;
    let not_text = with_data(|_| Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xa0\xa1"));
    check("not UTF-8", not_text, garbage, SOON).await;
    check("endless data", with_data(|_| Act::Endless), garbage, WHOLE).await;
    check("a redirect", with_data(|_| status(302)), garbage, SOON).await;
    let absurd = with_data(|path| if path.ends_with("/region") { ok("../../etc") } else { metadata(path) });
    check("an absurd region", absurd, garbage, SOON).await;
}

#[tokio::test]
async fn a_late_service_is_slow_and_not_out_of_reach() {
    // Token at 800 ms; the data would come at 1600 ms.
    let late = service(Duration::from_millis(800), healthy).await;
    let seen = facts(late.address).await;
    assert_eq!((seen.imds, seen.region, seen.on_ec2), (ImdsState::Slow, None, true));
    // Token at 550 ms, the first items at 1100 ms, those of the interfaces never.
    let late = service(Duration::from_millis(550), healthy).await;
    let seen = facts(late.address).await;
    assert_eq!((seen.imds, seen.region.as_deref()), (ImdsState::Slow, Some("eu-west-1")));
    assert_eq!(seen.instance_id.as_deref(), Some("i-0123456789abcdef0"));
    assert_eq!(seen.vpc_id, None);
    assert_eq!(seen.role, Role::Name("web-role".to_owned()));
}

#[tokio::test]
async fn latency_of_200_ms_is_no_fault() {
    let service = service(Duration::from_millis(200), healthy).await;
    assert_eq!(facts(service.address).await.imds, ImdsState::Ok);
}

#[tokio::test]
async fn a_refused_port_is_told_at_once() {
    let (_held, address) = refusing();
    let start = Instant::now();
    assert_eq!(facts(address).await.imds, ImdsState::Unreachable);
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_missing_role_is_a_note_and_an_unknown_one_is_not() {
    let missing = with_data(|path| if path.contains("/iam/") { status(404) } else { metadata(path) });
    check("no role", missing, (ImdsState::Ok, Some("eu-west-1"), &[Cause::RoleMissing]), BUDGET).await;
    let hidden = with_data(|path| if path.contains("/iam/") { status(403) } else { metadata(path) });
    check("hidden", hidden, (ImdsState::Ok, Some("eu-west-1"), &[]), BUDGET).await;
}

#[tokio::test]
async fn what_the_operator_said_is_stronger() {
    let service = service(NOW, healthy).await;
    let root = tempfile::tempdir().expect("a folder");
    let mut query = query(service.address, root.path());
    query.known = Known {
        region: Some("cn-north-1".to_owned()),
        vpc_id: Some("vpc-mine".to_owned()),
        vpc_cidrs: vec!["192.168.0.0/16".parse().expect("a network")],
        ..Known::default()
    };
    let facts = discover(&query).await;
    assert_eq!((facts.region.as_deref(), facts.source), (Some("cn-north-1"), RegionSource::Config));
    assert_eq!(facts.imds_region.as_deref(), Some("eu-west-1"));
    assert_eq!(causes(&facts), [Cause::RegionMismatch]);
    let summary = &facts.problems[0].summary;
    assert!(summary.contains("cn-north-1") && summary.contains("eu-west-1"), "{summary}");
    assert_eq!((facts.domain, facts.partition), (None, None), "those are of another region");
    assert_eq!(facts.vpc_id.as_deref(), Some("vpc-mine"));
    assert_eq!(facts.vpc_cidrs, query.known.vpc_cidrs);
    assert_eq!(facts.subnet_id.as_deref(), Some("subnet-1"));
}

#[tokio::test]
async fn nothing_is_asked_when_everything_is_known() {
    let root = tempfile::tempdir().expect("a folder");
    let text = |text: &str| Some(text.to_owned());
    let service = service(NOW, healthy).await;
    let mut query = query(service.address, root.path());
    query.known = Known {
        region: text("eu-west-1"),
        instance_id: text("i-1"),
        vpc_id: text("vpc-1"),
        vpc_cidrs: vec!["10.0.0.0/16".parse().expect("a network")],
        availability_zone: text("eu-west-1a"),
        ..Known::default()
    };
    let facts = discover(&query).await;
    assert_eq!((facts.imds, facts.role.clone(), causes(&facts)), (ImdsState::NotAsked, Role::Unknown, vec![]));
    assert_eq!(facts.instance_id.as_deref(), Some("i-1"));
}

#[tokio::test]
async fn the_host_is_read_from_its_files() {
    let root = tempfile::tempdir().expect("a folder");
    let put = |path: &str, text: &str| {
        let place = root.path().join(path);
        fs::create_dir_all(place.parent().expect("has a parent")).expect("made");
        fs::write(place, text).expect("written");
    };
    put("etc/resolv.conf", "nameserver 127.0.0.53\nsearch eu-central-1.compute.internal\n");
    put("run/systemd/resolve/resolv.conf", "nameserver 10.0.0.2\nnameserver fe80::1%ens5\n");
    put("sys/class/net/lo/mtu", "65536\n");
    put("sys/class/net/ens5/mtu", "9001\n");
    put("sys/class/net/ens5/ifindex", "7\n");
    put("sys/class/net/bonding_masters", "\n");
    let route = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                 ens5\t00000000\t0100000A\t0003\t0\t0\t512\t00000000\n";
    put("proc/net/route", route);
    put("sys/class/dmi/id/sys_vendor", "Amazon EC2\n");
    put("sys/fs/cgroup/system.slice/ssh.service/cgroup.procs", "1\n");
    put("usr/lib/systemd/system/amazon-ssm-agent.service", "[Service]\nExecStart=/usr/bin/amazon-ssm-agent\n");
    put(
        "etc/systemd/system/amazon-ssm-agent.service.d/proxy.conf",
        "[Service]\nEnvironment=\"https_proxy=http://svc:TopSecret@proxy.corp:3128\" \"no_proxy=169.254.169.254\"\n",
    );

    let (_held, address) = refusing();
    let facts = discover(&query(address, root.path())).await;

    assert_eq!((facts.region.as_deref(), facts.source), (Some("eu-central-1"), RegionSource::ResolvConf));
    let servers: Vec<String> =
        facts.name_servers.iter().map(|server| format!("{} {:?}", server.address, server.behind)).collect();
    assert_eq!(
        servers,
        ["127.0.0.53:53 None", "10.0.0.2:53 Some(127.0.0.53)", "[fe80::1%7]:53 Some(127.0.0.53)"],
        "programs ask the stub; who is behind it is measured beside it"
    );
    assert_eq!(facts.resolvers.len(), 3);
    assert_eq!(facts.link.as_ref().map(|link| (link.name.as_str(), link.mtu)), Some(("ens5", 9001)));
    assert_eq!(facts.links.len(), 1);
    assert_eq!(facts.agent.state, AgentState::Stopped);
    assert!(facts.on_ec2);
    assert_eq!(facts.established, None, "this root shows no sockets: nobody can tell");
    assert_eq!(causes(&facts), [Cause::ImdsUnreachable, Cause::AgentNotRunning]);

    assert_eq!(facts.proxies.len(), 1);
    let proxy = &facts.proxies[0];
    assert!(proxy.agent && proxy.applies_to("ssm.eu-central-1.amazonaws.com", 443));
    assert!(!proxy.applies_to("169.254.169.254", 80));
    assert_eq!(proxy.url, "http://svc:***@proxy.corp:3128");
    assert_eq!(proxy.origin, "/etc/systemd/system/amazon-ssm-agent.service.d/proxy.conf");
    let everything = format!("{facts:?}{}", serde_json::to_string(&facts).expect("serialises"));
    assert!(!everything.contains("TopSecret"));
}

#[tokio::test]
async fn a_missing_stub_file_leaves_the_stub() {
    let root = tempfile::tempdir().expect("a folder");
    fs::create_dir(root.path().join("etc")).expect("made");
    fs::write(root.path().join("etc/resolv.conf"), "nameserver 127.0.0.53\n").expect("written");
    let (_held, address) = refusing();
    let facts = discover(&query(address, root.path())).await;
    let servers: Vec<String> =
        facts.name_servers.iter().map(|server| format!("{} {:?}", server.address, server.behind)).collect();
    assert_eq!(servers, ["127.0.0.53:53 None"]);
}

/// The SDK's client must pass every proxy by, whatever the process's own environment says: the test runs itself again
/// with proxies set that refuse.
#[test]
fn imds_is_asked_past_any_proxy() {
    let mut again = std::process::Command::new(std::env::current_exe().expect("this test's file"));
    again.args(["--exact", "a_healthy_service_tells_everything"]);
    for variable in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(variable, "http://127.0.0.1:9");
    }
    again.env_remove("no_proxy").env_remove("NO_PROXY");
    let output = again.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
