//! The logins of this person on this machine: which servers, and where their tokens are.
//!
//! One file, `logins.json`, for its owner alone (mode 0600 from its first byte, in a folder of mode 0700), replaced as a whole. It
//! holds the tokens too, unless they are in the system's keyring. Two kinds of locks, both held by the kernel, so a process that dies
//! leaves none: `logins.lock` while the file is changed, `refresh-….lock` of a server while its tokens are renewed.
use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions, TryLockError},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use clap::ValueEnum;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    address::Address,
    keyring,
    oauth::{Endpoints, Tokens},
};
use crate::failure::{self, Exit, Failure};

const FILE: &str = "logins.json";
/// Larger is not ours.
const LARGEST: u64 = 4 * 1024 * 1024;
/// Another process refreshes in seconds, in a minute and a half where answers are lost, or is stuck.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where a login's tokens are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// In a file that only you can read
    File,
    /// In the system's keyring
    Keyring,
}
impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Keyring => "keyring",
        })
    }
}

/// Why the logins cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no home folder to keep logins in")]
    NoHome,
    #[error("{path} cannot be {done}")]
    Io {
        path: PathBuf,
        done: &'static str,
        #[source]
        cause: std::io::Error,
    },
    #[error("{path} can be read or changed by others (mode {mode:03o}), so it is not used")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{path} is not a file of logins that this version understands")]
    Unreadable { path: PathBuf },
    #[error("another ocore has been renewing this login for two minutes")]
    Locked,
    #[error(transparent)]
    Keyring(#[from] keyring::Error),
    #[error("the tokens of {0} are not in the system's keyring any more")]
    Gone(String),
}
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = format!("{}.", capital(&failure::chain(&error)));
        match error {
            Error::NoHome => Self::new(Exit::Usage, "config", message).next("Set OCORE_LOGIN_DIR to a folder of your own."),
            Error::Exposed { path, .. } => Self::new(Exit::Refused, "permission_denied", message).next(format!(
                "If nobody else had a look at it: chmod go= {}. Otherwise `ocore logout` and log in again after that.",
                path.display()
            )),
            Error::Unreadable { path } => {
                Self::new(Exit::Usage, "config", message).next(format!("Move {} away and log in again.", path.display()))
            }
            Error::Keyring(_) => Self::failed(message).next("Unlock the keyring, or log in again with --store file."),
            Error::Gone(server) => Self::new(Exit::Refused, "unauthorized", message).next(format!("ocore login {server}")),
            Error::Io { .. } | Error::Locked => Self::failed(message),
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Book {
    /// The server that is meant when none is named.
    pub default: Option<String>,
    pub logins: BTreeMap<String, Login>,
}
impl Book {
    /// The login that a person names by its server's URL or by its label.
    pub fn find(&self, named: &str) -> Option<(&String, &Login)> {
        let address = Address::parse(named).ok();
        self.logins
            .iter()
            .find(|(url, _)| address.as_ref().is_some_and(|a| a.as_str() == *url))
            .or_else(|| self.logins.iter().find(|(_, login)| login.label.as_deref() == Some(named)))
    }
    /// Forgets a login; another one becomes the default only when a person says so, or when it is the only one left.
    pub fn forget(&mut self, url: &str) -> Option<Login> {
        let login = self.logins.remove(url)?;
        if self.default.as_deref() == Some(url) {
            self.default = if self.logins.len() == 1 { self.logins.keys().next().cloned() } else { None };
        }
        Some(login)
    }
}

/// One server that a person is signed in at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Login {
    pub endpoints: Endpoints,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    pub store: Store,
    /// Seconds since 1970.
    pub since: i64,
    /// None where the keyring has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Kept>,
    /// Whether the keyring may have older tokens, which it would not let go of.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyring_too: bool,
}
impl Login {
    fn in_keyring(&self) -> bool {
        self.store == Store::Keyring || self.keyring_too
    }
}

