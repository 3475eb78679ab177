//! Bodies of requests: read to their end, and kept up to a limit.
//!
//! An answer before the end would close the connection while the host is still writing to it.

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
/// The host itself accepts no more
/// (<https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits>): a sender of more is
/// not the host, and may lose its connection.
const MOST: usize = 104_857_600;

/// A body that was read to its end.
#[derive(Debug)]
pub(super) struct FullBody(pub(super) Bytes);

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is larger than [`LIMIT`].
    TooLarge(BodyDigest),
    /// The connection ended before the body did.
    CutShort,
}

/// What identifies a body without keeping it.
#[derive(Debug)]
pub(super) struct BodyDigest {
    pub(super) size_bytes: usize,
    /// In hexadecimal.
    pub(super) sha256: String,
}

impl BodyDigest {
    pub(super) fn of(body: &[u8]) -> Self {
        Self { size_bytes: body.len(), sha256: hex(&Sha256::digest(body)) }
    }
}

impl<S: Sync> FromRequest<S> for FullBody {
    type Rejection = BodyError;

    async fn from_request(request: Request, _: &S) -> Result<Self, BodyError> {
        let mut pieces = request.into_body().into_data_stream();
        let (mut kept, mut size_bytes, mut hash) = (Vec::new(), 0, None::<Sha256>);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| BodyError::CutShort)?;
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
            Some(hash) => Err(BodyError::TooLarge(BodyDigest { size_bytes, sha256: hex(&hash.finalize()) })),
        }
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        match self {
            Self::TooLarge(_) => {
                let detail = format!(
                    "the body is larger than {LIMIT} bytes; name no subscription to sync all of them"
                );
                ProblemDocument::new(StatusCode::PAYLOAD_TOO_LARGE, detail).into_response()
            }
            Self::CutShort => ProblemDocument::bad("the body was cut short: send it again").into_response(),
        }
    }
}
