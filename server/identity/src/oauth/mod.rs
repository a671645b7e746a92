//! The authorization server: OAuth 2.1 with registration and metadata documents, the device flow, and the second factor.
//!
//! Its rules are pure functions over plain values, without HTTP, store or clock: time and randomness come in as parameters, and what
//! must be decided once is said as a compare-and-set that one SQL statement can do. [`server`] runs them over the store.
pub mod client_assertion;
pub mod client_auth;
pub mod client_metadata;
pub mod counts;
pub mod device;
pub mod error;
pub mod metadata;
pub mod opaque;
pub mod pkce;
pub mod redirect;
pub mod registration;
pub mod request;
pub mod resource;
pub mod scope;
pub mod server;
pub mod throttle;
pub mod tokens;
pub mod totp;

pub use error::{Code, OauthError, Result};

#[cfg(test)]
mod testing {
    use kernel::{FamilyId, GrantId};

    pub(crate) fn a_grant() -> GrantId {
        "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
    }
    pub(crate) fn other_grant() -> GrantId {
        "01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap()
    }
    pub(crate) fn a_family() -> FamilyId {
        "01ARZ3NDEKTSV4RRFFQ69G5FAX".parse().unwrap()
    }
}
