//! `cargo xtask demo`: builds the product and the simulated world, and starts the world's demo.

use crate::cargo::{self, cargo, root, target};
use anyhow::{Result, bail};
use std::process::Command;

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let built = target()?;
    let keep = match arguments {
        [] => built.join("demo"),
        [option, keep] if option == "--keep" => std::path::absolute(keep)?,
        _ => bail!("cargo xtask demo [--keep DIR]"),
    };
    println!("Building the product and the simulated world …");
    // Built one by one: together, the product would get features of its dependencies that only the world needs.
    cargo::run(&mut cargo(&["build", "--locked", "--bin", "qualys-azure-inventory"]))?;
    cargo::run(&mut cargo(&["build", "--locked", "--package", "world", "--bin", "world"]))?;
    let binary = |name| built.join("debug").join(name);
    let mut world = Command::new(binary("world"));
    // A demo that fails says what did not happen. A backtrace would not help here.
    world.env("RUST_LIB_BACKTRACE", "0");
    world.current_dir(root()).arg("demo").arg("--handler").arg(binary("qualys-azure-inventory"));
    cargo::run(world.arg("--root").arg(root()).arg("--keep").arg(keep))
}
