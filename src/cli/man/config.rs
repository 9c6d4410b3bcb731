//! vpce-probe.toml(5): the config, key by key.

use super::roff::Page;
use crate::{
    config::reference::{Key, TABLES, Table, Takes},
    render::explain,
};

pub(super) fn page() -> String {
    let mut page = Page::new("vpce-probe.toml", 5, "File Formats", "configuration of vpce-probe");
    page.section("SYNOPSIS");
    page.paragraph("`/etc/vpce-probe/config.toml`");
    page.section("DESCRIPTION");
    for paragraph in DESCRIPTION {
        page.paragraph(paragraph);
    }
    for table in TABLES {
        section(&mut page, table);
    }
    page.section("EXAMPLES");
    for (words, text) in EXAMPLES {
        page.paragraph(words);
        page.verbatim(text);
    }
    page.section("FILES");
    page.entry("`/etc/vpce-probe/config.toml`", "Where every command looks, unless `--config` names another file.");
    page.entry(
        &format!("`{}/config.example.toml`", explain::DOCUMENTS),
        "Every key with its default, or, in comments, with an example.",
    );
    page.entry(&format!("`{}/docs/configuration.md`", explain::DOCUMENTS), "This page, with links.");
    page.section("SEE ALSO");
    page.paragraph("vpce-probe(8), systemd.exec(5)");
    page.finish()
}

fn section(page: &mut Page, table: &Table) {
    let header = table.header();
    page.section(if header.is_empty() { "TOP LEVEL" } else { header.as_str() });
    page.paragraph(table.about);
    for key in table.keys {
        entry(page, key);
    }
}

fn entry(page: &mut Page, key: &Key) {
    page.entry(
        &format!("`{}`", key.name),
        &format!(
            "{}. Default: {}. Example: `{} = {}`",
            capital(&key.kind.words()),
            key.default_words(),
            key.name,
            key.example
        ),
    );
    page.more(key.meaning);
    page.more(&format!("If it is wrong: {}", key.wrong));
    if key.takes == Takes::Restart {
        page.more("Another value takes a restart.");
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

const DESCRIPTION: &[&str] = &[
    "A file in TOML. Every key is optional, and without a file all of the defaults hold. An unknown key is an error, so that a \
     slip of the pen does not go unnoticed.",
    "`vpce-probe check` tells every mistake at once, each with its place and with what to write instead; without a mistake it \
     shows what would be probed, and what the metrics cost. Call it before each reload.",
    "`systemctl reload vpce-probe` takes another config on; a bad one is refused as a whole, and the old one stays. Where a key \
     takes a restart in place of that, it says so. The other commands read the file each time.",
    "Durations are whole numbers with their units, the larger first: `\"250ms\"`, `\"5s\"`, `\"1m30s\"`, `\"1h\"`, `\"14d\"`. \
     Sizes are a whole number and a unit: `kB`, `MB`, `GB` (powers of 1000), `KiB`, `MiB`, `GiB` (powers of 1024). Networks are \
     an address and a prefix: `\"10.0.0.0/16\"`, `\"fd00::/8\"`.",
];

const EXAMPLES: &[(&str, &str)] = &[
    (
        "Endpoints that must lie in the own VPC, and one more service that this host cannot do without:",
        "[[target]]\nname = \"ssm\"\nexpect = \"own-vpc\"\n\n[[target]]\nservice = \"kms\"\nrequired = true\n",
    ),
    (
        "Endpoints in a hub VPC with addresses of its own, and a host of the company:",
        "extra_ca_file = \"/etc/ssl/corp.pem\"\n\n[address]\nallowed_cidrs = [\"203.0.113.0/24\"]\n\n[[target]]\n\
         host = \"vault.corp.example\"\nname = \"vault\"\n",
    ),
    (
        "A large fleet: fewer requests, and a steady series for each host:",
        "[cloudwatch]\nflush_interval = \"10m\"\ndetail = \"heartbeat\"\nfixed_dimensions = { Team = \"core\" }\n",
    ),
];
