//! The shipper's own way: credentials, segments, ClientHello, verification.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::Instant,
};
use tokio_rustls::TlsAcceptor;
use vpce_probe::{
    deliver::{Credentials, Delivery, Way, publish_once},
    disk::Disk,
    model::sample::Condition,
};

use crate::{
    bed::{all_delivered, balance, dialer, environment, problems, sample, settings, start, surroundings, until},
    fake::{Fake, Mode},
};

/// A metadata service (IMDSv2) with one role; its keys are what `keys` says at the time.
struct Imds {
    address: SocketAddr,
    state: Arc<Mutex<Service>>,
}

struct Service {
    key: &'static str,
    lives: time::Duration,
    role: bool,
    up: bool,
    asked: Vec<String>,
}

impl Imds {
    async fn start(key: &'static str, lives: time::Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(Service { key, lives, role: true, up: true, asked: Vec::new() }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 2_000];
                let count = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..count]).into_owned();
                let answer = shared.lock().expect("not poisoned").answer(&request);
                if let Some(answer) = answer {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        Self { address, state }
    }

    fn set(&self, change: impl FnOnce(&mut Service)) {
        change(&mut self.state.lock().expect("not poisoned"));
    }

    fn asked(&self, part: &str) -> usize {
        self.state.lock().expect("not poisoned").asked.iter().filter(|line| line.contains(part)).count()
    }
}

impl Service {
    fn answer(&mut self, request: &str) -> Option<String> {
        let line = request.lines().next().unwrap_or_default().to_owned();
        self.asked.push(line.clone());
        if !self.up {
            return None;
        }
        let fine = |body: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 21600\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let absent = || "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned();
        if line.starts_with("PUT /latest/api/token ") {
            return Some(fine("token-1"));
        }
        assert!(request.to_ascii_lowercase().contains("x-aws-ec2-metadata-token: token-1"), "version 2: {request}");
        Some(match line.split(' ').nth(1).unwrap_or_default() {
            "/latest/meta-data/iam/security-credentials/" if self.role => fine("a-role"),
            "/latest/meta-data/iam/security-credentials/a-role" => {
                let ends = time::OffsetDateTime::now_utc() + self.lives;
                let ends = ends.format(&time::format_description::well_known::Rfc3339).expect("a date");
                fine(&format!(
                    r#"{{"Code":"Success","AccessKeyId":"{}","SecretAccessKey":"s3cret","Token":"t0ken","Expiration":"{ends}"}}"#,
                    self.key
                ))
            }
            _ => absent(),
        })
    }
}

fn by_instance(fake: &Fake, imds: &Imds) -> Delivery {
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.credentials = Credentials::Auto;
    let endpoint = format!("http://{}", imds.address);
    settings.environment = environment(&[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &endpoint)]);
    start(settings)
}

fn signed_with(fake: &Fake) -> Vec<String> {
    let key = |words: &String| words.split("Credential=").nth(1)?.split('/').next().map(str::to_owned);
    fake.requests().iter().filter_map(|request| key(&request.headers["authorization"])).collect()
}

#[tokio::test]
async fn keys_are_kept_renewed_and_used_on_when_imds_is_gone() {
    let (fake, imds) = (Fake::start().await, Imds::start("AKONE", time::Duration::hours(6)).await);
    let delivery = by_instance(&fake, &imds);
    let mut rounds = 0;
    let mut round = async || {
        delivery.submit(sample(Duration::ZERO, Condition::Sick));
        rounds += 1;
        all_delivered(&delivery, &fake, rounds, 1).await;
    };
    round().await;
    round().await;
    assert_eq!(imds.asked("a-role"), 1, "keys of six hours are asked for once");
    assert!(fake.requests().iter().all(|request| request.headers["x-amz-security-token"] == "t0ken"));
    // Others are there before the old ones end, and CloudWatch refuses the old ones.
    imds.set(|service| {
        service.key = "AKTWO";
        service.lives = time::Duration::seconds(60);
    });
    fake.always(Mode::RefuseKey("AKONE", "ExpiredToken"));
    round().await;
    assert_eq!(signed_with(&fake).last().map(String::as_str), Some("AKTWO"));
    assert!(imds.asked("a-role") >= 2);
    assert!(delivery.shipping().problems.is_empty());
    // Near their end, new ones are asked for with each request; IMDS is gone: the old ones serve on.
    imds.set(|service| service.up = false);
    round().await;
    let asked = imds.asked("PUT") + imds.asked("GET");
    round().await;
    assert_eq!(imds.asked("PUT") + imds.asked("GET"), asked, "a silent source is left alone for a while");
    assert_eq!(signed_with(&fake).last().map(String::as_str), Some("AKTWO"));
    balance(&delivery);
}

