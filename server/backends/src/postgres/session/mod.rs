//! Connections to an instance's database, and statements on them.
//!
//! A pool per (instance, role, generation). Whatever runs, runs in a transaction with limits of its own: read-only and
//! rolled back for reads, committed for writes. A connection goes back into its pool only after its transaction ended in
//! order, and is wiped (settings, temporary tables, cursors, locks, listeners) before its next use; in every other case it
//! is thrown away, and if a statement may still run on it, the server is told to cancel that first.
mod error;
mod run;

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Timeouts, Transaction};
use parking_lot::Mutex;
use rustls::RootCertStore;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use tokio_postgres::{CancelToken, Config, Row, config::SslMode, error::SqlState, types::ToSql};
use tokio_util::sync::CancellationToken;

pub use self::error::Error;
pub(super) use self::error::causes;
#[cfg(all(test, feature = "libpg_query"))]
pub(super) use self::run::wrapped_every_way;
use self::{
    error::{ends_session, failed},
    run::{plan, run, stepped},
};
use crate::postgres::{
    catalogue::{self, Catalogue},
    guard::{Checked, Kind, Script},
    tls::Connector,
    values::Answer,
};

/// How the line to the server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tls {
    /// In the clear.
    Disable,
    /// Encrypted when the server can, else in the clear.
    #[default]
    Prefer,
    /// Encrypted, whoever answers.
    Require,
    /// Encrypted, and the server shows a certificate for its host name that leads to one of [`Target::roots`].
    VerifyFull,
}

impl Tls {
    const fn mode(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyFull => SslMode::Require,
        }
    }
}

/// A database and a login.
#[derive(Debug, Clone)]
pub struct Target {
    /// Host name, for TLS and for messages.
    pub host: String,
    /// The address to connect to, where the caller has resolved and checked it; else the host name is resolved here.
    pub address: Option<IpAddr>,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Login role.
    pub user: String,
    /// Its password.
    pub secret: SecretString,
    /// Protection of the line.
    pub tls: Tls,
    /// Certificates that [`Tls::VerifyFull`] trusts.
    pub roots: Option<RootCertStore>,
    /// The longest that connecting may take.
    pub connect_timeout: Duration,
    /// The most connections at a time.
    pub connections: usize,
}

impl Target {
    /// How the driver connects to it.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new();
        // TCP_NODELAY is what the client sets by itself.
        config
            .host(&self.host)
            .port(self.port)
            .dbname(&self.database)
            .user(&self.user)
            .password(self.secret.expose_secret())
            .application_name("ocore")
            .connect_timeout(self.connect_timeout)
            .tcp_user_timeout(Duration::from_secs(30))
            .keepalives_idle(Duration::from_mins(1))
            .ssl_mode(self.tls.mode());
        if let Some(address) = self.address {
            config.hostaddr(address);
        }
        config
    }
}

/// Which login of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// For SELECT and EXPLAIN.
    Reader,
    /// For INSERT, UPDATE and DELETE.
    Writer,
}

/// What a pool belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// The instance.
    pub instance: String,
    /// Its login.
    pub role: Role,
    /// Counted up when the login changes, so that old connections are not used again.
    pub generation: u64,
}

/// Bounds of one run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of an answer.
    pub rows: usize,
    /// Bytes of an answer, as the server sends it.
    pub bytes: usize,
    /// Bytes of one value; longer ones are cut by the server and say so, but for those that RETURNING gives.
    pub value: usize,
    /// The longest that the run may take, the wait for a connection included.
    pub timeout: Duration,
    /// The longest wait for a lock.
    pub lock_timeout: Duration,
    /// The highest cost, in PostgreSQL's units, that a plan may have; `None` looks at no plan.
    pub cost: Option<f64>,
}
impl Default for Limits {
    fn default() -> Self {
        Self {
            rows: 1000,
            bytes: 8 << 20,
            value: 256 << 10,
            timeout: Duration::from_secs(15),
            lock_timeout: Duration::from_secs(3),
            cost: None,
        }
    }
}

/// What a plan says.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Preview {
    /// Total cost in PostgreSQL's units.
    pub cost: f64,
    /// Rows that the statement gives, or that it changes.
    pub rows: f64,
    /// The plan as PostgreSQL gives it.
    pub plan: Value,
}

/// What became of one step of a script.
#[derive(Debug)]
pub struct Outcome {
    /// Its place in the script, from 0.
    pub step: usize,
    /// What it gave, or why it failed.
    pub result: Result<Answer, Error>,
}

