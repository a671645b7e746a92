//! What ocore itself did to the modules of an instance: Odoo keeps no history of its own. And who works on them now: two module
//! operations at once corrupt a database, so an instance has one lease for all processes.
use chrono::TimeDelta;
use kernel::{CallId, Sources, Timestamp, WritePermit};

use crate::{
    Db, Result, Row, args,
    caller::Caller,
    events::{self, Change},
};

/// A lease that was not renewed for so long has lost its process.
pub const LEASE: TimeDelta = TimeDelta::seconds(60);
/// The longest reason that is kept, in characters.
const REASON: usize = 500;

/// How an operation ended for one module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Running,
    Ok,
    Failed,
    Unknown,
}
impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
impl std::str::FromStr for Outcome {
    type Err = String;
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        [Self::Running, Self::Ok, Self::Failed, Self::Unknown]
            .into_iter()
            .find(|o| o.as_str() == text)
            .ok_or_else(|| format!("\"{text}\" is no outcome"))
    }
}

/// A module before and after an operation. A state of none: Odoo knew no such module then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub module: String,
    /// Named by the caller; the others came along.
    pub asked: bool,
    pub state_before: Option<String>,
    pub state_after: Option<String>,
    pub version_before: Option<String>,
    pub version_after: Option<String>,
    pub outcome: Outcome,
}

/// A line as the ledger has it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub call: CallId,
    pub operation: String,
    pub line: Line,
    /// How many modules came along in that operation.
    pub along: u32,
    pub reason: String,
    pub key_label: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// Who works on an instance's modules.
#[derive(Debug, Clone)]
pub struct Lease {
    pub call: CallId,
    pub operation: String,
    pub modules: String,
    pub key_label: String,
    pub started_at: Timestamp,
}

/// Reads the ledger of one instance.
#[derive(Debug, Clone)]
pub struct Ledger {
    db: Db,
    sources: Sources,
    caller: Caller,
}
impl Ledger {
    pub fn new(db: Db, sources: Sources, caller: Caller) -> Self {
        Self { db, sources, caller }
    }
    /// The call that asks.
    pub fn call(&self) -> CallId {
        self.caller.call
    }
    pub fn now(&self) -> Timestamp {
        self.sources.now()
    }

    /// The newest operations first: of all modules those that were asked for, of one module every operation that took it along.
    pub async fn history(&self, module: Option<&str>, limit: u32) -> Result<Vec<Entry>> {
        let rows = match module {
            None => {
                self.db
                    .fetch_all(
                        "SELECT l.call_id, l.module, l.operation, l.asked, l.state_before, l.state_after, l.version_before, \
                         l.version_after, l.outcome, l.reason, l.key_label, l.started_at, l.ended_at, \
                         (SELECT count(*) FROM module_ledger o WHERE o.call_id = l.call_id AND NOT o.asked) AS along \
                         FROM module_ledger l WHERE l.org_id = $1 AND l.instance_id = $2 AND l.asked \
                         ORDER BY l.call_id DESC, l.module LIMIT $3",
                        args![self.caller.org, self.caller.instance, limit],
                    )
                    .await?
            }
            Some(module) => {
                self.db
                    .fetch_all(
                        "SELECT l.call_id, l.module, l.operation, l.asked, l.state_before, l.state_after, l.version_before, \
                         l.version_after, l.outcome, l.reason, l.key_label, l.started_at, l.ended_at, \
                         (SELECT count(*) FROM module_ledger o WHERE o.call_id = l.call_id AND NOT o.asked) AS along \
                         FROM module_ledger l WHERE l.org_id = $1 AND l.instance_id = $2 AND l.module = $3 \
                         ORDER BY l.call_id DESC LIMIT $4",
                        args![self.caller.org, self.caller.instance, module, limit],
                    )
                    .await?
            }
        };
        rows.iter().map(entry).collect()
    }

    /// Who works on the modules now, in whichever process.
    pub async fn at_work(&self) -> Result<Option<Lease>> {
        let row = self
            .db
            .fetch_optional(
                "SELECT call_id, operation, modules, key_label, started_at FROM module_leases \
                 WHERE org_id = $1 AND instance_id = $2 AND lease_until > $3",
                args![self.caller.org, self.caller.instance, self.sources.now()],
            )
            .await?;
        row.map(|row| {
            Ok(Lease {
                call: row.parsed("call_id")?,
                operation: row.text("operation")?,
                modules: row.text("modules")?,
                key_label: row.text("key_label")?,
                started_at: row.time("started_at")?,
            })
        })
        .transpose()
    }
}

