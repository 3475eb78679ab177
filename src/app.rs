//! The app: clients and limits, built once from the settings.

use crate::azure::arm::Arm;
use crate::azure::vault::Vault;
use crate::config::{Config, Place, SecretSource};
use crate::inbox::Inbox;
use crate::queue::{AzureQueue, FolderQueue, Queue, WakeUps};
use crate::secrets::Secrets;
use crate::store::{AzureStore, FolderStore, Store};
use anyhow::Context;
use azure_core::credentials::TokenCredential;
use std::sync::Arc;
use std::time::Duration;

/// A connection that is not made by then will not be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that sends nothing for so long has forgotten us; below every request's own limit.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);

/// All that a trigger, a command or a cycle needs.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub config: Config,
    /// The one HTTP client; connections are shared.
    pub http: reqwest::Client,
    /// The blobs.
    pub store: Store,
    /// Inbox items and wake-ups.
    pub inbox: Inbox,
    pub wake_ups: WakeUps,
    /// Where secrets come from.
    pub secrets: Secrets,
    /// ARM.
    pub arm: Arm,
}

impl App {
    /// Builds the clients, with the identity of the settings. Nothing is called yet, so this is quick.
    ///
    /// # Errors
    /// When the HTTP client or the credential cannot be built, such as without system certificates.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let http = Self::http()?;
        let credential = config.identity.credential(&http).context("cannot build the Azure identity")?;
        Self::with_client(config, http, credential)
    }

    /// Builds the clients with an identity of the caller's.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn with_credential(config: Config, credential: Arc<dyn TokenCredential>) -> anyhow::Result<Self> {
        Self::with_client(config, Self::http()?, credential)
    }

    fn http() -> anyhow::Result<reqwest::Client> {
        reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(SILENCE_TIMEOUT)
            // A redirect would carry credentials to an address that nobody configured.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("qualys-azure-inventory/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot build the HTTP client (are the system's CA certificates installed?)")
    }

    /// Builds the clients with an HTTP client and an identity of the caller's: one that trusts another CA, say.
    ///
    /// # Errors
    /// When an address of the settings is none of its service.
    pub fn with_client(
        config: Config,
        http: reqwest::Client,
        credential: Arc<dyn TokenCredential>,
    ) -> anyhow::Result<Self> {
        let secrets = match &config.secrets {
            SecretSource::Vault(url) => {
                let vault = Vault::new(http.clone(), url.clone(), Arc::clone(&credential));
                Secrets::Vault(vault.context("cannot build the client of KEY_VAULT_URL")?)
            }
            SecretSource::Env(values) => Secrets::Env(values.clone()),
            SecretSource::File(path) => Secrets::File(path.clone()),
        };
        let store = match &config.storage {
            Place::Folder(path) => Store::Folder(FolderStore::new(path)),
            Place::Account(url) => {
                let store = AzureStore::new(http.clone(), url.clone(), Arc::clone(&credential));
                Store::Azure(store.context("cannot build the client of STORAGE")?)
            }
        };
        let queue = match &config.queue {
            Place::Folder(path) => Queue::Folder(FolderQueue::new(path)),
            Place::Account(url) => {
                let queue = AzureQueue::new(http.clone(), url.clone(), Arc::clone(&credential));
                Queue::Azure(queue.context("cannot build the client of QUEUE")?)
            }
        };
        let arm = Arm::new(http.clone(), config.arm.clone(), credential, config.arm_scope.clone());
        let inbox = Inbox::new(store.clone());
        let wake_ups = WakeUps::new(store.clone(), queue, config.gap);
        Ok(Self { config, http, store, inbox, wake_ups, secrets, arm })
    }
}
