//! The handles that tools get: SQL of one call on one instance, under the caller's scope.
use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use kernel::{
    Code, ExposeSecret as _, Fault, Instance, InstanceId, Networks, Refusal, Result, SecretString, WritePermit, refusal,
};
use moka::future::Cache;
use parking_lot::Mutex;
use rustls::{RootCertStore, pki_types::pem::PemObject as _};
use serde_json::Value;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    catalogue::{self, Catalogue},
    guard::{self, Checked, Kind, Refused},
    roles::{self, Finding, Login, Roles},
    session::{Error, Fate, Key, Limits, Pools, Preview, Role, ScriptOutcome, Target, Tls},
    tables::{self, Table, Wanted},
    tls::Connector,
    values::Answer,
};
use crate::Scope;

/// What opens the sealed logins of an instance's database.
pub trait Logins: std::fmt::Debug + Send + Sync {
    /// The address that the operator gave, with Odoo's own login; or a refusal when there is none any more.
    fn address<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<SecretString>>;
    /// ocore's own login for reading, or for writing.
    fn login<'a>(&'a self, instance: &'a Instance, writer: bool) -> BoxFuture<'a, Result<Option<SqlLogin>>>;
}

/// A login of ocore's own.
#[derive(Debug, Clone)]
pub struct SqlLogin {
    pub user: String,
    pub password: SecretString,
}

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);
/// The longest wait for a lock.
const LOCK: Duration = Duration::from_secs(3);
/// Connections at a time and login; more calls wait.
const CONNECTIONS: usize = 4;
/// Bytes of an answer as the server sends it.
const MOST_BYTES: usize = 8 << 20;
/// The highest cost that the plan of a SELECT may have: some minutes of reading. What is above is stopped before it starts.
const MOST_COST: f64 = 20_000_000.0;
/// What is told of no table unless the catalogue has it; new modules make it stale, and a miss loads it anew.
const CATALOGUE_LIVES: Duration = Duration::from_mins(5);
const IDLE: Duration = Duration::from_mins(5);

/// `postgres://user:password@host:port/database?sslmode=…`, taken apart.
#[derive(Debug, Clone)]
pub struct Address {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: SecretString,
    tls: Tls,
}
impl Address {
    /// # Errors
    /// `invalid_argument` when it is no such URL; the text is never repeated.
    pub fn parse(text: &SecretString) -> std::result::Result<Self, Refusal> {
        const FORM: &str =
            "Write postgres://user:password@host:5432/database, with ?sslmode=disable|prefer|require|verify-full if you like.";
        let no = |what: String| refusal(Code::InvalidArgument, what).next(FORM);
        let url = Url::parse(text.expose_secret().trim()).map_err(|_| no("The database address is no URL.".into()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(no("The database address is no PostgreSQL URL.".into()));
        }
        let decoded = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned);
        let not_text = |_| no("A part of the database address is not UTF-8.".into());
        let host = url.host_str().filter(|h| !h.is_empty()).ok_or_else(|| no("The database address names no host.".into()))?;
        let database = decoded(url.path().trim_start_matches('/')).map_err(not_text)?;
        let user = decoded(url.username()).map_err(not_text)?;
        if database.is_empty() || user.is_empty() {
            return Err(no("The database address lacks the user or the database.".into()));
        }
        let mut tls = Tls::default();
        for (name, value) in url.query_pairs() {
            tls = match (&*name, &*value) {
                ("sslmode", "disable") => Tls::Disable,
                ("sslmode", "allow" | "prefer") => Tls::Prefer,
                ("sslmode", "require") => Tls::Require,
                ("sslmode", "verify-full") => Tls::VerifyFull,
                ("sslmode", _) => return Err(no("That sslmode is none that ocore knows.".into())),
                _ => return Err(no(format!("The database address has the parameter {:?}, which ocore does not know.", &*name))),
            };
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(5432),
            database,
            user,
            password: decoded(url.password().unwrap_or_default()).map_err(not_text)?.into(),
            tls,
        })
    }
    /// `user@host:port`, what instances of one login have in common.
    pub fn login(&self) -> String {
        format!("{}@{}:{}", self.user, self.host.to_lowercase(), self.port)
    }
    /// User and password, for programs that run elsewhere.
    pub(crate) fn credentials(&self) -> (String, SecretString) {
        (self.user.clone(), self.password.clone())
    }
    /// Host and port.
    pub(crate) fn place(&self) -> (String, u16) {
        (self.host.clone(), self.port)
    }
    /// The database that it names.
    pub fn database(&self) -> &str {
        &self.database
    }
    async fn target(&self, networks: &Networks, ca: Option<&str>, login: Option<&SqlLogin>) -> Result<Target> {
        let address = resolved(networks, &self.host, self.port).await?;
        let (user, secret) = match login {
            Some(own) => (own.user.clone(), own.password.clone()),
            None => (self.user.clone(), self.password.clone()),
        };
        Ok(Target {
            host: self.host.clone(),
            address: Some(address),
            port: self.port,
            database: self.database.clone(),
            user,
            secret,
            tls: self.tls,
            roots: ca.map(roots).transpose()?,
            connect_timeout: CONNECT,
            connections: CONNECTIONS,
        })
    }
}

