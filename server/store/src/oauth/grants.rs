//! Consents: a user lets a client act in an organization, through a key of the user's own. Revoking one ends everything that came of it.
use kernel::{GrantId, KeyId, OrgId, Role, Sources, Timestamp, UserId};

use crate::{
    Lock, On, Result, Row, StoreError, Tx, args,
    events::{self, Change},
    keys,
    oauth::RevokedWhy,
};

#[derive(Debug, Clone)]
pub struct GrantRow {
    pub id: GrantId,
    pub org: OrgId,
    pub user: UserId,
    pub client: String,
    /// What the client's calls are made with.
    pub key: KeyId,
    /// Whether the consent made the key, which is then revoked with it.
    pub made_key: bool,
    pub scopes: String,
    pub resource: String,
    /// Where the browser went back to, for people to read.
    pub redirect_host: String,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}
/// `as_` is what stands before the columns' names.
pub(super) fn read(row: &Row, as_: &str) -> Result<GrantRow> {
    let name = |column: &str| format!("oauth_grants.{as_}{column}");
    Ok(GrantRow {
        id: row.parsed(&name("id"))?,
        org: row.parsed(&name("org_id"))?,
        user: row.parsed(&name("user_id"))?,
        client: row.text(&name("client_id"))?,
        key: row.parsed(&name("key_id"))?,
        made_key: row.bool(&name("made_key"))?,
        scopes: row.text(&name("scopes"))?,
        resource: row.text(&name("resource"))?,
        redirect_host: row.text(&name("redirect_host"))?,
        created_at: row.time(&name("created_at"))?,
        last_used_at: row.opt_time(&name("last_used_at"))?,
        revoked_at: row.opt_time(&name("revoked_at"))?,
    })
}
fn read_all(rows: &[Row]) -> Result<Vec<GrantRow>> {
    rows.iter().map(|row| read(row, "")).collect()
}

#[derive(Debug, Clone)]
pub struct NewGrant {
    pub org: OrgId,
    pub user: UserId,
    pub client: String,
    pub key: KeyId,
    pub made_key: bool,
    pub scopes: String,
    pub resource: String,
    pub redirect_host: String,
}

/// Keeps a consent.
///
/// # Errors
/// `Reference` where the key is not the user's own in that organization, was revoked, or there is no such client.
pub async fn create(tx: &mut Tx, new: &NewGrant, sources: &Sources) -> Result<GrantId> {
    let (id, now) = (GrantId::new(sources), sources.now());
    // First the event, for its lock: a client that is being deleted for want of consents is gone then, or has this one.
    events::write(tx, Change::Grant, Some(new.org), id, now).await?;
    let made = tx
        .execute(
            "INSERT INTO oauth_grants \
             (id, org_id, user_id, client_id, key_id, made_key, scopes, resource, redirect_host, created_at) \
             SELECT $1, k.org_id, k.user_id, $4, k.id, $6, $7, $8, $9, $10 FROM api_keys k \
             WHERE k.id = $5 AND k.org_id = $2 AND k.user_id = $3 AND k.revoked_at IS NULL",
            args![id, new.org, new.user, &new.client, new.key, new.made_key, &new.scopes, &new.resource, &new.redirect_host, now],
        )
        .await?;
    if made == 0 { Err(StoreError::Reference) } else { Ok(id) }
}

/// Whosever it is: for who holds a token or code of it.
pub async fn find(on: impl Into<On<'_>>, id: GrantId) -> Result<Option<GrantRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_grants WHERE id = $1", args![id]).await?;
    row.as_ref().map(|row| read(row, "")).transpose()
}

/// One of a user's.
pub async fn find_of_user(on: impl Into<On<'_>>, user: UserId, id: GrantId) -> Result<Option<GrantRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_grants WHERE id = $1 AND user_id = $2", args![id, user]).await?;
    row.as_ref().map(|row| read(row, "")).transpose()
}

/// One of an organization's.
pub async fn find_of_org(on: impl Into<On<'_>>, org: OrgId, id: GrantId) -> Result<Option<GrantRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_grants WHERE id = $1 AND org_id = $2", args![id, org]).await?;
    row.as_ref().map(|row| read(row, "")).transpose()
}

/// A user's live ones in all organizations, newest first.
pub async fn of_user(on: impl Into<On<'_>>, user: UserId) -> Result<Vec<GrantRow>> {
    let sql = "SELECT * FROM oauth_grants WHERE user_id = $1 AND revoked_at IS NULL ORDER BY id DESC";
    read_all(&on.into().fetch_all(sql, args![user]).await?)
}

/// An organization's live ones, newest first.
pub async fn of_org(on: impl Into<On<'_>>, org: OrgId) -> Result<Vec<GrantRow>> {
    let sql = "SELECT * FROM oauth_grants WHERE org_id = $1 AND revoked_at IS NULL ORDER BY id DESC";
    read_all(&on.into().fetch_all(sql, args![org]).await?)
}

/// Revokes a consent: its tokens end, what was not exchanged yet gives none, and the key goes too where consent made it. Gives false
/// when there is no such consent, or it was revoked before.
pub async fn revoke(tx: &mut Tx, id: GrantId, why: RevokedWhy, now: Timestamp) -> Result<bool> {
    tx.lock(Lock::Registry).await?;
    let Some(grant) = find(&mut *tx, id).await? else { return Ok(false) };
    if !end(tx, &grant, why, now).await? {
        return Ok(false);
    }
    if grant.made_key {
        keys::revoke(tx, grant.org, grant.key, now).await?;
    }
    Ok(true)
}

