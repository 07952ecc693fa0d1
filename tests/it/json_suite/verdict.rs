//! What should become of a body, by serde_json's `Value` and a second parser; and whether it does.

use model_router::body::{BodyEdits, BodyFacts, ModelEdit};
use serde_json::Value;

use super::second::{self, Member};

/// More top-level members are refused.
const MAX_MEMBERS: usize = 1_024;

/// What a body is to both. All but the first two are differences, each with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    /// An object, to both.
    Accepted,
    /// Not an object, or not JSON, to both.
    Refused,
    /// `Value` has no place for a number beyond `f64`; the provider may, so it is forwarded as it is.
    BigNumber,
    /// A string in a value has half of a surrogate pair, which no Rust string can hold: forwarded as it is.
    LoneSurrogate,
    /// Both of these.
    BigNumberAndLoneSurrogate,
    /// `Value` takes the last of several `model`s; we refuse them, and `Model` as well: providers disagree.
    ModelTwice,
    /// A bound of ours.
    TooManyMembers,
}

impl Verdict {
    /// Whether the router must accept it.
    pub(super) fn accepts(self) -> bool {
        !matches!(self, Self::Refused | Self::ModelTwice | Self::TooManyMembers)
    }
}

/// Reads a body, compares, and where it is accepted checks its edit.
#[track_caller]
pub(super) fn check(body: &[u8]) -> Verdict {
    let verdict = expected(body);
    match BodyFacts::read(body) {
        Ok(facts) => {
            assert!(verdict.accepts(), "accepted, should be {verdict:?}: {}", show(body));
            check_edit(body, &facts.with_model("new"));
            check_edits(body, &facts.edited(&ModelEdit::set("new"), &edits()).to_vec());
        }
        Err(error) => assert!(!verdict.accepts(), "{error}, should be {verdict:?}: {}", show(body)),
    }
    verdict
}

