//! What ocore keeps: organizations, users, servers, instances, keys, audit. SQLite or PostgreSQL behind one [`Db`].

/// A closed set of words as they are stored.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal: $($(#[$inner:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$inner])* $variant),+ }
        impl $name {
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> std::result::Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    other => Err(format!(concat!("\"{}\" is no ", $what), other)),
                }
            }
        }
    };
}

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
pub mod invites;
pub mod keys;
pub mod knowledge;
pub mod ledger;
mod migrations;
pub mod oauth;
pub mod oidc;
pub mod operations;
pub mod orgs;
pub mod password_resets;
pub mod registry;
pub mod resources;
pub mod second_factor;
pub mod secrets;
pub mod security;
pub mod servers;
pub mod sign_in_networks;
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
