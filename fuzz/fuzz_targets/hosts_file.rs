//! Any bytes as a hosts file: a name that it overrides has an address.
#![no_main]

use vpce_probe::{model::plan::Family, probe::hosts_file::HostsFile};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let file = HostsFile::parse(bytes);
    for family in [Family::Any, Family::V4, Family::V6] {
        if let Some(answer) = file.find("ssm.eu-west-1.amazonaws.com", family) {
            assert!(!answer.addresses.is_empty() && !answer.place.is_empty());
        }
    }
});
