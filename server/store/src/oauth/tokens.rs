//! Families of tokens, and the tokens. A family is all that came of one code or device code; its refresh tokens have a generation, and
//! using one of the newest begins the next.
use kernel::{FamilyId, GrantId, Sources, Timestamp};

use crate::{
    Lock, On, Result, Row, Tx, args,
    events::{self, Change},
    oauth::{
        RevokedWhy,
        grants::{self, GrantRow},
    },
};

#[derive(Debug, Clone)]
pub struct FamilyRow {
    pub id: FamilyId,
    pub grant: GrantId,
    pub client: String,
    /// The audience of its tokens.
    pub resource: String,
    pub scopes: String,
    /// Whether the client proved itself when the family began: then it must at each refresh.
    pub confidential: bool,
    /// Of the refresh tokens in use; 1 at first.
    pub generation: i64,
    /// How many joined the present generation in the grace window.
    pub joined: i64,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    /// Set with `revoked_at`.
    pub revoked_why: Option<RevokedWhy>,
}
fn read(row: &Row, as_: &str) -> Result<FamilyRow> {
    let name = |column: &str| format!("oauth_families.{as_}{column}");
    Ok(FamilyRow {
        id: row.parsed(&name("id"))?,
        grant: row.parsed(&name("grant_id"))?,
        client: row.text(&name("client_id"))?,
        resource: row.text(&name("resource"))?,
        scopes: row.text(&name("scopes"))?,
        confidential: row.bool(&name("confidential"))?,
        generation: row.int(&name("generation"))?,
        joined: row.int(&name("joined"))?,
        created_at: row.time(&name("created_at"))?,
        revoked_at: row.opt_time(&name("revoked_at"))?,
        revoked_why: row.opt_parsed(&name("revoked_why"))?,
    })
}

#[derive(Debug, Clone)]
pub struct NewFamily {
    pub grant: GrantId,
    pub client: String,
    pub resource: String,
    pub scopes: String,
    pub confidential: bool,
}

#[derive(Debug, Clone)]
pub struct RefreshRow {
    pub family: FamilyId,
    /// Which rotation it came of.
    pub generation: i64,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// When its generation was replaced.
    pub superseded_at: Option<Timestamp>,
}

