//! A dispatcher on a real store, with tools made for the test and an Odoo that nobody asks.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, dead_code, reason = "shared by a test and a bench")]
use std::{net::Ipv4Addr, sync::Arc};

use backends::odoo::{Credential, Credentials, Pool, PoolSettings};
use dispatch::{Answer, Call, Dispatch, Parts, View};
use futures_util::future::BoxFuture;
use kernel::{
    Actor, Code, Facade, Instance, KeyId, Networks, OrgId, Permissions, Role, RpcConnection, SessionId, Sources, Verified,
    refusal,
};
use serde_json::Value;
use store::{
    Db,
    audit::{Audit, AuditSettings, AuditTask},
    idempotency::Idempotency,
    registry::Registry,
    testing::TestStore,
    vault::{KeySource, Vault},
};
use tools::contract::Tool;

#[derive(Debug)]
struct NoCredentials;
impl Credentials for NoCredentials {
    fn open<'a>(&'a self, _: &'a Instance, _: &'a RpcConnection) -> BoxFuture<'a, kernel::Result<Credential>> {
        Box::pin(async { Err(refusal(Code::NotConfigured, "no credentials here").into()) })
    }
    fn refused<'a>(&'a self, _: &'a Instance, _: &'a RpcConnection) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}

pub struct World {
    pub store: TestStore,
    pub sources: Sources,
    pub dispatch: Arc<Dispatch>,
    pub org: OrgId,
    pub audit: AuditTask,
}
impl World {
    pub async fn new(tools: &'static [Tool]) -> Self {
        // The binary's main does this; a second time is refused, which is fine.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let store = store::testing::sqlite().await;
        // Deadlines and ages are real here.
        let sources = Sources::system();
        let mut tx = store.begin().await.unwrap();
        let org = store::orgs::create(&mut tx, "acme", "Acme", &sources).await.unwrap();
        tx.commit().await.unwrap();
        let vault = Vault::open(&store, KeySource::in_data_dir(store.dir.path()), &sources).await.unwrap();
        let db: Db = store.db.clone();
        let (audit, task) = Audit::start(db.clone(), sources.clone(), AuditSettings::new("test"));
        let registry = Arc::new(Registry::load(db.clone(), sources.clone()).await.unwrap());
        let dispatch = Dispatch::with_tools(
            Parts {
                registry,
                audit,
                idempotency: Idempotency::new(db.clone(), vault.clone(), sources.clone()),
                operations: store::operations::Operations::new(db, vault.clone(), sources.clone(), "test"),
                pool: Pool::new(Arc::new(NoCredentials), Networks::default(), PoolSettings::default()),
                posthog: backends::posthog::Pool::default(),
                postgres: backends::postgres::Pool::default(),
                docker: backends::docker::Pool::default(),
                files: backends::files::Pool::default(),
                backups: backends::backup::Pool::default(),
                links: None,
                vault: vault.clone(),
                sources: sources.clone(),
                signing_key: [7; 32],
                default_per_minute: Some(1_000_000_000),
            },
            tools,
        );
        Self { store, sources, dispatch, org, audit: task }
    }
    /// Another process on the same store.
    #[allow(dead_code, reason = "not every test has two")]
    pub async fn another(&self, tools: &'static [Tool]) -> Arc<Dispatch> {
        let (db, sources) = (self.store.db.clone(), self.sources.clone());
        let vault = Vault::open(&db, KeySource::in_data_dir(self.store.dir.path()), &sources).await.unwrap();
        let (audit, task) = Audit::start(db.clone(), sources.clone(), AuditSettings::new("another"));
        // It writes as long as the test lasts.
        std::mem::forget(task);
        let parts = Parts {
            registry: Arc::new(Registry::load(db.clone(), sources.clone()).await.unwrap()),
            audit,
            idempotency: Idempotency::new(db.clone(), vault.clone(), sources.clone()),
            operations: store::operations::Operations::new(db, vault.clone(), sources.clone(), "another"),
            pool: Pool::new(Arc::new(NoCredentials), Networks::default(), PoolSettings::default()),
            posthog: backends::posthog::Pool::default(),
            postgres: backends::postgres::Pool::default(),
            docker: backends::docker::Pool::default(),
            files: backends::files::Pool::default(),
            backups: backends::backup::Pool::default(),
            links: None,
            vault: vault.clone(),
            sources,
            signing_key: [7; 32],
            default_per_minute: Some(1_000_000_000),
        };
        Dispatch::with_tools(parts, tools)
    }

    pub fn actor(&self, permissions: Permissions) -> Arc<Actor> {
        self.actor_at(permissions, self.sources.now())
    }
    pub fn actor_at(&self, permissions: Permissions, at: kernel::Timestamp) -> Arc<Actor> {
        Actor::verified(Verified {
            org: self.org,
            org_slug: "acme".into(),
            key: KeyId::new(&self.sources),
            key_label: "test".into(),
            user: None,
            role: Role::Owner,
            operator: false,
            permissions: Arc::new(permissions),
            own: None,
            grant: None,
            ceiling: Some(kernel::Access::Destructive),
            address: Ipv4Addr::LOCALHOST.into(),
            facade: Facade::Mcp,
            session: SessionId::new(&self.sources),
            at,
        })
    }
    pub async fn call(&self, name: &str, arguments: Value) -> Answer {
        self.call_as(&self.actor(Permissions::all()), name, arguments).await
    }
    pub async fn call_as(&self, actor: &Arc<Actor>, name: &str, arguments: Value) -> Answer {
        let call = Call { actor: Arc::clone(actor), view: View::default(), name: name.to_owned(), arguments };
        self.dispatch.call(call).answer().await
    }
    /// The audit rows so far as `tool state code`, oldest first.
    pub async fn rows(&self) -> Vec<String> {
        // Rows of reads and refusals are written in batches.
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        let rows = self
            .store
            .fetch_all("SELECT tool, state, code, arguments, summary FROM call_audit ORDER BY id", vec![])
            .await
            .unwrap();
        rows.iter()
            .map(|r| {
                let code = r.opt_text("code").unwrap().unwrap_or_default();
                format!(
                    "{} {} {code}|{}|{}",
                    r.text("tool").unwrap(),
                    r.text("state").unwrap(),
                    r.text("arguments").unwrap(),
                    r.opt_text("summary").unwrap().unwrap_or_default()
                )
            })
            .collect()
    }
}
