//! OAuth clients: registered by themselves (RFC 7591), known by a metadata document at their id, or ocore's own.
use std::net::IpAddr;

use kernel::Timestamp;

use crate::{Lock, On, Result, Row, StoreError, Tx, args};

words! {
    /// How a client became known.
    ClientKind, "kind of a client":
    /// By dynamic registration.
    Registered = "registered",
    /// By a Client ID Metadata Document.
    Document = "document",
    /// It is a part of ocore.
    Own = "own",
}

/// How many clients one [`prune`] deletes.
pub const PRUNED: u32 = 200;

#[derive(Clone)]
pub struct ClientRow {
    /// What it calls itself: the id that it was given, or the URL of its document.
    pub id: String,
    pub kind: ClientKind,
    /// JSON, as it was registered or fetched.
    pub metadata: String,
    pub secret_hash: Option<[u8; 32]>,
    /// When the document was fetched, and until when it need not be again. None for other kinds.
    pub fetched_at: Option<Timestamp>,
    pub fresh_until: Option<Timestamp>,
    /// The key set that was fetched for it (RFC 7517), and when.
    pub keys: Option<String>,
    pub keys_fetched_at: Option<Timestamp>,
    /// From where it was registered or first named.
    pub address: Option<String>,
    /// When it was registered last.
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}
impl std::fmt::Debug for ClientRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientRow").field("id", &self.id).field("kind", &self.kind).finish_non_exhaustive()
    }
}
fn read(row: &Row) -> Result<ClientRow> {
    Ok(ClientRow {
        id: row.text("oauth_clients.id")?,
        kind: row.parsed("oauth_clients.kind")?,
        metadata: row.text("oauth_clients.metadata")?,
        secret_hash: row.opt_bytes32("oauth_clients.secret_hash")?,
        fetched_at: row.opt_time("oauth_clients.fetched_at")?,
        fresh_until: row.opt_time("oauth_clients.fresh_until")?,
        keys: row.opt_text("oauth_clients.keys")?,
        keys_fetched_at: row.opt_time("oauth_clients.keys_fetched_at")?,
        address: row.opt_text("oauth_clients.address")?,
        created_at: row.time("oauth_clients.created_at")?,
        last_used_at: row.opt_time("oauth_clients.last_used_at")?,
    })
}

/// By what it calls itself.
pub async fn find(on: impl Into<On<'_>>, id: &str) -> Result<Option<ClientRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_clients WHERE id = $1", args![id]).await?;
    row.as_ref().map(read).transpose()
}

/// The one that registered with the same words.
pub async fn by_fingerprint(on: impl Into<On<'_>>, fingerprint: &[u8; 32]) -> Result<Option<ClientRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_clients WHERE fingerprint_hash = $1", args![fingerprint]).await?;
    row.as_ref().map(read).transpose()
}

/// A client that registers.
#[derive(Clone)]
pub struct NewClient {
    pub id: String,
    pub metadata: String,
    /// SHA-256 of its secret; none for public clients and those that sign.
    pub secret_hash: Option<[u8; 32]>,
    /// Of everything that is checked or shown; none with a secret.
    pub fingerprint: Option<[u8; 32]>,
    pub address: Option<IpAddr>,
}
impl std::fmt::Debug for NewClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewClient").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Keeps a registration. Gives the id: that of the client with the same fingerprint where there is one, which then counts as registered
/// now, also when two register at once.
pub async fn insert(tx: &mut Tx, new: &NewClient, now: Timestamp) -> Result<String> {
    let row = tx
        .fetch_optional(
            "INSERT INTO oauth_clients (id, kind, metadata, secret_hash, fingerprint_hash, address, created_at) \
             VALUES ($1, 'registered', $2, $3, $4, $5, $6) \
             ON CONFLICT (fingerprint_hash) DO UPDATE SET created_at = excluded.created_at RETURNING id",
            args![&new.id, &new.metadata, new.secret_hash, new.fingerprint, new.address, now],
        )
        .await?;
    row.ok_or_else(|| StoreError::corrupt("oauth_clients.id", "nothing came back of what was inserted"))?.text("oauth_clients.id")
}

/// Notes that a client registered again with the same words. Gives false when there is none any more.
pub async fn registered_again(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE oauth_clients SET created_at = $2 WHERE id = $1 AND kind = 'registered'";
    Ok(tx.execute(sql, args![id, now]).await? > 0)
}

