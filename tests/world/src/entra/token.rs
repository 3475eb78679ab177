//! The token endpoint: client credentials by secret, or by the managed identity's token.
//!
//! Guarantees: refusals have the documented `error_codes`. A client must not rely on the texts.

use jiff::Timestamp;
use serde_json::json;

use crate::calls::CallKind;
use crate::entra::{Principal, SecretCheck};
use crate::net::ask::Ask;
use crate::net::reply::Reply;
use crate::state::{Shared, State};

pub(crate) fn classify(ask: &Ask) -> CallKind {
    match (ask.method.as_str(), ask.segments().as_slice()) {
        ("POST", [_, "oauth2", "v2.0", "token"]) => CallKind::Token,
        _ => CallKind::Unknown,
    }
}

/// An error in Entra's shape.
pub(crate) fn error(status: u16, error: &str, codes: &[u32], text: &str, now: Timestamp) -> Reply {
    let trace = "00000000-0000-4000-8000-0000000000ff";
    let number = codes.first().copied().unwrap_or_default();
    let body = json!({
        "error": error,
        "error_description":
            format!("AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {trace} Timestamp: {now}"),
        "error_codes": codes,
        "timestamp": now.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        "trace_id": trace,
        "correlation_id": trace,
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    });
    Reply::json(status, &body).code(&number.to_string())
}

pub(crate) fn answer(shared: &Shared, ask: &Ask) -> Reply {
    if classify(ask) == CallKind::Unknown {
        return Reply::html(404, "404 Not Found");
    }
    shared.with(|state| {
        let mut reply = token(state, ask);
        if state.entra.line_breaks {
            let text = String::from_utf8_lossy(&reply.body);
            let parts = [" Trace ID: ", " Correlation ID: ", " Timestamp: "];
            let text = parts.iter().fold(text.into_owned(), |text, part| {
                text.replace(part, &format!("\\r\\n{}", part.trim_start()))
            });
            reply.body = text.into_bytes();
        }
        reply
    })
}

fn token(state: &mut State, ask: &Ask) -> Reply {
    let now = state.now();
    let tenant = ask.segments().first().copied().unwrap_or_default().to_ascii_lowercase();
    let form = ask.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
    let app = field("client_id").to_owned();

    if !state.azure.tenants.contains(&tenant) {
        return error(400, "invalid_request", &[90_002], &format!("Tenant '{tenant}' not found."), now);
    }
    if field("grant_type") != "client_credentials" {
        return error(
            400,
            "unsupported_grant_type",
            &[70_003],
            "The app requested an unsupported grant type.",
            now,
        );
    }
    let Some(audience) = field("scope").strip_suffix("/.default") else {
        return error(400, "invalid_scope", &[1_002_012], "The scope must end with /.default.", now);
    };
    let check = match field("client_assertion") {
        "" => state.entra.check(&tenant, &app, field("client_secret"), now),
        assertion => assertion_check(state, &tenant, &app, assertion, now),
    };
    match check {
        SecretCheck::Good => {
            let (text, expires) = state.entra.issue(Principal::App { id: app }, &tenant, audience, now);
            let seconds = expires.as_second() - now.as_second();
            Reply::json(
                200,
                &json!({
                    "token_type": "Bearer",
                    "expires_in": seconds,
                    "ext_expires_in": seconds,
                    "access_token": text,
                }),
            )
            .header("cache-control", "no-store")
        }
        SecretCheck::NoApp => {
            let text =
                format!("Application with identifier '{app}' was not found in the directory '{tenant}'.");
            error(400, "unauthorized_client", &[700_016], &text, now)
        }
        SecretCheck::Wrong => {
            error(401, "invalid_client", &[7_000_215], "Invalid client secret provided.", now)
        }
        SecretCheck::Expired => {
            error(401, "invalid_client", &[7_000_222], "The provided client secret keys are expired.", now)
        }
        SecretCheck::Blocked => error(
            400,
            "invalid_grant",
            &[53_003],
            "Access has been blocked by Conditional Access policies.",
            now,
        ),
    }
}

/// The assertion must be a live token of the managed identity, and the application must trust it.
fn assertion_check(state: &State, tenant: &str, app: &str, assertion: &str, now: Timestamp) -> SecretCheck {
    if !state.entra.trusts_identity(tenant, app) {
        return SecretCheck::NoApp;
    }
    match state.entra.token(assertion) {
        Some(token) if token.principal != Principal::Identity => SecretCheck::Wrong,
        Some(token) if token.expires <= now => SecretCheck::Expired,
        Some(_) => SecretCheck::Good,
        None => SecretCheck::Wrong,
    }
}
