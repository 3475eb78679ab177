//! Key Vault: the newest version of a secret.
//!
//! Guarantees: an answer or a named cause within 4.5 seconds; values go straight into [`SecretString`]; of an error answer
//! only the code is kept.

use super::cloud::Cloud;
use super::code::{code_in, is_name};
use crate::report::{UNTRUSTED, is_untrusted};
use crate::retry::Again;
use crate::sdk::{self, Issuer, Limits, SignInError, client_options, root_of};
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;
use azure_security_keyvault_secrets::{ResourceExt, SecretClient, SecretClientOptions};
use jiff::Timestamp;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use url::Url;

/// A vault answers in milliseconds, and a person who waits for the cause of a failure should have it within five seconds.
/// One attempt may use all of that.
const LIMITS: Limits = Limits { call: Duration::from_millis(4500), attempt: Duration::from_millis(4500) };

/// Why the vault returned no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    #[error("there is no such secret")]
    NotFound,
    #[error("its newest version is disabled")]
    Disabled,
    /// The identity may not read secrets, or not from this network.
    #[error("the vault forbids it ({code})")]
    Forbidden { code: String },
    #[error("the vault does not accept the identity's token")]
    Unauthorized,
    #[error("the vault gets too many requests now")]
    Throttled,
    #[error("the vault's certificate is not trusted ({cause})")]
    Untrusted { cause: String },
    /// There is no token to ask with.
    #[error(transparent)]
    SignIn(SignInError),
    #[error("the vault cannot be reached ({cause})")]
    Unreachable { cause: String },
    /// Any other answer.
    #[error("the vault answered HTTP {status} ({code})")]
    Status { status: u16, code: String },
}

impl VaultError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        let advice = match self {
            Self::SignIn(why) => return why.advice(),
            Self::NotFound => "store the secret under that name, or correct KEY_VAULT_URL",
            Self::Disabled => "enable it, or add a version",
            Self::Forbidden { code } => match code.as_str() {
                "ForbiddenByRbac" => "give the identity the role `Key Vault Secrets User` on the vault",
                "AccessDenied" => {
                    "let the identity get secrets: it needs that permission in the vault's access policies"
                }
                "ForbiddenByFirewall" | "ForbiddenByConnection" => {
                    "allow this address in the vault's firewall, or use the vault's private endpoint"
                }
                _ => {
                    "give the identity the role `Key Vault Secrets User` on the vault, or allow this address in its firewall"
                }
            },
            Self::Unauthorized => {
                "use an identity of the vault's directory (AZURE_IDENTITY, AZURE_CLIENT_ID, AZURE_TENANT_ID)"
            }
            Self::Throttled => "nothing to do: a later cycle tries again",
            Self::Untrusted { .. } => UNTRUSTED,
            Self::Unreachable { .. } => {
                "check KEY_VAULT_URL, the network, and the proxy if there is one (HTTPS_PROXY)"
            }
            Self::Status { status: 500.., .. } => "nothing to do at first: a later cycle tries again",
            Self::Status { .. } => "check KEY_VAULT_URL",
        };
        advice.to_owned()
    }
}

/// A key vault, read as one identity.
#[derive(Clone)]
pub struct Vault {
    client: Arc<SecretClient>,
    url: Url,
    credential: Arc<dyn TokenCredential>,
    /// What its tokens are for; none at an address that is in no cloud, where the vault's first answer says it.
    scope: Option<String>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.url)
    }
}

/// A secret as the vault has it.
#[derive(Debug)]
pub struct VaultSecret {
    pub value: SecretString,
    pub version: Option<String>,
    /// When it expires. The vault returns expired secrets too.
    pub expires: Option<Timestamp>,
}

impl Vault {
    /// # Errors
    /// When the address cannot be a vault's.
    pub fn new(
        http: reqwest::Client,
        url: Url,
        credential: Arc<dyn TokenCredential>,
    ) -> azure_core::Result<Self> {
        let options =
            SecretClientOptions { client_options: client_options(http), ..SecretClientOptions::default() };
        let scope = url.host_str().and_then(Cloud::vault_scope);
        let client = SecretClient::new(url.as_str(), Arc::clone(&credential), Some(options))?;
        Ok(Self { client: Arc::new(client), url, credential, scope })
    }

    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The newest version of a secret.
    ///
    /// # Errors
    /// [`VaultError`], by what to do about it.
    pub async fn get(&self, name: &str) -> Result<VaultSecret, VaultError> {
        let again = |error: &azure_core::Error| match cause(error) {
            VaultError::Unreachable { .. } | VaultError::Throttled => Again::Soon,
            VaultError::Status { status, .. } if status >= 500 => Again::Soon,
            _ => Again::No,
        };
        // A token may take longer than the vault may.
        if let Some(scope) = &self.scope {
            let deadline = Instant::now() + Issuer::Tools.limit();
            sdk::token(self.credential.as_ref(), &[scope], deadline).await.map_err(VaultError::SignIn)?;
        }
        let ask = || async { self.client.get_secret(name, None).await };
        read(sdk::attempts(LIMITS, again, ask).await.map_err(|error| cause(&error))?)
    }
}

type Answer = azure_core::http::Response<azure_security_keyvault_secrets::models::Secret>;

fn read(answer: Answer) -> Result<VaultSecret, VaultError> {
    let malformed = |_| VaultError::Status { status: 200, code: "no secret in the answer".into() };
    let secret = answer.into_model().map_err(malformed)?;
    let version = secret.resource_id().ok().and_then(|id| id.version);
    let attributes = secret.attributes;
    if attributes.as_ref().and_then(|a| a.enabled) == Some(false) {
        return Err(VaultError::Disabled);
    }
    let expires =
        attributes.and_then(|a| a.expires).and_then(|at| Timestamp::from_second(at.unix_timestamp()).ok());
    match secret.value.filter(|value| !value.is_empty()) {
        Some(value) => Ok(VaultSecret { value: value.into(), version, expires }),
        None => Err(VaultError::NotFound),
    }
}

/// The one place where an answer of the vault becomes an error.
fn cause(error: &azure_core::Error) -> VaultError {
    if let Some(why) = SignInError::behind(error) {
        return VaultError::SignIn(why);
    }
    let ErrorKind::HttpResponse { status, error_code, raw_response } = error.kind() else {
        let cause = root_of(error);
        return if is_untrusted(error) {
            VaultError::Untrusted { cause }
        } else {
            VaultError::Unreachable { cause }
        };
    };
    // The SDK cannot read the code when the message has an escaped character, and real refusals have one.
    let answered = raw_response.as_ref().and_then(|answer| code_in(answer.body()));
    let sdk = error_code.clone().filter(|code| is_name(code));
    let code = answered.or(sdk).unwrap_or_else(|| "no code".into());
    match status {
        StatusCode::NotFound => VaultError::NotFound,
        StatusCode::Forbidden if code == "SecretDisabled" => VaultError::Disabled,
        StatusCode::Forbidden => VaultError::Forbidden { code },
        StatusCode::Unauthorized => VaultError::Unauthorized,
        StatusCode::TooManyRequests => VaultError::Throttled,
        status => VaultError::Status { status: u16::from(*status), code },
    }
}
