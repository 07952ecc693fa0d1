//! The blocks of a whole configuration that one without them needs, each below the keys that show its place.

use super::template::{COPY, END};
use super::text::{indentation, indented, unindented};

const HEAD: &str = "\
# What to add to an Envoy that exists. Each block between `-- COPY` and `-- end of COPY --` is to be copied; its first line
# says where. The lines marked `yours` only show the place: names and the rest of them are those of your file. Where you
# have a block's first key already, add the list item below it to yours. Then try: envoy --mode validate -c YOUR-FILE
#
# Other routes of your listener are not touched: the router sees only the requests of the route that is added here.
";
const YOURS: &str = " # yours";

/// Returns the blocks of a configuration that are marked for copying.
pub(super) fn of(whole: &str) -> String {
    let lines: Vec<&str> = whole.lines().collect();
    let (mut text, mut shown) = (HEAD.to_owned(), Vec::new());
    let mut at = 0;
    while let Some(begin) = (at..lines.len()).find(|&line| lines[line].trim_start().starts_with(COPY)) {
        let end = (begin..lines.len()).find(|&line| is_end(lines[line])).expect("a block that begins ends");
        let above = above(&lines, begin);
        text.push('\n');
        for line in above.iter().filter(|line| !shown.contains(*line)) {
            push(&mut text, &format!("{}{YOURS}", lines[*line]));
        }
        lines[begin..=end].iter().for_each(|line| push(&mut text, line));
        (shown, at) = (above, end);
    }
    with_aliases(&text, &lines)
}

/// A block to copy, its lines without indentation.
pub(super) struct Block {
    /// The rest of its first line: where it belongs.
    pub(super) place: String,
    pub(super) text: String,
}

/// Returns the blocks one by one, and no anchors in them: each is complete by itself.
pub(super) fn blocks(whole: &str) -> Vec<Block> {
    let lines: Vec<&str> = whole.lines().collect();
    let (mut blocks, mut at) = (Vec::new(), 0);
    while let Some(begin) = (at..lines.len()).find(|&line| lines[line].trim_start().starts_with(COPY)) {
        let end = (begin..lines.len()).find(|&line| is_end(lines[line])).expect("a block that begins ends");
        let place = lines[begin].trim_start().trim_start_matches(COPY).trim_start_matches([',', ' ']).to_owned();
        let text = without_anchors(&lines[begin + 1..end], &lines);
        blocks.push(Block { place, text: unindented(&text) });
        at = end;
    }
    blocks
}

fn without_anchors(block: &[&str], whole: &[&str]) -> String {
    let mut text = String::new();
    for line in block {
        let Some((key, name)) = alias(line) else {
            let is_anchor =
                |(_, name): &(&str, &str)| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            let key = line.split_once(": &").filter(is_anchor).map(|(key, _)| format!("{key}:"));
            push(&mut text, key.as_deref().unwrap_or(line));
            continue;
        };
        push(&mut text, &format!("{key}:"));
        let definition: Vec<_> = anchored(whole, name).collect();
        let definition = unindented(&without_anchors(&definition, whole));
        text.push_str(&indented(&definition, Column::of(line).key + 2));
    }
    text
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn is_end(line: &str) -> bool {
    line.trim_start() == END.trim_end()
}

/// Returns the lines whose keys hold a block, outermost first.
fn above(lines: &[&str], block: usize) -> Vec<usize> {
    let is_key = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let first = (block..lines.len()).find(|&line| is_key(&lines[line])).expect("a block is not empty");
    let (mut above, mut child) = (Vec::new(), Column::of(lines[first]));
    for line in (0..block).rev().filter(|&line| is_key(&lines[line])) {
        let column = Column::of(lines[line]);
        if column.holds(child) {
            above.push(line);
            child = column;
        }
    }
    above.reverse();
    above
}

/// The position of a line's key, and of its dash if it is an item's first line.
#[derive(Clone, Copy)]
struct Column {
    dash: Option<usize>,
    key: usize,
}

impl Column {
    fn of(line: &str) -> Self {
        let at = indentation(line);
        let dash = line[at..].starts_with("- ");
        Self { dash: dash.then_some(at), key: if dash { at + 2 } else { at } }
    }

    /// Returns whether an earlier line belongs to the path to a later one, all lines between being none that do.
    fn holds(self, child: Self) -> bool {
        match child.dash {
            Some(dash) => self.key <= dash,
            None => self.key < child.key || (self.dash.is_some() && self.key == child.key),
        }
    }
}

/// Returns the text with the definitions of its aliases, where they are missing.
fn with_aliases(text: &str, whole: &[&str]) -> String {
    let mut filled = String::new();
    for line in text.lines() {
        match alias(line).filter(|(_, name)| !text.contains(&format!(": &{name}\n"))) {
            None => push(&mut filled, line),
            Some((key, name)) => {
                push(&mut filled, &format!("{key}:"));
                anchored(whole, name).for_each(|line| push(&mut filled, line));
            }
        }
    }
    filled
}

/// Returns the key and the name, if the line's value is an alias.
fn alias(line: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    line.split_once(": *").filter(|(key, name)| is_name(name) && !key.trim_start().starts_with('#'))
}

/// Returns the lines below an anchor.
fn anchored<'a>(whole: &'a [&str], name: &str) -> impl Iterator<Item = &'a str> {
    let anchor = format!(": &{name}");
    let at = whole.iter().position(|line| line.ends_with(&anchor)).expect("an alias has an anchor");
    let column = indentation(whole[at]);
    whole[at + 1..].iter().copied().take_while(move |line| indentation(line) > column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_stands_below_the_keys_that_hold_it() {
        let whole = WHOLE;
        let expected = EXPECTED;
        assert_eq!(of(whole).strip_prefix(HEAD), Some(expected));
    }

    #[test]
    fn each_block_is_complete_by_itself() {
        let blocks = blocks(WHOLE);
        let texts: Vec<_> = blocks.iter().map(|block| (&*block.place, &*block.text)).collect();
        let first = "- x: 1\n  y:\n    e: 2\n";
        assert_eq!(texts, [("here: first --", first), ("top: second --", "f: 1\n")]);
    }

    const WHOLE: &str = "
a:
  b:
  - name: one
    c: 1
    d: &shared
      e: 2
  -  # unused
  - name: two
    list:
    # -- COPY here: first --
    - x: 1
      y: *shared
    # -- end of COPY --
    - z: 1
# -- COPY top: second --
f: 1
# -- end of COPY --
";
    const EXPECTED: &str = "
a: # yours
  b: # yours
  - name: two # yours
    list: # yours
    # -- COPY here: first --
    - x: 1
      y:
      e: 2
    # -- end of COPY --

# -- COPY top: second --
f: 1
# -- end of COPY --
";
}
