//! What S3's answer to the canary means (`amazon-ssm-REGION/latest/VERSION`, which every SSM agent reads unsigned).

use crate::{model::observation::Canary, probe::words::printable};

/// Reads the answer's status and content. Pure.
pub(super) fn canary(status: u16, content: &[u8]) -> Canary {
    match status {
        200 if is_version(content) => Canary::Read,
        200 => Canary::NotVersion,
        403 => Canary::Denied,
        301 | 307 => Canary::WrongRegion,
        404 => Canary::NotFound,
        _ => Canary::Other,
    }
}

/// S3's error code and message, e.g. `AccessDenied: Access Denied`.
pub(super) fn error(content: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let code = element(&text, "Code")?;
    Some(match element(&text, "Message") {
        Some(message) => format!("{}: {}", printable(code, MOST_CODE), printable(message, MOST_MESSAGE)),
        None => printable(code, MOST_CODE),
    })
}

/// The region that a redirect's error names, where the header does not.
pub(super) fn region(content: &[u8]) -> Option<String> {
    element(&String::from_utf8_lossy(content), "Region").map(|region| printable(region, MOST_CODE))
}

/// Four numbers with dots between them, and nothing but white space after them.
fn is_version(content: &[u8]) -> bool {
    let parts: Vec<&[u8]> = content.trim_ascii_end().split(|byte| *byte == b'.').collect();
    parts.len() == 4 && parts.iter().all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(value.trim())
}

/// Characters of an error's code.
const MOST_CODE: usize = 64;

/// Characters of an error's message: the phrase about the endpoint's policy stands at its end.
const MOST_MESSAGE: usize = 400;

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{canary, error, region};
    use crate::model::observation::Canary;

    #[test]
    fn the_canary_is_read() {
        let check = |status: u16, content: &str, expected: Canary| {
            assert_eq!(canary(status, content.as_bytes()), expected, "{status} {content:?}");
        };
        check(200, "3.3.2746.0", Canary::Read);
        check(200, "3.3.2746.0\r\n", Canary::Read);
        check(200, "3.3.2746", Canary::NotVersion);
        check(200, " 3.3.2746.0", Canary::NotVersion);
        check(200, "3.3.2746.0\nx", Canary::NotVersion);
        check(200, "3..2746.0", Canary::NotVersion);
        check(200, "<html>please log in</html>", Canary::NotVersion);
        check(200, "", Canary::NotVersion);
        check(403, "", Canary::Denied);
        check(301, "", Canary::WrongRegion);
        check(307, "", Canary::WrongRegion);
        check(404, "", Canary::NotFound);
        check(503, "", Canary::Other);
        check(400, "", Canary::Other);
    }

    #[test]
    fn errors_are_named() {
        let xml = b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        assert_eq!(error(xml).as_deref(), Some("AccessDenied: Access Denied"));
        assert_eq!(error(b"<Error><Code>NoSuchKey</Code>").as_deref(), Some("NoSuchKey"));
        assert_eq!(error(b"<html>"), None);
        assert_eq!(region(b"<Error><Region>eu-west-1</Region>").as_deref(), Some("eu-west-1"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(status: u16, content in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (canary(status, &content), error(&content), region(&content));
        }
    }
}
