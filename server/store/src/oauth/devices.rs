//! The device flow (RFC 8628): a program polls with a device code until a person has answered the user code that it shows.
use kernel::{FamilyId, GrantId, Timestamp};

use crate::{On, Result, Row, StoreError, Tx, args};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// Nobody has answered.
    Pending,
    /// Somebody consented; the program has not come yet.
    Approved(GrantId),
    Denied,
    /// The program got its tokens.
    Redeemed {
        grant: GrantId,
        family: FamilyId,
    },
}

#[derive(Debug, Clone)]
pub struct DeviceRow {
    pub hash: [u8; 32],
    pub client: String,
    pub resource: String,
    pub scopes: String,
    /// From where the program asked, and what it says it is: shown to the person.
    pub address: String,
    pub agent: String,
    pub state: DeviceState,
    /// Seconds to wait between polls.
    pub interval: i64,
    pub polled_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
}
fn read(row: &Row) -> Result<DeviceRow> {
    let grant: Option<GrantId> = row.opt_parsed("oauth_device_codes.grant_id")?;
    let family: Option<FamilyId> = row.opt_parsed("oauth_device_codes.family_id")?;
    let state = match (row.text("oauth_device_codes.state")?.as_str(), grant, family) {
        ("pending", None, None) => DeviceState::Pending,
        ("denied", None, None) => DeviceState::Denied,
        ("approved", Some(grant), None) => DeviceState::Approved(grant),
        ("redeemed", Some(grant), Some(family)) => DeviceState::Redeemed { grant, family },
        _ => return Err(StoreError::corrupt("oauth_device_codes.state", "it does not go with its consent and its tokens")),
    };
    Ok(DeviceRow {
        hash: row.bytes32("oauth_device_codes.hash")?,
        client: row.text("oauth_device_codes.client_id")?,
        resource: row.text("oauth_device_codes.resource")?,
        scopes: row.text("oauth_device_codes.scopes")?,
        address: row.text("oauth_device_codes.address")?,
        agent: row.text("oauth_device_codes.agent")?,
        state,
        interval: row.int("oauth_device_codes.interval_seconds")?,
        polled_at: row.opt_time("oauth_device_codes.polled_at")?,
        created_at: row.time("oauth_device_codes.created_at")?,
        expires_at: row.time("oauth_device_codes.expires_at")?,
    })
}

#[derive(Debug, Clone)]
pub struct NewDevice {
    /// SHA-256 of the device code.
    pub hash: [u8; 32],
    /// SHA-256 of the user code.
    pub user_code_hash: [u8; 32],
    pub client: String,
    pub resource: String,
    pub scopes: String,
    pub address: std::net::IpAddr,
    pub agent: String,
    /// Seconds to wait between polls, at first.
    pub interval: i64,
    pub expires_at: Timestamp,
}

/// Keeps a pair of codes that wait for an answer.
///
/// # Errors
/// `Unique` when another waits with the same user code: roll back, and make another.
pub async fn insert(tx: &mut Tx, new: &NewDevice, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO oauth_device_codes \
         (hash, user_code_hash, client_id, resource, scopes, address, agent, state, interval_seconds, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'pending', $8, $9, $10)",
        args![
            new.hash,
            new.user_code_hash,
            &new.client,
            &new.resource,
            &new.scopes,
            new.address,
            &new.agent,
            new.interval,
            now,
            new.expires_at
        ],
    )
    .await?;
    Ok(())
}

/// By the SHA-256 of the device code, in whatever state it is.
pub async fn by_device(on: impl Into<On<'_>>, hash: &[u8; 32]) -> Result<Option<DeviceRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_device_codes WHERE hash = $1", args![hash]).await?;
    row.as_ref().map(read).transpose()
}

/// By the SHA-256 of the user code, in whatever state it is.
pub async fn by_user_code(on: impl Into<On<'_>>, hash: &[u8; 32]) -> Result<Option<DeviceRow>> {
    let row = on.into().fetch_optional("SELECT * FROM oauth_device_codes WHERE user_code_hash = $1", args![hash]).await?;
    row.as_ref().map(read).transpose()
}

/// Notes a poll, and how many seconds the program is to wait from now on.
pub async fn polled(tx: &mut Tx, hash: &[u8; 32], interval: i64, now: Timestamp) -> Result<()> {
    let sql = "UPDATE oauth_device_codes SET polled_at = $2, interval_seconds = $3 WHERE hash = $1";
    tx.execute(sql, args![hash, now, interval]).await?;
    Ok(())
}

/// Exchanges a device code for a family that was begun in this transaction, of the same consent and client. Gives false when it is not
/// approved, was exchanged, or has expired: roll back, for the family must not stay.
pub async fn redeem(tx: &mut Tx, hash: &[u8; 32], family: FamilyId, now: Timestamp) -> Result<bool> {
    let redeemed = tx
        .execute(
            "UPDATE oauth_device_codes SET state = 'redeemed', family_id = $2 \
             WHERE hash = $1 AND state = 'approved' AND expires_at > $3 \
             AND EXISTS (SELECT 1 FROM oauth_families f WHERE f.id = $2 AND f.grant_id = oauth_device_codes.grant_id \
             AND f.client_id = oauth_device_codes.client_id)",
            args![hash, family, now],
        )
        .await?;
    Ok(redeemed > 0)
}

/// Keeps a person's answer: a consent for the same client, or none, which denies. Gives false when it was answered before, has
/// expired, or the consent is not a live one for that client.
pub async fn answer(tx: &mut Tx, user_code_hash: &[u8; 32], consent: Option<GrantId>, now: Timestamp) -> Result<bool> {
    let answered = if let Some(grant) = consent {
        let sql = "UPDATE oauth_device_codes SET state = 'approved', grant_id = $2 \
                   WHERE user_code_hash = $1 AND state = 'pending' AND expires_at > $3 \
                   AND EXISTS (SELECT 1 FROM oauth_grants g WHERE g.id = $2 AND g.client_id = oauth_device_codes.client_id \
                   AND g.revoked_at IS NULL)";
        tx.execute(sql, args![user_code_hash, grant, now]).await?
    } else {
        let sql =
            "UPDATE oauth_device_codes SET state = 'denied' WHERE user_code_hash = $1 AND state = 'pending' AND expires_at > $2";
        tx.execute(sql, args![user_code_hash, now]).await?
    };
    Ok(answered > 0)
}
