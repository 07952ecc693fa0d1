use super::walk::{Step, Walked, walk};
use super::*;

fn found(text: &str) -> Option<Vec<(&str, &str)>> {
    let all = members(text.as_bytes())?;
    let pair = |member: Member<'_>| (&text[member.key_range], &text[member.value_range]);
    Some(all.into_iter().map(pair).collect())
}

#[test]
fn members_are_found_with_their_places() {
    assert_eq!(
        found(r#" {"a" : [1, {"b": "}"}, "\"]"] , "c":-1.5e+3} "#),
        Some(vec![(r#""a""#, r#"[1, {"b": "}"}, "\"]"]"#), (r#""c""#, "-1.5e+3")])
    );
    assert_eq!(found("{}"), Some(vec![]));
    assert_eq!(found(r#"{"a":{}, "b":[], "c":null}"#).map(|all| all.len()), Some(3));
}

#[test]
fn a_string_ends_at_its_quote_wherever_that_stands_in_a_word() {
    for length in 0..40 {
        for escapes in ["", r#"\""#, r"\\", r"\u00e9"] {
            let value = format!("\"{}{escapes}{}\"", "x".repeat(length), "y".repeat(length / 2));
            let text = format!("{{\"a\":{value},\"b\":1}}");
            assert_eq!(found(&text), Some(vec![("\"a\"", value.as_str()), ("\"b\"", "1")]), "{text}");
        }
    }
}

#[test]
fn steps_lead_into_values() {
    use Walked::{Found, Nowhere, Unsure};
    let name = |name: &str| Step::Member(name.to_owned());
    let object = r#" { "a" : 1, "b":[ {"c":"é"} , [2] ], "a": "last" } "#;
    for (value, steps, expected) in [
        (object, vec![name("a")], Found(r#""last""#)),
        (object, vec![name("b"), Step::Element(0), name("c")], Found(r#""é""#)),
        (object, vec![name("b"), Step::FromEnd(2), name("c")], Found(r#""é""#)),
        (object, vec![name("b"), Step::FromEnd(1)], Found("[2]")),
        (object, vec![name("b"), Step::FromEnd(1), Step::FromEnd(1)], Found("2")),
        (object, vec![name("b"), Step::FromEnd(1), name("c")], Nowhere),
        (object, vec![name("b"), Step::Element(2)], Nowhere),
        (object, vec![name("b"), Step::FromEnd(3)], Nowhere),
        (object, vec![name("x")], Nowhere),
        ("[]", vec![Step::FromEnd(1)], Nowhere),
        ("[1]", vec![name("a")], Nowhere),
        ("{}", vec![Step::Element(0)], Nowhere),
        (" 1 ", vec![], Found("1")),
        (r#"{"\u0061":1}"#, vec![name("a")], Unsure),
        ("[1,]", vec![Step::Element(0)], Unsure),
        ("[1] 2", vec![Step::Element(0)], Unsure),
    ] {
        assert_eq!(walk(value, &steps), expected, "{value} {steps:?}");
    }
}

#[test]
fn what_it_is_not_made_for_is_left_to_the_parser() {
    for text in [
        "",
        "[]",
        "{",
        r#"{"a"}"#,
        r#"{"a":1,}"#,
        r#"{"a":01}"#,
        r#"{"a":1.}"#,
        r#"{"a":tru}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        "{\"a\":\"\t\"}",
        r#"{"a":[1}}"#,
        r#"{"a":1} x"#,
        r#"{"m\u006fdel":1}"#,
        r#"{"model":1,"model":2}"#,
        r#"{"Model":1}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":-}"#,
        r#"{"a":"unended"#,
    ] {
        assert_eq!(found(text), None, "{text}");
    }
    assert!(members(b"{\"a\":\"\xff\"}").is_none(), "no UTF-8");
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(found(&nested(MAX_DEPTH - 1)).is_some() && found(&nested(MAX_DEPTH)).is_none());
}
