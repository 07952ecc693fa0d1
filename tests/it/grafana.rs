//! The dashboard, envoy/grafana.json: its queries name series and labels that there are.

use std::fs;

use serde_json::Value;

use crate::reference::metrics::{Family, families, sample};
use crate::rig::envoy::root;

/// The labels that a query or a legend names.
fn labels(expression: &str, legend: &str) -> Vec<String> {
    let between = |text: &str, open: &str, close: char| -> Vec<String> {
        let parts = text.split(open).skip(1).filter_map(|rest| rest.split(close).next());
        parts.flat_map(|part| part.split(',')).map(|word| word.trim().to_owned()).collect()
    };
    let mut found = between(expression, "by (", ')');
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let matchers = between(expression, "{", '}').into_iter();
    found.extend(matchers.map(|matcher| matcher.chars().take_while(|letter| is_name(*letter)).collect()));
    found.extend(between(legend, "{{", '}'));
    found
}

fn metric<'a>(families: &'a [Family], name: &str) -> Option<&'a Family> {
    let of = |family: &&Family| {
        let ends = ["", "_total", "_bucket", "_sum", "_count"];
        ends.iter().any(|end| name.strip_suffix(end) == Some(&family.name))
    };
    families.iter().find(of)
}

#[test]
fn every_query_of_the_dashboard_asks_for_series_that_there_are() {
    let text = fs::read_to_string(root().join("envoy/grafana.json")).expect("readable");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let families = families(&sample());
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets: Vec<_> = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten().collect();
    assert!(targets.len() > 10, "{}", targets.len());
    for target in targets {
        let [query, legend] = ["expr", "legendFormat"].map(|name| target[name].as_str().expect("text"));
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let names: Vec<_> =
            query.split(|letter| !is_name(letter)).filter(|it| it.starts_with("model_router_")).collect();
        assert!(!names.is_empty(), "{query}");
        for name in names {
            let family = metric(&families, name).unwrap_or_else(|| panic!("{name} is no metric: {query}"));
            for label in labels(query, legend) {
                assert!(family.labels.contains(&label), "{name} has no label {label}: {query} {legend}");
            }
        }
    }
}