/// Tokens as they are written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Kept {
    #[serde(serialize_with = "expose", deserialize_with = "hide")]
    access: SecretString,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "expose_some", deserialize_with = "hide_some")]
    refresh: Option<SecretString>,
    #[serde(default)]
    expires_at: Option<i64>,
    #[serde(default)]
    scope: String,
}
impl From<Tokens> for Kept {
    fn from(Tokens { access, refresh, expires_at, scope }: Tokens) -> Self {
        Self { access, refresh, expires_at, scope }
    }
}
impl From<Kept> for Tokens {
    fn from(Kept { access, refresh, expires_at, scope }: Kept) -> Self {
        Self { access, refresh, expires_at, scope }
    }
}
fn expose<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret.expose_secret())
}
#[expect(clippy::ref_option, reason = "the form that serde calls")]
fn expose_some<S: Serializer>(secret: &Option<SecretString>, to: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(ExposeSecret::expose_secret).serialize(to)
}
fn hide<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
    String::deserialize(from).map(Into::into)
}
fn hide_some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(Into::into))
}

/// The folder with the logins.
#[derive(Debug, Clone)]
pub struct Logins {
    folder: PathBuf,
}

/// While it lives, no other process renews the same login.
#[derive(Debug)]
pub struct Renewing(#[expect(dead_code, reason = "closing the file ends the lock")] File);

impl Logins {
    /// `OCORE_LOGIN_DIR`, else `ocore` in the person's configuration folder. Nothing is made yet.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn of_this_person() -> Result<Self, Error> {
        let variable = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = variable("OCORE_LOGIN_DIR").or_else(|| {
            if cfg!(windows) {
                return variable("APPDATA").map(|d| d.join("ocore"));
            }
            let absolute = variable("XDG_CONFIG_HOME").filter(|d| d.is_absolute());
            absolute.or_else(|| variable("HOME").map(|d| d.join(".config"))).map(|d| d.join("ocore"))
        });
        folder.map(Self::at).ok_or(Error::NoHome)
    }
    pub fn at(folder: PathBuf) -> Self {
        Self { folder }
    }
    /// The file with the logins, for people to know.
    pub fn file(&self) -> PathBuf {
        self.folder.join(FILE)
    }

    /// What is kept; empty when there is nothing yet.
    pub async fn read(&self) -> Result<Book, Error> {
        let this = self.clone();
        blocking(move || this.load()).await
    }

    /// Changes what is kept, alone among all processes.
    pub async fn change<T: Send + 'static>(&self, change: impl FnOnce(&mut Book) -> T + Send + 'static) -> Result<T, Error> {
        let this = self.clone();
        blocking(move || {
            this.make_folder()?;
            let path = this.folder.join("logins.lock");
            let lock = open_private(&path, false).map_err(|cause| Error::Io { path: path.clone(), done: "opened", cause })?;
            lock.lock().map_err(|cause| Error::Io { path, done: "locked", cause })?;
            let mut book = this.load()?;
            let answer = change(&mut book);
            this.save(&book)?;
            Ok(answer)
        })
        .await
    }

    /// The right to renew that server's tokens; waits for who has it.
    pub async fn renewing(&self, address: &Address) -> Result<Renewing, Error> {
        let this = self.clone();
        let name = format!("refresh-{}.lock", file_name(address.as_str()));
        let path = self.folder.join(&name);
        let opened = path.clone();
        let file = blocking(move || {
            this.make_folder()?;
            open_private(&opened, false).map_err(|cause| Error::Io { path: opened, done: "opened", cause })
        })
        .await?;
        let waiting = async {
            loop {
                match file.try_lock() {
                    Ok(()) => return Ok(()),
                    Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(30)).await,
                    Err(TryLockError::Error(cause)) => return Err(Error::Io { path: path.clone(), done: "locked", cause }),
                }
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.map_err(|_| Error::Locked)??;
        Ok(Renewing(file))
    }

    /// The tokens of a login.
    pub async fn tokens(&self, url: &str, login: &Login) -> Result<Tokens, Error> {
        let gone = || Error::Gone(url.to_owned());
        match login.store {
            Store::File => login.tokens.clone().map(Tokens::from).ok_or_else(gone),
            Store::Keyring => {
                let text = keyring::get(url).await?.ok_or_else(gone)?;
                serde_json::from_str::<Kept>(text.expose_secret()).map(Tokens::from).map_err(|_| gone())
            }
        }
    }

    /// Keeps renewed tokens where the login has them. A login that was forgotten meanwhile stays forgotten.
    pub async fn renewed(&self, url: &str, store: Store, tokens: &Tokens) -> Result<(), Error> {
        let kept = Kept::from(tokens.clone());
        match store {
            Store::Keyring => keyring::put(url, text(&kept)).await.map_err(Error::from),
            Store::File => {
                let url = url.to_owned();
                self.change(move |book| {
                    if let Some(login) = book.logins.get_mut(&url) {
                        login.tokens = Some(kept);
                    }
                })
                .await
            }
        }
    }

    /// Keeps a new login in place of the one before. `store`: none means the keyring where there is one, else the file.
    /// Returns where it is, and why not in the keyring.
    pub async fn keep(&self, address: &Address, new: New, tokens: &Tokens) -> Result<(Store, Option<keyring::Error>), Error> {
        let kept = Kept::from(tokens.clone());
        let url = address.as_str().to_owned();
        let (store, why) = match new.store {
            Some(Store::File) => (Store::File, None),
            Some(Store::Keyring) => {
                keyring::put(&url, text(&kept)).await?;
                (Store::Keyring, None)
            }
            None => match keyring::put(&url, text(&kept)).await {
                Ok(()) => (Store::Keyring, None),
                Err(why) => (Store::File, Some(why)),
            },
        };
        // A keyring that is unlocked later may still take what it was given.
        let late = matches!(why, Some(keyring::Error::Silent));
        let mut login = Login {
            endpoints: new.endpoints,
            label: new.label,
            store,
            since: super::clock::now(),
            tokens: (store == Store::File).then_some(kept),
            keyring_too: late,
        };
        let (make_default, name) = (new.make_default, url.clone());
        let before = self
            .change(move |book| {
                if make_default || book.default.as_ref().is_none_or(|d| !book.logins.contains_key(d)) {
                    book.default = Some(name.clone());
                }
                let before = book.logins.get(&name).is_some_and(Login::in_keyring);
                login.keyring_too |= before && store == Store::File;
                book.logins.insert(name, login);
                before
            })
            .await?;
        // One that does not let go of the tokens of the login before this one is asked again when this one ends.
        if before && store == Store::File && !late && keyring::forget(&url).await.is_ok() {
            self.change(move |book| {
                if let Some(login) = book.logins.get_mut(&url) {
                    login.keyring_too = false;
                }
            })
            .await?;
        }
        Ok((store, why))
    }

    /// Forgets a login and its tokens, wherever they are.
    pub async fn forget(&self, url: &str) -> Result<(), Error> {
        let name = url.to_owned();
        let login = self.change(move |book| book.forget(&name)).await?;
        if login.is_some_and(|login| login.in_keyring()) {
            keyring::forget(url).await?;
        }
        Ok(())
    }

    fn load(&self) -> Result<Book, Error> {
        let path = self.file();
        let io = |cause| Error::Io { path: path.clone(), done: "read", cause };
        let file = match OpenOptions::new().read(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Book::default()),
            Err(cause) => return Err(io(cause)),
        };
        // Of what was opened, not of what has the name now.
        let about = file.metadata().map_err(io)?;
        private(&path, &about)?;
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text).map_err(io)?;
        serde_json::from_str(&text).map_err(|_| Error::Unreadable { path: path.clone() })
    }

    fn save(&self, book: &Book) -> Result<(), Error> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let path = self.file();
        let io = |cause| Error::Io { path: path.clone(), done: "written", cause };
        let text = serde_json::to_string_pretty(book).map_err(|e| io(e.into()))?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let draft = self.folder.join(format!("{FILE}.{}.{number}.new", std::process::id()));
        let written = (|| {
            let mut file = open_private(&draft, true)?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        written.map_err(io)
    }

    fn make_folder(&self) -> Result<(), Error> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let io = |cause| Error::Io { path: self.folder.clone(), done: "made", cause };
        builder.create(&self.folder).map_err(io)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            // Who may write to the folder may replace the file in it.
            let mode = std::fs::metadata(&self.folder).map_err(io)?.permissions().mode();
            if mode & 0o022 != 0 {
                return Err(Error::Exposed { path: self.folder.clone(), mode: mode & 0o777 });
            }
        }
        Ok(())
    }
}

