//! The product on Azure's own edges: Azurite's blobs and queue, the vault and managed identity.

use super::{Stage, assert_shows_none, gunzip, sha256};
use qualys_azure_inventory::manifest::Manifest;
use serde_json::Value;
use world::azurite::{Azurite, blob_host, queue_host};
use world::host::Host;

/// A stage whose product speaks to Azure, with an Azurite of its own.
pub struct AzureStage {
    pub stage: Stage,
    pub azurite: Azurite,
}

/// None where Azurite is not installed.
pub fn azure_stage() -> Option<AzureStage> {
    let stage = Stage::new();
    let azurite = crate::azure::azurite(&stage.world)?;
    stage.world.storage(&azurite);
    for container in ["inventory", "control"] {
        azurite.create_container(container).unwrap();
    }
    azurite.create_queue("cycles").unwrap();
    let stage = stage
        .behind_the_proxy()
        .with_vault()
        .set("STORAGE", &format!("https://{}", blob_host()))
        .set("QUEUE", &format!("https://{}", queue_host()))
        .set("FOLLOW_UP", "1s")
        .set("LEASE", "15s");
    Some(AzureStage { stage, azurite })
}

impl AzureStage {
    /// The host with the real binary, on this account's queues.
    pub async fn host(&self) -> Host {
        self.stage.azure_host(&format!("https://{}", queue_host())).await
    }

    pub fn json(&self, name: &str) -> Option<Value> {
        let path = format!("tenant={}/{name}", self.stage.settings["TENANT_ID"]);
        let bytes = self.azurite.blob("control", &path).unwrap()?;
        Some(serde_json::from_slice(&bytes).unwrap())
    }

    /// The names of the inbox items.
    pub fn inbox(&self) -> Vec<String> {
        self.azurite.blobs("control", &format!("tenant={}/inbox/", self.stage.settings["TENANT_ID"])).unwrap()
    }

    /// The rows of the newest snapshot; every file has the manifest's hash.
    pub fn rows(&self) -> Option<Vec<Value>> {
        let latest = self.json("latest.json")?;
        let read = |path: &str| self.azurite.blob("inventory", path).unwrap().expect("each file is there");
        let manifest: Manifest = serde_json::from_slice(&read(latest["manifest"].as_str().unwrap())).unwrap();
        let mut rows = Vec::new();
        for file in &manifest.files {
            let bytes = read(&file.path);
            assert_eq!(file.sha256, sha256(&bytes));
            rows.extend(gunzip(&bytes).lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        Some(rows)
    }

    /// Messages in the queue, visible or not.
    pub fn messages(&self) -> u64 {
        self.azurite.queue_length("cycles").unwrap()
    }

    pub async fn wait_for_rows(&self, wanted: usize) -> Vec<Value> {
        self.stage
            .wait("the rows in the newest snapshot", async || self.rows().filter(|rows| rows.len() == wanted))
            .await
    }

    /// Waits until the cycles have settled every inbox item.
    pub async fn wait_for_empty_inbox(&self) {
        self.stage.wait("an empty inbox", async || self.inbox().is_empty().then_some(())).await;
    }

    /// Waits until no cycle runs and none is to come: a message is in the queue, hidden, until its cycle has ended.
    pub async fn wait_for_rest(&self) {
        let rests = async || {
            let is_booked = self.json("wake-up.json").is_some_and(|booking| !booking["due"].is_null());
            (self.inbox().is_empty() && !is_booked && self.messages() == 0).then_some(())
        };
        self.stage.wait("rest", rests).await;
    }

    /// No secret that the world knows shows in any blob.
    pub fn assert_no_secret(&self) {
        let secrets = self.stage.world.secrets();
        let mut scanned = 0;
        for container in ["inventory", "control"] {
            for name in self.azurite.blobs(container, "").unwrap() {
                let bytes = self.azurite.blob(container, &name).unwrap().unwrap_or_default();
                let text = if name.ends_with(".gz") {
                    gunzip(&bytes)
                } else {
                    String::from_utf8_lossy(&bytes).into_owned()
                };
                assert_shows_none(&name, &text, &secrets);
                scanned += 1;
            }
        }
        assert!(scanned > 3);
    }
}
