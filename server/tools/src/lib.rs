//! One file per tool: `src/<category>/<tool>.rs`. What a tool is stands in [`contract`]; adding one adds one file.
#![allow(clippy::wildcard_imports, reason = "a tool's file is written in the contract's words")]
#![allow(clippy::doc_link_with_quotes, reason = "doc comments of arguments are what models read, examples in JSON included")]

pub mod args;
mod batch;
mod blobs;
mod caps;
mod changes;
pub mod contract;
mod csv_import;
pub mod csv_text;
mod difflib;
mod grouping;
mod knowledge;
mod module_categories;
mod module_graph;
mod module_ops;
mod module_removal;
mod posthog;
mod python;
mod schema;

mod users;

use contract::Tool;

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The tool of that name (without an instance's prefix).
pub fn find(name: &str) -> Option<&'static Tool> {
    CATALOGUE.iter().find(|t| t.facts.name == name)
}
