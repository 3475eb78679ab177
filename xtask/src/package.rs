//! `cargo xtask package`: the zip that is deployed.
//!
//! Guarantees: the same files make the same zip, byte for byte. No unchecked zip is left behind: whatever would fail on
//! the Functions host or its image only after the deployment is checked here.

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
/// The tests that the packed program must pass, with folders and with the Azure services.
const MAIN_JOB_TESTS: [&str; 2] = [
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
            .with_context(|| format!("there is no {}; `cargo xtask package` builds it", path.display()))?;
        println!("{}", path.display());
        return check::all(&app, &zip, &folder);
    }
    // It has another name until the checks have passed, so that nobody deploys a zip that failed.
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
    run_main_job(&zip, &folder)?;
    fs::rename(&unproven, &path).with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

/// Lets the packed program do its main job in the unzipped folder under the simulated host, with folders and with the
/// Azure services, in an environment that has only the documented settings.
fn run_main_job(zip: &[u8], folder: &Path) -> Result<()> {
    let unzipped = folder.join("tested");
    if unzipped.exists() {
        fs::remove_dir_all(&unzipped)?;
    }
    zipped::unzip(zip, &unzipped).context("cannot unzip it")?;
    crate::test::azurite()?;
    for name in MAIN_JOB_TESTS {
        let mut command = cargo(&["test", "--locked", "--test", "it", "--", "--exact", name]);
        // With `CI` set, a test that would be skipped fails.
        let output = command.env("PACKAGE_DIR", &unzipped).env("CI", "true").output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        ensure!(
            output.status.success() && printed.contains("1 passed"),
            "the packed program does not do the main job: {name}\n{printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        println!("tested        {name}");
    }
    fs::remove_dir_all(&unzipped)?;
    Ok(())
}
