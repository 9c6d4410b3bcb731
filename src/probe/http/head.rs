//! The head of an HTTP/1.1 answer, read from bytes that may be anything.

use httparse::{EMPTY_HEADER, Header, Response, Status};
use time::OffsetDateTime;

use crate::{
    model::units::http_date,
    probe::words::{escaped, printable},
};

/// What the bytes so far are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The beginning of a head, perhaps.
    Partial,
    /// A complete head.
    Complete(Head),
    /// No HTTP answer: what it said instead, for a person.
    Garbage(String),
}

/// The head of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Where the body begins, in bytes from the start of the head.
    pub length: usize,
    /// How the body's end is told.
    pub framing: Framing,
    /// Whether the server ends the connection after this answer (RFC 9112, 9.3): it says `Connection: close`, or speaks
    /// HTTP/1.0 and does not say `keep-alive`.
    pub closes: bool,
    /// Whether a header marks the answer as AWS's.
    pub aws: bool,
    /// The `Server` header.
    pub server: Option<String>,
    /// The `Date` header, to the second.
    pub date: Option<OffsetDateTime>,
    /// S3's `x-amz-bucket-region`.
    pub bucket_region: Option<String>,
}

/// How the end of a body is told (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    None,
    /// It has that many bytes.
    Length(u64),
    /// It comes in chunks.
    Chunked,
    /// It ends with the connection.
    UntilClose,
}

impl Head {
    /// Whether another head follows (RFC 9110, 15.2). 101 ends HTTP, so nothing follows it.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// Whether the server still takes requests on the connection that this answer came on. After a 101 it speaks
    /// something else, and a body that only the end of the connection can end announces that end.
    #[must_use]
    pub const fn leaves_open(&self) -> bool {
        !self.closes && self.status != 101 && !matches!(self.framing, Framing::UntilClose)
    }
}

/// Reads the head at the start of `bytes`. Pure; never panics.
#[must_use]
pub fn read_head(bytes: &[u8]) -> Reading {
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = Response::new(&mut headers);
    match response.parse(bytes) {
        Ok(Status::Partial) => Reading::Partial,
        Ok(Status::Complete(length)) => {
            let persists = response.version != Some(0);
            // A complete head has a code; the parser's type cannot say so, and takes any three digits for one.
            response.code.filter(|code| *code >= LEAST_STATUS).map_or_else(
                || Reading::Garbage(said(bytes)),
                |status| Reading::Complete(head(status, length, persists, response.headers)),
            )
        }
        Err(error) => Reading::Garbage(format!("{} ({error})", said(bytes))),
    }
}

