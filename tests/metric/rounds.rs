//! Rounds and moments for the tests.

use std::{fs, path::Path};

use vpce_probe::model::{round::Round, units::Timestamp};

/// A round of `tests/fixtures/rounds`.
pub(crate) fn named(name: &str) -> Round {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rounds");
    let text = fs::read_to_string(folder.join(name).with_extension("json")).expect("a fixture");
    serde_json::from_str(&text).expect("a round")
}

/// All of them, by name.
pub(crate) fn all() -> Vec<(String, Round)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rounds");
    let files = fs::read_dir(folder).expect("the fixtures' folder").map(|entry| entry.expect("an entry").path());
    let names = files.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned()));
    names.map(|name| (name.clone(), named(&name))).collect()
}

/// So many milliseconds after an hour began.
pub(crate) fn tick(millis: i64) -> Timestamp {
    Timestamp::from_unix_millis(1_795_226_400_000 + millis).expect("a moment")
}
