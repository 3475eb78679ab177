//! The secrets of one cycle.

use crate::model::hex;
use crate::secrets::{self, Secret, SecretError, Secrets};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

/// The secrets of one cycle.
pub(super) struct Keys {
    pub(super) username: Secret,
    pub(super) password: Secret,
    pub(super) connector: Secret,
}

impl Keys {
    /// Reads them.
    pub(super) async fn read(secrets: &Secrets) -> Result<Self, SecretError> {
        Ok(Self {
            username: secrets.get(secrets::QUALYS_USERNAME).await?,
            password: secrets.get(secrets::QUALYS_PASSWORD).await?,
            connector: secrets.get(secrets::CONNECTOR_CLIENT_SECRET).await?,
        })
    }

    /// What names these Qualys credentials without telling them: their versions, or a short salted fingerprint. Thirty-two
    /// bits tell a correction from what was refused, and are of no use to guess a password with.
    pub(super) fn fingerprint(&self, salt: &str) -> String {
        if let (Some(username), Some(password)) = (&self.username.version, &self.password.version) {
            return format!("{username}/{password}");
        }
        let mut hash = Sha256::new();
        for part in [salt, self.username.value.expose_secret(), self.password.value.expose_secret()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex(&hash.finalize()[..4])
    }
}
