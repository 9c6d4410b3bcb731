//! A whole request of a chosen length, most of it padding.

use crate::{
    model::target::Target,
    probe::{USER_AGENT, http::encoded},
};

/// One complete request of `length` bytes, or of the fewest that it takes. AWS's services take a POST; elsewhere, where
/// a POST might do something, OPTIONS asks for nothing (RFC 9110, 9.2.1) and may have content as well (9.3.7).
///
/// Whatever the server says to it does not matter: that TCP acknowledges it is all that is asked. It is complete, so
/// that no server waits for the rest of it, and its head is short, so that none refuses it for that.
pub(super) fn padding(target: &Target, length: usize) -> Vec<u8> {
    let method = if target.service.is_some() { "POST" } else { "OPTIONS" };
    let port = if target.port == 443 { String::new() } else { format!(":{}", target.port) };
    let (host, path) = (&target.host, encoded(&target.path));
    let head = |content: usize| {
        format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}{port}\r\nUser-Agent: {USER_AGENT}\r\nConnection: close\r\n\
             Content-Type: application/octet-stream\r\nContent-Length: {content}\r\n\r\n"
        )
    };
    // The number's own digits are part of the length: the head with the largest number is as long as any.
    let mut content = length.saturating_sub(head(length).len());
    content += length.saturating_sub(head(content).len() + content);
    let mut request = head(content).into_bytes();
    request.resize(request.len() + content, b'.');
    request
}

#[cfg(test)]
mod tests {
    use super::padding;
    use crate::model::target::{Expect, Target};

    fn target(service: Option<&str>) -> Target {
        Target {
            name: "x".to_owned(),
            service: service.map(str::to_owned),
            host: "ssm.eu-west-1.amazonaws.com".to_owned(),
            port: 443,
            required: true,
            expect: Expect::Any,
            path: "/".to_owned(),
            allowed_cidrs: Vec::new(),
        }
    }

    #[test]
    fn it_is_complete_and_as_long_as_asked() {
        for length in (0..12_000).step_by(7).chain(990..1_500) {
            let request = padding(&target(Some("ssm")), length);
            assert!(request.len() >= length && request.len() <= length.max(300) + 1, "{length}: {}", request.len());
            let text = String::from_utf8(request).expect("plain text");
            let (head, body) = text.split_once("\r\n\r\n").expect("a head");
            let (_, announced) = head.rsplit_once("Content-Length: ").expect("a length");
            assert_eq!(announced.parse::<usize>().expect("a number"), body.len());
            assert!(head.starts_with("POST / HTTP/1.1\r\nHost: ssm.eu-west-1.amazonaws.com\r\n"));
        }
    }

    #[test]
    fn a_stranger_is_asked_for_nothing() {
        assert!(padding(&target(None), 2_000).starts_with(b"OPTIONS / HTTP/1.1\r\n"));
    }
}
