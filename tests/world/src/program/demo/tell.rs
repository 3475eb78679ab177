//! How the demo prints: a heading for each step, then lines with the time since the start.

use std::io::Write as _;
use std::time::Duration;

pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    // A reader who has gone away is no reason to stop.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

pub(super) fn heading(text: &str) {
    say(&format!("\n{text}\n{}", "─".repeat(text.chars().count())));
}

/// Prints a line with the time since the start.
pub(super) fn at(time: Duration, text: &str) {
    say(&format!("{:6.1} s  {text}", time.as_secs_f64()));
}

/// Prints the text of the program, indented.
pub(super) fn quote(text: &str) {
    for line in text.lines() {
        say(&format!("          │ {line}"));
    }
}

pub(super) fn size(bytes: u64) -> String {
    if bytes < 10_000 { format!("{bytes} B") } else { format!("{} kB", bytes.div_ceil(1000)) }
}

/// `1 machine`, `2 machines`.
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
