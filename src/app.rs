//! The app: the tenant and its clients, built once from the settings.

use crate::account::Account;
use crate::azure::arm::Arm;
use crate::azure::vault::Vault;
use crate::config::{Config, Place, SecretSource};
use crate::inbox::Inbox;
use crate::qualys::CallLimits;
use crate::queue::{AzureQueue, FolderQueue, Queue, WakeUps};
use crate::secrets::Secrets;
use crate::store::{AzureStore, FolderStore, Store};
use crate::tenant::Tenant;
use anyhow::Context;
use azure_core::credentials::TokenCredential;
use reqwest::redirect;
use std::sync::Arc;
use std::time::Duration;

/// A connection that takes longer counts as failed.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// A server that sends nothing for this long counts as gone. Shorter than the limit of every request.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);

/// All that a trigger or a command needs.
#[derive(Debug)]
pub struct App {
    pub tenant: Tenant,
    /// Topics and sources whose events count.
    pub event_sources: Vec<String>,
}

impl App {
    /// Builds the clients, with the identity that the settings name. Nothing is called yet, so this is quick.
    ///
    /// # Errors
    /// When the HTTP client or the credential cannot be built, for example without system certificates.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let http = Self::http()?;
        let credential =
            config.identity.credential(&http, config.cloud).context("cannot build the Azure identity")?;
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
            // A redirect would carry credentials to an address that is not in the settings.
            .redirect(redirect::Policy::none())
            .user_agent(concat!("qualys-azure-inventory/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot build the HTTP client (are the system's CA certificates installed?)")
    }

    /// Builds the clients with an HTTP client and an identity of the caller's, for example a client that trusts another CA.
    ///
    /// # Errors
    /// When an address in the settings cannot belong to its service.
    pub fn with_client(
        config: Config,
        http: reqwest::Client,
        credential: Arc<dyn TokenCredential>,
    ) -> anyhow::Result<Self> {
        let secrets = secrets(config.secrets, &http, &credential)?;
        let store = store(config.storage, &http, &credential)?;
        let queue = queue(config.queue, &http, &credential)?;
        let inbox = Inbox::new(store.clone());
        let wake_ups = WakeUps::new(store.clone(), queue, config.gap);
        let account = Account {
            name: config.account,
            api: config.qualys_api,
            limits: CallLimits {
                per_hour: config.calls_per_hour,
                reserve_percent: config.reserve_percent,
                at_once: config.concurrency,
            },
            lease: config.lease,
            http: http.clone(),
            store: store.clone(),
            inbox: inbox.clone(),
            wake_ups: wake_ups.clone(),
        };
        let tenant = Tenant {
            policy: config.policy,
            scope: config.scope,
            exclude: config.exclude,
            snapshot_every: config.snapshot_every,
            snapshot_gap: config.snapshot_gap,
            cycle_budget: config.budget,
            store,
            inbox,
            wake_ups,
            secrets,
            arm: Arm::new(http, config.arm, credential, config.cloud.arm_scope()),
            account,
        };
        Ok(Self { tenant, event_sources: config.event_sources })
    }
}

fn secrets(
    source: SecretSource,
    http: &reqwest::Client,
    credential: &Arc<dyn TokenCredential>,
) -> anyhow::Result<Secrets> {
    Ok(match source {
        SecretSource::Vault(url) => {
            let vault = Vault::new(http.clone(), url, Arc::clone(credential));
            Secrets::Vault(vault.context("cannot build the client of KEY_VAULT_URL")?)
        }
        SecretSource::Env(values) => Secrets::Env(values),
        SecretSource::File(path) => Secrets::File(path),
    })
}

fn store(
    place: Place,
    http: &reqwest::Client,
    credential: &Arc<dyn TokenCredential>,
) -> anyhow::Result<Store> {
    Ok(match place {
        Place::Folder(path) => Store::Folder(FolderStore::new(path)),
        Place::Account(url) => {
            let store = AzureStore::new(http.clone(), url, Arc::clone(credential));
            Store::Azure(store.context("cannot build the client of STORAGE")?)
        }
    })
}

fn queue(
    place: Place,
    http: &reqwest::Client,
    credential: &Arc<dyn TokenCredential>,
) -> anyhow::Result<Queue> {
    Ok(match place {
        Place::Folder(path) => Queue::Folder(FolderQueue::new(path)),
        Place::Account(url) => {
            let queue = AzureQueue::new(http.clone(), url, Arc::clone(credential));
            Queue::Azure(queue.context("cannot build the client of QUEUE")?)
        }
    })
}
