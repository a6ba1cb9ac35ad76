//! Which known word a wrong one is most likely meant to be.

/// Longer than any word there is, and short enough to compare.
const LENGTH_MAX: usize = 64;

/// The word, if one is near enough: a third of the letters may be wrong.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    if word.len() > LENGTH_MAX {
        return None;
    }
    let plain = word.to_ascii_lowercase().replace('-', "_");
    let distance = |other: &str| strsim::damerau_levenshtein(&plain, &other.replace('-', "_"));
    let (nearest, distance) = known
        .iter()
        .map(|other| (*other, distance(other)))
        .min_by_key(|(_, distance)| *distance)?;
    (distance * 3 <= plain.chars().count().max(3)).then_some(nearest)
}
