//! What a server does by itself. Every job may run on several nodes at once: each is harmless when it is done twice.
use std::{sync::Arc, time::Duration};

use admin::{instances::Check, sessions::Seen};
use futures_util::{StreamExt as _, stream};
use identity::Moment;
use kernel::{Code, Fault, Health, Instance, InstanceState, TimeDelta};
use store::{audit, audit_log, calls, events, keys::KeyUse, registry::Registry};
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::wiring::Node;

/// Begun audit rows whose process is gone become `unknown` this long after their lease has run out.
const SWEEP: Duration = Duration::from_secs(20);
const HEALTH: Duration = Duration::from_mins(1);
const USES: Duration = Duration::from_secs(10);
const HOURLY: Duration = Duration::from_hours(1);
const DAILY: Duration = Duration::from_hours(24);
/// Jobs that clean up start a while after the server: a start is the busiest moment.
const SETTLED: Duration = Duration::from_mins(2);
/// How long security events are kept.
const SECURITY_DAYS: i64 = 30;
/// How long the main audit log is kept.
const LOG_DAYS: i64 = 365;
/// Rows per deletion, so that calls get their turn between.
const PRUNED: u32 = 2_000;
/// How long an instance may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// Instances asked at once.
const ASKED: usize = 8;

/// Starts all jobs; they end when the token is cancelled.
pub fn start(node: &Node, stop: &CancellationToken) -> Vec<JoinHandle<()>> {
    let parts = || Parts::of(node);
    let watched = Arc::clone(&node.registry);
    let stopped = stop.clone();
    let watching = tokio::spawn(async move {
        tokio::select! {
            () = watched.watch() => {}
            () = stopped.cancelled() => {}
        }
    });
    vec![
        watching,
        tokio::spawn(announce(Arc::clone(&node.registry), node.changes.clone(), stop.clone())),
        every(stop, SWEEP, Duration::ZERO, parts(), |p| async move { p.sweep().await }),
        every(stop, USES, USES, parts(), |p| async move { p.uses().await }),
        every(stop, USES, USES, parts(), |p| async move { p.note(p.keys.take_moments()).await }),
        every(stop, HEALTH, Duration::from_secs(5), parts(), |p| async move { p.health().await }),
        every(stop, HEALTH, Duration::from_secs(2), parts(), |p| async move { p.dockers().await }),
        every(stop, HEALTH, Duration::from_secs(15), parts(), |p| async move { p.interrupted().await }),
        every(stop, HOURLY, SETTLED, parts(), |p| async move { p.hourly().await }),
        every(stop, DAILY, SETTLED, parts(), |p| async move { p.daily().await }),
    ]
}

/// What is left to write when the calls have ended.
pub async fn last(node: &Node) {
    let parts = Parts::of(node);
    parts.uses().await;
    parts.note(node.keys.stop_sessions()).await;
}

/// Runs a job again and again. A run that lasts longer than its period delays the next; a panic ends this run alone.
fn every<F, R>(stop: &CancellationToken, period: Duration, first: Duration, parts: Arc<Parts>, job: F) -> JoinHandle<()>
where
    F: Fn(Arc<Parts>) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut wait = first;
        loop {
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => return,
            }
            let mut run = tokio::spawn(job(Arc::clone(&parts)));
            tokio::select! {
                ended = &mut run => if let Err(error) = ended {
                    tracing::error!(%error, "a job ended badly; it runs again in time");
                },
                () = stop.cancelled() => {
                    run.abort();
                    return;
                }
            }
            wait = period;
        }
    })
}

/// Tells open streams that lists of tools may have changed. The registry is read anew now and then without a change, so the number of
/// the newest change decides.
async fn announce(registry: Arc<Registry>, changes: watch::Sender<u64>, stop: CancellationToken) {
    let mut snapshot = registry.current();
    let mut seen = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = stop.cancelled() => return,
        }
        let current = registry.current();
        if Arc::ptr_eq(&current, &snapshot) {
            continue;
        }
        snapshot = current;
        let newest = events::latest(registry.db()).await.ok();
        if newest.is_none() || newest != seen {
            seen = newest;
            changes.send_modify(|n| *n += 1);
        }
    }
}

/// What the jobs work with.
struct Parts {
    admin: admin::Admin,
    registry: Arc<Registry>,
    keys: Arc<identity::Keys>,
    oauth: Arc<identity::oauth::server::Server>,
    idempotency: store::idempotency::Idempotency,
    operations: store::operations::Operations,
    dispatch: Arc<dispatch::Dispatch>,
    pool: backends::odoo::Pool,
    postgres: backends::postgres::Pool,
    visits: Option<Arc<admin::impersonations::Visits>>,
    docker: backends::docker::Pool,
    backups: backends::backup::Pool,
    backup_keep_days: Option<u32>,
}
impl Parts {
    fn of(node: &Node) -> Arc<Self> {
        Arc::new(Self {
            admin: node.base.admin.clone(),
            registry: Arc::clone(&node.registry),
            oauth: Arc::clone(&node.oauth),
            keys: Arc::clone(&node.keys),
            idempotency: node.idempotency.clone(),
            operations: node.operations.clone(),
            dispatch: Arc::clone(&node.dispatch),
            pool: node.pool.clone(),
            postgres: node.postgres.clone(),
            visits: node.site.visits.clone(),
            docker: node.base.docker(),
            backups: node.backups.clone(),
            backup_keep_days: node.backup_keep_days,
        })
    }

