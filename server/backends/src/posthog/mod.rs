//! PostHog's API, read only: figures about an instance's use, by fixed questions in HogQL, and its lists of feature flags and surveys.
//!
//! `hogql.rs` has the texts of the questions, `client.rs` asks them (through the same HTTP client as Odoo's: no redirects, only
//! permitted addresses, bounded answers), `reader.rs` is the handle with one verb per figure. No text of a caller becomes a query.
mod client;
mod hogql;
mod reader;

pub use client::{Keys, Pool, Reader};
pub use reader::{
    Activity, Bucket, Condition, ErrorKind, ErrorTotals, Flag, ModuleTotals, ModuleUse, Period, Rpc, RpcTotals, Sessions,
    SlowPage, Survey, User, Variant, Vital, Vitals,
};