/// The same, and it writes.
#[derive(Debug, Clone)]
pub struct LedgerWriter(Ledger);
impl LedgerWriter {
    pub fn new(ledger: Ledger, _proof: &WritePermit) -> Self {
        Self(ledger)
    }

    /// Claims the instance's modules for a call: this one, or the one whose work it takes over. False when another call has them.
    pub async fn claim(&self, call: CallId, operation: &str, modules: &str) -> Result<bool> {
        let Caller { org, instance, ref key_label, .. } = self.caller;
        let now = self.sources.now();
        let claimed = self
            .db
            .execute(
                "INSERT INTO module_leases (instance_id, org_id, call_id, operation, modules, key_label, started_at, lease_until) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (instance_id) DO UPDATE SET call_id = excluded.call_id, operation = excluded.operation, \
                 modules = excluded.modules, key_label = excluded.key_label, started_at = excluded.started_at, \
                 lease_until = excluded.lease_until \
                 WHERE module_leases.lease_until <= excluded.started_at OR module_leases.call_id = excluded.call_id",
                args![instance, org, call, operation, modules, key_label, now, now + LEASE],
            )
            .await?;
        Ok(claimed > 0)
    }
    /// False when it is another call's by now.
    pub async fn renew(&self, call: CallId) -> Result<bool> {
        let renewed = self
            .db
            .execute(
                "UPDATE module_leases SET lease_until = $1 WHERE instance_id = $2 AND call_id = $3",
                args![self.sources.now() + LEASE, self.caller.instance, call],
            )
            .await?;
        Ok(renewed > 0)
    }
    pub async fn release(&self, call: CallId) -> Result<()> {
        self.db
            .execute("DELETE FROM module_leases WHERE instance_id = $1 AND call_id = $2", args![self.caller.instance, call])
            .await?;
        Ok(())
    }

    /// Notes what is about to be done, before anything is.
    pub async fn begin(&self, call: CallId, operation: &str, lines: &[Line], started: Timestamp) -> Result<()> {
        self.record(call, operation, lines, "", started, false).await
    }
    /// Takes the note back: nothing was done after all.
    pub async fn forget(&self, call: CallId) -> Result<()> {
        self.db
            .execute(
                "DELETE FROM module_ledger WHERE instance_id = $1 AND call_id = $2 AND outcome = 'running'",
                args![self.caller.instance, call],
            )
            .await?;
        Ok(())
    }
    /// Notes how it ended. What is cached about the instance is stale from then on: its models and fields are others now.
    pub async fn finish(&self, call: CallId, operation: &str, lines: &[Line], reason: &str, started: Timestamp) -> Result<()> {
        self.record(call, operation, lines, reason, started, true).await
    }
    async fn record(
        &self,
        call: CallId,
        operation: &str,
        lines: &[Line],
        reason: &str,
        started: Timestamp,
        ended: bool,
    ) -> Result<()> {
        let Caller { org, instance, key, ref key_label, user, .. } = self.caller;
        let now = self.sources.now();
        let reason: String = reason.chars().take(REASON).collect();
        let mut tx = self.db.begin().await?;
        for line in lines {
            let failed = if line.outcome == Outcome::Ok { "" } else { reason.as_str() };
            tx.execute(
                "INSERT INTO module_ledger (call_id, module, org_id, instance_id, operation, asked, state_before, state_after, \
                 version_before, version_after, outcome, reason, key_id, key_label, user_id, started_at, ended_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17) \
                 ON CONFLICT (call_id, module) DO UPDATE SET state_after = excluded.state_after, \
                 version_after = excluded.version_after, outcome = excluded.outcome, reason = excluded.reason, \
                 ended_at = excluded.ended_at",
                args![
                    call,
                    &line.module,
                    org,
                    instance,
                    operation,
                    line.asked,
                    line.state_before.as_ref(),
                    line.state_after.as_ref(),
                    line.version_before.as_ref(),
                    line.version_after.as_ref(),
                    line.outcome.as_str(),
                    failed,
                    key,
                    key_label,
                    user,
                    started,
                    ended.then_some(now),
                ],
            )
            .await?;
        }
        if ended {
            tx.execute("UPDATE instances SET generation = generation + 1 WHERE id = $1 AND org_id = $2", args![instance, org])
                .await?;
            events::write(&mut tx, Change::Instance, Some(org), instance, now).await?;
        }
        tx.commit().await
    }
}
impl std::ops::Deref for LedgerWriter {
    type Target = Ledger;
    fn deref(&self) -> &Ledger {
        &self.0
    }
}

