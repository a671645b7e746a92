//! How a run ends when it does not succeed.
use std::time::Duration;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::postgres::guard::{Checked, Kind, Position, Refused};

/// What PostgreSQL said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// SQLSTATE.
    pub code: String,
    /// Its message.
    pub message: String,
    /// Its hint.
    pub hint: Option<String>,
    /// `Key (…)=(…) already exists.` and its like. Details with whole rows are left out: they may hold withheld columns.
    pub detail: Option<String>,
    /// Where in the caller's text, as near as can be told.
    pub at: Option<Position>,
}
impl std::fmt::Display for SqlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.message, self.code)?;
        if let Some(at) = self.at {
            write!(f, "{at}")?;
        }
        if let Some(detail) = &self.detail {
            write!(f, "; {detail}")?;
        }
        Ok(())
    }
}

/// How a run ends when it does not succeed. Nothing was changed, but for [`Error::OutcomeUnknown`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The guard refuses.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A statement that changes data was given to a read, or the other way.
    #[error("{0:?} is not run here")]
    Misplaced(Kind),
    /// No connection.
    #[error("the database {database} on {host}:{port} is not reached: {why}")]
    Unreachable {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// Database.
        database: String,
        /// Why, without secrets.
        why: String,
    },
    /// The server refuses the login.
    #[error("the database {database} on {host} refuses the login {user} (SQLSTATE {code})")]
    Login {
        /// Host.
        host: String,
        /// Database.
        database: String,
        /// Role.
        user: String,
        /// SQLSTATE.
        code: String,
    },
    /// All connections of this instance are in use, or the server has none left.
    #[error("no connection is free: {0}")]
    Busy(String),
    /// Another session holds a lock.
    #[error("another session holds a lock on what this statement needs")]
    Locked,
    /// Two transactions met; the same again may succeed.
    #[error("another transaction changed the same rows at the same time")]
    Conflict,
    /// It took too long and was stopped.
    #[error("it took longer than {} ms and was stopped", .0.as_millis())]
    Timeout(Duration),
    /// It was cancelled.
    #[error("it was cancelled")]
    Cancelled,
    /// The plan is more expensive than allowed.
    #[error("its plan costs {cost:.0}, at most {ceiling:.0} is allowed")]
    TooCostly {
        /// Of the plan.
        cost: f64,
        /// Allowed.
        ceiling: f64,
    },
    /// The values do not fit the statement's parameters.
    #[error("{0}")]
    Parameters(String),
    /// The role may not.
    #[error("the login role may not do that: {}", .0.message)]
    Privilege(SqlError),
    /// PostgreSQL refuses the statement.
    #[error("PostgreSQL: {0}")]
    Sql(SqlError),
    /// The connection was lost before anything could be committed.
    #[error("the connection was lost; nothing was changed")]
    Lost,
    /// The connection was lost at COMMIT: the changes may or may not be there.
    #[error("the connection was lost while committing: the changes may or may not have been made")]
    OutcomeUnknown {
        /// The transaction's number, for [`Pools::outcome`]; `None` if it had none yet.
        transaction: Option<u64>,
    },
    /// An answer that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Answer(String),
}
impl Error {
    /// What the caller can do about it, in one sentence.
    pub fn next(&self) -> String {
        match self {
            Self::Refused(refused) => return refused.next(),
            Self::Misplaced(_) => "Use the tool for that kind of statement.",
            Self::Unreachable { .. } => {
                "Check host, port and TLS of the instance's postgres connection, and that the server listens there."
            }
            Self::Login { .. } => "Check the login and its secret; `ocore instance sql-role` makes the roles anew.",
            Self::Busy(_) => "Try again in a moment.",
            Self::Locked => "Try again in a moment, or find what holds it: a module upgrade and a long import do.",
            Self::Conflict => "Try the same again.",
            Self::Timeout(_) => "Narrow it with WHERE, look at its plan with explain, or raise timeout_seconds (at most 120).",
            Self::Cancelled => "Run it again when you need it.",
            Self::TooCostly { .. } => "Narrow it with WHERE on indexed columns; explain shows the plan.",
            Self::Parameters(_) => "Give one value in params for each of $1, $2, …, of the type that stands there.",
            Self::Privilege(_) => {
                "Columns with secrets are not granted; for tables of new modules run `ocore instance sql-role` again."
            }
            Self::Sql(error) => {
                if let Some(hint) = &error.hint {
                    return hint.clone();
                }
                match error.code.get(..2) {
                    Some("42") => "list_tables shows tables and columns with their types.",
                    Some("22") => "A value does not fit its type: check casts, dates and JSON.",
                    Some("23") => "A constraint of the table forbids it; get_model_constraints tells more.",
                    _ => "Check the statement.",
                }
            }
            Self::Lost => "Try again; reads change nothing.",
            Self::OutcomeUnknown { .. } => "Do not repeat it blindly: look with a SELECT whether the changes are there.",
            Self::Answer(_) => "Cast the column to text.",
        }
        .to_owned()
    }
}

/// An error and its causes in one line. None of tokio-postgres's holds a secret: they name addresses and what failed.
pub(in crate::postgres) fn causes(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        source = cause.source();
    }
    out
}

/// Whether the server ended the session by itself, perhaps between the commit and its answer.
pub(super) fn ends_session(db: &DbError) -> bool {
    db.code().code().starts_with("57P")
}

/// PostgreSQL's error, typed. `checked` helps to say where.
pub(super) fn failed(error: &tokio_postgres::Error, checked: Option<&Checked>) -> Error {
    let Some(db) = error.as_db_error() else {
        return if error.is_closed() || error.to_string().contains("communicating") {
            Error::Lost
        } else {
            Error::Answer(causes(error))
        };
    };
    let at = match (db.position(), checked) {
        (Some(ErrorPosition::Original(at)), Some(checked)) => checked.origin(*at),
        _ => None,
    };
    let sql = SqlError {
        code: db.code().code().to_owned(),
        message: db.message().chars().take(600).collect(),
        hint: db.hint().map(str::to_owned),
        detail: db.detail().filter(|d| d.starts_with("Key (")).map(|d| d.chars().take(300).collect()),
        at,
    };
    match db.code().code() {
        "57014" if db.message().contains("timeout") => Error::Timeout(Duration::ZERO),
        "57014" => Error::Cancelled,
        "55P03" => Error::Locked,
        "40001" | "40P01" => Error::Conflict,
        "42501" => Error::Privilege(sql),
        "53300" => Error::Busy(sql.message),
        code if code.starts_with("57P") => Error::Lost,
        _ => Error::Sql(sql),
    }
}
