//! What people and programs see, over whole rounds: `tests/fixtures/rounds/*.json`.

use std::{fs, path::PathBuf};

use vpce_probe::{
    model::round::Round,
    render::{
        Color, Glyphs, Style, json, nagios, openmetrics, short,
        table::{self, Detail},
    },
};

fn rounds() -> Vec<(String, Round)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/rounds");
    let mut rounds: Vec<(String, Round)> = fs::read_dir(&folder)
        .expect("the fixtures' folder")
        .map(|entry| entry.expect("a readable entry").path())
        .map(|path| {
            let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).expect("a readable fixture");
            let round = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, round)
        })
        .collect();
    rounds.sort_by(|(a, _), (b, _)| a.cmp(b));
    rounds
}

#[test]
fn look() {
    let which = std::env::var("LOOK").unwrap_or_default();
    for (name, round) in rounds() {
        if !which.is_empty() && !which.contains(&name) {
            continue;
        }
        let glyphs = if std::env::var("ASCII").is_ok() { Glyphs::Ascii } else { Glyphs::Unicode };
        let style = Style { color: Color::Plain, glyphs, width: 80 };
        let detail = if std::env::var("EXPLAIN").is_ok() { Detail::Transcript } else { Detail::Summary };
        println!("=== {name}\n{}", table::render(&round, &style, detail));
        println!("--- short\n{}--- nagios\n{}", short::render(&round, &style), nagios::render(&round));
        let _ = (json::render(&round), openmetrics::render(&round));
    }
}