#[tokio::test]
async fn expired_keys_without_others_are_said() {
    let (fake, imds) = (Fake::start().await, Imds::start("AKONE", time::Duration::hours(6)).await);
    fake.always(Mode::RefuseKey("AKONE", "ExpiredToken"));
    let delivery = by_instance(&fake, &imds);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it fails", || !delivery.shipping().problems.is_empty()).await;
    let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert_eq!(cause, "credentials-expired", "{sentence}");
    assert!(sentence.contains("gives the same keys again"), "{sentence}");
    // As soon as there are others, it goes on.
    imds.set(|service| service.key = "AKTWO");
    all_delivered(&delivery, &fake, 1, 1).await;
}

/// AWS prolongs keys while its own service cannot give others ("static stability"): a date is no reason to stop.
#[tokio::test]
async fn keys_past_their_end_serve_on_while_imds_is_gone_and_cloudwatch_takes_them() {
    let (fake, imds) = (Fake::start().await, Imds::start("AKONE", time::Duration::seconds(1)).await);
    let delivery = by_instance(&fake, &imds);
    let mut rounds = 0;
    let mut round = async || {
        delivery.submit(sample(Duration::ZERO, Condition::Sick));
        rounds += 1;
        all_delivered(&delivery, &fake, rounds, 1).await;
    };
    round().await;
    imds.set(|service| service.up = false);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    // They have ended by the clock; nobody else gives any.
    round().await;
    round().await;
    assert!(signed_with(&fake).iter().all(|key| key == "AKONE"));
    assert!(delivery.shipping().problems.is_empty());
    // CloudWatch does not take them any more: that is said, rounds wait, and IMDS is asked for others.
    fake.always(Mode::RefuseKey("AKONE", "ExpiredToken"));
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it fails", || !delivery.shipping().problems.is_empty()).await;
    let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert_eq!(cause, "credentials-expired", "{sentence}");
    assert!(sentence.contains("IMDS"), "{sentence}");
    balance(&delivery);
    imds.set(|service| {
        service.up = true;
        service.key = "AKTWO";
        service.lives = time::Duration::hours(6);
    });
    all_delivered(&delivery, &fake, 4, 1).await;
    assert_eq!(signed_with(&fake).last().map(String::as_str), Some("AKTWO"));
}

#[tokio::test]
async fn a_host_without_a_role_is_told_so() {
    let (fake, imds) = (Fake::start().await, Imds::start("AKONE", time::Duration::hours(6)).await);
    imds.set(|service| service.role = false);
    let delivery = by_instance(&fake, &imds);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it fails", || !delivery.shipping().problems.is_empty()).await;
    let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert_eq!(cause, "credentials-missing");
    assert!(sentence.contains("404") && sentence.contains("no role"), "{sentence}");
    assert!(fake.requests().is_empty(), "nothing is sent unsigned");
    imds.set(|service| service.role = true);
    all_delivered(&delivery, &fake, 1, 1).await;
}

fn way(packet: Option<u32>, small_hello: bool) -> Way {
    Way { host: "127.0.0.1".to_owned(), address: IpAddr::V4(Ipv4Addr::LOCALHOST), works: true, packet, small_hello }
}

