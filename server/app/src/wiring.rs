//! Who gets what: from the settings to the store, and from the store to a server.
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::unix::fs::DirBuilderExt as _,
    sync::Arc,
};

use admin::{Admin, By, impersonations::Visits, set_up::SetUp};
use backends::{
    backup, docker, files,
    odoo::{Credential, Credentials, Pool, PoolSettings},
    postgres, posthog,
};
use dispatch::Dispatch;
use futures_util::future::BoxFuture;
use gateway::{Gateway, Gauge};
use identity::{Keys, People, fetch::Fetch, oauth::server::Server as OauthServer, openid::Providers};
use kernel::{Code, Instance, Networks, RpcConnection, SecretString, Sources, refusal};
use store::{
    Db, DbUrl, Engine,
    audit::{Audit, AuditSettings, AuditTask},
    credentials::CredentialStore,
    idempotency::Idempotency,
    operations::Operations,
    registry::Registry,
    secrets,
    security::{SecurityEvents, SecurityTask},
    vault::Vault,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Settings,
    failure::{Failure, Result},
};

/// The opened store with what administers it: all that a command needs.
#[derive(Debug, Clone)]
pub struct Base {
    pub admin: Admin,
    /// Who runs this process.
    pub by: By,
}
impl Base {
    /// Opens the store of these settings. SQLite is brought up to date by whoever opens it; PostgreSQL, which several nodes share,
    /// only by `ocore migrate`.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let db = connect(settings).await?;
        let pending = db.pending_migrations().await?;
        if !pending.is_empty() {
            if db.engine() == Engine::Postgres {
                return Err(Failure::failed(format!("The store lacks {}.", pending.join(", ")))
                    .next("Run ocore migrate, once, before the new version serves."));
            }
            db.migrate().await?;
        }
        let sources = Sources::system();
        let vault = Vault::open(&db, settings.key_source(), &sources).await?;
        let admin = Admin {
            db,
            vault,
            sources,
            networks: Networks::new(settings.instance_networks.clone()),
            calls_per_minute: settings.calls_per_minute,
            tools: tools::CATALOGUE.iter().map(|t| t.facts.name).collect(),
        };
        Ok(Self { admin, by: By::Host { login: login() } })
    }

    /// Applies what is missing; gives the names.
    pub async fn migrate(settings: &Settings) -> Result<Vec<String>> {
        let db = connect(settings).await?;
        let pending = db.pending_migrations().await?;
        db.migrate().await?;
        db.close().await;
        Ok(pending)
    }

    /// Takes the addresses at which this process listens out of those that instances may live at.
    pub fn listens_at(&mut self, bound: Vec<SocketAddr>) {
        let networks = std::mem::take(&mut self.admin.networks);
        self.admin.networks = networks.with_listeners(bound, local);
    }

    pub async fn close(&self) {
        self.admin.db.close().await;
    }

    /// The ways to instances' PostHogs, with the keys of the store.
    pub fn posthog(&self) -> posthog::Pool {
        let Admin { db, vault, sources, networks, .. } = &self.admin;
        let store = CredentialStore::new(db.clone(), vault.clone(), sources.clone());
        posthog::Pool::new(Arc::new(Stored(store)), networks.clone())
    }

    /// The ways to instances' databases.
    pub fn postgres(&self) -> postgres::Pool {
        let Admin { db, vault, sources, networks, .. } = &self.admin;
        let store = CredentialStore::new(db.clone(), vault.clone(), sources.clone());
        postgres::Pool::new(Arc::new(Stored(store)), networks.clone())
    }

    /// The address of an instance's own database.
    pub async fn postgres_address(&self, instance: &Instance) -> Result<postgres::Address> {
        let Admin { db, vault, sources, .. } = &self.admin;
        let stored = Stored(CredentialStore::new(db.clone(), vault.clone(), sources.clone()));
        let url = postgres::Logins::address(&stored, instance).await?;
        Ok(postgres::Address::parse(&url)?)
    }

    /// A login of ocore's own, with a new password.
    pub fn sql_login(&self, user: String) -> postgres::SqlLogin {
        let mut bytes = [0; 24];
        self.admin.sources.random.fill(&mut bytes);
        let password = hex(&bytes);
        postgres::SqlLogin { user, password: password.into() }
    }

    /// The ways to instances' backups. `key` vouches for their manifests.
    pub fn backups(&self, settings: &Settings, postgres: postgres::Pool, key: &[u8; 32]) -> backup::Pool {
        let Admin { db, vault, sources, .. } = &self.admin;
        let store = Arc::new(Stored(CredentialStore::new(db.clone(), vault.clone(), sources.clone())));
        let key = secrecy::SecretSlice::from(key.to_vec());
        backup::Pool::new(self.docker(), postgres, store, key, env!("CARGO_PKG_VERSION"), settings.backup_limit)
    }

    /// The same for a command.
    pub async fn backups_pool(&self, settings: &Settings) -> Result<backup::Pool> {
        let Admin { db, vault, sources, .. } = &self.admin;
        let key = secrets::named(db, vault, secrets::BACKUPS, sources).await?;
        Ok(self.backups(settings, self.postgres(), &key))
    }

    /// The instance's own login, to give it to a copy.
    pub async fn stored_login(&self, instance: &Instance) -> Result<Option<admin::instances::Login>> {
        let Some(rpc) = &instance.rpc else { return Ok(None) };
        let Admin { db, vault, sources, .. } = &self.admin;
        let store = CredentialStore::new(db.clone(), vault.clone(), sources.clone());
        let opened = store.open(instance.id, rpc.credential).await.map_err(kernel::Fault::from)?;
        Ok(opened.map(|o| admin::instances::Login { login: o.login, secret: o.secret, dialect: rpc.dialect }))
    }

    /// The ways to instances' containers.
    pub fn docker(&self) -> docker::Pool {
        let Admin { db, vault, sources, networks, .. } = &self.admin;
        let store = CredentialStore::new(db.clone(), vault.clone(), sources.clone());
        docker::Pool::new(Arc::new(Stored(store)), networks.clone(), sources.clone())
    }

    /// The ways into instances, with the secrets of the store.
    pub fn pool(&self) -> Pool {
        let Admin { db, vault, sources, networks, .. } = &self.admin;
        let store = CredentialStore::new(db.clone(), vault.clone(), sources.clone());
        Pool::new(Arc::new(Stored(store)), networks.clone(), PoolSettings::default())
    }
}

