//! Who we are in Azure: a managed identity, an application with a secret, or a developer's own sign-in. A setting chooses;
//! nothing is guessed.

mod tools;

use super::cloud::Cloud;
use crate::model::{AppId, TenantId};
use crate::sdk::client_options;
use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use azure_identity::{
    ClientSecretCredential, ClientSecretCredentialOptions, DeveloperToolsCredential,
    DeveloperToolsCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId,
};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tools::Tools;

/// Which identity reads Azure.
#[derive(Debug, Clone)]
pub enum Identity {
    /// The function app's managed identity: the user-assigned one with this client id, else the system-assigned one.
    Managed { client_id: Option<String> },
    /// An application and its secret.
    ClientSecret { tenant: TenantId, client: AppId, secret: SecretString },
    /// The account that is signed in to the Azure CLI or the Azure Developer CLI.
    DeveloperTools,
}

impl Identity {
    /// The credential. It caches its tokens and refreshes them five minutes before they expire, so one is enough for a process.
    ///
    /// # Errors
    /// When it cannot be built, for example a managed identity outside Azure.
    pub fn credential(
        &self,
        http: &reqwest::Client,
        cloud: Cloud,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let options = |http: reqwest::Client| ClientOptions {
            cloud: Some(Arc::new(cloud.for_sdk())),
            ..client_options(http)
        };
        Ok(match self {
            Self::ClientSecret { tenant, client, secret } => ClientSecretCredential::new(
                &tenant.to_string(),
                client.to_string(),
                secret.expose_secret().to_owned().into(),
                Some(ClientSecretCredentialOptions { client_options: options(http.clone()) }),
            )?,
            Self::Managed { client_id } => {
                // Its endpoint is local to this machine, and its header is a secret that no proxy should see.
                let direct =
                    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
                let direct = direct.unwrap_or_else(|_| http.clone());
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: options(direct),
                }))?
            }
            Self::DeveloperTools => DeveloperToolsCredential::new(Some(DeveloperToolsCredentialOptions {
                executor: Some(Arc::new(Tools { cloud })),
            }))?,
        })
    }
}
