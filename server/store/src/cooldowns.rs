//! What must not be triggered twice within a while, on whichever node: one row per instance and thing, claimed in one statement.
use chrono::TimeDelta;
use kernel::{Sources, WritePermit};

use crate::{Db, Result, args, caller::Caller};

/// Looks at the waits of one instance.
#[derive(Debug, Clone)]
pub struct Cooldowns {
    db: Db,
    sources: Sources,
    caller: Caller,
}
impl Cooldowns {
    pub fn new(db: Db, sources: Sources, caller: Caller) -> Self {
        Self { db, sources, caller }
    }
    /// The seconds that are left, at least 1; none when it may be triggered.
    pub async fn remaining(&self, what: &str) -> Result<Option<i64>> {
        let now = self.sources.now();
        let row = self
            .db
            .fetch_optional(
                "SELECT until FROM cooldowns WHERE instance_id = $1 AND what = $2 AND until > $3",
                args![self.caller.instance, what, now],
            )
            .await?;
        row.map(|row| Ok(((row.time("until")? - now).num_milliseconds() + 999).div_euclid(1000).max(1))).transpose()
    }
}

/// The same, and it begins them.
#[derive(Debug, Clone)]
pub struct CooldownsWriter(pub(crate) Cooldowns);
impl CooldownsWriter {
    pub fn new(cooldowns: Cooldowns, _proof: &WritePermit) -> Self {
        Self(cooldowns)
    }
    /// Begins the wait. Of several calls at once one gets none, the others the seconds that are left.
    pub async fn claim(&self, what: &str, wait: TimeDelta) -> Result<Option<i64>> {
        let (now, caller) = (self.0.sources.now(), &self.0.caller);
        let claimed = self
            .0
            .db
            .execute(
                "INSERT INTO cooldowns (instance_id, what, call_id, until) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (instance_id, what) DO UPDATE SET call_id = excluded.call_id, until = excluded.until \
                 WHERE cooldowns.until <= $5",
                args![caller.instance, what, caller.call, now + wait, now],
            )
            .await?;
        if claimed > 0 {
            return Ok(None);
        }
        // It may have run out between the two statements: the one who holds it still did it just now.
        Ok(Some(self.0.remaining(what).await?.unwrap_or(1)))
    }
    /// Ends the wait that this call began: what it was for did not happen.
    pub async fn release(&self, what: &str) -> Result<()> {
        let caller = &self.0.caller;
        self.0
            .db
            .execute(
                "DELETE FROM cooldowns WHERE instance_id = $1 AND what = $2 AND call_id = $3",
                args![caller.instance, what, caller.call],
            )
            .await?;
        Ok(())
    }
}
impl std::ops::Deref for CooldownsWriter {
    type Target = Cooldowns;
    fn deref(&self) -> &Cooldowns {
        &self.0
    }
}
