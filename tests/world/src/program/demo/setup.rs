//! What the program is started with: its folder and its settings.

use super::Demo;
use crate::events::policy_topic;
use crate::world::World;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Puts `host.json`, the function folders and the program side by side, as in the package.
pub(super) fn lay_out(package: &Path, demo: &Demo) -> Result<()> {
    std::fs::create_dir_all(package)?;
    let copy = |from: PathBuf, to: PathBuf| {
        std::fs::copy(&from, &to).map(drop).with_context(|| format!("cannot copy {}", from.display()))
    };
    copy(demo.root.join("host.json"), package.join("host.json"))?;
    for folder in std::fs::read_dir(demo.root.join("function-app"))? {
        let folder = folder?.path();
        let there = package.join(folder.file_name().context("a folder without a name")?);
        std::fs::create_dir_all(&there)?;
        copy(folder.join("function.json"), there.join("function.json"))?;
    }
    let program = package.join("qualys-azure-inventory");
    // With debug information the program is large, so it is linked and not copied, if possible.
    if std::fs::hard_link(&demo.handler, &program).is_err() {
        copy(demo.handler.clone(), program)?;
    }
    Ok(())
}

/// The settings with which the program meets this world, with delays of about a second instead of minutes.
pub(super) fn settings(world: &World, folder: &Path) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> =
        crate::program::settings(world).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let place = |name: &str| format!("folder:{}", folder.join(name).display());
    let ours = [
        ("MODE", "enforce".to_owned()),
        ("SECRETS", "env".to_owned()),
        ("STORAGE", place("store")),
        ("QUEUE", place("queue")),
        ("EVENT_SOURCES", policy_topic(&world.tenant(), &world.tenant())),
        ("SYNC_SCHEDULE", "0 */15 * * * *".to_owned()),
        // In production the first connectors wait for lists that agree over an hour.
        ("ABSENCE_PROOFS", "1".to_owned()),
        ("ABSENCE_AGE", "0s".to_owned()),
        ("FOLLOW_UP", "1500ms".to_owned()),
        ("CYCLE_GAP", "200ms".to_owned()),
        ("SNAPSHOT_GAP", "0s".to_owned()),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true".to_owned()),
    ];
    all.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    all
}
