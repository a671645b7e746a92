//! Odoo by RPC: handles bound to a caller's scope, over one of three dialects.
//!
//! `pool.rs` keeps one client per instance, credential and generation; `client.rs` signs in and speaks; `gate.rs` caps calls
//! and rests dead instances; `http.rs` connects where it may; `dialect.rs` knows what differs between Odoo's versions (nowhere
//! else may); `error.rs` turns Odoo's errors into typed faults; `schema.rs` knows fields and models; `walk.rs` checks dotted
//! paths, domains, orders, groupings and x2many commands against the scope; `reader.rs`, `ask.rs`, `aggregate.rs` and
//! `writer.rs` are the handles, `users.rs`, `parameters.rs` and `jobs.rs` their verbs for what generic ones do not touch.
/// Most of what happens here ends with a [`kernel::Fault`]; the inner layers have errors of their own.
type Result<T, E = kernel::Fault> = std::result::Result<T, E>;

mod aggregate;
mod arch;
mod ask;
mod attachments;
mod check;
mod client;
mod dialect;
pub(crate) mod error;
mod gate;
pub(crate) mod http;
mod jobs;
mod load;
mod metadata;
mod modules;
pub mod pages;
mod parameters;
mod pool;
mod reader;
mod report;
mod rules;
mod schema;
mod translations;
mod types;
mod users;
mod walk;
mod writer;

pub use attachments::{Attachment, NewAttachment};
pub use jobs::{Job, Ran};
pub use load::{Cells, ImportColumn, ImportColumns, LoadMessage, Loaded, Taken, is_external_id, whole_external_id};
pub use metadata::{Constraint, Constraints, Manifest, Method, Relation, Relations, View, ViewRecord};
pub use modules::{
    Belongings, BrokenView, LostModel, ModuleCategory, ModuleDetails, ModuleEnd, ModuleFilter, ModuleLink, ModuleOperation,
    ModuleState, unknown_module,
};
pub use parameters::Parameter;
pub use pool::{Checked, Pool, PoolSettings};
pub use reader::Reader;
pub use report::{Converter, Report, Wkhtmltopdf};
pub use schema::Model;
pub use translations::{Language, Translated, Translation, TranslationQuery, TranslationRow, Translations};
pub use types::{
    Aggregate, Credential, Credentials, Field, Group, GroupBy, GroupKey, Measure, ModelFields, OdooContext, ReadMethod, Record,
    Rows, Search, ServerVersion,
};
pub use users::{AccessLine, AccessRight, Effective, Membership, ModelAccess, RecordRule, User, UserGroup};
pub use writer::Writer;
