//! One call to the blob service: its limits, and what its failure means to a caller.

use crate::sdk::{self, Limits, SignInError};
use crate::store::{BlobKey, Container, StoreError};
use azure_core::http::StatusCode;
use std::io;
use std::time::Duration;

/// Blobs are small and parts go in blocks of a megabyte, so a call that takes longer, retries included, has met an
/// outage. Storage answers in milliseconds, so if there is no answer after 8 s, it is lost, and the attempt is
/// repeated.
const LIMITS: Limits = Limits { call: Duration::from_secs(30), attempt: Duration::from_secs(8) };

/// Why a call failed, by what a caller can do about it; with the error for one who can do nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no such blob.
    NotFound(StoreError),
    /// The condition of the write did not hold.
    ConditionFailed(StoreError),
    /// Another client has a lease on the blob.
    Leased(StoreError),
    /// The blob is there, and a write-once policy protects it.
    WriteOnce(StoreError),
    Other(StoreError),
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotFound(error)
            | Failure::ConditionFailed(error)
            | Failure::Leased(error)
            | Failure::WriteOnce(error)
            | Failure::Other(error) => error,
        }
    }
}

/// Calls the service about a blob.
///
/// # Errors
/// [`Failure`], when the last attempt failed.
pub(crate) async fn call<T, F>(
    doing: &'static str,
    key: &BlobKey,
    work: impl Fn() -> F + Sync,
) -> Result<T, Failure>
where
    T: Send,
    F: Future<Output = azure_core::Result<T>> + Send,
{
    call_about(doing, &key.path(), key.container(), work).await
}

/// As [`call`], about a path that need not be a blob's.
pub(super) async fn call_about<T, F>(
    doing: &'static str,
    path: &str,
    container: Container,
    work: impl Fn() -> F + Sync,
) -> Result<T, Failure>
where
    T: Send,
    F: Future<Output = azure_core::Result<T>> + Send,
{
    let called = sdk::attempts(LIMITS, sdk::if_transient, work).await;
    called.map_err(|error| failure(doing, path.to_owned(), container, &error))
}

/// The one place where an answer of the service becomes an error.
fn failure(doing: &'static str, path: String, container: Container, error: &azure_core::Error) -> Failure {
    if let Some(why) = SignInError::behind(error) {
        return Failure::Other(StoreError::SignIn { why });
    }
    let cause = sdk::brief(error);
    let refusal = sdk::refusal(error);
    let unreached = sdk::unreached(error, "STORAGE");
    match sdk::answer(error) {
        Some((StatusCode::NotFound, "ContainerNotFound")) => {
            Failure::Other(StoreError::NoContainer { container: container.as_str() })
        }
        Some((_, "LeaseAlreadyPresent" | "LeaseIdMissing")) => Failure::Leased(StoreError::Conflict { path }),
        // Whether Azure checks a write's condition or the policy first is not documented. The second code is that of an identity
        // that may create blobs and not overwrite them.
        // <https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes>
        Some((_, "BlobImmutableDueToPolicy" | "UnauthorizedBlobOverwrite")) => {
            Failure::WriteOnce(StoreError::WriteOnce { path })
        }
        // A write that may only create a blob gets 409 when the blob exists.
        Some((StatusCode::Conflict, "BlobAlreadyExists") | (StatusCode::PreconditionFailed, _)) => {
            Failure::ConditionFailed(StoreError::Conflict { path })
        }
        answer => {
            let is_missing = answer.is_some_and(|(status, _)| status == StatusCode::NotFound);
            let failed = match (refusal, unreached) {
                (Some(refusal), _) => StoreError::Forbidden { path, cause, refusal },
                (None, Some(advice)) => StoreError::Unreached { doing, path, cause, advice },
                (None, None) => StoreError::Unavailable { doing, path, source: io::Error::other(cause) },
            };
            if is_missing { Failure::NotFound(failed) } else { Failure::Other(failed) }
        }
    }
}
