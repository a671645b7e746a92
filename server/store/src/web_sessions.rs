//! People who are signed in on the web. Only the SHA-256 of a session's cookie is kept.
use kernel::{SessionId, Sources, TimeDelta, Timestamp, UserId};

use crate::{On, Result, Row, Tx, args, users, users::UserRow};

/// How long a session lives, used or not.
const LONGEST: TimeDelta = TimeDelta::days(7);
/// How long it waits for the second step.
const WAITS: TimeDelta = TimeDelta::minutes(15);
/// How long it lives unused.
const IDLE: TimeDelta = TimeDelta::hours(12);
/// How exactly its last use is known.
const EXACT: TimeDelta = TimeDelta::minutes(1);

words! {
    /// How somebody signed in.
    Method, "way to sign in":
    Password = "password",
    /// At a provider.
    Oidc = "oidc",
    /// As the first of the installation, or by a link that sets a password.
    Setup = "setup",
}

/// A session of a person.
#[derive(Debug, Clone)]
pub struct WebSession {
    pub id: SessionId,
    pub created_at: Timestamp,
    /// To the minute.
    pub last_used_at: Timestamp,
    pub ends_at: Timestamp,
    pub address: String,
    /// What the browser says it is.
    pub agent: String,
    pub method: Method,
    /// When the second factor was shown.
    pub second_factor_at: Option<Timestamp>,
}
fn read(row: &Row) -> Result<WebSession> {
    Ok(WebSession {
        id: row.parsed("web_sessions.id")?,
        created_at: row.time("web_sessions.created_at")?,
        last_used_at: row.time("web_sessions.last_used_at")?,
        ends_at: row.time("web_sessions.ends_at")?,
        address: row.text("web_sessions.address")?,
        agent: row.text("web_sessions.agent")?,
        method: row.parsed("web_sessions.method")?,
        second_factor_at: row.opt_time("web_sessions.second_factor_at")?,
    })
}

/// Begins a session.
pub async fn create(
    tx: &mut Tx,
    user: UserId,
    hash: &[u8; 32],
    method: Method,
    address: std::net::IpAddr,
    agent: &str,
    sources: &Sources,
) -> Result<SessionId> {
    let (id, now) = (SessionId::new(sources), sources.now());
    tx.execute(
        "INSERT INTO web_sessions (id, user_id, hash, created_at, last_used_at, ends_at, address, agent, method) \
         VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)",
        args![id, user, hash, now, now + LONGEST, address, agent, method.as_str()],
    )
    .await?;
    Ok(id)
}

/// Whose cookie it is.
#[derive(Debug, Clone)]
pub enum Found {
    /// Somebody who is signed in.
    Signed(WebSession, UserRow),
    /// Somebody who has yet to show the second factor, and may do nothing else.
    SecondStep(WebSession, UserRow),
}

/// The session of a cookie with its person, as both are at this moment; none when either has ended. Who has a confirmed second factor is
/// signed in only once it was shown in this session, and has 15 minutes for that.
pub async fn find(on: impl Into<On<'_>>, hash: &[u8; 32], now: Timestamp) -> Result<Option<Found>> {
    let sql = "SELECT s.id AS session_id, s.created_at AS session_created_at, s.last_used_at, s.ends_at, s.address, s.agent, \
               s.method, s.second_factor_at, u.id, u.email, u.operator, u.active, u.created_at, u.updated_at, \
               t.confirmed_at AS factor_confirmed_at \
               FROM web_sessions s JOIN users u ON u.id = s.user_id LEFT JOIN user_totp t ON t.user_id = s.user_id \
               WHERE s.hash = $1 AND s.ends_at > $2 AND s.last_used_at > $3 AND u.active";
    let Some(row) = on.into().fetch_optional(sql, args![hash, now, now - IDLE]).await? else { return Ok(None) };
    let session = WebSession {
        id: row.parsed("web_sessions.session_id")?,
        created_at: row.time("web_sessions.session_created_at")?,
        last_used_at: row.time("web_sessions.last_used_at")?,
        ends_at: row.time("web_sessions.ends_at")?,
        address: row.text("web_sessions.address")?,
        agent: row.text("web_sessions.agent")?,
        method: row.parsed("web_sessions.method")?,
        second_factor_at: row.opt_time("web_sessions.second_factor_at")?,
    };
    let user = users::read(&row)?;
    let Some(confirmed) = row.opt_time("user_totp.factor_confirmed_at")? else {
        return Ok(Some(Found::Signed(session, user)));
    };
    // One that was shown before was another.
    Ok(if session.second_factor_at.is_some_and(|shown| shown >= confirmed) {
        Some(Found::Signed(session, user))
    } else if now - session.created_at < WAITS {
        Some(Found::SecondStep(session, user))
    } else {
        None
    })
}

/// Gives a session another cookie: whoever knew the earlier one is out. Gives false when the session has ended.
pub async fn rotate(tx: &mut Tx, id: SessionId, hash: &[u8; 32]) -> Result<bool> {
    Ok(tx.execute("UPDATE web_sessions SET hash = $2 WHERE id = $1", args![id, hash]).await? > 0)
}

/// The second factor was shown in this session, which gets another cookie with that. Gives false when the session has ended.
pub async fn second_step(tx: &mut Tx, id: SessionId, hash: &[u8; 32], now: Timestamp) -> Result<bool> {
    let sql = "UPDATE web_sessions SET hash = $2, second_factor_at = $3, last_used_at = $3 WHERE id = $1";
    Ok(tx.execute(sql, args![id, hash, now]).await? > 0)
}

/// Notes that a session is used.
pub async fn touch(tx: &mut Tx, session: &WebSession, now: Timestamp) -> Result<()> {
    tx.execute("UPDATE web_sessions SET last_used_at = $2 WHERE id = $1", args![session.id, now]).await?;
    Ok(())
}
/// Whether that is worth a write: once a minute.
pub fn is_due(session: &WebSession, now: Timestamp) -> bool {
    now - session.last_used_at >= EXACT
}

/// A person's, newest first.
pub async fn list(on: impl Into<On<'_>>, user: UserId, now: Timestamp) -> Result<Vec<WebSession>> {
    let sql = "SELECT * FROM web_sessions WHERE user_id = $1 AND ends_at > $2 AND last_used_at > $3 ORDER BY id DESC";
    on.into().fetch_all(sql, args![user, now, now - IDLE]).await?.iter().map(read).collect()
}

/// Ends one of a person's. Gives false when it had ended.
pub async fn end(tx: &mut Tx, user: UserId, id: SessionId) -> Result<bool> {
    Ok(tx.execute("DELETE FROM web_sessions WHERE id = $1 AND user_id = $2", args![id, user]).await? > 0)
}

/// Ends all of a person's but one.
pub async fn end_others(tx: &mut Tx, user: UserId, keep: SessionId) -> Result<u64> {
    tx.execute("DELETE FROM web_sessions WHERE user_id = $1 AND id <> $2", args![user, keep]).await
}

/// Ends all of a person's.
pub async fn end_all(tx: &mut Tx, user: UserId) -> Result<u64> {
    tx.execute("DELETE FROM web_sessions WHERE user_id = $1", args![user]).await
}

/// Forgets those that have ended by themselves.
pub async fn prune(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM web_sessions WHERE ends_at <= $1 OR last_used_at <= $2", args![now, now - IDLE]).await
}
