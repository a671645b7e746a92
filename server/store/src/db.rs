//! One store over two engines: SQLite in a file (one writer, a pool of readers, WAL) or PostgreSQL (a pool).
//!
//! Statements are one text for both: parameters are `$1`, `$2`…, integers are BIGINT, times and ids are TEXT. The layer is thin on
//! purpose: [`Arg`] goes in, [`Row`] comes out, [`Tx`] is the only way to change more than one row at once.
use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use kernel::{Timestamp, parse_time, time_text};
use sqlx::{
    Arguments, ConnectOptions, Row as _, SqlSafeStr, SqlStr, Transaction,
    migrate::{Migrate as _, Migrator},
    pool::PoolOptions,
    postgres::{PgArguments, PgConnectOptions, PgPool, PgRow, Postgres},
    sqlite::{Sqlite, SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqliteRow, SqliteSynchronous},
};

use crate::{Result, StoreError, migrations};

/// Marks an SQL text that was put together at run time and holds no values. Fixed texts do not need it.
pub use sqlx::AssertSqlSafe as Assembled;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A parameter of a statement. Nulls are typed, because PostgreSQL wants to know.
#[derive(Debug, Clone)]
pub enum Arg {
    Text(String),
    Shared(Arc<str>),
    Int(i64),
    Bool(bool),
    Bytes(Vec<u8>),
    NoText,
    NoInt,
    NoBool,
    NoBytes,
}
impl From<String> for Arg {
    fn from(v: String) -> Self {
        Self::Text(v)
    }
}
impl From<&str> for Arg {
    fn from(v: &str) -> Self {
        Self::Text(v.to_owned())
    }
}
impl From<&String> for Arg {
    fn from(v: &String) -> Self {
        Self::Text(v.clone())
    }
}
impl From<Arc<str>> for Arg {
    fn from(v: Arc<str>) -> Self {
        Self::Shared(v)
    }
}
impl From<&Arc<str>> for Arg {
    fn from(v: &Arc<str>) -> Self {
        Self::Shared(Arc::clone(v))
    }
}
impl From<i64> for Arg {
    fn from(v: i64) -> Self {
        Self::Int(v)
    }
}
impl From<u32> for Arg {
    fn from(v: u32) -> Self {
        Self::Int(v.into())
    }
}
impl From<bool> for Arg {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}
impl From<Vec<u8>> for Arg {
    fn from(v: Vec<u8>) -> Self {
        Self::Bytes(v)
    }
}
impl From<&[u8]> for Arg {
    fn from(v: &[u8]) -> Self {
        Self::Bytes(v.to_vec())
    }
}
impl From<[u8; 32]> for Arg {
    fn from(v: [u8; 32]) -> Self {
        Self::Bytes(v.to_vec())
    }
}
impl From<&[u8; 32]> for Arg {
    fn from(v: &[u8; 32]) -> Self {
        Self::Bytes(v.to_vec())
    }
}
impl From<Timestamp> for Arg {
    fn from(v: Timestamp) -> Self {
        Self::Text(time_text(v))
    }
}
macro_rules! text_args {
    ($($kind:ty),+ $(,)?) => {$(
        impl From<$kind> for Arg {
            fn from(v: $kind) -> Self {
                Self::Text(v.to_string())
            }
        }
    )+};
}
text_args!(
    kernel::OrgId,
    kernel::UserId,
    kernel::ServerId,
    kernel::InstanceId,
    kernel::CredentialId,
    kernel::KeyId,
    kernel::CallId,
    kernel::SessionId,
    kernel::ResourceId,
    kernel::ImpersonationId,
    kernel::GrantId,
    kernel::FamilyId,
    kernel::InviteId,
    kernel::Role,
    kernel::Environment,
    kernel::InstanceState,
    kernel::Health,
    kernel::RpcDialect,
    kernel::Code,
    kernel::Category,
    kernel::Access,
    std::net::IpAddr,
);
/// Which kind of null stands for an absent value.
pub trait Nullable: Into<Arg> {
    const NULL: Arg;
}
macro_rules! nullable {
    ($null:ident: $($kind:ty),+ $(,)?) => {$( impl Nullable for $kind { const NULL: Arg = Arg::$null; } )+};
}
nullable!(
    NoText: String, &str, &String, Arc<str>, &Arc<str>, Timestamp, kernel::OrgId, kernel::UserId, kernel::ServerId, kernel::InstanceId,
    kernel::CredentialId, kernel::KeyId, kernel::CallId, kernel::SessionId, kernel::GrantId, kernel::FamilyId, kernel::InviteId, kernel::Role, kernel::Environment, kernel::InstanceState,
    kernel::Health, kernel::RpcDialect, kernel::Code, kernel::Category, kernel::Access, std::net::IpAddr,
);
nullable!(NoInt: i64, u32);
nullable!(NoBool: bool);
nullable!(NoBytes: Vec<u8>, &[u8], [u8; 32], &[u8; 32]);
impl<T: Nullable> From<Option<T>> for Arg {
    fn from(v: Option<T>) -> Self {
        v.map_or(T::NULL, Into::into)
    }
}

