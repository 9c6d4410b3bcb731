//! Any bytes as the head of an HTTP answer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = vpce_probe::probe::http::read_head(bytes);
});
