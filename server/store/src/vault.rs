//! Secrets at rest: an envelope for every value.
//!
//! Each value is encrypted with a random key of its own (XChaCha20-Poly1305), and that key is wrapped by the installation's key, which
//! lives in a file or in the environment and never in the store. Both ciphers are bound to the table, column and row, so a sealed value
//! copied elsewhere does not open. Rotation wraps anew and leaves the values' ciphertext alone.
//!
//! Layout: version (1) · id of the wrapping key (8) · nonce (24) · wrapped key (48) · nonce (24) · ciphertext and tag.
use std::{
    fmt, fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use kernel::{ExposeSecret as _, SecretString, Sources};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{Arg, Assembled, Db, Lock, Result, Tx, args};

const VERSION: u8 = 1;
const ID: usize = 8;
const NONCE: usize = 24;
const WRAPPED: usize = 32 + 16;
/// How long a value may be on its way between its sealing and its commit: outside of the registry's lock every value is stored by a
/// statement of its own, which waits 10 seconds for a connection and lasts 15 at the most.
pub const SETTLE: Duration = Duration::from_secs(30);
/// Values that a rotation wraps in one transaction.
const BATCH: u32 = 100;
/// How often a rotation waits for values that are still sealed with the previous key.
const ROUNDS: u32 = 4;
/// What the check value of a key holds, sealed.
const CHECK: &[u8] = b"ocore";

#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the sealed value in {place} does not open: it was changed, moved, or sealed with a key that is gone")]
    Closed { place: String },
    #[error("the key file {} is missing, and the store holds values sealed with it: put it back from a backup", path.display())]
    Missing { path: PathBuf },
    #[error("the key file {} can be read by others: set its mode to 0600", path.display())]
    Exposed { path: PathBuf },
    #[error("{what} does not hold a key: it is 32 bytes in base64")]
    Malformed { what: String },
    #[error("the key (id {found}) is not the one this store is sealed with (id {wanted})")]
    WrongKey { found: String, wanted: String },
    #[error(
        "to rotate a key from the environment, set the new one as the key and the old one as the previous key, on every node"
    )]
    NoPrevious,
    #[error("another rotation of the key is running")]
    Rotating,
    #[error(
        "other processes still seal values with the previous key, which therefore stays: give every node the new key, then rotate again"
    )]
    StillInUse,
    #[error("the key file {} cannot be used", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Where the installation's key comes from.
pub enum KeySource {
    /// A file. `create`: made when the store is new and there is none. While a rotation runs, the previous key is beside it.
    File { path: PathBuf, create: bool },
    /// Given in base64 (from the environment).
    Value { current: SecretString, previous: Option<SecretString> },
}
impl KeySource {
    /// `ocore.key` in the data folder, made at the first start.
    pub fn in_data_dir(folder: &Path) -> Self {
        Self::File { path: folder.join("ocore.key"), create: true }
    }
    /// A file that the operator made.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File { path: path.into(), create: false }
    }
    pub fn value(current: SecretString, previous: Option<SecretString>) -> Self {
        Self::Value { current, previous }
    }
}
impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "KeySource({})", path.display()),
            Self::Value { .. } => f.write_str("KeySource(value)"),
        }
    }
}

/// Where a sealed value stands. Part of what is authenticated.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub table: &'static str,
    pub column: &'static str,
    /// The primary key; several columns joined by `/`.
    pub row: &'a str,
}
impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} of {}", self.table, self.column, self.row)
    }
}
impl Place<'_> {
    fn bytes(&self, layer: &[u8]) -> Vec<u8> {
        [layer, self.table.as_bytes(), self.column.as_bytes(), self.row.as_bytes()].join(&0)
    }
    fn closed(&self) -> VaultError {
        VaultError::Closed { place: self.to_string() }
    }
}

