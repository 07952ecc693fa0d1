//! The reference pages, generated from the types that they describe. `make docs` writes them; here they are compared.

mod commands; // docs/reference/cli.md, from clap.
mod keys; // docs/reference/policy.md, from the JSON Schema.
pub(crate) mod metrics; // docs/reference/metrics.md, from a real output of /metrics.
mod refusals; // docs/reference/errors.md, from the replies themselves.
mod source; // What comments of the source say of an enum's variants.

use std::fs;

use crate::rig::envoy::root;

/// Compares a page with what is stored; with `BLESS=1` it is written instead.
#[track_caller]
fn check_page(name: &str, text: &str) {
    let directory = root().join("docs/reference");
    let path = directory.join(name);
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(&directory).expect("writable");
        fs::write(&path, text).expect("writable");
        return;
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    let same = stored.lines().zip(text.lines()).take_while(|(stored, now)| stored == now).count();
    let now = text.lines().nth(same).unwrap_or("the end");
    assert!(stored == text, "docs/reference/{name} is stale from line {} on; run `make docs`:\n{now}", same + 1);
}

/// One row of a table; `|` and line breaks would end a cell.
fn row(cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| cell.replace('\n', " ").replace('|', "\\|"));
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// The head of a table.
fn head(names: &[&str]) -> String {
    format!("{}{}", row(names), row(&vec!["---"; names.len()]))
}

fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}