    async fn sweep(&self) {
        self.postgres.sweep();
        if let Some(visits) = &self.visits
            && let Err(fault) = visits.sweep().await
        {
            tracing::error!(?fault, "visits that are over could not be ended");
        }
        match audit::sweep(&self.admin.db, self.admin.sources.now()).await {
            Ok(0) => {}
            Ok(calls) => tracing::warn!(calls, "calls whose process ended are unknown in the audit"),
            Err(error) => logged("sweeping the audit", &error),
        }
        let keys = &self.keys;
        self.dispatch
            .take_over(&|orphan| {
                keys.resume_by(orphan.operation.key, orphan.consent.as_ref(), orphan.address, orphan.session)
                    .map_err(|denied| denied.reason.refusal())
            })
            .await;
    }

    /// Restores whose process is gone, and whose caller nobody may let in any more: the operation of one whose key is still good is taken
    /// over by the sweep.
    async fn interrupted(&self) {
        for instance in self.registry.current().all_instances().filter(|i| i.host.backups.is_some()) {
            let served = match self.backups.recover(Arc::clone(instance)).await {
                Ok(None) => continue,
                Ok(Some(true)) => "the restored database",
                Ok(Some(false)) => "the database from before the restore",
                Err(Fault::Refused(refused)) if refused.code == Code::NotConfigured => continue,
                Err(fault) => {
                    tracing::error!(slug = %instance.slug, ?fault, "an interrupted restore could not be ended; it is tried again");
                    continue;
                }
            };
            tracing::warn!(slug = %instance.slug, served, "an interrupted restore is ended");
            self.told(instance, "restore.recover", &serde_json::json!({ "served": served })).await;
        }
    }
    /// A row of the main audit log about an instance, by ocore itself.
    async fn told(&self, instance: &Instance, action: &str, detail: &serde_json::Value) {
        let who = audit_log::Who { kind: "system", id: None, name: "ocore".into(), address: None };
        let target = audit_log::Target { kind: "instance", id: Some(instance.id.to_string()), name: instance.slug.to_string() };
        let written = async {
            let mut tx = self.admin.db.begin().await?;
            audit_log::write(&mut tx, &who, Some(instance.org), action, &target, detail, &self.admin.sources).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            logged("writing the main audit log", &error);
        }
    }
    /// Backups that are older than the operator keeps them.
    async fn retain(&self) {
        let Some(days) = self.backup_keep_days else { return };
        for instance in self.registry.current().all_instances().filter(|i| i.host.backups.is_some()) {
            match self.backups.retain(Arc::clone(instance), days, self.admin.sources.now()).await {
                Ok(gone) if gone.is_empty() => {}
                Ok(gone) => {
                    let detail = serde_json::json!({ "backups": gone, "older_than_days": days });
                    self.told(instance, "backup.delete", &detail).await;
                }
                Err(Fault::Refused(refused)) if refused.code == Code::NotConfigured => {}
                Err(fault) => tracing::error!(slug = %instance.slug, ?fault, "old backups could not be deleted"),
            }
        }
    }

    async fn uses(&self) {
        let touched = self.keys.take_touched();
        if touched.is_empty() {
            return;
        }
        let uses: Vec<KeyUse> = touched
            .into_iter()
            .map(|t| KeyUse { key: t.key, at: t.at, address: t.address, count: i64::try_from(t.calls).unwrap_or(i64::MAX) })
            .collect();
        if let Err(error) = store::keys::record_uses(&self.admin.db, &uses).await {
            logged("noting when keys were used", &error);
        }
    }

    /// Sessions that began and ended.
    async fn note(&self, moments: Vec<Moment>) {
        let snapshot = self.registry.current();
        let seen: Vec<Seen<'_>> = moments
            .iter()
            .filter_map(|moment| {
                let (Moment::Began(session) | Moment::Ended(session) | Moment::Stopped(session)) = moment;
                let key = snapshot.key_by_id(session.key)?;
                Some(Seen { org: key.org, label: &key.label, moment })
            })
            .collect();
        if let Err(fault) = admin::sessions::note(&self.admin, &seen).await {
            tracing::error!(%fault, "noting sessions failed; it is tried again in time");
            self.keys.give_back(moments);
        }
    }

