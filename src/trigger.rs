//! Triggers: one route for each folder of `function-app/`. Each leaves an inbox item and books a wake-up; none decides anything
//! or calls Qualys. Only the queue's own function runs a cycle.
//!
//! Guarantees: whatever arrives, there is an answer and the process lives. Nothing but unreachable storage is a failure,
//! because Event Grid, the timer and the queue can do nothing about anything else.

mod api;
mod body;
mod drain;
mod events;
mod functions;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod problem;

pub use drain::drain;

use crate::app::App;
use crate::inbox::ItemContent;
use crate::model::{Asked, RequestId, TenantId};
use crate::queue::{Booked, WakeUpError};
use crate::store::ItemName;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use problem::ProblemDocument;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
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

/// What a caller who is lost is told.
const NO_ROUTE: &str =
    "there is no such route: try POST /api/sync, GET /api/requests/{id}, GET /api/status or GET /api/plan";

/// Who calls.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The Functions host: it has checked keys, and is the only one that reaches the port.
    Host,
    /// Anybody who reaches the address; off loopback they show this token.
    Anybody {
        /// The token; none on loopback.
        token: Option<SecretString>,
    },
}

/// The routes. Without a host the envelope's do not exist.
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
        Caller::Anybody { token: None } => api.layer(middleware::from_fn(no_page)),
        Caller::Anybody { token: Some(token) } => {
            api.layer(middleware::from_fn_with_state(token.clone(), show_token))
        }
    };
    routes
        // The host asks for it to see whether we are there; it must stay cheap.
        .route("/", get(async || Json(json!({ "ok": true }))))
        .fallback(async || ProblemDocument::new(StatusCode::NOT_FOUND, NO_ROUTE))
        .method_not_allowed_fallback(async || {
            ProblemDocument::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this route takes the method that `Allow` names",
            )
        })
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(app)
}

/// The time. Triggers and the command line are the only places that ask for it; everything else is told.
#[expect(clippy::disallowed_methods, reason = "the clock is read here and passed down")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// Lets those in who show the token. Hashes are compared, so that the time taken tells nothing about it.
async fn show_token(State(token): State<SecretString>, request: Request, next: Next) -> Response {
    let shown = request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let hash = |text: &str| Sha256::digest(text.as_bytes());
    if shown.is_some_and(|shown| hash(shown) == hash(token.expose_secret())) {
        return next.run(request).await;
    }
    let refused = ProblemDocument::new(StatusCode::UNAUTHORIZED, "show `Authorization: Bearer <api-token>`");
    ([(header::WWW_AUTHENTICATE, "Bearer")], refused).into_response()
}

/// Keeps out the pages of a browser on this machine: they may post to loopback, and always say where they come from.
async fn no_page(request: Request, next: Next) -> Response {
    if request.headers().contains_key(header::ORIGIN) {
        return ProblemDocument::new(StatusCode::FORBIDDEN, "a page in a browser may not call this")
            .into_response();
    }
    next.run(request).await
}

/// A panic becomes an answer. Its text may hold anything, so only its being there is told; the panic hook has printed it.
fn panicked(_cause: Box<dyn std::any::Any + Send + 'static>) -> Response<Body> {
    error!("A handler panicked; this is a bug in the program");
    crate::host::Answer::Failed("internal error; see the log".into()).into_response()
}

impl App {
    /// Leaves an inbox item, then books a wake-up: if the wake-up is lost, the next one finds the item.
    ///
    /// # Errors
    /// When the item cannot be written, or the wake-up not booked.
    pub async fn leave(
        &self,
        tenant: TenantId,
        name: ItemName,
        content: &ItemContent,
        now: Timestamp,
    ) -> Result<Booked, WakeUpError> {
        self.tenant.inbox.put(tenant, name, content).await?;
        self.tenant.wake_ups.book(tenant, now, now).await
    }

    /// Leaves a request and its page, then books a wake-up.
    ///
    /// # Errors
    /// As [`App::leave`].
    pub async fn leave_request(
        &self,
        tenant: TenantId,
        id: &RequestId,
        asked: &Asked,
        by: &str,
        now: Timestamp,
    ) -> Result<Booked, WakeUpError> {
        self.tenant.inbox.put_request(tenant, id, asked, by, now).await?;
        self.tenant.wake_ups.book(tenant, now, now).await
    }
}
