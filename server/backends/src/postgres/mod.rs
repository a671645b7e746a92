//! The PostgreSQL way into an Odoo instance: what may be asked ([`guard`]), with whose rights ([`roles`]), over which
//! connection ([`session`]), and what is there to ask about ([`catalogue`], [`tables`]).
//!
//! Three walls stand behind each other and none trusts the one before it: the guard lets known constructs through and
//! writes the text that runs itself; the session gives that text a read-only transaction with timeouts and a clean
//! connection; the login role has grants for those columns alone that the guard would show.
//!
//! From outside there are only the handles ([`handle`]): a [`Reader`] and a [`Writer`] of one call on one instance.
mod catalogue;
mod guard;
mod handle;
mod roles;
mod secrets;
mod session;
mod tables;
mod tls;
mod values;

pub use catalogue::Kind as TableKind;
pub use handle::{Address, Logins, Pool, Ran, Reader, ScriptPlan, SqlLogin, Writer, changes, roots};
pub(crate) use handle::{NoLogins, proven, unlimited};
pub use roles::Finding;
pub use session::Preview;
pub use tables::{Table, TableColumn};
pub use values::{Answer as Rows, Column};

#[cfg(test)]
mod tests;
