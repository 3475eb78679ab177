//! Key Vault: the secrets of vaults under their real names.
//!
//! Guarantees: a read without a version is answered from the newest one, enabled or not, as the service documents; a
//! value never changes once it is set.

pub(crate) mod answer;
mod refusal;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::azure::Access;
use crate::world::World;

/// The domains of vaults in the public, US Government and China clouds. A vault of the world has its name in each.
const DOMAINS: [&str; 3] = ["vault.azure.net", "vault.usgovcloudapi.net", "vault.azure.cn"];

/// A vault's host name, taken apart: the vault's name, and the domain of its cloud.
pub(crate) fn parts_of(host: &str) -> Option<(&str, &'static str)> {
    let named = |domain: &'static str| Some((host.strip_suffix(domain)?.strip_suffix('.')?, domain));
    DOMAINS.into_iter().find_map(named)
}

/// One version of a secret.
#[derive(Clone, Debug)]
struct Version {
    id: String,
    value: String,
    created: Timestamp,
    updated: Timestamp,
    enabled: bool,
    not_before: Option<Timestamp>,
    expires: Option<Timestamp>,
}

/// Why a principal that may not read is refused, which depends on how the vault manages permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VaultPermissions {
    /// By roles: inner code `ForbiddenByRbac`.
    #[default]
    Roles,
    /// By the older access policies: inner code `AccessDenied`.
    Policies,
    /// The caller's address is not allowed by the firewall: inner code `ForbiddenByFirewall`.
    Firewall,
}

/// The switches of Key Vault.
#[derive(Clone, Debug, Default)]
pub struct VaultManners {
    /// The answer to every principal: the secrets, 403 `Forbidden`, or 404 as if there were none; default readable.
    pub access: Access,
    /// The inner code of the 403; default roles.
    pub permissions: VaultPermissions,
    /// Whether a read of a secret before its `nbf` or after its `exp` is refused. Default no: Key Vault documents that
    /// `get` works for secrets that are not yet valid or have expired, and this was reported in 2024. A refusal was never
    /// observed.
    pub refuse_expired: bool,
    /// A host for the challenge instead of login.microsoftonline.com (login.windows.net was recorded in 2021 and 2022);
    /// default none.
    pub challenge_host: Option<String>,
}

/// All vaults.
#[derive(Debug, Default)]
pub(crate) struct Vaults {
    /// By vault name, then by secret name, both without regard to case.
    by_name: BTreeMap<String, BTreeMap<String, Vec<Version>>>,
    pub(crate) manners: VaultManners,
    made: u64,
}

impl Vaults {
    /// Whether `host` is a vault's name.
    pub(crate) fn has_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        parts_of(&host).is_some_and(|(name, _)| self.by_name.contains_key(name))
    }

    fn versions(&self, vault: &str, name: &str) -> Option<&Vec<Version>> {
        self.by_name.get(&vault.to_ascii_lowercase())?.get(&name.to_ascii_lowercase())
    }

    fn add(&mut self, vault: &str, name: &str, value: &str, now: Timestamp) -> String {
        self.made += 1;
        // Looks random, is the same in every run, and does not grow: a list sorted by id must not show which version is
        // the newest.
        let id =
            format!("{:032x}", u128::from(self.made).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let version = Version {
            id: id.clone(),
            value: value.to_owned(),
            created: now,
            updated: now,
            enabled: true,
            not_before: None,
            expires: None,
        };
        let secrets = self.by_name.entry(vault.to_ascii_lowercase()).or_default();
        secrets.entry(name.to_ascii_lowercase()).or_default().push(version);
        id
    }

    pub(crate) fn secrets(&self) -> Vec<String> {
        let versions = self.by_name.values().flat_map(BTreeMap::values).flatten();
        versions.map(|version| version.value.clone()).collect()
    }
}

impl World {
    /// Creates a vault unless it exists, and returns its host name in the public cloud. The world's proxy accepts that from
    /// now on, and the names in the other clouds.
    pub fn vault(&self, name: &str) -> String {
        self.with(|state| {
            state.vaults.by_name.entry(name.to_ascii_lowercase()).or_default();
        });
        format!("{}.{}", name.to_ascii_lowercase(), DOMAINS[0])
    }

    /// Sets a secret, as a new version if it exists, and returns the version. Creates the vault if necessary.
    pub fn set_secret(&self, vault: &str, name: &str, value: &str) -> String {
        self.with(|state| {
            let now = state.now();
            state.vaults.add(vault, name, value, now)
        })
    }

    /// Disables the newest version of a secret (true), or enables it again.
    pub fn disable_secret(&self, vault: &str, name: &str, disabled: bool) {
        self.edit_vault_secret(vault, name, |version| version.enabled = !disabled);
    }

    /// Sets when the newest version of a secret expires, if ever.
    pub fn secret_expires(&self, vault: &str, name: &str, at: Option<Timestamp>) {
        self.edit_vault_secret(vault, name, |version| version.expires = at);
    }

    /// Sets when the newest version of a secret begins to be valid.
    pub fn secret_not_before(&self, vault: &str, name: &str, at: Option<Timestamp>) {
        self.edit_vault_secret(vault, name, |version| version.not_before = at);
    }

    /// Deletes a secret with all its versions.
    pub fn delete_secret(&self, vault: &str, name: &str) {
        self.with(|state| {
            if let Some(secrets) = state.vaults.by_name.get_mut(&vault.to_ascii_lowercase()) {
                secrets.remove(&name.to_ascii_lowercase());
            }
        });
    }

    /// Sets the answer of every vault to principals.
    pub fn vault_access(&self, access: Access) {
        self.vault_manners(|manners| manners.access = access);
    }

    /// Changes the switches of Key Vault, at any time.
    pub fn vault_manners(&self, change: impl FnOnce(&mut VaultManners)) {
        self.with(|state| change(&mut state.vaults.manners));
    }

    fn edit_vault_secret(&self, vault: &str, name: &str, change: impl FnOnce(&mut Version)) {
        self.with(|state| {
            let now = state.now();
            let secrets = state.vaults.by_name.get_mut(&vault.to_ascii_lowercase());
            let versions = secrets.and_then(|secrets| secrets.get_mut(&name.to_ascii_lowercase()));
            if let Some(newest) = versions.and_then(|versions| versions.last_mut()) {
                change(newest);
                newest.updated = now;
            }
        });
    }
}