/// Every column that holds sealed values, with the primary key of its table. Rotation goes through them; a test holds it against
/// the schema.
const SEALED: &[(&str, &str, &[&str])] = &[
    ("credentials", "secret", &["id"]),
    ("instances", "postgres_url", &["id"]),
    ("instances", "posthog_key", &["id"]),
    ("instances", "postgres_reader", &["id"]),
    ("instances", "postgres_writer", &["id"]),
    ("servers", "docker_secret", &["id"]),
    ("impersonations", "session", &["id"]),
    ("file_undo", "content", &["id"]),
    ("secrets", "sealed", &["name"]),
    ("idempotency", "outcome", &["key_id", "idem_key"]),
    ("operations", "arguments", &["id"]),
    ("operations", "journal", &["id"]),
    ("operations", "outcome", &["id"]),
    ("user_totp", "secret", &["user_id"]),
    ("oidc_logins", "secrets", &["state"]),
];

/// A key that wraps.
struct Key {
    id: [u8; ID],
    bytes: Zeroizing<[u8; 32]>,
}
impl Key {
    fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        let digest = Sha256::new().chain_update(b"ocore key id\0").chain_update(*bytes).finalize();
        let mut id = [0; ID];
        for (to, from) in id.iter_mut().zip(digest) {
            *to = from;
        }
        Self { id, bytes }
    }
    fn name(&self) -> String {
        hex(&self.id)
    }
    fn cipher(&self) -> XChaCha20Poly1305 {
        cipher(&self.bytes)
    }
}
fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        use fmt::Write as _;
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// The keys at hand.
struct Ring {
    current: Key,
    previous: Option<Key>,
    stamp: Stamp,
}
impl Ring {
    fn find(&self, id: &[u8]) -> Option<&Key> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|k| k.id == id)
    }
}
/// Which file the ring was read from: another inode or time of change means another key.
type Stamp = Option<(u64, i64, i64)>;

/// Seals and opens values. Cheap to clone; a rotation by another process is noticed.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);
struct Inner {
    source: KeySource,
    ring: ArcSwap<Ring>,
    sources: Sources,
}
impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.0.ring.load().current.name())
    }
}

impl Vault {
    /// Reads the key, makes it for a new store, and checks it against the store's check value.
    pub async fn open(db: &Db, source: KeySource, sources: &Sources) -> Result<Self> {
        let known = db.fetch_all("SELECT key_id, check_value FROM vault_keys ORDER BY is_current DESC", args![]).await?;
        if let KeySource::File { path, create } = &source
            && !path.exists()
        {
            if !create || !known.is_empty() {
                return Err(VaultError::Missing { path: path.clone() }.into());
            }
            create_key(path, sources)?;
        }
        let ring = read_ring(&source)?;
        let vault = Self(Arc::new(Inner { source, ring: ArcSwap::from_pointee(ring), sources: sources.clone() }));
        if known.is_empty() {
            vault.register_first(db).await?;
        }
        vault.check(db).await?;
        Ok(vault)
    }

    /// The first of several nodes that start on a new store names the key; the others are then checked against it.
    async fn register_first(&self, db: &Db) -> Result<()> {
        let name = self.0.ring.load().current.name();
        let sealed = self.seal_check(&name)?;
        db.execute(
            "INSERT INTO vault_keys (key_id, check_value, is_current, created_at) VALUES ($1, $2, TRUE, $3) ON CONFLICT DO NOTHING",
            args![name, sealed, self.0.sources.now()],
        )
        .await?;
        Ok(())
    }

    /// Whether the keys at hand open what the store was sealed with.
    async fn check(&self, db: &Db) -> Result<()> {
        let rows = db.fetch_all("SELECT key_id, check_value FROM vault_keys ORDER BY is_current DESC", args![]).await?;
        let found = self.0.ring.load().current.name();
        for row in rows {
            let name = row.text("vault_keys.key_id")?;
            let place = Place { table: "vault_keys", column: "check_value", row: &name };
            let opened = self.open_value(place, &row.bytes("vault_keys.check_value")?);
            if !opened.is_ok_and(|o| o.as_slice() == CHECK) {
                return Err(VaultError::WrongKey { found, wanted: name }.into());
            }
        }
        Ok(())
    }

    fn seal_check(&self, name: &str) -> Result<Vec<u8>, VaultError> {
        self.seal(Place { table: "vault_keys", column: "check_value", row: name }, CHECK)
    }

