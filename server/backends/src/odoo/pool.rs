//! One client per instance, credential and generation: made by the first call that needs it while the others wait, dropped
//! after a time without use, and never more than a cap.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kernel::{Code, CredentialId, Fault, Instance, InstanceId, Networks, OdooVersion, Refusal, RpcDialect, refusal};
use moka::future::Cache;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::{
    Credentials, OdooContext, Reader, Result, ServerVersion, client::Client, dialect::Context, error::Failure, gate::Gate,
    http::Http, pages::Pages, schema::Schemas,
};
use crate::Scope;

/// How clients are kept. The defaults suit; tests of faults shorten the times.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The most clients at a time.
    pub clients: u64,
    /// A client unused for so long is dropped.
    pub idle: Duration,
    /// How long a connection may take to come about.
    pub connect: Duration,
    /// How long an unused connection is kept. Below the 75 s after which common proxies close theirs.
    pub keep_connections: Duration,
    /// The largest answer taken, in bytes.
    pub max_body: usize,
    /// Failures in a row that open an instance's breaker.
    pub breaker_failures: u32,
    /// How long it stays open before the next try.
    pub breaker_pause: Duration,
    /// How long fields and models are cached.
    pub schema_age: Duration,
}
impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            clients: 1_000,
            idle: Duration::from_mins(15),
            connect: Duration::from_secs(5),
            keep_connections: Duration::from_secs(30),
            max_body: 64 * 1024 * 1024,
            breaker_failures: 5,
            breaker_pause: Duration::from_secs(10),
            schema_age: Duration::from_mins(5),
        }
    }
}

/// The ways into all instances. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}
#[derive(Debug)]
struct Inner {
    credentials: Arc<dyn Credentials>,
    http: Arc<Http>,
    pages: Arc<Http>,
    clients: Cache<Key, Arc<Client>>,
    gates: Cache<InstanceId, Arc<Gate>>,
    /// By the origin of an Odoo, which may serve several instances.
    printers: Cache<String, Arc<Semaphore>>,
    schemas: Schemas,
    next: AtomicU64,
    settings: PoolSettings,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    instance: InstanceId,
    generation: i64,
    credential: CredentialId,
    credential_generation: i64,
    dialect: RpcDialect,
}

/// What `instance check` finds out.
#[derive(Debug, Clone)]
pub struct Checked {
    pub version: OdooVersion,
    pub server_version: ServerVersion,
    /// `community` or `enterprise`.
    pub edition: String,
    /// The database that the login succeeded for.
    pub database: String,
    /// The Odoo user behind the credential.
    pub uid: i64,
    /// session, jsonrpc or json2: how ocore speaks with it.
    pub dialect: String,
}

impl Pool {
    pub fn new(credentials: Arc<dyn Credentials>, networks: Networks, settings: PoolSettings) -> Self {
        // Apart from ocore's own calls: what browsers send must not share their connections.
        let pages = Arc::new(Http::new(networks.clone(), settings.connect, settings.keep_connections, settings.max_body));
        let http = Arc::new(Http::new(networks, settings.connect, settings.keep_connections, settings.max_body));
        Self {
            inner: Arc::new(Inner {
                credentials,
                http,
                pages,
                clients: Cache::builder().max_capacity(settings.clients).time_to_idle(settings.idle).build(),
                // A gate outlives its clients: what was learnt about an instance holds for the next credential too.
                gates: Cache::builder()
                    .max_capacity(settings.clients.saturating_mul(4))
                    .time_to_idle(settings.idle.saturating_mul(4))
                    .build(),
                printers: Cache::builder().max_capacity(settings.clients).time_to_idle(settings.idle.saturating_mul(4)).build(),
                schemas: Schemas::new(settings.schema_age),
                next: AtomicU64::new(1),
                settings,
            }),
        }
    }

    /// The way to Odoo's own pages.
    pub fn pages(&self) -> Pages {
        Pages::new(Arc::clone(&self.inner.pages))
    }

    /// A handle for one call. No I/O: it connects when first used. Refused when the instance has no RPC connection, when Odoo
    /// has refused its credential, or when the context names companies outside the key's.
    pub fn reader(&self, instance: Arc<Instance>, scope: Arc<Scope>, context: OdooContext, deadline: Instant) -> Result<Reader> {
        usable(&instance)?;
        let allowed_company_ids = scope.companies(context.allowed_company_ids.as_deref())?;
        let sent = Context {
            lang: context.lang.clone(),
            tz: context.tz.clone(),
            allowed_company_ids,
            active_test: context.active_test,
            bin_size: context.bin_size,
            ..Context::default()
        };
        Ok(Reader::new(self.clone(), instance, scope, context, sent, deadline))
    }

