//! The data plane of secrets: a secret's newest version, one version, and the list of versions.
//!
//! Guarantees: every request needs a live token of ours for Key Vault's audience and the vault's directory.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::azure::Access;
use crate::calls::CallKind;
use crate::entra::Token;
use crate::net::ask::{Ask, encoded};
use crate::net::reply::Reply;
use crate::state::{Shared, State};
use crate::vault::{Version, parts_of, refusal};

pub(crate) use crate::vault::refusal::error;

/// How many versions a page of the list has (documented default and maximum).
const PAGE: usize = 25;

pub(crate) fn classify(ask: &Ask) -> CallKind {
    let call = match (ask.method.as_str(), ask.segments().as_slice()) {
        ("GET", ["secrets", _, "versions"]) => CallKind::VaultVersions,
        ("GET", ["secrets", _] | ["secrets", _, _]) => CallKind::VaultGet,
        _ => return CallKind::Unknown,
    };
    if ask.header("authorization").is_some() { call } else { CallKind::VaultChallenge }
}

pub(crate) fn answer(shared: &Shared, ask: &Ask) -> Reply {
    shared.with(|state| {
        let host = ask.header("host").unwrap_or_default().to_ascii_lowercase();
        let host = host.split(':').next().unwrap_or_default();
        let Some((vault, domain)) = parts_of(host).filter(|_| state.vaults.has_host(host)) else {
            return refusal::error(400, "BadRequest", None, "No such vault.");
        };
        let token = match token(state, ask, &format!("https://{domain}")) {
            Ok(token) => token,
            Err(refusal) => return refusal,
        };
        if ask.query("api-version").is_none() {
            return refusal::error(400, "BadParameter", None, "The request URI contains no api-version.");
        }
        let segments = ask.segments();
        let ["secrets", name, rest @ ..] = segments.as_slice() else {
            return refusal::error(404, "NotFound", None, "There is no such resource.");
        };
        let manners = &state.vaults.manners;
        if manners.access == Access::Forbidden {
            return refusal::forbidden(manners, vault, name, &token);
        }
        let versions = state.vaults.versions(vault, name).filter(|_| manners.access == Access::Readable);
        match (versions, rest) {
            (_, ["versions"]) => list(host, name, versions.map_or(&[], Vec::as_slice), ask),
            (None, _) => refusal::not_found(name),
            (Some(versions), []) => get(state, host, name, versions.last()),
            (Some(versions), [wanted]) => get(
                state,
                host,
                name,
                versions.iter().find(|version| version.id.eq_ignore_ascii_case(wanted)),
            ),
            _ => refusal::error(404, "NotFound", None, "There is no such resource."),
        }
    })
}

fn token(state: &State, ask: &Ask, audience: &str) -> Result<Token, Reply> {
    let tenant = &state.azure.tenants[0];
    let refuse = |message: &str| Err(refusal::unauthorized(tenant, audience, &state.vaults.manners, message));
    let Some(header) = ask.header("authorization") else {
        return refuse("AKV10000: Request is missing a Bearer or PoP token.");
    };
    let Some(token) = header.strip_prefix("Bearer ").and_then(|text| state.entra.token(text)) else {
        return refuse("AKV10046: Unable to resolve the key used for signature validation.");
    };
    if token.expires <= state.now() {
        return refuse("[TokenExpired] Error validating token: 'S2S12086'.");
    }
    // No slash at the end: the service refused one in 2020.
    if token.audience != audience {
        return refuse(&format!(
            "AKV10022: Invalid audience. Expected {audience}, found: {}.",
            token.audience
        ));
    }
    if !token.tenant.eq_ignore_ascii_case(tenant) {
        let issuer = |tenant: &str| format!("https://sts.windows.net/{tenant}/");
        return refuse(&format!(
            "AKV10032: Invalid issuer. Expected one of {}, found {}.",
            issuer(tenant),
            issuer(&token.tenant)
        ));
    }
    Ok(token.clone())
}

fn get(state: &State, host: &str, name: &str, version: Option<&Version>) -> Reply {
    let Some(version) = version else { return refusal::not_found(name) };
    if !version.enabled {
        let message = "Operation get is not allowed on a disabled secret.";
        return refusal::error(403, "Forbidden", Some("SecretDisabled"), message);
    }
    let now = state.now();
    if state.vaults.manners.refuse_expired && version.expires.is_some_and(|at| at <= now) {
        let message = "Operation get is not allowed on an expired secret.";
        return refusal::error(403, "Forbidden", Some("SecretExpired"), message);
    }
    if state.vaults.manners.refuse_expired && version.not_before.is_some_and(|at| at > now) {
        let message = "Operation get is not allowed on a secret that is not yet valid.";
        return refusal::error(403, "Forbidden", Some("SecretNotYetValid"), message);
    }
    let mut body = item(host, name, version);
    body["value"] = Value::from(version.value.as_str());
    Reply::json(200, &body).header("cache-control", "no-cache")
}

/// A version without its value, as in lists.
fn item(host: &str, name: &str, version: &Version) -> Value {
    let mut attributes = json!({ "enabled": version.enabled });
    let mut put = |name: &str, at: Option<Timestamp>| {
        if let Some(at) = at {
            attributes[name] = Value::from(at.as_second());
        }
    };
    put("nbf", version.not_before);
    put("exp", version.expires);
    put("created", Some(version.created));
    put("updated", Some(version.updated));
    attributes["recoveryLevel"] = Value::from("Recoverable+Purgeable");
    attributes["recoverableDays"] = Value::from(90);
    json!({ "id": format!("https://{host}/secrets/{name}/{}", version.id), "attributes": attributes })
}

/// An unknown secret has an empty list, not a 404; tests of the Azure SDK rely on that. The service sorts by version, not
/// by age.
fn list(host: &str, name: &str, versions: &[Version], ask: &Ask) -> Reply {
    let mut all = versions.iter().collect::<Vec<_>>();
    all.sort_by(|one, other| one.id.cmp(&other.id));
    let size = ask.query("maxresults").and_then(|text| text.parse().ok()).unwrap_or(PAGE).clamp(1, PAGE);
    let from = ask.query("$skiptoken").and_then(|text| text.parse().ok()).unwrap_or(0);
    let page = all.iter().skip(from).take(size).map(|version| item(host, name, version)).collect::<Vec<_>>();
    let next = (from + size < all.len()).then(|| {
        let version = encoded(ask.query("api-version").unwrap_or_default());
        format!(
            "https://{host}/secrets/{name}/versions?api-version={version}&$skiptoken={}&maxresults={size}",
            from + size
        )
    });
    Reply::json(200, &json!({ "value": page, "nextLink": next })).header("cache-control", "no-cache")
}
