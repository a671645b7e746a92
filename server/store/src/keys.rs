//! API keys. Their text is shown once and never stored: what is kept is its SHA-256 hash and the first characters, for people.
use std::net::IpAddr;

use kernel::{InviteId, KeyId, OrgId, Permissions, Role, Sources, Timestamp, UserId};

use crate::{
    Db, Lock, On, Result, Row, StoreError, Tx, args,
    events::{self, Change},
    invites,
    oauth::grants,
};

#[derive(Debug, Clone)]
pub struct KeyRow {
    pub id: KeyId,
    pub org: OrgId,
    /// None for a key of the organization itself.
    pub owner: Option<UserId>,
    /// The user who made it, and may know its text; none for the command line.
    pub created_by: Option<UserId>,
    /// The most that the key may do, whatever its owner's role.
    pub role: Role,
    pub label: String,
    pub prefix: String,
    /// None when what is stored cannot be read: the key grants nothing.
    pub permissions: Option<Permissions>,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub last_used_address: Option<String>,
    pub use_count: i64,
    /// The invite that made it: it may never do more than who vouches for that.
    pub invite: Option<InviteId>,
}
pub(crate) fn read(row: &Row) -> Result<KeyRow> {
    Ok(KeyRow {
        id: row.parsed("api_keys.id")?,
        org: row.parsed("api_keys.org_id")?,
        owner: row.opt_parsed("api_keys.user_id")?,
        created_by: row.opt_parsed("api_keys.created_by")?,
        role: row.parsed("api_keys.role")?,
        label: row.text("api_keys.label")?,
        prefix: row.text("api_keys.prefix")?,
        permissions: row.json("api_keys.permissions").ok(),
        expires_at: row.opt_time("api_keys.expires_at")?,
        revoked_at: row.opt_time("api_keys.revoked_at")?,
        created_at: row.time("api_keys.created_at")?,
        last_used_at: row.opt_time("api_keys.last_used_at")?,
        last_used_address: row.opt_text("api_keys.last_used_address")?,
        use_count: row.int("api_keys.use_count")?,
        invite: row.opt_parsed("api_keys.invite_id")?,
    })
}

/// Those that still work or stopped after `since`, with who vouches for the invites that made them: for the registry.
pub(crate) async fn rows(on: impl Into<On<'_>>, since: Timestamp) -> Result<Vec<Row>> {
    let sql = "SELECT k.*, i.vouched_by FROM api_keys k LEFT JOIN invites i ON i.id = k.invite_id AND i.org_id = k.org_id \
               WHERE (k.revoked_at IS NULL OR k.revoked_at > $1) AND (k.expires_at IS NULL OR k.expires_at > $1)";
    on.into().fetch_all(sql, args![since]).await
}

/// Those of one organization, oldest first, dead ones included.
pub async fn list(on: impl Into<On<'_>>, org: OrgId) -> Result<Vec<KeyRow>> {
    let rows = on.into().fetch_all("SELECT * FROM api_keys WHERE org_id = $1 ORDER BY id", args![org]).await?;
    rows.iter().map(read).collect()
}

pub async fn find(on: impl Into<On<'_>>, org: OrgId, id: KeyId) -> Result<Option<KeyRow>> {
    let row = on.into().fetch_optional("SELECT * FROM api_keys WHERE org_id = $1 AND id = $2", args![org, id]).await?;
    row.as_ref().map(read).transpose()
}

/// Whichever organization it is of: for operators, who name keys by their id alone.
pub async fn anywhere(on: impl Into<On<'_>>, id: KeyId) -> Result<Option<KeyRow>> {
    on.into().fetch_optional("SELECT * FROM api_keys WHERE id = $1", args![id]).await?.as_ref().map(read).transpose()
}

#[derive(Debug, Clone)]
pub struct NewKey {
    pub org: OrgId,
    pub owner: Option<UserId>,
    pub role: Role,
    pub label: String,
    pub prefix: String,
    /// SHA-256 of the key's text.
    pub hash: [u8; 32],
    pub permissions: Permissions,
    pub expires_at: Option<Timestamp>,
    /// The invite that makes it, of the same organization.
    pub invite: Option<InviteId>,
}

/// A key that no user made: on the command line.
pub async fn create(tx: &mut Tx, new: &NewKey, sources: &Sources) -> Result<KeyId> {
    create_by(tx, None, new, sources).await
}

/// `maker` is the user who made it.
///
/// # Errors
/// `Reference` where the invite is another organization's.
pub async fn create_by(tx: &mut Tx, maker: Option<UserId>, new: &NewKey, sources: &Sources) -> Result<KeyId> {
    let (id, now) = (KeyId::new(sources), sources.now());
    if let Some(invite) = new.invite
        && invites::find(&mut *tx, new.org, invite).await?.is_none()
    {
        return Err(StoreError::Reference);
    }
    let permissions = serde_json::to_string(&new.permissions).map_err(|e| StoreError::corrupt("api_keys.permissions", e))?;
    tx.execute(
        "INSERT INTO api_keys \
         (id, org_id, user_id, created_by, role, label, prefix, hash, permissions, expires_at, created_at, invite_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            id,
            new.org,
            new.owner,
            maker,
            new.role,
            &new.label,
            &new.prefix,
            new.hash,
            permissions,
            new.expires_at,
            now,
            new.invite
        ],
    )
    .await?;
    events::write(tx, Change::Key, Some(new.org), id, now).await?;
    Ok(id)
}

/// Gives a key other permissions. Gives false when there is no such key, or it was revoked.
pub async fn set_permissions(tx: &mut Tx, org: OrgId, id: KeyId, permissions: &Permissions, now: Timestamp) -> Result<bool> {
    let text = serde_json::to_string(permissions).map_err(|e| StoreError::corrupt("api_keys.permissions", e))?;
    let sql = "UPDATE api_keys SET permissions = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL";
    let changed = tx.execute(sql, args![org, id, text]).await? > 0;
    events::write(tx, Change::Key, Some(org), id, now).await?;
    Ok(changed)
}

/// Revokes the key and the consents that hang on it. Gives false when there is no such key, or it was revoked before.
pub async fn revoke(tx: &mut Tx, org: OrgId, id: KeyId, now: Timestamp) -> Result<bool> {
    // Before the key's row: who revokes a consent goes from there to its key.
    tx.lock(Lock::Registry).await?;
    let sql = "UPDATE api_keys SET revoked_at = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL";
    let revoked = tx.execute(sql, args![org, id, now]).await? > 0;
    events::write(tx, Change::Key, Some(org), id, now).await?;
    if revoked {
        grants::revoke_key(tx, id, now).await?;
    }
    Ok(revoked)
}

/// How a key was used since the last time that this was written.
#[derive(Debug, Clone)]
pub struct KeyUse {
    pub key: KeyId,
    pub at: Timestamp,
    pub address: IpAddr,
    pub count: i64,
}

/// Counts uses, in one transaction. No event: nobody decides by them.
pub async fn record_uses(db: &Db, uses: &[KeyUse]) -> Result<()> {
    let mut tx = db.begin_with(crate::Durability::Lazy).await?;
    for u in uses {
        tx.execute(
            "UPDATE api_keys SET last_used_at = $2, last_used_address = $3, use_count = use_count + $4 WHERE id = $1",
            args![u.key, u.at, u.address, u.count],
        )
        .await?;
    }
    tx.commit().await
}
