//! `cargo xtask package`: the zip that is deployed.
//!
//! Guarantees: the same files make the same zip, byte for byte; and no zip is left unproven: each thing that the Functions
//! host or its image would stumble over only after the deployment is a check here.

mod app;
mod build;
mod check;
mod elf;
mod zipped;

use crate::cargo::{self, cargo, target};
use anyhow::{Context, Result, bail};
use app::App;
use std::fs;
use std::path::Path;

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
    check::all(&app, &zip, &folder)?;
    if check_only { Ok(()) } else { play(&zip, &folder) }
}

/// The main job, done by the packed program in the unzipped folder under the simulated host, on folders and on Azure's
/// edges, in an environment that holds the documented settings and nothing else.
fn play(zip: &[u8], folder: &Path) -> Result<()> {
    let unzipped = folder.join("played");
    if unzipped.exists() {
        fs::remove_dir_all(&unzipped)?;
    }
    zipped::unzip(zip, &unzipped).context("cannot unzip it")?;
    let tests = ["a_timer_tick_leads_to_connectors", "timer_event_and_request_do_the_main_job"];
    let mut command = cargo(&["test", "--locked", "--test", "it", "--"]);
    cargo::run(command.args(tests).env("PACKAGE_DIR", &unzipped))
        .context("the packed program does not do the main job")?;
    fs::remove_dir_all(&unzipped)?;
    Ok(())
}
