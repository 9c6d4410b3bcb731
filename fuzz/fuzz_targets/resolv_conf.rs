//! Any bytes as resolv.conf: one to three name servers, as glibc has them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parsed = vpce_probe::host::resolv_conf::parse(bytes);
    assert!((1..=3).contains(&parsed.name_servers.len()));
});
