//! Which lines of a policy file may be shown: never one with a secret in it.
//!
//! Two layers, because a file that is no YAML has no values to go by. What the parser sees below a key such as
//! `api_key` is concealed by its text, wherever it is. Whatever else looks as if it could hold a credential is judged
//! line by line, and the whole line is kept back if in doubt.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

/// The text shown instead of a secret.
const MASK: &str = "***";
/// A shorter secret is only looked for as a whole word: it would be found everywhere.
const DISTINCT: usize = 6;
/// A credential has no more lines than this.
const LINES_BACK: usize = 1000;
/// The number of lines after an open bracket that may belong to it, whatever their indentation.
const FLOW_LINES: usize = 6;

/// A file's text, and what of it is secret.
pub(crate) struct Mask {
    lines: Vec<String>,
    texts: HashSet<String>,
    /// Lines on which a secret begins.
    places: HashSet<usize>,
    /// Whether the file has Kubernetes Secrets, whose keys have any name.
    has_secret_objects: bool,
}

/// Returns whether the value of a key of this name may be a credential.
pub(crate) fn is_secret(key: &str) -> bool {
    let name: String =
        key.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    let ends = ["key", "keys", "apikye", "secret", "secrets", "token", "password", "authorization", "auth"];
    ends.iter().any(|end| name.ends_with(end))
        || ["bearer", "credential", "passwd", "passphrase", "apikeyvalue"].iter().any(|part| name.contains(part))
        || strsim::osa_distance(&name, "apikey") <= 1
}

/// Returns whether a text refers to a credential rather than being one. `key` is the key of which it is the value.
pub(crate) fn is_reference(key: &str, text: &str) -> bool {
    match key {
        "env" => text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'),
        "file" => {
            text.contains('/') && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
        }
        _ => false,
    }
}

/// Returns whether a text looks like a credential, or like a URL with one, wherever it is.
pub(crate) fn looks_secret(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let url = |url: &str| url.split([' ', '"', '\'']).next().unwrap_or_default().contains(['@', '?', '#']);
    let key = |(at, _): (usize, &str)| !lower[..at].ends_with(|before: char| before.is_ascii_alphanumeric());
    lower.contains("bearer ") || lower.match_indices("sk-").any(key) || lower.split("://").skip(1).any(url)
}

impl Mask {
    pub(crate) fn new(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect();
        let has_secret_objects = text.lines().any(|line| line.contains("kind") && line.contains("Secret"));
        Self { lines, texts: HashSet::new(), places: HashSet::new(), has_secret_objects }
    }

    /// Returns whether the value of a key of this name belongs to a Kubernetes Secret.
    pub(crate) fn is_secret_object(&self, key: &str) -> bool {
        self.has_secret_objects && ["data", "stringData"].contains(&key)
    }

    /// Keeps a text from being shown; it begins on this line.
    pub(crate) fn conceal(&mut self, line: usize, text: &str) {
        self.places.insert(line);
        self.texts.insert(text.to_owned());
    }

    /// Returns a line, from 1, and where in it (in characters, from 0) the column, from 1, has come to be; `None` if
    /// the line is not to be shown.
    pub(crate) fn shown(&self, line: usize, column: usize) -> Option<(String, usize)> {
        let original = self.lines.get(line.checked_sub(1)?)?;
        let secrets = self.secrets_in(original);
        if self.places.contains(&line) && secrets.is_empty() {
            return None; // it is written in another way than it reads
        }
        let at = original.char_indices().nth(column.checked_sub(1)?).map_or(original.len(), |(at, _)| at);
        let (mut shown, mut end, mut mark) = (String::new(), 0, None);
        for secret in secrets {
            if at < secret.end && mark.is_none() {
                let before = at.clamp(end, secret.start);
                mark = Some(shown.chars().count() + original[end..before].chars().count());
            }
            shown += &original[end..secret.start];
            shown += MASK;
            end = secret.end;
        }
        let mark = mark.unwrap_or_else(|| shown.chars().count() + original[end..at.max(end)].chars().count());
        shown += &original[end..];
        // A mask over the key itself would hide that a credential follows.
        let keys_stay = secret_keys(original).count() == secret_keys(&shown).count();
        let is_inside = self.is_inside(line - 1, &shown) || self.is_inside_object(line - 1);
        let harmless = keys_stay && !looks_secret(&shown) && !leaves_secret(&shown) && !is_inside;
        harmless.then_some((shown, mark))
    }

