//! Names for resources, made from the names of targets.

use std::collections::HashSet;

use crate::model::target::Target;

/// A target with names that a template can hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<'a, S = String> {
    pub(super) target: &'a Target,
    /// The end of a logical id: letters and digits, unique.
    pub(super) id: S,
    /// The end of an alarm's name: small letters, digits and hyphens, unique.
    pub(super) slug: S,
}

/// Two targets whose names differ only in what is dropped get a number: `ecr.api` and `ecr-api`.
pub(super) fn identifiers<'a>(targets: &[&'a Target]) -> Vec<Named<'a>> {
    let mut taken = HashSet::new();
    let mut named = Vec::with_capacity(targets.len());
    for target in targets {
        let words: Vec<String> = target
            .name
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let id: String = words.iter().map(|word| capital(word)).collect::<String>().chars().take(LONGEST).collect();
        let slug: String = words.join("-").chars().take(LONGEST).collect();
        let mut number = 1_u32;
        let (id, slug) = loop {
            let (id, slug) = match number {
                1 => (id.clone(), slug.clone()),
                _ => (format!("{id}{number}"), format!("{slug}-{number}")),
            };
            // Every id begins with a capital or a digit and no slug has a capital, but digits alone are both.
            if !id.is_empty() && !taken.contains(&(true, id.clone())) && !taken.contains(&(false, slug.clone())) {
                taken.insert((true, id.clone()));
                taken.insert((false, slug.clone()));
                break (id, slug);
            }
            number += 1;
        };
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
