//! The checks of the zip. Each prints a line with what was found, or fails with what is wrong and what to do.

use super::app::{App, HOST, executable, function_of};
use super::build::GLIBC;
use super::elf::Needs;
use super::zipped::{self, EXECUTABLE_MODE, Entry, FILE_MODE};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const AGAIN: &str = "the zip is broken or old; run `cargo xtask package`";

/// Runs the checks, up to the first that fails. `scratch` is a folder for the unzipped files.
pub(super) fn all(app: &App, zip: &[u8], scratch: &Path) -> Result<()> {
    let entries = &zipped::read(zip).context(AGAIN)?;
    check("layout", layout(entries), "change what `zipped::write` puts into the zip")?;
    check("functions", functions(app, entries), AGAIN)?;
    check("contents", contents(app, entries), AGAIN)?;
    check(
        "executable",
        program(entries).map(|entry| entry.name.clone()),
        "make `zipped::write` use that name",
    )?;
    check(
        "modes",
        modes(entries),
        "make `zipped::write` set it; without the execute bit the host cannot start the program",
    )?;
    check(
        "glibc",
        glibc(entries),
        "a plain `cargo build` is not enough; `cargo xtask package` links for an old glibc",
    )?;
    check("start", start(zip, entries, scratch), "look into the folder `unzipped` beside the zip")?;
    check("size", Ok(size(zip, entries)), AGAIN)
}

fn check(name: &str, found: Result<String>, advice: &str) -> Result<()> {
    match found {
        Ok(found) => println!("  {name:<10} {found}"),
        Err(error) => bail!("the package must not be deployed: {name}: {error:#}; {advice}"),
    }
    Ok(())
}

/// At the root there must be `host.json`, one other file, and folders that contain only `function.json`.
fn layout(entries: &[Entry]) -> Result<String> {
    let mut names = BTreeSet::new();
    for Entry { name, .. } in entries {
        if !names.insert(name.as_str()) {
            bail!("the zip has `{name}` twice");
        }
    }
    if !names.contains(HOST) {
        bail!("{HOST} is not at the root");
    }
    let (functions, others): (Vec<&str>, Vec<&str>) =
        names.into_iter().filter(|&name| name != HOST).partition(|name| function_of(name).is_some());
    match *others {
        [one] if !one.contains('/') => Ok(format!("{HOST}, one file, {} functions", functions.len())),
        _ => bail!(
            "besides {HOST} and the functions there must be only the executable, but there are {others:?}"
        ),
    }
}

/// The folders must be those of the repository.
fn functions(app: &App, entries: &[Entry]) -> Result<String> {
    let there: BTreeSet<&str> = entries.iter().filter_map(|entry| function_of(&entry.name)).collect();
    let wanted = app.functions();
    let missing: Vec<_> = wanted.difference(&there).collect();
    let strange: Vec<_> = there.difference(&wanted).collect();
    if !missing.is_empty() || !strange.is_empty() {
        bail!("the folders are not those of function-app/: missing {missing:?}, too many {strange:?}");
    }
    Ok(Vec::from_iter(wanted).join(", "))
}

/// The texts must be those of the repository, so that the zip is not an old one.
fn contents(app: &App, entries: &[Entry]) -> Result<String> {
    for (name, wanted) in &app.files {
        let there = entries.iter().find(|entry| entry.name == *name);
        if there.is_some_and(|entry| entry.content != *wanted) {
            bail!("{name} differs from that of the repository");
        }
    }
    Ok(format!("{} files are those of the repository", app.files.len()))
}

/// The entry that the host will start, according to the host.json in the zip.
fn program(entries: &[Entry]) -> Result<&Entry> {
    let named = |name: &str| entries.iter().find(|entry| entry.name == name);
    let wanted = executable(&named(HOST).context("there is no host.json")?.content)?;
    named(&wanted)
        .with_context(|| format!("there is no `{wanted}`, which host.json's defaultExecutablePath names"))
}

/// The host sets the execute bit itself, but not on every plan, and not on a read-only mount (source of the host, v4).
fn modes(entries: &[Entry]) -> Result<String> {
    let program = &program(entries)?.name;
    for Entry { name, mode, .. } in entries {
        let wanted = if name == program { EXECUTABLE_MODE } else { FILE_MODE };
        match mode {
            None => bail!("`{name}` is not marked as made on Unix, so its mode has no effect"),
            Some(mode) if *mode != wanted => {
                bail!("`{name}` has mode {mode:04o}, but should have {wanted:04o}")
            }
            Some(_) => {}
        }
    }
    Ok(format!("{EXECUTABLE_MODE:04o} for `{program}`, {FILE_MODE:04o} for the rest"))
}

fn glibc(entries: &[Entry]) -> Result<String> {
    let (major, minor) = Needs::of(&program(entries)?.content)?.glibc(GLIBC)?;
    Ok(format!("it needs glibc {major}.{minor} at most, and no other library"))
}

/// Unzips the zip and starts the executable with an empty environment.
fn start(zip: &[u8], entries: &[Entry], scratch: &Path) -> Result<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok("SKIPPED, because this machine cannot run it".to_owned());
    }
    let program = program(entries)?;
    let folder = scratch.join("unzipped");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    zipped::unzip(zip, &folder).context("cannot unzip it")?;
    let output = Command::new(folder.join(&program.name)).arg("--version").env_clear().output();
    let output = output.context("cannot start it")?;
    if !output.status.success() {
        bail!("`--version` ended with {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    fs::remove_dir_all(&folder)?;
    Ok(format!("`--version` says {}", String::from_utf8_lossy(&output.stdout).trim()))
}

fn size(zip: &[u8], entries: &[Entry]) -> String {
    let program = program(entries).map_or(0, |entry| entry.content.len());
    format!("zip {} bytes, executable in it {program} bytes", zip.len())
}

#[cfg(test)]
mod tests;