/// The parameters of a statement, each turned into an [`Arg`].
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { ::std::vec![$($crate::Arg::from($value)),*] };
}

/// One row of an answer. Getters take the column, plainly or as `table.column`; the whole name goes into the error.
#[derive(Debug)]
pub struct Row(Either);
enum Either {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}
impl fmt::Debug for Either {
    /// Rows may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
macro_rules! get {
    ($self:ident, $name:ident, $kind:ty) => {{
        let column = $name.rsplit('.').next().unwrap_or($name);
        match &$self.0 {
            Either::Sqlite(row) => row.try_get::<$kind, _>(column),
            Either::Postgres(row) => row.try_get::<$kind, _>(column),
        }
        .map_err(|e| StoreError::corrupt($name, unreadable(&e)))
    }};
}
/// Never the value, only what kind of trouble.
fn unreadable(error: &sqlx::Error) -> &'static str {
    match error {
        sqlx::Error::ColumnNotFound(_) | sqlx::Error::ColumnIndexOutOfBounds { .. } => "there is no such column",
        _ => "it is null or of another type",
    }
}
impl Row {
    pub fn text(&self, name: &str) -> Result<String> {
        get!(self, name, String)
    }
    pub fn opt_text(&self, name: &str) -> Result<Option<String>> {
        get!(self, name, Option<String>)
    }
    pub fn int(&self, name: &str) -> Result<i64> {
        get!(self, name, i64)
    }
    pub fn opt_int(&self, name: &str) -> Result<Option<i64>> {
        get!(self, name, Option<i64>)
    }
    /// A count or limit that must not be negative.
    pub fn uint(&self, name: &str) -> Result<u32> {
        u32::try_from(self.int(name)?).map_err(|e| StoreError::corrupt(name, e))
    }
    pub fn bool(&self, name: &str) -> Result<bool> {
        get!(self, name, bool)
    }
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        get!(self, name, Vec<u8>)
    }
    pub fn opt_bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        get!(self, name, Option<Vec<u8>>)
    }
    pub fn bytes32(&self, name: &str) -> Result<[u8; 32]> {
        self.bytes(name)?.try_into().map_err(|_| StoreError::corrupt(name, "it is not 32 bytes long"))
    }
    pub fn opt_bytes32(&self, name: &str) -> Result<Option<[u8; 32]>> {
        let bytes = self.opt_bytes(name)?;
        bytes.map(|b| b.try_into().map_err(|_| StoreError::corrupt(name, "it is not 32 bytes long"))).transpose()
    }
    /// An id, role, state, environment… stored as its text.
    pub fn parsed<T: FromStr>(&self, name: &str) -> Result<T>
    where
        T::Err: fmt::Display,
    {
        self.text(name)?.parse().map_err(|e| StoreError::corrupt(name, e))
    }
    pub fn opt_parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>>
    where
        T::Err: fmt::Display,
    {
        self.opt_text(name)?.map(|t| t.parse().map_err(|e| StoreError::corrupt(name, e))).transpose()
    }
    pub fn time(&self, name: &str) -> Result<Timestamp> {
        parse_time(&self.text(name)?).ok_or_else(|| StoreError::corrupt(name, "it is no time"))
    }
    pub fn opt_time(&self, name: &str) -> Result<Option<Timestamp>> {
        self.opt_text(name)?.map(|t| parse_time(&t).ok_or_else(|| StoreError::corrupt(name, "it is no time"))).transpose()
    }
    pub fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        // The error's position is kept, its text could repeat the value.
        serde_json::from_str(&self.text(name)?)
            .map_err(|e| StoreError::corrupt(name, format_args!("it is no such JSON (column {})", e.column())))
    }
}

