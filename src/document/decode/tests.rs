use serde::Deserialize;

use super::*;
use crate::document::problem::Place;

#[derive(Debug, Deserialize)]
struct Shelf {
    name: At<String>,
    books: At<Vec<At<Book>>>,
    labels: Option<At<Named<u8>>>,
}

#[derive(Debug, Deserialize)]
struct Book {
    title: At<String>,
    kind: Option<At<Kind>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Novel,
    Series(At<u8>),
}

fn decode_shelf(yaml: &str) -> (Option<Shelf>, String) {
    let mut report = Report::default();
    let file = report.add_file("", std::path::Path::new(""), yaml);
    let root = crate::document::yaml::parse(yaml, file, &mut report).expect("YAML");
    let (shelf, report) = decode(&root, &[(&["kind"], "in a book")], report);
    (shelf, report.into_problems().to_string())
}

fn check(yaml: &str, expected: &[&str]) {
    let (_, problems) = decode_shelf(yaml);
    assert_eq!(problems, expected.join("\n"), "{yaml}");
}

#[test]
fn values_know_their_places() {
    let (shelf, problems) = decode_shelf(
        "name: top\nbooks:\n  - title: a\n    kind: { series: 3 }\n  - { title: b, kind: novel }\nlabels: { x: 1 }",
    );
    assert_eq!(problems, "");
    let shelf = shelf.expect("decoded");
    assert_eq!(shelf.name.get().map(String::as_str), Some("top"));
    let books = shelf.books.get().expect("a list");
    assert_eq!(books[1].place, Place { file: 0, line: 5, column: 5 });
    let [first, second] = [0, 1].map(|index| books[index].get().expect("a book"));
    assert_eq!(second.title.place, Place { file: 0, line: 5, column: 14 });
    assert!(matches!(first.kind.as_ref().and_then(At::get), Some(Kind::Series(volume)) if volume.get() == Some(&3)));
    assert!(matches!(second.kind.as_ref().and_then(At::get), Some(Kind::Novel)));
    let labels: Vec<_> = shelf.labels.as_ref().and_then(At::get).expect("labels").iter().collect();
    assert_eq!(labels, [(Place { file: 0, line: 6, column: 11 }, "x", Some(&1))]);
}

#[test]
fn every_mistake_is_reported_and_the_rest_decoded() {
    let yaml = "nmae: top\nbooks:\n  - {}\n  - { title: 3, kind: { series: a } }\n  - { title: c }\npoems: []";
    check(
        yaml,
        &[
            ":1:1: error: unknown key `nmae`; did you mean `name`?",
            ":3:5: error: key `title` is missing",
            ":4:14: error: expected a text, found the number `3`; quote it: `\"3\"`",
            ":4:33: error: expected u8, found `a`",
            ":6:1: error: unknown key `poems`; expected `name`, `books` or `labels`",
        ],
    );
    let books = decode_shelf(yaml).0.expect("decoded").books;
    assert_eq!(books.get().expect("a list")[2].get().and_then(|book| book.title.get()).map(String::as_str), Some("c"));
}

#[test]
fn a_variant_is_a_name_or_one_key() {
    for (kind, expected) in [
        ("novell", ":1:38: error: expected `novel` or `series`, found `novell`; did you mean `novel`?"),
        ("series", ":1:38: error: expected `{ series: … }`, found `series`"),
        ("{ novel: 1 }", ":1:38: error: expected `novel`, found a map"),
        ("{ novel: , series: 1 }", ":1:49: error: expected only one of `novel` or `series`"),
        ("{ sereis: 1 }", ":1:40: error: unknown key `sereis`; did you mean `series`?"),
        ("{}", ":1:38: error: expected something, found a map; write `{ novel: … }` or `{ series: … }`"),
        ("[]", ":1:38: error: expected `{ novel: … }` or `{ series: … }`, found a list"),
    ] {
        check(&format!("{{ name: a, books: [{{ title: b, kind: {kind} }}] }}"), &[expected]);
    }
}

#[test]
fn the_wrong_shape_is_told_with_the_right_one() {
    check("top", &[":1:1: error: expected a map with keys such as `name`, `books` or `labels`, found `top`"]);
    check(
        "{ name: [a], books: b }",
        &[":1:9: error: expected a text, found a list", ":1:21: error: expected a list, found `b`; write `[b]`"],
    );
    check(
        "name: a\nbooks:\nlabels: 3",
        &[
            ":2:1: error: expected a list, found nothing; is what belongs to it commented out, or not indented?",
            ":3:9: error: expected a map of names, found the number `3`",
        ],
    );
}

#[test]
fn a_key_of_another_place_is_told_where_it_belongs() {
    check(
        "{ name: a, books: [], kind: novel }",
        &[":1:23: error: key `kind` does not belong here; it belongs in a book"],
    );
    check("{ name:a, books: [] }", &[":1:3: error: unknown key `name:a`; put a space after the `:` of `name:`"]);
}