#[tokio::test]
async fn a_hole_makes_the_shipper_keep_to_small_segments() {
    let fake = Fake::start().await;
    let settings = settings(&format!("http://{}", fake.address));
    let mut seen = Vec::new();
    for packet in [None, Some(1_400), Some(1_280)] {
        let around = surroundings(vec![way(packet, false)]);
        let by = Instant::now() + Duration::from_secs(5);
        let round = sample(Duration::ZERO, Condition::Healthy);
        publish_once(&settings, dialer(true, None), around, &round, by).await.expect("delivered");
        seen.push(fake.requests().last().and_then(|request| request.mss).expect("a size"));
    }
    let [natural, larger, smaller] = seen.try_into().expect("three");
    assert!(natural > 1_500, "loopback has large packets: {natural}");
    // What the server may send: TCP_MAXSEG of the client, less the 12 bytes of timestamps.
    assert!((1_348..=1_360).contains(&larger), "{larger}");
    assert!((1_228..=1_240).contains(&smaller), "{smaller}");
    println!("segments seen by the server: {natural}, {larger} for 1400, {smaller} for 1280");
}

#[tokio::test]
async fn a_hang_in_a_hole_names_the_hole() {
    let fake = Fake::start().await;
    fake.always(Mode::Hang);
    let settings = settings(&format!("http://{}", fake.address));
    let by = Instant::now() + Duration::from_secs(5);
    let round = sample(Duration::ZERO, Condition::Healthy);
    let around = surroundings(vec![way(Some(1_280), false)]);
    let problem = publish_once(&settings, dialer(true, None), around, &round, by).await.expect_err("hangs");
    assert_eq!(problem.cause.as_str(), "publish-unreachable");
    assert_eq!(problem.address, Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    for words in ["more than 1280 bytes vanish", "segments of 1240 bytes do not help"] {
        assert!(problem.summary.contains(words), "{}", problem.summary);
    }
}

/// A CloudWatch behind TLS as `localhost`, and its authority in a file.
async fn secured() -> (Fake, tempfile::NamedTempFile) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), made.cert.pem()).expect("written");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .expect("an identity");
    (Fake::with_tls(TlsAcceptor::from(Arc::new(config))).await, file)
}

#[tokio::test]
async fn the_hello_is_as_small_as_it_must_be_and_the_peer_is_verified() {
    let (fake, authority) = secured().await;
    let settings = settings(&format!("https://localhost:{}", fake.address.port()));
    let once = async |post_quantum: bool, small: bool, trusted: bool| {
        let authority = trusted.then(|| authority.path().to_owned());
        let round = sample(Duration::ZERO, Condition::Healthy);
        let by = Instant::now() + Duration::from_secs(5);
        let around = surroundings(vec![way(None, small)]);
        publish_once(&settings, dialer(post_quantum, authority), around, &round, by).await
    };
    for (post_quantum, small) in [(true, false), (false, false), (true, true)] {
        once(post_quantum, small, true).await.expect("delivered");
    }
    let [large, classical, told] = fake.hellos().try_into().expect("three");
    assert!(large > 1_200 && classical < 500 && told < 500, "{large} {classical} {told}");
    println!("hello: {large} bytes, {classical} without post_quantum, {told} where a large one is blocked");
    let stored = fake.stored().len();
    let problem = once(true, false, false).await.expect_err("untrusted");
    assert_eq!(problem.cause.as_str(), "publish-unreachable");
    assert!(problem.summary.contains("tls-untrusted") && problem.summary.contains("localhost"), "{}", problem.summary);
    assert_eq!(fake.stored().len(), stored);
    println!("{}", problem.summary);
}

#[tokio::test]
async fn another_config_is_taken_up_without_a_loss() {
    let (first, second) = (Fake::start().await, Fake::start().await);
    first.always(Mode::Error(403, "AccessDenied", "no"));
    let delivery = Delivery::start(
        settings(&format!("http://{}", first.address)),
        dialer(true, None),
        Disk::start().expect("a thread"),
        surroundings(Vec::new()),
    );
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it is refused", || !delivery.shipping().problems.is_empty()).await;
    delivery.reconfigure(settings(&format!("http://{}", second.address)), dialer(true, None));
    all_delivered(&delivery, &second, 1, 1).await;
    assert!(first.stored().is_empty());
}
