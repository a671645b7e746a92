//! Odoo's containers by Docker: the way in for shell, logs, caches and modules by command line.
//!
//! `endpoint.rs` connects to a Docker server (socket, TLS, ssh) and speaks the few API calls that are needed; `container.rs`
//! knows a container's state, describes and restarts it; `exec.rs` runs programs in it that die when they should; `shell.rs`
//! starts Odoo's shell as the server was started and runs code in it; `reflect.rs` asks it about methods and constraints and
//! clears caches; `logs.rs` takes Odoo's log apart; `modules.rs` installs, upgrades and uninstalls; `error.rs` says what went
//! wrong and what to do. The Python in `scripts/` is compiled in; it takes arguments as JSON, never as part of its text.
//!
//! Nothing here knows of tenants or keys: who may use a container, and which database in it, is decided before.
//! From outside there are only the handles (`handle.rs`): a [`Reader`] and a [`Writer`] of one call on one instance.
pub(crate) mod container;
pub(crate) mod endpoint;
mod error;
pub(crate) mod exec;
mod handle;
mod logs;
mod modules;
mod reflect;
mod shell;
#[cfg(test)]
mod tests;

pub use container::Description;
pub use error::{Error, Result};
pub use handle::{DockerSecret, Executed, LogQuery, Pool, Printed, Reader, Secrets, Writer, check_secret};
pub use logs::{Found, Level, Record};
pub use modules::{Operation, Progress, Report, State};
pub use reflect::{Cleared, Method, PythonConstraint, Target};
