//! Authorization codes: exchanged once for tokens.
use kernel::{FamilyId, GrantId, Timestamp};

use crate::{On, Result, Tx, args};

#[derive(Debug, Clone)]
pub struct CodeRow {
    /// Whom it was given to.
    pub client: String,
    pub grant: GrantId,
    /// As in the authorization request, with its port.
    pub redirect_uri: String,
    /// What the verifier must hash to (RFC 7636 section 4.2, S256).
    pub challenge: [u8; 32],
    pub resource: String,
    pub scopes: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// When it was used or burnt.
    pub spent_at: Option<Timestamp>,
    /// What it gave; the row stays as long as that, so that a replay is known as one.
    pub family: Option<FamilyId>,
}

/// Keeps a code that waits for its exchange.
pub async fn insert(tx: &mut Tx, hash: &[u8; 32], code: &CodeRow) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_codes \
         (hash, client_id, grant_id, redirect_uri, challenge_hash, resource, scopes, created_at, expires_at, spent_at, family_id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        args![
            hash,
            &code.client,
            code.grant,
            &code.redirect_uri,
            code.challenge,
            &code.resource,
            &code.scopes,
            code.created_at,
            code.expires_at,
            code.spent_at,
            code.family
        ],
    )
    .await?;
    Ok(())
}

/// By the SHA-256 of its text, in whatever state it is.
pub async fn find(on: impl Into<On<'_>>, hash: &[u8; 32]) -> Result<Option<CodeRow>> {
    let Some(row) = on.into().fetch_optional("SELECT * FROM oauth_codes WHERE hash = $1", args![hash]).await? else {
        return Ok(None);
    };
    Ok(Some(CodeRow {
        client: row.text("oauth_codes.client_id")?,
        grant: row.parsed("oauth_codes.grant_id")?,
        redirect_uri: row.text("oauth_codes.redirect_uri")?,
        challenge: row.bytes32("oauth_codes.challenge_hash")?,
        resource: row.text("oauth_codes.resource")?,
        scopes: row.text("oauth_codes.scopes")?,
        created_at: row.time("oauth_codes.created_at")?,
        expires_at: row.time("oauth_codes.expires_at")?,
        spent_at: row.opt_time("oauth_codes.spent_at")?,
        family: row.opt_parsed("oauth_codes.family_id")?,
    }))
}

/// Exchanges a code for a family that was begun in this transaction, of the same consent and client. Gives false when it was spent or
/// burnt, or has expired: roll back, for the family must not stay.
pub async fn spend(tx: &mut Tx, hash: &[u8; 32], family: FamilyId, now: Timestamp) -> Result<bool> {
    let spent = tx
        .execute(
            "UPDATE oauth_codes SET spent_at = $3, family_id = $2 WHERE hash = $1 AND spent_at IS NULL AND expires_at > $3 \
             AND EXISTS (SELECT 1 FROM oauth_families f WHERE f.id = $2 AND f.grant_id = oauth_codes.grant_id \
             AND f.client_id = oauth_codes.client_id)",
            args![hash, family, now],
        )
        .await?;
    Ok(spent > 0)
}

/// Ends a code that was tried in a wrong way. Gives false when it was spent or burnt before.
pub async fn burn(tx: &mut Tx, hash: &[u8; 32], now: Timestamp) -> Result<bool> {
    let burnt = tx.execute("UPDATE oauth_codes SET spent_at = $2 WHERE hash = $1 AND spent_at IS NULL", args![hash, now]).await?;
    Ok(burnt > 0)
}
