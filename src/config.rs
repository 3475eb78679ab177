//! Settings: read once, from the environment and the file that `CONFIG` names; all that is wrong is named at once.
//!
//! This is the only module that reads the environment. A file for several tenants takes its place in `config/file.rs`.

mod contradictions;
mod file;
mod platform;
mod policy;
mod reader;
mod serve;
mod sources;
mod values;

pub use reader::ConfigError;
pub use serve::{ServeConfig, logging};

use crate::azure::identity::Identity;
use crate::model::{Name, Scope};
use crate::plan::Policy;
use crate::state::without_reserve;
use policy::policy;
use reader::Reader;
use secrecy::SecretString;
use sources::{identity, name, place, qualys_api, scope, secrets_setting};
use std::collections::BTreeMap;
use std::env::VarError;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// The settings of one tenant. Each field's variable stands in `docs/OPERATIONS.md`.
#[derive(Debug, Clone)]
pub struct Config {
    /// What cycles may do (`MODE` and the rules' settings).
    pub policy: Policy,
    /// `ACCOUNT`: the name of the Qualys account's state.
    pub account: Name,
    /// `SCOPE`: what is watched; empty: all that the identity sees.
    pub scope: Scope,
    /// `EXCLUDE`: what of it is not.
    pub exclude: Scope,
    /// `EVENT_SOURCES`: topics and sources whose events count.
    pub event_sources: Vec<String>,
    /// `KEY_VAULT_URL` or `SECRETS`: where secrets come from.
    pub secrets: SecretSource,
    /// `QUALYS_API_URL`, or the address of `QUALYS_PLATFORM`.
    pub qualys_api: Url,
    /// `QUALYS_CALLS_PER_HOUR`: the account's limit for one endpoint.
    pub calls_per_hour: u32,
    /// `QUALYS_RESERVE_PERCENT`: the share of it that stays for other tools.
    pub reserve_percent: u32,
    /// `QUALYS_CONCURRENCY`: calls at once.
    pub concurrency: usize,
    /// `STORAGE`: where the blobs are.
    pub storage: Place,
    /// `QUEUE`: where the wake-ups are.
    pub queue: Place,
    /// `SNAPSHOT_EVERY`: a snapshot older than this is due.
    pub snapshot_every: Duration,
    /// `SNAPSHOT_GAP`: the shortest time between two that syncs ask for.
    pub snapshot_gap: Duration,
    /// `CYCLE_BUDGET`: how long a cycle may take.
    pub budget: Duration,
    /// `CYCLE_GAP`: the shortest time between two starts.
    pub gap: Duration,
    /// `LEASE`: how long the account's lease lasts.
    pub lease: Duration,
    /// `ARM_URL`, or the address of `AZURE_CLOUD`.
    pub arm: Url,
    /// What tokens for ARM are asked for.
    pub arm_scope: String,
    /// `AZURE_IDENTITY`: who reads Azure.
    pub identity: Identity,
}

/// A folder, or a service of a storage account.
#[derive(Debug, Clone)]
pub enum Place {
    /// `folder:<path>`.
    Folder(PathBuf),
    /// Such as `https://account.blob.core.windows.net`.
    Account(Url),
}

/// Where secrets come from.
#[derive(Debug, Clone)]
pub enum SecretSource {
    /// A key vault.
    Vault(Url),
    /// The environment, taken in at start.
    Env(BTreeMap<String, SecretString>),
    /// A file with a JSON object.
    File(PathBuf),
}

impl Config {
    /// The settings of the process's environment, and of the file that `CONFIG` names there.
    ///
    /// # Errors
    /// Names every setting that is missing or wrong, and every key of the file that is no setting.
    pub fn from_env() -> Result<Self, ConfigError> {
        let path = environment("CONFIG").filter(|path| !path.trim().is_empty());
        let file = path.map(|path| file::read(&path)).transpose();
        let file = file.map_err(|problem| ConfigError::of("CONFIG", problem))?;
        Self::read(Reader::new(&environment, file.as_ref()))
    }

    /// The settings that `lookup` gives.
    ///
    /// # Errors
    /// Names every setting that is missing or wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        Self::read(Reader::new(&lookup, None))
    }

    fn read(mut reader: Reader<'_>) -> Result<Self, ConfigError> {
        let r = &mut reader;
        let calls_per_hour = r.number("QUALYS_CALLS_PER_HOUR", 300, 1..=1_000_000);
        let reserve_percent = r.number("QUALYS_RESERVE_PERCENT", 30, 0..=90);
        let usable = without_reserve(calls_per_hour, reserve_percent);
        let policy = policy(r, usable);
        let account = name(r, "ACCOUNT");
        let secrets = secrets_setting(r);
        let qualys_api = qualys_api(r);
        let storage = place(r, "STORAGE");
        let queue = place(r, "QUEUE");
        let (scope, exclude) = (scope(r, "SCOPE"), scope(r, "EXCLUDE"));
        let concurrency = r.number("QUALYS_CONCURRENCY", 2, 1..=10);
        let snapshot_every = r.duration("SNAPSHOT_EVERY", 24 * HOUR, MINUTE..=31 * 24 * HOUR);
        let snapshot_gap = r.duration("SNAPSHOT_GAP", HOUR, Duration::ZERO..=24 * HOUR);
        let budget = r.duration("CYCLE_BUDGET", 8 * MINUTE, 10 * SECOND..=9 * MINUTE);
        let gap = r.duration("CYCLE_GAP", MINUTE, Duration::ZERO..=HOUR);
        let lease = r.duration("LEASE", MINUTE, 15 * SECOND..=MINUTE);
        let cloud = r.parsed("AZURE_CLOUD", platform::cloud).unwrap_or(platform::PUBLIC);
        let arm = r.parsed("ARM_URL", values::url).unwrap_or_else(|| cloud.arm());
        let identity = identity(r);
        let event_sources = r.list("EVENT_SOURCES");
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
            arm_scope: cloud.arm_scope(),
            identity,
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) => Some(value),
        Err(VarError::NotPresent) => None,
        // The bytes that are no text are seen and said by whoever reads the setting.
        Err(VarError::NotUnicode(value)) => Some(value.to_string_lossy().into_owned()),
    }
}

#[cfg(test)]
mod tests;
