//! Sizes as people write them: `16MB` (10⁶), `16MiB` (2²⁰).

use super::duration::split;

/// Reads a whole number and its unit: `B`, `kB`, `MB`, `GB` (powers of 1000), `KiB`, `MiB`, `GiB` (powers of 1024).
///
/// # Errors
/// Anything else, with what was probably meant, if that can be guessed: `16 mb` means `16MB`.
pub(super) fn parse(text: &str) -> Result<u64, Option<String>> {
    strict(text).ok_or_else(|| meant(text).filter(|meant| strict(meant).is_some()))
}

/// A size in the largest unit that divides it.
pub(super) fn show(bytes: u64) -> String {
    let unit = UNITS
        .into_iter()
        .filter(|(_, length)| bytes > 0 && bytes.is_multiple_of(*length))
        .max_by_key(|(_, length)| *length);
    unit.map_or_else(|| "0B".to_owned(), |(unit, length)| format!("{}{unit}", bytes / length))
}

fn strict(text: &str) -> Option<u64> {
    let (digits, name) = split(text, |c| c.is_ascii_digit());
    let (_, length) = UNITS.into_iter().find(|(unit, _)| *unit == name)?;
    digits.parse::<u64>().ok()?.checked_mul(length)
}

fn meant(text: &str) -> Option<String> {
    let text: String = text.to_lowercase().chars().filter(|c| !matches!(c, ' ' | '_' | '\t')).collect();
    let (digits, name) = split(&text, |c| c.is_ascii_digit());
    let unit = match name {
        "b" | "byte" | "bytes" => "B",
        "k" | "kb" => "kB",
        // A bare number is bytes almost nowhere in a config: megabytes are meant.
        "" | "m" | "mb" | "mbyte" | "mbytes" | "megabyte" | "megabytes" => "MB",
        "g" | "gb" => "GB",
        "ki" | "kib" => "KiB",
        "mi" | "mib" => "MiB",
        "gi" | "gib" => "GiB",
        _ => return None,
    };
    Some(format!("{digits}{unit}"))
}

const UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("KB", 1000),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

#[cfg(test)]
mod tests {
    use super::{parse, show};

    #[test]
    fn sizes_are_read_and_shown() {
        let check = |text: &str, bytes: u64| {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(parse(&show(bytes)), Ok(bytes), "{text}");
        };
        check("16MB", 16_000_000);
        check("16MiB", 16 << 20);
        check("64KiB", 65_536);
        check("500kB", 500_000);
        check("1GB", 1_000_000_000);
        check("0B", 0);
    }

    #[test]
    fn near_misses_are_understood() {
        let check = |text: &str, meant: Option<&str>| assert_eq!(parse(text), Err(meant.map(str::to_owned)), "{text}");
        check("16 MB", Some("16MB"));
        check("16mb", Some("16MB"));
        check("16M", Some("16MB"));
        check("16mib", Some("16MiB"));
        check("16", Some("16MB"));
        check("16.5MB", None);
        check("big", None);
        check("-1MB", None);
        check("99999999999 GB", None);
    }
}
