//! Secrets: read once a cycle, kept in [`SecretString`], never printed. [`Secrets`] is an `enum` over the sources.

use crate::azure::vault::{Vault, VaultError, VaultSecret};
use crate::sdk::SignInError;
pub use crate::sdk::shows;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use std::collections::BTreeMap;
use std::path::PathBuf;
use url::Url;

/// The Qualys user's name.
pub const QUALYS_USERNAME: &str = "qualys-username";
/// The Qualys user's password.
pub const QUALYS_PASSWORD: &str = "qualys-password";
/// The client secret of the service principal that the connectors use.
pub const CONNECTOR_CLIENT_SECRET: &str = "connector-client-secret";
/// The token that callers of `/api/*` must present where no Functions host checks keys.
pub const API_TOKEN: &str = "api-token";

/// Why a secret could not be read. The messages name secrets; they never contain one.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret `{name}` is missing from {place}")]
    Missing { name: String, place: String },
    #[error("cannot read the secrets file {}", file.display())]
    File {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot read the secret `{name}` from {vault}")]
    Vault {
        name: String,
        vault: Url,
        #[source]
        source: VaultError,
    },
    /// The vault was not even asked.
    #[error(transparent)]
    SignIn(SignInError),
    #[error("the secret `{name}` expired at {at}")]
    Expired { name: String, at: Timestamp },
    /// Nobody types one, so it would be refused, and refused passwords lock a user. What is meant is not guessed.
    #[error("the secret `{name}` begins or ends with a line break, so it is not used")]
    LineBreak { name: String },
    #[error("the secrets file {} is not a JSON object of names and strings (line {line}, column {column})", file.display())]
    Malformed { file: PathBuf, line: usize, column: usize },
}

/// Where secrets come from.
#[derive(Debug, Clone)]
pub enum Secrets {
    /// Key Vault: the newest version each time.
    Vault(Vault),
    /// The environment, as it was when the program started: `QUALYS_USERNAME` holds `qualys-username`.
    Env(BTreeMap<String, SecretString>),
    /// A file with a JSON object of names and values, read again each time.
    File(PathBuf),
}

/// A secret and its version, where the source has versions.
#[derive(Debug, Clone)]
pub struct Secret {
    pub value: SecretString,
    pub version: Option<String>,
    /// When it expires, if the source says so.
    pub expires: Option<Timestamp>,
}

impl SecretError {
    /// What to do about it.
    pub fn advice(&self) -> String {
        match self {
            Self::SignIn(why) => why.advice(),
            Self::Vault { source, .. } => source.advice(),
            Self::Missing { .. } => "store the secret under that name, or correct SECRETS".into(),
            Self::File { .. } | Self::Malformed { .. } => "correct that file, or SECRETS".into(),
            Self::Expired { .. } => "add a new version".into(),
            Self::LineBreak { .. } => {
                "store it again without the line break, which a file or a pipe may have added".into()
            }
        }
    }
}

impl Secrets {
    /// The variable that holds a secret when `SECRETS=env`.
    pub fn variable(name: &str) -> String {
        name.to_ascii_uppercase().replace('-', "_")
    }

    /// The secret of this name.
    ///
    /// # Errors
    /// When it is missing or empty, its source cannot be read, or it begins or ends with a line break.
    pub async fn get(&self, name: &str) -> Result<Secret, SecretError> {
        let secret = self.read(name).await?;
        let is_break = |c: char| matches!(c, '\r' | '\n');
        let value = secret.value.expose_secret();
        if value.starts_with(is_break) || value.ends_with(is_break) {
            return Err(SecretError::LineBreak { name: name.to_owned() });
        }
        Ok(secret)
    }

    async fn read(&self, name: &str) -> Result<Secret, SecretError> {
        let (value, place) = match self {
            Self::Vault(vault) => {
                let failed = |source| match source {
                    VaultError::SignIn(why) => SecretError::SignIn(why),
                    source => {
                        SecretError::Vault { name: name.to_owned(), vault: vault.url().clone(), source }
                    }
                };
                let VaultSecret { value, version, expires } = vault.get(name).await.map_err(failed)?;
                return Ok(Secret { value, version, expires });
            }
            Self::Env(values) => {
                (values.get(name).cloned(), format!("the environment (`{}`)", Self::variable(name)))
            }
            Self::File(file) => (Self::from_file(file, name).await?, format!("the file {}", file.display())),
        };
        match value {
            Some(value) => Ok(Secret { value, version: None, expires: None }),
            None => Err(SecretError::Missing { name: name.to_owned(), place }),
        }
    }

    async fn from_file(file: &std::path::Path, name: &str) -> Result<Option<SecretString>, SecretError> {
        let bytes = tokio::fs::read(file)
            .await
            .map_err(|source| SecretError::File { file: file.to_owned(), source })?;
        // The parser's own message may repeat a value, so only the position of the error is kept.
        let mut values: BTreeMap<String, String> = serde_json::from_slice(&bytes).map_err(|error| {
            SecretError::Malformed { file: file.to_owned(), line: error.line(), column: error.column() }
        })?;
        Ok(values.remove(name).filter(|value| !value.is_empty()).map(SecretString::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_again_each_time_and_its_errors_do_not_show_values() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secrets.json");
        let secrets = Secrets::File(file.clone());
        assert!(matches!(secrets.get(QUALYS_PASSWORD).await, Err(SecretError::File { .. })));
        std::fs::write(&file, r#"{"qualys-password": "s3cret", "empty": ""}"#).unwrap();
        assert_eq!(secrets.get(QUALYS_PASSWORD).await.unwrap().value.expose_secret(), "s3cret");
        assert!(matches!(secrets.get("empty").await, Err(SecretError::Missing { .. })));
        std::fs::write(&file, r#"{"qualys-password": ["s3cret"]}"#).unwrap();
        let error = secrets.get(QUALYS_PASSWORD).await.unwrap_err();
        assert!(!format!("{error:#?} {error}").contains("s3cret"));
    }

    #[tokio::test]
    async fn a_missing_secret_is_named_with_the_variable_that_would_hold_it() {
        let error = Secrets::Env(BTreeMap::new()).get(CONNECTOR_CLIENT_SECRET).await.unwrap_err();
        insta::assert_snapshot!(error, @"the secret `connector-client-secret` is missing from the environment (`CONNECTOR_CLIENT_SECRET`)");
    }

    #[tokio::test]
    async fn a_secret_with_a_line_break_at_an_end_is_named_and_not_used() {
        for value in ["s3cret\n", "s3cret\r\n", "\ns3cret"] {
            let values = BTreeMap::from([(QUALYS_PASSWORD.to_owned(), value.to_owned().into())]);
            let error = Secrets::Env(values).get(QUALYS_PASSWORD).await.unwrap_err();
            assert_eq!(
                format!("{error}: {}", error.advice()),
                "the secret `qualys-password` begins or ends with a line break, so it is not used: \
                 store it again without the line break, which a file or a pipe may have added"
            );
        }
        let values =
            BTreeMap::from([(QUALYS_PASSWORD.to_owned(), " a secret\twith spaces ".to_owned().into())]);
        Secrets::Env(values).get(QUALYS_PASSWORD).await.unwrap();
    }
}
