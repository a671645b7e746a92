//! What ocore keeps: organizations, users, servers, instances, keys, audit. SQLite or PostgreSQL behind one [`Db`].

pub mod audit;
pub mod audit_log;
pub mod calls;
pub mod credentials;
mod db;
mod error;
pub mod events;
pub mod idempotency;
pub mod instances;
pub mod keys;
mod migrations;
pub mod orgs;
pub mod registry;
pub mod secrets;
pub mod security;
pub mod servers;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
pub mod users;
pub mod vault;

pub use db::{Arg, Assembled, Db, DbUrl, Durability, Engine, Lock, On, Row, Tx};
pub use error::{Result, StoreError};