/// What became of a script.
#[derive(Debug)]
pub struct ScriptOutcome {
    /// What was run, in order. Steps that were not reached are missing.
    pub outcomes: Vec<Outcome>,
    /// Whether the changes are there. False when it only read, when it ended with ROLLBACK, and when a step failed.
    pub committed: bool,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Its changes are there.
    Committed,
    /// They are not.
    Aborted,
    /// It still runs.
    Running,
    /// It is too long ago to tell.
    Unknown,
}

struct Entry {
    pool: Pool,
    connector: Connector,
    target: Arc<Target>,
}

/// The pools of all instances.
#[derive(Default)]
pub struct Pools {
    entries: Mutex<HashMap<Key, Arc<Entry>>>,
}

/// Keeps a connection while it is used. Dropped before [`Lease::done`], the server is asked to cancel what runs there, and
/// the connection is closed and not used again.
struct Lease {
    object: Option<Object>,
    cancel: CancelToken,
    connector: Connector,
}
impl Lease {
    fn done(mut self) {
        drop(self.object.take());
    }
}
impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        let client = Object::take(object);
        let (cancel, connector) = (self.cancel.clone(), self.connector.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                // The request goes by a connection of its own; the old one stays open until it has arrived, for the server
                // may notice a closed one late.
                let _ = tokio::time::timeout(Duration::from_secs(5), cancel.cancel_query(connector)).await;
                drop(client);
            });
        }
    }
}

const SETTINGS: &str = "SET LOCAL search_path TO pg_catalog, public, pg_temp;
    SET LOCAL standard_conforming_strings TO on; SET LOCAL TimeZone TO 'UTC'; SET LOCAL DateStyle TO 'ISO, YMD';
    SET LOCAL IntervalStyle TO 'postgres'; SET LOCAL extra_float_digits TO 1; SET LOCAL bytea_output TO 'hex';
    SET LOCAL client_min_messages TO 'warning'; SET LOCAL row_security TO on;";