    /// Seals a value for one place. No I/O but a look at the key file's time of change.
    pub fn seal(&self, place: Place<'_>, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.follow_file()?;
        let ring = self.0.ring.load();
        let mut key = Zeroizing::new([0_u8; 32]);
        self.0.sources.random.fill(&mut *key);
        let nonce = self.nonce();
        let body = cipher(&key)
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &place.bytes(b"value") })
            .map_err(|_| place.closed())?;
        let mut out = self.wrap(&ring.current, place, &key)?;
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        Ok(out)
    }

    /// Opens a value sealed for that place.
    pub fn open_value(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let parts = Parts::of(sealed).ok_or_else(|| place.closed())?;
        let key = self.unwrap(place, &parts)?;
        cipher(&key)
            .decrypt(&XNonce::from(parts.nonce), Payload { msg: parts.body, aad: &place.bytes(b"value") })
            .map(Zeroizing::new)
            .map_err(|_| place.closed())
    }

    /// Opens a value that is a text.
    pub fn open_text(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretString, VaultError> {
        let plain = self.open_value(place, sealed)?;
        std::str::from_utf8(&plain).map(SecretString::from).map_err(|_| place.closed())
    }

    fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        self.0.sources.random.fill(&mut nonce);
        nonce
    }

    /// Version, key id, nonce and wrapped key.
    fn wrap(&self, by: &Key, place: Place<'_>, key: &[u8; 32]) -> Result<Vec<u8>, VaultError> {
        let nonce = self.nonce();
        let wrapped = by
            .cipher()
            .encrypt(&XNonce::from(nonce), Payload { msg: key, aad: &place.bytes(b"key") })
            .map_err(|_| place.closed())?;
        let mut out = Vec::with_capacity(1 + ID + NONCE + WRAPPED + NONCE + 64);
        out.push(VERSION);
        out.extend_from_slice(&by.id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&wrapped);
        Ok(out)
    }

    fn unwrap(&self, place: Place<'_>, parts: &Parts<'_>) -> Result<Zeroizing<[u8; 32]>, VaultError> {
        let mut ring = self.0.ring.load_full();
        if ring.find(parts.key_id).is_none() {
            // Perhaps another process has rotated since this one read its key.
            self.reload()?;
            ring = self.0.ring.load_full();
        }
        let by = ring.find(parts.key_id).ok_or_else(|| place.closed())?;
        let plain = by
            .cipher()
            .decrypt(&XNonce::from(parts.wrap_nonce), Payload { msg: parts.wrapped, aad: &place.bytes(b"key") })
            .map(Zeroizing::new)
            .map_err(|_| place.closed())?;
        plain.as_slice().try_into().map(Zeroizing::new).map_err(|_| place.closed())
    }

    fn follow_file(&self) -> Result<(), VaultError> {
        let KeySource::File { path, .. } = &self.0.source else { return Ok(()) };
        // A file that is gone is found out at the next start; what runs goes on with the key that it has.
        let stamp = fs::metadata(path).ok().map(|m| (m.ino(), m.mtime(), m.mtime_nsec()));
        if stamp.is_some() && stamp != self.0.ring.load().stamp { self.reload() } else { Ok(()) }
    }

    fn reload(&self) -> Result<(), VaultError> {
        if matches!(self.0.source, KeySource::File { .. }) {
            self.0.ring.store(Arc::new(read_ring(&self.0.source)?));
        }
        Ok(())
    }

    /// Replaces the installation's key: makes a new one (a file) or takes the one given (the environment), wraps every sealed value
    /// anew and drops the previous key. May be called again after a crash, and goes on where it stopped; meanwhile both keys open.
    /// Gives the number of values.
    ///
    /// A new key file is made on this host alone: where several nodes have files of their own, give every node the new key and the
    /// previous one by the environment instead.
    ///
    /// `settle` is how long other processes may still store what they sealed with the previous key: [`SETTLE`] outside of tests.
    pub async fn rotate(&self, db: &Db, settle: Duration) -> Result<u64> {
        let mut report = 0;
        self.rotate_until(db, settle, &mut report, &mut || true).await?;
        Ok(report)
    }

    /// `go_on` is asked before every step that lasts; false is a crash there.
    async fn rotate_until(
        &self,
        db: &Db,
        settle: Duration,
        done: &mut u64,
        go_on: &mut (dyn FnMut() -> bool + Send),
    ) -> Result<()> {
        // Two at once would each make a key, and what one of them wraps would be lost with the other's file.
        let _alone = match &self.0.source {
            KeySource::File { path, .. } => Some(exclusive(path)?),
            KeySource::Value { .. } => None,
        };
        self.reload()?;
        if !go_on() {
            return Ok(());
        }
        if let KeySource::File { path, .. } = &self.0.source {
            let ring = self.0.ring.load_full();
            if ring.previous.is_none() {
                // First the old key under its new name, then the new key under the old name: no moment without the key in use.
                write_key(&previous_path(path), &ring.current.bytes, &self.0.sources, false)?;
            }
            if !go_on() {
                return Ok(());
            }
            if ring.previous.as_ref().is_none_or(|p| p.id == ring.current.id) {
                let mut bytes = Zeroizing::new([0_u8; 32]);
                self.0.sources.random.fill(&mut *bytes);
                write_key(path, &bytes, &self.0.sources, true)?;
            }
            self.reload()?;
        } else if self.0.ring.load().previous.is_none() {
            return Err(VaultError::NoPrevious.into());
        }
        if !go_on() {
            return Ok(());
        }
        let ring = self.0.ring.load_full();
        let name = ring.current.name();
        let mut tx = db.begin().await?;
        tx.lock(Lock::Vault).await?;
        tx.execute("UPDATE vault_keys SET is_current = FALSE WHERE key_id <> $1", args![&name]).await?;
        tx.execute(
            "INSERT INTO vault_keys (key_id, check_value, is_current, created_at) VALUES ($1, $2, TRUE, $3) \
             ON CONFLICT (key_id) DO UPDATE SET is_current = TRUE",
            args![&name, self.seal_check(&name)?, self.0.sources.now()],
        )
        .await?;
        tx.commit().await?;
        if !self.rewrap_all(db, &ring.current, done, go_on).await? {
            return Ok(());
        }
        // What was sealed before the new key was in place may be stored after that pass. Wait until it is, and once more while there is
        // any: what is sealed with a key that is gone never opens again.
        let mut rounds = 0..ROUNDS;
        loop {
            if rounds.next().is_none() {
                return Err(VaultError::StillInUse.into());
            }
            tokio::time::sleep(settle).await;
            if !self.rewrap_all(db, &ring.current, done, go_on).await? || !go_on() {
                return Ok(());
            }
            if self.forget_previous(db, &ring.current).await? {
                break;
            }
        }
        if !go_on() {
            return Ok(());
        }
        if let KeySource::File { path, .. } = &self.0.source {
            let previous = previous_path(path);
            fs::remove_file(&previous).map_err(|source| VaultError::File { path: previous, source })?;
        }
        self.reload()?;
        Ok(())
    }

    /// Goes through all columns, wrapping what another key wraps. Gives false where `go_on` ended it.
    async fn rewrap_all(&self, db: &Db, by: &Key, done: &mut u64, go_on: &mut (dyn FnMut() -> bool + Send)) -> Result<bool> {
        for &(table, column, ids) in SEALED {
            loop {
                if !go_on() {
                    return Ok(false);
                }
                let mut tx = db.begin().await?;
                let wrapped = self.rewrap(&mut tx, by, table, column, ids).await?;
                tx.commit().await?;
                *done += wrapped;
                // Whatever is sealed with another key from now on is for the next round: this one ends.
                if wrapped < BATCH.into() {
                    break;
                }
            }
        }
        Ok(true)
    }

    /// Takes the other keys out of the store, unless it holds values that they wrap: false. The lock waits for whoever changes the
    /// registry and may have sealed something in that transaction.
    async fn forget_previous(&self, db: &Db, current: &Key) -> Result<bool> {
        let mut tx = db.begin().await?;
        tx.lock(Lock::Registry).await?;
        tx.lock(Lock::Vault).await?;
        for &(table, column, _) in SEALED {
            let late =
                format!("SELECT 1 AS one FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 2, {ID}) <> $1 LIMIT 1");
            if tx.fetch_optional(Assembled(late), args![current.id.as_slice()]).await?.is_some() {
                tx.rollback().await?;
                return Ok(false);
            }
        }
        tx.execute("DELETE FROM vault_keys WHERE NOT is_current", args![]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Wraps up to [`BATCH`] values of one column anew.
    async fn rewrap(&self, tx: &mut Tx, by: &Key, table: &'static str, column: &'static str, ids: &[&str]) -> Result<u64> {
        let list = ids.join(", ");
        let select = format!(
            "SELECT {list}, {column} FROM {table} WHERE {column} IS NOT NULL AND substr({column}, 2, {ID}) <> $1 ORDER BY {list} LIMIT {BATCH}"
        );
        let matching: Vec<String> = ids.iter().enumerate().map(|(n, id)| format!("{id} = ${}", n + 3)).collect();
        // The old value is a condition: what somebody changed meanwhile is theirs, and is found again.
        let update = format!("UPDATE {table} SET {column} = $1 WHERE {column} = $2 AND {}", matching.join(" AND "));
        let rows = tx.fetch_all(Assembled(select), args![by.id.as_slice()]).await?;
        let count = rows.len() as u64;
        for row in rows {
            let keys = ids.iter().map(|id| row.text(id)).collect::<Result<Vec<_>>>()?;
            let sealed = row.bytes(column)?;
            let joined = keys.join("/");
            let place = Place { table, column, row: &joined };
            let parts = Parts::of(&sealed).ok_or_else(|| place.closed())?;
            let key = self.unwrap(place, &parts)?;
            let mut out = self.wrap(by, place, &key)?;
            out.extend_from_slice(&parts.nonce);
            out.extend_from_slice(parts.body);
            let mut args = args![out, sealed];
            args.extend(keys.into_iter().map(Arg::from));
            tx.execute(Assembled(update.clone()), args).await?;
        }
        Ok(count)
    }
}

struct Parts<'a> {
    key_id: &'a [u8],
    wrap_nonce: [u8; NONCE],
    wrapped: &'a [u8],
    nonce: [u8; NONCE],
    body: &'a [u8],
}
impl<'a> Parts<'a> {
    fn of(sealed: &'a [u8]) -> Option<Self> {
        let (&version, rest) = sealed.split_first()?;
        let (key_id, rest) = rest.split_at_checked(ID)?;
        let (wrap_nonce, rest) = rest.split_first_chunk()?;
        let (wrapped, rest) = rest.split_at_checked(WRAPPED)?;
        let (nonce, body) = rest.split_first_chunk()?;
        (version == VERSION).then_some(Self { key_id, wrap_nonce: *wrap_nonce, wrapped, nonce: *nonce, body })
    }
}

