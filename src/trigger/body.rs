//! Bodies of requests: read to their end, and kept up to a limit.
//!
//! To the end, because an answer before it closes the connection that the host is still writing to.

use super::problem::ProblemDocument;
use crate::model::hex;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use sha2::{Digest, Sha256};

/// The largest body that is kept: an Event Grid delivery is at most 1 MB
/// (<https://learn.microsoft.com/azure/event-grid/quotas-limits>), and the host's encoding at most doubles it twice.
pub(super) const LIMIT: usize = 8 * 1024 * 1024;
/// The host itself takes no more
/// (<https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits>): nobody who
/// sends more needs the connection afterwards.
const MOST: usize = 104_857_600;

/// A body.
#[derive(Debug)]
pub(super) struct Whole(pub(super) Bytes);

/// A body that was not kept.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is larger than [`LIMIT`].
    TooLarge(Digested),
    /// Its sender went away.
    Cut,
}

/// What tells one body from another without keeping it.
#[derive(Debug)]
pub(super) struct Digested {
    /// Its length in bytes.
    pub(super) size_bytes: usize,
    /// The SHA-256 of it, in hexadecimal.
    pub(super) sha256: String,
}

impl Digested {
    pub(super) fn of(body: &[u8]) -> Self {
        Self { size_bytes: body.len(), sha256: hex(&Sha256::digest(body)) }
    }
}

impl<S: Sync> FromRequest<S> for Whole {
    type Rejection = Unread;

    async fn from_request(request: Request, _: &S) -> Result<Self, Unread> {
        let mut pieces = request.into_body().into_data_stream();
        let (mut kept, mut size_bytes, mut hash) = (Vec::new(), 0, None::<Sha256>);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| Unread::Cut)?;
            size_bytes += piece.len();
            if size_bytes <= LIMIT {
                kept.extend_from_slice(&piece);
                continue;
            }
            let before = std::mem::take(&mut kept);
            hash.get_or_insert_with(|| Sha256::new_with_prefix(before)).update(&piece);
            if size_bytes > MOST {
                break;
            }
        }
        match hash {
            None => Ok(Self(kept.into())),
            Some(hash) => Err(Unread::TooLarge(Digested { size_bytes, sha256: hex(&hash.finalize()) })),
        }
    }
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        match self {
            Self::TooLarge(_) => {
                let detail = format!(
                    "the body is larger than {LIMIT} bytes: leave the subscriptions out to sync all of them"
                );
                ProblemDocument::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response()
            }
            Self::Cut => ProblemDocument::bad("the body ended too early: send it again").into_response(),
        }
    }
}
