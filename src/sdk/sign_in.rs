//! Why there is no token for Azure: a failure of its own, never that of the service which the token was for.
//!
//! Guarantees: one short sentence of whoever refused, once, with its code; nothing secret.

use crate::report::UNTRUSTED;
use azure_core::Error;
use std::error::Error as _;
use std::fmt;
use std::time::Duration;

/// Who gives out tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Issuer {
    Entra,
    /// The endpoint of the managed identity, on this machine.
    Endpoint,
    /// The Azure CLI and the Azure Developer CLI.
    Tools,
}

impl Issuer {
    /// How long it may take. Entra and the endpoint answer in milliseconds, and a person who waits for the cause of a failure
    /// should have it within five seconds. The tools are programs that take seconds to start, up to ten on a busy machine;
    /// the SDKs of other languages wait ten to thirteen for them.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::Entra | Self::Endpoint => Duration::from_millis(4500),
            Self::Tools => Duration::from_secs(30),
        }
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entra => "Entra",
            Self::Endpoint => "the endpoint of the managed identity",
            Self::Tools => "the Azure CLI",
        })
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignInError {
    /// It said no. Asking again does not help.
    #[error("{from} refused the sign-in ({said})")]
    Refused {
        from: Issuer,
        /// The number of Entra's code: 7000215 of AADSTS7000215.
        code: Option<u32>,
        said: String,
    },
    /// It cannot answer now, or its answer has no token.
    #[error("{from} cannot sign in anyone now ({said})")]
    Unavailable { from: Issuer, said: String },
    #[error("no answer from {from} to the sign-in ({cause})")]
    NoAnswer { from: Issuer, cause: String },
    #[error("the certificate of {from} is not trusted ({cause})")]
    Untrusted { from: Issuer, cause: String },
}

impl SignInError {
    /// The failed sign-in behind an error of the SDK, if there is one.
    pub(crate) fn behind(error: &Error) -> Option<Self> {
        let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
        causes.find_map(|cause| cause.downcast_ref::<Self>()).cloned()
    }

    /// Whether another attempt may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::NoAnswer { .. })
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::Refused { from: Issuer::Entra, code, .. } => of_code(*code),
            Self::Refused { from: Issuer::Endpoint, .. } => {
                "assign the managed identity to the function app, or correct AZURE_CLIENT_ID".into()
            }
            Self::Refused { from: Issuer::Tools, .. } => {
                "sign in with `az login` or `azd auth login`, to the right directory, or set AZURE_IDENTITY"
                    .into()
            }
            Self::Unavailable { .. } => "nothing to do at first: a later cycle tries again".into(),
            Self::NoAnswer { from: Issuer::Entra, .. } => {
                "check AZURE_CLOUD, the network, and the proxy if there is one (HTTPS_PROXY)".into()
            }
            Self::NoAnswer { from: Issuer::Endpoint, .. } => {
                "outside Azure there is no managed identity: set AZURE_IDENTITY".into()
            }
            Self::NoAnswer { from: Issuer::Tools, .. } => {
                "find out why `az account get-access-token` takes so long".into()
            }
            Self::Untrusted { .. } => UNTRUSTED.into(),
        }
    }
}

/// The codes are those of <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>.
fn of_code(code: Option<u32>) -> String {
    match code {
        Some(7_000_215) => "put the value of a client secret, not its id, into AZURE_CLIENT_SECRET".into(),
        Some(7_000_222) => {
            "give the application a new client secret and put it into AZURE_CLIENT_SECRET".into()
        }
        Some(700_016 | 7_000_112) => {
            "correct AZURE_CLIENT_ID or AZURE_TENANT_ID, or enable the application in that directory".into()
        }
        Some(90_002 | 900_023) => "correct AZURE_TENANT_ID or AZURE_CLOUD".into(),
        Some(500_011) => "correct AZURE_CLOUD or AZURE_TENANT_ID".into(),
        Some(53_003 | 530_035) => {
            "let the conditional access policies of the directory admit this application from here".into()
        }
        Some(code) => {
            format!(
                "check AZURE_IDENTITY and its settings; https://login.microsoftonline.com/error?code={code} explains the code"
            )
        }
        None => "check AZURE_CLOUD, and the proxy if there is one (HTTPS_PROXY)".into(),
    }
}
