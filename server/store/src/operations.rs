//! Long work that outlives its call: a module operation, an import, a backup. The row is how another call finds the work again,
//! how another process takes it over when its own has ended, and where the outcome waits until somebody has seen it.
use std::{net::IpAddr, sync::Arc};

use chrono::TimeDelta;
use kernel::{CallId, Code, ExposeSecret as _, GrantId, InstanceId, KeyId, OrgId, Progress, SessionId, Sources, Timestamp};

use crate::{
    Db, Durability, Result, Row, args,
    vault::{Place, Vault},
};

/// A running operation whose lease is older than this has lost its process.
pub const LEASE: TimeDelta = TimeDelta::seconds(30);
/// How long an outcome that nobody has seen waits for the same call.
const WAITS: TimeDelta = TimeDelta::hours(1);
/// How long operations are kept for lists.
pub const KEPT: TimeDelta = TimeDelta::days(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Running,
    Ok,
    Failed,
    Unknown,
    Cancelled,
}
impl State {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Cancelled => "cancelled",
        }
    }
}
impl std::str::FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        [Self::Running, Self::Ok, Self::Failed, Self::Unknown, Self::Cancelled]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is no state of an operation"))
    }
}

/// What an operation is begun with.
#[derive(Debug)]
pub struct NewOperation<'a> {
    pub id: CallId,
    pub org: OrgId,
    pub instance: Option<InstanceId>,
    pub instance_slug: Option<&'a Arc<str>>,
    pub tool: &'static str,
    pub key: KeyId,
    pub key_label: &'a Arc<str>,
    pub session: SessionId,
    pub address: IpAddr,
    /// Covers the tool, the instance and the arguments: what makes two calls the same.
    pub hash: [u8; 32],
    /// The arguments as JSON, to be sealed: another process may have to go on with them.
    pub arguments: &'a str,
}

/// An operation as it stands.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: CallId,
    pub org: OrgId,
    pub instance_slug: Option<String>,
    pub tool: String,
    pub key: KeyId,
    pub key_label: String,
    pub state: State,
    /// Of a refused, failed or unknown one.
    pub code: Option<String>,
    pub progress: Progress,
    pub cancel_asked: bool,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// The consent by which an OAuth client began an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    pub grant: GrantId,
    /// What was consented to; empty where the consent is not there any more.
    pub scopes: String,
}

/// An operation whose process ended, claimed by this one.
#[derive(Debug)]
pub struct Orphan {
    pub operation: Operation,
    /// None where the key itself was shown.
    pub consent: Option<Consent>,
    pub session: SessionId,
    pub address: IpAddr,
    pub hash: [u8; 32],
    pub arguments: String,
    pub journal: Option<String>,
}

/// The operations of an installation, as one node sees them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Operations {
    db: Db,
    vault: Vault,
    sources: Sources,
    node: Arc<str>,
}

/// The same fixed text before each condition: statements stay plain literals.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, org_id, instance_slug, tool, key_id, key_label, state, code, done, total, progress, cancel_asked, \
             started_at, ended_at, session_id, address, arguments_hash, arguments, journal, outcome FROM operations ",
            $rest
        )
    };
}

impl Operations {
    pub fn new(db: Db, vault: Vault, sources: Sources, node: impl Into<Arc<str>>) -> Self {
        Self { db, vault, sources, node: node.into() }
    }

