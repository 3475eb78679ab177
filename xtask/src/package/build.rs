//! Builds the program for the system that it is deployed on, on any system.
//!
//! A plain build needs the glibc of the machine that built it. Zig links for an older one and brings everything that this
//! needs. Zig and cargo-zigbuild are installed from `PyPI`, at exact versions, into a folder of their own.

use super::PROGRAM;
use crate::cargo::{self, output, root};
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOLS: [&str; 2] = ["cargo-zigbuild==0.24.0", "ziglang==0.17.1"];
/// The target on which Azure Functions runs custom handlers.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";
/// The newest glibc that the executable may need. 2.28 was released in 2018, and no maintained system that we know has an
/// older one (RHEL 8 has this one, Debian 11 has 2.31).
pub(super) const GLIBC: (u32, u32) = (2, 28);

/// Builds the program and returns its path.
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
    // Makes it find Zig through this Python. Otherwise it would use any Zig on the path.
    build.env("CARGO_ZIGBUILD_PYTHON_PATH", tools.join("python"));
    build.env_remove("CARGO_ZIGBUILD_ZIG_PATH");
    println!("{}", cargo::show(&build));
    cargo::run(&mut build)?;
    Ok(target.join(TRIPLE).join("release").join(PROGRAM))
}

/// The folder with the tools' programs. Tools that are there at these versions are not installed again.
fn tools(venv: &Path) -> Result<PathBuf> {
    let programs = venv.join("bin");
    let python = programs.join("python");
    let pip = |arguments: &[&str]| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input"]).args(arguments);
        pip
    };
    // It may exist and be unusable: half installed, or made by a Python that is gone.
    if output(&mut pip(&["--version"])).is_err() {
        let mut make = Command::new("python3");
        make.args(["-m", "venv", "--clear"]).arg(venv);
        output(&mut make).context(
            "the package is linked with Zig, which comes from PyPI: \
             install Python 3 with its venv module (Debian and Ubuntu: apt-get install python3-venv)",
        )?;
    }
    // Only wheels, so that none of their code runs during the installation. They have no dependencies.
    let mut install = pip(&["install", "--quiet", "--no-deps", "--only-binary", ":all:"]);
    install.args(TOOLS);
    cargo::run(&mut install).with_context(|| {
        format!("cannot install {}; does pip reach its package index (pip config list)?", TOOLS.join(" and "))
    })?;
    Ok(programs)
}

/// Makes sure that the target's standard library is there. On Linux on x86-64 it is the toolchain's own; elsewhere rustup
/// installs it.
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
        bail!("Rust's standard library for {TRIPLE} is missing: run `rustup target add {TRIPLE}`");
    }
    Ok(())
}
