//! `cargo xtask weeks`: simulates weeks of many estates with random lies, kills and clock jumps.
//!
//! The same test runs in CI with few and small estates.

use crate::cargo::{self, cargo};
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Each option, the variable by which the test takes it, and the default: the figures of a thorough run.
const OPTIONS: [(&str, &str, u64); 4] = [
    ("--seeds", "WEEKS_SEEDS", 200),
    ("--subscriptions", "WEEKS_SUBSCRIPTIONS", 500),
    ("--days", "WEEKS_DAYS", 7),
    ("--first-seed", "WEEKS_FIRST_SEED", 1),
];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let mut command = cargo(&["test", "--release", "--locked", "--test", "it"]);
    // A build that optimizes across crates takes longer than it saves here.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    // Each simulated day flushes tens of thousands of small files: where the system keeps a folder in memory, that costs nothing.
    let in_memory = Path::new("/dev/shm");
    if std::env::var_os("TMPDIR").is_none() && in_memory.is_dir() {
        command.env("TMPDIR", in_memory);
    }
    for (_, variable, default) in OPTIONS {
        command.env(variable, default.to_string());
    }
    for pair in arguments.chunks(2) {
        let [option, value] = pair else { bail!("`{}` needs a number", pair[0]) };
        let Some((_, variable, _)) = OPTIONS.iter().find(|(name, ..)| name == option) else {
            bail!("cargo xtask weeks [--seeds N] [--subscriptions N] [--days N] [--first-seed N]");
        };
        let number: u64 = value.parse().with_context(|| format!("`{option} {value}`: not a whole number"))?;
        command.env(variable, number.to_string());
    }
    command.args(["--", "weeks_of_lies", "--nocapture"]);
    cargo::run(&mut command)
}
