//! Who we are in Azure: a managed identity, an application with a secret, or a developer's own sign-in. A setting chooses;
//! nothing is guessed.

mod answers;
mod tokens;
mod tools;

use super::cloud::Cloud;
use crate::model::{AppId, TenantId};
use crate::sdk::{Issuer, client_options};
use answers::Answers;
use azure_core::credentials::TokenCredential;
use azure_core::http::ClientOptions;
use azure_identity::{
    ClientSecretCredential, ClientSecretCredentialOptions, DeveloperToolsCredential,
    DeveloperToolsCredentialOptions, Executor, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId,
};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokens::Tokens;
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
    /// The credential. It keeps its tokens, so one is enough for a process.
    ///
    /// # Errors
    /// When it cannot be built, for example without an address for the managed identity's endpoint.
    pub fn credential(
        &self,
        http: &reqwest::Client,
        cloud: Cloud,
    ) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let (credential, from): (Arc<dyn TokenCredential>, _) = match self {
            Self::ClientSecret { tenant, client, secret } => {
                let (from, sent) = (Issuer::Entra, Some(secret.clone()));
                let client_options = options(http.clone(), cloud, Answers { from, secret: sent });
                let credential = ClientSecretCredential::new(
                    &tenant.to_string(),
                    client.to_string(),
                    secret.expose_secret().to_owned().into(),
                    Some(ClientSecretCredentialOptions { client_options }),
                )?;
                (credential, from)
            }
            Self::Managed { client_id } => {
                let from = Issuer::Endpoint;
                // It is local to this machine, and its header is a secret that no proxy should see.
                let direct =
                    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
                let direct = direct.unwrap_or_else(|_| http.clone());
                let credential = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options: options(direct, cloud, Answers { from, secret: None }),
                }))?;
                (credential, from)
            }
            Self::DeveloperTools => {
                let executor: Arc<dyn Executor> = Arc::new(Tools { cloud });
                let options = DeveloperToolsCredentialOptions { executor: Some(executor) };
                (DeveloperToolsCredential::new(Some(options))?, Issuer::Tools)
            }
        };
        Ok(Arc::new(Tokens::new(credential, from)))
    }
}

/// The options of a credential that asks over HTTP.
fn options(http: reqwest::Client, cloud: Cloud, answers: Answers) -> ClientOptions {
    let mut options = client_options(http);
    options.cloud = Some(Arc::new(cloud.for_sdk()));
    options.per_call_policies.push(Arc::new(answers));
    options
}
