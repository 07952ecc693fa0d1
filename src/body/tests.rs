//! Tests that a body comes out with another model and otherwise unchanged.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn check(body: &str, expected: &str) {
    let facts = BodyFacts::read(body.as_bytes()).expect("a usable body");
    let edited = facts.with_model("new");
    assert_eq!(String::from_utf8(edited).expect("UTF-8"), expected);
}

fn check_refused(body: &str, reason: &str) {
    let error = BodyFacts::read(body.as_bytes()).expect_err(body);
    assert!(error.to_string().contains(reason), "{body}: {error}");
}

#[test]
fn only_the_models_bytes_change() {
    check(r#"{"model":"old"}"#, r#"{"model":"new"}"#);
    check(
        r#" { "b" : 1e400 , "model" : "old" , "a":12345678901234567890 } "#,
        r#" { "b" : 1e400 , "model" : "new" , "a":12345678901234567890 } "#,
    );
    check(r#"{"m\u006fdel":"old","x":{"model":"nested"}}"#, r#"{"m\u006fdel":"new","x":{"model":"nested"}}"#);
    check(r#"{"model":null}"#, r#"{"model":"new"}"#);
    check(r#"{"model":{"id":["old"]}}"#, r#"{"model":"new"}"#);
}

#[test]
fn an_absent_model_is_added() {
    check("{}", r#"{"model":"new"}"#);
    check(" {  } ", r#" {"model":"new"  } "#);
    check(r#"{"a":[]}"#, r#"{"model":"new","a":[]}"#);
}

#[test]
fn a_model_is_written_as_a_json_string() {
    let facts = BodyFacts::read(b"{}").expect("usable");
    let edited = facts.with_model("a\"b\\c\n");
    assert_eq!(edited, br#"{"model":"a\"b\\c\n"}"#);
}

#[test]
fn what_the_client_asked_for_is_read() {
    for (body, model, streamed) in [
        (r#"{"model":"gpt","stream":true}"#, Some("gpt"), true),
        (r#"{"stream": false}"#, None, false),
        (r#"{"stream":"true","model":7}"#, None, false),
        (r#"{"model":"g\u0070t"}"#, Some("gpt"), false),
    ] {
        let facts = BodyFacts::read(body.as_bytes()).expect("usable");
        assert_eq!((facts.model.as_deref(), facts.streamed), (model, streamed), "{body}");
    }
}

#[test]
fn an_unusable_body_is_refused_with_what_and_where() {
    check_refused("", "has no body");
    check_refused("[]", "expected a JSON object");
    check_refused("\u{feff}{}", "expected a JSON object");
    check_refused(&format!("\"{}\"", "x".repeat(10_000_000)), "expected a JSON object");
    check_refused(r#"{"model":"a"} x"#, "trailing characters");
    check_refused(r#"{"model":"a""#, "EOF");
    check_refused(r#"{"a":NaN}"#, "line 1");
    check_refused(r#"{"model":"a","model":"b"}"#, "twice");
    check_refused(r#"{"model":"a","m\u006Fdel":"b"}"#, "twice");
    check_refused(r#"{"Model":"a"}"#, "only in case");
    assert!(BodyFacts::read(b"{\"a\":\"\xff\"}").is_err(), "invalid UTF-8");
}

#[test]
fn nesting_is_bounded() {
    let nested =
        |depth: usize| format!(r#"{{"a":{}{},"b":"[[[{{\"[[","model":"old"}}"#, "[".repeat(depth), "]".repeat(depth));
    assert!(BodyFacts::read(nested(126).as_bytes()).is_ok());
    check_refused(&nested(127), "127 levels");
    check_refused(&nested(1_000_000), "127 levels");
}

#[test]
fn the_number_of_members_is_bounded() {
    let members = |count| (0..count).map(|n| format!(r#""{n}":{n}"#)).collect::<Vec<_>>().join(",");
    assert!(BodyFacts::read(format!("{{{}}}", members(1_024)).as_bytes()).is_ok());
    check_refused(&format!("{{{}}}", members(1_025)), "1024");
}

fn check_edits(body: &str, edits: &BodyEdits, expected: &str) {
    let facts = BodyFacts::read(body.as_bytes()).expect("a usable body");
    assert_eq!(
        String::from_utf8(facts.edited(&ModelEdit::set("new"), edits).to_vec()).expect("UTF-8"),
        expected,
        "{body}"
    );
}

#[test]
fn members_are_removed_with_their_comma() {
    let edits = BodyEdits { remove: vec!["x".into()], ..BodyEdits::default() };
    check_edits(r#"{"model":1, "x":2, "b":3}"#, &edits, r#"{"model":"new", "b":3}"#);
    check_edits(r#"{ "x" : {"x":1} , "model":1}"#, &edits, r#"{ "model":"new"}"#);
    check_edits(r#"{"model":1,"x":2 }"#, &edits, r#"{"model":"new" }"#);
    check_edits(r#"{"x":2}"#, &edits, r#"{"model":"new"}"#);
    check_edits(r#"{"x":1,"b":2,"\u0078":3,"model":4,"x":5}"#, &edits, r#"{"b":2,"model":"new"}"#);
    check_edits(r#"{"x":1,"x":2,"b":{}}"#, &edits, r#"{"model":"new","b":{}}"#);
}

#[test]
fn members_are_renamed_with_their_value_untouched() {
    let edits = BodyEdits { rename: vec![("max_tokens".into(), "max \"new\"".into())], ..BodyEdits::default() };
    check_edits(r#"{"model":1,"max_tokens" : 1e2}"#, &edits, r#"{"model":"new","max \"new\"" : 1e2}"#);
    let there = r#"{"max_tokens":1,"model":1,"max \"new\"":2}"#;
    check_edits(there, &edits, r#"{"model":"new","max \"new\"":2}"#);
}

#[test]
fn members_are_set_where_they_stand_or_added() {
    let edits =
        BodyEdits { set: vec![("n".into(), "[1]".into()), ("o".into(), "null".into())], ..BodyEdits::default() };
    check_edits(r#"{"n":0,"model":1}"#, &edits, r#"{"n":[1],"model":"new","o":null}"#);
    check_edits(" {} ", &edits, r#" {"model":"new","n":[1],"o":null} "#);
}

#[test]
fn a_model_is_replaced_where_the_body_repeats_it() {
    let edit = ModelEdit::replace("new").within(&["requests", "one"]);
    for (body, expected) in [
        (
            r#"{"requests": [ {"model":"a", "x":1e400} , {"y":[]},3,{"z":{"model":"a"},"model":"b"} ],"one":{"model":1 }}"#,
            r#"{"requests": [ {"model":"new", "x":1e400} , {"y":[]},3,{"z":{"model":"a"},"model":"new"} ],"one":{"model":"new" }}"#,
        ),
        (r#"{"requests":"model","other":{"model":"a"}}"#, r#"{"requests":"model","other":{"model":"a"}}"#),
        (r#"{"requests":[{"model":"a","Model":"b"}]}"#, r#"{"requests":[{"model":"a","Model":"b"}]}"#),
        (r#"{"model":"a"}"#, r#"{"model":"new"}"#),
    ] {
        let edited = BodyFacts::read(body.as_bytes()).expect("usable").edited(&edit, &BodyEdits::default()).to_vec();
        assert_eq!(String::from_utf8(edited).expect("UTF-8"), expected);
    }
}

#[test]
fn what_refers_to_state_is_told() {
    for (body, stateful) in [
        (r#"{"previous_response_id":"r1"}"#, Some("previous_response_id")),
        (r#"{"conversation":{"id":"c"}}"#, Some("conversation")),
        (r#"{"previous_response_id":null,"x":{"conversation":1}}"#, None),
    ] {
        const KEYS: &[&str] = &["previous_response_id", "conversation"];
        assert_eq!(BodyFacts::read(body.as_bytes()).expect("usable").member_of(KEYS), stateful);
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::hash_map("model|stream|[a-z]{0,6}", inner, 0..8)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_object_keeps_everything_but_its_model(value in json(), pretty: bool, model in ".*") {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let body = body.expect("serialisable");
        // Not `value` itself: reading a number back may round its last digit.
        let Value::Object(mut expected) = serde_json::from_slice(&body).expect("JSON") else {
            prop_assert!(BodyFacts::read(&body).is_err());
            return Ok(());
        };
        let edited = BodyFacts::read(&body).expect("an object").with_model(&model);
        expected.insert("model".into(), model.into());
        prop_assert_eq!(serde_json::from_slice::<Value>(&edited).expect("JSON"), Value::Object(expected));
    }

    #[test]
    fn edits_do_to_the_text_what_they_say(value in json(), keys in prop::collection::hash_set("stream|[a-z]{1,2}", 4)) {
        let keys: Vec<_> = keys.into_iter().collect();
        let edits = BodyEdits {
            remove: vec![keys[0].clone()],
            rename: vec![(keys[1].clone(), keys[2].clone())],
            set: vec![(keys[3].clone(), "[true]".into())],
        };
        let body = serde_json::to_vec(&value).expect("serialisable");
        let Value::Object(mut expected) = serde_json::from_slice(&body).expect("JSON") else { return Ok(()) };
        expected.remove(&keys[0]);
        if let Some(renamed) = expected.remove(&keys[1]) {
            expected.entry(keys[2].clone()).or_insert(renamed);
        }
        expected.insert(keys[3].clone(), serde_json::json!([true]));
        expected.insert("model".into(), "new".into());
        let edited = BodyFacts::read(&body).expect("an object").edited(&ModelEdit::set("new"), &edits).to_vec();
        prop_assert_eq!(serde_json::from_slice::<Value>(&edited).expect("JSON"), Value::Object(expected));
    }

    #[test]
    fn the_scan_accepts_only_what_the_parser_accepts_and_finds_the_same(
        value in json(), pretty: bool, at: prop::sample::Index, byte: u8, mistake: bool
    ) {
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) };
        let mut body = body.expect("serialisable");
        if mistake {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let (scanned, parsed) = (scan::members(&body), BodyFacts::parse(&body).map(|members| members.all));
        if let Some(scanned) = scanned {
            prop_assert_eq!(Ok(scanned), parsed);
        } else if !mistake && value.is_object() {
            let texts = String::from_utf8_lossy(&body);
            prop_assert!(texts.contains('\\') || parsed.is_err(), "left to the parser: {}", texts);
        }
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(facts) = BodyFacts::read(&body) {
            let _ = facts.with_model("new");
        }
    }
}