impl Pools {
    /// No pool yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Makes the pool of a key, or replaces it. Nothing is connected yet.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn set(&self, key: Key, target: Target) -> Result<(), Error> {
        let unreachable = |why: String| Error::Unreachable {
            host: target.host.clone(),
            port: target.port,
            database: target.database.clone(),
            why,
        };
        let roots = match (target.tls, &target.roots) {
            (Tls::VerifyFull, Some(roots)) if !roots.is_empty() => Some(roots.clone()),
            (Tls::VerifyFull, _) => return Err(unreachable("TLS mode verify-full has no certificates to trust".into())),
            _ => None,
        };
        let connector = Connector::new(roots).map_err(|e| unreachable(e.to_string()))?;
        let manager =
            Manager::from_config(target.config(), connector.clone(), ManagerConfig { recycling_method: RecyclingMethod::Clean });
        let pool = Pool::builder(manager)
            .max_size(target.connections.max(1))
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|e| unreachable(e.to_string()))?;
        let old = self.entries.lock().insert(key, Arc::new(Entry { pool, connector, target: Arc::new(target) }));
        if let Some(old) = old {
            old.pool.close();
        }
        Ok(())
    }
    /// Closes and forgets the pools of an instance.
    pub fn forget(&self, instance: &str) {
        self.entries.lock().retain(|key, entry| {
            let keep = key.instance != instance;
            if !keep {
                entry.pool.close();
            }
            keep
        });
    }
    /// Closes and forgets the pools of the instance's earlier generations.
    pub fn forget_older(&self, key: &Key) {
        self.entries.lock().retain(|known, entry| {
            let keep = known.instance != key.instance || known.generation >= key.generation;
            if !keep {
                entry.pool.close();
            }
            keep
        });
    }
    /// Whether there is a pool for the key.
    pub fn has(&self, key: &Key) -> bool {
        self.entries.lock().contains_key(key)
    }
    /// Closes connections that were idle for longer. To be called now and then.
    pub fn sweep(&self, idle: Duration) {
        for entry in self.entries.lock().values() {
            entry.pool.retain(|_, metrics| metrics.last_used() < idle);
        }
    }
    fn entry(&self, key: &Key) -> Result<Arc<Entry>, Error> {
        self.entries.lock().get(key).cloned().ok_or_else(|| Error::Unreachable {
            host: String::new(),
            port: 0,
            database: key.instance.clone(),
            why: "no PostgreSQL connection is set up for this instance and role".into(),
        })
    }
    async fn lease(&self, entry: &Entry) -> Result<Lease, Error> {
        let timeouts = Timeouts {
            wait: Some(entry.target.connect_timeout),
            create: Some(entry.target.connect_timeout),
            recycle: Some(Duration::from_secs(5)),
        };
        // A connection that died in the pool shows at SELECT 1; there can be as many as the pool holds, and one fresh one.
        for _ in 0..=entry.target.connections {
            let object = entry.pool.timeout_get(&timeouts).await.map_err(|e| entry.connecting(&e))?;
            let cancel = object.cancel_token();
            let lease = Lease { object: Some(object), cancel, connector: entry.connector.clone() };
            let alive = match &lease.object {
                Some(object) => object.simple_query("SELECT 1").await.is_ok(),
                None => false,
            };
            if alive {
                return Ok(lease);
            }
        }
        Err(Error::Lost)
    }

    /// Runs a SELECT or EXPLAIN in a read-only transaction that is always rolled back. `params` are values for `$1`, `$2`, ….
    /// Dropping the future, or firing `cancel`, cancels the statement on the server.
    ///
    /// # Errors
    /// [`Error`]; nothing is changed in any case.
    pub async fn read(
        &self,
        key: &Key,
        checked: &Checked,
        params: &[Value],
        limits: &Limits,
        cancel: &CancellationToken,
    ) -> Result<Answer, Error> {
        if !checked.kind().reads() {
            return Err(Error::Misplaced(checked.kind()));
        }
        bounded(limits, cancel, &Committing::new(), self.read_inner(key, checked, params, limits)).await
    }
    async fn read_inner(&self, key: &Key, checked: &Checked, params: &[Value], limits: &Limits) -> Result<Answer, Error> {
        let entry = self.entry(key)?;
        let mut lease = self.lease(&entry).await?;
        let Some(object) = lease.object.as_mut() else { return Err(Error::Lost) };
        let transaction = begin(object, true, limits).await?;
        let result = async {
            if let Some(ceiling) = limits.cost
                && checked.kind() == Kind::Select
            {
                let preview = plan(&transaction, checked, params).await?;
                if preview.cost > ceiling {
                    return Err(Error::TooCostly { cost: preview.cost, ceiling });
                }
            }
            run(&transaction, checked, params, limits).await
        }
        .await;
        settle(transaction.rollback().await.is_ok(), result, lease)
    }

    /// Runs an INSERT, UPDATE or DELETE and commits. `signal` tells Odoo's processes to forget what they have cached, in
    /// the same transaction; see [`signal`].
    ///
    /// # Errors
    /// [`Error`]; nothing is changed, but for [`Error::OutcomeUnknown`].
    pub async fn write(
        &self,
        key: &Key,
        checked: &Checked,
        params: &[Value],
        limits: &Limits,
        signal: bool,
        cancel: &CancellationToken,
    ) -> Result<Answer, Error> {
        if checked.kind().reads() {
            return Err(Error::Misplaced(checked.kind()));
        }
        let committing = Committing::new();
        bounded(limits, cancel, &committing, async {
            let entry = self.entry(key)?;
            let mut lease = self.lease(&entry).await?;
            let Some(object) = lease.object.as_mut() else { return Err(Error::Lost) };
            let transaction = begin(object, false, limits).await?;
            let result = async {
                let answer = run(&transaction, checked, params, limits).await?;
                if signal {
                    run::signal(&transaction).await?;
                }
                Ok(answer)
            }
            .await;
            match result {
                Err(error) => settle(transaction.rollback().await.is_ok(), Err(error), lease),
                Ok(answer) => {
                    commit(transaction, &committing).await?;
                    lease.done();
                    Ok(answer)
                }
            }
        })
        .await
    }

    /// The plan of a statement, which is not run. Of one that changes data, [`Preview::rows`] are the rows it would touch.
    ///
    /// # Errors
    /// [`Error`]; nothing is changed in any case.
    pub async fn explain(
        &self,
        key: &Key,
        checked: &Checked,
        params: &[Value],
        limits: &Limits,
        cancel: &CancellationToken,
    ) -> Result<Preview, Error> {
        if checked.kind() == Kind::Explain {
            return Err(Error::Misplaced(Kind::Explain));
        }
        bounded(limits, cancel, &Committing::new(), async {
            let entry = self.entry(key)?;
            let mut lease = self.lease(&entry).await?;
            let Some(object) = lease.object.as_mut() else { return Err(Error::Lost) };
            let transaction = begin(object, true, limits).await?;
            let result = plan(&transaction, checked, params).await;
            settle(transaction.rollback().await.is_ok(), result, lease)
        })
        .await
    }

    /// Runs a script in one transaction with a savepoint per statement. When a statement fails, all is undone and the
    /// rest not run; with `go_on` only that statement is undone, and what succeeded is committed.
    ///
    /// # Errors
    /// [`Error`] of the whole, as connection, time and COMMIT. Those of statements are in the outcomes.
    pub async fn script(
        &self,
        key: &Key,
        script: &Script,
        go_on: bool,
        limits: &Limits,
        signal: bool,
        cancel: &CancellationToken,
    ) -> Result<ScriptOutcome, Error> {
        let committing = Committing::new();
        bounded(limits, cancel, &committing, async {
            let entry = self.entry(key)?;
            let mut lease = self.lease(&entry).await?;
            let Some(object) = lease.object.as_mut() else { return Err(Error::Lost) };
            let transaction = begin(object, script.reads(), limits).await?;
            let mut outcomes = Vec::new();
            let mut failed = false;
            let mut ended = None;
            for (index, step) in script.steps.iter().enumerate() {
                let result = match stepped(&transaction, step, limits).await {
                    // The transaction is over with these.
                    Err(error @ (Error::Lost | Error::Timeout(_) | Error::Cancelled)) => {
                        ended = Some(error);
                        break;
                    }
                    result => result,
                };
                let bad = result.is_err();
                outcomes.push(Outcome { step: index, result });
                failed |= bad;
                if bad && !go_on {
                    break;
                }
            }
            if let Some(error) = ended {
                return settle(transaction.rollback().await.is_ok(), Err(error), lease);
            }
            let commits = !script.reads() && !script.rolls_back && (!failed || go_on);
            if !commits {
                return settle(transaction.rollback().await.is_ok(), Ok(ScriptOutcome { outcomes, committed: false }), lease);
            }
            if signal && let Err(error) = run::signal(&transaction).await {
                return settle(transaction.rollback().await.is_ok(), Err(error), lease);
            }
            commit(transaction, &committing).await?;
            lease.done();
            Ok(ScriptOutcome { outcomes, committed: true })
        })
        .await
    }

    /// The catalogue of an instance's database, read by its role. See [`Catalogue`].
    ///
    /// # Errors
    /// [`Error`].
    pub async fn catalogue(&self, key: &Key, limits: &Limits, cancel: &CancellationToken) -> Result<Catalogue, Error> {
        bounded(limits, cancel, &Committing::new(), async {
            let entry = self.entry(key)?;
            let mut lease = self.lease(&entry).await?;
            let Some(object) = lease.object.as_mut() else { return Err(Error::Lost) };
            let transaction = begin(object, true, limits).await?;
            let result = catalogue::load(&*transaction).await.map_err(|e| failed(&e, None));
            settle(transaction.rollback().await.is_ok(), result, lease)
        })
        .await
    }

    /// Runs one of this crate's own queries, in a read-only transaction.
    pub(crate) async fn fixed(
        &self,
        key: &Key,
        sql: &'static str,
        params: &[&(dyn ToSql + Sync)],
        limits: &Limits,
        cancel: &CancellationToken,
    ) -> Result<Vec<Row>, Error> {
        bounded(limits, cancel, &Committing::new(), async {
            let entry = self.entry(key)?;
            let mut lease = self.lease(&entry).await?;
            let Some(object) = lease.object.as_mut() else { return Err(Error::Lost) };
            let transaction = begin(object, true, limits).await?;
            let result = transaction.query(sql, params).await.map_err(|e| failed(&e, None));
            settle(transaction.rollback().await.is_ok(), result, lease)
        })
        .await
    }

    /// What became of a transaction whose outcome was unknown.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn outcome(&self, key: &Key, transaction: u64, limits: &Limits, cancel: &CancellationToken) -> Result<Fate, Error> {
        let number = i64::try_from(transaction).unwrap_or(i64::MAX);
        // The names of PostgreSQL 10 to 12 that later ones keep.
        let rows = self.fixed(key, "SELECT pg_catalog.txid_status($1)", &[&number], limits, cancel).await;
        match rows {
            Ok(rows) => Ok(match rows.first().and_then(|row| row.try_get::<_, Option<String>>(0).ok().flatten()).as_deref() {
                Some("committed") => Fate::Committed,
                Some("aborted") => Fate::Aborted,
                Some("in progress") => Fate::Running,
                _ => Fate::Unknown,
            }),
            // A number of the future.
            Err(Error::Sql(_)) => Ok(Fate::Unknown),
            Err(error) => Err(error),
        }
    }
}

