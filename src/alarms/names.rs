//! Names for resources, made from the names of targets.

use std::collections::HashSet;

use crate::model::target::Target;

/// A target with names that a template can hold.
#[derive(Clone, Debug)]
pub(super) struct Named<'a> {
    pub(super) target: &'a Target,
    /// The end of a logical id: letters and digits, unique.
    pub(super) id: String,
    /// The end of an alarm's name: small letters, digits and hyphens, unique.
    pub(super) slug: String,
}

/// Two targets whose names differ only in what is dropped get a number: `ecr.api` and `ecr-api`.
pub(super) fn identifiers<'a>(targets: &[&'a Target]) -> Vec<Named<'a>> {
    let (mut ids, mut slugs) = (HashSet::new(), HashSet::new());
    let mut named = Vec::with_capacity(targets.len());
    for target in targets {
        let words: Vec<String> = target
            .name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let capitals: Vec<String> = words.iter().map(|word| capital(word)).collect();
        let base: String = capitals.concat().chars().take(LONGEST).collect();
        let plain: String = words.join("-").chars().take(LONGEST).collect();
        let (mut id, mut slug) = (base.clone(), plain.clone());
        let mut number = 1_u32;
        while id.is_empty() || ids.contains(&id) || slugs.contains(&slug) {
            number += 1;
            id = format!("{base}{number}");
            slug = format!("{plain}-{number}");
        }
        ids.insert(id.clone());
        slugs.insert(slug.clone());
        named.push(Named { target, id, slug });
    }
    named
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// An alarm's name has 255 characters, and 128 of them may be the stack's.
const LONGEST: usize = 80;
