//! Resource Manager: subscriptions, the management-group tree and Resource Graph.
//!
//! Guarantees: every request needs a live token of ours for Resource Manager's audience; a principal lists only what
//! it may read.

use serde_json::{Value, json};

use crate::azure::{Access, AzureSubscription, graph, pages, tree};
use crate::calls::CallKind;
use crate::entra::{Principal, Token};
use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::state::{Shared, State};

pub(crate) fn classify(ask: &Ask) -> CallKind {
    let path = ask.path.to_ascii_lowercase();
    let segments = path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>();
    match (ask.method.as_str(), segments.as_slice()) {
        ("GET", ["subscriptions"]) => CallKind::ArmList,
        ("GET", ["subscriptions", _]) => CallKind::ArmGet,
        ("GET", ["providers", "microsoft.management", "managementgroups", _, "descendants"]) => {
            CallKind::ArmDescendants
        }
        ("POST", ["providers", "microsoft.resourcegraph", "resources"]) => CallKind::ArmGraph,
        _ => CallKind::Unknown,
    }
}

/// The subscription in the path.
pub(crate) fn subscription_in(ask: &Ask) -> Option<String> {
    match ask.segments().as_slice() {
        ["subscriptions", id, ..] => Some((*id).to_owned()),
        _ => None,
    }
}

/// An error in Resource Manager's shape.
pub(crate) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::json(status, &json!({ "error": { "code": code, "message": message } })).code(code)
}

pub(crate) fn answer(shared: &Shared, ask: &Ask, call: CallKind) -> Reply {
    shared.with(|state| {
        if call == CallKind::Unknown {
            return error(404, "InvalidResourceType", "The resource type could not be found.");
        }
        let base = ask.origin.as_deref().unwrap_or(&shared.urls.arm);
        let token = match token(state, ask, &shared.urls.arm) {
            Ok(token) => token,
            Err(refusal) => return refusal,
        };
        if ask.query("api-version").is_none() {
            return error(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required.",
            );
        }
        let reply = match call {
            CallKind::ArmList => list(state, ask, &token, base),
            CallKind::ArmGet => get(state, ask, &token),
            CallKind::ArmDescendants => descendants(state, ask, &token, base),
            _ => graph::answer(state, ask, &token),
        };
        // Documented since 2024 for reads at tenant scope. The number has no effect here.
        reply.header("x-ms-ratelimit-remaining-tenant-reads", 249)
    })
}

fn token(state: &State, ask: &Ask, arm: &str) -> Result<Token, Reply> {
    let refuse = |code: &str, message: &str| {
        Err(error(401, code, message).header(
            "www-authenticate",
            format!("Bearer authorization_uri=\"https://login.windows.net/\", error=\"invalid_token\", error_description=\"{message}\""),
        ))
    };
    let Some(header) = ask.header("authorization") else {
        return refuse(
            "AuthenticationFailed",
            "Authentication failed. The 'Authorization' header is missing.",
        );
    };
    let Some(token) = header.strip_prefix("Bearer ").and_then(|text| state.entra.token(text)) else {
        return refuse("InvalidAuthenticationToken", "The access token is invalid.");
    };
    if token.expires <= state.now() {
        return refuse(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        );
    }
    let audiences = [
        arm,
        "https://management.azure.com",
        "https://management.core.windows.net",
        "https://management.usgovcloudapi.net",
        "https://management.chinacloudapi.cn",
    ];
    if !audiences.contains(&token.audience.trim_end_matches('/')) {
        return refuse(
            "InvalidAuthenticationTokenAudience",
            "The access token has been obtained for wrong audience or resource.",
        );
    }
    Ok(token.clone())
}

/// Whether `token` may read the subscription, and the refusal if not.
pub(super) fn access(one: &AzureSubscription, token: &Token) -> Access {
    match &token.principal {
        Principal::Identity => one.access,
        Principal::App { .. } if one.tenant == token.tenant && one.app_has_reader => Access::Readable,
        Principal::App { .. } => Access::Forbidden,
    }
}

fn row(one: &AzureSubscription) -> Value {
    json!({
        "id": format!("/subscriptions/{}", one.id),
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "tags": one.tags,
        "subscriptionId": one.id,
        "tenantId": one.tenant,
        "displayName": one.name,
        "state": one.state.as_str(),
        "subscriptionPolicies": {
            "locationPlacementId": "Public_2014-09-01",
            "quotaId": one.quota_id,
            "spendingLimit": "Off",
        },
    })
}

fn list(state: &State, ask: &Ask, token: &Token, base: &str) -> Reply {
    let (now, manners) = (state.now(), &state.azure.manners);
    let rows = state
        .azure
        .subscriptions
        .values()
        .filter(|one| one.listed(now, manners.list_lag) && access(one, token) == Access::Readable)
        .map(row)
        .collect::<Vec<_>>();
    pages::page(ask, &rows, base, manners)
}

fn get(state: &State, ask: &Ask, token: &Token) -> Reply {
    let id = subscription_in(ask).unwrap_or_default();
    let missing =
        || error(404, "SubscriptionNotFound", &format!("The subscription '{id}' could not be found."));
    let Some(one) = state.azure.live(&id) else { return missing() };
    if matches!(token.principal, Principal::App { .. }) && one.tenant != token.tenant {
        return error(401, "InvalidAuthenticationTokenTenant", "The access token is from the wrong issuer.");
    }
    match access(one, token) {
        Access::Readable => Reply::json(200, &row(one)),
        Access::NotFound => missing(),
        Access::Forbidden => error(
            403,
            "AuthorizationFailed",
            &format!(
                "The client does not have authorization to perform action 'Microsoft.Resources/subscriptions/read' over scope '/subscriptions/{id}'."
            ),
        ),
    }
}

fn descendants(state: &State, ask: &Ask, token: &Token, base: &str) -> Reply {
    let segments = ask.segments();
    let id = segments.get(3).copied().unwrap_or_default();
    let group = state.azure.groups.get(id);
    let access = match (&token.principal, group) {
        (_, None) => Access::NotFound,
        (Principal::App { .. }, Some(_)) if !tree::is_under(&state.azure, id, &token.tenant) => {
            Access::NotFound
        }
        (_, Some(group)) => group.access,
    };
    match access {
        Access::Readable => {
            let rows = tree::descendants(&state.azure, id, state.now());
            pages::page(ask, &rows, base, &state.azure.manners)
        }
        Access::Forbidden => error(
            403,
            "AuthorizationFailed",
            "The client does not have authorization to read this management group.",
        ),
        Access::NotFound => {
            error(404, "NotFound", &format!("The management group '{id}' could not be found."))
        }
    }
}
