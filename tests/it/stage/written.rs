//! What the product stored in the stage's folder.

use super::{Stage, files_below, gunzip, names_in, sha256};
use serde_json::Value;
use std::path::PathBuf;

/// The newest snapshot.
pub struct Snapshot {
    pub id: String,
    pub manifest: Value,
    pub rows: Vec<Value>,
}

impl Stage {
    /// The file of one of the tenant's blobs.
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

    /// The names of the inbox items.
    pub fn inbox(&self) -> Vec<String> {
        names_in(&self.control("inbox"))
    }

    pub fn reports(&self) -> Vec<Value> {
        let read = |name: String| self.json(&format!("reports/{name}")).unwrap();
        names_in(&self.control("reports")).into_iter().map(read).collect()
    }

    /// What the newest status says that a person must do, as JSON.
    pub fn needs_a_person(&self) -> String {
        self.json("status.json").unwrap()["needs_a_person"].to_string()
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
        assert!(ids.is_sorted_by(|a, b| a < b), "the rows are in order and none is there twice");
        Some(Snapshot { id: latest["snapshot"].as_str().unwrap().to_owned(), manifest, rows })
    }

    /// No secret that the world knows shows, in any form, in any blob or queue message.
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

    /// The stored files and the status, for the message of a test that fails.
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

/// The subscription of a row.
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
