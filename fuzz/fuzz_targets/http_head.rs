//! Any bytes as the head of an HTTP answer: a complete one ends within them, and not a byte earlier.
#![no_main]

use vpce_probe::probe::http::head::{Reading, read_head};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match read_head(bytes) {
        Reading::Partial => {}
        Reading::Garbage(said) => assert!(plain(&said), "{said:?}"),
        Reading::Complete(head) => {
            assert!(head.length <= bytes.len() && (100..=999).contains(&head.status));
            assert_eq!(read_head(&bytes[..head.length - 1]), Reading::Partial);
            for text in head.server.iter().chain(&head.bucket_region) {
                assert!(plain(text), "{text:?}");
            }
        }
    }
});

/// Whether a terminal would show it and do nothing else.
fn plain(text: &str) -> bool {
    !text.chars().any(char::is_control)
}
