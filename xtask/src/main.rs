//! The list of the project's commands: `cargo xtask` prints it.
//!
//! Guarantees: each command does the same on a developer's machine and in CI, and ends with a non-zero exit code if
//! anything fails.

mod bench;
mod boundaries;
mod cargo;
mod ci;
mod demo;
mod package;
mod test;
mod weeks;

use anyhow::{Result, bail};
use std::process::ExitCode;

type Run = fn(&[String]) -> Result<()>;

/// Name, what it does, and the function that does it.
const COMMANDS: [(&str, &str, Run); 6] = [
    (
        "demo",
        "shows the whole program at work on this machine, without Azure and Qualys [--keep DIR]",
        demo::run,
    ),
    ("test", "runs every test [-- ARGS for cargo test]", test::run),
    ("package", "builds and checks the zip for Azure Functions [--check-only]", package::run),
    ("ci", "what CI runs: fmt, clippy, doc, boundaries, test, package", ci::run),
    (
        "bench",
        "measures the figures, or one GROUP of them, and appends them to bench.jsonl in the target folder",
        bench::run,
    ),
    (
        "weeks",
        "simulates weeks with random lies, kills and clock jumps [--seeds N] [--subscriptions N] [--days N] [--first-seed N]",
        weeks::run,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((name, rest)) = arguments.split_first().filter(|(name, _)| !is_help(name)) else {
        println!("cargo xtask <command>\n");
        for (name, what, _) in COMMANDS {
            println!("  {name:<7} {what}");
        }
        return Ok(());
    };
    let Some((.., run)) = COMMANDS.iter().find(|(command, ..)| command == name) else {
        bail!("there is no command `{name}`; `cargo xtask` lists them");
    };
    run(rest)
}

fn is_help(name: &str) -> bool {
    matches!(name, "help" | "--help" | "-h")
}
