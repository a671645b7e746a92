//! How the store fails. No message carries a value that came from a caller or a secret.
use kernel::Fault;

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The engine cannot be reached, or did not answer in time.
    #[error("the store is not reachable")]
    Unavailable(#[source] sqlx::Error),
    /// A unique index refused the row. `what` is the engine's name of it (an index, or `table.column`).
    #[error("a row with the same value exists ({what})")]
    Unique { what: String },
    /// The row points to one that does not exist, or one that others point to cannot go.
    #[error("a row that this one needs does not exist, or one that is needed cannot go")]
    Reference,
    /// A CHECK refused the row.
    #[error("a value is out of range ({what})")]
    Check { what: String },
    /// The engine refused a statement: a programming error, a full disk, a broken file.
    #[error("the store refused a statement")]
    Statement(#[source] sqlx::Error),
    /// A stored value cannot be read.
    #[error("{column} holds what cannot be read: {why}")]
    Corrupt { column: String, why: String },
    #[error("the store's tables could not be brought up to date")]
    Migration(#[source] sqlx::migrate::MigrateError),
    #[error("not a store address: {why}")]
    Url { why: &'static str },
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
}
impl StoreError {
    pub(crate) fn corrupt(column: &str, why: impl std::fmt::Display) -> Self {
        Self::Corrupt { column: column.to_owned(), why: why.to_string() }
    }
    /// Whether the same statement may succeed a little later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Database(e) if e.is_unique_violation() => {
                // PostgreSQL names the index; SQLite only says it in the message, after a fixed text.
                let named = e.constraint().map(str::to_owned);
                Self::Unique { what: named.unwrap_or_else(|| after_colon(e.message())) }
            }
            E::Database(e) if e.is_foreign_key_violation() => Self::Reference,
            E::Database(e) if e.is_check_violation() => {
                Self::Check { what: e.constraint().map_or_else(|| after_colon(e.message()), str::to_owned) }
            }
            // SQLite: busy, locked, cannot open; PostgreSQL: connection lost, shutting down, lock or statement timeout.
            E::Database(e) if e.code().is_some_and(|c| transient(&c)) => Self::Unavailable(error),
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            _ => Self::Statement(error),
        }
    }
}

fn after_colon(message: &str) -> String {
    message.rsplit_once(": ").map_or(message, |(_, what)| what).to_owned()
}

fn transient(code: &str) -> bool {
    // SQLite's extended codes keep the primary code in the low byte: 5 busy, 6 locked, 14 cannot open.
    let sqlite = code.parse::<u32>().is_ok_and(|n| code.len() < 5 && matches!(n & 0xff, 5 | 6 | 14));
    sqlite || code.starts_with("08") || code.starts_with("57P") || matches!(code, "57014" | "55P03" | "53300" | "40001" | "40P01")
}

impl From<StoreError> for Fault {
    /// What failed: the error's own text, which holds no values. Its source goes to the log here, where it would otherwise be lost.
    fn from(error: StoreError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the store failed");
        Self::failed(format!("store: {error}"))
    }
}
