//! `cargo xtask package`: the zip that is deployed.
//!
//! Guarantees: the same files make the same zip, byte for byte; and no zip is left unproven: each thing that the Functions
//! host or its image would stumble over only after the deployment is a check here.

mod app;
mod build;
mod check;
mod elf;
mod zipped;

use crate::cargo::target;
use anyhow::{Context, Result, bail};
use app::App;
use std::fs;

/// The program, as cargo names it.
const PROGRAM: &str = "qualys-azure-inventory";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let check_only = match arguments {
        [] => false,
        [option] if option == "--check-only" => true,
        _ => bail!("cargo xtask package [--check-only]"),
    };
    let app = App::read()?;
    let target = target()?;
    let folder = target.join("package");
    let path = folder.join(format!("{PROGRAM}.zip"));
    if !check_only {
        let program = build::program(&target)?;
        let program = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        fs::create_dir_all(&folder)?;
        fs::write(&path, zipped::write(&app, &program)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let zip = fs::read(&path)
        .with_context(|| format!("there is no {}; `cargo xtask package` makes it", path.display()))?;
    println!("{}", path.display());
    check::all(&app, &zip, &folder)
}
