//! The settings that say where things are and who asks for them.

use super::reader::Reader;
use super::{Place, SecretSource, platform, values};
use crate::azure::identity::Identity;
use crate::model::{AppId, Name, Scope, TenantId};
use crate::secrets::{self, Secrets};
use secrecy::SecretString;
use std::collections::BTreeMap;
use url::Url;

/// A name that goes into marks and paths; `default` if none is set.
pub(super) fn name(r: &mut Reader<'_>, setting: &str) -> Option<Name> {
    if !r.is_given(setting) {
        return "default".parse().ok();
    }
    r.parsed(setting, |text| text.parse().map_err(values::show))
}

pub(super) fn scope(r: &mut Reader<'_>, setting: &str) -> Scope {
    r.parsed_list(setting, values::scope).unwrap_or_default()
}

pub(super) fn identity(r: &mut Reader<'_>) -> Identity {
    let kind = r.text("AZURE_IDENTITY");
    let managed = Identity::Managed { client_id: r.text("AZURE_CLIENT_ID") };
    // Asked for whatever the kind, so that a file may hold them.
    let (_, secret) = (r.text("AZURE_TENANT_ID"), r.secret("AZURE_CLIENT_SECRET"));
    match kind.as_deref() {
        None | Some("managed") => managed,
        Some("developer-tools") => Identity::DeveloperTools,
        Some("client-secret") => {
            let tenant = r.required::<TenantId>("AZURE_TENANT_ID");
            let client = r.required::<AppId>("AZURE_CLIENT_ID");
            let secret = secret.map(|secret| secret.trim().to_owned()).filter(|secret| !secret.is_empty());
            if secret.is_none() {
                r.wrong("AZURE_CLIENT_SECRET", "is required with AZURE_IDENTITY=client-secret");
            }
            match (tenant, client, secret.map(SecretString::from)) {
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

pub(super) fn secrets_setting(r: &mut Reader<'_>) -> Option<SecretSource> {
    let values: BTreeMap<String, SecretString> = [
        secrets::QUALYS_USERNAME,
        secrets::QUALYS_PASSWORD,
        secrets::CONNECTOR_CLIENT_SECRET,
        secrets::API_TOKEN,
    ]
    .into_iter()
    .filter_map(|name| Some((name.to_owned(), SecretString::from(r.secret(&Secrets::variable(name))?))))
    .collect();
    let vault = r.parsed("KEY_VAULT_URL", values::https).map(SecretSource::Vault);
    let text = r.text("SECRETS");
    if r.is_given("KEY_VAULT_URL") {
        if r.is_given("SECRETS") {
            r.wrong("SECRETS", "contradicts KEY_VAULT_URL: set one of them");
        }
        return vault;
    }
    if !r.is_given("SECRETS") {
        r.wrong("KEY_VAULT_URL", "is required; or SECRETS=env, or SECRETS=file:<path of a JSON object>");
    }
    let text = text?;
    if let Some(path) = text.strip_prefix("file:").filter(|path| !path.is_empty()) {
        return Some(SecretSource::File(path.into()));
    }
    if text != "env" {
        // Not repeated: somebody may have put a secret itself here.
        r.wrong("SECRETS", "must be `env` or `file:<path>`");
        return None;
    }
    Some(SecretSource::Env(values))
}

pub(super) fn qualys_api(r: &mut Reader<'_>) -> Option<Url> {
    let platform = r.parsed("QUALYS_PLATFORM", platform::api_server);
    let address = r.parsed("QUALYS_API_URL", values::url);
    if !r.is_given("QUALYS_PLATFORM") && !r.is_given("QUALYS_API_URL") {
        r.wrong("QUALYS_PLATFORM", "is required (US1, EU2, …), or QUALYS_API_URL");
    }
    address.or(platform)
}

pub(super) fn place(r: &mut Reader<'_>, name: &str) -> Option<Place> {
    if !r.is_given(name) {
        r.wrong(name, "is required: the address of the storage account's service, or `folder:<path>`");
    }
    let text = r.text(name)?;
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
