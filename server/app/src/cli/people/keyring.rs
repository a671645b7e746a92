//! The operating system's keyring: Keychain on macOS, Credential Manager on Windows, Secret Service elsewhere.
//!
//! Its calls block, and may wait for a person to unlock it, so each runs on a thread of its own with a limit.
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

/// What people see in their keyring's program.
const SERVICE: &str = "ocore";
/// For a person to unlock it.
const PATIENCE: Duration = Duration::from_mins(1);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the system's keyring does not work here: {0}")]
    Keyring(#[from] keyring::Error),
    #[error("the system's keyring did not answer within a minute; perhaps it waits to be unlocked")]
    Silent,
}

/// Keeps a secret under a name, in place of the one before.
pub async fn put(name: &str, secret: SecretString) -> Result<(), Error> {
    with(name, move |entry| entry.set_password(secret.expose_secret())).await
}

/// The secret of that name.
pub async fn get(name: &str) -> Result<Option<SecretString>, Error> {
    let found = with(name, |entry| match entry.get_password() {
        Err(keyring::Error::NoEntry) => Ok(None),
        other => other.map(Some),
    });
    Ok(found.await?.map(SecretString::from))
}

/// Takes it away; one that is not there is gone already.
pub async fn forget(name: &str) -> Result<(), Error> {
    with(name, |entry| match entry.delete_credential() {
        Err(keyring::Error::NoEntry) => Ok(()),
        other => other,
    })
    .await
}

async fn with<T: Send + 'static>(
    name: &str,
    act: impl FnOnce(&keyring::Entry) -> Result<T, keyring::Error> + Send + 'static,
) -> Result<T, Error> {
    let name = name.to_owned();
    let (send, receive) = oneshot::channel();
    // Not the runtime's own pool, which would wait for it at the end.
    std::thread::spawn(move || {
        let _ = send.send(keyring::Entry::new(SERVICE, &name).and_then(|entry| act(&entry)));
    });
    match tokio::time::timeout(PATIENCE, receive).await {
        Ok(Ok(result)) => Ok(result?),
        _ => Err(Error::Silent),
    }
}
