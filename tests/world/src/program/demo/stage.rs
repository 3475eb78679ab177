//! The stage: a world, a folder laid out as the package is, the host with the real program in it, and ways to look.

use super::Demo;
use super::tell::{at, count, heading, quote, say, size};
use crate::calls::{Call, Service};
use crate::events::policy_topic;
use crate::host::{Host, HostOptions, Level, Outcome, Stream};
use crate::world::{Setup, World};
use anyhow::{Context, Result, bail, ensure};
use jiff::SignedDuration;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Everything expected has so long. Cycles take well under a second here, and syncs one.
pub(super) const LIMIT: Duration = Duration::from_secs(20);
/// How often the stage is looked at.
const LOOK: Duration = Duration::from_millis(25);
/// What a demo writes into its folder; only these are ever removed.
const PARTS: [&str; 3] = ["package", "store", "queue"];

pub(super) struct Stage {
    pub(super) world: World,
    pub(super) host: Host,
    pub(super) begun: Instant,
    folder: PathBuf,
    http: reqwest::Client,
    /// Invocations whose outcome has been told.
    told: usize,
}

impl Stage {
    /// A world with nothing in it yet but its manners, and the program, started.
    pub(super) async fn set(demo: &Demo) -> Result<Self> {
        let begun = Instant::now();
        let folder = std::path::absolute(&demo.keep)?;
        for part in PARTS.map(|part| folder.join(part)).iter().filter(|part| part.exists()) {
            std::fs::remove_dir_all(part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
        let world = World::start(Setup::default());
        world.manners(|manners| {
            // Nobody starts a first sync but us: the slower way, and all of it is seen.
            manners.auto_start = None;
            manners.run_lag = SignedDuration::from_millis(200);
            manners.sync_duration = SignedDuration::from_secs(1);
            manners.latency = Some(Duration::from_millis(20));
        });
        let package = folder.join("package");
        lay_out(&package, demo)?;
        let options = HostOptions {
            env: settings(&world, &folder),
            queue_dir: Some(folder.join("queue")),
            ..HostOptions::new(package)
        };
        let host = Host::start(options).await?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { world, host, begun, folder, http, told: 0 })
    }

    /// Tells what was done or seen now.
    pub(super) fn tell(&self, text: &str) {
        at(self.begun.elapsed(), text);
    }

    /// Waits until `look` gives something, and tells each cycle that ends meanwhile.
    pub(super) async fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            // Looked at before it is told: what was seen then is told before it is used.
            let found = look(self).await?;
            self.tell_cycles();
            if let Some(found) = found {
                return Ok(found);
            }
            ensure!(begun.elapsed() < limit, "after {limit:?} there was still not: {what}");
            if let Some(why) = self.host.stopped() {
                bail!("the host has stopped: {why}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn tell_cycles(&mut self) {
        let ended = self.host.invocations();
        for invocation in ended.iter().skip(self.told).filter(|invocation| invocation.function == "cycle") {
            let took = invocation.took.as_millis();
            match &invocation.outcome {
                // Wake-ups that find a cycle running, or come too early, are many and say nothing here.
                Outcome::Succeeded { logs, .. } if logs.iter().all(|log| log.starts_with("dropped")) => {}
                Outcome::Succeeded { logs, .. } => self.tell(&format!("[{took} ms] {}", logs.join(" "))),
                other => self.tell(&format!("a cycle ended badly: {other:?}")),
            }
        }
        self.told = ended.len();
    }

    /// Waits until no cycle runs and none is booked.
    pub(super) async fn quiet(&mut self) -> Result<()> {
        self.wait("quiet: no cycle under way or booked", LIMIT, async |stage| {
            let busy = !stage.host.open_invocations().is_empty()
                || !stage.host.queue("cycles").messages()?.is_empty();
            let booked = stage.control("wake-up.json")?.is_some_and(|wake_up| !wake_up["due"].is_null());
            Ok((!busy && !booked && stage.inbox() == 0).then_some(()))
        })
        .await
    }

    /// How many inbox items lie there.
    fn inbox(&self) -> usize {
        let items = std::fs::read_dir(self.control_folder().join("inbox"));
        items
            .into_iter()
            .flatten()
            .flatten()
            .filter(|item| !item.file_name().as_encoded_bytes().starts_with(b"."))
            .count()
    }

    /// The host's answer to a GET.
    pub(super) async fn get(&self, path: &str) -> Result<(u16, String)> {
        let answer = self.http.get(format!("{}{path}", self.host.url())).timeout(LIMIT).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// The host's answer to a POST without a body, and where it points to.
    pub(super) async fn post(&self, path: &str) -> Result<(u16, String)> {
        let answer = self.http.post(format!("{}{path}", self.host.url())).timeout(LIMIT).send().await?;
        let location = answer.headers().get("location").and_then(|location| location.to_str().ok());
        Ok((answer.status().as_u16(), location.unwrap_or_default().to_owned()))
    }

    fn control_folder(&self) -> PathBuf {
        self.folder.join("store/control").join(format!("tenant={}", self.world.tenant()))
    }

    /// A blob about the tenant.
    pub(super) fn control(&self, name: &str) -> Result<Option<Value>> {
        read(&self.control_folder().join(name))
    }

    /// What the report of the latest cycle says of steps that were not done.
    pub(super) fn errors_of_latest_cycle(&self) -> Result<Vec<String>> {
        let status = self.control("status.json")?.context("there is no status")?;
        let cycle = status["cycle"].as_str().context("the status names no cycle")?;
        // A cycle that did nothing writes none.
        let report = self.control(&format!("reports/{cycle}.json"))?.unwrap_or_default();
        let outcomes = report["outcomes"].as_array().into_iter().flatten();
        let error =
            |outcome: &Value| Some(outcome["error"].as_str().or(outcome["because"].as_str())?.to_owned());
        Ok(outcomes.filter_map(error).collect())
    }

    /// `latest.json` and the manifest that it names: the newest complete snapshot.
    pub(super) fn latest(&self) -> Result<Option<(Value, Value)>> {
        let Some(latest) = self.control("latest.json")? else { return Ok(None) };
        let path = self.inventory(latest["manifest"].as_str().context("latest.json names no manifest")?);
        let manifest = read(&path)?.context("latest.json names a manifest that is not there")?;
        Ok(Some((latest, manifest)))
    }

    fn inventory(&self, path: &str) -> PathBuf {
        self.folder.join("store/inventory").join(path)
    }

    /// Whether the newest snapshot is complete and has so many machines of each of these subscriptions.
    pub(super) fn snapshot_has(&self, wanted: &[(String, usize)]) -> Result<Option<String>> {
        let Some((latest, manifest)) = self.latest()? else { return Ok(None) };
        let rows = |id: &str| manifest["rows_by_subscription"][id].as_u64().unwrap_or_default();
        let all = wanted.iter().all(|(id, machines)| rows(id) == *machines as u64);
        let id = latest["snapshot"].as_str().unwrap_or_default();
        let text = format!(
            "Snapshot {id} is complete: {} in {}.",
            count(usize::try_from(latest["rows"].as_u64().unwrap_or_default())?, "machine"),
            count(
                manifest["rows_by_subscription"].as_object().map_or(0, serde_json::Map::len),
                "subscription"
            )
        );
        Ok((all && manifest["complete"] == true).then_some(text))
    }

    /// The calls to Qualys since the record was last cleared.
    pub(super) fn qualys_calls(&self) -> Vec<Call> {
        let mut calls = self.world.calls();
        calls.retain(|call| call.service == Service::Qualys);
        calls
    }

    /// What the program said, for a demo that failed.
    pub(super) fn say_log(&self) {
        heading("What the program and the host said last");
        let lines = self.host.lines();
        let told = lines.iter().filter(|line| line.stream != Stream::Function);
        let told: Vec<_> =
            told.filter(|line| line.stream == Stream::Stdout || line.level > Level::Information).collect();
        for line in told.iter().skip(told.len().saturating_sub(30)) {
            quote(&line.text);
        }
    }

    /// The tree of what was written, and how to look at it.
    pub(super) fn say_what_is_left(&self) -> Result<()> {
        heading("What was written, and stays");
        let mut files = Vec::new();
        files_below(&self.folder.join("store"), &mut files)?;
        say(&format!("{}/", show(&self.folder)));
        for file in &files {
            let name = file.strip_prefix(&self.folder).unwrap_or(file);
            say(&format!("{:>10}  {}", size(std::fs::metadata(file)?.len()), name.display()));
        }
        let (_, manifest) = self.latest()?.context("there is no snapshot")?;
        let part = manifest["files"][0]["path"].as_str().context("the newest snapshot has no file")?;
        let snapshot = self.control("latest.json")?.unwrap_or_default();
        let manifest = snapshot["manifest"].as_str().unwrap_or_default();
        heading("To look at it");
        say(&format!("zcat {} | head -1", show(&self.inventory(part))));
        say(&format!("cat {}", show(&self.inventory(manifest))));
        say(&format!("cat {}\n", show(&self.control_folder().join("status.json"))));
        Ok(())
    }
}

/// A path as short as it can be typed from here.
fn show(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    let text = short.as_deref().unwrap_or(path).display().to_string();
    if text.contains(|c: char| c.is_whitespace() || c == '\'') {
        format!("'{}'", text.replace('\'', r"'\''"))
    } else {
        text
    }
}

/// host.json, the function folders and the program, side by side.
fn lay_out(package: &Path, demo: &Demo) -> Result<()> {
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
    // A link is enough, and saves a copy of a large file with debug information.
    if std::fs::hard_link(&demo.handler, &program).is_err() {
        copy(demo.handler.clone(), program)?;
    }
    Ok(())
}

/// The settings that find this world, with delays of a second instead of minutes.
fn settings(world: &World, folder: &Path) -> Vec<(String, String)> {
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
        ("FOLLOW_UP", "1500ms".to_owned()),
        ("CYCLE_GAP", "200ms".to_owned()),
        ("SNAPSHOT_GAP", "0s".to_owned()),
        ("AzureWebJobsStorage", "UseDevelopmentStorage=true".to_owned()),
    ];
    all.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    all
}

fn read(path: &Path) -> Result<Option<Value>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(
            serde_json::from_slice(&bytes).with_context(|| format!("cannot read {}", path.display()))?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            files_below(&entry.path(), found)?;
        } else {
            found.push(entry.path());
        }
    }
    Ok(())
}