    async fn hourly(&self) {
        let now = self.admin.sources.now();
        self.dispatch.clean();
        match self.idempotency.clean(now).await {
            Ok(rows) => tracing::debug!(rows, "expired idempotency keys are gone"),
            Err(error) => logged("cleaning up idempotency keys", &error),
        }
        if let Err(error) = self.operations.clean().await {
            logged("cleaning up operations", &error);
        }
        if let Err(error) = store::file_undo::prune(&self.admin.db, now).await {
            logged("forgetting old changes of files", &error);
        }
        if let Err(error) = self.forget_visits(now).await {
            logged("cleaning up sessions", &error);
        }
        match self.oauth.prune().await {
            Ok(rows) => tracing::debug!(rows, "tokens, codes and clients that ended are gone"),
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "cleaning up tokens failed"),
        }
        // Readers poll each second and read everything every twenty.
        if let Err(error) = events::prune(&self.admin.db, now - TimeDelta::hours(24)).await {
            logged("cleaning up events", &error);
        }
    }

    async fn forget_visits(&self, now: kernel::Timestamp) -> store::Result<()> {
        let mut tx = self.admin.db.begin().await?;
        store::web_sessions::prune(&mut tx, now).await?;
        store::password_resets::prune(&mut tx, now).await?;
        store::sign_in_networks::prune(&mut tx, now).await?;
        store::impersonations::prune(&mut tx, now - TimeDelta::days(LOG_DAYS)).await?;
        tx.commit().await
    }

    async fn daily(&self) {
        self.retain().await;
        let (db, now) = (&self.admin.db, self.admin.sources.now());
        let orgs = match store::orgs::list(db).await {
            Ok(orgs) => orgs,
            Err(error) => return logged("reading the organizations", &error),
        };
        for org in orgs {
            let before = now - TimeDelta::days(org.audit_retention_days.into());
            loop {
                match calls::prune(db, org.organization.id, before, PRUNED).await {
                    Ok(rows) if rows < u64::from(PRUNED) => break,
                    Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(error) => {
                        logged("deleting old audit rows", &error);
                        break;
                    }
                }
            }
        }
        if let Err(error) = store::security::prune(db, now - TimeDelta::days(SECURITY_DAYS)).await {
            logged("deleting old security events", &error);
        }
        if let Err(error) = audit_log::prune(db, now - TimeDelta::days(LOG_DAYS)).await {
            logged("deleting old rows of the main audit log", &error);
        }
    }

    /// Asks every active instance for its version, and notes what changed.
    async fn health(&self) {
        let snapshot = self.registry.current();
        let active: Vec<Arc<Instance>> =
            snapshot.all_instances().filter(|i| i.state == InstanceState::Active && i.rpc.is_some()).cloned().collect();
        stream::iter(active).for_each_concurrent(ASKED, |instance| async move { self.ask(&instance).await }).await;
    }

    /// Asks every Docker endpoint whether it answers, and notes what changed.
    async fn dockers(&self) {
        let snapshot = self.registry.current();
        let servers: Vec<Arc<kernel::Server>> = snapshot.all_servers().filter(|s| s.docker.is_some()).cloned().collect();
        stream::iter(servers)
            .for_each_concurrent(ASKED, |server| async move {
                let Some(endpoint) = server.docker.clone() else { return };
                let docker = kernel::DockerConnection { server: server.id, endpoint, generation: server.generation };
                let health = match tokio::time::timeout(PATIENCE, self.docker.check(server.org, &docker)).await {
                    Ok(Ok(_)) => Health::Up,
                    Ok(Err(fault)) => {
                        tracing::debug!(server = server.name, %fault, "Docker does not answer");
                        Health::Down
                    }
                    Err(_) => Health::Down,
                };
                if health == server.docker_health {
                    return;
                }
                tracing::info!(server = server.name, %health, "the state of a Docker server changed");
                let noted = async {
                    let mut tx = self.admin.db.begin().await?;
                    store::servers::record_docker(&mut tx, &server, health, self.admin.sources.now()).await?;
                    tx.commit().await
                };
                if let Err(error) = noted.await {
                    logged("noting the state of a Docker server", &error);
                }
            })
            .await;
    }

    async fn ask(&self, instance: &Arc<Instance>) {
        let (health, version) = match self.pool.check(instance, Instant::now() + PATIENCE).await {
            Ok(found) => (Health::Up, Some(found.version)),
            // It was not asked, or it answered something: it is not down.
            Err(Fault::Refused(r)) if !matches!(r.code, Code::Unreachable | Code::Timeout) => (instance.health, None),
            Err(fault) => {
                tracing::debug!(instance = &*instance.slug, %fault, "an instance does not answer");
                (Health::Down, None)
            }
        };
        // Every note is an event, after which every node reads the registry again: only changes are noted.
        if health == instance.health && version.is_none_or(|v| instance.version == Some(v)) {
            return;
        }
        tracing::info!(instance = &*instance.slug, %health, "health changed");
        let found = Check { health, version, edition: None, login: false };
        if let Err(fault) = admin::instances::record_check(&self.admin, instance.org, instance.id, &found).await {
            tracing::error!(instance = &*instance.slug, %fault, "the health of an instance could not be noted");
        }
    }
}

fn logged(what: &str, error: &store::StoreError) {
    tracing::error!(error = error as &dyn std::error::Error, "{what} failed; it is tried again in time");
}
