//! Where the signature's keys come from, and how long they serve.
//!
//! The SDK's own providers log a warning for every host without a role, read the process's environment behind our back,
//! and hide why there is nothing; so the sources are asked here, the metadata service through the SDK's client for it.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    time::{Duration, SystemTime},
};

use aws_config::{
    imds::{
        self,
        client::error::{ImdsError, TokenError},
    },
    provider_config::ProviderConfig,
};
use aws_credential_types::Credentials as Keys;
use aws_smithy_runtime_api::client::{
    orchestrator::{HttpRequest, HttpResponse},
    result::SdkError,
};
use serde::Deserialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::time::{Instant, sleep_until};

use super::{
    Credentials,
    connector::{Broken, Connector},
};

/// The keys in use, and where new ones come from.
pub(super) struct Keyring {
    source: Credentials,
    environment: BTreeMap<String, String>,
    connector: Connector,
    imds: Option<imds::Client>,
    held: Option<Held>,
}

/// Keys, and until when.
struct Held {
    keys: Keys,
    /// `None`: they do not end.
    ends: Option<SystemTime>,
    /// Not asked again before then, after a refresh that failed.
    quiet_until: Option<Instant>,
}

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoKeys {
    /// What each source said, in one sentence.
    pub(super) summary: String,
    /// Whether there were some, which have ended.
    pub(super) ended: bool,
}

/// What one source said.
enum Said {
    Keys(Keys, Option<SystemTime>),
    /// It is not there on this host: the next one may be.
    Absent(String),
    /// It is there and gives nothing.
    Failed(String),
}

impl Keyring {
    /// Nothing is asked yet.
    pub(super) fn new(source: Credentials, environment: BTreeMap<String, String>, connector: &Connector) -> Self {
        Self { source, environment, connector: connector.apart(ANSWER), imds: None, held: None }
    }

    /// The keys for a request that is made `now`: asked for anew shortly before they end. Where the source is silent then,
    /// those that are held serve on (AWS prolongs them when its own service is away), and it is asked again later.
    pub(super) async fn keys(&mut self, now: SystemTime) -> Result<Keys, NoKeys> {
        if let Some(held) = &self.held
            && !held.wants_refresh(now)
        {
            return Ok(held.keys.clone());
        }
        let end = Instant::now() + ALTOGETHER;
        let said = tokio::select! {
            biased;
            said = self.ask() => said,
            () = sleep_until(end) => Err(format!("no credentials within {} s", ALTOGETHER.as_secs())),
        };
        match said {
            Ok((keys, ends)) => {
                // A metadata service whose own source is away hands out keys that have ended.
                let quiet_until = ends.is_some_and(|ends| ends <= now).then(|| Instant::now() + AGAIN);
                self.held = Some(Held { keys: keys.clone(), ends, quiet_until });
                Ok(keys)
            }
            Err(summary) => match &mut self.held {
                Some(held) => {
                    tracing::debug!(summary, "credentials are used on");
                    held.quiet_until = Some(Instant::now() + AGAIN);
                    Ok(held.keys.clone())
                }
                None => Err(NoKeys { summary, ended: false }),
            },
        }
    }

    /// CloudWatch says that the keys have ended: new ones, or none.
    pub(super) async fn renewed(&mut self, now: SystemTime) -> Result<Keys, NoKeys> {
        let Some(old) = self.held.take() else { return self.keys(now).await };
        match self.keys(now).await {
            Ok(keys) if keys.access_key_id() != old.keys.access_key_id() => Ok(keys),
            same => {
                let summary = match same {
                    Ok(_) => "the credential source gives the same keys again".to_owned(),
                    Err(none) => none.summary,
                };
                // Kept, and asked again with the next request but not before.
                self.held = Some(Held { quiet_until: None, ends: Some(SystemTime::UNIX_EPOCH), ..old });
                Err(NoKeys { summary, ended: true })
            }
        }
    }

