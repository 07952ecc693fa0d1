//! Where the content of each kind of request is found, and what no path may do.

use proptest::prelude::*;

use super::*;

fn find(path: &str, body: &str) -> Option<String> {
    found(&ContentPath::parse(path).unwrap_or_else(|error| panic!("{path}: {error}")), body)
}

/// In a body, whatever it is.
fn found(path: &ContentPath, body: &str) -> Option<String> {
    let body = body.as_bytes();
    path.find(&BodyFacts::read(body).unwrap_or_else(|_| BodyFacts::opaque(body)))
}

#[test]
fn the_usual_path_finds_the_words_of_every_operation() {
    for (body, content) in [
        (r#"{"messages":[{"role":"system","content":"a"},{"role":"user","content":"b"}]}"#, Some("b")),
        (
            r#"{"messages":[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}},{"type":"text","text":"b"}]}]}"#,
            Some("a\nb"),
        ),
        (r#"{"input":"a word"}"#, Some("a word")),
        (
            r#"{"input":[{"role":"user","content":"a"},{"role":"user","content":[{"type":"input_text","text":"b"}]}]}"#,
            Some("b"),
        ),
        (r#"{"input":["one","two"]}"#, Some("one\ntwo")),
        (
            r#"{"contents":[{"parts":[{"text":"a"}]},{"role":"user","parts":[{"text":"b"},{"text":"c"}]}]}"#,
            Some("b\nc"),
        ),
        (r#"{"prompt":"complete me"}"#, Some("complete me")),
        (r#"{"messages":[{"content":"\ud83d\ude00 \"quoted\""}]}"#, Some("😀 \"quoted\"")),
        (r#"{"messages":[{"content":null}]}"#, None),
        (r#"{"messages":[{"content":" \n"}]}"#, None),
        (r#"{"messages":[{"content":[{"type":"image_url"}]}]}"#, None),
        (r#"{"messages":[{"content":"lone \ud800"}]}"#, None),
        (r#"{"messages":[]}"#, None),
        (r#"{"messages":"text"}"#, None),
        (r#"{}"#, None),
    ] {
        assert_eq!(find(USUAL, body).as_deref(), content, "{body}");
    }
}

#[test]
fn paths_lead_where_they_say() {
    let body = r#"{"a":{"b c":[1,[true,"x"]]},"role":"r","l":[{"role":"user","content":"q"},{"role":"tool","content":"t"},{"role":"user","content":"z"}]}"#;
    for (path, content) in [
        ("$.a['b c'][1][-1]", Some("x")),
        (r#"$["a"]["b c"][0]"#, Some("1")),
        ("$.l[-1].content", Some("z")),
        ("$.l[-3].content", Some("q")),
        ("$.l[-4].content", None),
        ("$.l[3].content", None),
        ("$.l[0].content", Some("q")),
        ("$.l", Some("z")),
        ("$.l[*].content", Some("q\nt\nz")),
        ("$.l[?(@.role == 'user')].content", Some("q\nz")),
        ("$.l[?(@.role == 'user' && @.content != '$.l && @')].content", Some("q\nz")),
        ("$..content", Some("q\nt\nz")),
        ("$.role", Some("r")),
        ("$.nothing.at.all", None),
        ("$.nothing[*].at", None),
    ] {
        assert_eq!(find(path, body).as_deref(), content, "{path}");
    }
}

#[test]
fn what_is_no_path_or_could_do_harm_is_refused() {
    for (path, message) in [
        ("messages", "expected a JSONPath"),
        ("", "expected a JSONPath"),
        ("$messages", "expected `.` or `[`"),
        ("$.a[", "not closed"),
        ("$.a[-0]", "`-1` is the last"),
        ("$.a[99999]", "an index must be"),
        ("$.a[", "not closed"),
        ("$.a[?(@[1:2])]", "not supported"),
        ("$.a[?(@.b > 1e400)]", "not supported"),
        ("$.a[?(@.* == 1)]", "not supported"),
        ("$.a[?(@.b == @.c)]", "not supported"),
        ("$.a[?(@.b == $.c)]", "not supported"),
        ("$.a[?(@.b == 1 || @.b < @.c)]", "not supported"),
        ("$..*..*", "two of"),
        ("$.a[::0123456789012345678901]", "15 digits"),
        ("$.", "expected a JSONPath"),
    ] {
        let error = ContentPath::parse(path).expect_err(path);
        assert!(error.contains(message), "{path}: {error}");
    }
}

#[test]
fn numbers_beyond_all_bounds_are_no_content_and_no_panic() {
    for path in ["$.a[?(@.b > 1)].c", "$..b", "$.a[*].b", "$.a[0].b"] {
        let _ = find(path, r#"{"a":[{"b":1e400,"c":"d"}]}"#);
        let _ = find(path, r#"{"a":[{"b":123456789012345678901234567890,"c":"d"}]}"#);
    }
}

proptest! {
    #[test]
    fn no_path_takes_the_process_down(path in r#"\$([.\[\]*?(@)'=<>:,0-9a-c &|-]){0,16}"#, body in r#"\{"a":(\[("b",)*1\]|\{"b":[0-9e]{1,5}\}|"c")\}"#) {
        if let Ok(path) = ContentPath::parse(&path) {
            let _ = found(&path, &body);
        }
    }

    #[test]
    fn any_text_is_found_as_it_is(text in "\\PC*[a-z]\\PC*") {
        let body = serde_json::json!({ "messages": [{ "role": "user", "content": text }] });
        prop_assert_eq!(found(&ContentPath::default(), &body.to_string()), Some(text));
    }
}

#[test]
fn what_is_no_json_has_no_content() {
    for body in ["", "}}}]", "\"", "{\"a\\", "\\", &"[".repeat(100_000), &r#"{"content":"#.repeat(50_000), "\u{0}"] {
        assert_eq!(find("$.content", body), None);
        assert_eq!(find("$..content", body), None);
    }
}

#[test]
fn a_search_is_bounded_by_the_number_of_values_and_not_by_the_length_of_one() {
    let list = |value: &str, many: usize| format!(r#"{{"m":[{{"content":"words"}},{}]}}"#, vec![value; many].join(","));
    let image = format!(r#"{{"url":"data:,{}"}}"#, "[,{\\\"".repeat(100_000));
    for (body, content) in [
        (list("1", 40_000), Some("words")),
        (list("1", 50_000), None),
        (list("[]", 50_000), None),
        (list(&image, 1), Some("words")),
    ] {
        assert_eq!(find("$..content", &body).as_deref(), content, "{} bytes", body.len());
    }
}
