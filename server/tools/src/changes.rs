//! What the tools that change files have in common.
use backends::files::{Change, ChangeKind};
use kernel::Plan;
use schemars::JsonSchema;
use serde::Serialize;

use crate::contract::Answer;

#[derive(Debug, Serialize, JsonSchema)]
pub struct Changed {
    pub path: String,
    /// written, created, directory_created, deleted, directory_deleted or renamed.
    pub done: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_before: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_after: Option<u64>,
    /// What changed, as a unified diff; absent for what is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// The file's SHA-256 now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Changed {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
fn word(kind: ChangeKind) -> String {
    serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}
impl From<Change> for Changed {
    fn from(change: Change) -> Self {
        Self {
            path: change.path,
            done: word(change.kind),
            new_path: change.new_path,
            bytes_before: change.bytes_before,
            bytes_after: change.bytes_after,
            diff: change.diff,
            version: change.version,
            notes: change.notes,
        }
    }
}

/// Lines of a diff that a plan shows.
const DIFF_LINES: usize = 60;

/// A plan of a change, `verb` as in "Would write".
pub fn plan(verb: &str, change: Change) -> Plan {
    let to = change.new_path.map(|p| format!(" to {p}")).unwrap_or_default();
    let mut warnings = change.notes;
    if let Some(diff) = change.diff {
        let lines: Vec<&str> = diff.lines().collect();
        let mut shown = lines.iter().take(DIFF_LINES).copied().collect::<Vec<_>>().join("\n");
        if lines.len() > DIFF_LINES {
            shown = format!("{shown}\n… {} more lines", lines.len() - DIFF_LINES);
        }
        warnings.push(shown);
    }
    let affected = (change.files + change.directories).max(1);
    let mut examples: Vec<String> = change.names.into_iter().take(10).collect();
    if examples.is_empty() {
        examples.push(change.path.clone());
    }
    Plan { summary: format!("Would {verb} {}{to}", change.path), affected, examples, warnings, ids: Vec::new() }
}
