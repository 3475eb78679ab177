//! `cargo xtask ci`: runs the steps, each with its time, and ends at the first that fails.

use crate::boundaries;
use crate::cargo::{self, cargo, show};
use crate::{package, test};
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Instant;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("cargo xtask ci");
    }
    let begun = Instant::now();
    command("fmt", &mut cargo(&["fmt", "--all", "--check"]), "run `cargo fmt --all`")?;
    let clippy = &mut cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]);
    command("clippy", clippy, "correct what clippy names above")?;
    let doc = &mut cargo(&["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    command("doc", doc.env("RUSTDOCFLAGS", "-Dwarnings"), "correct what rustdoc names above")?;
    step(
        "boundaries",
        "cargo tree",
        boundaries::check,
        "run `cargo tree -i NAME` to see which dependency brings it in",
    )?;
    step("test", "cargo xtask test", || test::run(&[]), "run `cargo xtask test` for this step alone")?;
    step(
        "package",
        "cargo xtask package",
        || package::run(&[]),
        "run `cargo xtask package` for this step alone",
    )?;
    println!("\n=== all steps passed in {:.0} s", begun.elapsed().as_secs_f64());
    Ok(())
}

fn command(name: &str, command: &mut Command, advice: &str) -> Result<()> {
    let shown = show(command);
    step(name, &shown, || cargo::run(command), advice)
}

fn step(name: &str, shown: &str, run: impl FnOnce() -> Result<()>, advice: &str) -> Result<()> {
    println!("\n=== {name}: {shown}");
    let begun = Instant::now();
    run().with_context(|| format!("step `{name}` failed; {advice}"))?;
    println!("=== {name}: passed in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}
