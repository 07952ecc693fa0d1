//! Names of endpoints, made of those that people gave.

/// Returns a name that can be part of a header.
pub(super) fn slug(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let name: String = name.trim().chars().map(letter).collect();
    name.trim_matches('-').to_ascii_lowercase()
}
