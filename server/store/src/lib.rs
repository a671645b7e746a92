//! What ocore keeps: organizations, users, servers, instances, keys, audit. SQLite or PostgreSQL behind one [`Db`].

mod db;
mod error;
mod migrations;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vault;

pub use db::{Arg, Assembled, Db, DbUrl, Durability, Engine, Lock, On, Row, Tx};
pub use error::{Result, StoreError};
