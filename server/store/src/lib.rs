//! What ocore keeps: organizations, users, servers, instances, keys, audit. SQLite or PostgreSQL behind one [`Db`].

pub mod audit;
pub mod audit_log;
pub mod caller;
pub mod calls;
pub mod cooldowns;
pub mod credentials;
mod db;
mod error;
pub mod events;
pub mod file_undo;
pub mod idempotency;
pub mod impersonations;
pub mod instances;
pub mod keys;
pub mod knowledge;
pub mod ledger;
mod migrations;
pub mod operations;
pub mod orgs;
pub mod registry;
pub mod resources;
pub mod secrets;
pub mod security;
pub mod servers;
pub mod summaries;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod users;
pub mod vault;
pub mod web_sessions;

pub use db::{Arg, Assembled, Db, DbUrl, Durability, Engine, Lock, On, Row, Tx};
pub use error::{Result, StoreError};