/// The certificates of a PEM text.
///
/// # Errors
/// `invalid_argument` when there is none, or one cannot be read.
pub fn roots(pem: &str) -> std::result::Result<RootCertStore, Refusal> {
    let bad = || {
        refusal(Code::InvalidArgument, "The certificates of the database server are not readable.")
            .next("Give the PEM file of the authority that signed the server's certificate (-----BEGIN CERTIFICATE-----).")
    };
    let mut store = RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(pem.as_bytes()) {
        store.add(certificate.map_err(|_| bad())?).map_err(|_| bad())?;
    }
    if store.is_empty() { Err(bad()) } else { Ok(store) }
}

/// The address to connect to, if it is one that ocore may.
async fn resolved(networks: &Networks, host: &str, port: u16) -> Result<IpAddr> {
    let nowhere = || {
        refusal(Code::Unreachable, "The name of the PostgreSQL server has no address.")
            .next("The operator corrects the instance's PostgreSQL address.")
    };
    let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((host, port))).await.map_err(|_| nowhere())?;
    let address = found.map_err(|_| nowhere())?.next().ok_or_else(nowhere)?.ip();
    networks.check(address, port)?;
    Ok(address)
}

/// The way to all instances' databases. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}
struct Inner {
    logins: Arc<dyn Logins>,
    networks: Networks,
    pools: Pools,
    catalogues: Cache<(InstanceId, i64), Arc<Catalogue>>,
    opening: Mutex<()>,
}
impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("postgres::Pool")
    }
}
/// Logins of nothing: for tests and benches.
#[derive(Debug)]
pub(crate) struct NoLogins;
impl Logins for NoLogins {
    fn address<'a>(&'a self, instance: &'a Instance) -> BoxFuture<'a, Result<SecretString>> {
        Box::pin(async { Err(not_configured(instance).into()) })
    }
    fn login<'a>(&'a self, _: &'a Instance, _: bool) -> BoxFuture<'a, Result<Option<SqlLogin>>> {
        Box::pin(async { Ok(None) })
    }
}
/// A way to none: for tests and benches.
impl Default for Pool {
    fn default() -> Self {
        Self::new(Arc::new(NoLogins), Networks::default())
    }
}

/// Why an instance has no way in by SQL.
fn not_configured(instance: &Instance) -> Refusal {
    refusal(Code::NotConfigured, format!("{} has no PostgreSQL connection.", instance.slug))
        .next(format!("The operator adds it: ocore instance update {} --postgres-url-stdin", instance.slug))
}

/// Host connections stay off until an RPC login has shown that this is the database that the instance is.
pub(crate) fn proven(instance: &Instance) -> std::result::Result<(), Refusal> {
    if instance.proven() {
        return Ok(());
    }
    Err(refusal(Code::NotConfigured, format!("No login has shown yet that {} is the database that it names.", instance.slug))
        .next(format!("The operator checks it: ocore instance check {}", instance.slug)))
}