    /// Begins one. None when the same call is running already.
    pub async fn begin(&self, new: &NewOperation<'_>) -> Result<Option<()>> {
        let now = self.sources.now();
        let arguments = self.vault.seal(place("arguments", &new.id.to_string()), new.arguments.as_bytes())?;
        let inserted = self
            .db
            .execute(
                "INSERT INTO operations (id, org_id, instance_id, instance_slug, tool, key_id, key_label, session_id, address, \
                 arguments_hash, arguments, state, node, lease_until, started_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'running', $12, $13, $14)",
                args![
                    new.id,
                    new.org,
                    new.instance,
                    new.instance_slug,
                    new.tool,
                    new.key,
                    new.key_label,
                    new.session,
                    new.address,
                    new.hash,
                    arguments,
                    &self.node,
                    now + LEASE,
                    now
                ],
            )
            .await;
        match inserted {
            Ok(_) => Ok(Some(())),
            Err(error) if error.is_unique() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes a begun one back: nothing was run.
    pub async fn forget(&self, id: CallId) -> Result<()> {
        self.db.execute("DELETE FROM operations WHERE id = $1 AND state = 'running'", args![id]).await?;
        Ok(())
    }

    /// The operation that the same call began: a running one, or one that ended a short while ago and whose outcome nobody has seen.
    pub async fn same(&self, key: KeyId, hash: [u8; 32]) -> Result<Option<Operation>> {
        let since = self.sources.now() - WAITS;
        self.db
            .fetch_optional(
                select!(
                    "WHERE key_id = $1 AND arguments_hash = $2 AND (state = 'running' OR (ended_at > $3 AND NOT delivered)) \
                     ORDER BY started_at DESC LIMIT 1"
                ),
                args![key, hash, since],
            )
            .await?
            .map(|row| operation(&row))
            .transpose()
    }

    pub async fn get(&self, org: OrgId, id: CallId) -> Result<Option<Operation>> {
        self.db
            .fetch_optional(select!("WHERE org_id = $1 AND id = $2"), args![org, id])
            .await?
            .map(|row| operation(&row))
            .transpose()
    }

    /// The newest first.
    pub async fn list(&self, org: OrgId, limit: u32) -> Result<Vec<Operation>> {
        let rows = self.db.fetch_all(select!("WHERE org_id = $1 ORDER BY id DESC LIMIT $2"), args![org, limit]).await?;
        rows.iter().map(operation).collect()
    }

    /// The outcome of an ended one, as it was given to [`Operations::finish`], and marks it as seen.
    pub async fn take_outcome(&self, id: CallId) -> Result<Option<(Operation, String)>> {
        let Some(row) = self.db.fetch_optional(select!("WHERE id = $1 AND state <> 'running'"), args![id]).await? else {
            return Ok(None);
        };
        self.db.execute("UPDATE operations SET delivered = TRUE WHERE id = $1", args![id]).await?;
        let Some(sealed) = row.opt_bytes("outcome")? else { return Ok(None) };
        let text = self.vault.open_text(place("outcome", &id.to_string()), &sealed)?;
        Ok(Some((operation(&row)?, text.expose_secret().to_owned())))
    }

    /// Renews the lease and notes how far it is; gives whether somebody asked to cancel. An operation that another process has
    /// taken over is this one's no longer: that counts as cancelled.
    pub async fn beat(&self, id: CallId, progress: &Progress) -> Result<bool> {
        let lease = self.sources.now() + LEASE;
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        let text: String = progress.text.chars().take(200).collect();
        // Progress may be lost with the power; the lease is renewed in two seconds anyway.
        let mut tx = self.db.begin_with(Durability::Lazy).await?;
        let row = tx
            .fetch_optional(
                "UPDATE operations SET lease_until = $1, done = $2, total = $3, progress = $4 \
                 WHERE id = $5 AND state = 'running' AND node = $6 RETURNING cancel_asked",
                args![lease, number(progress.done), progress.total.map(number), text, id, &self.node],
            )
            .await?;
        tx.commit().await?;
        row.map_or(Ok(true), |row| row.bool("cancel_asked"))
    }

    /// Keeps what another process must know to go on.
    pub async fn checkpoint(&self, id: CallId, journal: &str) -> Result<()> {
        let sealed = self.vault.seal(place("journal", &id.to_string()), journal.as_bytes())?;
        self.db.execute("UPDATE operations SET journal = $1 WHERE id = $2 AND state = 'running'", args![sealed, id]).await?;
        Ok(())
    }

    /// How it ended. `seen` says that the caller is still there and gets the outcome now.
    pub async fn finish(&self, id: CallId, state: State, code: Option<Code>, outcome: &str) -> Result<()> {
        let sealed = self.vault.seal(place("outcome", &id.to_string()), outcome.as_bytes())?;
        self.db
            .execute(
                "UPDATE operations SET state = $1, code = $2, outcome = $3, ended_at = $4 WHERE id = $5 AND state = 'running'",
                args![state.as_str(), code, sealed, self.sources.now(), id],
            )
            .await?;
        Ok(())
    }
    /// The caller has the outcome.
    pub async fn delivered(&self, id: CallId) -> Result<()> {
        self.db.execute("UPDATE operations SET delivered = TRUE WHERE id = $1", args![id]).await?;
        Ok(())
    }

    /// Lets another process take it over at once: this one ends.
    pub async fn release(&self, id: CallId) -> Result<()> {
        self.db
            .execute(
                "UPDATE operations SET lease_until = $1 WHERE id = $2 AND state = 'running' AND node = $3",
                args![self.sources.now(), id, &self.node],
            )
            .await?;
        Ok(())
    }

    /// Asks a running one to stop where it is safe; false when there is none that runs.
    pub async fn ask_to_cancel(&self, org: OrgId, id: CallId) -> Result<bool> {
        let asked = self
            .db
            .execute(
                "UPDATE operations SET cancel_asked = TRUE WHERE org_id = $1 AND id = $2 AND state = 'running'",
                args![org, id],
            )
            .await?;
        Ok(asked > 0)
    }

    /// Claims the operations whose process has ended: each goes to one claimant.
    pub async fn orphans(&self) -> Result<Vec<Orphan>> {
        let now = self.sources.now();
        let rows =
            self.db.fetch_all(select!("WHERE state = 'running' AND lease_until <= $1 ORDER BY id LIMIT 20"), args![now]).await?;
        let mut claimed = Vec::new();
        for row in rows {
            let found = operation(&row)?;
            let id = found.id;
            let taken = self
                .db
                .execute(
                    "UPDATE operations SET node = $1, lease_until = $2 WHERE id = $3 AND state = 'running' AND lease_until <= $4",
                    args![&self.node, now + LEASE, id, now],
                )
                .await?;
            if taken == 0 {
                continue;
            }
            let open = |column, sealed: &[u8]| {
                let name = id.to_string();
                Ok::<_, crate::StoreError>(self.vault.open_text(place(column, &name), sealed)?.expose_secret().to_owned())
            };
            claimed.push(Orphan {
                consent: self.consent(id).await?,
                session: row.parsed("session_id")?,
                address: row.parsed("address")?,
                hash: row.bytes32("arguments_hash")?,
                arguments: open("arguments", &row.bytes("arguments")?)?,
                journal: row.opt_bytes("journal")?.map(|sealed| open("journal", &sealed)).transpose()?,
                operation: found,
            });
        }
        Ok(claimed)
    }

    /// An operation has the id of the call that began it, whose row in the audit says by what consent it came.
    async fn consent(&self, id: CallId) -> Result<Option<Consent>> {
        let sql = "SELECT c.grant_id, COALESCE(g.scopes, '') AS scopes FROM call_audit c \
                   LEFT JOIN oauth_grants g ON g.id = c.grant_id WHERE c.id = $1 AND c.grant_id IS NOT NULL";
        let row = self.db.fetch_optional(sql, args![id]).await?;
        row.map(|row| Ok(Consent { grant: row.parsed("call_audit.grant_id")?, scopes: row.text("oauth_grants.scopes")? }))
            .transpose()
    }

    /// Removes what ended long ago; gives the number of rows.
    pub async fn clean(&self) -> Result<u64> {
        let before = self.sources.now() - KEPT;
        self.db.execute("DELETE FROM operations WHERE state <> 'running' AND ended_at < $1", args![before]).await
    }
}

fn place<'a>(column: &'static str, row: &'a str) -> Place<'a> {
    Place { table: "operations", column, row }
}

fn operation(row: &Row) -> Result<Operation> {
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(Operation {
        id: row.parsed("id")?,
        org: row.parsed("org_id")?,
        instance_slug: row.opt_text("instance_slug")?,
        tool: row.text("tool")?,
        key: row.parsed("key_id")?,
        key_label: row.text("key_label")?,
        state: row.parsed("state")?,
        code: row.opt_text("code")?,
        progress: Progress {
            done: number(row.int("done")?),
            total: row.opt_int("total")?.map(number),
            text: row.text("progress")?,
        },
        cancel_asked: row.bool("cancel_asked")?,
        started_at: row.time("started_at")?,
        ended_at: row.opt_time("ended_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{TestStore, each_engine},
        vault::KeySource,
    };

    async fn open(t: &TestStore, node: &str) -> Operations {
        let vault = Vault::open(t, KeySource::in_data_dir(t.dir.path()), &t.sources).await.unwrap();
        Operations::new(t.db.clone(), vault, t.sources.clone(), node)
    }
    fn new<'a>(t: &TestStore, key: KeyId, label: &'a Arc<str>) -> NewOperation<'a> {
        NewOperation {
            id: CallId::new(&t.sources),
            org: OrgId::new(&t.sources),
            instance: None,
            instance_slug: None,
            tool: "install_module",
            key,
            key_label: label,
            session: SessionId::new(&t.sources),
            address: "::1".parse().unwrap(),
            hash: [7; 32],
            arguments: "{\"module\":\"note\"}",
        }
    }

    #[tokio::test]
    async fn the_same_call_twice_is_one_operation_and_its_outcome_waits() {
        each_engine(async |t| {
            let (on, key, label) = (open(t, "a").await, KeyId::new(&t.sources), Arc::from("k"));
            let first = new(t, key, &label);
            assert!(on.begin(&first).await.unwrap().is_some());
            assert!(on.begin(&new(t, key, &label)).await.unwrap().is_none());
            assert!(on.begin(&new(t, KeyId::new(&t.sources), &label)).await.unwrap().is_some(), "another key's is another");
            assert_eq!(on.same(key, [7; 32]).await.unwrap().unwrap().id, first.id);
            assert!(on.same(key, [8; 32]).await.unwrap().is_none());
            assert!(on.take_outcome(first.id).await.unwrap().is_none(), "it runs");

            let progress = Progress { done: 2, total: Some(5), text: "x".into() };
            assert!(!on.beat(first.id, &progress).await.unwrap());
            assert_eq!(on.get(first.org, first.id).await.unwrap().unwrap().progress, progress);
            assert!(on.get(OrgId::new(&t.sources), first.id).await.unwrap().is_none(), "another organization's");
            assert!(on.ask_to_cancel(first.org, first.id).await.unwrap());
            assert!(on.beat(first.id, &progress).await.unwrap());

            on.finish(first.id, State::Ok, None, "{\"state\":\"installed\"}").await.unwrap();
            assert!(!on.ask_to_cancel(first.org, first.id).await.unwrap());
            let waiting = on.same(key, [7; 32]).await.unwrap().unwrap();
            assert_eq!(waiting.state, State::Ok);
            assert_eq!(on.take_outcome(first.id).await.unwrap().unwrap().1, "{\"state\":\"installed\"}");
            assert!(on.same(key, [7; 32]).await.unwrap().is_none(), "seen: the same call runs anew");
            let sealed = t.fetch_all("SELECT arguments, outcome FROM operations", vec![]).await.unwrap();
            assert!(sealed.iter().all(|r| !r.bytes("arguments").unwrap().windows(4).any(|w| w == b"note")));
            t.clock.advance(KEPT + TimeDelta::seconds(1));
            assert_eq!(on.clean().await.unwrap(), 1, "the running one stays");
        })
        .await;
    }

    #[tokio::test]
    async fn an_orphan_goes_to_one_claimant_with_its_journal() {
        each_engine(async |t| {
            let (a, b, label) = (open(t, "a").await, open(t, "b").await, Arc::from("k"));
            let it = new(t, KeyId::new(&t.sources), &label);
            a.begin(&it).await.unwrap();
            a.checkpoint(it.id, "{\"rows\":100}").await.unwrap();
            assert!(b.orphans().await.unwrap().is_empty(), "its lease holds");
            t.clock.advance(LEASE);
            let (one, other) = tokio::join!(a.orphans(), b.orphans());
            let mut claimed = one.unwrap();
            claimed.extend(other.unwrap());
            assert_eq!(claimed.len(), 1);
            assert_eq!(claimed[0].arguments, it.arguments);
            assert_eq!(claimed[0].journal.as_deref(), Some("{\"rows\":100}"));
            assert_eq!(claimed[0].hash, it.hash);
            // One that is ended in order is given away at once.
            b.release(it.id).await.unwrap();
            a.release(it.id).await.unwrap();
            assert_eq!(b.orphans().await.unwrap().len(), 1);
            assert!(a.beat(it.id, &Progress::default()).await.unwrap(), "it is another's now");
        })
        .await;
    }
}