async fn connect(settings: &Settings) -> Result<Db> {
    let folder = match &settings.database_url {
        DbUrl::Sqlite(path) => path.parent().unwrap_or(&settings.data).to_owned(),
        DbUrl::Postgres { .. } => settings.data.clone(),
    };
    for folder in [&settings.data, &folder] {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| {
            Failure::because(&format!("The folder {} cannot be made", folder.display()), &e)
                .next("Name another with --data or OCORE_DATA, or make it and give it to the user that runs ocore.")
        })?;
    }
    Ok(Db::open(&settings.database_url).await?)
}

/// Whether an address is one of this machine's, however it came to it and since when: a socket can be bound to it. Where the system
/// lets sockets be bound to any address, it is one from which the machine would speak to itself.
fn local(address: IpAddr) -> bool {
    let bound = |to: IpAddr| match UdpSocket::bind((to, 0)) {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::AddrNotAvailable,
    };
    // Reserved for documentation, so nobody's.
    let (nobody, any): (IpAddr, IpAddr) = match address {
        IpAddr::V4(_) => (Ipv4Addr::new(192, 0, 2, 1).into(), Ipv4Addr::UNSPECIFIED.into()),
        IpAddr::V6(_) => (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(), Ipv6Addr::UNSPECIFIED.into()),
    };
    if !bound(address) {
        return false;
    }
    // Connecting a datagram socket sends nothing; it only chooses the way.
    let spoken_from = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((address, 9))?;
        Ok(socket.local_addr()?.ip())
    };
    !bound(nobody) || address.is_loopback() || spoken_from().is_ok_and(|from| from == address)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// The name of whoever runs the process, for the main audit log.
