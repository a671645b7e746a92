//! What a write would do, and how far a long call is.
use schemars::JsonSchema;
use serde::Serialize;

/// What `dry_run` answers and a warning shows. Made with reads only.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub struct Plan {
    /// One sentence: what would happen, to what.
    pub summary: String,
    /// How many records (or files, rows) would be touched.
    pub affected: u64,
    /// At most ten names of them.
    pub examples: Vec<String>,
    /// What the caller should know before going on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The records as planned; a confirmation holds for these alone.
    #[serde(skip)]
    pub ids: Vec<i64>,
}

/// The newest state wins; a façade samples it as often as its protocol likes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: Option<u64>,
    pub text: String,
}
