//! APIs of one host and base path, told apart by headers.

use super::*;

/// What is wrong with two APIs that ask for these headers.
fn check_two(one: &str, other: &str, expected: &str) {
    let api = |name: &str, headers: &str| {
        let targets = "[{ model: m, endpoint: east }, { model: l, endpoint: west }]";
        format!("- {{ name: {name}, {headers}production: {{ round_robin: {{ targets: {targets} }} }} }}\n")
    };
    check(&format!("{NAMES}apis:\n{}{}", api("a", one), api("b", other)), expected);
}

#[test]
fn apis_that_headers_tell_apart_may_share_host_and_path() {
    for (one, other) in [
        ("headers: { x-tier: gold }, ", ""),
        ("headers: { x-tier: gold }, ", "headers: { x-tier: silver }, "),
        ("headers: { x-tier: gold }, ", "headers: { X-Tier: { prefix: silv } }, "),
        ("headers: { x-tier: gold }, ", "headers: { x-tier: { present: true } }, "),
        ("headers: { x-tier: gold, x-team: a }, ", "headers: { x-team: a }, "),
        ("headers: { x-tier: { exact: gold } }, ", "operations: [/embeddings], "),
        ("headers: { x-tier: gold }, base_path: /v1, ", "headers: { x-team: a }, base_path: /v2, "),
    ] {
        check_two(one, other, "");
    }
}

#[test]
fn apis_of_which_a_request_could_fit_both_are_errors() {
    let both = |ours: &str, theirs: &str| {
        format!(
            ":5:11: error: APIs `b` and `a` (at 4:11) both take `POST /chat/completions` and 3 more on any host, of a request that \
             fits both `{ours}` and `{theirs}`; let one ask for all that the other one asks for and for more, or both for other \
             values of one header"
        )
    };
    check_two("headers: { x-tier: gold }, ", "headers: { x-team: a }, ", &both("x-team: a", "x-tier: gold"));
    check_two(
        "headers: { x-tier: gold, x-a: b }, ",
        "headers: { x-tier: { prefix: go }, x-team: { present: true } }, ",
        &both("x-team: { present: true }, x-tier: { prefix: go }", "x-a: b, x-tier: gold"),
    );
    check_two(
        "headers: { x-tier: gold }, ",
        "headers: { X-TIER: gold }, ",
        ":5:11: error: APIs `b` and `a` (at 4:11) both take `POST /chat/completions` and 3 more on any host; give one of them other `hosts`, another `base_path` or its own `operations`",
    );
}

#[test]
fn rules_that_cannot_be_are_errors() {
    let check =
        |headers: &str, expected: &str| check_two(&format!("headers: {headers}, "), "base_path: /v1, ", expected);
    check("{}", ":4:23: error: `headers` is empty; leave it out, or write `{ x-tier: gold }`");
    check(
        "{ 'x tier': a }",
        ":4:25: error: `x tier` is not the name of a header; use letters, digits and `-`, as in `x-tier`",
    );
    check(
        "{ Content-Type: a }",
        ":4:25: error: `content-type` cannot distinguish APIs: the router itself reads it; name one that Envoy sets, such as `x-tier`",
    );
    check(
        "{ x-a: '' }",
        ":4:30: error: `` is not the value of a header; write the characters of the value, or `{ present: true }` for any",
    );
    check(
        "{ x-a: { present: false } }",
        ":4:41: error: `present` must be `true`; an API without `headers` takes what no other one takes",
    );
    check("{ x-a: 1 }", ":4:30: error: expected a text, found the number `1`; quote it: `\"1\"`");
    check(
        "{ x-a: a, X-A: b }",
        ":4:33: error: header `x-a` is there already, at 4:25; names of headers are the same in upper and lower case",
    );
}

#[test]
fn as_many_tenants_as_there_are_have_an_api_each() {
    let api = |number: usize| {
        format!(
            "- {{ name: t{number}, headers: {{ x-tenant: t{number} }}, production: {{ round_robin: {{ targets: [{{ model: m, endpoint: east }}, {{ model: l, endpoint: west }}] }} }} }}\n"
        )
    };
    let yaml = format!("{NAMES}apis:\n{}", (0..2_000).map(api).collect::<String>());
    let compiled = compiled(&yaml, MissingSecrets::Refuse, &Registry::default()).expect("valid");
    let headers = [("x-tenant".into(), "t1999".into())];
    let found = compiled.snapshot.apis.find(&http::Method::POST, "any", "/chat/completions", &headers);
    assert!(matches!(found, Match::Operation { api, .. } if &*api.name == "t1999"));
}