fn login() -> String {
    let set = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    set("SUDO_USER").or_else(|| set("USER")).or_else(|| set("LOGNAME")).unwrap_or_else(|| "host".into())
}

/// The store as the backends see it: secrets go out, refusals come in.
#[derive(Debug)]
struct Stored(CredentialStore);
impl Credentials for Stored {
    fn open<'a>(&'a self, instance: &'a Instance, rpc: &'a RpcConnection) -> BoxFuture<'a, kernel::Result<Credential>> {
        Box::pin(async move {
            let found = self.0.open(instance.id, rpc.credential).await?;
            let advice = match found.as_ref().and_then(|opened| opened.key) {
                Some(key) => format!(
                    "It is the key's own login. An administrator gives it again: ocore key credential {key} --instance {} --login {} --secret-stdin",
                    instance.slug, rpc.login
                ),
                None => format!(
                    "An administrator gives it again: ocore instance update {} --login {} --secret-stdin",
                    instance.slug, rpc.login
                ),
            };
            match found {
                Some(opened) if opened.refused => {
                    Err(refusal(Code::OdooError, format!("Odoo refused the login {} of {} before.", opened.login, instance.slug))
                        .next(advice)
                        .into())
                }
                Some(opened) => Ok(Credential { login: opened.login, secret: opened.secret }),
                None => {
                    Err(refusal(Code::NotConfigured, format!("{} has no login any more.", instance.slug)).next(advice).into())
                }
            }
        })
    }
    fn refused<'a>(&'a self, _: &'a Instance, rpc: &'a RpcConnection) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            match self.0.mark_refused(rpc.credential, rpc.generation).await {
                Ok(true) => tracing::warn!(login = rpc.login, "Odoo refused a login; it is not used again until it is changed"),
                Ok(false) => {}
                Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "a refused login could not be marked"),
            }
        })
    }
}

impl posthog::Keys for Stored {
    fn open<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, kernel::Result<SecretString>> {
        Box::pin(async move {
            self.0.posthog_key(instance.org, instance.id).await?.ok_or_else(|| {
                refusal(Code::NotConfigured, format!("{} has no PostHog key any more.", instance.slug))
                    .next(format!("An administrator gives it again: ocore instance update {} --posthog-key-stdin", instance.slug))
                    .into()
            })
        })
    }
}

impl postgres::Logins for Stored {
    fn address<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, kernel::Result<SecretString>> {
        Box::pin(async move {
            self.0.postgres_url(instance.org, instance.id).await?.ok_or_else(|| {
                refusal(Code::NotConfigured, format!("{} has no PostgreSQL address any more.", instance.slug))
                    .next(format!("The operator gives it again: ocore instance update {} --postgres-url-stdin", instance.slug))
                    .into()
            })
        })
    }
    fn login<'a>(&'a self, instance: &'a Instance, writer: bool) -> BoxFuture<'a, kernel::Result<Option<postgres::SqlLogin>>> {
        Box::pin(async move {
            let found = self.0.sql_login(instance.org, instance.id, writer).await?;
            Ok(found.map(|login| postgres::SqlLogin { user: login.user, password: login.password }))
        })
    }
}

impl docker::Secrets for Stored {
    fn open(&self, org: kernel::OrgId, server: kernel::ServerId) -> BoxFuture<'_, kernel::Result<Option<SecretString>>> {
        Box::pin(async move { Ok(self.0.docker_secret(org, server).await?) })
    }
}

