//! Where values begin and end.

use super::*;

/// First line, column and end of a value, from 0.
fn place(part: &Part) -> (usize, usize, usize) {
    (part.line, part.column, part.end)
}

#[test]
fn every_value_knows_its_lines() {
    let root = read(
        "# head
a:
- x: 1 # one

  y: |
    text

  # of b
- [1,
   2]
b: { c: d }
g:
- { x: 1 }
e:
f: 'two
  lines'
# tail
",
    )
    .expect("YAML");
    let a = root.get("a").expect("a");
    assert_eq!(place(a), (2, 0, 10));
    assert_eq!(a.items().iter().map(place).collect::<Vec<_>>(), [(2, 2, 6), (8, 2, 10)]);
    assert_eq!(a.items()[0].get("y").map(|text| text.text()), Some(Some("text\n")));
    assert_eq!(root.entries().iter().map(|(_, value)| value.end).collect::<Vec<_>>(), [10, 11, 13, 14, 16]);
    assert_eq!(place(&root), (1, 0, 16));
    assert!(!root.is_flow && !a.is_flow && a.items()[1].is_flow && root.get("b").expect("b").is_flow);
    let g = root.get("g").expect("g");
    assert!(!g.is_flow && g.items()[0].is_flow && (g.line, g.column) == (12, 0));
}

#[test]
fn what_is_repeated_elsewhere_is_shared() {
    let root = read("a: &x\n  b: 1\nc: *x\nd:\n  b: 1\n").expect("YAML");
    let [a, c, d] = ["a", "c", "d"].map(|key| root.get(key).expect("there"));
    assert!(a.is_shared && c.is_shared && !d.is_shared);
    assert!(a.is_same(c) && c.is_same(d) && !d.is_same(&root));
    assert_eq!((c.line, c.end), (2, 3), "where the alias is");
}

#[test]
fn the_order_of_keys_means_nothing_and_that_of_items_does() {
    let same = |one: &str, two: &str| read(one).expect("YAML").is_same(&read(two).expect("YAML"));
    assert!(same("{a: 1, b: [x]}", "b:\n- x\na: '1'"));
    assert!(!same("[a, b]", "[b, a]") && !same("{a: 1}", "{a: 1, b: 2}") && !same("{a: 1, b: 2}", "{a: 1, c: 2}"));
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    assert_eq!(read("a: [1").expect_err("open").split(':').next(), Some("2"), "{:?}", read("a: [1"));
    assert!(read("a: 1\n---\nb: 2\n").expect_err("two").starts_with("3:1: a second document"));
    assert!(read("# nothing\n").is_err());
}
