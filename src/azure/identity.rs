//! Who we are in Azure: managed identity there, the developer's own sign-in at a desk. Chosen by a setting, never guessed.

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use std::sync::Arc;

/// Which identity reads Azure. A client secret takes its place here with the Azure edges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// The managed identity of the function app; user-assigned if a client id is given.
    Managed {
        /// The user-assigned identity's client id.
        client_id: Option<String>,
    },
    /// Whoever is signed in with the Azure CLI or the Azure Developer CLI.
    DeveloperTools,
}

impl Identity {
    /// The credential. Tokens are cached in it and refreshed five minutes before they end, so one serves a process.
    ///
    /// # Errors
    /// When it cannot be built, such as a managed identity outside Azure.
    pub fn credential(&self, http: &reqwest::Client) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(match self {
            Self::Managed { client_id } => {
                let client_options = ClientOptions {
                    transport: Some(Transport::new(Arc::new(http.clone()))),
                    // The caller repeats within its own deadline; the SDK's default would go on for over a minute.
                    retry: RetryOptions::none(),
                    ..ClientOptions::default()
                };
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options,
                }))?
            }
            Self::DeveloperTools => DeveloperToolsCredential::new(None)?,
        })
    }
}
