//! An explanation for people.

use std::fmt::{self, Display, Write as _};

use serde_json::Value;

use super::changes::Change;
use super::{Asked, Explanation, Outcome, Routed, Scored};

/// The routes whose scores are shown; JSON has them all.
const SHOWN_SCORES: usize = 20;
/// Longer values are shown by their beginning.
const SHOWN_CHARS: usize = 200;

impl Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "request", &self.request)?;
        match &self.route {
            Some(Routed { api, environment, policy: Some(policy), entry: Some(entry) }) => {
                line(f, "API", format_args!("{api}, {environment}: {policy}, entry {entry}"))?;
            }
            Some(Routed { api, environment, policy: Some(policy), entry: None }) => {
                line(f, "API", format_args!("{api}, {environment}: {policy}"))?;
            }
            Some(Routed { api, environment, policy: None, .. }) => {
                line(f, "API", format_args!("{api}, {environment}"))?;
            }
            None => line(f, "API", "none")?,
        }
        if let Some(asked) = &self.classification {
            asked.fmt(f)?;
        }
        if let Some(affinity) = &self.affinity {
            line(f, "affinity", affinity)?;
        }
        list(f, "candidates", self.candidates.iter().map(|it| format!("{}@{}: {}", it.model, it.endpoint, it.fate)))?;
        line(f, "outcome", &self.outcome)?;
        list(f, "body", &self.body)?;
        list(f, "headers set", self.set_headers.iter().map(|(name, value)| format!("{name}: {value}")))?;
        list(f, "removed", &self.removed_headers)
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { cluster } => write!(f, "Envoy sends it to the cluster {cluster}"),
            Self::Answered { status, body } => write!(f, "the client gets {status}: {body}"),
            Self::Unchanged => f.write_str("it is forwarded unchanged"),
        }
    }
}

impl Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { member, at, .. } = self;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, "{member} at byte {at}: {} -> {}", short(from), short(to)),
            (Some(from), None) => write!(f, "{member} at byte {at}: {} goes", short(from)),
            (None, to) => write!(f, "{member}: {} is added", short(to.as_deref().unwrap_or_default())),
        }
    }
}

impl Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { route, score, nearest, centroid, threshold } = self;
        write!(f, "{score:.3} of {threshold:.3} {route} (nearest utterance {nearest:.3}, centroid {centroid:.3})")
    }
}

impl Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Some(content) => line(f, "content", short(content))?,
            None if self.scores.is_empty() => line(f, "content", "none")?,
            None => {}
        }
        line(f, self.kind, format_args!("{} at {}", self.asked, self.url))?;
        if let Some(prompt) = &self.prompt {
            show_prompt(f, prompt)?;
        }
        if let Some(answer) = &self.answer {
            line(f, "answer", short(answer))?;
        }
        list(f, "scores", self.scores.iter().take(SHOWN_SCORES))?;
        if let Some(unsure) = &self.unsure {
            line(f, "unsure", unsure)?;
        }
        let mut verdict = self.verdict.to_owned();
        if let Some(rule) = &self.rule {
            let _ = write!(verdict, ": {rule}");
        }
        if let Some(error) = &self.error {
            let _ = write!(verdict, ": {error}");
        }
        if let Some(milliseconds) = self.milliseconds {
            let _ = write!(verdict, " in {milliseconds} ms");
        }
        if let Some((prompt, answer)) = self.tokens {
            let _ = write!(verdict, ", {prompt} + {answer} tokens");
        }
        line(f, "verdict", verdict)
    }
}

/// Returns the messages line by line, then everything else.
fn show_prompt(f: &mut fmt::Formatter<'_>, prompt: &Value) -> fmt::Result {
    for message in prompt["messages"].as_array().into_iter().flatten() {
        let text = message["content"].as_str().unwrap_or_default();
        for (number, text) in text.lines().enumerate() {
            let role = if number == 0 { message["role"].as_str().unwrap_or_default() } else { "" };
            writeln!(f, "  {role:>9} | {text}")?;
        }
    }
    let mut rest = prompt.clone();
    if let Some(members) = rest.as_object_mut() {
        members.remove("messages");
    }
    line(f, "with", rest)
}

/// Puts the name before the first line only.
fn list<T: Display>(f: &mut fmt::Formatter<'_>, name: &str, items: impl IntoIterator<Item = T>) -> fmt::Result {
    let names = std::iter::once(name).chain(std::iter::repeat(""));
    items.into_iter().zip(names).try_for_each(|(item, name)| line(f, name, item))
}

fn line(f: &mut fmt::Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{name:11} {value}")
}

/// On one line, and not too long.
fn short(text: &str) -> String {
    let text: String =
        text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text,
    }
}
