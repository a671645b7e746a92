//! The handles that tools get: the backups of one instance, for one call.
use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Code, ExposeSecret as _, Fault, Instance, Progress, Refusal, Result, SecretString, WritePermit, redact, refusal};
use secrecy::SecretSlice;
use tokio_util::sync::CancellationToken;

use super::{
    Backups, Copied, CopyRequest, Entry, Error, Format, Instance as Target, Keep, Manifest, Postgres, Recovered, Request,
    RestoreRequest, Restored, Served, Watch, served_databases,
};
use crate::{
    docker,
    postgres::{self, Address, Logins, proven},
};

/// What Odoo gets to answer again after its start.
const SERVING: Duration = Duration::from_mins(3);

/// The way to all instances' backups. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}
#[derive(Debug)]
struct Inner {
    docker: docker::Pool,
    postgres: postgres::Pool,
    logins: Arc<dyn Logins>,
    /// Vouches for manifests.
    key: SecretSlice<u8>,
    version: &'static str,
    /// Bytes that one backup may take.
    limit: u64,
}

/// A way to none: for tests and benches.
impl Default for Pool {
    fn default() -> Self {
        let key = SecretSlice::from(vec![0; 32]);
        Self::new(docker::Pool::default(), postgres::Pool::default(), Arc::new(postgres::NoLogins), key, "test", super::LIMIT)
    }
}
impl Pool {
    /// `key`: 32 bytes that nobody else has; the same on every node.
    pub fn new(
        docker: docker::Pool,
        postgres: postgres::Pool,
        logins: Arc<dyn Logins>,
        key: SecretSlice<u8>,
        version: &'static str,
        limit: u64,
    ) -> Self {
        Self { inner: Arc::new(Inner { docker, postgres, logins, key, version, limit }) }
    }

    /// A handle for one call. No I/O.
    ///
    /// # Errors
    /// `not_configured` without a container, a folder for backups or a database address, or before a login has proven the database.
    pub fn reader(&self, instance: Arc<Instance>, cancel: CancellationToken) -> std::result::Result<Reader, Refusal> {
        let host = &instance.host;
        let lacks = |what: &str, how: &str| {
            Err(refusal(Code::NotConfigured, format!("{} has no {what}.", instance.slug))
                .next(format!("The operator adds it: ocore instance update {} {how}", instance.slug)))
        };
        if host.container.is_none() || host.docker.is_none() {
            return lacks("container", "--container NAME (its server needs a Docker endpoint)");
        }
        if host.backups.is_none() {
            return lacks("folder for backups", "--backups DIR");
        }
        if host.postgres.is_none() {
            return lacks("PostgreSQL address", "--postgres-url-stdin");
        }
        proven(&instance)?;
        Ok(Reader { pool: self.clone(), instance, cancel })
    }

    /// Ends a restore whose process is gone, for the jobs of a server: whoever asked for it may not be let in any more. Gives whether the
    /// restored database is served; none when there is no such restore, or somebody is at it.
    pub async fn recover(&self, instance: Arc<Instance>) -> Result<Option<bool>> {
        let id = instance.id.to_string();
        let read = self.reader(instance, CancellationToken::new())?;
        let backups = read.backups()?;
        if !backups.interrupted().await.map_err(|e| read.fault(&e))?.contains(&id) {
            return Ok(None);
        }
        match read.recover().await {
            Ok(found) => Ok(found.map(|(new, _)| new)),
            Err(Fault::Refused(refused)) if refused.code == Code::Busy => Ok(None),
            Err(fault) => Err(fault),
        }
    }
    /// Deletes backups that are older than that, but never the newest good one, nor what is broken, nor snapshots of the last week. Gives
    /// their ids.
    pub async fn retain(&self, instance: Arc<Instance>, days: u32, now: DateTime<Utc>) -> Result<Vec<String>> {
        let id = instance.id.to_string();
        let read = self.reader(instance, CancellationToken::new())?;
        let keep = Keep { days: Some(days), count: None };
        match read.backups()?.retain(&id, keep, now).await {
            Ok(gone) => Ok(gone),
            // A backup is being made: tomorrow is another day.
            Err(Error::Busy { .. }) => Ok(Vec::new()),
            Err(error) => Err(read.fault(&error)),
        }
    }

