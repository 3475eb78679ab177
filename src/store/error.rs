//! Errors of the store. Their messages name the blob and say what to do; they never contain anything from the blob.

use crate::sdk::{Refusal, SignInError};

/// Why a blob could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The condition of a write did not hold: another writer was faster.
    #[error("`{path}` was changed by another writer in the meantime")]
    Conflict { path: String },
    #[error("storage refused access to `{path}` ({cause}): {}", refusal.advice("Storage Blob Data Contributor"))]
    Forbidden { path: String, cause: String, refusal: Refusal },
    /// There was no answer, or there is nothing of the kind at that address.
    #[error("cannot {doing} `{path}` ({cause}): {advice}")]
    Unreached { doing: &'static str, path: String, cause: String, advice: String },
    /// The storage was not even asked.
    #[error("{why}: {}", why.advice())]
    SignIn { why: SignInError },
    /// A write-once policy protects the blob, and it holds something else than what was to be written.
    #[error(
        "a write-once policy protects `{path}`, which holds something else; nothing was overwritten. Only the container `inventory` may have such a policy, never `control`"
    )]
    WriteOnce { path: String },
    #[error("there is no container `{container}`: create it in the storage account of STORAGE")]
    NoContainer { container: &'static str },
    /// The storage could not be reached, or failed.
    #[error("cannot {doing} `{path}`")]
    Unavailable {
        /// What was attempted, as a verb: `read`.
        doing: &'static str,
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// The blob is not a value of ours.
    #[error("`{path}` is malformed: {why}. Move it away to start afresh; nothing was overwritten")]
    Unreadable { path: String, why: String },
    /// A newer version of this program wrote the blob.
    #[error(
        "`{path}` has schema version {found}, and this program knows {known}: use the newer program; nothing was overwritten"
    )]
    Newer { path: String, found: u64, known: u32 },
}

impl StoreError {
    /// What to do about it, where its text does not say so.
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unavailable { .. } => Some("check STORAGE"),
            Self::Conflict { .. }
            | Self::Forbidden { .. }
            | Self::Unreached { .. }
            | Self::SignIn { .. }
            | Self::WriteOnce { .. }
            | Self::NoContainer { .. }
            | Self::Unreadable { .. }
            | Self::Newer { .. } => None,
        }
    }
}
