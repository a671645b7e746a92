//! Idempotency keys: the same key and arguments run once in 24 hours, on whichever node, and answer with the stored outcome.
//!
//! The row is claimed in one statement, so of many processes one wins. The outcome is sealed: it may hold records.
use chrono::TimeDelta;
use kernel::{CallId, Code, ExposeSecret as _, KeyId, Sources, Timestamp, refusal};

use crate::{
    Db, Result, args,
    vault::{Place, Vault},
};

/// How long an outcome is kept.
pub const LIFE: TimeDelta = TimeDelta::hours(24);
/// The longest idempotency key, in characters.
pub const MAX_KEY: usize = 200;
/// A claim whose call has no row in the audit after this time was left by a process that ended in between: nothing was run. Longer
/// than any deadline, because the claim comes before the audit's begin.
const ABANDONED: TimeDelta = TimeDelta::minutes(5);
/// How long after its call's end an outcome may still be on its way into the store.
const SETTLES: TimeDelta = TimeDelta::minutes(1);

/// What a call finds under its idempotency key.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is this call's to run; it must [`Idempotency::finish`] or [`Idempotency::release`] it.
    New,
    /// It was run: its outcome, as it was given to `finish`.
    Done(String),
    /// Another call runs it now.
    Running,
    /// The key was used with other arguments.
    Mismatch,
    /// That call was begun and ended without a stored outcome: its process ended. It may have happened.
    Lost(CallId),
}

/// The store of claims. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Idempotency {
    db: Db,
    vault: Vault,
    sources: Sources,
}

impl Idempotency {
    pub fn new(db: Db, vault: Vault, sources: Sources) -> Self {
        Self { db, vault, sources }
    }

    /// Claims `idem_key` of an API key for a call. Atomic across processes: of calls at once one gets [`Claim::New`].
    ///
    /// `arguments_hash` covers whatever must be the same: the tool, the instance, the arguments.
    pub async fn claim(&self, key: KeyId, idem_key: &str, arguments_hash: [u8; 32], call: CallId) -> Result<Claim> {
        let now = self.sources.now();
        // Between the two statements the holder may release its claim: then it is free again.
        for _ in 0..4 {
            let claimed = self
                .db
                .execute(
                    "INSERT INTO idempotency (key_id, idem_key, arguments_hash, call_id, outcome, state, created_at, expires_at) \
                     VALUES ($1, $2, $3, $4, NULL, 'running', $5, $6) \
                     ON CONFLICT (key_id, idem_key) DO UPDATE SET arguments_hash = excluded.arguments_hash, call_id = excluded.call_id, \
                     outcome = NULL, state = 'running', created_at = excluded.created_at, expires_at = excluded.expires_at \
                     WHERE idempotency.expires_at <= excluded.created_at",
                    args![key, idem_key, arguments_hash, call, now, now + LIFE],
                )
                .await?;
            if claimed > 0 {
                return Ok(Claim::New);
            }
            if let Some(claim) = self.held(key, idem_key, arguments_hash, call, now).await? {
                return Ok(claim);
            }
        }
        Ok(Claim::Running)
    }

    /// What is there; none when it is gone.
    async fn held(&self, key: KeyId, idem_key: &str, hash: [u8; 32], call: CallId, now: Timestamp) -> Result<Option<Claim>> {
        let Some(row) = self
            .db
            .fetch_optional(
                "SELECT i.arguments_hash, i.call_id, i.outcome, i.state, i.created_at, c.state AS call_state, c.ended_at \
                 FROM idempotency i LEFT JOIN call_audit c ON c.id = i.call_id WHERE i.key_id = $1 AND i.idem_key = $2",
                args![key, idem_key],
            )
            .await?
        else {
            return Ok(None);
        };
        if row.bytes32("arguments_hash")? != hash {
            return Ok(Some(Claim::Mismatch));
        }
        if let Some(outcome) = row.opt_bytes("outcome")? {
            let place = row_name(key, idem_key);
            let text = self.vault.open_text(place_of(&place), &outcome)?;
            return Ok(Some(Claim::Done(text.expose_secret().to_owned())));
        }
        let holder: CallId = row.parsed("call_id")?;
        match (row.opt_text("call_state")?, row.opt_time("ended_at")?) {
            (None, _) if row.time("created_at")? + ABANDONED <= now => {
                let taken = self
                    .db
                    .execute(
                        "UPDATE idempotency SET call_id = $1, created_at = $2, expires_at = $3 \
                         WHERE key_id = $4 AND idem_key = $5 AND call_id = $6 AND state = 'running' \
                         AND NOT EXISTS (SELECT 1 FROM call_audit WHERE call_audit.id = $7)",
                        args![call, now, now + LIFE, key, idem_key, holder, holder],
                    )
                    .await?;
                Ok(Some(if taken > 0 { Claim::New } else { Claim::Running }))
            }
            (Some(_), Some(ended)) if ended + SETTLES <= now => Ok(Some(Claim::Lost(holder))),
            _ => Ok(Some(Claim::Running)),
        }
    }