    /// Copies an instance's database with its filestore under a new name on the same server, neutralized: no mail, no scheduled
    /// actions, no payments. For operators; nothing of the source is changed.
    pub async fn copy(
        &self,
        instance: Arc<Instance>,
        database: &str,
        random: [[u8; 16]; 2],
        report: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Copied> {
        let read = self.reader(instance, CancellationToken::new())?;
        let request = CopyRequest { database: database.to_owned(), random };
        let mut progress = told(report);
        let mut watch = Watch { progress: &mut progress, cancel: read.cancel.clone() };
        let target = read.target().await?;
        // The operator reads it, and may know where things are.
        read.backups()?
            .clone_database(&target, &request, &mut watch)
            .await
            .map_err(|e| refusal(Code::OdooError, e.to_string()).next(e.advice()).into())
    }
}

/// The backups of one call, reading.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
    instance: Arc<Instance>,
    cancel: CancellationToken,
}
impl Reader {
    fn backups(&self) -> Result<Backups> {
        let folder = self.instance.host.backups.as_ref().ok_or_else(|| Fault::failed("a folder for backups"))?;
        let inner = &self.pool.inner;
        let key = SecretSlice::from(inner.key.expose_secret().to_vec());
        Backups::new(folder, key, inner.version).map_err(|e| self.fault(&e))
    }
    /// The database, and how it is reached from the container that has PostgreSQL's programs.
    async fn target(&self) -> Result<Target> {
        let inner = &self.pool.inner;
        let odoo = inner.docker.container(&self.instance).await?;
        let address = Address::parse(&inner.logins.address(&self.instance).await?)?;
        let own = match &self.instance.host.postgres_container {
            Some(name) => Some(inner.docker.named(&self.instance, name).await?),
            None => None,
        };
        let (user, password): (String, SecretString) = address.credentials();
        // Within its own container PostgreSQL is at home; elsewhere it is where its address says.
        let (host, port) = if own.is_some() { ("127.0.0.1".to_owned(), 5432) } else { address.place() };
        Ok(Target {
            id: self.instance.id.to_string(),
            odoo,
            postgres: Postgres { container: own, host, port, user, password },
            database: self.instance.database.clone(),
            filestore: None,
        })
    }

    async fn recover(&self) -> Result<Option<(bool, Recovered)>> {
        self.pool.inner.postgres.forget(&self.instance);
        let (backups, target) = (self.backups()?, self.target().await?);
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || runtime.block_on(backups.recover(&target, SERVING)));
        let found = work.await.map_err(|_| broken_off())?.map_err(|e| self.fault(&e))?;
        Ok(found.map(|recovered| (recovered.served == Served::New, recovered)))
    }

    /// Newest first; those that are being made or broken too.
    pub async fn list(&self, now: DateTime<Utc>, max_age: Option<TimeDelta>) -> Result<Vec<Entry>> {
        self.backups()?.list(&self.instance.id.to_string(), now, max_age).await.map_err(|e| self.fault(&e))
    }
    /// One backup's manifest, its seal checked.
    pub async fn manifest(&self, backup: &str) -> Result<Manifest> {
        self.backups()?.manifest(&self.instance.id.to_string(), backup).await.map_err(|e| self.fault(&e))
    }
    /// The other databases that the container serves: they stop and start with a restore.
    pub async fn served_beside(&self) -> Result<Vec<String>> {
        served_databases(&self.target().await?).await.map_err(|e| self.fault(&e))
    }

    fn fault(&self, error: &Error) -> Fault {
        let slug = &self.instance.slug;
        let text = match error {
            // Where backups are on ocore's machine is the operator's to know.
            Error::NoSpace { needed, free, .. } => {
                tracing::warn!(%slug, error = error as &dyn std::error::Error, "no room for a backup");
                format!(
                    "The backup may take up to {} MB, and the disk for backups has {} MB free.",
                    needed.div_ceil(1 << 20),
                    free >> 20
                )
            }
            Error::DiskFull { .. } | Error::Disk { .. } | Error::Journal { .. } => {
                tracing::warn!(%slug, error = error as &dyn std::error::Error, "the folder for backups cannot be used");
                match error {
                    Error::DiskFull { .. } => "The disk for backups is full: 0 MB are free.".to_owned(),
                    _ => "The folder for backups cannot be used: the server's log says why.".to_owned(),
                }
            }
            _ => redact::text(&error.to_string()),
        };
        let next = match error.standing() {
            Some(standing) => format!("{standing} {}", error.advice()),
            None => error.advice(),
        };
        let code = match error {
            Error::Stuck { .. } => return Fault::unknown(text, next),
            Error::Argument { .. } => Code::InvalidArgument,
            Error::Docker(_) | Error::NoPostgres { .. } => {
                tracing::warn!(%slug, error = error as &dyn std::error::Error, "a backup or restore does not reach its instance");
                return refusal(Code::Unreachable, format!("Docker or PostgreSQL of {slug} is not reached."))
                    .next("Tell the operator: the log says why.")
                    .into();
            }
            Error::NoBackup { .. } | Error::NoDatabase { .. } => Code::NotFound,
            Error::TooBig { .. } | Error::NoSpace { .. } | Error::DiskFull { .. } => Code::TooLarge,
            Error::Busy { .. } | Error::Unfinished { .. } | Error::InUse { .. } => Code::Busy,
            Error::Exists { .. }
            | Error::Taken { .. }
            | Error::OtherVersion { .. }
            | Error::Forged { .. }
            | Error::Broken { .. } => Code::Conflict,
            Error::Cancelled => Code::Cancelled,
            Error::NoProgram { .. } | Error::ClientTooOld { .. } | Error::Role { .. } | Error::NotOdoo { .. } => {
                Code::NotConfigured
            }
            _ => {
                tracing::warn!(%slug, error = error as &dyn std::error::Error, "a backup or restore failed");
                Code::OdooError
            }
        };
        refusal(code, text).next(next).into()
    }
}

