//! What was probably meant: the known word that is nearest to an unknown one.

/// The candidate that looks most like `word`; `None` where nothing looks like it.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let given = plain(word);
    let length = given.chars().count();
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = plain(candidate);
            let distance = strsim::damerau_levenshtein(&given, &known);
            // One slip in three letters, and never a wholly different word.
            let near = distance <= (length.max(known.chars().count()) / 3).max(1) && distance < length.min(known.len());
            let rank = if near {
                (0, distance)
            } else if is_part(&given, &known) || is_part(&known, &given) {
                (1, distance)
            } else {
                return None;
            };
            let alike = strsim::jaro_winkler(&given, &known);
            Some((rank, alike, candidate))
        })
        .min_by(|(rank, alike, _), (other, other_alike, _)| rank.cmp(other).then(other_alike.total_cmp(alike)))
        .map(|(_, _, candidate)| candidate)
}

/// `a, b or c`, each in quotes.
pub(super) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        None => String::new(),
        Some((only, [])) => only.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

/// The word without capitals and separators, which people mix up most.
fn plain(word: &str) -> String {
    word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Whether a word is a telling piece of another: `v4` of `ipv4`, `endpoint` of `endpointurl`.
fn is_part(piece: &str, whole: &str) -> bool {
    piece.len() * 2 >= whole.len() && piece.len() >= 2 && (whole.starts_with(piece) || whole.ends_with(piece))
}

#[cfg(test)]
mod tests {
    use super::{nearest, one_of};

    #[test]
    fn the_nearest_word_is_found() {
        let check = |word: &str, candidates: &[&'static str], expected: Option<&str>| {
            assert_eq!(nearest(word, candidates.iter().copied()), expected, "{word}");
        };
        check("intervall", &["interval", "region"], Some("interval"));
        check("timeout", &["timeouts", "target"], Some("timeouts"));
        check("Attempts", &["attempts"], Some("attempts"));
        check("extra-ca-file", &["extra_ca_file"], Some("extra_ca_file"));
        check("compare_wiht_vpc", &["compare_with_vpc"], Some("compare_with_vpc"));
        check("endpoint", &["enabled", "endpoint_url"], Some("endpoint_url"));
        check("ipv4", &["any", "v4", "v6"], Some("v4"));
        check("logs", &["tls", "dns"], None);
        check("x", &["v4"], None);
        check("", &["v4"], None);
        check("frobnicate", &["region", "interval"], None);
    }

    #[test]
    fn words_are_listed() {
        assert_eq!(one_of(&["a", "b", "c"]), "\"a\", \"b\" or \"c\"");
        assert_eq!(one_of(&["a"]), "\"a\"");
    }
}
