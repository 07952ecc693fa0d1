//! Words for messages: how values are shown, lists are written and near misses are found.

/// Longer values are cut, and not compared.
const SHOWN: usize = 64;
/// The most alternatives that a message lists.
const LISTED: usize = 8;
/// A name is suggested if at most one in this many of its letters is wrong.
const ONE_WRONG_IN: usize = 3;

/// A shorter beginning of a name is no abbreviation of it.
const ABBREVIATED: usize = 3;
/// Other names of our keys.
const SYNONYMS: &[(&str, &str)] = &[
    ("base_url", "url"),
    ("cooldown", "suspend"),
    ("credential", "api_key"),
    ("domains", "hosts"),
    ("key", "api_key"),
    ("max_retries", "attempts"),
    ("num_retries", "attempts"),
    ("path", "base_path"),
    ("prefix", "base_path"),
    ("retries", "attempts"),
    ("timeout", "request_timeout"),
    ("token", "api_key"),
    ("upstreams", "targets"),
];

/// Returns the environment variable that a text refers to in the way of some other tool; `None` if it is no such
/// reference. A name that looks like a key, which has lower-case letters, is not returned.
pub(crate) fn variable_of(text: &str) -> Option<Option<&str>> {
    let text = text.trim();
    let between = |start: &str, end: &str| text.strip_prefix(start)?.strip_suffix(end);
    let braces = between("${", "}").or_else(|| between("{{", "}}")).or_else(|| between("$(", ")"));
    let prefixed = ["os.environ/", "env:", "env.", "env/"].iter().find_map(|prefix| text.strip_prefix(prefix));
    let dollar = text.strip_prefix('$').filter(|name| is_variable(name));
    let inner = braces.or(prefixed).or(dollar).or_else(|| between("%", "%").filter(|name| is_variable(name)))?;
    let words = inner.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
    Some(words.into_iter().find(|word| is_variable(word)))
}

/// Returns whether a text is written as the names of environment variables are.
pub(crate) fn is_variable(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    name.starts_with(|first: char| first.is_ascii_uppercase() || first == '_') && name.bytes().all(legal)
}

/// Returns the value in backticks, on one line and not without end.
pub(crate) fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).flat_map(escaped).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// "`a`, `b` or `c`".
pub(crate) fn any_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "or")
}

/// "`a`, `b` and `c`".
pub(crate) fn all_of<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    joined(names, "and")
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>, join: &str) -> String {
    let shown: Vec<_> = names.into_iter().map(shown).collect();
    match shown.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} {join} {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

/// Help for a name that is unknown: the one that was probably meant, or else all that there are when they are few.
pub(crate) fn instead<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let known: Vec<_> = known.into_iter().collect();
    if let Some(near) = nearest(name, known.iter().copied()).or_else(|| completed(name, &known)) {
        return Some(format!("did you mean {}?", shown(near)));
    }
    (1..=LISTED).contains(&known.len()).then(|| format!("expected {}", any_of(known)))
}

/// Returns the known name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let short = |text: &str| text.chars().nth(SHOWN).is_none();
    let wrong = |known: &str| strsim::osa_distance(&name.to_lowercase(), &known.to_lowercase());
    let near = known.into_iter().filter(|known| short(name) && short(known)).map(|known| (wrong(known), known));
    let near = near.filter(|(wrong, known)| wrong * ONE_WRONG_IN <= known.chars().count().max(name.chars().count()));
    near.min_by_key(|(wrong, _)| *wrong).map(|(_, known)| known)
}

/// Returns the only known name that another one, of some length, is the beginning of, or has another word for.
fn completed<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == name).map(|(_, word)| *word);
    let fits = |known: &&&str| {
        synonym == Some(**known) || (name.len() >= ABBREVIATED && known.starts_with(&name.to_lowercase()))
    };
    let mut fitting = known.iter().filter(fits);
    fitting.next().filter(|_| fitting.next().is_none()).copied()
}

fn escaped(character: char) -> Vec<char> {
    if character.is_control() { character.escape_default().collect() } else { vec![character] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_miss_is_suggested_and_few_alternatives_are_told() {
        let known = ["openai-east", "openai-west", "mistral"];
        for (name, help) in [
            ("openai-est", Some("did you mean `openai-east`?")),
            ("OpenAI-West", Some("did you mean `openai-west`?")),
            ("azure", Some("expected `openai-east`, `openai-west` or `mistral`")),
        ] {
            assert_eq!(instead(name, known).as_deref(), help);
        }
        assert_eq!(instead("azure", ["x"; 9]), None);
        assert_eq!(instead("azure", []), None);
    }

    #[test]
    fn a_value_stays_on_its_line() {
        assert_eq!(shown("a\nb\u{1b}"), r"`a\nb\u{1b}`");
        assert_eq!(shown(&"é".repeat(70)), format!("`{}…`", "é".repeat(64)));
    }
}
