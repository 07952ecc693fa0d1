//! Targets that take turns: priorities.

use super::*;

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
