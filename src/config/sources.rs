//! The settings that say where things are and who asks for them.

use super::reader::Reader;
use super::settings::{Setting, Text, azure, qualys, secrets};
use super::{Place, SecretSource, platform, values};
use crate::azure::identity::Identity;
use secrecy::SecretString;
use std::collections::BTreeMap;
use url::Url;

pub(super) fn identity(r: &mut Reader<'_>) -> Identity {
    let kind = r.text(&azure::AZURE_IDENTITY);
    // All are read whatever the identity, so that one that is not UTF-8 is always reported.
    let (client, _) = (r.text(&azure::AZURE_CLIENT_ID), r.text(&azure::AZURE_TENANT_ID));
    let secret = r.secret(&azure::AZURE_CLIENT_SECRET);
    let managed = Identity::Managed { client_id: client };
    match kind.as_deref() {
        Some("client-secret") => client_secret(r, secret).unwrap_or(managed),
        Some("developer-tools") => Identity::DeveloperTools,
        Some("managed") | None => managed,
        Some(_) => {
            r.wrong(&azure::AZURE_IDENTITY, "must be managed, client-secret or developer-tools");
            managed
        }
    }
}

/// An application with its secret; none where one of its settings is missing or wrong.
fn client_secret(r: &mut Reader<'_>, secret: Option<String>) -> Option<Identity> {
    const REQUIRED: &str = "is required with AZURE_IDENTITY=client-secret";
    for setting in [&azure::AZURE_TENANT_ID, &azure::AZURE_CLIENT_ID] {
        if !r.is_given(setting) {
            r.wrong(setting, REQUIRED);
        }
    }
    let tenant = r.parsed(&azure::AZURE_TENANT_ID, values::of_type);
    let client = r.parsed(&azure::AZURE_CLIENT_ID, values::of_type);
    let secret = secret.map(|secret| secret.trim().to_owned()).filter(|secret| !secret.is_empty());
    if secret.is_none() {
        r.wrong(&azure::AZURE_CLIENT_SECRET, REQUIRED);
    }
    Some(Identity::ClientSecret { tenant: tenant?, client: client?, secret: SecretString::from(secret?) })
}

pub(super) fn secret_source(r: &mut Reader<'_>) -> Option<SecretSource> {
    let values: BTreeMap<String, SecretString> = secrets::BY_NAME
        .into_iter()
        .filter_map(|(name, setting)| Some((name.to_owned(), SecretString::from(r.secret(setting)?))))
        .collect();
    let vault = r.parsed(&secrets::KEY_VAULT_URL, values::https).map(SecretSource::Vault);
    let elsewhere = r.parsed(&secrets::SECRETS, |text| match text.strip_prefix("file:") {
        Some(path) if !path.is_empty() => Ok(SecretSource::File(path.into())),
        None if text == "env" => Ok(SecretSource::Env(values)),
        // The value is not repeated: it may be a secret in the wrong place.
        _ => Err("must be `env` or `file:<path>`".to_owned()),
    });
    match (r.is_given(&secrets::KEY_VAULT_URL), r.is_given(&secrets::SECRETS)) {
        (true, true) => r.wrong(&secrets::SECRETS, "contradicts KEY_VAULT_URL: set only one of them"),
        (false, false) => r.wrong(
            &secrets::KEY_VAULT_URL,
            "is required; or set SECRETS=env, or SECRETS=file:<path of a JSON object>",
        ),
        (true, false) | (false, true) => {}
    }
    vault.or(elsewhere)
}

pub(super) fn qualys_api(r: &mut Reader<'_>) -> Option<Url> {
    let platform = r.parsed(&qualys::QUALYS_PLATFORM, platform::api_server);
    let address = r.parsed(&qualys::QUALYS_API_URL, values::url);
    if !r.is_given(&qualys::QUALYS_PLATFORM) && !r.is_given(&qualys::QUALYS_API_URL) {
        r.wrong(&qualys::QUALYS_PLATFORM, "is required (US1, EU2, …); or set QUALYS_API_URL");
    }
    address.or(platform)
}

pub(super) fn place(r: &mut Reader<'_>, setting: &Setting<Text>) -> Option<Place> {
    r.parsed(setting, |text| match text.strip_prefix("folder:") {
        Some(path) => Ok(Place::Folder(path.into())),
        None => values::https(text).map(Place::Account).map_err(|_| {
            "must be `folder:<path>` or an address, for example https://account.blob.core.windows.net"
                .to_owned()
        }),
    })
}
