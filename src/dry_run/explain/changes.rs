//! The changes of a body, member by member.

use serde::Serialize;
use serde_json::value::RawValue;

/// A change of a body.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The top-level member, or `body` for a body that is not JSON.
    pub member: String,
    /// The first byte that changes.
    pub at: usize,
    /// The bytes that were there; absent if there were none.
    pub from: Option<String>,
    /// The bytes in their place; absent if they go.
    pub to: Option<String>,
}

/// A top-level member: its name, the position of its value, and the value.
type Member<'a> = (String, usize, &'a str);

/// Returns the differences of the second body.
pub(super) fn between(old: &[u8], new: &[u8]) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let (Some(before), Some(after)) = (members(old), members(new)) else { return vec![at_one_place(old, new)] };
    let change = |member: &str, at, from: Option<&str>, to: Option<&str>| Change {
        member: member.to_owned(),
        at,
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
    };
    let find = |all: &[Member<'_>], name: &str| all.iter().position(|(other, ..)| other == name);
    let mut changes: Vec<_> = before
        .iter()
        .filter_map(|(name, at, value)| match find(&after, name).map(|index| after[index].2) {
            Some(now) if now == *value => None,
            now => Some(change(name, *at, Some(value), now)),
        })
        .collect();
    let added = after.iter().filter(|(name, ..)| find(&before, name).is_none());
    changes.extend(added.map(|(name, at, value)| change(name, *at, None, Some(value))));
    changes
}

fn members(body: &[u8]) -> Option<Vec<Member<'_>>> {
    struct Members<'a>(Vec<Member<'a>>);
    struct Visitor(usize);
    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Members<'de>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                all.push((name, value.get().as_ptr() as usize - self.0, value.get()));
            }
            Ok(Members(all))
        }
    }
    let start = body.as_ptr() as usize;
    let mut json = serde_json::Deserializer::from_slice(body);
    serde::de::Deserializer::deserialize_map(&mut json, Visitor(start)).ok().map(|Members(all)| all)
}

/// Returns the parts of two bodies between their common beginning and their common end.
fn at_one_place(old: &[u8], new: &[u8]) -> Change {
    let at = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let same_end = old[at..].iter().rev().zip(new[at..].iter().rev()).take_while(|(old, new)| old == new).count();
    let part = |body: &[u8]| {
        let part = &body[at..body.len() - same_end];
        (!part.is_empty()).then(|| String::from_utf8_lossy(part).into_owned())
    };
    Change { member: "body".to_owned(), at, from: part(old), to: part(new) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_member_by_member() {
        for (old, new, expected) in [
            (r#"{"model":"a","n":1}"#, r#"{"model":"bc","n":1}"#, vec![("model", 9, Some("\"a\""), Some("\"bc\""))]),
            (r#"{"n":1}"#, r#"{"model":"b","n":1}"#, vec![("model", 9, None, Some("\"b\""))]),
            (r#"{"t":0.5,"n":1}"#, r#"{"n":2}"#, vec![("t", 5, Some("0.5"), None), ("n", 13, Some("1"), Some("2"))]),
            ("--x\r\na\r\n", "--x\r\nbb\r\n", vec![("body", 5, Some("a"), Some("bb"))]),
            ("same", "same", vec![]),
        ] {
            let found = between(old.as_bytes(), new.as_bytes());
            let found: Vec<_> =
                found.iter().map(|it| (&*it.member, it.at, it.from.as_deref(), it.to.as_deref())).collect();
            assert_eq!(found, expected, "{old} {new}");
        }
    }
}