/// What a new backup is to be.
#[derive(Debug, Clone)]
pub struct New {
    pub id: String,
    pub now: DateTime<Utc>,
    pub label: Option<String>,
    pub plain: bool,
    pub filestore: bool,
}

/// The backups of one call, making and putting back.
#[derive(Debug, Clone)]
pub struct Writer {
    read: Reader,
}
impl Writer {
    /// Needs the proof that this call may write.
    pub fn new(read: Reader, _permit: &WritePermit) -> Self {
        Self { read }
    }

    /// Makes and verifies a backup. On an error nothing is left.
    pub async fn create(&self, new: New, report: &mut (dyn FnMut(Progress) + Send)) -> Result<Manifest> {
        let read = &self.read;
        let (backups, target) = (read.backups()?, read.target().await?);
        let format = if new.plain { Format::Plain } else { Format::Custom };
        let request = Request {
            id: new.id,
            now: new.now,
            label: new.label,
            format,
            filestore: new.filestore,
            limit: read.pool.inner.limit,
        };
        let mut progress = told(report);
        let mut watch = Watch { progress: &mut progress, cancel: read.cancel.clone() };
        backups.create(&target, &request, &mut watch).await.map_err(|e| read.fault(&e))
    }

    /// Puts a backup back, after a snapshot of what is there. Not to be dropped half way: run it in a task of its own.
    pub async fn restore(
        &self,
        backup: &str,
        (snapshot, id): (String, String),
        now: DateTime<Utc>,
        report: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Restored> {
        let read = &self.read;
        let (backups, target) = (read.backups()?, read.target().await?);
        // ocore's own connections would keep the database from being renamed.
        read.pool.inner.postgres.forget(&read.instance);
        let request = RestoreRequest {
            backup: backup.to_owned(),
            snapshot,
            id,
            now,
            limit: read.pool.inner.limit,
            keep_old: false,
            serving: SERVING,
        };
        let (send, mut progress) = tokio::sync::mpsc::unbounded_channel();
        let cancel = read.cancel.clone();
        // On a thread of its own: whoever asked may be gone, and nothing drops it half way.
        let runtime = tokio::runtime::Handle::current();
        let work = tokio::task::spawn_blocking(move || {
            let mut tell = move |p: super::Progress| {
                let _ = send.send(p);
            };
            let mut watch = Watch { progress: &mut tell, cancel };
            runtime.block_on(backups.restore(&target, &request, &mut watch))
        });
        let mut tell = told(report);
        while let Some(p) = progress.recv().await {
            tell(p);
        }
        work.await.map_err(|_| broken_off())?.map_err(|e| read.fault(&e))
    }

    /// What became of a restore that was interrupted; goes on with it, or back. None when there was none.
    pub async fn recover(&self) -> Result<Option<(bool, Recovered)>> {
        self.read.recover().await
    }
}

fn broken_off() -> Fault {
    Fault::unknown(
        "ocore failed while it restored the database.",
        "Start ocore again: it goes on from the restore's journal, and list_backups shows the snapshot.",
    )
}

fn told(report: &mut (dyn FnMut(Progress) + Send)) -> impl FnMut(super::Progress) + Send {
    move |p: super::Progress| {
        let total = (p.total_bytes > 0).then_some(p.total_bytes);
        report(Progress { done: p.done_bytes, total, text: p.step.to_string() });
    }
}
