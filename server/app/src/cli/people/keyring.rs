//! The operating system's keyring: Keychain on macOS, Credential Manager on Windows, Secret Service elsewhere.
//!
//! Its calls block, and may wait for a person to unlock it, so each runs on a thread of its own with a limit.
use std::time::Duration;

#[cfg(not(test))]
use keyring::Entry;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

#[cfg(test)]
use fake::Entry;

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
    act: impl FnOnce(&Entry) -> Result<T, keyring::Error> + Send + 'static,
) -> Result<T, Error> {
    let name = name.to_owned();
    let (send, receive) = oneshot::channel();
    // Not the runtime's own pool, which would wait for it at the end.
    std::thread::spawn(move || {
        let _ = send.send(Entry::new(SERVICE, &name).and_then(|entry| act(&entry)));
    });
    match tokio::time::timeout(PATIENCE, receive).await {
        Ok(Ok(result)) => Ok(result?),
        _ => Err(Error::Silent),
    }
}

/// A keyring in memory.
#[cfg(test)]
pub mod fake {
    use std::{
        collections::BTreeMap,
        sync::{Mutex, MutexGuard},
    };

    use keyring::{Error, Result};

    /// By name; none: it is locked.
    static KEPT: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());

    pub struct Entry(String);
    impl Entry {
        #[expect(clippy::unnecessary_wraps, reason = "the form of the real one")]
        pub fn new(_: &str, name: &str) -> Result<Self> {
            Ok(Self(name.to_owned()))
        }
        fn open(&self) -> Result<MutexGuard<'static, BTreeMap<String, Option<String>>>> {
            let kept = KEPT.lock().unwrap();
            if kept.get(&self.0) == Some(&None) { Err(Error::NoDefaultStore) } else { Ok(kept) }
        }
        pub fn set_password(&self, text: &str) -> Result<()> {
            self.open()?.insert(self.0.clone(), Some(text.to_owned()));
            Ok(())
        }
        pub fn get_password(&self) -> Result<String> {
            self.open()?.get(&self.0).cloned().flatten().ok_or(Error::NoEntry)
        }
        pub fn delete_credential(&self) -> Result<()> {
            self.open()?.remove(&self.0).map(|_| ()).ok_or(Error::NoEntry)
        }
    }

    /// What it has of that name.
    pub fn holds(name: &str) -> Option<String> {
        KEPT.lock().unwrap().get(name).cloned().flatten()
    }
    /// Lets nobody at that name, until it is given back with what it had.
    pub fn lock(name: &str) -> Option<String> {
        KEPT.lock().unwrap().insert(name.to_owned(), None).flatten()
    }
    pub fn unlock(name: &str, text: String) {
        KEPT.lock().unwrap().insert(name.to_owned(), Some(text));
    }
}
