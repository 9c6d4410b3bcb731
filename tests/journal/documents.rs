//! docs/journal.md and journald's message catalog, made from the table of events; and the catalog read by journalctl.

use std::{fmt::Write, fs, path::Path, process::Command};

use vpce_probe::model::event::{Event, Field};

#[test]
fn the_documentation_is_that_of_the_table() {
    kept("docs/journal.md", &document());
}

#[test]
fn the_catalog_is_that_of_the_table() {
    kept("packaging/journal/vpce-probe.catalog", &catalog());
}

#[test]
fn journalctl_takes_the_catalog() {
    let root = tempfile::tempdir().expect("a folder");
    let place = root.path().join("usr/lib/systemd/catalog");
    fs::create_dir_all(&place).expect("made");
    fs::create_dir_all(root.path().join("var/lib/systemd/catalog")).expect("made");
    fs::write(place.join("vpce-probe.catalog"), catalog()).expect("written");
    let journalctl = |verb: &str| {
        let output = Command::new("journalctl").arg("--root").arg(root.path()).arg(verb).output().expect("journalctl");
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && complained.is_empty(), "{verb}: {said}{complained}");
        said.into_owned()
    };
    journalctl("--update-catalog");
    let read = journalctl("--list-catalog");
    for event in Event::ALL {
        assert!(read.contains(&format!("{} vpce-probe: {}", event.id(), event.subject())), "{event}: {read}");
    }
}

fn kept(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(path.parent().expect("has a parent")).expect("the folder");
        fs::write(&path, made).expect("the document");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{name} is stale: BLESS=1 cargo test --test journal");
}

fn document() -> String {
    let mut out = String::from(
        "# The log\n\nEvery kind of record that the daemon writes. Made from the table in the code (`BLESS=1 cargo test --test \
         journal`).\n\n\
         As a service it logs to journald, with the identifier `vpce-probe` and its fields as fields:\n\n\
         ```\n\
         journalctl -t vpce-probe -p warning\n\
         journalctl -t vpce-probe VPCE_EVENT=verdict-changed VPCE_TARGET=kms\n\
         journalctl -t vpce-probe -o json --output-fields=MESSAGE,VPCE_CAUSE,VPCE_ADDRESS,VPCE_ADVICE\n\
         ```\n\n\
         Elsewhere the same text goes to stderr, one line a record, with the time and the level and without the fields. \
         `VPCE_PROBE_LOG=journal`, `text` or `journal+text` in the environment decides otherwise.\n\n\
         A thread of its own writes the log, so that a stalled journald costs no round. What waits for it is bounded (8,192 \
         records, 2 MiB); what does not fit is lost and counted, and the next record tells how many in `VPCE_LOST`. A value is \
         cut at 8 KiB and a record at 32 KiB, a line at 1,200 characters, each with a mark. Control characters and invisible \
         ones are written as escapes.\n\n\
         ## Fields\n\n\
         Every record has `MESSAGE`, `PRIORITY` and `VPCE_AT`, the moment at which it was made: journald's own is that of its \
         arrival. A record of one of the kinds below has `MESSAGE_ID` and `VPCE_EVENT`, the kind's name. Of the others a record \
         has those that apply.\n\n\
         | field | holds |\n|---|---|\n",
    );
    for field in Field::ALL {
        let _ = writeln!(out, "| `{}` | {} |", field.as_str(), field.meaning());
    }
    out.push_str("\n## Kinds\n");
    for event in Event::ALL {
        let fields: Vec<_> = event.fields().iter().map(|field| format!("`{}`", field.as_str())).collect();
        let _ = write!(
            out,
            "\n### {event}\n\n`MESSAGE_ID={}`, usually *{}* (priority {}).\n\n{}\n\nFields: {}.\n",
            event.id(),
            event.level().as_str(),
            event.level().priority(),
            event.meaning(),
            fields.join(", ")
        );
    }
    out
}

fn catalog() -> String {
    let mut out = String::from(
        "# What journalctl -x adds to the records of vpce-probe. Made from the table in the code: BLESS=1 cargo test --test journal\n",
    );
    for event in Event::ALL {
        let _ = write!(
            out,
            "\n-- {}\nSubject: {}\nDefined-By: vpce-probe\nDocumentation: man:vpce-probe(8)\n\n{}\n",
            event.id(),
            event.subject(),
            event.meaning()
        );
        if event.fields().contains(&Field::Cause) {
            out.push_str("\nWhat the cause means: vpce-probe explain @VPCE_CAUSE@\n");
        }
    }
    out
}