/// Everything that a serving process is made of, in the order in which it is taken apart again.
pub struct Node {
    pub base: Base,
    pub registry: Arc<Registry>,
    pub keys: Arc<Keys>,
    pub oauth: Arc<OauthServer>,
    pub pool: Pool,
    pub postgres: postgres::Pool,
    pub backups: backup::Pool,
    pub backup_keep_days: Option<u32>,
    pub idempotency: Idempotency,
    pub operations: Operations,
    pub dispatch: Arc<Dispatch>,
    pub gateway: Arc<Gateway>,
    pub site: Arc<web::Site>,
    /// The token that makes the first user; none when there is one.
    pub set_up: Option<SecretString>,
    pub shutdown: CancellationToken,
    /// Raised by the jobs when somebody's list of tools may have changed.
    pub changes: watch::Sender<u64>,
    audit_task: AuditTask,
    security_task: SecurityTask,
}
impl Node {
    /// Wants a Tokio runtime: it starts the tasks that write.
    pub async fn start(settings: &Settings, base: Base) -> Result<Self> {
        let Admin { db, vault, sources, .. } = &base.admin;
        let (db, sources) = (db.clone(), sources.clone());
        let registry = Arc::new(Registry::load(db.clone(), sources.clone()).await?);
        let backups_key = secrets::named(&db, vault, secrets::BACKUPS, &sources).await?;
        let signing_key = secrets::named(&db, vault, secrets::CONFIRM_TOKENS, &sources).await?;
        let audit_settings = AuditSettings {
            queue_rows: settings.audit_queue_rows,
            queue_bytes: settings.audit_queue_bytes,
            ..AuditSettings::new(node_name())
        };
        let (audit, audit_task) = Audit::start(db.clone(), sources.clone(), audit_settings);
        let (security, security_task) = SecurityEvents::start(db.clone(), sources.clone());
        let idempotency = Idempotency::new(db.clone(), vault.clone(), sources.clone());
        let operations = Operations::new(db.clone(), vault.clone(), sources.clone(), node_name());
        let (pool, postgres) = (base.pool(), base.postgres());
        let backups = base.backups(settings, postgres.clone(), &backups_key);
        let keys = Arc::new(Keys::new(Arc::clone(&registry), db.clone(), sources.clone()));
        let fetch =
            Fetch::new(base.admin.networks.clone()).map_err(|e| Failure::because("The client of HTTP could not be made", &e))?;
        // With a fetch of its own, so that slow hosts of strangers keep nobody from signing in.
        let providers = Providers::new(settings.openid.clone(), base.admin.networks.clone(), sources.clone())
            .map_err(|e| Failure::because("The client of HTTP could not be made", &e))?;
        let oauth = Arc::new(OauthServer::new(db.clone(), sources.clone(), settings.redirect_schemes.clone(), fetch));
        let dispatch = Dispatch::new(dispatch::Parts {
            registry: Arc::clone(&registry),
            audit: audit.clone(),
            idempotency: idempotency.clone(),
            operations: operations.clone(),
            pool: pool.clone(),
            posthog: base.posthog(),
            postgres: postgres.clone(),
            files: files::Pool::new(base.docker(), files::Folders { forbidden: settings.own_folders() }),
            backups: backups.clone(),
            docker: base.docker(),
            links: settings.places.as_ref().and(settings.public_url.clone()),
            vault: vault.clone(),
            sources: sources.clone(),
            signing_key: *signing_key,
            default_per_minute: Some(settings.calls_per_minute),
        });
        let events: gateway::Events = Arc::new(move |kind, address, detail| security.event(kind, address, detail));
        let visits = match (&settings.places, tools::find("impersonate_user")) {
            (Some(places), Some(tool)) => Some(Arc::new(Visits::new(
                base.admin.clone(),
                Arc::clone(&registry),
                Arc::clone(&keys),
                pool.pages(),
                tool.facts,
                places.clone(),
            ))),
            _ => None,
        };
        let (way, set_up) = SetUp::open(&base.admin).await?.unzip();
        let site = Arc::new(web::Site {
            people: People::new(db.clone(), vault.clone(), sources.clone(), providers),
            admin: base.admin.clone(),
            oauth: Arc::clone(&oauth),
            keys: Arc::clone(&keys),
            tools: tools::CATALOGUE.iter().map(|tool| web::Offered { facts: tool.facts, title: tool.title }).collect(),
            set_up: way,
            visits,
            sources: sources.clone(),
            events: Arc::clone(&events),
        });
        let shutdown = CancellationToken::new();
        let (changes, changed) = watch::channel(0);
        let gateway = Gateway::new(gateway::State {
            config: gateway::Config {
                public_url: settings.public_url.clone(),
                origins: settings.allowed_origins.clone(),
                trusted_proxies: settings.trusted_proxies.clone(),
                legacy_sessions: settings.legacy_sessions,
                metrics_token: settings.metrics_token.clone(),
            },
            keys: Arc::clone(&keys),
            oauth: Arc::clone(&oauth),
            dispatch: Arc::clone(&dispatch),
            sources: sources.clone(),
            events,
            ready: ready(db),
            changes: Some(changed),
            gauges: gauges(&audit, &dispatch),
            shutdown: shutdown.clone(),
        })
        .map_err(|e| Failure::because("The HTTP surface could not be made", &e))?;
        Ok(Self {
            base,
            registry,
            keys,
            oauth,
            pool,
            postgres,
            backups,
            backup_keep_days: settings.backup_keep_days,
            idempotency,
            operations,
            dispatch,
            gateway,
            site,
            set_up,
            shutdown,
            changes,
            audit_task,
            security_task,
        })
    }