/// Revokes all of a user's consents for a client. Gives how many there were.
pub async fn revoke_client(tx: &mut Tx, user: UserId, client: &str, why: RevokedWhy, now: Timestamp) -> Result<u64> {
    tx.lock(Lock::Registry).await?;
    let sql = "SELECT * FROM oauth_grants WHERE user_id = $1 AND client_id = $2 AND revoked_at IS NULL ORDER BY id";
    let mut revoked = 0;
    for grant in read_all(&tx.fetch_all(sql, args![user, client]).await?)? {
        revoked += u64::from(revoke(tx, grant.id, why, now).await?);
    }
    Ok(revoked)
}

/// Revokes the consents that hang on a key. [`keys::revoke`] does so by itself. Gives how many there were.
pub async fn revoke_key(tx: &mut Tx, key: KeyId, now: Timestamp) -> Result<u64> {
    tx.lock(Lock::Registry).await?;
    let sql = "SELECT * FROM oauth_grants WHERE key_id = $1 AND revoked_at IS NULL ORDER BY id";
    let mut revoked = 0;
    for grant in read_all(&tx.fetch_all(sql, args![key]).await?)? {
        revoked += u64::from(end(tx, &grant, RevokedWhy::Key, now).await?);
    }
    Ok(revoked)
}

/// The consent's row first: whoever begins tokens under it holds it until they are there.
async fn end(tx: &mut Tx, grant: &GrantRow, why: RevokedWhy, now: Timestamp) -> Result<bool> {
    let revoked =
        tx.execute("UPDATE oauth_grants SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", args![grant.id, now]).await?;
    if revoked == 0 {
        return Ok(false);
    }
    tx.execute(
        "UPDATE oauth_families SET revoked_at = $2, revoked_why = $3 WHERE grant_id = $1 AND revoked_at IS NULL",
        args![grant.id, now, why.as_str()],
    )
    .await?;
    tx.execute("UPDATE oauth_codes SET spent_at = $2 WHERE grant_id = $1 AND spent_at IS NULL", args![grant.id, now]).await?;
    tx.execute(
        "UPDATE oauth_device_codes SET state = 'denied', grant_id = NULL WHERE grant_id = $1 AND state = 'approved'",
        args![grant.id],
    )
    .await?;
    events::write(tx, Change::Grant, Some(grant.org), grant.id, now).await?;
    Ok(true)
}

/// Whether somebody still stands behind a consent: it is live, its key neither revoked nor expired, its user active and a member of the
/// organization; where an invite made the key, who vouches for that too, with a role of at least `vouching`.
pub async fn stands(on: impl Into<On<'_>>, id: GrantId, vouching: Role, now: Timestamp) -> Result<bool> {
    let sql = "SELECT k.invite_id, vm.role AS v_role FROM oauth_grants g \
               JOIN api_keys k ON k.id = g.key_id AND k.org_id = g.org_id AND k.user_id = g.user_id \
               JOIN users u ON u.id = g.user_id \
               JOIN memberships m ON m.org_id = g.org_id AND m.user_id = g.user_id \
               LEFT JOIN invites i ON i.id = k.invite_id AND i.org_id = k.org_id \
               LEFT JOIN users v ON v.id = i.vouched_by \
               LEFT JOIN memberships vm ON vm.org_id = g.org_id AND vm.user_id = i.vouched_by \
               WHERE g.id = $1 AND g.revoked_at IS NULL AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) \
               AND u.active AND (k.invite_id IS NULL OR v.active)";
    let Some(row) = on.into().fetch_optional(sql, args![id, now]).await? else { return Ok(false) };
    if row.opt_text("api_keys.invite_id")?.is_none() {
        return Ok(true);
    }
    let role: Option<Role> = row.opt_parsed("memberships.v_role")?;
    Ok(role.is_some_and(|role| role >= vouching))
}

/// Ends consents of which nothing is left that could give a token: no code, no device code, no family. Those of before `before` alone,
/// at most `most`; gives them. Once nothing is left, nothing comes again: codes are made with their consent.
pub async fn end_spent(tx: &mut Tx, before: Timestamp, most: u32, now: Timestamp) -> Result<Vec<GrantRow>> {
    tx.lock(Lock::Registry).await?;
    let sql = "SELECT * FROM oauth_grants WHERE revoked_at IS NULL AND created_at <= $1 \
               AND NOT EXISTS (SELECT 1 FROM oauth_families f WHERE f.grant_id = oauth_grants.id AND f.revoked_at IS NULL) \
               AND NOT EXISTS (SELECT 1 FROM oauth_codes c WHERE c.grant_id = oauth_grants.id AND c.spent_at IS NULL \
               AND c.expires_at > $1) \
               AND NOT EXISTS (SELECT 1 FROM oauth_device_codes d WHERE d.grant_id = oauth_grants.id AND d.state = 'approved' \
               AND d.expires_at > $1) \
               ORDER BY id LIMIT $2";
    let mut ended = Vec::new();
    for grant in read_all(&tx.fetch_all(sql, args![before, most]).await?)? {
        // There is no family that the reason could stand at.
        if revoke(tx, grant.id, RevokedWhy::Client, now).await? {
            ended.push(grant);
        }
    }
    Ok(ended)
}

/// Notes that a token of it was used, and holds its row until the transaction ends: whoever revokes it waits. Gives false when there is
/// none, or it was revoked. No event: nobody decides by it.
pub async fn touch(tx: &mut Tx, id: GrantId, now: Timestamp) -> Result<bool> {
    let sql = "UPDATE oauth_grants SET last_used_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, args![id, now]).await? > 0)
}
