//! Any text as config: it is taken or refused with mistakes, and whatever is said of it can be shown on a terminal.
#![no_main]

use vpce_probe::config::{Severity, parse, render};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let (said, refused) = match parse("fuzz.toml", text) {
        Ok(parsed) => (parsed.warnings, false),
        Err(mistakes) => (mistakes, true),
    };
    assert_eq!(refused, said.iter().any(|one| one.severity == Severity::Error));
    let shown = render(&said);
    assert_eq!(shown.is_empty(), said.is_empty());
    assert!(!shown.chars().any(|sign| sign.is_control() && sign != '\n'), "a terminal would obey: {shown:?}");
});