impl Entry {
    fn connecting(&self, error: &PoolError) -> Error {
        let Target { host, port, database, user, .. } = self.target.as_ref();
        let unreachable = |why: String| Error::Unreachable { host: host.clone(), port: *port, database: database.clone(), why };
        match error {
            PoolError::Timeout(deadpool_postgres::TimeoutType::Wait) => {
                Error::Busy(format!("all {} connections to {database} are in use", self.target.connections))
            }
            PoolError::Timeout(_) => unreachable("no answer in time".into()),
            PoolError::Backend(error) => match error.as_db_error() {
                Some(db) if *db.code() == SqlState::TOO_MANY_CONNECTIONS || *db.code() == SqlState::CANNOT_CONNECT_NOW => {
                    Error::Busy(db.message().to_owned())
                }
                Some(db) if db.code().code().starts_with("28") => Error::Login {
                    host: host.clone(),
                    database: database.clone(),
                    user: user.clone(),
                    code: db.code().code().to_owned(),
                },
                Some(db) => unreachable(db.message().to_owned()),
                None => unreachable(causes(error)),
            },
            PoolError::Closed => unreachable("its settings were just changed".into()),
            PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => unreachable("the pool is not set up".into()),
        }
    }
}

/// Set when a COMMIT is sent, with the transaction's number where it has one.
type Committing = OnceLock<Option<u64>>;

