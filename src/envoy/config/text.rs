//! YAML as text: scalars that cannot be misread, and indentation.

use std::net::Ipv4Addr;

/// Words that YAML reads as something else than text.
const NOT_TEXT: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

/// Returns a value, in quotes where YAML could take it for something else.
pub(super) fn scalar(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !NOT_TEXT.contains(&&*text.to_ascii_lowercase());
    if plain || text.parse::<Ipv4Addr>().is_ok() {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string() // a string of JSON is one of YAML
}

/// Indents every line that is not empty by this many spaces.
pub(super) fn indented(text: &str, spaces: usize) -> String {
    let line = |line: &str| if line == "\n" { line.to_owned() } else { format!("{}{line}", " ".repeat(spaces)) };
    text.split_inclusive('\n').map(line).collect()
}

/// Returns the lines that are not empty, without their common indentation.
pub(super) fn unindented(text: &str) -> String {
    let lines = || text.lines().filter(|line| !line.trim().is_empty());
    let column = lines().map(indentation).min().unwrap_or(0);
    lines().map(|line| format!("{}\n", &line[column..])).collect()
}

/// Returns how many spaces a line begins with.
pub(super) fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_could_misread_is_quoted() {
        for (text, written) in [
            ("openai-east", "openai-east"),
            ("/etc/ssl/ca.pem", "/etc/ssl/ca.pem"),
            ("10.0.0.1", "10.0.0.1"),
            ("::1", "\"::1\""),
            ("Yes", "\"Yes\""),
            ("1e3", "\"1e3\""),
            ("a: b #\"", "\"a: b #\\\"\""),
            ("*alias", "\"*alias\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }
}
