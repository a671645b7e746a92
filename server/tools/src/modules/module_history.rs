use kernel::time_text;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::ledger::{Entry, Outcome};

use crate::{
    contract::{self as tool, *},
    module_ops,
};

/// The most entries of one answer.
const MOST: u64 = 500;

/// What ocore installed, upgraded and removed on this instance, newest first. Odoo itself keeps no such history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleHistory {
    module: Option<String>,
    /// Default 50
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct History {
    pub entries: Vec<Row>,
    pub count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Row {
    pub started_at: String,
    pub ended_at: Option<String>,
    pub operation: String,
    pub module: String,
    /// False where it came along with another.
    pub asked: bool,
    /// Modules that came along; name one to see its own history.
    pub along: u32,
    /// running, ok, failed or unknown.
    pub outcome: &'static str,
    pub state_before: Option<String>,
    pub state: Option<String>,
    pub version_before: Option<String>,
    pub version: Option<String>,
    /// Label of the API key.
    pub key: String,
    /// Its row in the audit.
    pub call: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
impl Answer for History {
    const LIST: Option<&'static str> = Some("entries");
    fn columns(&self) -> Vec<String> {
        ["started_at", "operation", "module", "outcome", "version_before", "version", "key"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
fn row(entry: Entry, at_work: bool) -> Row {
    let line = entry.line;
    let (outcome, reason) = match line.outcome {
        Outcome::Running if !at_work => (
            Outcome::Unknown,
            "ocore was stopped while it ran; module_drift and list_modules tell how the modules stand.".to_owned(),
        ),
        other => (other, entry.reason),
    };
    Row {
        started_at: time_text(entry.started_at),
        ended_at: entry.ended_at.map(time_text),
        operation: entry.operation,
        module: line.module,
        asked: line.asked,
        along: entry.along,
        outcome: outcome.as_str(),
        state_before: line.state_before,
        state: line.state_after,
        version_before: line.version_before,
        version: line.version_after,
        key: entry.key_label,
        call: entry.call.to_string(),
        reason,
    }
}

impl ReadTool for ModuleHistory {
    type Answer = History;
    async fn call(self, cx: &ReadCx) -> Result<History> {
        let ledger = cx.ledger()?;
        if let Some(name) = &self.module {
            module_ops::asked("module", std::slice::from_ref(name))?;
        }
        let limit = match self.limit {
            None => 50,
            Some(limit @ 1..=MOST) => limit,
            Some(other) => {
                return Err(refusal(Code::InvalidArgument, format!("limit: {other} is not within 1 to {MOST}."))
                    .next("Name a module to see its own history.")
                    .into());
            }
        };
        let at_work = ledger.at_work().await?.map(|lease| lease.call);
        let entries = ledger.history(self.module.as_deref(), u32::try_from(limit).unwrap_or(u32::MAX)).await?;
        let entries: Vec<Row> = entries
            .into_iter()
            .map(|e| {
                let now = at_work == Some(e.call);
                row(e, now)
            })
            .collect();
        let mut notes = Vec::new();
        if entries.is_empty() {
            notes.push("ocore has changed no such module here; what was done in Odoo itself is not known.".to_owned());
        }
        Ok(History { count: entries.len(), entries, notes })
    }
}
pub const TOOL: Tool = tool::read::<ModuleHistory>("What was done to modules");
