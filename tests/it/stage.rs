//! A world, a folder for storage and queue, and the product: as the real binary under the host, or in process.

mod files;
mod identity;

pub use files::{files_below, gunzip, names_in, sha256};
pub use identity::WorldIdentity;

use jiff::{SignedDuration, Timestamp};
use qualys_azure_inventory::app::App;
use qualys_azure_inventory::config::Config;
use qualys_azure_inventory::cycle::{self, CycleResult, Ran, StartedBy};
use qualys_azure_inventory::lease::{Acquired, Holder, Lease};
use qualys_azure_inventory::queue::REDELIVERY;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use world::host::{Host, HostOptions};
use world::{Setup, World};

/// Every wait in a test has this limit.
const LIMIT: Duration = Duration::from_mins(1);

pub struct Stage {
    pub world: World,
    pub folder: tempfile::TempDir,
    pub settings: BTreeMap<String, String>,
}

impl Stage {
    /// An empty world, and settings with short delays that enforce.
    pub fn new() -> Self {
        Self::on(World::start(Setup::default()))
    }

    pub fn on(world: World) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = [
            ("MODE", "enforce".to_owned()),
            ("TENANT_ID", world.tenant()),
            ("CONNECTOR_APP_ID", world.app_id()),
            ("SECRETS", "env".to_owned()),
            ("QUALYS_USERNAME", world.qualys_user()),
            ("QUALYS_PASSWORD", world.qualys_password()),
            ("CONNECTOR_CLIENT_SECRET", world.app_secret()),
            ("QUALYS_API_URL", world.qualys_url()),
            ("QUALYS_CALLS_PER_HOUR", "100000".to_owned()),
            ("ARM_URL", world.arm_url()),
            ("IDENTITY_ENDPOINT", world.identity_endpoint()),
            ("IDENTITY_HEADER", world.identity_header()),
            ("STORAGE", format!("folder:{}", folder.path().join("store").display())),
            ("QUEUE", format!("folder:{}", folder.path().join("queue").display())),
            ("FOLLOW_UP", "300ms".to_owned()),
            ("CYCLE_GAP", "100ms".to_owned()),
            ("SNAPSHOT_GAP", "0s".to_owned()),
            ("SYNC_SCHEDULE", "0 */15 * * * *".to_owned()),
            ("AzureWebJobsStorage", "UseDevelopmentStorage=true".to_owned()),
            ("AzureFunctionsJobHost__extensions__queues__visibilityTimeout", "00:00:01".to_owned()),
        ];
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { world, folder, settings }
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Names that the world's proxy knows are reached through it, and its CA is trusted.
    pub fn behind_the_proxy(self) -> Self {
        let trust = self.world.ca_file(self.folder.path()).display().to_string();
        let proxy = self.world.proxy_url();
        self.set("SSL_CERT_FILE", &trust).set("HTTPS_PROXY", &proxy).set("NO_PROXY", "127.0.0.1")
    }

    /// The secrets lie in a vault, `kv-test`, and nowhere else.
    pub fn with_vault(mut self) -> Self {
        let world = &self.world;
        let vault = world.vault("kv-test");
        for (name, value) in [
            ("qualys-username", world.qualys_user()),
            ("qualys-password", world.qualys_password()),
            ("connector-client-secret", world.app_secret()),
        ] {
            world.set_secret("kv-test", name, &value);
        }
        for secret in ["SECRETS", "QUALYS_USERNAME", "QUALYS_PASSWORD", "CONNECTOR_CLIENT_SECRET"] {
            self.settings.remove(secret);
        }
        self.set("KEY_VAULT_URL", &format!("https://{vault}"))
    }

    pub fn now(&self) -> Timestamp {
        self.world.now()
    }

    // ---- the real binary

    /// The host, with the real binary, in a folder laid out as the package is.
    pub async fn host(&self) -> Host {
        self.host_with(|_| ()).await
    }

    /// The host on Azure's queues, with the binary in an environment that holds the settings and nothing else.
    pub async fn azure_host(&self, url: &str) -> Host {
        self.host_with(|options| {
            options.queue_dir = None;
            options.queue_account =
                Some(world::host::AzureQueues { world: self.world.clone(), url: url.to_owned() });
        })
        .await
    }