    /// Returns the positions of secrets in a line, in order and without overlap.
    fn secrets_in(&self, line: &str) -> Vec<Range<usize>> {
        let mut found: Vec<_> = self.texts.iter().flat_map(|text| occurrences(line, text)).collect();
        found.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        let mut separate: Vec<Range<usize>> = Vec::new();
        for range in found {
            match separate.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => separate.push(range),
            }
        }
        separate
    }

    /// Returns whether the line is of a document with Kubernetes data, in a file with Secrets. All of such a document
    /// is kept back: where its values begin and end is not known while a bracket, a quote or a space is wrong.
    fn is_inside_object(&self, index: usize) -> bool {
        if !self.has_secret_objects {
            return false;
        }
        let is_separator = |line: &String| line.starts_with("---");
        let start = self.lines[..=index].iter().rposition(is_separator).unwrap_or(0);
        let length = self.lines[index + 1..].iter().position(is_separator);
        let end = length.map_or(self.lines.len(), |length| index + 1 + length);
        self.lines[start..end].iter().any(|line| line.contains("Secret") || mentions_data(line))
    }

    /// Returns whether the line belongs to a secret that an earlier line began, and does not look harmless.
    fn is_inside(&self, index: usize, shown: &str) -> bool {
        let (mut indent, mut next) = (indentation(&self.lines[index]), self.lines[index].trim_start());
        let before = self.lines[index.saturating_sub(LINES_BACK)..index].iter().rev();
        for (distance, line) in before.filter(|line| !line.trim().is_empty()).enumerate() {
            let is_parent = indentation(line) < indent;
            if (is_parent || distance < FLOW_LINES)
                && opens_secret(line).is_some_and(|rest| is_parent || is_unclosed(rest, next))
                && !is_harmless_entry(shown)
            {
                return true;
            }
            next = line.trim_start();
            indent = indent.min(indentation(line));
            if indent == 0 && distance >= FLOW_LINES {
                break;
            }
        }
        false
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mask").field("lines", &self.lines.len()).finish_non_exhaustive()
    }
}

fn occurrences(line: &str, text: &str) -> Vec<Range<usize>> {
    let is_word = |range: &Range<usize>| {
        let joined = |other: Option<char>| other.is_some_and(char::is_alphanumeric);
        !joined(line[..range.start].chars().next_back()) && !joined(line[range.end..].chars().next())
    };
    let found = line.match_indices(text).map(|(at, text)| at..at + text.len());
    found.filter(|range| !range.is_empty() && (text.len() >= DISTINCT || is_word(range))).collect()
}

/// Every key of a line that may have a credential as its value, by what follows its colon.
fn secret_keys(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices(':').filter_map(|(colon, _)| {
        let before = line[..colon].trim_end().trim_end_matches("&quot;").trim_end_matches(['"', '\'', '\\']);
        let name = before.rsplit(|letter: char| !letter.is_ascii_alphanumeric() && !"-_".contains(letter)).next()?;
        is_secret(name).then(|| line[colon + 1..].trim())
    })
}

/// Returns whether a line shows a credential, or may do so.
fn leaves_secret(line: &str) -> bool {
    secret_keys(line).any(|rest| {
        let opens = rest.is_empty() || rest.starts_with('#') || matches!(rest, "{" | "[" | "|" | ">" | "|-" | ">-");
        !opens && !rest.starts_with(MASK) && !is_harmless_map(rest) && !is_form(rest)
    })
}

/// Returns whether a line has `data` or `stringData`, even if it has run into the text before it.
fn mentions_data(line: &str) -> bool {
    line.to_ascii_lowercase().match_indices("data").any(|(at, _)| !line[..at].ends_with("meta"))
}

/// Returns the name of a way in which credentials travel, alone.
fn is_form(rest: &str) -> bool {
    let word = rest.split([',', '}', '#']).next().unwrap_or_default().trim();
    ["bearer", "basic", "passthrough"].contains(&word)
}

/// Returns what follows the colon of a key whose credential goes on after the line.
fn opens_secret(line: &str) -> Option<&str> {
    secret_keys(line).find(|rest| !is_harmless_map(rest) && !rest.starts_with(MASK))
}

/// Returns whether what follows a key leaves a bracket or a quote open, be it on the next line.
fn is_unclosed(rest: &str, next: &str) -> bool {
    let mut letters = rest.chars();
    let end = match letters.next() {
        Some('{') => '}',
        Some('[') => ']',
        Some(quote @ ('"' | '\'')) => quote,
        first => return first.is_none() && next.starts_with(['{', '[', '"', '\'']),
    };
    !letters.any(|letter| letter == end)
}

/// `{ env: NAME }` and the like, with anything after it.
fn is_harmless_map(rest: &str) -> bool {
    rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).is_some_and(|(entry, _)| is_harmless_entry(entry))
}

/// `env: NAME`, `file: PATH` or a masked value, alone on its line or between braces.
fn is_harmless_entry(line: &str) -> bool {
    let plain = |text: &str| text.trim_matches([' ', '"', '\'', '{', '}', ',']).to_owned();
    let line = line.split(" #").next().unwrap_or_default();
    match line.split_once(':') {
        Some((key, value)) => {
            let (key, value) = (plain(key), plain(value));
            value.is_empty() || value == MASK || is_reference(&key, &value)
        }
        None => plain(line).is_empty() || plain(line) == MASK,
    }
}

fn indentation(line: &str) -> usize {
    line.chars().take_while(|letter| matches!(letter, ' ' | '-')).count()
}

#[cfg(test)]
mod tests;
