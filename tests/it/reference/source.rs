//! What the comments of the source say of an enum's variants.

use std::fs;

use crate::rig::envoy::root;

/// The variants of an enum with their documentation, in order.
pub(super) fn variants(file: &str, name: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(file)).expect("the file is there");
    let (_, body) = text.split_once(&format!("pub enum {name} {{\n")).expect("the enum is there");
    let (body, _) = body.split_once("\n}\n").expect("it ends");
    let mut found = Vec::new();
    let mut comment = Vec::new();
    // Four spaces: a variant and not one of its fields.
    for line in body.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with([' ', '}'])) {
        match line.strip_prefix("/// ") {
            Some(words) => comment.push(words),
            None => {
                let end = line.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(line.len());
                found.push((line[..end].to_owned(), comment.join(" ")));
                comment.clear();
            }
        }
    }
    assert!(found.len() > 3, "{name} is read as {found:?}");
    found
}

/// The label that `fn label` of a file gives to each variant.
pub(super) fn labels(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join(file)).expect("the file is there");
    let (_, body) = text.split_once("pub fn label(").expect("it has labels");
    let (body, _) = body.split_once("\n    }\n").expect("it ends");
    let label = |line: &str| {
        let (variant, label) = line.trim().strip_prefix("Self::")?.split_once(" => \"")?;
        let variant = variant.split([' ', '(']).next()?;
        Some((variant.to_owned(), label.trim_end_matches("\",").to_owned()))
    };
    body.lines().filter_map(label).collect()
}