/// Models, records, fields and companies are Odoo's words: SQL and code know nothing of them.
pub(crate) fn unlimited(scope: &Scope, what: &str) -> std::result::Result<(), Refusal> {
    if scope.models.is_all() && scope.rules.is_none() && scope.companies.is_all() {
        return Ok(());
    }
    Err(refusal(
        Code::PermissionDenied,
        format!("The models, fields, records or companies of this key are limited here, and {what} would pass by that."),
    )
    .next("Use the tools of the categories orm and search, which keep to it."))
}

impl Pool {
    pub fn new(logins: Arc<dyn Logins>, networks: Networks) -> Self {
        let catalogues = Cache::builder().max_capacity(1_000).time_to_live(CATALOGUE_LIVES).build();
        Self { inner: Arc::new(Inner { logins, networks, pools: Pools::new(), catalogues, opening: Mutex::new(()) }) }
    }

    /// A handle for one call. No I/O.
    ///
    /// # Errors
    /// `not_configured` without a connection or before a login has proven the database; `permission_denied` where the key's
    /// models, fields, records or companies are limited.
    pub fn reader(
        &self,
        instance: Arc<Instance>,
        scope: &Scope,
        deadline: Instant,
        cancel: CancellationToken,
    ) -> std::result::Result<Reader, Refusal> {
        if instance.host.postgres.is_none() {
            return Err(not_configured(&instance));
        }
        proven(&instance)?;
        unlimited(scope, "SQL")?;
        Ok(Reader { pool: self.clone(), instance, deadline, cancel })
    }

    /// Closes all connections to an instance's database: something is to be done to the database as a whole.
    pub(crate) fn forget(&self, instance: &Instance) {
        self.inner.pools.forget(&instance.id.to_string());
    }

    /// Closes connections that nobody used for a while (called now and then).
    pub fn sweep(&self) {
        self.inner.pools.sweep(IDLE);
    }

