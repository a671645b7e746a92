//! What the tools that change files have in common.
use backends::files::{Change, ChangeKind, Undo};
use kernel::{Code, ExposeSecret as _, Fault, Plan, refusal};
use schemars::JsonSchema;
use serde::Serialize;
use store::file_undo::Kept;

use crate::contract::{Answer, ReadCx, WriteCx};

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

/// Keeps how a change is taken back, and answers with it. The change is made: what cannot be kept is said.
pub async fn kept(cx: &WriteCx, mut change: Change) -> Result<Changed, Fault> {
    if let Some(undo) = change.undo.take() {
        let content = serde_json::to_string(&undo).map_err(|_| Fault::failed("a change that is no JSON"))?.into();
        match WriteCx::file_undo(cx)?.keep(&change.path, change.new_path.as_deref(), &content).await {
            Ok(()) => change.notes.push(format!(
                "file_write with mode undo and path {} takes it back, for {} days and while the file is left as it is.",
                change.new_path.as_deref().unwrap_or(&change.path),
                store::file_undo::AGE.num_days()
            )),
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "what a change replaced could not be kept");
                change.notes.push("No undo: what it replaced could not be kept.".to_owned());
            }
        }
    }
    Ok(change.into())
}

/// The last change of a path, as it is taken back; refused when none is kept.
pub async fn last(cx: &ReadCx, path: &str) -> Result<(Kept, Undo), Fault> {
    let normal = path.trim().trim_end_matches('/');
    let Some(kept) = cx.file_undo()?.latest(normal).await? else {
        return Err(refusal(Code::NotFound, format!("No change of {normal} is kept that could be taken back."))
            .next("Kept are the last 50 changes of an instance, for 7 days, by the path that the change answered with.")
            .into());
    };
    let undo: Undo =
        serde_json::from_str(kept.content.expose_secret()).map_err(|_| Fault::failed("a kept change that cannot be read"))?;
    let takes = match undo.kind {
        ChangeKind::Created | ChangeKind::DirectoryCreated => "file_delete",
        ChangeKind::Deleted | ChangeKind::DirectoryDeleted => "file_create",
        ChangeKind::Renamed => "file_move",
        ChangeKind::Written => "file_write",
    };
    if !cx.may_call(takes) {
        return Err(refusal(
            Code::PermissionDenied,
            format!("Taking this change back is what {takes} does, which this key may not call."),
        )
        .next("Ask an administrator of your organization for a key that permits it.")
        .into());
    }
    Ok((kept, undo))
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
