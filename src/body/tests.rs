//! Bodies go in, the same bodies with another model come out.

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn check(body: &str, expected: &str) {
    let facts = BodyFacts::read(body.as_bytes()).expect("a usable body");
    let edited = facts.with_model(body.as_bytes(), "new");
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
    let edited = facts.with_model(b"{}", "a\"b\\c\n");
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
    check_refused("\u{feff}{}", "line 1 column 1");
    check_refused(r#"{"model":"a"} x"#, "trailing characters");
    check_refused(r#"{"model":"a""#, "EOF");
    check_refused(r#"{"a":NaN}"#, "line 1");
    check_refused(r#"{"model":"a","model":"b"}"#, "twice");
    check_refused(r#"{"model":"a","m\u006Fdel":"b"}"#, "twice");
    check_refused(r#"{"Model":"a"}"#, "only in case");
    assert!(BodyFacts::read(b"{\"a\":\"\xff\"}").is_err(), "invalid UTF-8");
}

#[test]
fn nesting_is_no_danger() {
    let deep = format!(r#"{{"a":{}{},"model":"old"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let facts = BodyFacts::read(deep.as_bytes()).expect("usable");
    assert!(facts.with_model(deep.as_bytes(), "new").ends_with(br#","model":"new"}"#));
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
        let edited = BodyFacts::read(&body).expect("an object").with_model(&body, &model);
        expected.insert("model".into(), model.into());
        prop_assert_eq!(serde_json::from_slice::<Value>(&edited).expect("JSON"), Value::Object(expected));
    }

    #[test]
    fn no_bytes_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(facts) = BodyFacts::read(&body) {
            let _ = facts.with_model(&body, "new");
        }
    }
}
