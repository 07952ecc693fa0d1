//! Targets that take turns: priorities and affinity.

use super::*;
use crate::routing::policy::affinity::{HeaderKey, Key};

/// A policy of this kind whose targets have these keys.
fn keys(kind: &str, own: &str, east: &str, west: &str) -> String {
    let targets = format!("{{ model: m, endpoint: east{east} }}, {{ model: l, endpoint: west{west} }}");
    format!("production: {{ {kind}: {{ {own}targets: [{targets}] }} }}")
}

fn strategy(keys: &str) -> Strategy {
    policy_of(&format!("{NAMES}apis: [{{ name: a, {keys} }}]"), Environment::Production).strategy
}

#[test]
fn targets_of_one_priority_are_plain_turns() {
    for (east, west) in [("", ""), (", priority: 0", ""), (", priority: 7", ", priority: 7")] {
        assert!(matches!(strategy(&keys("round_robin", "", east, west)), Strategy::RoundRobin(_)), "{east} {west}");
        let weighted = strategy(&keys("weighted_round_robin", "", east, west));
        assert!(matches!(weighted, Strategy::Weighted(_)), "{east} {west}");
    }
}

#[test]
fn priorities_make_groups_in_their_order() {
    for kind in ["round_robin", "weighted_round_robin"] {
        let strategy = strategy(&keys(kind, "", ", priority: 2", ""));
        assert_eq!(strategy.name(), kind);
        let Strategy::Rotation(rotation) = strategy else { panic!("{kind} has groups") };
        let groups: Vec<_> = rotation.groups().iter().map(|group| (group.priority, &group.targets[..])).collect();
        assert_eq!(groups, [(0, &[1][..]), (2, &[0])]);
    }
}

#[test]
fn a_group_that_no_request_reaches_is_warned_about() {
    let check = |own: &str, expected: &str| check_api(&keys("round_robin", own, "", ", priority: 1"), expected);
    let nothing = "nothing is ever suspended, and those before them use up all attempts";
    check("", "");
    check("attempts: 1, ", "");
    check("suspend: 0s, attempts: 2, ", "");
    check("suspend: 0s, quota_suspend: 1s, attempts: 1, ", "");
    check(
        "suspend: 0s, attempts: 1, ",
        &format!(
            ":3:114: warning: no request reaches the targets of priority 1: {nothing}; set `suspend`, or allow more `attempts`"
        ),
    );
}

#[test]
fn priorities_that_mean_nothing_are_errors() {
    check_api(
        &keys("round_robin", "", ", priority: 101", ""),
        ":3:96: error: `priority` must be from 0 to 100, found `101`",
    );
    check_api(
        &keys("weighted_round_robin", "", "", ", weight: 0, priority: 1"),
        ":3:97: error: every target of priority 1 has a weight of 0; give at least one of them a weight of 1 or more: its priority alone makes it a fallback",
    );
    check_api(
        "production: { failover: { entries: [{ primary: { model: m, endpoint: east, priority: 1 }, fallbacks: [{ model: l, endpoint: west }] }] } }",
        ":3:104: error: `priority` means nothing under `failover`; targets are tried in their order; leave it out",
    );
}

/// The targets in the order in which a key prefers them.
fn order(affinity: &str, headers: &[(&str, &str)], body: &str) -> Option<(String, Vec<usize>)> {
    let strategy = strategy(&keys("round_robin", &format!("affinity: {affinity}, "), "", ""));
    let Strategy::Rotation(rotation) = strategy else { panic!("it has affinity") };
    let header = |&(name, value): &(&str, &str)| Some(HeaderKey { name: name.into(), key: Key::of(value.as_bytes())? });
    let headers: Vec<_> = headers.iter().filter_map(header).collect();
    let body = crate::body::BodyFacts::read(body.as_bytes()).expect("a good body");
    let (source, key) = rotation.affinity()?.key(&headers, &body)?;
    Some((source.to_string(), rotation.candidates(Some(key), &[true, true])))
}

#[test]
fn a_key_is_the_first_that_is_found_and_the_same_wherever_it_is() {
    let both = "[{ header: X-Session }, { body: $.user }]";
    let (from, by_header) = order(both, &[("x-session", "s-1")], r#"{"user":"other"}"#).expect("a key");
    assert_eq!(from, "header x-session");
    assert_eq!(order(both, &[("x-session", " ")], r#"{"user":"s-1"}"#), Some(("body $.user".to_owned(), by_header)));
    assert_eq!(order(both, &[], r#"{"user":null}"#), None);
    let opening = "{ prompt_prefix: 16 }";
    let body = |said: &str| format!(r#"{{"messages":[{{"role":"user","content":"{said}"}}]}}"#);
    let found = order(opening, &[], &body("sixteen bytes are the same"));
    assert_eq!(found, order(opening, &[], &body("sixteen bytes are different")));
    assert_eq!(found.map(|(source, _)| source).as_deref(), Some("prompt_prefix 16"));
}

#[test]
fn what_tells_no_session_from_another_is_an_error() {
    let check = |affinity: &str, expected: &str| {
        check_api(&keys("round_robin", &format!("affinity: {affinity}, "), "", ""), expected);
    };
    check("{ header: x-session }", "");
    check("[]", ":3:58: error: `affinity` is empty; leave it out, or write `{ header: x-session }`");
    check(
        "{ header: 'x session' }",
        ":3:68: error: `x session` is not the name of a header; use letters, digits and `-`, as in `x-session`",
    );
    check(
        "{ header: X-Request-Id }",
        ":3:68: error: header `x-request-id` tells no session from another; name one that the requests of a session share, such as `x-session`",
    );
    check("{ body: user }", ":3:66: error: expected a JSONPath such as `$.messages[-1].content`");
    check("{ prompt_prefix: 8 }", ":3:75: error: `prompt_prefix` must be from 16 to 65536, found `8`");
    check("{ cookie: a }", ":3:60: error: unknown key `cookie`; expected `header`, `body` or `prompt_prefix`");
    check("[{ body: $.user }, { body: $.user }]", ":3:77: warning: `body $.user` is there twice; remove one");
}
