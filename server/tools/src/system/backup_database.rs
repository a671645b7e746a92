use backends::backup::New;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::{self as tool, *};

/// Back up the instance's database with its filestore, and verify what was written. Long work: call again with the same arguments to wait for it. The instance is not changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupDatabase {
    /// custom (default, PostgreSQL's own) or plain (SQL)
    format: Option<String>,
    /// Default true
    include_filestore: Option<bool>,
    /// At most 100 characters
    label: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Made {
    /// What restore_database takes.
    pub backup: String,
    pub created: String,
    pub bytes: u64,
    pub odoo_version: String,
    pub modules: usize,
    pub filestore: bool,
    pub notes: Vec<String>,
}
impl Answer for Made {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
impl BackupDatabase {
    fn plain(&self) -> Result<bool> {
        match self.format.as_deref() {
            None | Some("custom") => Ok(false),
            Some("plain") => Ok(true),
            Some(_) => Err(refusal(Code::InvalidArgument, "format: custom or plain.")
                .next("custom is smaller and faster to restore.")
                .into()),
        }
    }
}
impl WriteTool for BackupDatabase {
    type Answer = Made;
    const CHANGES: Changes = Changes::Outside;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        self.plain()?;
        cx.backups()?;
        let with = if self.include_filestore == Some(false) { "without its filestore" } else { "with its filestore" };
        Ok(Plan { summary: format!("Would back up {} {with}", cx.instance()?.database), affected: 1, ..Plan::default() })
    }
    async fn call(self, cx: &WriteCx) -> Result<Made> {
        let new = New {
            id: cx.call_id().to_string().to_lowercase(),
            now: cx.now(),
            label: self.label.clone(),
            plain: self.plain()?,
            filestore: self.include_filestore != Some(false),
        };
        let manifest = WriteCx::backups(cx)?.create(new, &mut |progress| cx.report(progress)).await?;
        let mut notes = vec!["Verified: checksums, the dump read to its end, every file of the filestore.".to_owned()];
        notes.extend(manifest.warnings());
        Ok(Made {
            created: kernel::time_text(manifest.created),
            bytes: manifest.bytes(),
            odoo_version: manifest.odoo_version.clone(),
            modules: manifest.modules.len(),
            filestore: manifest.filestore.is_some(),
            backup: manifest.id,
            notes,
        })
    }
    async fn resume(self, _: &WriteCx, _: Value) -> Result<Made> {
        Err(refusal(Code::Cancelled, "ocore was stopped while the backup was made; what was written of it is removed.")
            .next("Call again; the instance was not changed.")
            .into())
    }
}
pub const TOOL: Tool = tool::write::<BackupDatabase>("Back up the database").operation(6 * 3600);
