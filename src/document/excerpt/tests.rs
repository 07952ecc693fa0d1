use super::*;

/// The excerpt's line, and the marked part of it.
fn check(line: &str, column: usize, expected: &str, marked: &str) {
    let Excerpt { text, start, length } = Excerpt::of(&Mask::new(line), 1, column).expect("a line to show");
    assert_eq!(text, expected);
    assert_eq!(text.chars().skip(start).take(length).collect::<String>(), marked);
}

#[test]
fn the_word_at_the_place_is_marked() {
    check("a: { bc: def, g: h }", 10, "a: { bc: def, g: h }", "def");
    check("a: { bc: def, g: h }", 6, "a: { bc: def, g: h }", "bc");
    check("a: { bc: def, g: h }", 4, "a: { bc: def, g: h }", "{");
    check("a: \"b c\" # d", 4, "a: \"b c\" # d", "\"b c\"");
    check("a: https://x:80/y", 4, "a: https://x:80/y", "https://x:80/y");
    check("a: é ü", 6, "a: é ü", "ü");
    check("a:\tb\u{1b}[1m", 4, "a: b\u{fffd}[1m", "b\u{fffd}[1m");
    check("a:", 3, "a:", "");
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let line = format!("{}here{}", "x ".repeat(100), " y".repeat(100));
    let Excerpt { text, start, length } = Excerpt::of(&Mask::new(&line), 1, 201).expect("a line to show");
    assert_eq!((text.chars().count(), length), (WIDTH + 2, 4));
    assert_eq!(text.chars().skip(start).take(length).collect::<String>(), "here");
}

#[test]
fn there_is_no_excerpt_of_nothing() {
    let mask = Mask::new("a: 1\n\nb: 2");
    for (line, column) in [(0, 0), (2, 1), (4, 1)] {
        assert_eq!(Excerpt::of(&mask, line, column), None);
    }
}
