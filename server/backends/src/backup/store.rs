//! The shelf: `<folder>/<instance>/<backup>/` with a dump, a filestore and a manifest that ocore's key vouches for.
//!
//! A backup is written under a name that ends in `.part` and renamed when all of it is on disk and verified, so a folder without
//! `.part` is complete. The manifest's authentication covers the instance's and the backup's id and every part's digest: a
//! manifest that was written by others, or moved to another instance, is refused.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions, TryLockError},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    create::Format,
    dump::hex,
    error::{Error, Result},
    postgres::Locale,
};

/// The label of the backup that is made before a restore.
pub const PRE_RESTORE: &str = "pre-restore";
/// For how long such a backup is kept in any case.
const SNAPSHOT_DAYS: i64 = 7;
/// How the name of a folder ends that is not finished.
pub(super) const PART: &str = ".part";
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SEAL: &str = "manifest.hmac";
pub(super) const FILESTORE: &str = "filestore.tar";
/// What the seal is made over begins with this, so that no other use of the key gives the same.
const DOMAIN: &[u8] = b"ocore backup manifest 1\n";

/// One file of a backup.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Part {
    /// In the backup's folder.
    pub name: String,
    pub bytes: u64,
    /// SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// What a backup is.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Manifest {
    pub id: String,
    pub instance: String,
    pub database: String,
    pub created: DateTime<Utc>,
    pub label: Option<String>,
    pub format: Format,
    /// As `19.0` or `14.0-20201004`.
    pub odoo_version: String,
    /// As the server tells it, `15.18 (Debian 15.18-0+deb12u1)`.
    pub postgres_version: String,
    /// Installed modules and their versions in the database.
    pub modules: BTreeMap<String, String>,
    /// Bytes of the database on the server, and of its filestore.
    pub database_bytes: u64,
    pub filestore_bytes: u64,
    pub dump: Part,
    pub filestore: Option<Part>,
    /// Different files of the filestore that attachments name.
    pub store_fnames: u64,
    /// Those of them that were missing in the source already.
    pub missing: BTreeSet<String>,
    /// Those whose content was not what their name says, in the source already.
    pub damaged: BTreeSet<String>,
    /// Attachments whose content another module keeps elsewhere.
    pub elsewhere: u64,
    /// Everything was read back from disk and found whole.
    pub verified: bool,
    pub ocore_version: String,
    pub(super) locale: Locale,
}
impl Manifest {
    /// Its parts.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        std::iter::once(&self.dump).chain(&self.filestore)
    }
    /// Bytes on ocore's disk.
    pub fn bytes(&self) -> u64 {
        self.parts().map(|part| part.bytes).sum()
    }
    /// What the operator is told about it; nothing as a rule.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let example = |names: &BTreeSet<String>| names.first().cloned().unwrap_or_default();
        if !self.missing.is_empty() {
            warnings.push(format!(
                "{} files that attachments name were missing in the filestore already ({} for one).",
                self.missing.len(),
                example(&self.missing)
            ));
        }
        if !self.damaged.is_empty() {
            warnings.push(format!(
                "{} files of the filestore have another content than their name says, as in the source ({} for one).",
                self.damaged.len(),
                example(&self.damaged)
            ));
        }
        if self.elsewhere > 0 {
            warnings
                .push(format!("{} attachments are kept elsewhere by another module, and not in this backup.", self.elsewhere));
        }
        if self.filestore.is_none() && self.store_fnames > 0 {
            warnings.push(format!("{} files of attachments are not in this backup: it is without filestore.", self.store_fnames));
        }
        warnings
    }
}

/// What a folder of the shelf is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Its manifest is ocore's own and its parts have the right sizes. Their digests are checked before a restore.
    Good,
    Broken {
        why: String,
    },
    /// The manifest is not one that ocore wrote for this place.
    Forged {
        why: String,
    },
    /// Being made, or left by a crash.
    Part,
}
/// A folder of the shelf.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: String,
    pub state: State,
    /// Of good ones alone.
    pub manifest: Option<Manifest>,
    /// When it was created: by the manifest, else by its folder's time.
    pub created: DateTime<Utc>,
    pub bytes: u64,
}

/// Which backups stay. Both may be given; what either lets go, goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// Not those that are older.
    pub days: Option<u32>,
    /// So many of the newest.
    pub count: Option<usize>,
}

/// A shelf of backups.
#[derive(Clone)]
pub struct Backups {
    pub(super) folder: PathBuf,
    key: Arc<SecretSlice<u8>>,
    pub(super) ocore: String,
}
impl std::fmt::Debug for Backups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backups").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// Held while something is done to an instance's backups; other processes see it.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "unlocks when closed")] fs::File);

impl Backups {
    /// `folder` is made when it is missing. `key` vouches for the manifests: 32 random bytes that nobody else has.
    ///
    /// # Errors
    /// [`Error::Argument`] when the key is shorter than 32 bytes.
    pub fn new(folder: &Path, key: SecretSlice<u8>, ocore_version: &str) -> Result<Self> {
        if key.expose_secret().len() < 32 {
            return Err(Error::Argument { what: "the key of backups", why: "it has fewer than 32 bytes".to_owned() });
        }
        Ok(Self { folder: folder.to_owned(), key: Arc::new(key), ocore: ocore_version.to_owned() })
    }