/// Within the time and until cancelled. Whichever ends first drops the run, and with it cancels on the server; but a
/// COMMIT that was sent is waited for, since nobody could say what became of it.
async fn bounded<T>(
    limits: &Limits,
    cancel: &CancellationToken,
    committing: &Committing,
    run: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    const LONGEST_COMMIT: Duration = Duration::from_secs(30);
    let mut run = std::pin::pin!(run);
    let ended = tokio::select! {
        biased;
        result = &mut run => return result.map_err(|error| match error {
            Error::Timeout(_) => Error::Timeout(limits.timeout),
            other => other,
        }),
        () = cancel.cancelled() => Error::Cancelled,
        () = tokio::time::sleep(limits.timeout + Duration::from_millis(500)) => Error::Timeout(limits.timeout),
    };
    match committing.get() {
        None => Err(ended),
        Some(&transaction) => {
            tokio::time::timeout(LONGEST_COMMIT, run).await.unwrap_or(Err(Error::OutcomeUnknown { transaction }))
        }
    }
}

async fn begin<'a>(object: &'a mut Object, read_only: bool, limits: &Limits) -> Result<Transaction<'a>, Error> {
    let transaction = object.build_transaction().read_only(read_only).start().await.map_err(|e| failed(&e, None))?;
    let millis = |d: Duration| d.as_millis().clamp(1, 3_600_000);
    let (statement, lock) = (millis(limits.timeout), millis(limits.lock_timeout));
    let settings = format!(
        "{SETTINGS} SET LOCAL statement_timeout TO {statement}; SET LOCAL lock_timeout TO {lock};
         SET LOCAL idle_in_transaction_session_timeout TO {};",
        statement + 5000
    );
    transaction.batch_execute(&settings).await.map_err(|e| failed(&e, None))?;
    Ok(transaction)
}
/// The connection goes back only when its transaction ended in order.
fn settle<T>(ended: bool, result: Result<T, Error>, lease: Lease) -> Result<T, Error> {
    if ended {
        lease.done();
    } else {
        drop(lease);
    }
    result
}
async fn commit(transaction: Transaction<'_>, committing: &Committing) -> Result<(), Error> {
    // PostgreSQL gives a number to a transaction that has changed something. Without one, nothing was.
    let number = transaction
        .query_one("SELECT pg_catalog.txid_current_if_assigned()", &[])
        .await
        .map_err(|e| failed(&e, None))?
        .try_get::<_, Option<i64>>(0)
        .ok()
        .flatten()
        .and_then(|n| u64::try_from(n).ok());
    // From here on a lost connection says nothing. An answer of the server, a deferred constraint's for example, does.
    let _ = committing.set(number);
    match transaction.commit().await {
        Ok(()) => Ok(()),
        Err(error) => Err(match error.as_db_error() {
            Some(db) if !ends_session(db) => failed(&error, None),
            _ => Error::OutcomeUnknown { transaction: number },
        }),
    }
}
