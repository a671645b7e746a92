//! The caller's policy on an instance, and what no generic tool may touch.
use std::collections::BTreeSet;

use kernel::Selection;

/// The policy that every handle carries. Built by dispatch from the actor's permissions and the tool.
#[derive(Debug, Clone)]
pub struct Scope {
    pub models: Selection<String>,
    /// `model.method` names that a restricted key may run.
    pub methods: BTreeSet<String>,
    pub companies: Selection<i64>,
    /// Block-listed models that the running tool is the dedicated way to.
    pub lifts: &'static [&'static str],
    /// Whether the key is limited to some models or companies.
    pub restricted: bool,
    /// Records in one answer (the organization's cap).
    pub max_records: u64,
    /// The most that `limit` may ask for.
    pub max_search_limit: u64,
}
