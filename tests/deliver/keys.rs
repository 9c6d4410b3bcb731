//! Where the signature's keys come from: a container's endpoint, the environment, and which goes first.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use vpce_probe::{
    deliver::{Credentials, Delivery},
    model::sample::Condition,
};

use crate::{
    bed::{all_delivered, environment, problems, sample, settings, start, until},
    fake::Fake,
};

/// A request's line, and its `authorization`.
type Asked = (String, Option<String>);

/// A container agent's endpoint. Gives keys to whoever has the token, if it wants one.
struct Agent {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Agent {
    async fn start(place: &str, token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind(place).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<(String, Option<String>)>>>::default();
        let shared = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 2_000];
                let count = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..count]).into_owned();
                let line = request.lines().next().unwrap_or_default().to_owned();
                let header = |line: &str| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
                };
                let said = request.lines().find_map(header);
                let answer = if said.as_deref() == token { fine() } else { refusal() };
                shared.lock().expect("not poisoned").push((line, said));
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn fine() -> String {
    let body = r#"{"RoleArn":"arn:aws:iam::1:role/task","AccessKeyId":"AKTASK","SecretAccessKey":"s3cret","Token":"t4sk","Expiration":"2099-01-01T00:00:00Z"}"#;
    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn refusal() -> String {
    "HTTP/1.1 401 Unauthorized\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
}

fn with(fake: &Fake, source: Credentials, variables: &[(&str, &str)]) -> Delivery {
    let mut settings = settings(&format!("http://{}", fake.address));
    settings.credentials = source;
    settings.environment = environment(variables);
    start(settings)
}

/// The key and the session token of each request that CloudWatch saw, once a round is delivered.
async fn signed(fake: &Fake, delivery: &Delivery) -> Vec<(String, Option<String>)> {
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    all_delivered(delivery, fake, 1, 1).await;
    let of = |headers: &std::collections::HashMap<String, String>| {
        let words = &headers["authorization"];
        let key = words.split("Credential=").nth(1).and_then(|rest| rest.split('/').next()).expect("a key");
        (key.to_owned(), headers.get("x-amz-security-token").cloned())
    };
    let mut keys: Vec<_> = fake.requests().iter().map(|request| of(&request.headers)).collect();
    keys.dedup();
    keys
}

fn task() -> Vec<(String, Option<String>)> {
    vec![("AKTASK".to_owned(), Some("t4sk".to_owned()))]
}

#[tokio::test]
async fn a_container_has_its_keys_from_a_url_and_its_token_from_a_file() {
    let (fake, agent) = (Fake::start().await, Agent::start("127.0.0.1:0", Some("let me in")).await);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), "let me in\n").expect("written");
    let url = format!("http://{}/v1/credentials?of=me", agent.address);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path().to_str().expect("a path")),
        // The file goes first: it is the one that is renewed.
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "an old one"),
    ];
    let delivery = with(&fake, Credentials::Ecs, &variables);
    assert_eq!(signed(&fake, &delivery).await, task());
    let expected = ("GET /v1/credentials?of=me HTTP/1.1".to_owned(), Some("let me in".to_owned()));
    assert_eq!(agent.asked(), [expected], "asked once: the keys are good for long");
}

/// ECS gives a path; its address is fixed, so this host needs it: in a network namespace of its own.
#[tokio::test]
async fn a_task_has_its_keys_from_the_agents_own_address() {
    if std::env::var_os(INSIDE).is_none() {
        let output = Command::new("unshare")
            .args(["--net", "--fork", "--kill-child", "sh", "-c"])
            .arg("ip link set lo up && ip address add 169.254.170.2/32 dev lo && exec \"$@\"")
            .arg("sh")
            .arg(std::env::current_exe().expect("this test's own file"))
            .args(["--exact", "keys::a_task_has_its_keys_from_the_agents_own_address", "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .expect("unshare(1) of util-linux");
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && said.contains("1 passed"), "are you root? {said}\n{complained}");
        return;
    }
    let (fake, agent) = (Fake::start().await, Agent::start("169.254.170.2:80", None).await);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/0-1"),
        // ECS's own goes first.
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/"),
    ];
    let delivery = with(&fake, Credentials::Auto, &variables);
    assert_eq!(signed(&fake, &delivery).await, task());
    assert_eq!(agent.asked(), [("GET /v2/credentials/0-1 HTTP/1.1".to_owned(), None)]);
}