/// `persists`: whether connections of the answer's HTTP version last unless somebody says otherwise.
fn head(status: u16, length: usize, persists: bool, headers: &[Header<'_>]) -> Head {
    let server = value(headers, "server").map(|server| printable(&server, MOST_VALUE));
    Head {
        status,
        length,
        framing: framing(status, headers),
        closes: connection(headers, "close") || !(persists || connection(headers, "keep-alive")),
        aws: is_aws(headers, server.as_deref()),
        server,
        date: value(headers, "date").as_deref().and_then(http_date),
        bucket_region: value(headers, "x-amz-bucket-region").map(|region| printable(region.trim(), MOST_VALUE)),
    }
}

fn framing(status: u16, headers: &[Header<'_>]) -> Framing {
    if matches!(status, 100..=199 | 204 | 304) {
        return Framing::None;
    }
    if value(headers, "transfer-encoding").is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked")) {
        return Framing::Chunked;
    }
    value(headers, "content-length").and_then(|length| length.trim().parse().ok()).map_or(
        Framing::UntilClose,
        |length| {
            if length == 0 { Framing::None } else { Framing::Length(length) }
        },
    )
}

/// Whether a `Connection` header lists `option`; there may be several headers, with several options each.
fn connection(headers: &[Header<'_>], option: &str) -> bool {
    let mut lists = headers.iter().filter(|header| header.name.eq_ignore_ascii_case("connection"));
    lists.any(|header| {
        header.value.split(|byte| *byte == b',').any(|said| said.trim_ascii().eq_ignore_ascii_case(option.as_bytes()))
    })
}

/// The request-id headers of AWS's services, S3's `x-amz-id-2`, and the names that its servers give themselves.
fn is_aws(headers: &[Header<'_>], server: Option<&str>) -> bool {
    let marked = headers.iter().any(|header| {
        ["x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id", "x-amz-id-2"]
            .iter()
            .any(|marker| header.name.eq_ignore_ascii_case(marker))
    });
    marked || server.is_some_and(|server| server.starts_with("Amazon") || server.starts_with("awselb"))
}

fn value(headers: &[Header<'_>], name: &str) -> Option<String> {
    let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
    Some(String::from_utf8_lossy(header.value).into_owned())
}

fn said(bytes: &[u8]) -> String {
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    escaped(line, MOST_SAID)
}

/// The first status code there is (RFC 9110, 15).
const LEAST_STATUS: u16 = 100;

/// Headers of one answer; S3 sends about ten.
const MOST_HEADERS: usize = 128;

/// Characters of a header's value that are kept.
const MOST_VALUE: usize = 64;

/// Bytes of something else that are shown.
const MOST_SAID: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, proptest};

    use super::{Framing, Head, Reading, read_head};

    fn complete(text: &str) -> Head {
        match read_head(text.as_bytes()) {
            Reading::Complete(head) => head,
            other @ (Reading::Partial | Reading::Garbage(_)) => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn framing_is_told_by_status_and_headers() {
        let check = |head: &str, expected: Framing| {
            assert_eq!(complete(&format!("HTTP/1.1 {head}\r\n\r\n")).framing, expected, "{head}");
        };
        check("200 OK\r\nContent-Length: 10", Framing::Length(10));
        check("200 OK\r\ncontent-length:  7 ", Framing::Length(7));
        check("200 OK\r\nContent-Length: 0", Framing::None);
        check("200 OK\r\nContent-Length: 99999999999999999999999", Framing::UntilClose);
        check("200 OK\r\nContent-Length: -1", Framing::UntilClose);
        check("200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 3", Framing::Chunked);
        check("204 No Content\r\nContent-Length: 10", Framing::None);
        check("304 Not Modified", Framing::None);
        check("100 Continue", Framing::None);
        check("200", Framing::UntilClose);
    }

    #[test]
    fn version_and_header_tell_whether_the_server_closes() {
        let check = |head: &str, expected: bool| {
            assert_eq!(complete(&format!("{head}\r\n\r\n")).closes, expected, "{head}");
        };
        check("HTTP/1.1 200 OK", false);
        check("HTTP/1.1 200 OK\r\nConnection: keep-alive", false);
        check("HTTP/1.1 200 OK\r\nConnection: close", true);
        check("HTTP/1.1 200 OK\r\nconnection:  CLOSE ", true);
        check("HTTP/1.1 200 OK\r\nConnection: Upgrade,\tClose", true);
        check("HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nServer: x\r\nConnection: close", true);
        check("HTTP/1.1 200 OK\r\nConnection: close-notify, closed", false);
        check("HTTP/1.1 200 OK\r\nConnection:", false);
        check("HTTP/1.1 200 OK\r\nX-Connection: close\r\nServer: close", false);
        check("HTTP/1.0 200 OK", true);
        check("HTTP/1.0 200 OK\r\nConnection: Keep-Alive", false);
        check("HTTP/1.0 200 OK\r\nConnection: x, keep-alive", false);
        check("HTTP/1.0 200 OK\r\nConnection: keep-alive, close", true);
        check("HTTP/1.0 200 OK\r\nKeep-Alive: timeout=5", true);
    }

    #[test]
    fn a_connection_is_left_open_where_http_goes_on() {
        let check = |head: &str, expected: bool| {
            assert_eq!(complete(&format!("HTTP/1.1 {head}\r\n\r\n")).leaves_open(), expected, "{head}");
        };
        check("200 OK\r\nContent-Length: 10", true);
        check("200 OK\r\nTransfer-Encoding: chunked", true);
        check("204 No Content", true);
        check("200 OK\r\nContent-Length: 10\r\nConnection: close", false);
        check("200 OK", false);
        check("200 OK\r\nContent-Length: many", false);
        check("101 Switching Protocols", false);
    }

    #[test]
    fn aws_leaves_its_marks() {
        let check = |header: &str, expected: bool| {
            assert_eq!(complete(&format!("HTTP/1.1 403 x\r\n{header}\r\n\r\n")).aws, expected, "{header}");
        };
        check("x-amzn-RequestId: 1", true);
        check("X-Amz-Request-Id: 1", true);
        check("x-amz-id-2: 1", true);
        check("Server: AmazonS3", true);
        check("Server: AmazonEC2", true);
        check("Server: awselb/2.0", true);
        check("Server: nginx", false);
        check("Via: amazon", false);
    }

    #[test]
    fn dates_and_regions_are_read() {
        let head = complete(
            "HTTP/1.1 301 Moved\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nx-amz-bucket-region: eu-west-1\r\nServer: a\x09b\r\n\r\nbody",
        );
        assert_eq!(head.date.map(time::OffsetDateTime::unix_timestamp), Some(784_111_777));
        assert_eq!(head.bucket_region.as_deref(), Some("eu-west-1"));
        assert_eq!(head.server.as_deref(), Some("a\\tb"));
        let none =
            |date: &str| assert_eq!(complete(&format!("HTTP/1.1 200 x\r\nDate: {date}\r\n\r\n")).date, None, "{date}");
        none("yesterday");
        none("Sun, 06 Nov 99999999 08:49:37 GMT");
        none("Fri, 31 Dec 9999 23:59:59 GMT");
        none("");
    }

    #[test]
    fn what_is_not_http_is_shown() {
        let check = |bytes: &[u8], part: &str| match read_head(bytes) {
            Reading::Garbage(said) => assert!(said.contains(part), "{said}"),
            other @ (Reading::Partial | Reading::Complete(_)) => panic!("{bytes:?}: {other:?}"),
        };
        check(b"220 smtp.example ESMTP\r\n", "220 smtp.example ESMTP");
        check(b"HTTP/1.1 034 Odd\r\n\r\n", "034 Odd");
        check(b"\x00\x01\x02", "\\x00\\x01\\x02");
        check(b"HTTP/1.1 abc\r\n", "HTTP/1.1 abc");
        check(b"HTTP/2 200\r\n\r\n", "HTTP/2 200");
        for partial in ["", "HT", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n"] {
            assert_eq!(read_head(partial.as_bytes()), Reading::Partial, "{partial:?}");
        }
    }

    #[test]
    fn interim_answers_are_known() {
        for (status, expected) in [(100, true), (101, false), (103, true), (200, false)] {
            assert_eq!(complete(&format!("HTTP/1.1 {status} x\r\n\r\n")).is_interim(), expected);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read_head(&bytes);
        }

        #[test]
        fn a_complete_head_lies_within_the_bytes(
            status in 0_u16..2_000, name in "[A-Za-z-]{1,20}", value in "[ -~]{0,40}", rest in prop::collection::vec(any::<u8>(), 0..50)
        ) {
            let mut bytes = format!("HTTP/1.1 {status:03} x\r\n{name}: {value}\r\n\r\n").into_bytes();
            let head = bytes.len();
            bytes.extend(rest);
            if let Reading::Complete(read) = read_head(&bytes) {
                prop_assert!(read.length == head);
                // The same head, byte by byte: partial until its end.
                prop_assert!((0..head).all(|cut| read_head(&bytes[..cut]) == Reading::Partial));
            }
        }
    }
}
