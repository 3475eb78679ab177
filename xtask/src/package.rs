//! `cargo xtask package`: the zip that is deployed.
//!
//! Guarantees: the same files make the same zip, byte for byte; and no zip is left unproven: each thing that the Functions
//! host or its image would stumble over only after the deployment is a check here.

mod app;
mod build;
mod check;
mod elf;
mod zipped;

use crate::cargo::{cargo, target};
use anyhow::{Context, Result, bail, ensure};
use app::App;
use std::fs;
use std::path::Path;

/// The program, as cargo names it.
const PROGRAM: &str = "qualys-azure-inventory";
/// The tests that the packed program must pass, on folders and on Azure's edges.
const PLAYED: [&str; 2] = [
    "main_job::a_timer_tick_leads_to_connectors_syncs_and_a_proven_snapshot",
    "azure_job::timer_event_and_request_do_the_main_job_on_azures_edges",
];

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
    if check_only {
        let zip = fs::read(&path)
            .with_context(|| format!("there is no {}; `cargo xtask package` makes it", path.display()))?;
        println!("{}", path.display());
        return check::all(&app, &zip, &folder);
    }
    // Under another name until it is proven, so that nobody deploys what failed.
    let unproven = folder.join(format!("{PROGRAM}.zip.unproven"));
    if path.exists() {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    let program = build::program(&target)?;
    let program = fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
    let zip = zipped::write(&app, &program)?;
    fs::create_dir_all(&folder)?;
    fs::write(&unproven, &zip).with_context(|| format!("cannot write {}", unproven.display()))?;
    check::all(&app, &zip, &folder)?;
    play(&zip, &folder)?;
    fs::rename(&unproven, &path).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

/// The main job, done by the packed program in the unzipped folder under the simulated host, on folders and on Azure's
/// edges, in an environment that holds the documented settings and nothing else.
fn play(zip: &[u8], folder: &Path) -> Result<()> {
    let unzipped = folder.join("played");
    if unzipped.exists() {
        fs::remove_dir_all(&unzipped)?;
    }
    zipped::unzip(zip, &unzipped).context("cannot unzip it")?;
    crate::test::azurite()?;
    for name in PLAYED {
        let mut command = cargo(&["test", "--locked", "--test", "it", "--", "--exact", name]);
        // With `CI` a test that would skip itself fails.
        let output = command.env("PACKAGE_DIR", &unzipped).env("CI", "true").output()?;
        let told = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && told.contains("1 passed"),
            "the packed program does not do the main job: {name}\n{told}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        println!("played        {name}");
    }
    fs::remove_dir_all(&unzipped)?;
    Ok(())
}
