//! Odoo by RPC: handles bound to a caller's scope, over one of three dialects.
//!
//! `client.rs` owns connections, sessions, the concurrency cap and the circuit breaker; `dialect.rs` knows what differs
//! between Odoo's versions (nowhere else may); `error.rs` turns Odoo's errors into typed faults; `pool.rs` keeps one client
//! per instance, credential and generation; `walk.rs` checks dotted paths, domains, orders, groupings and x2many commands
//! against the scope; `reader.rs` and `writer.rs` are the handles.
mod reader;
mod types;
mod writer;

pub use reader::Reader;
pub use types::{
    Aggregate, Credential, Credentials, Field, Group, GroupBy, GroupKey, Measure, ModelFields, OdooContext, ReadMethod, Record, Rows, Search,
    ServerVersion,
};
pub use writer::Writer;
