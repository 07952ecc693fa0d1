//! A draft as a policy file, each part under a comment that says where it comes from.

use std::fmt::Write;

use crate::document::yaml::{Entry, Meaning, Node, Scalar, Value};
use crate::policy_file::import::draft::{Draft, Part};
use crate::policy_file::import::tree::{map, text};

/// A longer line is broken into a block.
const WIDTH: usize = 120;

/// Prints a draft. Credentials are printed only if they are asked for; else the file says where they are looked for.
pub(crate) fn print(draft: &Draft, inline_secrets: bool) -> String {
    let mut out = String::new();
    for (key, parts) in draft.sections() {
        if !out.is_empty() {
            out.push('\n');
        }
        writeln!(out, "{key}:").expect("a String takes everything");
        for part in parts {
            self::part(&mut out, part, key == "apis", inline_secrets);
        }
    }
    out
}

fn part(out: &mut String, part: &Part, in_list: bool, inline_secrets: bool) {
    writeln!(out, "  # {}", part.origin.replace('\n', " ")).expect("a String takes everything");
    let mut value = part.value.clone();
    if let Some(reference) = part.secret.as_ref().filter(|_| !inline_secrets) {
        writeln!(out, "  # {}: {}", reference.variable, reference.label).expect("a String takes everything");
        replace_key(&mut value, &reference.variable);
    }
    if in_list {
        element(out, &value, 2);
    } else {
        entry(out, &part.name, &value, 2);
    }
}

fn replace_key(value: &mut Node, variable: &str) {
    let Value::Map(entries) = &mut value.value else { return };
    for entry in entries.iter_mut().filter(|entry| entry.key.text() == Some("api_key")) {
        let place = entry.value.place;
        entry.value = map(place, vec![("env", text(place, variable))]);
    }
}

fn entry(out: &mut String, key: &Node, value: &Node, indent: usize) {
    let key = scalar(&Scalar { text: key.text().unwrap_or_default().to_owned(), quoted: true });
    let short = flow(value);
    if is_leaf(value) && indent + key.len() + 2 + short.len() <= WIDTH {
        writeln!(out, "{:indent$}{key}: {short}", "").expect("a String takes everything");
        return;
    }
    writeln!(out, "{:indent$}{key}:", "").expect("a String takes everything");
    match &value.value {
        Value::Map(entries) => entries.iter().for_each(|Entry { key, value }| entry(out, key, value, indent + 2)),
        Value::List(elements) => elements.iter().for_each(|value| element(out, value, indent + 2)),
        Value::Scalar(_) => writeln!(out, "{:1$}{short}", "", indent + 2).expect("a String takes everything"),
    }
}

fn element(out: &mut String, value: &Node, indent: usize) {
    let short = flow(value);
    if is_leaf(value) && indent + 2 + short.len() <= WIDTH {
        writeln!(out, "{:indent$}- {short}", "").expect("a String takes everything");
        return;
    }
    let mut block = String::new();
    match &value.value {
        Value::Map(entries) => {
            entries.iter().for_each(|Entry { key, value }| entry(&mut block, key, value, indent + 2));
        }
        Value::List(elements) => elements.iter().for_each(|value| element(&mut block, value, indent + 2)),
        Value::Scalar(_) => writeln!(block, "{:1$}{short}", "", indent + 2).expect("a String takes everything"),
    }
    block.replace_range(indent..=indent, "-");
    out.push_str(&block);
}

/// Returns whether a value may stand on one line: texts, lists of texts, maps of texts and of one more map.
fn is_leaf(value: &Node) -> bool {
    let plain = |node: &Node| matches!(node.value, Value::Scalar(_));
    match &value.value {
        Value::Scalar(_) => true,
        Value::List(elements) => elements.iter().all(plain),
        Value::Map(entries) => entries.iter().all(|Entry { value, .. }| {
            plain(value) || value.items().iter().all(plain) && value.entries().iter().all(|entry| plain(&entry.value))
        }),
    }
}

fn flow(value: &Node) -> String {
    match &value.value {
        Value::Scalar(scalar) => self::scalar(scalar),
        Value::List(elements) => format!("[{}]", elements.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entry = |Entry { key, value }: &Entry| format!("{}: {}", flow(key), flow(value));
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Returns a scalar so that it reads the same again: quoted as JSON has it, unless it is plainly a text.
fn scalar(scalar: &Scalar) -> String {
    let text = &scalar.text;
    let bare = Scalar { text: text.clone(), quoted: false };
    let is_text = |scalar: &Scalar| matches!(scalar.meaning(), Meaning::Text(_));
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "/._- :@+".contains(letter);
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '/')
        && text.chars().all(legal)
        && !text.contains(": ")
        && !text.ends_with([' ', ':']);
    if !is_text(scalar) || (is_plain && is_text(&bare)) {
        return text.clone();
    }
    serde_json::Value::from(text.as_str()).to_string()
}