    async fn ask(&mut self) -> Result<(Keys, Option<SystemTime>), String> {
        let sources: &[Credentials] = match self.source {
            Credentials::Auto => &[Credentials::Environment, Credentials::Ecs, Credentials::Imds],
            Credentials::Imds => &[Credentials::Imds],
            Credentials::Environment => &[Credentials::Environment],
            Credentials::Ecs => &[Credentials::Ecs],
        };
        let mut without = Vec::new();
        for source in sources {
            let said = match source {
                Credentials::Environment => self.of_environment(),
                Credentials::Ecs => self.of_container().await,
                Credentials::Imds | Credentials::Auto => self.of_instance().await,
            };
            match said {
                Said::Keys(keys, ends) => return Ok((keys, ends)),
                Said::Absent(words) => without.push(words),
                Said::Failed(words) => return Err(words),
            }
        }
        Err(without.join("; "))
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn of_environment(&self) -> Said {
        let (Some(id), Some(secret)) = (self.variable("AWS_ACCESS_KEY_ID"), self.variable("AWS_SECRET_ACCESS_KEY"))
        else {
            return Said::Absent("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set".to_owned());
        };
        let token = self.variable("AWS_SESSION_TOKEN").map(str::to_owned);
        Said::Keys(Keys::new(id, secret, token, None, "environment"), None)
    }

    /// The container's endpoint (ECS task roles, EKS pod identity).
    async fn of_container(&self) -> Said {
        let url = match (
            self.variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            self.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        ) {
            (Some(path), _) => format!("http://{ECS}{path}"),
            (None, Some(url)) if is_safe(url) => url.to_owned(),
            (None, Some(_)) => {
                return Said::Failed(
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor a loopback or ECS address".to_owned(),
                );
            }
            (None, None) => return Said::Absent("AWS_CONTAINER_CREDENTIALS_* is not set".to_owned()),
        };
        let token = match self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            // A few hundred bytes on a tmpfs that the container's agent mounts.
            Some(file) => match std::fs::read_to_string(file) {
                Ok(token) => Some(token.trim().to_owned()),
                Err(error) => return Said::Failed(format!("{file}: {error}")),
            },
            None => self.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(str::to_owned),
        };
        let Ok(mut request) = HttpRequest::get(url) else {
            return Said::Failed("AWS_CONTAINER_CREDENTIALS_* is not an address".to_owned());
        };
        if let Some(token) = token
            && request.headers_mut().try_insert("authorization", token).is_err()
        {
            return Said::Failed("the container's authorization token is no header's value".to_owned());
        }
        match self.connector.exchange(request).await {
            Ok(answer) if answer.status().is_success() => document(answer.body().bytes(), "the container's endpoint"),
            Ok(answer) => Said::Failed(format!("the container's endpoint answered {}", answer.status().as_u16())),
            Err(broken) => Said::Failed(format!("the container's endpoint: {broken}")),
        }
    }

    /// The instance's role, by IMDSv2.
    async fn of_instance(&mut self) -> Said {
        if self.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Said::Absent("AWS_EC2_METADATA_DISABLED is true".to_owned());
        }
        let client = match &self.imds {
            Some(client) => client.clone(),
            None => match self.imds_client() {
                Ok(client) => self.imds.insert(client).clone(),
                Err(words) => return Said::Failed(words),
            },
        };
        let role = match client.get(ROLES).await {
            Ok(roles) => roles.as_ref().lines().next().unwrap_or_default().trim().to_owned(),
            Err(error) => return Said::of_imds(&error, &self.connector),
        };
        if role.is_empty() {
            return Said::Absent("IMDS names no role: this instance has no instance profile".to_owned());
        }
        match client.get(format!("{ROLES}{role}")).await {
            Ok(keys) => document(Some(keys.as_ref().as_bytes()), "IMDS"),
            Err(error) => Said::of_imds(&error, &self.connector),
        }
    }

    fn imds_client(&self) -> Result<imds::Client, String> {
        let v6 = self.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").is_some_and(|mode| mode == "IPv6");
        let usual = if v6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" };
        let endpoint = self.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT").unwrap_or(usual);
        let provider = ProviderConfig::without_region().with_http_client(self.connector.clone());
        let builder = imds::Client::builder().configure(&provider).endpoint(endpoint);
        let builder = builder.map_err(|_| "AWS_EC2_METADATA_SERVICE_ENDPOINT is not an address".to_owned())?;
        // TCP itself repeats what is lost; a second attempt is for a 5xx or a token that has ended.
        Ok(builder
            .max_attempts(2)
            .connect_timeout(ANSWER)
            .read_timeout(ANSWER)
            .operation_attempt_timeout(ANSWER)
            .operation_timeout(ANSWER * 2)
            .build())
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment and the keys are secret.
        f.debug_struct("Keyring").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Held {
    fn wants_refresh(&self, now: SystemTime) -> bool {
        if self.quiet_until.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        self.ends.is_some_and(|ends| ends.duration_since(now).map_or(true, |left| left < BEFORE_END))
    }
}

impl Said {
    fn of_imds(error: &ImdsError, connector: &Connector) -> Self {
        if let ImdsError::ErrorResponse(answer) = error {
            return match answer.response().status().as_u16() {
                404 => Self::Absent("IMDS answered 404: this instance has no role".to_owned()),
                403 => Self::Absent("IMDS answered 403: the metadata service is turned off".to_owned()),
                status => Self::Failed(format!("IMDS answered {status}")),
            };
        }
        let seen = connector.evidence().seen();
        match seen.broken {
            Some(Broken::Dial(fault)) => Self::Absent(format!("IMDS does not answer: {}", fault.summary)),
            Some(Broken::Silent(_)) => Self::Failed("IMDS does not answer in time".to_owned()),
            Some(broken @ (Broken::Closed | Broken::Cut(_) | Broken::Garbled(_) | Broken::Ours(_))) => {
                Self::Failed(format!("IMDS: {broken}"))
            }
            None => match (token_status(error), seen.answer) {
                (Some(403), _) => Self::Absent("IMDS answered 403: the metadata service is turned off".to_owned()),
                (Some(status), _) => Self::Failed(format!("IMDS answered {status} to the request for a token")),
                (None, Some(answer)) => Self::Failed(format!("IMDS answered {} and nothing usable", answer.status)),
                (None, None) => Self::Failed("IMDS does not answer in time".to_owned()),
            },
        }
    }
}

/// The status with which the metadata service refused a token.
fn token_status(error: &ImdsError) -> Option<u16> {
    let ImdsError::FailedToLoadToken(_) = error else { return None };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = cause {
        if let Some(failure) = one.downcast_ref::<SdkError<TokenError, HttpResponse>>() {
            return failure.raw_response().map(|answer| answer.status().as_u16());
        }
        cause = one.source();
    }
    None
}

/// What IMDS and ECS answer: JSON with the keys, or with a code that says why there are none.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    code: Option<String>,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    token: Option<String>,
    expiration: Option<String>,
}

