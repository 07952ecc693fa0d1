use super::*;

/// The tree in short: `{key: value}`, `[…]`, texts quoted; or the report.
fn check(yaml: &str, expected: &str) {
    let mut report = Report::default();
    let file = report.add_file("policy.yaml", std::path::Path::new(""), yaml);
    let node = parse(yaml, file, &mut report);
    let problems = report.into_problems().to_string();
    let found = if problems.is_empty() { node.as_ref().map(described).unwrap_or_default() } else { problems };
    assert_eq!(found.replace("policy.yaml:", ""), expected, "{yaml}");
}

fn described(node: &Node) -> String {
    let joined = |parts: Vec<String>| parts.join(" ");
    match &node.value {
        Value::Scalar(scalar) => match scalar.meaning() {
            Meaning::Text(text) => format!("{text:?}"),
            meaning => format!("{meaning:?}"),
        },
        Value::List(elements) => format!("[{}]", joined(elements.iter().map(described).collect())),
        Value::Map(entries) => {
            let entry =
                |entry: &Entry| format!("{}:{}", described(&entry.key).trim_matches('"'), described(&entry.value));
            format!("{{{}}}", joined(entries.iter().map(entry).collect()))
        }
    }
}

#[test]
fn scalars_mean_what_yaml_1_2_says() {
    check(
        "[1, -1, 1.5, 1e3, 0x1f, 0o17, +5, .5]",
        "[Whole(1) Negative(-1) Decimal(1.5) Decimal(1000.0) Whole(31) Whole(15) Whole(5) Decimal(0.5)]",
    );
    check("[true, False, ~, null, ]", "[Bool(true) Bool(false) Nothing Nothing]");
    check("[y, no, on, off, 30s, 1.2.3, 1_000, .]", r#"["y" "no" "on" "off" "30s" "1.2.3" "1_000" "."]"#);
}

#[test]
fn quoted_scalars_are_texts() {
    check(r#"["1", 'true', "~", ""]"#, r#"["1" "true" "~" ""]"#);
    check("a: |\n  1\n", r#"{a:"1\n"}"#);
}

#[test]
fn json_is_yaml() {
    check("{\n\t\"a\": [1, null],\r\n\t\"b\": {\"c\": \"\\u00e9\"}\n}\n", r#"{a:[Whole(1) Nothing] b:{c:"é"}}"#);
}

#[test]
fn aliases_repeat_values() {
    check("a: &x [1]\nb: *x", "{a:[Whole(1)] b:[Whole(1)]}");
    check("a: &x [*x]", "1:8: error: an alias cannot be inside the value that it repeats");
    check("a: *x", "1:4: error: this is no YAML: no `&` before this `*` gives the value that it repeats");
}

#[test]
fn what_is_not_supported_is_told() {
    check("a: 1\nb: 2\na: 3", "3:1: error: key `a` is given twice, first at 1:1; keep one");
    check("a: !!str 1", "1:4: error: tags such as `tag:yaml.org,2002:!str` are not supported; leave it out");
    check("<<: {a: 1}", "1:1: error: merge keys (`<<`) are not supported; write the keys out");
    check("? [a]\n: 1", "1:3: error: a key must be a text, not a list or a map");
    check(": 1", "1:1: error: a key is missing before the `:`");
    check("a: 1\n---\nb: 2", "2:1: error: a second document starts here; a policy file is one document");
    check("# nothing", " error: the file is empty; expected `providers`, `endpoints` and `apis`");
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    check(&format!("{}{}", "[".repeat(70), "]".repeat(70)), "1:66: error: lists and maps are nested more than 64 deep");
    let mut bomb = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    check(&bomb, "7:10: error: the file has more than 2000000 values, those behind aliases included");
}