/// Where the store is. Neither `Debug` nor `Display` shows a password.
#[derive(Clone)]
pub enum DbUrl {
    Sqlite(PathBuf),
    Postgres { options: Box<PgConnectOptions>, password: bool },
}
impl DbUrl {
    /// Whether the address carries a password (refused as a command-line argument).
    pub fn has_password(&self) -> bool {
        matches!(self, Self::Postgres { password: true, .. })
    }
    pub fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres { .. } => Engine::Postgres,
        }
    }
}
impl FromStr for DbUrl {
    type Err = StoreError;
    /// `sqlite:///path/file.db` (three slashes: absolute; two: relative), `postgres://user@host/database`.
    fn from_str(text: &str) -> Result<Self> {
        if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
            if path.is_empty() || path.contains(['?', '#']) || path.contains(":memory:") {
                return Err(StoreError::Url { why: "after sqlite:// comes the path of a file, without parameters" });
            }
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            const WHY: StoreError = StoreError::Url { why: "write postgres://user@host:port/database" };
            let options: PgConnectOptions = text.parse().map_err(|_| WHY)?;
            let authority = text.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or_default();
            let in_authority = authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'));
            let password = in_authority || text.contains("?password=") || text.contains("&password=");
            return Ok(Self::Postgres { options: Box::new(options), password });
        }
        Err(StoreError::Url { why: "it starts with sqlite:// or postgres://" })
    }
}
impl fmt::Display for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Self::Postgres { options: o, .. } => {
                write!(f, "postgres://{}@{}:{}/{}", o.get_username(), o.get_host(), o.get_port(), o.get_database().unwrap_or(""))
            }
        }
    }
}
impl fmt::Debug for DbUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Db(Pools);
#[derive(Debug, Clone)]
enum Pools {
    Sqlite { write: SqlitePool, read: SqlitePool },
    Postgres(PgPool),
}

/// How soon a committed transaction must be on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Before `commit` returns.
    Full,
    /// Within about a second: survives a crash of the process, may be lost with the machine. Never for what a write depends on.
    Lazy,
}

/// What several nodes must not do at once. SQLite needs none of it: it has one writer.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub enum Lock {
    /// Held by whoever changes the registry, from the first look to the commit: checks hold, and the numbers of the events become
    /// visible in order.
    Registry = 0x6f63_6f72_6500,
    /// Held by whoever changes which key seals.
    Vault = 0x6f63_6f72_6501,
}

const WAIT: Duration = Duration::from_secs(10);