fn document(text: Option<&[u8]>, from: &'static str) -> Said {
    // serde's own words would repeat parts of the text, and with it of the keys.
    let Some(document) = text.and_then(|text| serde_json::from_slice::<Document>(text).ok()) else {
        return Said::Failed(format!("{from} gave something that is no credentials document"));
    };
    let code = document.code.unwrap_or_else(|| "Success".to_owned());
    if code != "Success" {
        let code: String = code.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        return Said::Failed(format!("{from} gave no credentials: {code}"));
    }
    let (Some(id), Some(secret)) = (document.access_key_id, document.secret_access_key) else {
        return Said::Failed(format!("{from} gave a credentials document without keys"));
    };
    let ends = document.expiration.and_then(|ends| OffsetDateTime::parse(&ends, &Rfc3339).ok()).map(SystemTime::from);
    // The SDK is not told when they end: it would ask for others at a moment of its own choice.
    Said::Keys(Keys::new(id, secret, document.token, None, from), ends)
}

/// Whether a token may be sent there: over TLS, or to this host or the container agent's own addresses.
fn is_safe(url: &str) -> bool {
    if url.starts_with("https://") {
        return true;
    }
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback() || AGENTS.contains(&host))
}

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const ECS: &str = "169.254.170.2";
/// The ECS agent, and EKS pod identity's with both families.
const AGENTS: &[&str] = &[ECS, "169.254.170.23", "fd00:ec2::23"];
/// One answer of a credential source.
const ANSWER: Duration = Duration::from_secs(2);
/// All sources together.
const ALTOGETHER: Duration = Duration::from_secs(8);
/// So long before keys end, new ones are asked for; IMDS has them 5 min before at the latest (EC2 User Guide, "Retrieve
/// security credentials").
const BEFORE_END: Duration = Duration::from_mins(4);
/// How long a source that failed is left alone while the old keys serve on.
const AGAIN: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::{Said, document, is_safe};

    #[test]
    fn a_token_goes_to_nobody_else() {
        for good in [
            "https://anything.example/x",
            "http://127.0.0.1:51679/x",
            "http://169.254.170.2/v2",
            "http://169.254.170.23/v1/credentials",
            "http://[fd00:ec2::23]/v1",
            "http://[::1]:80/v1",
        ] {
            assert!(is_safe(good), "{good}");
        }
        for bad in ["http://10.0.0.1/x", "http://localhost/x", "ftp://127.0.0.1/", "http://127.0.0.1.evil.example/", ""]
        {
            assert!(!is_safe(bad), "{bad}");
        }
    }

    #[test]
    fn a_document_is_read_and_never_repeated() {
        let words = |text: &str| match document(Some(text.as_bytes()), "IMDS") {
            Said::Keys(keys, ends) => format!("{} {}", keys.access_key_id(), ends.is_some()),
            Said::Absent(words) | Said::Failed(words) => words,
        };
        let whole = r#"{"Code":"Success","AccessKeyId":"AK","SecretAccessKey":"S3CRET","Token":"T","Expiration":"2026-11-21T09:00:00Z"}"#;
        assert_eq!(words(whole), "AK true");
        assert_eq!(words(r#"{"AccessKeyId":"AK","SecretAccessKey":"S3CRET"}"#), "AK false");
        for broken in [
            r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"S3CRET"}"#,
            r#"{"Code":"Success","SecretAccessKey":"S3CRET"}"#,
            r#"{"SecretAccessKey":S3CRET}"#,
            "",
        ] {
            let words = words(broken);
            assert!(words.starts_with("IMDS gave") && !words.contains("S3CRET"), "{words}");
        }
    }
}