#[tokio::test]
async fn a_refusal_of_the_container_is_said_and_its_token_is_not() {
    let (fake, agent) = (Fake::start().await, Agent::start("127.0.0.1:0", Some("let me in")).await);
    let url = format!("http://{}/", agent.address);
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "s3cr3t-of-another"),
    ];
    // With `auto`, too: a container that is refused must not take the instance's role instead.
    for source in [Credentials::Ecs, Credentials::Auto] {
        let delivery = with(&fake, source, &variables);
        delivery.submit(sample(Duration::ZERO, Condition::Sick));
        until("it fails", || !delivery.shipping().problems.is_empty()).await;
        let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
        assert_eq!(cause, "credentials-missing");
        assert!(sentence.contains("the container's endpoint answered 401"), "{sentence}");
        assert!(!sentence.contains("s3cr3t"), "{sentence}");
    }
    assert!(fake.requests().is_empty(), "nothing is sent unsigned");
    let delivery = with(&fake, Credentials::Ecs, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://198.51.100.1/")]);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it fails", || !delivery.shipping().problems.is_empty()).await;
    let [(_, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert!(sentence.contains("neither https nor a loopback or ECS address"), "{sentence}");
}

#[tokio::test]
async fn the_environments_keys_are_used_with_their_token() {
    let fake = Fake::start().await;
    let variables =
        [("AWS_ACCESS_KEY_ID", "AKENV"), ("AWS_SECRET_ACCESS_KEY", "s3cret"), ("AWS_SESSION_TOKEN", "t-env")];
    let delivery = with(&fake, Credentials::Environment, &variables);
    assert_eq!(signed(&fake, &delivery).await, [("AKENV".to_owned(), Some("t-env".to_owned()))]);
    // Half of a pair is none.
    let delivery = with(&fake, Credentials::Environment, &variables[..1]);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it fails", || !delivery.shipping().problems.is_empty()).await;
    let [(cause, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    assert_eq!(cause, "credentials-missing");
    assert!(sentence.contains("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"), "{sentence}");
}

#[tokio::test]
async fn auto_takes_the_environment_then_the_container_then_the_instance() {
    let agent = Agent::start("127.0.0.1:0", None).await;
    let url = format!("http://{}/", agent.address);
    let container = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let nowhere = ("AWS_EC2_METADATA_DISABLED", "true");
    let pair = [("AWS_ACCESS_KEY_ID", "AKENV"), ("AWS_SECRET_ACCESS_KEY", "s3cret")];
    let fake = Fake::start().await;
    let delivery = with(&fake, Credentials::Auto, &[pair[0], pair[1], container, nowhere]);
    assert_eq!(signed(&fake, &delivery).await, [("AKENV".to_owned(), None)]);
    assert!(agent.asked().is_empty());
    // An empty variable is as good as none.
    let fake = Fake::start().await;
    let delivery = with(&fake, Credentials::Auto, &[("AWS_ACCESS_KEY_ID", ""), pair[1], container, nowhere]);
    assert_eq!(signed(&fake, &delivery).await, task());
    // The one that is asked for, whatever others there are.
    let fake = Fake::start().await;
    let delivery = with(&fake, Credentials::Ecs, &[pair[0], pair[1], container]);
    assert_eq!(signed(&fake, &delivery).await, task());
    // Nothing anywhere: each says why.
    let delivery = with(&fake, Credentials::Auto, &[nowhere]);
    delivery.submit(sample(Duration::ZERO, Condition::Sick));
    until("it fails", || !delivery.shipping().problems.is_empty()).await;
    let [(_, sentence)] = problems(&delivery.shipping()).try_into().expect("one problem");
    for words in ["AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_* is not set", "AWS_EC2_METADATA_DISABLED is true"] {
        assert!(sentence.contains(words), "{sentence}");
    }
}

/// Set inside the namespace.
const INSIDE: &str = "VPCE_TEST_TASK";
