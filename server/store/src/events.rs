//! Changes of the registry, told to the other processes: a row in the same transaction, polled each second.
use kernel::{OrgId, Timestamp};

use crate::{Db, Lock, On, Result, Tx, args};

/// What changed. The text is for people; readers only look at whether there is anything new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Organization,
    User,
    Membership,
    Server,
    Instance,
    Credential,
    Key,
    /// What goes into tools' descriptions: approved summaries.
    Knowledge,
    Resource,
    /// A consent for an OAuth client, or tokens that came of it.
    Grant,
    Invite,
}
impl Change {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::User => "user",
            Self::Membership => "membership",
            Self::Server => "server",
            Self::Instance => "instance",
            Self::Credential => "credential",
            Self::Key => "key",
            Self::Knowledge => "knowledge",
            Self::Resource => "resource",
            Self::Grant => "grant",
            Self::Invite => "invite",
        }
    }
}

/// Says in this transaction that `subject` (an id) changed.
pub async fn write(tx: &mut Tx, change: Change, org: Option<OrgId>, subject: impl ToString + Send, now: Timestamp) -> Result<()> {
    // Numbers are given when a row is written and seen when it is committed: without the lock a later number could be seen first.
    tx.lock(Lock::Registry).await?;
    tx.execute(
        "INSERT INTO events (at, kind, org_id, subject) VALUES ($1, $2, $3, $4)",
        args![now, change.as_str(), org, subject.to_string()],
    )
    .await?;
    Ok(())
}

/// The number of the newest change; 0 before the first.
pub async fn latest(on: impl Into<On<'_>>) -> Result<i64> {
    let row = on.into().fetch_optional("SELECT COALESCE(max(seq), 0) AS seq FROM events", args![]).await?;
    row.map_or(Ok(0), |r| r.int("events.seq"))
}

/// Forgets changes from before `before`, but never the newest: its number is what readers compare with.
pub async fn prune(db: &Db, before: Timestamp) -> Result<u64> {
    db.execute("DELETE FROM events WHERE at < $1 AND seq < (SELECT max(seq) FROM events)", args![before]).await
}
