//! Any bytes as resolv.conf.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let parsed = vpce_probe::host::resolv_conf::parse(bytes);
    assert!(parsed.name_servers.len() <= 3);
});
