//! What OAuth keeps: clients, consents, codes, tokens. Of everything that opens something only the SHA-256 is here.
//!
//! What may happen is decided elsewhere, from rows that were read without a lock; what happens once is here, as one UPDATE that names
//! the state it was decided from. Where it gives false somebody was faster: roll back, read again, decide again. A consent's row is
//! locked by whoever begins tokens under it and by whoever revokes it, so none begin after it is revoked. Whoever revokes holds the
//! registry's lock before any row: two who revoke what hangs together never wait for each other.
pub mod clients;
pub mod codes;
pub mod devices;
pub mod grants;
pub mod tokens;

#[cfg(test)]
mod tests;

use kernel::{TimeDelta, Timestamp};

use crate::{Db, Result, args};

words! {
    /// Why tokens ended before their time.
    RevokedWhy, "reason for a revocation":
    /// A refresh token was used again after the grace window (OAuth 2.1 section 4.3.1).
    Reuse = "reuse",
    /// An authorization code was used twice (OAuth 2.1 section 4.1.3).
    CodeReplay = "code_replay",
    /// A device code was used after it gave tokens.
    DeviceReplay = "device_replay",
    /// The client gave them back (RFC 7009).
    Client = "client",
    /// Whose consent it was took it back.
    User = "user",
    /// An administrator of the organization, or an operator.
    Admin = "admin",
    /// The key of the consent was revoked.
    Key = "key",
}

/// How long rows stay after their end: clocks of nodes differ, and what is under way when one ends must find its row.
const STAYS: TimeDelta = TimeDelta::hours(1);

/// How many generations of a family's refresh tokens are kept, and how long older ones stay that were replaced: whoever refreshes all the
/// time fills no store. One that refreshes each hour has 720 generations in the life of a token, so that each of its tokens is known for
/// as long as it lives, and using it again after it was replaced ends the family.
const GENERATIONS: i64 = 1_000;
const REPLACED: TimeDelta = TimeDelta::days(1);

/// Deletes what ended an hour ago: codes and device codes that gave nothing, tokens, families that have no token left (with the codes
/// that they came of), assertions; and refresh tokens that were replaced many generations
/// ago. A refresh token lives longer than the access tokens beside it, so a family goes a refresh token's
/// life after its last use. To be called hourly. Gives the number of rows.
///
/// # Errors
/// When the store does not answer. What was deleted before stays deleted.
pub async fn prune(db: &Db, now: Timestamp) -> Result<u64> {
    let mut gone = 0;
    for statement in [
        "DELETE FROM oauth_codes WHERE expires_at <= $1 AND family_id IS NULL",
        "DELETE FROM oauth_device_codes WHERE expires_at <= $1 AND family_id IS NULL",
        "DELETE FROM oauth_access_tokens WHERE expires_at <= $1",
        "DELETE FROM oauth_refresh_tokens WHERE expires_at <= $1",
        // The time is of no family that is being made: its tokens are committed with it.
        "DELETE FROM oauth_families WHERE created_at <= $1 \
         AND NOT EXISTS (SELECT 1 FROM oauth_refresh_tokens r WHERE r.family_id = oauth_families.id) \
         AND NOT EXISTS (SELECT 1 FROM oauth_access_tokens a WHERE a.family_id = oauth_families.id)",
        "DELETE FROM oauth_assertions WHERE expires_at <= $1",
    ] {
        gone += db.execute(statement, args![now - STAYS]).await?;
    }
    gone += db
        .execute(
            "DELETE FROM oauth_refresh_tokens WHERE family_id IN (SELECT id FROM oauth_families WHERE generation > $2) \
             AND superseded_at <= $1 AND generation + $2 < \
             (SELECT f.generation FROM oauth_families f WHERE f.id = oauth_refresh_tokens.family_id)",
            args![now - REPLACED, GENERATIONS],
        )
        .await?;
    Ok(gone)
}