    /// Makes ocore's two logins in the database, or brings their rights up to date; gives what they can still do that somebody
    /// should know. `by` is the address of who may make roles there: the owner with CREATEROLE, or a superuser.
    pub async fn make_roles(
        &self,
        by: &Address,
        ca: Option<&str>,
        (reader, writer): (&SqlLogin, &SqlLogin),
        salts: [[u8; 16]; 2],
        harden: bool,
    ) -> Result<Vec<Finding>> {
        let target = by.target(&self.inner.networks, ca, None).await?;
        let client = connect(&target).await?;
        let [of_reader, of_writer] = salts;
        let login = |own: &SqlLogin, salt| Login {
            name: own.user.clone(),
            password: own.password.clone(),
            salt,
            connections: u16::try_from(CONNECTIONS).unwrap_or(4) * 2,
        };
        let wanted = Roles {
            database: by.database.clone(),
            reader: login(reader, of_reader),
            writer: Some(login(writer, of_writer)),
            harden,
        };
        let mut tries = 0;
        loop {
            let relations = catalogue::load_relations(&client).await.map_err(|e| said(&e))?;
            let script = roles::grant(&wanted, &relations).map_err(|e| refusal(Code::InvalidArgument, format!("{e}.")))?;
            let Err(error) = client.batch_execute(&script).await else { break };
            let _ = client.batch_execute("ROLLBACK").await;
            tries += 1;
            if tries == TRIES || !moved(&error) {
                return Err(said(&error));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut findings = Vec::new();
        for (name, writes) in [(&reader.user, false), (&writer.user, true)] {
            findings.extend(roles::check(&client, name, writes).await.map_err(|e| said(&e))?);
        }
        Ok(findings)
    }

    /// Removes the two logins from the database.
    pub async fn remove_roles(&self, by: &Address, ca: Option<&str>, names: &[&str]) -> Result<()> {
        let target = by.target(&self.inner.networks, ca, None).await?;
        let client = connect(&target).await?;
        let script = roles::remove(&by.database, names, true).map_err(|e| refusal(Code::InvalidArgument, format!("{e}.")))?;
        client.batch_execute(&script).await.map_err(|e| said(&e))
    }

    /// Whether the database answers by this address, before it is stored; gives its version as `15.4`.
    pub async fn check(&self, address: &Address, ca: Option<&str>) -> Result<String> {
        let target = address.target(&self.inner.networks, ca, None).await?;
        let client = connect(&target).await?;
        let row = client.query_one("SHOW server_version", &[]).await.map_err(|e| said(&e))?;
        row.try_get(0).map_err(|e| said(&e))
    }
}

/// How often rights are given anew while the tables change under them.
const TRIES: u32 = 5;
/// Whether a table or column went after it was looked at, as modules come and go, or somebody else had it for too long.
fn moved(error: &tokio_postgres::Error) -> bool {
    let moved =
        [SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN, SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
    // "tuple concurrently updated" has no code of its own.
    error.code().is_some_and(|code| moved.contains(code) || *code == SqlState::INTERNAL_ERROR)
}

/// A connection for administration, outside the pools.
async fn connect(target: &Target) -> Result<tokio_postgres::Client> {
    let connector = Connector::new(target.roots.clone()).map_err(|_| Fault::failed("TLS for PostgreSQL"))?;
    let (client, connection) = tokio::time::timeout(2 * CONNECT, target.config().connect(connector))
        .await
        .map_err(|_| refusal(Code::Unreachable, "The PostgreSQL server does not answer.").next("Check host and port."))?
        .map_err(|e| said(&e))?;
    tokio::spawn(connection);
    Ok(client)
}

/// What PostgreSQL said to the operator.
fn said(error: &tokio_postgres::Error) -> Fault {
    let text = match error.as_db_error() {
        Some(db) => format!("PostgreSQL: {} (SQLSTATE {}).", db.message(), db.code().code()),
        None => format!("The PostgreSQL server is not reached: {}.", super::session::causes(error)),
    };
    let next = match error.code().map(SqlState::code) {
        Some("28P01" | "28000") => "Check user and password of the address.",
        Some("3D000") => "Check the database's name in the address.",
        Some("42501") => {
            "Making roles takes a superuser or a role with CREATEROLE that owns the database: give its address with --admin-url-stdin."
        }
        _ => "Check the address, and that the server takes connections from here.",
    };
    refusal(Code::Unreachable, text).next(next).into()
}

/// Whether the text changes data, as far as its first word tells. Decides nothing: what runs is decided by the handle.
pub fn changes(sql: &str) -> bool {
    guard::kind(sql).is_ok_and(|kind| !kind.reads())
}

/// What a script would do.
#[derive(Debug, Clone)]
pub struct ScriptPlan {
    /// Each statement: `UPDATE res_partner` and how many rows its plan expects; none where it depends on those before it.
    pub statements: Vec<(String, Option<f64>)>,
    /// UPDATE and DELETE without WHERE among them.
    pub unbounded: Vec<String>,
    /// Nothing in it changes data.
    pub reads: bool,
    /// It ends with ROLLBACK.
    pub rolls_back: bool,
}

/// SQL of one call, reading.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
    instance: Arc<Instance>,
    deadline: Instant,
    cancel: CancellationToken,
}
impl Reader {
    /// Whether ocore reads with Odoo's own login: there is none that reads what it should and nothing else.
    pub fn borrows_login(&self) -> bool {
        self.instance.host.postgres.as_ref().is_none_or(|p| !p.reader)
    }

    /// Runs a SELECT or EXPLAIN in a read-only transaction. At most `rows` rows. Gives the columns, as `table.column`, that `*`
    /// left out because they are withheld.
    pub async fn select(&self, sql: &str, params: &[Value], rows: usize) -> Result<(Answer, BTreeSet<String>)> {
        let checked = self.checked(sql, rows, Role::Reader).await?;
        if !checked.kind().reads() {
            return Err(self.fault(&Error::Misplaced(checked.kind())));
        }
        self.ready(Role::Reader).await?;
        let limits = Limits { cost: Some(MOST_COST), ..self.limits(rows) };
        let key = self.key(Role::Reader);
        let ran = self.pool.inner.pools.read(&key, &checked, params, &limits, &self.cancel).await;
        Ok((ran.map_err(|e| self.fault(&e))?, checked.left_out().clone()))
    }

    /// The plan of a statement, which is not run.
    pub async fn explain(&self, sql: &str, params: &[Value]) -> Result<Preview> {
        let role = if changes(sql) { Role::Writer } else { Role::Reader };
        let checked = self.checked(sql, 1000, role).await?;
        self.preview(&checked, params).await
    }
    async fn preview(&self, checked: &Checked, params: &[Value]) -> Result<Preview> {
        let role = if checked.kind().reads() { Role::Reader } else { Role::Writer };
        self.ready(role).await?;
        let planned = self.pool.inner.pools.explain(&self.key(role), checked, params, &self.limits(1000), &self.cancel).await;
        planned.map_err(|e| self.fault(&e))
    }

    /// What an INSERT, UPDATE or DELETE would do: in words, the rows that its plan expects, whether it has no WHERE.
    pub async fn plan(&self, sql: &str, params: &[Value]) -> Result<(String, f64, bool)> {
        let checked = self.checked(sql, 1000, Role::Writer).await?;
        if checked.kind().reads() {
            return Err(self.fault(&Error::Misplaced(checked.kind())));
        }
        let preview = self.preview(&checked, params).await?;
        Ok((words(&checked), preview.rows, checked.unbounded()))
    }

    /// What a script would do. Only the first statement's plan is sure: those after it see what it changed.
    pub async fn plan_script(&self, sql: &str) -> Result<ScriptPlan> {
        let script = self.script(sql, 1000).await?;
        let mut plan =
            ScriptPlan { statements: Vec::new(), unbounded: Vec::new(), reads: script.reads(), rolls_back: script.rolls_back };
        for statement in script.statements() {
            let rows = self.preview(statement, &[]).await.ok().map(|preview| preview.rows);
            plan.statements.push((words(statement), rows));
            if statement.unbounded() {
                plan.unbounded.push(words(statement));
            }
        }
        Ok(plan)
    }

    /// Tables and views with what SQL may do with them; and how many there were before the limit.
    pub async fn tables(&self, search: Option<&str>, raw: bool, columns: bool, limit: usize) -> Result<(Vec<Table>, usize)> {
        let catalogue = self.catalogue(Role::Reader).await?;
        self.ready(Role::Reader).await?;
        let wanted = Wanted { search: search.map(str::to_owned), columns, raw, limit };
        let found =
            tables::list(&self.pool.inner.pools, &self.key(Role::Reader), &catalogue, &wanted, &self.limits(limit), &self.cancel)
                .await;
        found.map_err(|e| self.fault(&e))
    }

    async fn script(&self, sql: &str, rows: usize) -> Result<guard::Script> {
        let catalogue = self.catalogue(Role::Reader).await?;
        match guard::script(sql, &catalogue, rows) {
            Err(refused) if missing(&refused) => {
                let catalogue = self.newer_catalogue(Role::Reader).await?;
                guard::script(sql, &catalogue, rows).map_err(|e| self.fault(&e.into()))
            }
            other => other.map_err(|e| self.fault(&e.into())),
        }
    }

    async fn checked(&self, sql: &str, rows: usize, role: Role) -> Result<Checked> {
        let catalogue = self.catalogue(role).await?;
        match guard::check(sql, &catalogue, rows) {
            // A module may have brought it since.
            Err(refused) if missing(&refused) => {
                let catalogue = self.newer_catalogue(role).await?;
                guard::check(sql, &catalogue, rows).map_err(|e| self.fault(&e.into()))
            }
            other => other.map_err(|e| self.fault(&e.into())),
        }
    }

    fn named(&self) -> (InstanceId, i64) {
        (self.instance.id, self.instance.generation)
    }
    async fn catalogue(&self, role: Role) -> Result<Arc<Catalogue>> {
        match self.pool.inner.catalogues.get(&self.named()).await {
            Some(known) => Ok(known),
            None => self.newer_catalogue(role).await,
        }
    }
    async fn newer_catalogue(&self, role: Role) -> Result<Arc<Catalogue>> {
        self.ready(role).await?;
        let limits = Limits { cost: None, ..self.limits(1000) };
        let loaded = self.pool.inner.pools.catalogue(&self.key(role), &limits, &self.cancel).await;
        let catalogue = Arc::new(loaded.map_err(|e| self.fault(&e))?);
        self.pool.inner.catalogues.insert(self.named(), Arc::clone(&catalogue)).await;
        Ok(catalogue)
    }

    /// Sees to it that there is a pool for this login of the instance's present generation.
    async fn ready(&self, role: Role) -> Result<()> {
        let (inner, key) = (&self.pool.inner, self.key(role));
        if inner.pools.has(&key) {
            return Ok(());
        }
        let login = inner.logins.login(&self.instance, role == Role::Writer).await?;
        if role == Role::Writer && login.is_none() {
            return Err(refusal(
                Code::NotConfigured,
                format!("{} has no login for changes by SQL: without one only SELECT and EXPLAIN run.", self.instance.slug),
            )
            .next(format!("The operator makes the logins: ocore instance sql-role {}", self.instance.slug))
            .into());
        }
        let address = Address::parse(&inner.logins.address(&self.instance).await?)?;
        if address.database != self.instance.database {
            return Err(refusal(
                Code::NotConfigured,
                format!("The PostgreSQL address of {} names another database than the instance.", self.instance.slug),
            )
            .next("The operator corrects the address or the instance's database.")
            .into());
        }
        let ca = self.instance.host.postgres.as_ref().and_then(|p| p.ca.as_deref());
        let target = address.target(&inner.networks, ca, login.as_ref()).await?;
        // Nothing is waited for from here on: a slow server's name keeps no other instance waiting.
        let _one = inner.opening.lock();
        if inner.pools.has(&key) {
            return Ok(());
        }
        inner.pools.forget_older(&key);
        inner.pools.set(key, target).map_err(|e| self.fault(&e))
    }

    fn key(&self, role: Role) -> Key {
        Key { instance: self.instance.id.to_string(), role, generation: self.instance.generation.unsigned_abs() }
    }
    fn limits(&self, rows: usize) -> Limits {
        let timeout = self.deadline.saturating_duration_since(Instant::now());
        Limits { rows, bytes: MOST_BYTES, timeout, lock_timeout: LOCK.min(timeout), ..Limits::default() }
    }

    /// What a caller reads of it. Where the server is, only the log knows.
    fn fault(&self, error: &Error) -> Fault {
        let next = error.next();
        let slug = &self.instance.slug;
        let text = sentence(&error.to_string());
        let code = match error {
            Error::Refused(_) | Error::Misplaced(_) | Error::Privilege(_) | Error::Sql(_) | Error::Answer(_) => Code::SqlRefused,
            Error::Unreachable { .. } => {
                tracing::warn!(%slug, %error, "the PostgreSQL server of an instance is not reached");
                return refusal(Code::Unreachable, format!("The PostgreSQL server of {slug} is not reached."))
                    .next("Tell the operator: the log says why. The tools of the categories orm and search do not need it.")
                    .into();
            }
            Error::Login { .. } => {
                tracing::warn!(%slug, %error, "PostgreSQL refuses a login");
                return refusal(Code::Unreachable, format!("The PostgreSQL server of {slug} refuses ocore's login."))
                    .next(format!("The operator makes the logins anew: ocore instance sql-role {slug}"))
                    .into();
            }
            Error::OutcomeUnknown { .. } => return Fault::unknown(text, next),
            Error::Busy(_) | Error::Locked => Code::Busy,
            Error::Conflict => Code::Conflict,
            Error::Timeout(_) => {
                return refusal(
                    Code::Timeout,
                    "PostgreSQL had not finished at the deadline and was stopped; nothing was changed.",
                )
                .next(next)
                .into();
            }
            Error::Cancelled => Code::Cancelled,
            Error::TooCostly { .. } => Code::TooLarge,
            Error::Parameters(_) => Code::InvalidArgument,
            Error::Lost => Code::Unreachable,
        };
        refusal(code, text).next(next).into()
    }
}

/// Whether what was refused may only be new.
fn missing(refused: &Refused) -> bool {
    matches!(refused, Refused::Table { .. } | Refused::Column { .. })
}
/// `UPDATE res_partner`
fn words(checked: &Checked) -> String {
    let verb = match checked.kind() {
        Kind::Select => "SELECT from",
        Kind::Explain => "EXPLAIN of",
        Kind::Insert => "INSERT into",
        Kind::Update => "UPDATE of",
        Kind::Delete => "DELETE from",
    };
    let tables = if checked.writes().is_empty() { checked.reads() } else { checked.writes() };
    let tables: Vec<&str> = tables.iter().map(String::as_str).take(5).collect();
    if tables.is_empty() { verb.split(' ').next().unwrap_or(verb).to_owned() } else { format!("{verb} {}", tables.join(", ")) }
}
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}

/// SQL of one call, writing.
#[derive(Debug, Clone)]
pub struct Writer {
    read: Reader,
}
impl Writer {
    /// Needs the proof that this call may write.
    pub fn new(read: Reader, _permit: &WritePermit) -> Self {
        Self { read }
    }