    /// Writes what waits and closes the store. Calls must have ended.
    pub async fn close(self) {
        self.security_task.close().await;
        if self.audit_task.close().await.is_err() {
            tracing::error!("audit rows were left unwritten");
        }
        self.base.close().await;
    }
}

/// Whether the store answers.
fn ready(db: Db) -> Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync> {
    Arc::new(move || {
        let db = db.clone();
        Box::pin(async move { store::events::latest(&db).await.is_ok() })
    })
}

fn gauges(audit: &Audit, dispatch: &Arc<Dispatch>) -> Vec<Gauge> {
    let of_audit = |name, help, read: fn(&store::audit::AuditMetrics) -> u64| {
        let audit = audit.clone();
        Gauge { name, help, read: Arc::new(move || i64::try_from(read(&audit.metrics())).unwrap_or(i64::MAX)) }
    };
    let running = Arc::downgrade(dispatch);
    vec![
        of_audit("ocore_audit_rows_waiting", "Audit rows that wait to be written.", |m| m.waiting as u64),
        of_audit("ocore_audit_rows_written", "Audit rows written since the start.", |m| m.rows),
        of_audit("ocore_audit_write_failures", "Audit transactions that failed since the start.", |m| m.failures),
        of_audit("ocore_audit_rows_rejected", "Audit rows that the store refused since the start.", |m| m.rejected),
        of_audit("ocore_audit_calls_refused", "Calls refused since the start because the audit queue was full.", |m| m.busy),
        Gauge {
            name: "ocore_dispatch_calls_running",
            help: "Calls under way, those whose client went away included.",
            read: Arc::new(move || running.upgrade().map_or(0, |d| i64::try_from(d.in_flight()).unwrap_or(i64::MAX))),
        },
    ]
}

/// Names this process in its audit rows: the host, and a number that another process on it does not have.
#[expect(clippy::disallowed_methods, reason = "the machine's own name")]
fn node_name() -> String {
    let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
    let host = host.trim();
    format!("{}:{}", if host.is_empty() { "host" } else { host }, std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine() {
        for (address, here) in [("127.0.0.1", true), ("127.0.0.53", true), ("192.0.2.7", false), ("8.8.8.8", false)] {
            assert_eq!(local(address.parse().unwrap()), here, "{address}");
        }
    }
}