fn previous_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".previous");
    path.with_file_name(name)
}

/// A lock beside the key file, for as long as the value lives; a process that dies gives it up.
fn exclusive(path: &Path) -> Result<fs::File, VaultError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    let failed = |source| VaultError::File { path: path.to_owned(), source };
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.with_file_name(name))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(VaultError::Rotating),
        Err(fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}

fn read_ring(source: &KeySource) -> Result<Ring, VaultError> {
    match source {
        KeySource::Value { current, previous } => Ok(Ring {
            current: decoded(current.expose_secret(), "the key from the environment")?,
            previous: previous
                .as_ref()
                .map(|p| decoded(p.expose_secret(), "the previous key from the environment"))
                .transpose()?,
            stamp: None,
        }),
        KeySource::File { path, .. } => {
            // The previous key first: a rotation puts it there before it replaces the current one.
            let before = read_key(&previous_path(path))?;
            let Some((current, stamp)) = read_key(path)? else { return Err(VaultError::Missing { path: path.clone() }) };
            let after = if before.is_none() { read_key(&previous_path(path))? } else { before };
            Ok(Ring { current, previous: after.map(|(key, _)| key), stamp })
        }
    }
}

fn read_key(path: &Path) -> Result<Option<(Key, Stamp)>, VaultError> {
    let failed = |source| VaultError::File { path: path.to_owned(), source };
    let mut file = match fs::OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    let about = file.metadata().map_err(failed)?;
    if about.mode() & 0o077 != 0 {
        return Err(VaultError::Exposed { path: path.to_owned() });
    }
    // Its size is known beforehand, so the buffer never moves and leaves no copy behind.
    let mut text = Zeroizing::new(String::with_capacity(256));
    let malformed = || VaultError::Malformed { what: path.display().to_string() };
    (&mut file)
        .take(200)
        .read_to_string(&mut text)
        .map_err(|e| if e.kind() == io::ErrorKind::InvalidData { malformed() } else { failed(e) })?;
    let key = decoded(&text, &path.display().to_string())?;
    Ok(Some((key, Some((about.ino(), about.mtime(), about.mtime_nsec())))))
}

