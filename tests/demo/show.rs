//! Text and tables on standard output, at most 100 columns wide, readable without colour.
//!
//! A reader that has gone (`make demo | head`) is no error: the demo goes on and ends as usual.

use std::fmt::Display;
use std::io::{Write, stderr, stdout};
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};

/// What stands below a heading is set in by this.
const INDENT: &str = "   ";
const WIDTH: u16 = 97;
/// One line, below the header.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A line.
pub(crate) fn say(line: &str) {
    let _ = writeln!(stdout(), "{line}");
}

/// A line on standard error.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(stderr(), "{line}");
}

/// The heading of a step.
pub(crate) fn heading(title: &str) {
    say(&format!("\n{title}\n{}", "-".repeat(title.len())));
}

/// Some lines below a heading.
pub(crate) fn text(lines: &str) {
    lines.lines().for_each(|line| say(format!("{INDENT}{line}").trim_end()));
}

/// A table below a heading, with an empty line before it. Columns whose header begins with `>` are numbers.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    table.set_header(header.map(|name| name.trim_start_matches('>')));
    table.add_rows(rows);
    for (column, name) in table.column_iter_mut().zip(header) {
        if name.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    say("");
    text(&table.to_string());
}

/// A duration as people say it.
pub(crate) fn duration(duration: Duration) -> String {
    match duration.as_millis() {
        millis @ 0..1000 => format!("{millis} ms"),
        _ => format!("{:.1} s", duration.as_secs_f64()),
    }
}

/// `1 request`, `2 requests`.
pub(crate) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A part of a whole.
pub(crate) fn share(part: usize, whole: usize) -> String {
    #[allow(clippy::cast_precision_loss)] // counts of requests, shown with one decimal
    let percent = part as f64 * 100.0 / whole.max(1) as f64;
    format!("{percent:.1} %")
}

/// An error with this text unless it holds.
pub(crate) fn check(holds: bool, otherwise: impl Display) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise.to_string()) }
}
