//! The program for the system that it is deployed on, whatever system it is built on.
//!
//! A plain build needs the glibc of the desk that made it. Zig links for an older one, and brings all that this takes; it and
//! cargo-zigbuild come from `PyPI`, at exact versions, into a folder of their own.

use super::PROGRAM;
use crate::cargo::{self, output, root};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOLS: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.17.1"];
/// What Azure Functions runs custom handlers on.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// The newest glibc that the executable may need. 2.28 is of 2018; of the systems that are still maintained, none that we know
/// has an older one (RHEL 8 has this one, Debian 11 has 2.31).
pub(super) const GLIBC: (u32, u32) = (2, 28);

/// Builds the program, and says where it is.
pub(super) fn program(target: &Path) -> Result<PathBuf> {
    let tools = tools(&target.join("package-venv"))?;
    standard_library()?;
    let mut build = Command::new(tools.join("cargo-zigbuild"));
    build.current_dir(root()).args([
        "zigbuild",
        "--release",
        "--locked",
        "--package",
        PROGRAM,
        "--bin",
        PROGRAM,
    ]);
    build.args(["--target", &format!("{TRIPLE}.{}.{}", GLIBC.0, GLIBC.1)]);
    // It asks this Python for Zig; without it, whatever is on the path would do.
    build.env("CARGO_ZIGBUILD_PYTHON_PATH", tools.join("python"));
    build.env_remove("CARGO_ZIGBUILD_ZIG_PATH");
    println!("{}", cargo::show(&build));
    cargo::run(&mut build)?;
    Ok(target.join(TRIPLE).join("release").join(PROGRAM))
}

/// The tools' folder of programs. What is there already, at these versions, is not asked for again.
fn tools(venv: &Path) -> Result<PathBuf> {
    let programs = venv.join("bin");
    let python = programs.join("python");
    let pip = |arguments: &[&str]| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
        pip
    };
    // It may also be there and of no use: left half made, or made by a Python that is gone.
    if output(&mut pip(&["--version"])).is_err() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(venv);
        output(&mut make).context(
            "the package is linked with Zig, which comes from PyPI: \
             install Python 3 with its venv module (Debian and Ubuntu: apt-get install python3-venv)",
        )?;
    }
    // Wheels alone, so that nothing of theirs runs while it is installed; and they need nothing else.
    let mut install = pip(&["install", "--quiet", "--no-deps", "--only-binary", ":all:"]);
    install.args(TOOLS);
    cargo::run(&mut install).with_context(|| {
        format!("cannot install {}; does pip reach its package index (pip config list)?", TOOLS.join(" and "))
    })?;
    Ok(programs)
}

/// The standard library of the target: on Linux on x86-64 it is the desk's own, elsewhere rustup brings it.
fn standard_library() -> Result<()> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut ask = Command::new(rustc);
    ask.current_dir(root()).args(["--print", "target-libdir", "--target", TRIPLE]);
    if Path::new(output(&mut ask)?.trim()).is_dir() {
        return Ok(());
    }
    let mut add = Command::new("rustup");
    add.current_dir(root()).args([OsStr::new("target"), OsStr::new("add"), OsStr::new(TRIPLE)]);
    if cargo::run(&mut add).is_err() {
        bail!("Rust's standard library for {TRIPLE} is not there; `rustup target add {TRIPLE}` must work");
    }
    Ok(())
}
