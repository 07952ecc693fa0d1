//! The prompt: how the rules and a request are presented to a classifier.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// The wording that a policy may replace.
pub const WORDING: &str = include_str!("prompt.txt");

/// The answer for a request that no rule fits.
pub const NONE: &str = "NONE";

/// The mark for the rules in a wording, which is required.
pub const RULES_MARK: &str = "{rules}";
/// The mark for the allowed answers.
const ANSWERS_MARK: &str = "{answers}";

/// Marks the omission in a long content.
const GAP: &str = "\n[…]\n";

/// The rules of one policy, as a classifier sees them.
#[derive(Debug)]
pub struct Rules {
    /// Their names in the order of the policy file; no two are equal when [folded](super::fold).
    pub names: Vec<Box<str>>,
    /// The message of the system.
    pub system: String,
    /// Changes with anything that could change an answer or its meaning.
    pub(super) fingerprint: [u8; 32],
}

impl Rules {
    /// Puts names and contexts into a wording.
    #[must_use]
    pub fn new<'a>(rules: impl Iterator<Item = (&'a str, &'a str)>, wording: &str) -> Self {
        let (mut names, mut lines) = (Vec::<Box<str>>::new(), Vec::new());
        for (name, context) in rules {
            lines.push(format!("- {}: {}", json_string(name), context.trim()));
            names.push(name.into());
        }
        let answers: Vec<_> = names.iter().map(|name| json_string(name)).chain([json_string(NONE)]).collect();
        let system = filled(wording.trim(), &lines.join("\n"), &answers.join(", "));
        let mut hash = Sha256::new_with_prefix(&system);
        for name in &names {
            hash.update([0]);
            hash.update(name.as_bytes());
        }
        Self { names, system, fingerprint: hash.finalize().into() }
    }
}

/// Replaces each mark in one pass, so that a rule may contain the text of another mark.
fn filled(wording: &str, rules: &str, answers: &str) -> String {
    let parts = wording.split(RULES_MARK).map(|part| part.replace(ANSWERS_MARK, answers));
    parts.collect::<Vec<_>>().join(rules)
}

/// Returns the user's message: the content as one JSON string, so that nothing in the content can end it.
#[must_use]
pub fn user_message(content: &str) -> String {
    json_string(content)
}

/// Returns the content's head and tail if it has more characters than `most`, else all of it.
#[must_use]
pub fn bounded(content: &str, most: usize) -> Cow<'_, str> {
    if content.len() <= most || !content.is_ascii() && content.chars().nth(most).is_none() {
        return Cow::Borrowed(content);
    }
    let (head, tail) = (most.div_ceil(2), most / 2);
    let (head_end, tail_start) = if content.is_ascii() {
        (head, content.len() - tail)
    } else {
        let head_end = content.char_indices().nth(head).map_or(content.len(), |(at, _)| at);
        (head_end, content.char_indices().rev().take(tail).last().map_or(content.len(), |(at, _)| at))
    };
    Cow::Owned(format!("{}{GAP}{}", &content[..head_end], &content[tail_start..]))
}

fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_and_answers_stand_in_the_wording() {
        let rules = [("Coding", " code \n"), ("a \"b\"", "{answers}")];
        let rules = Rules::new(rules.into_iter(), "Rules:\n{rules}\nAnswers: {answers}\n");
        assert_eq!(
            rules.system,
            "Rules:\n- \"Coding\": code\n- \"a \\\"b\\\"\": {answers}\nAnswers: \"Coding\", \"a \\\"b\\\"\", \"NONE\""
        );
        assert!(WORDING.contains(RULES_MARK) && WORDING.contains(ANSWERS_MARK));
    }

    #[test]
    fn of_a_long_content_head_and_tail_are_kept() {
        for (content, most, bounded_content) in [
            ("abc", 3, "abc"),
            ("abcdefgh", 5, "abc\n[…]\ngh"),
            ("äöüß", 4, "äöüß"),
            ("äöüßé", 4, "äö\n[…]\nßé"),
            ("abc", 1, "a\n[…]\n"),
        ] {
            assert_eq!(bounded(content, most), bounded_content);
        }
    }
}
