//! Plots, as SVG.

use std::path::Path;

use plotters::prelude::*;

use crate::cell::{Setup, size};
use crate::run::Measured;
use crate::stage::Subject;

const ROUTER: RGBColor = RGBColor(31, 119, 180);
const FLOOR: RGBColor = RGBColor(174, 174, 174);
const TEXT: (&str, i32) = ("sans-serif", 13);
const ROW: i32 = 26;

/// Processor time of router and floor for one request, a pair of bars for each cell of small bodies.
pub(crate) fn cpu(all: &[Measured], file: &Path) -> Result<(), String> {
    let cells: Vec<_> = all.iter().filter(|it| it.cell.load.body_bytes <= 32 << 10).collect();
    let bars = cells.iter().map(|it| {
        let [floor, router] = [Subject::Floor, Subject::Router].map(|subject| it.of(subject).filter_us);
        (it.cell.name.clone(), [floor, router])
    });
    draw("Processor time of the filter's process for one request, in µs", bars.collect(), file)
}

/// What the filter adds to the median time of a request at half load, for the grid.
pub(crate) fn latency(all: &[Measured], file: &Path) -> Result<(), String> {
    let cells = all.iter().filter(|it| it.cell.setup == Setup::default() && it.cell.load.body_bytes < 1 << 20);
    let bars = cells.map(|it| {
        let alone = it.of(Subject::Alone).paced_ms[0];
        let added = [Subject::Floor, Subject::Router].map(|subject| (it.of(subject).paced_ms[0] - alone).max(0.0));
        (format!("{}, concurrency {}", size(it.cell.load.body_bytes), it.cell.load.concurrency), added)
    });
    draw("What the filter adds to the median time of a request at half load, in ms", bars.collect(), file)
}

fn draw(title: &str, bars: Vec<(String, [f64; 2])>, file: &Path) -> Result<(), String> {
    if bars.is_empty() {
        return Ok(());
    }
    paint(title, &bars, file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Horizontal bars: cells have long names.
#[allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // Some dozens of rows of some hundred pixels.
fn paint(title: &str, bars: &[(String, [f64; 2])], file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let (left, width, top) = (270, 460.0, 62);
    let most = bars.iter().flat_map(|(_, pair)| *pair).fold(f64::MIN_POSITIVE, f64::max);
    let height = top + bars.len() as i32 * ROW + 12;
    let root = SVGBackend::new(file, (840, height as u32)).into_drawing_area();
    root.fill(&WHITE)?;
    root.draw(&Text::new(title.to_owned(), (16, 12), ("sans-serif", 16)))?;
    for (at, color, name) in [(270, FLOOR, "does nothing"), (400, ROUTER, "model-router")] {
        root.draw(&Rectangle::new([(at, 38), (at + 12, 50)], color.filled()))?;
        root.draw(&Text::new(name, (at + 18, 38), TEXT))?;
    }
    for (row, (name, pair)) in bars.iter().enumerate() {
        let y = top + row as i32 * ROW;
        root.draw(&Text::new(name.clone(), (16, y + 5), TEXT))?;
        for (index, (value, color)) in pair.iter().zip([FLOOR, ROUTER]).enumerate() {
            let (y, end) = (y + 1 + index as i32 * 11, left + (value / most * width) as i32);
            root.draw(&Rectangle::new([(left, y), (end, y + 10)], color.filled()))?;
            root.draw(&Text::new(format!("{value:.2}"), (end + 5, y), ("sans-serif", 10)))?;
        }
    }
    root.present()?;
    Ok(())
}
