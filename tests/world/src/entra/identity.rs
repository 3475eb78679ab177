//! The identity endpoint of App Service and Functions (plain HTTP on loopback).
//!
//! Guarantees: `expires_on` is a string of Unix seconds, as the real endpoint answers.

use serde_json::json;

use crate::calls::CallKind;
use crate::entra::Principal;
use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::state::Shared;

pub(crate) fn classify(ask: &Ask) -> CallKind {
    match (ask.method.as_str(), ask.path.trim_end_matches('/')) {
        ("GET", "/msi/token") => CallKind::Identity,
        _ => CallKind::Unknown,
    }
}

fn refuse(status: u16, message: &str) -> Reply {
    Reply::json(status, &json!({ "statusCode": status, "message": message })).code("BadRequest")
}

pub(crate) fn answer(shared: &Shared, ask: &Ask) -> Reply {
    if classify(ask) == CallKind::Unknown {
        return refuse(404, "Not found.");
    }
    shared.with(|state| {
        if ask.header("x-identity-header") != Some(state.entra.identity_header.as_str()) {
            return refuse(401, "The X-IDENTITY-HEADER header is missing or wrong.");
        }
        if ask.query("api-version") != Some("2019-08-01") {
            return refuse(400, "The api-version must be 2019-08-01.");
        }
        let Some(resource) = ask.query("resource") else {
            return refuse(400, "The resource parameter is missing.");
        };
        let (now, tenant) = (state.now(), state.entra.identity_tenant.clone());
        let (text, expires) = state.entra.issue(Principal::Identity, &tenant, resource, now);
        Reply::json(
            200,
            &json!({
                "access_token": text,
                "expires_on": expires.as_second().to_string(),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": ask.query("client_id").unwrap_or("00000000-0000-4000-8000-00000000001d"),
            }),
        )
    })
}
