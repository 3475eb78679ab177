//! What the demo runs on: a simulated world, a folder with the files of the package, the Functions host with the real
//! program, and ways to look at them.

use super::Demo;
use super::setup::{lay_out, settings};
use super::tell::{at, count, heading, quote, say, size};
use crate::calls::{Call, Service};
use crate::host::{Host, HostOptions, Level, Outcome, Stream};
use crate::world::{Setup, World};
use anyhow::{Context, Result, bail, ensure};
use jiff::SignedDuration;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long the demo waits for anything it expects. A cycle takes well under a second here, and a sync one second.
pub(super) const LIMIT: Duration = Duration::from_secs(20);
/// How often the demo looks while it waits.
const LOOK: Duration = Duration::from_millis(25);
/// What a demo writes into its folder. Nothing else in it is ever removed.
const PARTS: [&str; 3] = ["package", "store", "queue"];

pub(super) struct Stage {
    pub(super) world: World,
    pub(super) host: Host,
    pub(super) begun: Instant,
    folder: PathBuf,
    http: reqwest::Client,
    /// How many invocations have been printed or passed over.
    told: usize,
}

impl Stage {
    /// An empty world, and the program, started.
    pub(super) async fn start(demo: &Demo) -> Result<Self> {
        let begun = Instant::now();
        let folder = std::path::absolute(&demo.keep)?;
        for part in PARTS.map(|part| folder.join(part)).iter().filter(|part| part.exists()) {
            std::fs::remove_dir_all(part).with_context(|| format!("cannot remove {}", part.display()))?;
        }
        let world = World::start(Setup::default());
        world.manners(|manners| {
            // Qualys starts no first sync by itself. That is the slower way, and all of it can be seen.
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

    /// Prints what was done or seen now.
    pub(super) fn tell(&self, text: &str) {
        at(self.begun.elapsed(), text);
    }

    /// Waits until `look` returns something, and prints a line for each cycle that ends meanwhile.
    pub(super) async fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        mut look: impl AsyncFnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let begun = Instant::now();
        loop {
            // Look first and print then, so that every cycle that led to what was found is printed before it is used.
            let found = look(self).await?;
            self.tell_cycles();
            if let Some(found) = found {
                return Ok(found);
            }
            ensure!(begun.elapsed() < limit, "waited {limit:?} for this, and it did not happen: {what}");
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
                // Many wake-ups meet a running cycle or come too early. They would only be noise here.
                Outcome::Succeeded { logs, .. } if logs.iter().all(|log| log.starts_with("dropped")) => {}
                Outcome::Succeeded { logs, .. } => self.tell(&format!("[{took} ms] {}", logs.join(" "))),
                other => self.tell(&format!("a cycle failed: {other:?}")),
            }
        }
        self.told = ended.len();
    }

    /// Waits until no cycle is running or booked and the inbox is empty.
    pub(super) async fn quiet(&mut self) -> Result<()> {
        self.wait("the end of all cycles", LIMIT, async |stage| {
            let busy = !stage.host.open_invocations().is_empty()
                || !stage.host.queue("cycles").messages()?.is_empty();
            let booked = stage.control("wake-up.json")?.is_some_and(|wake_up| !wake_up["due"].is_null());
            Ok((!busy && !booked && stage.inbox() == 0).then_some(()))
        })
        .await
    }

    /// How many items are in the inbox.
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

    /// The status and the `Location` of the host's answer to a POST without a body.
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

    /// Why actions of the latest cycle were not done, as its report says.
    pub(super) fn errors_of_latest_cycle(&self) -> Result<Vec<String>> {
        let status = self.control("status.json")?.context("there is no status")?;
        let cycle = status["cycle"].as_str().context("the status names no cycle")?;
        // A cycle that did nothing writes no report.
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

    /// A line about the newest snapshot, if it is complete and has this many machines of each of these subscriptions.
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

    /// Prints the last log lines, after a demo that failed.
    pub(super) fn say_log(&self) {
        heading("The last log lines of the program and the host");
        let lines = self.host.lines();
        let told = lines.iter().filter(|line| line.stream != Stream::Function);
        let told: Vec<_> =
            told.filter(|line| line.stream == Stream::Stdout || line.level > Level::Information).collect();
        for line in told.iter().skip(told.len().saturating_sub(30)) {
            quote(&line.text);
        }
    }

    /// Prints the files that were written, and how to look at them.
    pub(super) fn say_what_was_written(&self) -> Result<()> {
        heading("What was written");
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
        heading("How to look at it");
        say(&format!("zcat {} | head -1", show(&self.inventory(part))));
        say(&format!("cat {}", show(&self.inventory(manifest))));
        say(&format!("cat {}\n", show(&self.control_folder().join("status.json"))));
        Ok(())
    }
}

/// A path as it can be typed in the current folder.
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
