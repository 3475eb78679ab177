//! A world, a folder for storage and queue, and the product: as the real binary under the host, or in process.

mod azure;
mod files;
mod hold;
mod identity;
mod in_process;
mod log;
mod program;
mod served;
mod waits;
mod written;

pub use azure::{AzureStage, azure_stage};
pub use files::{files_below, gunzip, names_in, sha256};
pub use hold::Hold;
pub use identity::WorldIdentity;
pub use in_process::started_by;
pub use log::Log;
pub use served::{kib, until_closed};
pub use waits::{LIMIT, hurried, in_a_minute};
pub use written::{Snapshot, assert_shows_none, subscription_of};

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use world::{Setup, World};

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

    /// The same with the world's clock standing still and delays as in production: for rules that need hours.
    pub fn still() -> Self {
        let stage = Self::new().set("CYCLE_GAP", "1m").set("FOLLOW_UP", "2m").set("SNAPSHOT_GAP", "1h");
        stage.world.set_time("2026-11-23T04:00:00Z".parse().unwrap());
        stage
    }

    /// The same with proofs of absence as in production.
    pub fn doubting() -> Self {
        Self::still().set("ABSENCE_PROOFS", "3").set("ABSENCE_AGE", "60m")
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
            // One list proves an absence: few tests are about the hour that it takes by default.
            ("ABSENCE_PROOFS", "1".to_owned()),
            ("ABSENCE_AGE", "0s".to_owned()),
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

    /// The program trusts the world's CA and goes through its proxy, which knows the services' real names.
    pub fn behind_the_proxy(self) -> Self {
        let trust = self.world.ca_file(self.folder.path()).display().to_string();
        let proxy = self.world.proxy_url();
        self.set("SSL_CERT_FILE", &trust).set("HTTPS_PROXY", &proxy).set("NO_PROXY", "127.0.0.1")
    }

    /// The secrets are in a vault, `kv-test`, and nowhere else.
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

    /// Makes a healthy connector of ours for a subscription, last synced so long ago. Returns its id.
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

    /// Moves the world's clock, which then stands still.
    pub fn pass(&self, time: Duration) {
        self.world.advance(SignedDuration::try_from(time).unwrap());
    }
}