    /// Stores the outcome of a claimed call, sealed. Does nothing when the claim is no longer this call's.
    pub async fn finish(&self, key: KeyId, idem_key: &str, call: CallId, outcome: &str) -> Result<()> {
        let place = row_name(key, idem_key);
        let sealed = self.vault.seal(place_of(&place), outcome.as_bytes())?;
        self.db
            .execute(
                "UPDATE idempotency SET outcome = $1, state = 'done' \
                 WHERE key_id = $2 AND idem_key = $3 AND call_id = $4 AND state = 'running'",
                args![sealed, key, idem_key, call],
            )
            .await?;
        Ok(())
    }

    /// Gives the key back: the claimed call was refused before anything happened.
    pub async fn release(&self, key: KeyId, idem_key: &str, call: CallId) -> Result<()> {
        self.db
            .execute(
                "DELETE FROM idempotency WHERE key_id = $1 AND idem_key = $2 AND call_id = $3 AND state = 'running'",
                args![key, idem_key, call],
            )
            .await?;
        Ok(())
    }

    /// Removes what has expired; gives the number of rows.
    pub async fn clean(&self, now: Timestamp) -> Result<u64> {
        self.db.execute("DELETE FROM idempotency WHERE expires_at <= $1", args![now]).await
    }
}

/// Whether a text may be an idempotency key.
///
/// # Errors
/// `invalid_argument` when it is empty, too long or holds control characters.
pub fn check_key(idem_key: &str) -> Result<(), kernel::Refusal> {
    if idem_key.is_empty() || idem_key.chars().count() > MAX_KEY || idem_key.chars().any(char::is_control) {
        return Err(refusal(
            Code::InvalidArgument,
            format!("idempotency_key is 1 to {MAX_KEY} characters, without control characters."),
        )
        .next("Use something that names this change and no other, such as a UUID."));
    }
    Ok(())
}