/// What a new login is kept with.
#[derive(Debug)]
pub struct New {
    pub endpoints: Endpoints,
    pub label: Option<String>,
    pub store: Option<Store>,
    pub make_default: bool,
}

/// For its owner alone from the beginning: a mode that is set afterwards comes too late.
fn open_private(path: &Path, new: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).read(true);
    if new {
        options.create_new(true);
    } else {
        options.create(true).truncate(false);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn private(path: &Path, about: &std::fs::Metadata) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 { Err(Error::Exposed { path: path.to_owned(), mode }) } else { Ok(()) }
}
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "folders of a person are that person's own there")]
fn private(_: &Path, _: &std::fs::Metadata) -> Result<(), Error> {
    Ok(())
}

fn text(kept: &Kept) -> SecretString {
    serde_json::to_string(kept).unwrap_or_default().into()
}

/// A file's name for a URL. Two URLs with one name share a lock, which costs time alone.
fn file_name(url: &str) -> String {
    url.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).take(120).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Files are small, disks are not always fast.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(act).await {
        Ok(result) => result,
        Err(e) => Err(Error::Io { path: PathBuf::from(FILE), done: "used", cause: std::io::Error::other(e) }),
    }
}

#[cfg(test)]
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "tests look into their own files")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tokens(access: &str) -> Tokens {
        Tokens {
            access: access.to_owned().into(),
            refresh: Some("ocr_r".to_owned().into()),
            expires_at: Some(5),
            scope: "read".into(),
        }
    }
    fn new(make_default: bool) -> New {
        let endpoints = Endpoints { token: "https://a/token".into(), revocation: None, device: None };
        New { endpoints, label: Some("work".into()), store: Some(Store::File), make_default }
    }
    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[tokio::test]
    async fn logins_are_kept_for_their_owner_alone_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins::at(home.path().join("config/ocore"));
        assert!(logins.read().await.unwrap().logins.is_empty());
        logins.keep(&address("https://a.example"), new(false), &tokens("oca_1")).await.unwrap();
        logins.keep(&address("https://b.example"), new(false), &tokens("oca_2")).await.unwrap();
        for entry in std::fs::read_dir(home.path().join("config/ocore")).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.path());
            assert!(!entry.path().to_string_lossy().ends_with(".new"), "a draft was left");
        }
        assert_eq!(std::fs::metadata(home.path().join("config/ocore")).unwrap().permissions().mode() & 0o777, 0o700);
        let book = logins.read().await.unwrap();
        assert_eq!(book.default.as_deref(), Some("https://a.example"));
        let (url, login) = book.find("https://b.example/mcp").unwrap();
        assert_eq!(logins.tokens(url, login).await.unwrap().access.expose_secret(), "oca_2");
        assert!(book.find("work").is_some() && book.find("https://c.example").is_none());
        assert!(!format!("{book:?}").contains("oca_"));
        logins.forget("https://a.example").await.unwrap();
        assert_eq!(logins.read().await.unwrap().default.as_deref(), Some("https://b.example"));
    }

    #[tokio::test]
    async fn a_file_that_others_can_read_is_not_used() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins::at(home.path().join("ocore"));
        logins.keep(&address("https://a.example"), new(false), &tokens("oca_1")).await.unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            std::fs::set_permissions(logins.file(), std::fs::Permissions::from_mode(mode)).unwrap();
            let error = logins.read().await.unwrap_err();
            assert!(matches!(error, Error::Exposed { .. }), "{mode:o}: {error:?}");
            assert!(logins.change(|_| ()).await.is_err());
            assert_eq!(Failure::from(error).exit, Exit::Refused);
        }
        std::fs::set_permissions(logins.file(), std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(logins.read().await.unwrap().logins.len(), 1);
        std::fs::set_permissions(home.path().join("ocore"), std::fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(logins.change(|_| ()).await.unwrap_err(), Error::Exposed { .. }));
    }

    #[tokio::test]
    async fn a_broken_file_is_not_overwritten() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins::at(home.path().to_owned());
        logins.keep(&address("https://a.example"), new(false), &tokens("oca_1")).await.unwrap();
        let mut file = OpenOptions::new().write(true).truncate(true).open(logins.file()).unwrap();
        file.write_all(b"{\"logins\": oca_secret").unwrap();
        let error = logins.keep(&address("https://b.example"), new(false), &tokens("oca_2")).await.unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }) && !error.to_string().contains("oca_"));
        assert_eq!(std::fs::metadata(logins.file()).unwrap().len(), 21);
    }

    #[tokio::test]
    async fn a_login_that_moves_to_the_file_leaves_nothing_in_the_keyring() {
        let url = "https://keyring.example";
        let (home, server) = (tempfile::tempdir().unwrap(), address(url));
        let logins = Logins::at(home.path().to_owned());
        let at = |store| New { store: Some(store), ..new(false) };
        let kept = async || logins.read().await.unwrap().logins[url].clone();
        logins.keep(&server, at(Store::Keyring), &tokens("oca_1")).await.unwrap();
        assert!(keyring::fake::holds(url).unwrap().contains("oca_1") && kept().await.tokens.is_none());
        logins.keep(&server, at(Store::File), &tokens("oca_2")).await.unwrap();
        assert_eq!((keyring::fake::holds(url), kept().await.keyring_too), (None, false));
        logins.keep(&server, at(Store::Keyring), &tokens("oca_3")).await.unwrap();
        assert!(keyring::fake::holds(url).is_some() && !std::fs::read_to_string(logins.file()).unwrap().contains("oca_"));

        // A keyring that is locked is asked again: by the next login, and by the logout.
        for again in [true, false] {
            logins.keep(&server, at(Store::Keyring), &tokens("oca_4")).await.unwrap();
            let text = keyring::fake::lock(url).unwrap();
            logins.keep(&server, at(Store::File), &tokens("oca_5")).await.unwrap();
            assert!(kept().await.keyring_too);
            assert_eq!(logins.tokens(url, &kept().await).await.unwrap().access.expose_secret(), "oca_5");
            keyring::fake::unlock(url, text);
            if again {
                logins.keep(&server, at(Store::File), &tokens("oca_6")).await.unwrap();
            } else {
                logins.forget(url).await.unwrap();
            }
            assert_eq!(keyring::fake::holds(url), None, "again: {again}");
        }
        assert!(logins.read().await.unwrap().logins.is_empty());
    }

    #[tokio::test]
    async fn a_renewal_after_a_logout_brings_nothing_back() {
        let home = tempfile::tempdir().unwrap();
        let logins = Logins::at(home.path().to_owned());
        logins.keep(&address("https://a.example"), new(false), &tokens("oca_1")).await.unwrap();
        logins.forget("https://a.example").await.unwrap();
        logins.renewed("https://a.example", Store::File, &tokens("oca_2")).await.unwrap();
        assert!(logins.read().await.unwrap().logins.is_empty());
    }
}
