//! Who we are in Azure: managed identity there, the developer's own sign-in at a desk. Chosen by a setting, never guessed.

use crate::model::{AppId, TenantId};
use crate::sdk::client_options;
use azure_core::credentials::TokenCredential;
use azure_identity::{
    ClientSecretCredential, ClientSecretCredentialOptions, DeveloperToolsCredential,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// Which identity reads Azure.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The managed identity of the function app; user-assigned if a client id is given.
    Managed {
        /// The user-assigned identity's client id.
        client_id: Option<String>,
    },
    /// An application and its secret.
    ClientSecret {
        /// The directory.
        tenant: TenantId,
        /// The application.
        client: AppId,
        /// Its secret.
        secret: SecretString,
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
            Self::ClientSecret { tenant, client, secret } => ClientSecretCredential::new(
                &tenant.to_string(),
                client.to_string(),
                secret.expose_secret().to_owned().into(),
                Some(ClientSecretCredentialOptions { client_options: client_options(http.clone()) }),
            )?,
            Self::Managed { client_id } => {
                // Its endpoint is on this machine or link-local; its header is a secret that no proxy should see.
                let direct =
                    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
                let direct = direct.unwrap_or_else(|_| http.clone());
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: client_options(direct),
                }))?
            }
            Self::DeveloperTools => DeveloperToolsCredential::new(None)?,
        })
    }
}
