//! Triggers: one route for each folder of `function-app/`. Each leaves an inbox item and books a wake-up; none decides anything
//! or calls Qualys. Only the function of the queue runs a cycle.
//!
//! Guarantees: whatever arrives is answered, and the process lives. Only storage that cannot be reached is answered as
//! a failure: Event Grid, the timer and the queue then deliver again. For anything else a second delivery would not
//! help.

mod api;
mod body;
mod delivery;
mod drain;
mod events;
mod functions;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod leave;
mod message;
mod parameters;
mod problem;
mod rejected;
mod serving;

pub use drain::drain;
pub use leave::LeaveError;
pub use serving::serve;

use crate::app::App;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use problem::ProblemDocument;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::error;

/// The functions that speak the host's envelope, by the names of their folders.
pub const ENVELOPE: [&str; 5] = ["schedule", "subscription-event", "secret-event", "cycle", "cycle-poison"];
/// The HTTP functions: folder, method and route.
pub const HTTP: [(&str, &str, &str); 4] = [
    ("manual-sync", "post", "sync"),
    ("request-status", "get", "requests/{id}"),
    ("status", "get", "status"),
    ("plan", "get", "plan"),
];

const NO_ROUTE: &str =
    "there is no such route: try POST /api/sync, GET /api/requests/{id}, GET /api/status or GET /api/plan";

/// Who may call.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Only the Functions host reaches the port, and it has checked the keys.
    Host,
    /// Anyone who reaches the address.
    Anyone {
        /// What callers must show; none on loopback.
        token: Option<SecretString>,
    },
}

/// The routes. Those for the host's envelope exist only under a host.
pub fn router(app: Arc<App>, caller: &Caller) -> Router {
    let api = Router::new()
        .route("/api/sync", post(api::sync))
        .route("/api/requests/{id}", get(api::request_status))
        .route("/api/status", get(api::status))
        .route("/api/plan", get(api::plan));
    let routes = match caller {
        Caller::Host => api
            .route("/schedule", post(functions::schedule))
            .route("/subscription-event", post(functions::subscription_event))
            .route("/secret-event", post(functions::secret_event))
            .route("/cycle", post(functions::cycle))
            .route("/cycle-poison", post(functions::cycle_poison)),
        Caller::Anyone { token: None } => api,
        Caller::Anyone { token: Some(token) } => {
            api.layer(middleware::from_fn_with_state(token.clone(), check_token))
        }
    };
    let routes = routes
        // The host asks for it to see whether the program runs; it must stay cheap.
        .route("/", get(async || Json(json!({ "ok": true }))))
        .fallback(async || ProblemDocument::new(StatusCode::NOT_FOUND, NO_ROUTE))
        .method_not_allowed_fallback(wrong_method);
    // Under a host the name is the function app's, and a token keeps pages out.
    let routes = match caller {
        Caller::Anyone { token: None } => routes.layer(middleware::from_fn(check_name)),
        Caller::Host | Caller::Anyone { token: Some(_) } => routes,
    };
    routes.layer(middleware::from_fn(refuse_pages)).layer(CatchPanicLayer::custom(panicked)).with_state(app)
}

/// The time. Only triggers and the command line read the clock; everything else is given the time.
#[expect(clippy::disallowed_methods, reason = "the clock is read here and passed down")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

async fn wrong_method(uri: Uri) -> ProblemDocument {
    let route = uri.path().trim_start_matches('/');
    let is_post = |(_, method, path): &(&str, &str, &str)| {
        *method == "post" && route.strip_prefix("api/") == Some(path)
    };
    let method = if ENVELOPE.contains(&route) || HTTP.iter().any(is_post) { "POST" } else { "GET" };
    ProblemDocument::new(StatusCode::METHOD_NOT_ALLOWED, format!("Method not allowed: use {method}"))
}

/// Lets callers in who show the token. Hashes are compared, so that the time it takes reveals nothing about the token.
async fn check_token(State(token): State<SecretString>, request: Request, next: Next) -> Response {
    let shown = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        // <https://www.rfc-editor.org/rfc/rfc9110#section-11.1>
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("Bearer"))
        .map(|(_, token)| token.trim());
    let hash = |text: &str| Sha256::digest(text.as_bytes());
    if shown.is_some_and(|shown| hash(shown) == hash(token.expose_secret())) {
        return next.run(request).await;
    }
    let refused = ProblemDocument::new(StatusCode::UNAUTHORIZED, "send `Authorization: Bearer <api-token>`");
    ([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response()
}

/// Refuses web pages. A browser lets them post to this machine and to the function app, and always sends their origin along.
async fn refuse_pages(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        let detail =
            "web pages may not call this: it was sent with the header `Origin`, as a browser sends it";
        return ProblemDocument::new(StatusCode::FORBIDDEN, detail).into_response();
    }
    next.run(request).await
}

/// Lets callers in who know this machine as itself. The owner of a web page can make the page's own name point to 127.0.0.1
/// (DNS rebinding); the browser then sends no origin, but still the name.
async fn check_name(request: Request, next: Next) -> Response {
    let mut names = request.headers().get_all(header::HOST).iter().peekable();
    if names.peek().is_some() && names.all(|name| name.to_str().is_ok_and(is_this_machine)) {
        return next.run(request).await;
    }
    let detail = "call this machine by 127.0.0.1, localhost or [::1]: the header `Host` has another name";
    ProblemDocument::new(StatusCode::MISDIRECTED_REQUEST, detail).into_response()
}

/// Whether a name, with or without a port, is this machine's for itself.
fn is_this_machine(name: &str) -> bool {
    let Ok(name) = name.parse::<Authority>() else { return false };
    let host = name.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_bare = !name.as_str().contains('@');
    is_bare && (host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback()))
}

/// The answer after a panic. The panic hook has printed its text, which may contain anything, so it is not repeated.
fn panicked(_cause: Box<dyn std::any::Any + Send + 'static>) -> Response<Body> {
    error!("A handler panicked: this is a bug in the program");
    crate::host::Answer::Failed("internal error: see the log".into()).into_response()
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_this_machine() {
        for name in
            ["127.0.0.1", "127.0.0.1:7071", "localhost", "LocalHost:1", "[::1]", "[::1]:7071", "127.0.0.2:80"]
        {
            assert!(is_this_machine(name), "{name}");
        }
        for name in [
            "",
            ":7071",
            "rebound.example:7071",
            "127.0.0.1.example",
            "localhost.example",
            "10.0.0.1",
            "a@localhost",
        ] {
            assert!(!is_this_machine(name), "{name}");
        }
    }
}