    /// Where the backups of an instance are.
    pub(super) fn shelf(&self, instance: &str) -> Result<PathBuf> {
        Ok(self.folder.join(word("the instance's id", instance)?))
    }
    /// Where one backup is.
    pub(super) fn place(&self, instance: &str, id: &str) -> Result<PathBuf> {
        Ok(self.shelf(instance)?.join(word("the backup's id", id)?))
    }
    /// Makes an instance's folder and takes its lock.
    pub(super) async fn lock(&self, instance: &str) -> Result<Lock> {
        let (shelf, instance) = (self.shelf(instance)?, instance.to_owned());
        blocking(move || {
            make_folder(&shelf, true)?;
            let path = shelf.join(".lock");
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(|error| Error::disk(&path, error))?;
            match file.try_lock() {
                Ok(()) => Ok(Lock(file)),
                Err(TryLockError::WouldBlock) => Err(Error::Busy { instance }),
                Err(TryLockError::Error(error)) => Err(Error::disk(&path, error)),
            }
        })
        .await
    }

    /// The seal of a manifest's text.
    pub(super) fn seal(&self, text: &[u8]) -> Result<String> {
        Ok(hex(&self.mac(text)?.finalize().into_bytes()))
    }
    fn mac(&self, text: &[u8]) -> Result<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret())
            .map_err(|error| Error::Argument { what: "the key of backups", why: error.to_string() })?;
        mac.update(DOMAIN);
        mac.update(text);
        Ok(mac)
    }

    /// Reads and checks the manifest of one backup, and its parts' sizes. Blocking.
    fn read(&self, instance: &str, id: &str) -> Result<Manifest> {
        let place = self.place(instance, id)?;
        let broken = |why: String| Error::Broken { id: id.to_owned(), why };
        let forged = |why: &str| Error::Forged { id: id.to_owned(), why: why.to_owned() };
        match fs::symlink_metadata(&place) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(broken("it is no folder".to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::NoBackup { id: id.to_owned() }),
            Err(error) => return Err(Error::disk(&place, error)),
        }
        let text = read_small(&place.join(MANIFEST)).map_err(|why| broken(format!("{MANIFEST}: {why}")))?;
        let seal = read_small(&place.join(SEAL)).map_err(|why| broken(format!("{SEAL}: {why}")))?;
        let seal = unhex(seal.trim_ascii()).ok_or_else(|| forged("its seal is none"))?;
        self.mac(&text)?.verify_slice(&seal).map_err(|_| forged("its seal does not fit"))?;
        let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| broken(format!("{MANIFEST}: {error}")))?;
        if manifest.instance != instance {
            return Err(forged("it is of another instance"));
        }
        if manifest.id != id {
            return Err(forged("it is of another backup"));
        }
        for part in manifest.parts() {
            let path = place.join(word("a part's name", &part.name)?);
            match fs::symlink_metadata(&path) {
                Ok(found) if !found.is_file() => return Err(broken(format!("{} is no file", part.name))),
                Ok(found) if found.len() != part.bytes => {
                    return Err(broken(format!("{} has {} bytes instead of {}", part.name, found.len(), part.bytes)));
                }
                Ok(_) => {}
                Err(error) => return Err(broken(format!("{}: {error}", part.name))),
            }
        }
        Ok(manifest)
    }
    /// The manifest of one backup, when it is ocore's own and fits its place.
    pub async fn manifest(&self, instance: &str, id: &str) -> Result<Manifest> {
        let (this, instance, id) = (self.clone(), instance.to_owned(), id.to_owned());
        blocking(move || this.read(&instance, &id)).await
    }
    /// The same, and every part is read from disk and compared with its digest.
    pub async fn verify(&self, instance: &str, id: &str) -> Result<Manifest> {
        let manifest = self.manifest(instance, id).await?;
        let place = self.place(instance, id)?;
        for part in manifest.parts() {
            check_part(&place, id, part).await?;
        }
        Ok(manifest)
    }

    /// The backups of an instance, newest first; `max_age` leaves out what is older.
    pub async fn list(&self, instance: &str, now: DateTime<Utc>, max_age: Option<TimeDelta>) -> Result<Vec<Entry>> {
        let (this, instance) = (self.clone(), instance.to_owned());
        blocking(move || {
            let mut entries = this.entries(&instance)?;
            entries.retain(|entry| max_age.is_none_or(|age| now - entry.created <= age));
            Ok(entries)
        })
        .await
    }
    fn entries(&self, instance: &str) -> Result<Vec<Entry>> {
        let shelf = self.shelf(instance)?;
        let mut entries = Vec::new();
        let names = match fs::read_dir(&shelf) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(entries),
            Err(error) => return Err(Error::disk(&shelf, error)),
        };
        for name in names {
            let name = name.map_err(|error| Error::disk(&shelf, error))?;
            let Ok(file) = name.file_name().into_string() else { continue };
            let (id, part) = file.strip_suffix(PART).map_or((file.as_str(), false), |id| (id, true));
            if word("the backup's id", id).is_err() || !name.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let bytes = size_of(&name.path());
            let touched = name.metadata().and_then(|found| found.modified()).map_or(DateTime::UNIX_EPOCH, DateTime::<Utc>::from);
            let (state, manifest) = if part {
                (State::Part, None)
            } else {
                match self.read(instance, id) {
                    Ok(manifest) => (State::Good, Some(manifest)),
                    Err(Error::Forged { why, .. }) => (State::Forged { why }, None),
                    Err(Error::Broken { why, .. }) => (State::Broken { why }, None),
                    Err(Error::NoBackup { .. }) => continue,
                    Err(error) => (State::Broken { why: error.to_string() }, None),
                }
            };
            let created = manifest.as_ref().map_or(touched, |manifest| manifest.created);
            entries.push(Entry { id: id.to_owned(), state, manifest, created, bytes });
        }
        entries.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| b.id.cmp(&a.id)));
        Ok(entries)
    }

    /// Deletes what is not to be kept, and what crashes left; gives the ids (those of unfinished ones with `.part`).
    ///
    /// Never deleted: the newest good one, snapshots from before a restore for 7 days, and what is broken or forged (somebody
    /// should look at it).
    pub async fn retain(&self, instance: &str, keep: Keep, now: DateTime<Utc>) -> Result<Vec<String>> {
        let lock = self.lock(instance).await?;
        let (this, instance) = (self.clone(), instance.to_owned());
        blocking(move || {
            let _lock = lock;
            let mut gone = Vec::new();
            let mut good = 0;
            for entry in this.entries(&instance)? {
                let name = match (&entry.state, &entry.manifest) {
                    // Whoever writes one holds the lock.
                    (State::Part, _) => format!("{}{PART}", entry.id),
                    (State::Good, Some(manifest)) => {
                        good += 1;
                        let age = now - entry.created;
                        let snapshot = manifest.label.as_deref() == Some(PRE_RESTORE) && age < TimeDelta::days(SNAPSHOT_DAYS);
                        let old = keep.days.is_some_and(|days| age > TimeDelta::days(i64::from(days)));
                        let many = keep.count.is_some_and(|count| good > count);
                        if good == 1 || snapshot || !(old || many) {
                            continue;
                        }
                        entry.id
                    }
                    _ => continue,
                };
                let path = this.shelf(&instance)?.join(&name);
                // Out of the way first: half of a backup is not to be taken for one.
                let away = if name.ends_with(PART) {
                    path.clone()
                } else {
                    let away = this.shelf(&instance)?.join(format!("{name}{PART}"));
                    fs::rename(&path, &away).map_err(|error| Error::disk(&path, error))?;
                    away
                };
                fs::remove_dir_all(&away).map_err(|error| Error::disk(&away, error))?;
                gone.push(name);
            }
            Ok(gone)
        })
        .await
    }
}

