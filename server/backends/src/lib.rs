//! Ways into an instance. The raw clients are private to this crate: from outside there are only handles that carry the
//! caller's policy (its [`Scope`]), so no tool, proxy, prompt or saved filter can forget it.
pub mod backup;
pub mod docker;
pub mod files;
pub mod odoo;
pub mod postgres;
pub mod posthog;
mod scope;
pub mod source;

pub use scope::Scope;
