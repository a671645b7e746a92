//! What both test binaries need: credentials in memory, an instance, a pool that may reach loopback.
#![allow(dead_code, unreachable_pub)]
use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backends::{
    Scope,
    odoo::{Credential, Credentials, OdooContext, Pool, PoolSettings, Reader, Writer},
};
use futures_util::future::BoxFuture;
use kernel::{
    CredentialId, Environment, Health, Instance, InstanceId, InstanceState, Networks, OrgId, Result, RpcConnection, RpcDialect,
    Selection, ServerId, Sources,
};
use tokio::time::Instant;

#[derive(Debug)]
pub struct Memory {
    pub secret: String,
    pub opened: AtomicUsize,
    pub refused: AtomicUsize,
}
impl Credentials for Memory {
    fn open<'a>(&'a self, _: &'a Instance, rpc: &'a RpcConnection) -> BoxFuture<'a, Result<Credential>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Credential { login: rpc.login.clone(), secret: self.secret.clone().into() }) })
    }
    fn refused<'a>(&'a self, _: &'a Instance, _: &'a RpcConnection) -> BoxFuture<'a, ()> {
        self.refused.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {})
    }
}

pub struct Bench {
    pub pool: Pool,
    pub instance: Arc<Instance>,
    pub memory: Arc<Memory>,
}
impl Bench {
    pub fn new(url: &str, database: &str, login: &str, secret: &str, dialect: RpcDialect) -> Self {
        Self::with(url, database, login, secret, dialect, PoolSettings::default())
    }
    pub fn with(url: &str, database: &str, login: &str, secret: &str, dialect: RpcDialect, settings: PoolSettings) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        });
        let sources = Sources::system();
        let memory = Arc::new(Memory { secret: secret.to_owned(), opened: AtomicUsize::new(0), refused: AtomicUsize::new(0) });
        let pool = Pool::new(memory.clone(), Networks::new(vec!["127.0.0.0/8".parse().unwrap()]), settings);
        let instance = Instance {
            id: InstanceId::new(&sources),
            org: OrgId::new(&sources),
            server: ServerId::new(&sources),
            server_name: "test".to_owned(),
            slug: "test".into(),
            url: url.parse().unwrap(),
            database: database.to_owned(),
            environment: Environment::Development,
            state: InstanceState::Active,
            health: Health::Unknown,
            version: None,
            edition: None,
            write_enabled: true,
            write_enabled_until: None,
            checked_at: None,
            rpc: Some(RpcConnection {
                credential: CredentialId::new(&sources),
                login: login.to_owned(),
                dialect,
                refused: false,
                generation: 1,
            }),
            host: kernel::Host::default(),
            posthog: None,
            ruled: false,
            concurrency: 4,
            generation: 1,
            created_at: sources.now(),
            updated_at: sources.now(),
        };
        Self { pool, instance: Arc::new(instance), memory }
    }
    pub fn reader_as(&self, scope: Scope, context: OdooContext, seconds: u64) -> Reader {
        self.pool.reader(self.instance.clone(), Arc::new(scope), context, Instant::now() + Duration::from_secs(seconds)).unwrap()
    }
    pub fn reader(&self) -> Reader {
        self.reader_as(open(), OdooContext::default(), 60)
    }
    pub fn writer_as(&self, scope: Scope) -> Writer {
        Writer::new(self.reader_as(scope, OdooContext::default(), 60), &permit(&self.instance))
    }
    pub fn writer(&self) -> Writer {
        self.writer_as(open())
    }
}

pub fn open() -> Scope {
    Scope {
        models: Selection::All,
        methods: std::collections::BTreeSet::default(),
        companies: Selection::All,
        lifts: &[],
        restricted: false,
        max_records: 500,
        max_search_limit: 1000,
        rules: None,
    }
}
pub fn only(models: &[&str]) -> Scope {
    Scope { models: Selection::only(models.iter().map(|m| (*m).to_owned())), restricted: true, ..open() }
}

/// The proof that only policy gives: asked of it, with an owner's key.
#[expect(clippy::disallowed_methods, reason = "tests stand in for identity")]
pub fn permit(instance: &Instance) -> kernel::WritePermit {
    let sources = Sources::system();
    let actor = kernel::Actor::verified(kernel::Verified {
        org: instance.org,
        org_slug: "test".into(),
        key: kernel::KeyId::new(&sources),
        key_label: "test".into(),
        user: None,
        role: kernel::Role::Owner,
        operator: true,
        permissions: Arc::new(kernel::Permissions::all()),
        own: None,
        grant: None,
        ceiling: Some(kernel::Access::Destructive),
        address: [127, 0, 0, 1].into(),
        facade: kernel::Facade::Cli,
        session: kernel::SessionId::new(&sources),
        at: sources.now(),
    });
    let facts = kernel::Facts {
        name: "write",
        category: kernel::Category::Orm,
        access: kernel::Access::Write,
        least: kernel::Access::Write,
        changes: kernel::Changes::Instance,
    };
    kernel::policy::decide(&actor, &facts, Some(instance), sources.now()).unwrap().write().unwrap()
}
