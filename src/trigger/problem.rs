//! Errors of the HTTP functions: problem documents (RFC 9457).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An error answer: what is wrong, and what to do.
#[derive(Debug)]
pub(super) struct ProblemDocument {
    status: StatusCode,
    detail: String,
}

impl ProblemDocument {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }
}

impl IntoResponse for ProblemDocument {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Json(json!({
            "type": "about:blank", "title": title, "status": self.status.as_u16(), "detail": self.detail
        }));
        (self.status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response()
    }
}
