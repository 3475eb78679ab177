//! The figures that the project promises, measured: `cargo xtask bench`.
//!
//! Guarantees: nothing is asserted about time; each figure is printed beside its target and appended as a line of JSON to
//! `bench.jsonl` in the target folder. Qualys and Azure are simulated on this machine, so the figures do not include a
//! network.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench reads the clock, prints, and has no caller to return an error to"
)]
#![expect(clippy::pedantic, reason = "numbers are rounded for people")]

mod desk;
mod idle;
mod memory;
mod new;
mod plan;
mod program;
mod snapshot;
mod storm;

use serde_json::json;
use std::io::Write;
use std::path::Path;

/// Measures a group of figures.
type Measure = fn() -> Vec<Figure>;

/// One measured figure.
struct Figure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    /// What it should not exceed; none if it is only recorded.
    target: Option<f64>,
    /// The number of measurements.
    n: usize,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` runs benches without this argument and must stay quick.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run `cargo xtask bench`");
        return;
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let groups: [(&str, Measure); 8] = [
        ("idle", idle::figures),
        ("new", new::figures),
        ("plan", plan::figures),
        ("snapshot", snapshot::figures),
        ("memory", memory::figures),
        ("program", program::figures),
        ("event", program::events),
        ("storm", storm::figures),
    ];
    println!("{:<24} {:>10}  {:<8} {:>8}  {:<4} {:>6}", "figure", "value", "unit", "target", "met", "n");
    for (group, measure) in groups {
        if wanted.is_none_or(|wanted| wanted == group) {
            measure().iter().for_each(Figure::tell);
        }
    }
    println!("\nadded to {}", file().display());
}

fn file() -> std::path::PathBuf {
    let temporary = Path::new(env!("CARGO_TARGET_TMPDIR"));
    temporary.parent().unwrap_or(temporary).join("bench.jsonl")
}

impl Figure {
    fn tell(&self) {
        let Self { name, value, unit, target, n } = self;
        let shown = target.map_or("-".to_owned(), |target| target.to_string());
        let met = target.map_or("-", |target| if *value <= target { "yes" } else { "NO" });
        println!("{name:<24} {value:>10.3}  {unit:<8} {shown:>8}  {met:<4} {n:>6}");
        let commit = std::env::var("BENCH_COMMIT").unwrap_or_else(|_| "none".to_owned());
        let line =
            json!({ "name": name, "value": value, "unit": unit, "target": target, "n": n, "commit": commit });
        let mut file = std::fs::File::options().create(true).append(true).open(file()).unwrap();
        writeln!(file, "{line}").unwrap();
    }
}

/// The value that this share of the measurements does not exceed.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = ((values.len() as f64 * share).ceil() as usize).clamp(1, values.len()) - 1;
    values[index]
}

fn median(values: Vec<f64>) -> f64 {
    quantile(values, 0.5)
}
