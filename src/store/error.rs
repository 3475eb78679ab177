//! What can go wrong with blobs. The messages name the blob and say what to do; they never hold its content.

/// Why a blob could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The condition of a write did not hold: somebody else was first.
    #[error("`{path}` was changed by somebody else meanwhile")]
    Conflict {
        /// The blob.
        path: String,
    },
    /// The storage refused the identity.
    #[error(
        "storage refused access to `{path}`: in Azure, give the identity the role `Storage Blob Data Contributor`"
    )]
    Forbidden {
        /// The blob.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A container is missing.
    #[error("there is no container `{container}`: make it in the storage account of STORAGE")]
    NoContainer {
        /// Its name.
        container: &'static str,
    },
    /// The storage could not be reached, or failed.
    #[error("cannot {doing} `{path}`")]
    Unavailable {
        /// What was attempted.
        doing: &'static str,
        /// The blob.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// What is stored cannot be understood.
    #[error(
        "`{path}` is not what it should be: {why}. Move it away to start afresh; nothing was overwritten"
    )]
    Unreadable {
        /// The blob.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// A newer version of this program wrote it.
    #[error(
        "`{path}` has schema version {found}, and this program knows {known}: use the newer program; nothing was overwritten"
    )]
    Newer {
        /// The blob.
        path: String,
        /// Its version.
        found: u64,
        /// Ours.
        known: u32,
    },
}
