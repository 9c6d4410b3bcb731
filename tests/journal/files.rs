//! The state file and the textfile.

use std::{fs, path::Path};

use vpce_probe::{
    model::round::Round,
    render,
    sink::{state, textfile},
};

#[test]
fn the_state_file_is_the_report_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("last.json");
    for file in fs::read_dir(rounds()).expect("fixtures").map(|entry| entry.expect("an entry").path()) {
        let round = read(&file);
        state::write(&path, &round).expect("written");
        let text = fs::read_to_string(&path).expect("there");
        assert_eq!(text.matches('\n').count(), 1, "{}", file.display());
        assert_eq!(serde_json::from_str::<Round>(&text).expect("a report"), round);
        let report: serde_json::Value = serde_json::from_str(&render::json::render(&round)).expect("JSON");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), report);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn the_textfile_is_the_exposition() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vpce_probe.prom");
    let round = read(&rounds().join("healthy.json"));
    textfile::write(&path, &round).expect("written");
    assert_eq!(fs::read_to_string(&path).expect("there"), render::openmetrics::render(&round));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

fn rounds() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rounds"))
}

fn read(path: &Path) -> Round {
    serde_json::from_str(&fs::read_to_string(path).expect("a fixture")).expect("a round")
}
