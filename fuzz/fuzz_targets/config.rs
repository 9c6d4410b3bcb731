//! Any text as config: diagnostics or a config, and every diagnostic renders.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Err(diagnostics) = vpce_probe::config::parse("fuzz.toml", text) {
        assert!(!vpce_probe::config::render_diagnostics(&diagnostics).is_empty());
    }
});
