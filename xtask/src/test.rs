//! `cargo xtask test`: every test, with the services that some of them need.

use crate::cargo::{self, cargo};
use anyhow::{Result, bail};
use std::process::Child;

/// A service that is running, and the environment variables that tell the tests where.
type Started = (Child, Vec<(String, String)>);
type Start = fn() -> Result<Started>;

/// What tests need beside the code: a name, and the function that installs and starts it. An error means that this machine
/// cannot have it; then its tests are skipped, which is said, and in CI is a failure. Azurite gets its place here.
const SERVICES: [(&str, Start); 0] = [];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let arguments = match arguments {
        [] => &[],
        [dashes, rest @ ..] if dashes == "--" => rest,
        _ => bail!("cargo xtask test [-- ARGS]"),
    };
    let in_ci = std::env::var("CI").is_ok_and(|value| value == "true");
    let (mut running, mut skipped) = (Vec::new(), Vec::new());
    for (name, start) in SERVICES {
        match start() {
            Ok(started) => running.push(started),
            Err(why) if in_ci => {
                stop(running);
                bail!("in CI nothing may be skipped, and {name} is not there: {why:#}");
            }
            Err(why) => skipped.push(format!("the tests that need {name}: {why:#}")),
        }
    }
    let mut command = cargo(&["test", "--workspace", "--locked"]);
    command.args(arguments);
    // Snapshots are read by people: a run neither writes one nor lets a wrong one pass.
    command.env("INSTA_UPDATE", "no").env_remove("INSTA_FORCE_PASS");
    command.envs(running.iter().flat_map(|(_, variables)| variables.iter().cloned()));
    let result = cargo::run(&mut command);
    stop(running);
    for what in &skipped {
        println!("\nSKIPPED: {what}");
    }
    if skipped.is_empty() {
        println!("\nNothing was skipped.");
    }
    result
}

fn stop(running: Vec<Started>) {
    for (mut process, _) in running {
        // One that has ended by itself needs no end.
        let _ = process.kill();
        let _ = process.wait();
    }
}
