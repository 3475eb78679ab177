//! Bodies of requests: read to their end, and kept up to a limit.
//!
//! An answer before the end would close the connection while the host is still writing to it. Guarantees: memory is bounded,
//! since few large bodies are in it at the same time; and a sender that stops sending does not keep a connection.

use super::problem::ProblemDocument;
use crate::model::hex;
use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::panic::resume_unwind;
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

/// The largest body of a function that is kept: an Event Grid delivery is at most 1 MB
/// (<https://learn.microsoft.com/azure/event-grid/quotas-limits>), and the host's encoding at most doubles it twice.
pub(super) const LIMIT: usize = 8 * 1024 * 1024;
/// The host itself accepts no more
/// (<https://learn.microsoft.com/azure/azure-functions/functions-bindings-http-webhook-trigger#limits>): a sender of more is
/// not the host, and may lose its connection.
const MOST: usize = 104_857_600;
/// A larger body needs a place among [`LARGE_AT_ONCE`], and is decoded beside the threads that answer. A queue message is at
/// most 64 KB, and so are nearly all events.
const SMALL: usize = 64 * 1024;
/// Large bodies in memory at the same time, in the whole process. Together with its decoded text one takes at most about
/// 40 MB, and a function has 512 MB or more.
const LARGE_AT_ONCE: usize = 2;
static LARGE: Semaphore = Semaphore::const_new(LARGE_AT_ONCE);
/// A body must arrive within this time, which is how long Event Grid waits for an answer
/// (<https://learn.microsoft.com/azure/event-grid/delivery-and-retry>). Even 8 MB take a second on the machine itself.
const SLOW: Duration = Duration::from_secs(30);
/// How long a large body waits for a place. Then its sender is told to come again, while it still listens.
const WAIT: Duration = Duration::from_secs(15);

/// A body that was read to its end. At most `KEPT` bytes are kept.
#[derive(Debug)]
pub(super) struct FullBody<const KEPT: usize = LIMIT> {
    pub(super) bytes: Bytes,
    /// The place of a large body.
    place: Option<SemaphorePermit<'static>>,
}

impl<const KEPT: usize> FullBody<KEPT> {
    /// Decodes the body; a large one on a thread of its own, so that the threads that answer are not held up.
    pub(super) async fn decode<T: Send + 'static>(
        self,
        decode: impl FnOnce(&[u8]) -> T + Send + 'static,
    ) -> T {
        let Self { bytes, place } = self;
        if place.is_none() {
            return decode(&bytes);
        }
        let decoding = tokio::task::spawn_blocking(move || {
            let decoded = decode(&bytes);
            // Not before: the decoding ends even if nobody waits for it any more.
            drop((bytes, place));
            decoded
        });
        decoding.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
    }
}

/// Why there is no body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is larger than `limit`.
    TooLarge { body: BodyDigest, limit: usize },
    /// The connection ended before the body did.
    CutShort,
    /// It did not arrive within [`SLOW`].
    TooSlow,
    /// It is large, and had no place within [`WAIT`].
    TooMany,
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

impl<S: Sync, const KEPT: usize> FromRequest<S> for FullBody<KEPT> {
    type Rejection = BodyError;

    async fn from_request(request: Request, _: &S) -> Result<Self, BodyError> {
        let mut pieces = request.into_body().into_data_stream();
        let mut deadline = Instant::now() + SLOW;
        let (mut kept, mut size_bytes, mut hash, mut place) = (Vec::new(), 0, None::<Sha256>, None);
        while let Some(piece) = timeout_at(deadline, pieces.next()).await.map_err(|_| BodyError::TooSlow)? {
            let piece = piece.map_err(|_| BodyError::CutShort)?;
            size_bytes += piece.len();
            if size_bytes <= KEPT {
                if size_bytes > SMALL && place.is_none() {
                    let since = Instant::now();
                    let free = timeout(WAIT, LARGE.acquire()).await.ok().and_then(Result::ok);
                    place = Some(free.ok_or(BodyError::TooMany)?);
                    // Its sender is not to blame for the wait.
                    deadline += since.elapsed();
                }
                kept.extend_from_slice(&piece);
                continue;
            }
            let before = std::mem::take(&mut kept);
            hash.get_or_insert_with(|| Sha256::new_with_prefix(before)).update(&piece);
            place = None;
            if size_bytes > MOST {
                break;
            }
        }
        let Some(hash) = hash else { return Ok(Self { bytes: kept.into(), place }) };
        let body = BodyDigest { size_bytes, sha256: hex(&hash.finalize()) };
        Err(BodyError::TooLarge { body, limit: KEPT })
    }
}

impl IntoResponse for BodyError {
    fn into_response(self) -> Response {
        let (status, detail) = match self {
            Self::TooLarge { limit, .. } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {limit} bytes; name no subscription to sync all of them"),
            ),
            Self::CutShort => (StatusCode::BAD_REQUEST, "the body was cut short: send it again".to_owned()),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                format!("the body did not arrive within {} s: send it again", SLOW.as_secs()),
            ),
            Self::TooMany => (
                StatusCode::SERVICE_UNAVAILABLE,
                "too many large bodies arrive at the same time: send it again later".to_owned(),
            ),
        };
        ProblemDocument::new(status, detail).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use futures::stream;
    use std::convert::Infallible;

    async fn read<const KEPT: usize>(body: Body) -> Result<FullBody<KEPT>, BodyError> {
        FullBody::<KEPT>::from_request(Request::new(body), &()).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_arriving_is_not_waited_for() {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from("{\"Data\":"))]);
        let begun = Instant::now();
        let stalls = read::<LIMIT>(Body::from_stream(first.chain(stream::pending()))).await;
        assert!(matches!(stalls, Err(BodyError::TooSlow)), "{stalls:?}");
        assert_eq!(begun.elapsed(), SLOW);
        // A byte a second is no better.
        let drops = stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, Infallible>(Bytes::from("x")), ()))
        });
        assert!(matches!(read::<LIMIT>(Body::from_stream(drops)).await, Err(BodyError::TooSlow)));
    }

    #[tokio::test]
    async fn a_body_is_kept_up_to_its_limit_and_measured_beyond() {
        assert_eq!(read::<10>(Body::from("0123456789")).await.unwrap().bytes, "0123456789");
        let Err(BodyError::TooLarge { body, limit: 10 }) = read::<10>(Body::from("0123456789A")).await else {
            panic!("kept")
        };
        assert_eq!((body.size_bytes, body.sha256), (11, BodyDigest::of(b"0123456789A").sha256));
    }
}
