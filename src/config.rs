//! Settings: read once, from the environment and the file that `CONFIG` names. Everything that is wrong is reported
//! together.
//!
//! This is the only module that reads the environment. `config/settings.rs` has the table of all settings.

mod contradictions;
mod file;
mod platform;
mod policy;
mod reader;
mod serve;
mod settings;
mod sources;
mod values;

pub use reader::ConfigError;
pub use serve::{ServeConfig, logging};
pub use settings::help;

use crate::azure::cloud::{Cloud, PUBLIC};
use crate::azure::identity::Identity;
use crate::model::{Name, Scope};
use crate::plan::Policy;
use crate::state::without_reserve;
use policy::policy;
use reader::Reader;
use secrecy::SecretString;
use settings::{azure, limits, places, qualys, serving, watch};
use sources::{identity, place, qualys_api, secret_source};
use std::collections::BTreeMap;
use std::env::VarError;
use std::path::PathBuf;
use std::time::Duration;
use tracing::warn;
use url::Url;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// The settings of one tenant. Each field names its setting; `config/settings.rs` says what it means.
#[derive(Debug, Clone)]
pub struct Config {
    /// What cycles may do: `MODE`, and the settings of connectors, syncs and brakes.
    pub policy: Policy,
    /// `ACCOUNT`.
    pub account: Name,
    /// `SCOPE`; empty: all that the identity sees.
    pub scope: Scope,
    /// `EXCLUDE`.
    pub exclude: Scope,
    /// `EVENT_SOURCES`.
    pub event_sources: Vec<String>,
    /// `KEY_VAULT_URL` or `SECRETS`.
    pub secrets: SecretSource,
    /// `QUALYS_API_URL`, or the address of `QUALYS_PLATFORM`.
    pub qualys_api: Url,
    /// `QUALYS_CALLS_PER_HOUR`, the reserve included.
    pub calls_per_hour: u32,
    /// `QUALYS_RESERVE_PERCENT`.
    pub reserve_percent: u32,
    /// `QUALYS_CONCURRENCY`.
    pub concurrency: usize,
    /// `STORAGE`.
    pub storage: Place,
    /// `QUEUE`.
    pub queue: Place,
    /// `SNAPSHOT_EVERY`.
    pub snapshot_every: Duration,
    /// `SNAPSHOT_GAP`.
    pub snapshot_gap: Duration,
    /// `CYCLE_BUDGET`.
    pub budget: Duration,
    /// `CYCLE_GAP`.
    pub gap: Duration,
    /// `LEASE`.
    pub lease: Duration,
    /// `ARM_URL`, or the address of `AZURE_CLOUD`.
    pub arm: Url,
    /// `AZURE_CLOUD`.
    pub cloud: Cloud,
    /// `AZURE_IDENTITY` and what it needs.
    pub identity: Identity,
}

/// Where blobs or wake-ups are kept.
#[derive(Debug, Clone)]
pub enum Place {
    /// `folder:<path>`.
    Folder(PathBuf),
    /// A service of a storage account, for example `https://account.blob.core.windows.net`.
    Account(Url),
}

/// Where secrets come from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    Vault(Url),
    /// The environment, read at start; by the names that a vault would have.
    Env(BTreeMap<String, SecretString>),
    /// A file with a JSON object.
    File(PathBuf),
}

impl Config {
    /// Reads the process's environment, and the file that `CONFIG` names there. Logs a warning for each variable that is
    /// probably a misspelt setting.
    ///
    /// # Errors
    /// Names every setting that is missing or wrong, and every key of the file that is not a setting.
    pub fn from_env() -> Result<Self, ConfigError> {
        for (variable, meant) in settings::misspelt(variables()) {
            warn!(variable, "Ignored the environment variable `{variable}`: did you mean `{meant}`?");
        }
        let name = serving::CONFIG.name;
        let path = environment(name).filter(|path| !path.trim().is_empty());
        let file = path.map(|path| file::read(&path)).transpose();
        let file = file.map_err(|problem| ConfigError::of(name, problem))?;
        Self::read(Reader::new(&environment, file.as_ref()))
    }

    /// Reads what `lookup` returns for each name.
    ///
    /// # Errors
    /// Names every setting that is missing or wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::read(Reader::new(&lookup, None))
    }

    fn read(mut reader: Reader<'_>) -> Result<Self, ConfigError> {
        let r = &mut reader;
        let calls_per_hour = r.bounded(&qualys::QUALYS_CALLS_PER_HOUR);
        let reserve_percent = r.bounded(&qualys::QUALYS_RESERVE_PERCENT);
        let usable = without_reserve(calls_per_hour, reserve_percent);
        let policy = policy(r, usable);
        let account = r.parsed(&places::ACCOUNT, values::of_type);
        let secrets = secret_source(r);
        let qualys_api = qualys_api(r);
        let storage = place(r, &places::STORAGE);
        let queue = place(r, &places::QUEUE);
        let scope = r.parsed_list(&watch::SCOPE, values::scope).unwrap_or_default();
        let exclude = r.parsed_list(&watch::EXCLUDE, values::scope).unwrap_or_default();
        let concurrency = r.bounded(&qualys::QUALYS_CONCURRENCY);
        let snapshot_every = r.bounded(&limits::SNAPSHOT_EVERY);
        let snapshot_gap = r.bounded(&limits::SNAPSHOT_GAP);
        let budget = r.bounded(&limits::CYCLE_BUDGET);
        let gap = r.bounded(&limits::CYCLE_GAP);
        let lease = r.bounded(&limits::LEASE);
        let cloud = r.parsed(&azure::AZURE_CLOUD, platform::cloud).unwrap_or(PUBLIC);
        let arm = r.parsed(&azure::ARM_URL, values::url).unwrap_or_else(|| cloud.arm());
        let identity = identity(r);
        let event_sources = r.list(&watch::EVENT_SOURCES);
        contradictions::same_scopes(r, &scope, &exclude);
        contradictions::other_cloud(r, cloud);
        let whole = reader.finish();
        let (
            Ok(()),
            Some(policy),
            Some(account),
            Some(secrets),
            Some(qualys_api),
            Some(storage),
            Some(queue),
        ) = (&whole, policy, account, secrets, qualys_api, storage, queue)
        else {
            return Err(whole.err().unwrap_or_default());
        };
        Ok(Self {
            policy,
            account,
            scope,
            exclude,
            event_sources,
            secrets,
            qualys_api,
            calls_per_hour,
            reserve_percent,
            concurrency,
            storage,
            queue,
            snapshot_every,
            snapshot_gap,
            budget,
            gap,
            lease,
            arm,
            cloud,
            identity,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        // The reader reports the characters that take the place of such bytes.
        Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
    }
}

/// The names of the environment's variables.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn variables() -> impl Iterator<Item = String> {
    std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