    /// Runs an INSERT, UPDATE or DELETE, commits it, and tells Odoo's processes to forget their caches.
    pub async fn change(&self, sql: &str, params: &[Value], rows: usize) -> Result<Answer> {
        let read = &self.read;
        let checked = read.checked(sql, rows, Role::Writer).await?;
        read.ready(Role::Writer).await?;
        let (key, limits) = (read.key(Role::Writer), read.limits(rows));
        match read.pool.inner.pools.write(&key, &checked, params, &limits, true, &read.cancel).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.settled(error, &key).await),
        }
    }

    /// Where the line was lost while committing: what PostgreSQL says became of the transaction, if it can be asked.
    async fn settled(&self, error: Error, key: &Key) -> Fault {
        let Error::OutcomeUnknown { transaction: Some(number) } = error else { return self.read.fault(&error) };
        let limits = Limits { timeout: CONNECT, ..Limits::default() };
        match self.read.pool.inner.pools.outcome(key, number, &limits, &CancellationToken::new()).await {
            Ok(Fate::Aborted) => self.read.fault(&Error::Lost),
            Ok(Fate::Committed) => Fault::unknown(
                "The connection was lost while committing. PostgreSQL was asked since: the changes are made.",
                "Do not repeat it; a SELECT shows the rows as they are now.",
            ),
            _ => self.read.fault(&error),
        }
    }

    /// Runs a script in one transaction: all or nothing, or with `go_on` what succeeds. The errors of statements as they are told.
    pub async fn script(&self, sql: &str, go_on: bool, rows: usize) -> Result<Ran> {
        let read = &self.read;
        let script = read.script(sql, rows).await?;
        let role = if script.reads() { Role::Reader } else { Role::Writer };
        read.ready(role).await?;
        let (key, limits) = (read.key(role), read.limits(rows));
        let ran = read.pool.inner.pools.script(&key, &script, go_on, &limits, true, &read.cancel).await;
        let ScriptOutcome { outcomes, committed } = match ran {
            Ok(outcome) => outcome,
            Err(error) => return Err(self.settled(error, &key).await),
        };
        let named: Vec<Option<String>> = script
            .steps
            .iter()
            .map(|step| if let guard::Step::Run(checked) = step { Some(words(checked)) } else { None })
            .collect();
        let mut steps = Vec::new();
        for outcome in outcomes {
            let Some(Some(name)) = named.get(outcome.step) else { continue };
            steps.push((name.clone(), outcome.result.map_err(|e| read.fault(&e))));
        }
        let all = named.iter().flatten().count();
        Ok(Ran { not_run: all.saturating_sub(steps.len()), steps, committed })
    }
}

/// What became of a script.
#[derive(Debug)]
pub struct Ran {
    /// What was run, in order, each with its answer or why it failed.
    pub steps: Vec<(String, Result<Answer>)>,
    /// Statements that were not reached.
    pub not_run: usize,
    /// Whether the changes are there.
    pub committed: bool,
}