fn row_name(key: KeyId, idem_key: &str) -> String {
    format!("{key}/{idem_key}")
}
fn place_of(row: &str) -> Place<'_> {
    Place { table: "idempotency", column: "outcome", row }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{TestStore, each_engine},
        vault::KeySource,
    };

    async fn open(t: &TestStore) -> Idempotency {
        let vault = Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap();
        Idempotency::new(t.db.clone(), vault, t.sources.clone())
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_twenty_at_once_one_runs() {
        each_engine(async |t| {
            let (here, key) = (open(t).await, KeyId::new(&t.sources));
            // Half of them are another process.
            let there = Idempotency { db: t.another().await, ..here.clone() };
            for round in 0..10 {
                let name = format!("order-{round}");
                let tasks: Vec<_> = (0..20)
                    .map(|n| {
                        let (on, name) = (if n % 2 == 0 { here.clone() } else { there.clone() }, name.clone());
                        let call = CallId::new(&on.sources);
                        tokio::spawn(async move { (call, on.claim(key, &name, [1; 32], call).await.unwrap()) })
                    })
                    .collect();
                let mut winners = Vec::new();
                for task in tasks {
                    let (call, claim) = task.await.unwrap();
                    match claim {
                        Claim::New => winners.push(call),
                        other => assert_eq!(other, Claim::Running),
                    }
                }
                assert_eq!(winners.len(), 1);
                here.finish(key, &name, winners[0], "{\"id\":7}").await.unwrap();
                assert_eq!(
                    there.claim(key, &name, [1; 32], CallId::new(&t.sources)).await.unwrap(),
                    Claim::Done("{\"id\":7}".into())
                );
                assert_eq!(there.claim(key, &name, [2; 32], CallId::new(&t.sources)).await.unwrap(), Claim::Mismatch);
                assert_eq!(
                    there.claim(KeyId::new(&t.sources), &name, [2; 32], winners[0]).await.unwrap(),
                    Claim::New,
                    "another key's"
                );
            }
            let stored = t.fetch_all("SELECT outcome FROM idempotency WHERE outcome IS NOT NULL", vec![]).await.unwrap();
            assert_eq!(stored.len(), 10);
            assert!(stored.iter().all(|r| !r.bytes("outcome").unwrap().windows(4).any(|w| w == b"\"id\"")), "sealed");
            there.db.close().await;
        })
        .await;
    }

    #[tokio::test]
    async fn released_expired_and_abandoned_claims_are_free_again() {
        each_engine(async |t| {
            let (on, key) = (open(t).await, KeyId::new(&t.sources));
            let call = || CallId::new(&t.sources);
            let first = call();
            assert_eq!(on.claim(key, "a", [1; 32], first).await.unwrap(), Claim::New);
            on.release(key, "a", call()).await.unwrap();
            assert_eq!(on.claim(key, "a", [1; 32], call()).await.unwrap(), Claim::Running, "only the holder releases");
            on.release(key, "a", first).await.unwrap();
            let second = call();
            assert_eq!(on.claim(key, "a", [2; 32], second).await.unwrap(), Claim::New);

            // Its process ended before the call was begun: nobody ran it.
            t.clock.advance(ABANDONED);
            let third = call();
            assert_eq!(on.claim(key, "a", [2; 32], third).await.unwrap(), Claim::New);
            on.finish(key, "a", second, "late").await.unwrap();
            assert_eq!(on.claim(key, "a", [2; 32], call()).await.unwrap(), Claim::Running, "only the holder finishes");
            on.finish(key, "a", third, "x").await.unwrap();

            t.clock.advance(LIFE - TimeDelta::seconds(1));
            assert_eq!(on.claim(key, "a", [2; 32], call()).await.unwrap(), Claim::Done("x".into()));
            t.clock.advance(TimeDelta::seconds(1));
            assert_eq!(on.claim(key, "a", [3; 32], call()).await.unwrap(), Claim::New, "expired, though not cleaned");
            assert_eq!(on.clean(t.sources.now()).await.unwrap(), 0);
            t.clock.advance(LIFE);
            assert_eq!(on.clean(t.sources.now()).await.unwrap(), 1);
        })
        .await;
    }

    #[tokio::test]
    async fn a_call_whose_process_ended_is_reported_as_lost() {
        each_engine(async |t| {
            let (on, key) = (open(t).await, KeyId::new(&t.sources));
            let call = CallId::new(&t.sources);
            assert_eq!(on.claim(key, "a", [1; 32], call).await.unwrap(), Claim::New);
            t.execute(
                "INSERT INTO call_audit (id, org_id, tool, access, facade, key_label, address, arguments, state, node, lease_until, started_at) \
                 VALUES ($1, 'o', 'write', 'write', 'mcp', 'k', '::1', '{}', 'begun', 'n', $2, $3)",
                args![call, t.sources.now(), t.sources.now()],
            )
            .await
            .unwrap();
            t.clock.advance(ABANDONED * 2);
            let again = async || on.claim(key, "a", [1; 32], CallId::new(&t.sources)).await.unwrap();
            assert_eq!(again().await, Claim::Running, "a long call");
            assert_eq!(crate::audit::sweep(t, t.sources.now()).await.unwrap(), 1);
            assert_eq!(again().await, Claim::Running, "its outcome may be on its way");
            t.clock.advance(SETTLES);
            assert_eq!(again().await, Claim::Lost(call));
        })
        .await;
    }

    #[test]
    fn keys_have_limits() {
        check_key("order-7").unwrap();
        check_key(&"ä".repeat(MAX_KEY)).unwrap();
        for bad in ["", "a\0", "a\n", &"x".repeat(MAX_KEY + 1)] {
            assert_eq!(check_key(bad).unwrap_err().code, Code::InvalidArgument);
        }
    }
}