    pub async fn host_with(&self, change: impl FnOnce(&mut HostOptions)) -> Host {
        // `cargo xtask package` has the main job done by what it packed; else the build under test is laid out the same way.
        let (app_dir, executable) = match std::env::var_os("PACKAGE_DIR") {
            Some(package) => (PathBuf::from(package), None),
            None => {
                let app_dir = self.folder.path().join("app");
                lay_out(&app_dir);
                (app_dir, Some(env!("CARGO_BIN_EXE_qualys-azure-inventory").into()))
            }
        };
        let mut options = HostOptions {
            executable,
            env: self.settings.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            queue_dir: Some(self.folder.path().join("queue")),
            ..HostOptions::new(app_dir)
        };
        change(&mut options);
        Host::start(options).await.unwrap()
    }

    /// Waits until `look` gives something.
    pub async fn wait<T>(&self, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(begun.elapsed() < LIMIT, "waited too long for {what}\n{}", self.tree());
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    /// Waits for a complete snapshot in which each of these machines is a row.
    pub async fn wait_for_machines(&self, machines: &[(String, usize)]) -> Snapshot {
        self.wait("the machines in the newest snapshot", async || {
            let snapshot = self.latest()?;
            let count = |id: &str| {
                snapshot.rows.iter().filter(|row| subscription_of(row) == Some(id.to_owned())).count()
            };
            machines.iter().all(|(id, wanted)| count(id) == *wanted).then_some(snapshot)
        })
        .await
    }

    // ---- in process

    /// The app in this process, with the world's identity.
    pub async fn app(&self) -> App {
        let config = Config::from_lookup(|name| self.settings.get(name).cloned()).unwrap();
        let credential = Arc::new(WorldIdentity::new(&self.world));
        // Storage and vault keep their real names, which the world's proxy knows.
        App::with_client(config, crate::azure::http(&self.world), credential).unwrap()
    }

    /// One cycle by hand, at the world's time.
    pub async fn cycle(&self, app: &App) -> Ran {
        match cycle::run(app, StartedBy::Command { plan_only: false }, self.now()).await.unwrap() {
            CycleResult::Ran(ran) => *ran,
            CycleResult::Dropped { because, .. } => panic!("dropped: {because}"),
        }
    }

    /// Serves the wake-ups that are due at the world's time; how many cycles ran.
    pub async fn serve_wake_ups(&self, app: &App) -> usize {
        let queue = app.wake_ups.queue();
        let mut ran = 0;
        while let Some(taken) = queue.take(REDELIVERY, self.now()).await.unwrap() {
            if let CycleResult::Ran(_) = cycle::run(app, StartedBy::WakeUp, self.now()).await.unwrap() {
                ran += 1;
            }
            queue.finish(taken).await.unwrap();
        }
        ran
    }

    /// The account's lease, as cycle `20261123T040500Z-1f2e3d4c` of this tenant.
    pub async fn hold(&self, app: &App) -> Lease {
        let cycle = "20261123T040500Z-1f2e3d4c".parse().unwrap();
        let holder = Holder { cycle, tenant: app.config.policy.tenant, since: self.now() };
        match Lease::acquire(&app.store, &app.config.account, &holder, app.config.lease).await.unwrap() {
            Acquired::Ours(lease) => lease,
            Acquired::Held(by) => panic!("taken by {by:?}"),
        }
    }

    /// Messages in the queue, due or not.
    pub fn queued(&self) -> usize {
        names_in(&self.folder.path().join("queue/cycles")).len()
    }

    /// A healthy connector of ours for a subscription, as an earlier cycle made it, synced so long ago.
    pub fn ours(&self, subscription: &str, synced: Duration) -> i64 {
        let (id, tenant) = (self.world.connector(subscription), self.world.tenant());
        let last_sync = self.now().checked_sub(SignedDuration::try_from(synced).unwrap()).unwrap();
        self.world.edit_connector(id, |connector| {
            connector.description =
                format!("managed-by: qualys-azure-inventory default/{tenant}/{subscription}");
            (connector.created, connector.last_sync) = (last_sync, Some(last_sync));
        });
        id
    }

    /// Moves the world's clock, which stands still from then on.
    pub fn pass(&self, time: Duration) {
        self.world.advance(SignedDuration::try_from(time).unwrap());
    }

    // ---- what was written

    pub fn control(&self, name: &str) -> PathBuf {
        self.folder
            .path()
            .join("store/control")
            .join(format!("tenant={}", self.settings["TENANT_ID"]))
            .join(name)
    }

    pub fn json(&self, name: &str) -> Option<Value> {
        let bytes = std::fs::read(self.control(name)).ok()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    pub fn inbox(&self) -> Vec<String> {
        names_in(&self.control("inbox"))
    }

    pub fn reports(&self) -> Vec<Value> {
        let read = |name: String| self.json(&format!("reports/{name}")).unwrap();
        names_in(&self.control("reports")).into_iter().map(read).collect()
    }

    /// The newest snapshot, checked: every file is there with the manifest's hash, size and rows.
    pub fn latest(&self) -> Option<Snapshot> {
        let latest = self.json("latest.json")?;
        let inventory = self.folder.path().join("store/inventory");
        let manifest = std::fs::read(inventory.join(latest["manifest"].as_str().unwrap()))
            .expect("the manifest is there");
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        assert_eq!(manifest["complete"], true);
        let mut rows: Vec<Value> = Vec::new();
        for file in manifest["files"].as_array().unwrap() {
            let bytes =
                std::fs::read(inventory.join(file["path"].as_str().unwrap())).expect("each file is there");
            assert_eq!(file["sha256"].as_str().unwrap(), sha256(&bytes));
            assert_eq!(file["bytes"].as_u64().unwrap(), bytes.len() as u64);
            let lines = gunzip(&bytes);
            assert_eq!(file["rows"].as_u64().unwrap(), lines.lines().count() as u64);
            rows.extend(lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        assert_eq!(latest["rows"].as_u64().unwrap(), rows.len() as u64);
        let ids: Vec<i64> = rows
            .iter()
            .map(|row| row["id"].as_i64().or_else(|| row["id"].as_str()?.parse().ok()).unwrap())
            .collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "rows are in order and none is there twice");
        Some(Snapshot { id: latest["snapshot"].as_str().unwrap().to_owned(), manifest, rows })
    }

    /// No known secret of the world, in any form, in any blob or queue message.
    pub fn assert_no_secret(&self) {
        let secrets = self.world.secrets();
        assert!(secrets.len() > 3);
        let mut scanned = 0;
        for file in files_below(self.folder.path()) {
            if file.starts_with(self.folder.path().join("app")) {
                continue;
            }
            let bytes = std::fs::read(&file).unwrap();
            let text = if file.extension().is_some_and(|e| e == "gz") {
                gunzip(&bytes)
            } else {
                String::from_utf8_lossy(&bytes).into_owned()
            };
            assert_shows_none(&file.display().to_string(), &text, &secrets);
            scanned += 1;
        }
        assert!(scanned > 3, "there was something to scan");
    }

    /// The same for everything that the handler printed and answered; and the host found nothing wrong.
    pub async fn assert_clean(&self, host: &Host) {
        host.quiet().await;
        host.assert_clean();
        host.assert_no_secret(&self.world.secrets());
        self.assert_no_secret();
    }

    /// The files, for a failing test's message.
    pub fn tree(&self) -> String {
        let mut lines = Vec::new();
        for file in files_below(&self.folder.path().join("store")) {
            lines.push(file.display().to_string());
        }
        let status = self.json("status.json").map(|status| status.to_string());
        lines.push(status.unwrap_or_default());
        lines.join("\n")
    }
}

pub struct Snapshot {
    pub id: String,
    pub manifest: Value,
    pub rows: Vec<Value>,
}

pub fn subscription_of(row: &Value) -> Option<String> {
    let sources = row["sourceInfo"]["list"].as_array()?;
    sources
        .iter()
        .find_map(|source| Some(source["AzureAssetSourceSimple"]["subscriptionId"].as_str()?.to_owned()))
}

pub fn assert_shows_none(place: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!qualys_azure_inventory::secrets::shows(text, secret), "a secret shows in {place}");
    }
}

fn lay_out(app_dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir_all(app_dir).unwrap();
    std::fs::copy(root.join("host.json"), app_dir.join("host.json")).unwrap();
    for folder in std::fs::read_dir(root.join("function-app")).unwrap() {
        let folder = folder.unwrap().path();
        let there = app_dir.join(folder.file_name().unwrap());
        std::fs::create_dir_all(&there).unwrap();
        std::fs::copy(folder.join("function.json"), there.join("function.json")).unwrap();
    }
}