#[derive(Debug, Clone)]
pub struct AccessRow {
    pub family: FamilyId,
    /// The family's, or fewer.
    pub scopes: String,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// What an access token stands for. It opens nothing unless all three are in order.
#[derive(Debug, Clone)]
pub struct Admitted {
    pub access: AccessRow,
    pub family: FamilyRow,
    pub grant: GrantRow,
}

/// Begins a family under a consent, which counts as a use of it. None when the consent was revoked, or is for another client: then
/// nothing may be given. Whoever revokes the consent at the same time waits, and ends this family too.
pub async fn create_family(tx: &mut Tx, new: &NewFamily, sources: &Sources) -> Result<Option<FamilyId>> {
    let (id, now) = (FamilyId::new(sources), sources.now());
    let live = tx
        .execute(
            "UPDATE oauth_grants SET last_used_at = $3 WHERE id = $1 AND client_id = $2 AND revoked_at IS NULL",
            args![new.grant, &new.client, now],
        )
        .await?;
    if live == 0 {
        return Ok(None);
    }
    tx.execute(
        "INSERT INTO oauth_families (id, grant_id, client_id, resource, scopes, confidential, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![id, new.grant, &new.client, &new.resource, &new.scopes, new.confidential, now],
    )
    .await?;
    Ok(Some(id))
}

pub async fn family(on: impl Into<On<'_>>, id: FamilyId) -> Result<Option<FamilyRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_families WHERE id = $1", args![id]).await?;
    row.as_ref().map(|row| read(row, "")).transpose()
}

/// By the SHA-256 of its text, in whatever state it is.
pub async fn refresh_token(on: impl Into<On<'_>>, hash: &[u8; 32]) -> Result<Option<(RefreshRow, FamilyRow)>> {
    let sql = "SELECT r.family_id, r.generation, r.issued_at, r.expires_at, r.superseded_at, \
               f.id AS f_id, f.grant_id AS f_grant_id, f.client_id AS f_client_id, f.resource AS f_resource, \
               f.scopes AS f_scopes, f.confidential AS f_confidential, f.generation AS f_generation, f.joined AS f_joined, \
               f.created_at AS f_created_at, f.revoked_at AS f_revoked_at, f.revoked_why AS f_revoked_why \
               FROM oauth_refresh_tokens r JOIN oauth_families f ON f.id = r.family_id WHERE r.hash = $1";
    let Some(row) = on.into().fetch_optional(sql, args![hash]).await? else { return Ok(None) };
    let token = RefreshRow {
        family: row.parsed("oauth_refresh_tokens.family_id")?,
        generation: row.int("oauth_refresh_tokens.generation")?,
        issued_at: row.time("oauth_refresh_tokens.issued_at")?,
        expires_at: row.time("oauth_refresh_tokens.expires_at")?,
        superseded_at: row.opt_time("oauth_refresh_tokens.superseded_at")?,
    };
    Ok(Some((token, read(&row, "f_")?)))
}

/// By the SHA-256 of its text, in whatever state it is, with what it came of: one query, for it is asked at every call.
pub async fn access_token(on: impl Into<On<'_>>, hash: &[u8; 32]) -> Result<Option<Admitted>> {
    let sql = "SELECT a.family_id, a.scopes, a.issued_at, a.expires_at, a.revoked_at, \
               f.id AS f_id, f.grant_id AS f_grant_id, f.client_id AS f_client_id, f.resource AS f_resource, \
               f.scopes AS f_scopes, f.confidential AS f_confidential, f.generation AS f_generation, f.joined AS f_joined, \
               f.created_at AS f_created_at, f.revoked_at AS f_revoked_at, f.revoked_why AS f_revoked_why, \
               g.id AS g_id, g.org_id AS g_org_id, g.user_id AS g_user_id, g.client_id AS g_client_id, g.key_id AS g_key_id, \
               g.made_key AS g_made_key, g.scopes AS g_scopes, g.resource AS g_resource, g.redirect_host AS g_redirect_host, \
               g.created_at AS g_created_at, g.last_used_at AS g_last_used_at, g.revoked_at AS g_revoked_at \
               FROM oauth_access_tokens a JOIN oauth_families f ON f.id = a.family_id JOIN oauth_grants g ON g.id = f.grant_id \
               WHERE a.hash = $1";
    let Some(row) = on.into().fetch_optional(sql, args![hash]).await? else { return Ok(None) };
    let access = AccessRow {
        family: row.parsed("oauth_access_tokens.family_id")?,
        scopes: row.text("oauth_access_tokens.scopes")?,
        issued_at: row.time("oauth_access_tokens.issued_at")?,
        expires_at: row.time("oauth_access_tokens.expires_at")?,
        revoked_at: row.opt_time("oauth_access_tokens.revoked_at")?,
    };
    Ok(Some(Admitted { access, family: read(&row, "f_")?, grant: grants::read(&row, "g_")? }))
}

/// Begins the generation after `from`, whose tokens are replaced from now on: a use of `grant`, the family's consent. Gives false when
/// another began it, or the family or its consent ended: read again. What is given of the new generation is inserted in the same
/// transaction.
pub async fn rotate(tx: &mut Tx, grant: GrantId, family: FamilyId, from: i64, now: Timestamp) -> Result<bool> {
    // The consent's row before the family's, as whoever revokes takes them: in the other order the two would wait for each other.
    if !grants::touch(tx, grant, now).await? {
        return Ok(false);
    }
    let rotated = tx
        .execute(
            "UPDATE oauth_families SET generation = generation + 1, joined = 0 \
             WHERE id = $1 AND grant_id = $3 AND generation = $2 AND revoked_at IS NULL",
            args![family, from, grant],
        )
        .await?;
    if rotated == 0 {
        return Ok(false);
    }
    tx.execute(
        "UPDATE oauth_refresh_tokens SET superseded_at = $3 WHERE family_id = $1 AND generation = $2 AND superseded_at IS NULL",
        args![family, from, now],
    )
    .await?;
    Ok(true)
}

/// Joins the present generation, of which `most` may: a use of `grant`, the family's consent. Gives false when it is no longer the
/// present one, when as many have joined, or the family or its consent ended: read again. What is given is inserted in the same
/// transaction.
pub async fn join(tx: &mut Tx, grant: GrantId, family: FamilyId, generation: i64, most: i64, now: Timestamp) -> Result<bool> {
    // In the order of `rotate`.
    if !grants::touch(tx, grant, now).await? {
        return Ok(false);
    }
    let joined = tx
        .execute(
            "UPDATE oauth_families SET joined = joined + 1 \
             WHERE id = $1 AND grant_id = $4 AND generation = $2 AND joined < $3 AND revoked_at IS NULL",
            args![family, generation, most, grant],
        )
        .await?;
    Ok(joined > 0)
}

/// Ends a family, and so all of its tokens. Gives false when there is none, or it had ended.
pub async fn revoke_family(tx: &mut Tx, id: FamilyId, why: RevokedWhy, now: Timestamp) -> Result<bool> {
    tx.lock(Lock::Registry).await?;
    let revoked = tx
        .execute(
            "UPDATE oauth_families SET revoked_at = $2, revoked_why = $3 WHERE id = $1 AND revoked_at IS NULL",
            args![id, now, why.as_str()],
        )
        .await?;
    if revoked == 0 {
        return Ok(false);
    }
    tell(tx, id, now).await?;
    Ok(true)
}

/// Ends one access token. Gives false when there is none, or it was revoked before.
pub async fn revoke_access(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<bool> {
    tx.lock(Lock::Registry).await?;
    let sql = "UPDATE oauth_access_tokens SET revoked_at = $2 WHERE hash = $1 AND revoked_at IS NULL RETURNING family_id";
    let Some(row) = tx.fetch_optional(sql, args![hash, now]).await? else { return Ok(false) };
    tell(tx, row.parsed("oauth_access_tokens.family_id")?, now).await?;
    Ok(true)
}

async fn tell(tx: &mut Tx, family: FamilyId, now: Timestamp) -> Result<()> {
    let sql = "SELECT g.id, g.org_id FROM oauth_grants g JOIN oauth_families f ON f.grant_id = g.id WHERE f.id = $1";
    let Some(row) = tx.fetch_optional(sql, args![family]).await? else { return Ok(()) };
    let (grant, org): (GrantId, _) = (row.parsed("oauth_grants.id")?, row.parsed("oauth_grants.org_id")?);
    events::write(tx, Change::Grant, Some(org), grant, now).await
}

/// Keeps a refresh token, in the transaction that made or rotated its family.
pub async fn insert_refresh(tx: &mut Tx, hash: &[u8; 32], token: &RefreshRow) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_refresh_tokens (hash, family_id, generation, issued_at, expires_at, superseded_at) \
         VALUES ($1, $2, $3, $4, $5, $6)",
        args![hash, token.family, token.generation, token.issued_at, token.expires_at, token.superseded_at],
    )
    .await?;
    Ok(())
}

/// Keeps an access token, in the transaction that made or rotated its family.
pub async fn insert_access(tx: &mut Tx, hash: &[u8; 32], token: &AccessRow) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_access_tokens (hash, family_id, scopes, issued_at, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6)",
        args![hash, token.family, &token.scopes, token.issued_at, token.expires_at, token.revoked_at],
    )
    .await?;
    Ok(())
}
