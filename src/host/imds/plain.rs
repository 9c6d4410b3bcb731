//! One GET without a token, as version 1 of the metadata service took it.
//!
//! It is sent only when the token's PUT fails in a way that needs it to be told apart: each such request counts in the
//! instance's `MetadataNoToken` metric, which people watch before they turn version 1 off.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plain {
    /// An HTTP status, and the body where that was 200.
    Status(u16, String),
    /// Something that is not HTTP.
    Garbled,
    /// Nothing.
    Silent,
}

/// Asks `endpoint` for `path`. Waits as long as it takes: the caller has the deadline.
pub(super) async fn get(endpoint: SocketAddr, path: &str) -> Plain {
    match exchange(endpoint, path).await {
        Ok(bytes) if bytes.is_empty() => Plain::Silent,
        Ok(bytes) => read(&bytes),
        Err(error) => {
            tracing::debug!(%endpoint, %error, "no answer to a GET without token");
            Plain::Silent
        }
    }
}

async fn exchange(endpoint: SocketAddr, path: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(endpoint).await?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {endpoint}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut stream = stream.take(MOST);
    let mut answer = Vec::new();
    // Some servers leave the connection open, asked to or not: the answer's own length says when it is whole.
    while !is_whole(&answer) {
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(answer)
}

/// Whether nothing more is to come, or to be wanted.
fn is_whole(bytes: &[u8]) -> bool {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => false,
        Ok(httparse::Status::Complete(head)) => {
            let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
            let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse::<usize>().ok());
            response.code != Some(200) || length.is_some_and(|length| bytes.len() >= head.saturating_add(length))
        }
        Err(_) => true,
    }
}

fn read(bytes: &[u8]) -> Plain {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(head)) = response.parse(bytes) else { return Plain::Garbled };
    let Some(status) = response.code else { return Plain::Garbled };
    let body = if status == 200 { bytes.get(head..).unwrap_or_default() } else { &[] };
    Plain::Status(status, String::from_utf8_lossy(body).trim().to_owned())
}

const MOST_HEADERS: usize = 64;
const MOST: u64 = 16 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Plain, is_whole, read};

    #[test]
    fn reads_status_and_body() {
        let check = |text: &str, expected: Plain| assert_eq!(read(text.as_bytes()), expected, "{text}");
        check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\neu-west-1", Plain::Status(200, "eu-west-1".to_owned()));
        check("HTTP/1.1 401 Unauthorized\r\n\r\n<html>", Plain::Status(401, String::new()));
        check("HTTP/1.1 200 OK\r\n", Plain::Garbled);
        check("SSH-2.0-OpenSSH_9.6\r\n", Plain::Garbled);
    }

    #[test]
    fn knows_when_an_answer_is_whole() {
        let check = |text: &str, expected| assert_eq!(is_whole(text.as_bytes()), expected, "{text}");
        check("", false);
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", false);
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", true);
        check("HTTP/1.0 200 OK\r\n\r\nabc", false);
        check("HTTP/1.1 401 Unauthorized\r\nContent-Length: 300\r\n\r\n", true);
        check("SSH-2.0-OpenSSH_9.6\r\n", true);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
            let _ = is_whole(&bytes);
            let _ = read(&[b"HTTP/1.1 200 OK\r\n\r\n", bytes.as_slice()].concat());
        }
    }
}