/// Runs what blocks where it may.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Error::Argument { what: "ocore's runtime", why: error.to_string() }),
    }
}

/// An id as one word of a path.
pub(super) fn word<'a>(what: &'static str, text: &'a str) -> Result<&'a str> {
    let fine = (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && !text.starts_with(['.', '-'])
        && !text.ends_with(PART);
    if fine {
        return Ok(text);
    }
    Err(Error::Argument {
        what,
        why: "it has letters, digits, -, _ and . only, at most 64, and starts with none of . and -".to_owned(),
    })
}

/// Makes a folder that only ocore may look into.
pub(super) fn make_folder(path: &Path, may_exist: bool) -> Result<()> {
    fs::DirBuilder::new().mode(0o700).recursive(may_exist).create(path).map_err(|error| Error::disk(path, error))
}
/// Forces a folder's entries to disk.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    OpenOptions::new().read(true).open(path).and_then(|folder| folder.sync_all()).map_err(|error| Error::disk(path, error))
}
/// Opens for reading, never through a symbolic link.
pub(super) fn open(path: &Path) -> io::Result<fs::File> {
    let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
fn read_small(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    open(path).and_then(|file| file.take(256 << 20).read_to_end(&mut text)).map_err(|error| error.to_string())?;
    Ok(text)
}
fn size_of(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|found| found.len()).sum()
}
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Reads a part of a backup from disk and compares it with its digest.
pub(super) async fn check_part(place: &Path, id: &str, part: &Part) -> Result<()> {
    let (path, id, part) = (place.join(&part.name), id.to_owned(), part.clone());
    blocking(move || {
        let broken = |why: String| Error::Broken { id: id.clone(), why };
        let mut file = open(&path).map_err(|error| broken(format!("{}: {error}", part.name)))?;
        let (mut digest, mut bytes) = (Sha256::new(), 0);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let read = file.read(&mut buffer).map_err(|error| broken(format!("{}: {error}", part.name)))?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            digest.update(buffer.get(..read).unwrap_or_default());
        }
        if bytes != part.bytes || hex(&digest.finalize()) != part.sha256 {
            return Err(broken(format!("{} is not what was written", part.name)));
        }
        Ok(())
    })
    .await
}
