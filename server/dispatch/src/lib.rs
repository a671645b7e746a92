//! The one way to run a tool. Every façade turns its wire form into a [`Call`] and hands it to [`Dispatch::call`].
//!
//! `pipeline.rs` reads top to bottom; a stage with substance has a file of its own: `catalogue.rs` (resolve, list),
//! `arguments.rs` (prepare), `limit.rs` (rates), `confirm.rs` (intent), `shape.rs` (cutting and rendering), `trail.rs` (audit),
//! `auto_context.rs` (what lists and instructions say of instances).
mod arguments;
mod auto_context;
mod catalogue;
mod confirm;
mod limit;
mod operation;
mod pipeline;
mod shape;
mod trail;

pub use catalogue::{Listed, View, ViewQuery};
pub use pipeline::{Answer, Call, Dispatch, Parts, Running, Whoami};
pub use tools::contract::Content;
pub use trail::Door;