    /// Whether the login to this very database works, and what answers there. Uses the credential even if the instance was
    /// never checked before; a refused one stays refused.
    pub async fn check(&self, instance: &Arc<Instance>, deadline: Instant) -> Result<Checked> {
        usable(instance)?;
        let client = self.client(instance).await?;
        let plain = |failure| match failure {
            Failure::Odoo(e) => Fault::Refused(super::error::OdooError::refusal(&e, "res.users", "context_get")),
            Failure::Fault(fault) | Failure::Again(fault) => fault,
        };
        let uid = client.user(deadline).await.map_err(plain)?;
        let version = client.odoo_version(deadline).await.map_err(plain)?;
        let info = client.version(deadline).await.map_err(plain)?;
        Ok(Checked {
            version,
            server_version: ServerVersion { server_version: info.full.clone(), server_serie: info.serie() },
            edition: info.edition().to_owned(),
            database: instance.database.clone(),
            uid,
            dialect: client.spoken().unwrap_or("unknown").to_owned(),
        })
    }

    pub(super) async fn client(&self, instance: &Arc<Instance>) -> Result<Arc<Client>> {
        let rpc = instance.rpc.as_ref().ok_or_else(no_connection)?;
        let key = Key {
            instance: instance.id,
            generation: instance.generation,
            credential: rpc.credential,
            credential_generation: rpc.generation,
            dialect: rpc.dialect,
        };
        if let Some(client) = self.inner.clients.get(&key).await {
            client.allow(instance.concurrency);
            return Ok(client);
        }
        self.inner.clients.try_get_with(key, self.make(instance)).await.map_err(|fault: Arc<Fault>| match &*fault {
            Fault::Refused(why) => Fault::Refused(why.clone()),
            Fault::Failed { what } => Fault::Failed { what: what.clone() },
            Fault::Unknown { message, check } => Fault::Unknown { message: message.clone(), check: check.clone() },
        })
    }
    async fn make(&self, instance: &Arc<Instance>) -> Result<Arc<Client>> {
        let inner = &self.inner;
        let rpc = instance.rpc.clone().ok_or_else(no_connection)?;
        let credential = inner.credentials.open(instance, &rpc).await?;
        let settings = &inner.settings;
        let gate = inner
            .gates
            .get_with(instance.id, async {
                Arc::new(Gate::new(instance.concurrency, settings.breaker_failures, settings.breaker_pause))
            })
            .await;
        let id = inner.next.fetch_add(1, Ordering::Relaxed);
        Client::new(id, Arc::clone(&inner.http), gate, Arc::clone(&inner.credentials), Arc::clone(instance), rpc, credential)
            .map(Arc::new)
    }
    /// The turn to have an Odoo make a PDF. Its wkhtmltopdf fetches styles and images from the very Odoo that waits for it:
    /// with as many PDFs at a time as workers, every worker waits and none is left to answer (seen on 14 with two workers,
    /// which then stands still until its own time limit). So ocore asks for one at a time.
    pub(super) async fn printer(&self, instance: &Instance, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        let origin = instance.url.origin().ascii_serialization();
        let printer = self.inner.printers.get_with(origin, async { Arc::new(Semaphore::new(1)) }).await;
        match timeout_at(deadline, printer.acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(refusal(Code::Busy, "This Odoo already makes another PDF, and it did not end before the deadline.")
                .next("Try again in a moment, or raise timeout_seconds. The format html needs no turn.")
                .into()),
        }
    }
    pub(super) fn schemas(&self) -> &Schemas {
        &self.inner.schemas
    }
}

fn no_connection() -> Refusal {
    refusal(Code::NotConfigured, "This instance has no RPC connection.")
        .next("An administrator adds an Odoo login to the instance.")
}
fn usable(instance: &Instance) -> Result<(), Refusal> {
    match &instance.rpc {
        None => Err(no_connection()),
        Some(rpc) if rpc.refused => Err(refusal(
            Code::NotConfigured,
            format!("Odoo refused the credential {} of this instance; ocore does not use it again.", rpc.login),
        )
        .next("An administrator stores a new secret for it (or corrects the login).")),
        Some(_) => Ok(()),
    }
}
