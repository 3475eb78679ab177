//! `cargo xtask bench`: measures the figures on a release build.

use crate::cargo::{self, cargo, output, root};
use anyhow::{Result, bail};
use std::process::Command;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut bench = cargo(&["bench", "--locked", "--bench", "figures"]);
    match arguments {
        [] => {}
        [group] if !group.starts_with('-') => _ = bench.args(["--", group]),
        _ => bail!("cargo xtask bench [GROUP]"),
    }
    cargo::run(bench.env("BENCH_COMMIT", commit()))
}

/// The commit that is measured, with `+` if files differ from it.
fn commit() -> String {
    let git = |arguments: &[&str]| output(Command::new("git").args(arguments).current_dir(root()));
    let Ok(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "none".to_owned() };
    let changed = git(&["status", "--porcelain"]).is_ok_and(|changes| !changes.trim().is_empty());
    format!("{}{}", commit.trim(), if changed { "+" } else { "" })
}
