//! The secrets of one cycle.

use crate::account::Login;
use crate::secrets::{self, Secret, SecretError, Secrets};
use jiff::Timestamp;

/// The names of the secrets that a cycle needs, in the order in which [`read_each`] returns them.
pub(crate) const NEEDED: [&str; 3] =
    [secrets::QUALYS_USERNAME, secrets::QUALYS_PASSWORD, secrets::CONNECTOR_CLIENT_SECRET];

/// The secrets of one cycle.
#[derive(Debug)]
pub(super) struct CycleSecrets {
    pub(super) login: Login,
    /// The client secret of the service principal that new connectors use.
    pub(super) connector: Secret,
}

impl CycleSecrets {
    pub(super) async fn read(secrets: &Secrets, now: Timestamp) -> Result<Self, SecretError> {
        let [username, password, connector] = read_each(secrets, now).await;
        let login = Login { username: username?, password: password? };
        Ok(Self { login, connector: connector? })
    }
}

/// Reads each secret that a cycle needs. One that has expired is an error.
pub(crate) async fn read_each(secrets: &Secrets, now: Timestamp) -> [Result<Secret, SecretError>; 3] {
    let read = async |name: &str| {
        let secret = secrets.get(name).await?;
        match secret.expires.filter(|at| *at <= now) {
            Some(at) => Err(SecretError::Expired { name: name.to_owned(), at }),
            None => Ok(secret),
        }
    };
    let [username, password, connector] = NEEDED;
    // At once: a vault that cannot be reached is named after one time-out, not after three.
    tokio::join!(read(username), read(password), read(connector)).into()
}
