//! Settings: read once, from the environment; all that is wrong is named at once.
//!
//! This is the only module that reads the environment. `CONFIG`, a file for several tenants, takes its place here.

mod platform;
mod reader;
mod serve;
mod values;

pub use reader::ConfigError;
pub use serve::{ServeConfig, logging};

use crate::azure::identity::Identity;
use crate::model::{AppId, Name, TenantId};
use crate::observe::Scope;
use crate::plan::{Mode, Policy};
use crate::secrets::{self, Secrets};
use crate::state::without_reserve;
use reader::Reader;
use secrecy::SecretString;
use std::collections::BTreeMap;
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
    /// `QUEUE`: where the bells are.
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
    /// The settings of the process's environment.
    ///
    /// # Errors
    /// Names every setting that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(environment)
    }

    /// The settings that `lookup` gives.
    ///
    /// # Errors
    /// Names every setting that is missing or wrong.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let r = &mut Reader::new(&lookup);
        let calls_per_hour = r.number("QUALYS_CALLS_PER_HOUR", 300, 1..=1_000_000);
        let reserve_percent = r.number("QUALYS_RESERVE_PERCENT", 30, 0..=90);
        let usable = without_reserve(calls_per_hour, reserve_percent);
        let policy = policy(r, usable);
        let account = name(r, "ACCOUNT");
        let secrets = secrets_setting(r);
        let qualys_api = qualys_api(r);
        let storage = place(r, "STORAGE");
        let queue = place(r, "QUEUE");
        let scope = r.parsed("SCOPE", values::scope).unwrap_or_default();
        let exclude = r.parsed("EXCLUDE", values::scope).unwrap_or_default();
        let concurrency = r.number("QUALYS_CONCURRENCY", 2, 1..=10);
        let snapshot_every = r.duration("SNAPSHOT_EVERY", 24 * HOUR, MINUTE..=31 * 24 * HOUR);
        let snapshot_gap = r.duration("SNAPSHOT_GAP", HOUR, Duration::ZERO..=24 * HOUR);
        let budget = r.duration("CYCLE_BUDGET", 8 * MINUTE, 10 * SECOND..=9 * MINUTE);
        let gap = r.duration("CYCLE_GAP", MINUTE, Duration::ZERO..=HOUR);
        let lease = r.duration("LEASE", MINUTE, 15 * SECOND..=MINUTE);
        let cloud = r.parsed("AZURE_CLOUD", platform::cloud).unwrap_or(platform::PUBLIC);
        let arm = r.parsed("ARM_URL", values::url).unwrap_or_else(|| cloud.arm());
        let identity = identity(r);
        if r.text("CONFIG").is_some() {
            r.wrong(
                "CONFIG",
                "a file for several tenants is not supported yet; run one deployment for each tenant",
            );
        }
        let problems = std::mem::take(&mut r.problems);
        let (Some(policy), Some(account), Some(secrets), Some(qualys_api), Some(storage), Some(queue), true) =
            (policy, account, secrets, qualys_api, storage, queue, problems.is_empty())
        else {
            return Err(ConfigError { problems });
        };
        Ok(Self {
            policy,
            account,
            scope,
            exclude,
            event_sources: r.list("EVENT_SOURCES"),
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

/// What the plan may do.
fn policy(r: &mut Reader<'_>, calls_per_hour: u32) -> Option<Policy> {
    let tenant = r.required("TENANT_ID");
    let application = r.required("CONNECTOR_APP_ID");
    let deployment = name(r, "DEPLOYMENT");
    let run_frequency_minutes = r.parsed("RUN_FREQUENCY", values::run_frequency).unwrap_or(240);
    // Qualys's own schedule keeps a connector fresh; an hour more tells that it does not.
    let sync_max_age = MINUTE * run_frequency_minutes + HOUR;
    let default_name = "{subscription_name} ({subscription_id})";
    let mode = r.parsed("MODE", values::mode).unwrap_or(Mode::Observe);
    let name = r.parsed("CONNECTOR_NAME", values::name_template).unwrap_or_else(|| default_name.to_owned());
    let description = r.parsed("CONNECTOR_DESCRIPTION", values::description).unwrap_or_default();
    let apps = r.parsed("CONNECTOR_APPS", values::apps).unwrap_or_else(|| vec!["AI".to_owned()]);
    let modules = r.parsed("CONNECTOR_MODULES", values::modules).unwrap_or_default();
    let tags = r.parsed("CONNECTOR_TAGS", values::tags).unwrap_or_default();
    let sync_max_age = r.duration("SYNC_MAX_AGE", sync_max_age, 15 * MINUTE..=31 * 24 * HOUR);
    let follow_up = r.duration("FOLLOW_UP", 2 * MINUTE, Duration::from_millis(50)..=HOUR);
    let max_creates = r.number("MAX_CREATES", 100, 0..=10_000);
    let max_removals = r.parsed("MAX_REMOVALS", |text| values::number(text, &(0..=10_000)));
    Some(Policy {
        mode,
        deployment: deployment?,
        tenant: tenant?,
        application: application?,
        name,
        description,
        apps,
        modules,
        tags,
        run_frequency_minutes,
        sync_max_age,
        follow_up,
        max_creates,
        max_removals,
        calls_per_hour,
    })
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A name that goes into marks and paths; `default` if none is set.
fn name(r: &mut Reader<'_>, setting: &str) -> Option<Name> {
    if r.text(setting).is_none() {
        return "default".parse().ok();
    }
    r.parsed(setting, |text| text.parse().map_err(values::show))
}

fn identity(r: &mut Reader<'_>) -> Identity {
    let managed = Identity::Managed { client_id: r.text("AZURE_CLIENT_ID") };
    match r.text("AZURE_IDENTITY").as_deref() {
        None | Some("managed") => managed,
        Some("developer-tools") => Identity::DeveloperTools,
        Some("client-secret") => {
            let tenant = r.required::<TenantId>("AZURE_TENANT_ID");
            let client = r.required::<AppId>("AZURE_CLIENT_ID");
            let secret = r.text("AZURE_CLIENT_SECRET").map(SecretString::from);
            if secret.is_none() {
                r.wrong("AZURE_CLIENT_SECRET", "is required with AZURE_IDENTITY=client-secret");
            }
            match (tenant, client, secret) {
                (Some(tenant), Some(client), Some(secret)) => {
                    Identity::ClientSecret { tenant, client, secret }
                }
                // Named above.
                _ => managed,
            }
        }
        Some(_) => {
            r.wrong("AZURE_IDENTITY", "must be managed, client-secret or developer-tools");
            managed
        }
    }
}

fn secrets_setting(r: &mut Reader<'_>) -> Option<SecretSource> {
    let (vault, text) = (r.text("KEY_VAULT_URL"), r.text("SECRETS"));
    if vault.is_some() {
        if text.is_some() {
            r.wrong("SECRETS", "contradicts KEY_VAULT_URL: set one of them");
        }
        return r.parsed("KEY_VAULT_URL", values::https).map(SecretSource::Vault);
    }
    let Some(text) = text else {
        r.wrong("KEY_VAULT_URL", "is required; or SECRETS=env, or SECRETS=file:<path of a JSON object>");
        return None;
    };
    if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
        return Some(SecretSource::File(path.into()));
    }
    if text != "env" {
        // Not repeated: somebody may have put a secret itself here.
        r.wrong("SECRETS", "must be `env` or `file:<path>`");
        return None;
    }
    let names = [
        secrets::QUALYS_USERNAME,
        secrets::QUALYS_PASSWORD,
        secrets::CONNECTOR_CLIENT_SECRET,
        secrets::API_TOKEN,
    ];
    let value = |name: &str| (r.lookup)(&Secrets::variable(name)).filter(|value| !value.is_empty());
    let values = names.iter().filter_map(|name| Some(((*name).to_owned(), SecretString::from(value(name)?))));
    Some(SecretSource::Env(values.collect()))
}

fn qualys_api(r: &mut Reader<'_>) -> Option<Url> {
    let platform = r.parsed("QUALYS_PLATFORM", platform::api_server);
    let address = r.parsed("QUALYS_API_URL", values::url);
    if r.text("QUALYS_PLATFORM").is_none() && r.text("QUALYS_API_URL").is_none() {
        r.wrong("QUALYS_PLATFORM", "is required (US1, EU2, …), or QUALYS_API_URL");
    }
    address.or(platform)
}

fn place(r: &mut Reader<'_>, name: &str) -> Option<Place> {
    let Some(text) = r.text(name) else {
        r.wrong(name, "is required: the address of the storage account's service, or `folder:<path>`");
        return None;
    };
    if let Some(path) = text.strip_prefix("folder:") {
        return Some(Place::Folder(path.into()));
    }
    let account = values::https(&text).ok();
    if account.is_none() {
        let wanted = "must be `folder:<path>` or an address such as https://account.blob.core.windows.net";
        r.wrong(name, wanted);
    }
    account.map(Place::Account)
}

#[cfg(test)]
mod tests;