/// Only the model is another, and the second parser reads it.
#[track_caller]
fn check_edit(body: &[u8], edited: &[u8]) {
    let members = second::members(&tame_surrogates(body)).expect("the second parser reads what was accepted");
    let model = members.iter().find(|member| key(body, member).as_deref() == Some("model"));
    let expected = match model {
        Some(model) => [&body[..model.value.start], br#""new""#, &body[model.value.end..]].concat(),
        None => {
            let inside = body.iter().position(|&byte| byte == b'{').unwrap() + 1;
            let comma = if members.is_empty() { "" } else { "," };
            [&body[..inside], br#""model":"new""#, comma.as_bytes(), &body[inside..]].concat()
        }
    };
    assert!(edited == expected, "{} became {}", show(body), show(edited));
    let model = second::model(&tame_surrogates(edited)).expect("the second parser reads what was edited");
    assert_eq!(model.as_deref(), Some("new"), "{}", show(edited));
}

fn edits() -> BodyEdits {
    BodyEdits {
        remove: vec!["stream".into()],
        rename: vec![("max_tokens".into(), "max_completion_tokens".into())],
        set: vec![("a".into(), "[1]".into())],
    }
}

/// The members, by their texts and in their order, are those that the edits should leave.
#[track_caller]
fn check_edits(body: &[u8], edited: &[u8]) {
    let mut expected = Vec::new();
    let before = members(body);
    let is_there = |key: &str| before.iter().any(|(found, ..)| found == key);
    if !is_there("model") {
        expected.push((br#""model""#.to_vec(), br#""new""#.to_vec()));
    }
    for (key, key_text, value) in &before {
        match key.as_str() {
            "model" => expected.push((key_text.clone(), br#""new""#.to_vec())),
            "stream" => {}
            "max_tokens" if is_there("max_completion_tokens") => {}
            "max_tokens" => expected.push((br#""max_completion_tokens""#.to_vec(), value.clone())),
            "a" => expected.push((key_text.clone(), b"[1]".to_vec())),
            _ => expected.push((key_text.clone(), value.clone())),
        }
    }
    if !is_there("a") {
        expected.push((br#""a""#.to_vec(), b"[1]".to_vec()));
    }
    let found: Vec<(Vec<u8>, Vec<u8>)> = members(edited).into_iter().map(|(_, key, value)| (key, value)).collect();
    assert!(found == expected, "{} became {}", show(body), show(edited));
}

/// Key, the key's text and the value's text of each member, as the second parser finds them.
fn members(body: &[u8]) -> Vec<(String, Vec<u8>, Vec<u8>)> {
    let members = second::members(&tame_surrogates(body)).expect("the second parser reads it");
    let texts = |member: Member| {
        let key = key(body, &member).expect("a key that a string can hold");
        (key, body[member.key].to_vec(), body[member.value].to_vec())
    };
    members.into_iter().map(texts).collect()
}

fn expected(body: &[u8]) -> Verdict {
    let tamed = tame_surrogates(body);
    let verdict = if is_object(body) {
        Verdict::Accepted
    } else if is_object(&tame_numbers(body)) {
        Verdict::BigNumber
    } else if is_object(&tamed) {
        Verdict::LoneSurrogate
    } else if is_object(&tame_numbers(&tamed)) {
        Verdict::BigNumberAndLoneSurrogate
    } else {
        return Verdict::Refused;
    };
    let members = second::members(&tamed).expect("both parsers read it");
    let keys: Option<Vec<String>> = members.iter().map(|member| key(body, member)).collect();
    match keys {
        // A top-level key is read, so it must be one that a string can hold.
        None => Verdict::Refused,
        Some(keys) if keys.iter().filter(|key| key.eq_ignore_ascii_case("model")).count() > 1 => Verdict::ModelTwice,
        Some(keys) if keys.iter().any(|key| key != "model" && key.eq_ignore_ascii_case("model")) => Verdict::ModelTwice,
        Some(keys) if keys.len() > MAX_MEMBERS => Verdict::TooManyMembers,
        Some(_) => verdict,
    }
}

fn is_object(text: &[u8]) -> bool {
    matches!(serde_json::from_slice(text), Ok(Value::Object(_)))
}

fn key(body: &[u8], member: &Member) -> Option<String> {
    serde_json::from_slice(&body[member.key.clone()]).ok()
}

/// Every escape of a surrogate made one of U+FFFD: as long, and in its place.
fn tame_surrogates(text: &[u8]) -> Vec<u8> {
    let mut tamed = text.to_vec();
    let mut at = 0;
    while at < tamed.len() {
        if tamed[at] != b'\\' {
            at += 1;
            continue;
        }
        if let Some(b"u") = tamed.get(at + 1..at + 2)
            && let Some([b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', third, fourth]) =
                tamed.get(at + 2..at + 6)
            && third.is_ascii_hexdigit()
            && fourth.is_ascii_hexdigit()
        {
            tamed[at + 2..at + 6].copy_from_slice(b"FFFD");
        }
        at += 2;
    }
    tamed
}

/// Numbers, outside strings, made small: at most 20 digits in a row, and exponents of one digit.
fn tame_numbers(text: &[u8]) -> Vec<u8> {
    let mut tamed = Vec::with_capacity(text.len());
    let (mut quoted, mut escaped, mut digits, mut limit) = (false, false, 0, 20);
    for &byte in text {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            tamed.push(byte);
            continue;
        }
        quoted = byte == b'"';
        match byte {
            b'0'..=b'9' => digits += 1,
            b'+' | b'-' => {}
            _ => (digits, limit) = (0, if matches!(byte, b'e' | b'E') { 1 } else { 20 }),
        }
        if !byte.is_ascii_digit() || digits <= limit {
            tamed.push(byte);
        }
    }
    tamed
}

fn show(body: &[u8]) -> String {
    body.escape_ascii().take(2_000).collect::<Vec<_>>().into_iter().map(char::from).collect()
}
