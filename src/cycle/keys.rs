//! The secrets of one cycle.

use crate::model::hex;
use crate::secrets::{self, Secret, SecretError, Secrets};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

/// The secrets of one cycle.
pub(super) struct Keys {
    pub(super) login: Login,
    pub(super) connector: Secret,
}

impl Keys {
    /// Reads them.
    pub(super) async fn read(secrets: &Secrets, now: Timestamp) -> Result<Self, SecretError> {
        let [username, password, connector] = each(secrets, now).await;
        let login = Login { username: username?, password: password? };
        Ok(Self { login, connector: connector? })
    }
}

/// The names of the secrets that a cycle needs, in the order in which [`each`] gives them.
pub(crate) const NEEDED: [&str; 3] =
    [secrets::QUALYS_USERNAME, secrets::QUALYS_PASSWORD, secrets::CONNECTOR_CLIENT_SECRET];

/// Each secret that a cycle needs; one that has ended is an error.
pub(crate) async fn each(secrets: &Secrets, now: Timestamp) -> [Result<Secret, SecretError>; 3] {
    let read = async |name: &str| {
        let secret = secrets.get(name).await?;
        match secret.expires.filter(|at| *at <= now) {
            Some(at) => Err(SecretError::Expired { name: name.to_owned(), at }),
            None => Ok(secret),
        }
    };
    let [username, password, connector] = NEEDED;
    // At once, so that a vault that cannot be reached is named in the time of one.
    tokio::join!(read(username), read(password), read(connector)).into()
}

/// What Qualys is signed in to with.
pub(crate) struct Login {
    pub(crate) username: Secret,
    pub(crate) password: Secret,
}

impl Login {
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