fn entry(row: &Row) -> Result<Entry> {
    Ok(Entry {
        call: row.parsed("call_id")?,
        operation: row.text("operation")?,
        line: Line {
            module: row.text("module")?,
            asked: row.bool("asked")?,
            state_before: row.opt_text("state_before")?,
            state_after: row.opt_text("state_after")?,
            version_before: row.opt_text("version_before")?,
            version_after: row.opt_text("version_after")?,
            outcome: row.parsed("outcome")?,
        },
        along: row.uint("along")?,
        reason: row.text("reason")?,
        key_label: row.text("key_label")?,
        started_at: row.time("started_at")?,
        ended_at: row.opt_time("ended_at")?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{Environment, InstanceId, KeyId, OrgId, SessionId};

    use super::*;
    use crate::{
        instances::{self, NewInstance},
        orgs, servers,
        testing::{TestStore, each_engine},
    };

    async fn instance(t: &TestStore, org: &str) -> (OrgId, InstanceId) {
        let s = &t.sources;
        let mut tx = t.begin().await.unwrap();
        let id = orgs::create(&mut tx, org, org, s).await.unwrap();
        let server = servers::create(&mut tx, id, "one", None, &[], s).await.unwrap();
        let new = NewInstance {
            org: id,
            server,
            slug: format!("{org}-prod"),
            name: "Production".to_owned(),
            url: "https://odoo.example.com".parse().unwrap(),
            database: "prod".to_owned(),
            environment: Environment::Staging,
            write_enabled: true,
            container: None,
            addons: Vec::new(),
            backups: None,
            concurrency: 4,
        };
        let instance = instances::create(&mut tx, &new, s).await.unwrap();
        tx.commit().await.unwrap();
        (id, instance)
    }
    /// A call of its own on that instance, in whichever process.
    fn call(t: &TestStore, db: &Db, (org, instance): (OrgId, InstanceId), label: &str) -> LedgerWriter {
        let caller = Caller {
            org,
            instance,
            instance_slug: Arc::from("prod"),
            key: KeyId::new(&t.sources),
            key_label: Arc::from(label),
            user: None,
            session: SessionId::new(&t.sources),
            call: CallId::new(&t.sources),
        };
        LedgerWriter(Ledger::new(db.clone(), t.sources.clone(), caller))
    }
    fn line(module: &str, asked: bool, outcome: Outcome) -> Line {
        Line {
            module: module.to_owned(),
            asked,
            state_before: Some("uninstalled".to_owned()),
            state_after: (outcome != Outcome::Running).then(|| "installed".to_owned()),
            version_before: None,
            version_after: Some("19.0.1.0".to_owned()),
            outcome,
        }
    }

    #[tokio::test]
    async fn the_modules_of_an_instance_are_one_calls_at_a_time_across_processes() {
        each_engine(async |t| {
            let (prod, other) = (instance(t, "acme").await, instance(t, "globex").await);
            let there = t.another().await;
            let (a, b) = (call(t, &t.db, prod, "first"), call(t, &there, prod, "second"));
            let (one, two) = tokio::join!(a.claim(a.call(), "install", "crm"), b.claim(b.call(), "upgrade", "sale"));
            assert!(one.unwrap() != two.unwrap(), "one of two at once");
            let (winner, loser) = if a.at_work().await.unwrap().unwrap().call == a.call() { (a, b) } else { (b, a) };
            let lease = loser.at_work().await.unwrap().unwrap();
            assert_eq!((lease.call, &*lease.key_label), (winner.call(), &*winner.caller.key_label));
            let elsewhere = call(t, &t.db, other, "third");
            assert!(elsewhere.claim(elsewhere.call(), "install", "crm").await.unwrap(), "another instance");

            // It lives as long as it is renewed, and no longer.
            for _ in 0..3 {
                t.clock.advance(LEASE - TimeDelta::seconds(1));
                assert!(winner.renew(winner.call()).await.unwrap());
                assert!(!loser.claim(loser.call(), "upgrade", "sale").await.unwrap());
            }
            assert!(winner.claim(winner.call(), "install", "crm").await.unwrap(), "who takes a call's work over has its lease");
            t.clock.advance(LEASE);
            assert!(loser.at_work().await.unwrap().is_none());
            assert!(loser.claim(loser.call(), "upgrade", "sale").await.unwrap());
            assert!(!winner.renew(winner.call()).await.unwrap(), "it is another's by now");
            winner.release(winner.call()).await.unwrap();
            assert_eq!(winner.at_work().await.unwrap().unwrap().call, loser.call(), "and is not released by the first");
            loser.release(loser.call()).await.unwrap();
            assert!(winner.at_work().await.unwrap().is_none());
        })
        .await;
    }

    #[tokio::test]
    async fn an_operation_is_noted_before_and_after_and_found_by_its_instance_alone() {
        each_engine(async |t| {
            let (prod, other) = (instance(t, "acme").await, instance(t, "globex").await);
            let generation = async || instances::find(&t.db, prod.0, prod.1).await.unwrap().unwrap().instance.generation;
            let (before, events) = (generation().await, crate::events::latest(&t.db).await.unwrap());
            let first = call(t, &t.db, prod, "builder");
            let started = t.sources.now();
            first.begin(first.call(), "install", &[line("crm", true, Outcome::Running)], started).await.unwrap();
            let entry = &first.history(None, 10).await.unwrap()[0];
            assert_eq!((entry.line.outcome, entry.ended_at, entry.along), (Outcome::Running, None, 0));
            assert_eq!(generation().await, before, "nothing was changed yet");

            t.clock.advance(TimeDelta::seconds(7));
            let lines = [line("crm", true, Outcome::Ok), line("mail", false, Outcome::Ok), line("phone", false, Outcome::Ok)];
            first.finish(first.call(), "install", &lines, "", started).await.unwrap();
            assert!(generation().await > before, "what is cached is stale");
            assert!(crate::events::latest(&t.db).await.unwrap() > events, "and every process hears of it");
            let all = first.history(None, 10).await.unwrap();
            assert_eq!(all.len(), 1, "of all modules what was asked for");
            assert_eq!((all[0].along, &*all[0].key_label, all[0].line.state_after.as_deref()), (2, "builder", Some("installed")));
            assert_eq!(all[0].ended_at.unwrap() - all[0].started_at, TimeDelta::seconds(7));
            let along = first.history(Some("mail"), 10).await.unwrap();
            assert!(along.len() == 1 && !along[0].line.asked);

            let second = call(t, &t.db, prod, "builder");
            second.begin(second.call(), "install", &[line("sale", true, Outcome::Running)], t.sources.now()).await.unwrap();
            second.forget(second.call()).await.unwrap();
            let third = call(t, &t.db, prod, "builder");
            let failed = [line("sale", true, Outcome::Failed), line("account", false, Outcome::Ok)];
            third.finish(third.call(), "install", &failed, &"x".repeat(2 * REASON), t.sources.now()).await.unwrap();
            let all = third.history(None, 10).await.unwrap();
            assert_eq!(all.iter().map(|e| e.line.module.as_str()).collect::<Vec<_>>(), ["sale", "crm"], "the newest first");
            assert_eq!(all[0].reason.chars().count(), REASON);
            assert_eq!(third.history(Some("account"), 10).await.unwrap()[0].reason, "", "it did not fail");
            assert_eq!(third.history(None, 1).await.unwrap().len(), 1);

            let elsewhere = call(t, &t.db, other, "builder");
            assert!(elsewhere.history(None, 10).await.unwrap().is_empty());
            assert!(elsewhere.history(Some("crm"), 10).await.unwrap().is_empty());
            elsewhere.forget(third.call()).await.unwrap();
            let mut tx = t.begin().await.unwrap();
            instances::delete(&mut tx, prod.0, prod.1, t.sources.now()).await.unwrap();
            tx.commit().await.unwrap();
            assert!(third.history(None, 10).await.unwrap().is_empty(), "its history goes with it");
        })
        .await;
    }
}
