//! What Qualys is signed in to with.

use crate::model::hex;
use crate::secrets::Secret;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

/// A Qualys user and its password.
#[derive(Debug)]
pub struct Login {
    pub username: Secret,
    pub password: Secret,
}

impl Login {
    /// Names these credentials without showing them: their versions in the vault, or else a short salted fingerprint.
    /// Its 32 bits distinguish corrected credentials from refused ones, and are too few to guess a password with.
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
