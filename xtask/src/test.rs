//! `cargo xtask test`: runs every test, and first installs what some of them need.

use crate::cargo::{self, cargo};
use anyhow::{Context, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

type Install = fn() -> Result<()>;

/// What tests need besides the code: a name, and the function that installs it. If that fails, the tests that need it are
/// skipped, and the output says so; in CI it is a failure.
const NEEDS: [(&str, Install); 1] = [("Azurite", azurite)];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let arguments = match arguments {
        [] => &[],
        [dashes, rest @ ..] if dashes == "--" => rest,
        _ => bail!("cargo xtask test [-- ARGS]"),
    };
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let mut skipped = Vec::new();
    for (name, install) in NEEDS {
        match install() {
            Ok(()) => {}
            Err(why) if in_ci => {
                bail!("in CI no test may be skipped, but {name} could not be installed: {why:#}")
            }
            Err(why) => skipped.push(format!("the tests that need {name}: {why:#}")),
        }
    }
    let mut command = cargo(&["test", "--workspace", "--locked"]);
    command.args(arguments);
    // People review snapshots, so a run neither writes one nor lets a wrong one pass.
    command.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");
    let result = cargo::run(&mut command);
    for what in &skipped {
        println!("\nSKIPPED: {what}");
    }
    if skipped.is_empty() {
        println!("\nNothing was skipped.");
    }
    result
}

/// Installs Azurite from npm, in the version of the lock file. The tests start it on free ports and end it.
pub(crate) fn azurite() -> Result<()> {
    let folder = cargo::root().join("tests/azurite");
    if is_installed(&folder) {
        return Ok(());
    }
    println!("Installing Azurite from npm (once, about 20 s) ...");
    // Its install scripts are not needed.
    let npm = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder)
        .status();
    let status = npm.context("cannot start npm: install Node 20 or newer")?;
    ensure!(status.success(), "`npm ci` failed in tests/azurite");
    Ok(())
}

/// Whether the list that npm writes after an installation is at least as new as the lock file.
fn is_installed(folder: &Path) -> bool {
    let changed = |file: &str| folder.join(file).metadata().and_then(|file| file.modified());
    matches!((changed("node_modules/.package-lock.json"), changed("package-lock.json")), (Ok(there), Ok(wanted)) if there >= wanted)
}