impl Db {
    /// Opens the store, making the SQLite file when there is none. Applies no migration.
    pub async fn open(url: &DbUrl) -> Result<Self> {
        match url {
            DbUrl::Sqlite(path) => {
                private_file(path)?;
                let options = SqliteConnectOptions::new()
                    .filename(path)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(5))
                    .foreign_keys(true)
                    .disable_statement_logging();
                // The one writer lives as long as the process: its settings are set by `begin_with`.
                let write = PoolOptions::<Sqlite>::new()
                    .max_connections(1)
                    .idle_timeout(None)
                    .max_lifetime(None)
                    .acquire_timeout(WAIT)
                    .connect_with(options.clone())
                    .await?;
                let read = PoolOptions::<Sqlite>::new()
                    .max_connections(8)
                    .acquire_timeout(WAIT)
                    .connect_with(options.pragma("query_only", "on"))
                    .await?;
                Ok(Self(Pools::Sqlite { write, read }))
            }
            DbUrl::Postgres { options, .. } => {
                let options = options
                    .as_ref()
                    .clone()
                    .application_name("ocore")
                    .options([
                        ("statement_timeout", "15s"),
                        ("lock_timeout", "5s"),
                        ("idle_in_transaction_session_timeout", "60s"),
                    ])
                    .disable_statement_logging();
                let pool = PoolOptions::<Postgres>::new().max_connections(16).acquire_timeout(WAIT).connect_with(options).await?;
                Ok(Self(Pools::Postgres(pool)))
            }
        }
    }

    pub fn engine(&self) -> Engine {
        match &self.0 {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Reads what is committed.
    pub async fn fetch_all(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>> {
        let sql = sql.into_sql_str();
        match &self.0 {
            Pools::Sqlite { read, .. } => sqlite_all(read, sql, args).await,
            Pools::Postgres(pool) => postgres_all(pool, sql, args).await,
        }
    }

    pub async fn fetch_optional(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Option<Row>> {
        let sql = sql.into_sql_str();
        match &self.0 {
            Pools::Sqlite { read, .. } => sqlite_optional(read, sql, args).await,
            Pools::Postgres(pool) => postgres_optional(pool, sql, args).await,
        }
    }

    /// One statement as a transaction of its own; gives the number of rows it changed.
    pub async fn execute(&self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<u64> {
        let mut tx = self.begin().await?;
        let changed = tx.execute(sql, args).await?;
        tx.commit().await?;
        Ok(changed)
    }

    /// A transaction that may write. On SQLite it holds the one writer: keep it short, and wait for nothing else within it.
    pub async fn begin(&self) -> Result<Tx> {
        self.begin_with(Durability::Full).await
    }

    pub async fn begin_with(&self, durability: Durability) -> Result<Tx> {
        match &self.0 {
            Pools::Sqlite { write, .. } => {
                let mut connection = write.acquire().await?;
                // Outside a transaction, or SQLite refuses it. Costs a few microseconds; no answer from the disk is awaited.
                let pragma = match durability {
                    Durability::Full => "PRAGMA synchronous = FULL",
                    Durability::Lazy => "PRAGMA synchronous = NORMAL",
                };
                sqlx::query::<Sqlite>(pragma).execute(&mut *connection).await?;
                let tx = Transaction::begin(connection, Some("BEGIN IMMEDIATE".into_sql_str())).await?;
                Ok(Tx(AnyTx::Sqlite(tx)))
            }
            Pools::Postgres(pool) => {
                let begin = match durability {
                    Durability::Full => "BEGIN",
                    Durability::Lazy => "BEGIN; SET LOCAL synchronous_commit = off",
                };
                Ok(Tx(AnyTx::Postgres(pool.begin_with(begin).await?)))
            }
        }
    }

    /// A transaction that only reads and sees one state of the store throughout.
    pub async fn begin_read(&self) -> Result<Tx> {
        Ok(Tx(match &self.0 {
            Pools::Sqlite { read, .. } => AnyTx::Sqlite(read.begin().await?),
            Pools::Postgres(pool) => AnyTx::Postgres(pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?),
        }))
    }

    /// Applies what is missing, all of it or nothing. Several processes may try at once; one does it.
    pub async fn migrate(&self) -> Result<()> {
        let migrator = migrations::of(self.engine());
        let mut tx = self.begin().await?;
        match &mut tx.0 {
            AnyTx::Sqlite(tx) => migrator.run_direct(None, &mut **tx, false).await,
            AnyTx::Postgres(tx) => {
                sqlx::raw_sql("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0").execute(&mut **tx).await?;
                migrator.run_direct(None, &mut **tx, false).await
            }
        }
        .map_err(StoreError::Migration)?;
        tx.commit().await
    }

    /// The names of the migrations that [`Db::migrate`] would apply.
    pub async fn pending_migrations(&self) -> Result<Vec<String>> {
        let Migrator { migrations, table_name, .. } = migrations::of(self.engine());
        let exists = match self.engine() {
            Engine::Sqlite => "SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = $1",
            Engine::Postgres => "SELECT count(*) AS n FROM pg_tables WHERE schemaname = current_schema() AND tablename = $1",
        };
        let row = self.fetch_optional(exists, vec![Arg::from(table_name.as_ref())]).await?;
        let made = row.map(|r| r.int("n")).transpose()?.unwrap_or(0) > 0;
        let mut applied = Vec::new();
        if made {
            let mut tx = self.begin_read().await?;
            applied = match &mut tx.0 {
                AnyTx::Sqlite(tx) => tx.list_applied_migrations(table_name).await,
                AnyTx::Postgres(tx) => tx.list_applied_migrations(table_name).await,
            }
            .map_err(StoreError::Migration)?;
        }
        let missing = migrations.iter().filter(|m| !applied.iter().any(|a| a.version == m.version));
        Ok(missing.map(|m| format!("{:04}_{}", m.version, m.description)).collect())
    }

    /// Whether the store answers.
    pub async fn ready(&self) -> Result<()> {
        self.fetch_optional("SELECT 1 AS n", vec![]).await.map(drop)
    }

    /// Waits for what runs and closes every connection.
    pub async fn close(&self) {
        match &self.0 {
            Pools::Sqlite { write, read } => {
                read.close().await;
                write.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

/// Makes the file for its owner alone; SQLite gives the files beside it the same mode.
fn private_file(path: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(StoreError::Unavailable(e.into())),
        _ => Ok(()),
    }
}

/// A transaction. Dropped without [`Tx::commit`] it is rolled back.
pub struct Tx(AnyTx);
enum AnyTx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}
impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tx")
    }
}
impl Tx {
    pub fn engine(&self) -> Engine {
        match &self.0 {
            AnyTx::Sqlite(_) => Engine::Sqlite,
            AnyTx::Postgres(_) => Engine::Postgres,
        }
    }
    /// Gives the number of rows that the statement changed.
    pub async fn execute(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<u64> {
        let sql = sql.into_sql_str();
        Ok(match &mut self.0 {
            AnyTx::Sqlite(tx) => sqlx::query_with(sql, sqlite_args(args)?).execute(&mut **tx).await?.rows_affected(),
            AnyTx::Postgres(tx) => sqlx::query_with(sql, postgres_args(args)?).execute(&mut **tx).await?.rows_affected(),
        })
    }
    pub async fn fetch_all(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>> {
        let sql = sql.into_sql_str();
        match &mut self.0 {
            AnyTx::Sqlite(tx) => sqlite_all(&mut **tx, sql, args).await,
            AnyTx::Postgres(tx) => postgres_all(&mut **tx, sql, args).await,
        }
    }
    pub async fn fetch_optional(&mut self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Option<Row>> {
        let sql = sql.into_sql_str();
        match &mut self.0 {
            AnyTx::Sqlite(tx) => sqlite_optional(&mut **tx, sql, args).await,
            AnyTx::Postgres(tx) => postgres_optional(&mut **tx, sql, args).await,
        }
    }
    /// Keeps every other node out until the transaction ends.
    pub async fn lock(&mut self, lock: Lock) -> Result<()> {
        if let AnyTx::Postgres(tx) = &mut self.0 {
            sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(lock as i64).execute(&mut **tx).await?;
        }
        Ok(())
    }
    pub async fn commit(self) -> Result<()> {
        match self.0 {
            AnyTx::Sqlite(tx) => tx.commit().await?,
            AnyTx::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
    pub async fn rollback(self) -> Result<()> {
        match self.0 {
            AnyTx::Sqlite(tx) => tx.rollback().await?,
            AnyTx::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

/// Where a finder reads: from what is committed, or within a transaction. Finders take `impl Into<On>`.
#[derive(Debug)]
pub enum On<'a> {
    Db(&'a Db),
    Tx(&'a mut Tx),
}
impl<'a> From<&'a Db> for On<'a> {
    fn from(db: &'a Db) -> Self {
        Self::Db(db)
    }
}
impl<'a> From<&'a mut Tx> for On<'a> {
    fn from(tx: &'a mut Tx) -> Self {
        Self::Tx(tx)
    }
}
impl On<'_> {
    pub async fn fetch_all(self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Vec<Row>> {
        match self {
            Self::Db(db) => db.fetch_all(sql, args).await,
            Self::Tx(tx) => tx.fetch_all(sql, args).await,
        }
    }
    pub async fn fetch_optional(self, sql: impl SqlSafeStr, args: Vec<Arg>) -> Result<Option<Row>> {
        match self {
            Self::Db(db) => db.fetch_optional(sql, args).await,
            Self::Tx(tx) => tx.fetch_optional(sql, args).await,
        }
    }
}

async fn sqlite_all(on: impl sqlx::SqliteExecutor<'_>, sql: SqlStr, args: Vec<Arg>) -> Result<Vec<Row>> {
    let rows = sqlx::query_with(sql, sqlite_args(args)?).fetch_all(on).await?;
    Ok(rows.into_iter().map(|r| Row(Either::Sqlite(r))).collect())
}
async fn sqlite_optional(on: impl sqlx::SqliteExecutor<'_>, sql: SqlStr, args: Vec<Arg>) -> Result<Option<Row>> {
    let row = sqlx::query_with(sql, sqlite_args(args)?).fetch_optional(on).await?;
    Ok(row.map(|r| Row(Either::Sqlite(r))))
}
async fn postgres_all(on: impl sqlx::PgExecutor<'_>, sql: SqlStr, args: Vec<Arg>) -> Result<Vec<Row>> {
    let rows = sqlx::query_with(sql, postgres_args(args)?).fetch_all(on).await?;
    Ok(rows.into_iter().map(|r| Row(Either::Postgres(r))).collect())
}
async fn postgres_optional(on: impl sqlx::PgExecutor<'_>, sql: SqlStr, args: Vec<Arg>) -> Result<Option<Row>> {
    let row = sqlx::query_with(sql, postgres_args(args)?).fetch_optional(on).await?;
    Ok(row.map(|r| Row(Either::Postgres(r))))
}

macro_rules! bind {
    ($out:expr, $args:ident) => {{
        let mut out = $out;
        for arg in $args {
            match arg {
                Arg::Text(v) => out.add(v),
                Arg::Shared(v) => out.add(v),
                Arg::Int(v) => out.add(v),
                Arg::Bool(v) => out.add(v),
                Arg::Bytes(v) => out.add(v),
                Arg::NoText => out.add(None::<String>),
                Arg::NoInt => out.add(None::<i64>),
                Arg::NoBool => out.add(None::<bool>),
                Arg::NoBytes => out.add(None::<Vec<u8>>),
            }
            .map_err(|e| StoreError::Statement(sqlx::Error::Encode(e)))?;
        }
        Ok(out)
    }};
}
fn sqlite_args(args: Vec<Arg>) -> Result<SqliteArguments> {
    bind!(SqliteArguments::default(), args)
}
fn postgres_args(args: Vec<Arg>) -> Result<PgArguments> {
    bind!(PgArguments::default(), args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{each_engine, sqlite};

    #[tokio::test]
    async fn every_kind_of_value_comes_back() {
        each_engine(async |t| {
            let sql = "INSERT INTO meta (name, value) VALUES ($1, $2)";
            t.execute(sql, args!["a", Arc::<str>::from("ä")]).await.unwrap();
            let row = t.fetch_optional("SELECT name, value FROM meta WHERE name = $1", args!["a"]).await.unwrap().unwrap();
            assert_eq!(row.text("meta.value").unwrap(), "ä");
            let error = row.int("meta.value").unwrap_err().to_string();
            assert!(error.contains("meta.value") && !error.contains('ä'), "{error}");
            assert!(row.text("meta.other").unwrap_err().to_string().contains("no such column"));
            assert!(t.execute(sql, args!["a", "again"]).await.unwrap_err().is_unique());

            let sql = "INSERT INTO vault_keys (key_id, check_value, is_current, created_at) VALUES ($1, $2, $3, $4)";
            t.execute(sql, args!["k", vec![0_u8, 255, 1], true, t.sources.now()]).await.unwrap();
            let row = t.fetch_optional("SELECT * FROM vault_keys", vec![]).await.unwrap().unwrap();
            assert_eq!(row.bytes("check_value").unwrap(), [0, 255, 1]);
            assert!(row.bool("is_current").unwrap());
            assert_eq!(row.time("created_at").unwrap(), t.sources.now());

            let sql = "INSERT INTO idempotency (key_id, idem_key, arguments_hash, call_id, outcome, state, created_at, expires_at) \
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
            let none: Option<Vec<u8>> = None;
            t.execute(sql, args!["k", "i", [7; 32], "c", none, "begun", t.sources.now(), t.sources.now()]).await.unwrap();
            let row = t.fetch_optional("SELECT * FROM idempotency", vec![]).await.unwrap().unwrap();
            assert_eq!(row.bytes32("arguments_hash").unwrap(), [7; 32]);
            assert_eq!(row.opt_bytes("outcome").unwrap(), None);
        })
        .await;
    }

    #[tokio::test]
    async fn a_dropped_transaction_leaves_nothing_and_a_reader_sees_one_state() {
        each_engine(async |t| {
            let put = "INSERT INTO meta (name, value) VALUES ($1, 'x')";
            let count = "SELECT count(*) AS n FROM meta";
            let mut tx = t.begin().await.unwrap();
            tx.execute(put, args!["lost"]).await.unwrap();
            drop(tx);
            for durability in [Durability::Lazy, Durability::Full] {
                let mut tx = t.begin_with(durability).await.unwrap();
                tx.execute(put, args![format!("{durability:?}")]).await.unwrap();
                tx.commit().await.unwrap();
            }
            let mut reader = t.begin_read().await.unwrap();
            let n = async |tx: &mut Tx| tx.fetch_optional(count, vec![]).await.unwrap().unwrap().int("n").unwrap();
            assert_eq!(n(&mut reader).await, 2);
            t.execute(put, args!["third"]).await.unwrap();
            assert_eq!(n(&mut reader).await, 2, "the state it began with");
            assert!(reader.execute(put, args!["no"]).await.is_err(), "a reader does not write");
        })
        .await;
    }

    #[tokio::test]
    async fn migrations_run_once_though_two_start() {
        each_engine(async |t| {
            assert!(t.pending_migrations().await.unwrap().is_empty());
            let other = t.another().await;
            let (a, b) = tokio::join!(t.migrate(), other.migrate());
            a.unwrap();
            b.unwrap();
            other.close().await;
        })
        .await;
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/x.db", dir.path().display()).parse().unwrap();
        let (one, two) = (Db::open(&url).await.unwrap(), Db::open(&url).await.unwrap());
        assert!(!one.pending_migrations().await.unwrap().is_empty());
        let (a, b) = tokio::join!(one.migrate(), two.migrate());
        a.unwrap();
        b.unwrap();
        assert!(one.pending_migrations().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn sqlite_settings() {
        use std::os::unix::fs::PermissionsExt as _;
        let t = sqlite().await;
        t.ready().await.unwrap();
        for file in std::fs::read_dir(t.dir.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?} is the owner's alone");
        }
        for (pragma, value) in [("foreign_keys", 1), ("synchronous", 2)] {
            let mut tx = t.begin().await.unwrap();
            let row = tx.fetch_optional(Assembled(format!("PRAGMA {pragma}")), vec![]).await.unwrap().unwrap();
            assert_eq!(row.int(pragma).unwrap(), value, "{pragma}");
        }
        let mode = t.fetch_optional("PRAGMA journal_mode", vec![]).await.unwrap().unwrap();
        assert_eq!(mode.text("journal_mode").unwrap(), "wal");
        assert!(t.fetch_all("DELETE FROM meta", vec![]).await.is_err(), "readers do not write");
    }

    #[test]
    fn addresses() {
        let url: DbUrl = "postgres://me:hunter2@db:5433/ocore?sslmode=disable".parse().unwrap();
        assert!(url.has_password());
        assert_eq!(url.to_string(), "postgres://me@db:5433/ocore");
        assert!(!format!("{url:?}").contains("hunter2"));
        assert!(!"postgres://me@db/ocore".parse::<DbUrl>().unwrap().has_password());
        assert!("postgres://db/ocore?user=me&password=hunter2".parse::<DbUrl>().unwrap().has_password());
        assert!(matches!("sqlite:///var/lib/ocore.db".parse(), Ok(DbUrl::Sqlite(p)) if p.is_absolute()));
        for bad in ["", "mysql://x", "sqlite://", "sqlite::memory:", "postgres://me:hunter2@[/x"] {
            let error = bad.parse::<DbUrl>().unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }
}