/// Keeps what a document says, in place of what it said before. What it says of keys may have changed with it, so a key set that was
/// fetched for other words is forgotten.
///
/// # Errors
/// `Reference` where a client of another kind has that id.
pub async fn save_document(tx: &mut Tx, id: &str, metadata: &str, fetched_at: Timestamp, fresh_until: Timestamp) -> Result<()> {
    let saved = tx
        .execute(
            "INSERT INTO oauth_clients (id, kind, metadata, fetched_at, fresh_until, created_at) \
             VALUES ($1, 'document', $2, $3, $4, $3) \
             ON CONFLICT (id) DO UPDATE SET metadata = excluded.metadata, fetched_at = excluded.fetched_at, \
             fresh_until = excluded.fresh_until, \
             keys = CASE WHEN oauth_clients.metadata = excluded.metadata THEN oauth_clients.keys END, \
             keys_fetched_at = CASE WHEN oauth_clients.metadata = excluded.metadata THEN oauth_clients.keys_fetched_at END \
             WHERE oauth_clients.kind = 'document'",
            args![id, metadata, fetched_at, fresh_until],
        )
        .await?;
    if saved == 0 { Err(StoreError::Reference) } else { Ok(()) }
}

/// Keeps a client of ocore's own, which nobody registers: at every start, so that its metadata is this version's.
///
/// # Errors
/// `Reference` where a client of another kind has that id.
pub async fn save_own(tx: &mut Tx, id: &str, metadata: &str, now: Timestamp) -> Result<()> {
    let saved = tx
        .execute(
            "INSERT INTO oauth_clients (id, kind, metadata, created_at) VALUES ($1, 'own', $2, $3) \
             ON CONFLICT (id) DO UPDATE SET metadata = excluded.metadata WHERE oauth_clients.kind = 'own'",
            args![id, metadata, now],
        )
        .await?;
    if saved == 0 { Err(StoreError::Reference) } else { Ok(()) }
}

/// Keeps a key set that was fetched. Gives false when there is no such client.
pub async fn save_keys(tx: &mut Tx, id: &str, keys: &str, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE oauth_clients SET keys = $2, keys_fetched_at = $3 WHERE id = $1";
    Ok(tx.execute(sql, args![id, keys, now]).await? > 0)
}

/// Notes that a person or a token request used it. Gives false when there is no such client any more.
pub async fn touch(tx: &mut Tx, id: &str, now: Timestamp) -> Result<bool> {
    Ok(tx.execute("UPDATE oauth_clients SET last_used_at = $2 WHERE id = $1", args![id, now]).await? > 0)
}

/// Deletes clients that nobody used since they registered (or their document was fetched) before `never_used_before`, or that were used
/// and registered (fetched) last before `used_before`, with their revoked consents; at most [`PRUNED`], so go on while it gives as many.
/// One with a live consent stays, and so does one with a code or device code that gave nothing yet: [`super::prune`] takes those when
/// they have expired.
pub async fn prune(tx: &mut Tx, never_used_before: Timestamp, used_before: Timestamp) -> Result<u64> {
    // Whoever makes a consent holds it too: none comes between the look and the end.
    tx.lock(Lock::Registry).await?;
    let unused = tx
        .fetch_all(
            "SELECT id FROM oauth_clients WHERE kind <> 'own' AND COALESCE(fetched_at, created_at) <= $1 \
             AND (last_used_at IS NULL OR (last_used_at <= $2 AND COALESCE(fetched_at, created_at) <= $2)) \
             AND NOT EXISTS (SELECT 1 FROM oauth_grants g WHERE g.client_id = oauth_clients.id AND g.revoked_at IS NULL) \
             AND NOT EXISTS (SELECT 1 FROM oauth_codes c WHERE c.client_id = oauth_clients.id AND c.family_id IS NULL) \
             AND NOT EXISTS (SELECT 1 FROM oauth_device_codes d WHERE d.client_id = oauth_clients.id AND d.family_id IS NULL) \
             ORDER BY id LIMIT $3",
            args![never_used_before, used_before, PRUNED],
        )
        .await?;
    let mut gone = 0;
    for row in unused {
        let id = row.text("oauth_clients.id")?;
        // Families with their tokens and codes, then the consents: both are held by the client's row.
        tx.execute("DELETE FROM oauth_families WHERE client_id = $1", args![&id]).await?;
        tx.execute("DELETE FROM oauth_grants WHERE client_id = $1 AND revoked_at IS NOT NULL", args![&id]).await?;
        // It may have registered again since, or been fetched.
        let sql = "DELETE FROM oauth_clients WHERE id = $1 AND COALESCE(fetched_at, created_at) <= $2 \
                   AND (last_used_at IS NULL OR (last_used_at <= $3 AND COALESCE(fetched_at, created_at) <= $3))";
        gone += tx.execute(sql, args![&id, never_used_before, used_before]).await?;
    }
    Ok(gone)
}

/// Uses an assertion: `replay` is the SHA-256 over its client and `jti` (RFC 7523 section 3), `until` when no clock takes it any more.
/// Gives false when it was used before.
pub async fn use_assertion(tx: &mut Tx, replay: &[u8; 32], until: Timestamp, now: Timestamp) -> Result<bool> {
    let used = tx
        .execute(
            "INSERT INTO oauth_assertions (hash, expires_at) VALUES ($1, $2) \
             ON CONFLICT (hash) DO UPDATE SET expires_at = excluded.expires_at WHERE oauth_assertions.expires_at <= $3",
            args![replay, until, now],
        )
        .await?;
    Ok(used > 0)
}
