use super::*;
use crate::document::problem::Report;
use crate::document::yaml;

/// What is shown of each line, `-` for one that is kept back, whether the text is YAML or not.
fn shown(text: &str) -> Vec<String> {
    let mut report = Report::default();
    let file = report.add_file("", std::path::Path::new(""), text);
    let _ = yaml::parse(text, file, &mut report);
    let mask = report.mask(file);
    let line = |line: usize| mask.shown(line, 1).map_or("-".to_owned(), |(text, _)| text);
    (1..=text.lines().count()).map(line).collect()
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(shown(text), expected, "{text}");
}

#[test]
fn references_are_shown_and_keys_are_not() {
    check(
        "east: { url: x, api_key: { env: EAST_KEY }, cluster: c }",
        &["east: { url: x, api_key: { env: EAST_KEY }, cluster: c }"],
    );
    check("api_key: { file: keys/east }", &["api_key: { file: keys/east }"]);
    check(
        "east: { api_key: { value: hunter22 }, environment: prod }",
        &["east: { api_key: { value: *** }, environment: prod }"],
    );
    check("api_key: hunter22", &["api_key: ***"]);
    check("api_key: { hunter22: env }", &["-"]);
    check("api_key: { env: hunter22 }", &["api_key: { env: *** }"]);
    check("e: { auth: basic, url: y }", &["e: { auth: basic, url: y }"]);
    check("auth: basic hunter22", &["auth: ***"]);
    check("auth: { header: hunter22 }", &["auth: { header: *** }"]);
    check("apikey: hunter22\nmax_tokens: 3", &["apikey: ***", "max_tokens: 3"]);
}

#[test]
fn a_secret_is_found_wherever_it_stands() {
    check("x: &k hunter22\napi_key: { value: *k }", &["x: &k ***", "-"]);
    check("api_key:\n  value: hunter22\nurl: y", &["api_key:", "  value: ***", "url: y"]);
    check("api_key:\n  value: >\n    hunter22\n    hunter33\nurl: y", &["api_key:", "-", "-", "-", "url: y"]);
    check(r#"api_key: { value: "hunter\u0032" }"#, &["-"]);
    check("api_key: { value: hunter22, value: hunter33 }", &["-"]);
    check(
        "a: sk-hunter\nb: Bearer hunter\nc: https://user:hunter@host/\nd: task-1",
        &["a: ***", "b: ***", "c: ***", "d: task-1"],
    );
}

#[test]
fn a_file_that_is_no_yaml_shows_no_secret_either() {
    check("east: { api_key: { value: hunter22 }\nwest: [", &["east: { api_key: { value: *** }", "west: ["]);
    check("- [\n]]\n- api_key: { value: hunter22 }\nwest: [", &["- [", "]]", "-", "west: ["]);
    check("east: { api_key: { env: EAST_KEY }\nwest: [", &["east: { api_key: { env: EAST_KEY }", "west: ["]);
    check(
        "a: [\napi_key:\n  value: hunter22\n  env: EAST_KEY\nb: 1",
        &["a: [", "api_key:", "-", "  env: EAST_KEY", "b: 1"],
    );
    check("{ \"api_key\": {\n\"value\":\n\"hunter22\"", &["{ \"api_key\": {", "\"value\":", "-"]);
}

#[test]
fn a_column_is_found_again_behind_a_mask() {
    let mut mask = Mask::new("api_key: hunter22, b: 1");
    mask.conceal(1, "hunter22");
    for (column, mark) in [(1, 0), (10, 9), (12, 9), (18, 12), (20, 14)] {
        assert_eq!(mask.shown(1, column), Some(("api_key: ***, b: 1".to_owned(), mark)), "{column}");
    }
}