fn decoded(text: &str, what: &str) -> Result<Key, VaultError> {
    let bytes = BASE64_STANDARD.decode(text.trim()).map(Zeroizing::new);
    let bytes: Option<[u8; 32]> = bytes.ok().and_then(|b| b.as_slice().try_into().ok());
    bytes.map(|b| Key::new(Zeroizing::new(b))).ok_or_else(|| VaultError::Malformed { what: what.to_owned() })
}

fn create_key(path: &Path, sources: &Sources) -> Result<(), VaultError> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    sources.random.fill(&mut *bytes);
    write_key(path, &bytes, sources, false)
}

/// Writes a key file with mode 0600, whole or not at all, and on the disk when it returns. Without `replace` a file that is there
/// stays as it is.
fn write_key(path: &Path, key: &[u8; 32], sources: &Sources, replace: bool) -> Result<(), VaultError> {
    let work = || -> io::Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut name = path.file_name().unwrap_or_default().to_owned();
        let mut random = [0; 8];
        sources.random.fill(&mut random);
        name.push(format!(".{}", hex(&random)));
        let temporary = folder.join(name);
        let text = Zeroizing::new(format!("{}\n", Zeroizing::new(BASE64_STANDARD.encode(key)).as_str()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| if replace { fs::rename(&temporary, path) } else { fs::hard_link(&temporary, path) });
        if !replace || placed.is_err() {
            fs::remove_file(&temporary)?;
        }
        match placed {
            Err(e) if !replace && e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        fs::OpenOptions::new().read(true).open(folder)?.sync_all()
    };
    work().map_err(|source| VaultError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{
        StoreError,
        testing::{TestStore, each_engine},
    };

    fn place(row: &str) -> Place<'_> {
        Place { table: "secrets", column: "sealed", row }
    }
    async fn vault(t: &TestStore) -> Result<Vault> {
        Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await
    }
    async fn put(t: &TestStore, v: &Vault, name: &str, plain: &[u8]) {
        let sealed = v.seal(place(name), plain).unwrap();
        t.execute("INSERT INTO secrets (name, sealed, created_at) VALUES ($1, $2, '')", args![name, sealed]).await.unwrap();
    }
    async fn get(t: &TestStore, v: &Vault, name: &str) -> Result<Vec<u8>, VaultError> {
        let row = t.fetch_optional("SELECT sealed FROM secrets WHERE name = $1", args![name]).await.unwrap().unwrap();
        v.open_value(place(name), &row.bytes("sealed").unwrap()).map(|p| p.to_vec())
    }

    #[tokio::test]
    async fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
        let t = crate::testing::sqlite().await;
        let v = vault(&t).await.unwrap();
        let sealed = v.seal(place("a"), b"hunter2").unwrap();
        assert_eq!(v.open_value(place("a"), &sealed).unwrap().as_slice(), b"hunter2");
        assert_ne!(sealed, v.seal(place("a"), b"hunter2").unwrap());
        assert!(v.open_value(place("b"), &sealed).is_err());
        assert!(v.open_value(Place { column: "other", ..place("a") }, &sealed).is_err());
        assert!(v.open_value(Place { table: "other", ..place("a") }, &sealed).is_err());
        for n in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[n] ^= 1;
            assert!(v.open_value(place("a"), &bent).is_err(), "byte {n}");
            assert!(v.open_value(place("a"), &sealed[..n]).is_err(), "cut at {n}");
        }
        assert!(v.open_value(place("a"), &v.seal(place("a"), b"").unwrap()).unwrap().is_empty());
        assert!(!format!("{v:?} {:?}", v.open_text(place("a"), &sealed).unwrap()).contains("hunter2"));
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a broken key file")]
    async fn the_key_file_is_made_once_and_kept_private() {
        each_engine(async |t| {
            let path = t.dir.path().join("ocore.key");
            let (a, b) = tokio::join!(vault(t), vault(t));
            assert_eq!(format!("{:?}", a.unwrap()), format!("{:?}", b.unwrap()), "two starts, one key");
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
            assert_eq!(
                fs::read_dir(t.dir.path()).unwrap().filter(|f| f.as_ref().unwrap().path() != path).count(),
                usize::from(t.engine() == crate::Engine::Sqlite) * 3,
                "no other file"
            );

            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(vault(t).await, Err(StoreError::Vault(VaultError::Exposed { .. }))));
            fs::remove_file(&path).unwrap();
            assert!(matches!(vault(t).await, Err(StoreError::Vault(VaultError::Missing { .. }))), "never a second key");
            create_key(&path, &t.sources).unwrap();
            let error = vault(t).await.unwrap_err();
            assert!(matches!(error, StoreError::Vault(VaultError::WrongKey { .. })), "{error}");
            assert!(error.to_string().contains("is not the one"), "{error}");
            fs::write(&path, "not a key").unwrap();
            assert!(matches!(vault(t).await, Err(StoreError::Vault(VaultError::Malformed { .. }))));
        })
        .await;
    }

    #[tokio::test]
    async fn a_rotation_killed_anywhere_loses_nothing() {
        each_engine(async |t| {
            let first = vault(t).await.unwrap();
            let names: Vec<String> = (0..230).map(|n| format!("s{n:03}")).collect();
            for name in &names {
                put(t, &first, name, name.as_bytes()).await;
            }
            let long_running = first.clone();
            let old = first.0.ring.load().current.id;
            let mut steps = 0;
            // Killed at the first step, after a restart at the second, and so on, until one run reaches the end.
            loop {
                steps += 1;
                let mut left = steps;
                let v = vault(t).await.unwrap();
                let mut done = 0;
                v.rotate_until(t, Duration::ZERO, &mut done, &mut || {
                    left -= 1;
                    left > 0
                })
                .await
                .unwrap();
                let restarted = vault(t).await.unwrap();
                for name in names.iter().step_by(23).chain(names.last()) {
                    assert_eq!(get(t, &restarted, name).await.unwrap(), name.as_bytes(), "after step {steps}");
                    assert_eq!(get(t, &long_running, name).await.unwrap(), name.as_bytes(), "in another process, step {steps}");
                }
                if left > 0 {
                    break;
                }
                put(t, &long_running, &format!("during {steps}"), b"x").await;
                assert_eq!(get(t, &restarted, &format!("during {steps}")).await.unwrap(), b"x");
            }
            assert!(steps > 10, "{steps}");
            let v = vault(t).await.unwrap();
            assert_ne!(v.0.ring.load().current.id, old);
            assert!(v.0.ring.load().previous.is_none(), "the previous key is gone");
            let row = t
                .fetch_optional(
                    "SELECT count(*) AS n FROM secrets WHERE substr(sealed, 2, 8) <> $1",
                    args![v.0.ring.load().current.id.as_slice()],
                )
                .await
                .unwrap();
            assert_eq!(row.unwrap().int("n").unwrap(), 0);
            let (a, b) = tokio::join!(v.rotate(t, Duration::ZERO), long_running.rotate(t, Duration::ZERO));
            let (ran, refused) = if a.is_ok() { (a, b) } else { (b, a) };
            assert!(ran.unwrap() >= 230, "and again");
            assert!(matches!(refused, Err(StoreError::Vault(VaultError::Rotating))), "one at a time");
            assert_eq!(get(t, &long_running, "s000").await.unwrap(), b"s000");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_sealed_with_the_previous_key_and_is_stored_late_still_opens() {
        each_engine(async |t| {
            let v = vault(t).await.unwrap();
            for name in ["a", "b"] {
                put(t, &v, name, name.as_bytes()).await;
            }
            // Sealed before the rotation; stored before its n-th step, whichever that is.
            for n in 0.. {
                let name = format!("late {n}");
                let sealed = v.seal(place(&name), name.as_bytes()).unwrap();
                let (mut step, mut done) = (0, 0);
                let runtime = tokio::runtime::Handle::current();
                v.rotate_until(t, Duration::ZERO, &mut done, &mut || {
                    if step == n {
                        tokio::task::block_in_place(|| {
                            runtime.block_on(t.execute(
                                "INSERT INTO secrets (name, sealed, created_at) VALUES ($1, $2, '')",
                                args![&name, sealed.clone()],
                            ))
                        })
                        .unwrap();
                    }
                    step += 1;
                    true
                })
                .await
                .unwrap();
                // The last step comes after the previous key was given up; nothing is on its way by then.
                if step == n + 1 {
                    break;
                }
                let v = vault(t).await.unwrap();
                assert!(v.0.ring.load().previous.is_none());
                assert_eq!(get(t, &v, &name).await.unwrap(), name.as_bytes(), "stored before step {n} of {step}");
            }
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_previous_key_stays_while_somebody_seals_with_it() {
        each_engine(async |t| {
            let value = |n: u8| SecretString::from(BASE64_STANDARD.encode([n; 32]));
            let left_behind = Vault::open(t, KeySource::value(value(1), None), &t.sources).await.unwrap();
            let v = Vault::open(t, KeySource::value(value(2), Some(value(1))), &t.sources).await;
            let v = v.unwrap();
            let runtime = tokio::runtime::Handle::current();
            let (mut n, mut done) = (0, 0);
            let mut store_more = || {
                n += 1;
                tokio::task::block_in_place(|| runtime.block_on(put(t, &left_behind, &format!("s{n}"), b"x")));
                true
            };
            let rotated = v.rotate_until(t, Duration::ZERO, &mut done, &mut store_more).await;
            assert!(matches!(rotated, Err(StoreError::Vault(VaultError::StillInUse))), "{rotated:?}");
            drop(left_behind);
            assert!(v.rotate(t, Duration::ZERO).await.unwrap() > 0, "and again");
            let v = Vault::open(t, KeySource::value(value(2), None), &t.sources).await.unwrap();
            for n in 1..=n {
                assert_eq!(get(t, &v, &format!("s{n}")).await.unwrap(), b"x");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_key_from_the_environment_rotates_with_both_given() {
        each_engine(async |t| {
            let value = |n: u8| SecretString::from(BASE64_STANDARD.encode([n; 32]));
            let open = async |source| Vault::open(t, source, &t.sources).await;
            let v = open(KeySource::value(value(1), None)).await.unwrap();
            put(t, &v, "a", b"x").await;
            assert!(matches!(v.rotate(t, Duration::ZERO).await, Err(StoreError::Vault(VaultError::NoPrevious))));
            assert!(open(KeySource::value(value(2), None)).await.is_err());
            let v = open(KeySource::value(value(2), Some(value(1)))).await.unwrap();
            assert_eq!(v.rotate(t, Duration::ZERO).await.unwrap(), 1);
            let v = open(KeySource::value(value(2), None)).await.unwrap();
            assert_eq!(get(t, &v, "a").await.unwrap(), b"x");
            assert!(open(KeySource::value(value(1), None)).await.is_err());
            assert!(open(KeySource::value("short".into(), None)).await.is_err());
        })
        .await;
    }

    #[test]
    fn every_sealed_column_of_the_schema_is_rotated() {
        // Binary columns are sealed but for hashes and the vault's own check values.
        let mut found = Vec::new();
        let schema = crate::migrations::sqlite_text();
        let mut table = "";
        for line in schema.lines() {
            for start in ["CREATE TABLE ", "ALTER TABLE "] {
                if let Some(rest) = line.strip_prefix(start) {
                    table = rest.split(' ').next().unwrap();
                }
            }
            let line = line.split_once("ADD COLUMN ").map_or(line, |(_, rest)| rest);
            let mut words = line.split_whitespace();
            if let (Some(column), Some("BLOB" | "BLOB," | "BLOB;")) = (words.next(), words.next())
                && column != "hash"
                && column != "check_value"
                && !column.ends_with("_hash")
            {
                found.push((table, column));
            }
        }
        let mut listed: Vec<_> = SEALED.iter().map(|(t, c, _)| (*t, *c)).collect();
        found.sort_unstable();
        listed.sort_unstable();
        assert_eq!(found, listed);
    }
}
