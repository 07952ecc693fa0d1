//! Policies by the model that is asked for.

use super::*;
use crate::routing::policy::by_model::ByModel;

const EAST: &str = "round_robin: { targets: [{ model: m, endpoint: east }] }";
const WEST: &str = "failover: { primary: { model: l, endpoint: west } }";

/// A policy with these entries, each on a line of its own from line 7 on, and this key before them.
fn yaml(key: &str, entries: &[&str]) -> String {
    format!(
        "{NAMES}apis:\n- name: a\n  production:\n    by_model: {{ {key} entries: [\n      {{ {} }} ] }}",
        entries.join(" },\n      { ")
    )
}

/// What is wrong with two entries that claim these models.
fn check_models(one: &str, other: &str, expected: &str) {
    let yaml = yaml("", &[&format!("models: [{one}], {EAST}"), &format!("models: [{other}], {WEST}")]);
    check(&yaml, expected);
}

fn check_entry(entry: &str, expected: &str) {
    check(&yaml("", &[entry, &format!("models: [z], {EAST}"), &format!("models: [y], {WEST}")]), expected);
}

fn by_model(yaml: &str) -> ByModel {
    match policy_of(yaml, Environment::Production).strategy {
        Strategy::ByModel(by_model) => by_model,
        other => panic!("{}", other.name()),
    }
}

#[test]
fn entries_that_could_claim_one_model_are_errors() {
    check_models("a, b", "c", "");
    check_models("a, 'gpt-*'", "gpt-4o, 'gpt-4o-*'", "");
    let joined = "join the two entries, or remove it from one";
    check_models("a, b", "c, b", &format!(":8:21: error: `b` is in an entry already, at 7:21; {joined}"));
    check_models("a, a", "c", &format!(":7:21: error: `a` is in an entry already, at 7:18; {joined}"));
    check_models(
        "'a-*'",
        "'*-b'",
        ":8:18: error: a model could fit `*-b` as well as `a-*`, at 7:18, and neither is longer; make one of them longer, or join the two entries",
    );
    check_models("'a-*', '*-b'", "c", "");
    check_models("'a-*'", "'b-*'", "");
    check_models("''", "b", ":7:18: error: the name of a model is empty");
    check_models(
        "",
        "b",
        ":7:17: error: `models` is empty: no request reaches the entry; name the models that clients ask for, such as `[fast, \"gpt-4o-*\"]`",
    );
}

#[test]
fn an_entry_has_one_policy() {
    let kinds = "`round_robin`, `weighted_round_robin`, `failover`, `intelligent` or `semantic`";
    check_entry("models: [a]", &format!(":7:7: error: the entry has no policy; give it {kinds}"));
    check_entry(&format!("models: [a], {EAST}, {WEST}"), &format!(":7:90: error: expected only one of {kinds}"));
    check_entry(
        "models: [a], round_robin: { stateful_endpoint: east, targets: [{ model: m, endpoint: east }] }",
        ":7:56: error: `stateful_endpoint` does not belong in an entry; there is one for all models: put it beside `entries`",
    );
    check_entry(
        "models: [a], failover: { primary: { model: m, endpoint: east, weight: 2 } }",
        ":7:79: error: `weight` means nothing under `failover`; targets are tried in their order; leave it out",
    );
}

#[test]
fn other_models_need_some_that_are_left() {
    let entries = [&format!("models: ['*'], {EAST}")[..], &format!("models: [b], {WEST}")];
    check(
        &yaml("other_models: refuse,", &entries[..]),
        ":6:31: error: no model is left for `other_models`: `*`, at 7:18, takes all; remove one of the two",
    );
    check(&yaml("", &entries), "");
}

#[test]
fn an_entry_has_the_bounds_and_options_of_the_policy_where_it_sets_none() {
    let entry =
        "models: [a], round_robin: { suspend: 1s, all_suspended: refuse, targets: [{ model: m, endpoint: east }] }";
    let yaml = yaml(
        "suspend: 9s, attempts: 2, all_suspended: least_bad, decision_headers: false,",
        &[entry, &format!("models: [b], {WEST}")],
    );
    let index = by_model(&yaml);
    let read = |model| {
        let policy = index.policy(Some(model)).expect("an entry");
        let seconds = policy.limits.suspend.as_secs();
        (
            policy.kind(),
            seconds,
            policy.limits.attempts.get(),
            policy.all_suspended == crate::routing::policy::AllSuspended::LeastBad,
            policy.decision_headers,
        )
    };
    assert_eq!(read("a"), ("by_model/round_robin", 1, 2, false, false));
    assert_eq!(read("b"), ("by_model/failover", 9, 2, true, false));
}

#[test]
fn what_all_entries_share_need_not_have_an_effect_in_each() {
    let entries = [format!("models: [a], {EAST}"), format!("models: [b], {WEST}")];
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    check(&yaml("next_on: [context_length],", &entries), "");
    let own = EAST.replace("targets", "next_on: [context_length], targets");
    check_entry(
        &format!("models: [a], {own}"),
        ":7:47: warning: `next_on` has no effect: `m` is the only candidate; add another target",
    );
}

#[test]
fn a_name_counts_before_a_pattern_and_a_longer_pattern_before_a_shorter_one() {
    let entries = [
        format!("models: [\"gpt-*\"], {EAST}"),
        format!("models: [\"gpt-4o-*\", fast], {WEST}"),
        format!("models: [gpt-4o-mini], {EAST}"),
    ];
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    for (other, others) in [
        ("", None),
        ("other_models: refuse,", None),
        ("other_models: { model: l, endpoint: west },", Some("other_models")),
    ] {
        let index = by_model(&yaml(other, &entries));
        for (model, entry) in [
            ("gpt-4o-mini", Some("gpt-4o-mini")),
            ("gpt-4o-mini-2024", Some("gpt-4o-*")),
            ("fast", Some("gpt-4o-*")),
            ("gpt-5", Some("gpt-*")),
            ("m", others),
        ] {
            let found = index.policy(Some(model)).map(|policy| policy.entry.as_deref().expect("it is an entry's"));
            assert_eq!(found, entry, "{model}");
        }
        assert_eq!(index.policy(None).is_some(), others.is_some());
    }
}

#[test]
fn the_models_that_can_be_asked_for_are_the_names_in_their_order() {
    let entries = [format!("models: [fast, \"gpt-*\", cheap], {EAST}"), format!("models: [m], {WEST}")];
    let entries: Vec<_> = entries.iter().map(String::as_str).collect();
    for (other, models) in [
        ("", &["fast", "cheap", "m"][..]),
        ("other_models: east,", &["fast", "cheap", "m", "m", "n"]),
        ("other_models: { model: l, endpoint: west },", &["fast", "cheap", "m", "l"]),
    ] {
        let compiled = compiled(&yaml(other, &entries), MissingSecrets::Refuse, &Registry::default()).expect("valid");
        let api = compiled.snapshot.apis.iter().next().expect("an API");
        let listed: Vec<_> = api.models(Environment::Production).into_iter().map(|(model, _)| model).collect();
        assert_eq!(listed, models);
        let patterns: Vec<_> = api.model_patterns(Environment::Production).map(|(it, _)| it.as_str()).collect();
        assert_eq!(patterns, ["gpt-*"]);
    }
}
