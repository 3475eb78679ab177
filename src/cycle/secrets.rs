//! The secrets of one cycle. One that has expired is an error.

use crate::account::Login;
use crate::secrets::{
    CONNECTOR_CLIENT_SECRET, QUALYS_PASSWORD, QUALYS_USERNAME, Secret, SecretError, Secrets,
};
use jiff::Timestamp;

/// The names of the secrets that [`read_login`] reads, in its order.
pub(crate) const LOGIN: [&str; 2] = [QUALYS_USERNAME, QUALYS_PASSWORD];

/// What Qualys is signed in to with.
pub(super) async fn login(secrets: &Secrets, now: Timestamp) -> Result<Login, SecretError> {
    let [username, password] = read_login(secrets, now).await;
    Ok(Login { username: username?, password: password? })
}

/// Reads the user name and the password.
pub(crate) async fn read_login(secrets: &Secrets, now: Timestamp) -> [Result<Secret, SecretError>; 2] {
    let [username, password] = LOGIN;
    // At once: a vault that cannot be reached is named after one time-out, not after two.
    tokio::join!(read(secrets, username, now), read(secrets, password, now)).into()
}

/// Reads the client secret of the service principal that new connectors use. Only a cycle that creates connectors needs it.
pub(crate) async fn read_connector(secrets: &Secrets, now: Timestamp) -> Result<Secret, SecretError> {
    read(secrets, CONNECTOR_CLIENT_SECRET, now).await
}

async fn read(secrets: &Secrets, name: &str, now: Timestamp) -> Result<Secret, SecretError> {
    let secret = secrets.get(name).await?;
    match secret.expires.filter(|at| *at <= now) {
        Some(at) => Err(SecretError::Expired { name: name.to_owned(), at }),
        None => Ok(secret),
    }
}
