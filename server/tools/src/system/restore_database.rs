use backends::backup::Recovered;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::contract::{self as tool, *};

/// Put a backup of this instance back: its database and filestore are replaced, after a snapshot of what is there. Odoo's container restarts. Always needs confirm. Long work: call again with the same arguments to wait for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreDatabase {
    /// Its id, from list_backups
    backup: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Put {
    pub backup: String,
    /// The backup of what was there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// new: the backup is served. old: what was there before is.
    pub served: &'static str,
    pub notes: Vec<String>,
}
impl Answer for Put {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
const ROLES: &str = "Rights of other roles are not in a backup: the operator runs ocore instance sql-role again.";

fn recovered(found: Recovered, new: bool) -> Put {
    let mut notes = vec!["ocore was stopped during the restore and has gone on with it since.".to_owned()];
    if new {
        notes.push(ROLES.to_owned());
    } else {
        notes.push("The restore did not come through: what was there before is whole and served.".to_owned());
    }
    notes.extend(found.warnings);
    Put { backup: found.backup, snapshot: found.snapshot, served: if new { "new" } else { "old" }, notes }
}
impl WriteTool for RestoreDatabase {
    type Answer = Put;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let backups = cx.backups()?;
        let manifest = backups.manifest(&self.backup).await?;
        let instance = cx.instance()?;
        let mut warnings = vec![
            format!(
                "Everything that was done in {} since {} is replaced.",
                instance.database,
                kernel::time_text(manifest.created)
            ),
            "A snapshot is made first, and without it nothing is changed. Odoo's container is restarted.".to_owned(),
        ];
        if manifest.filestore.is_none() {
            warnings.push("The backup has no filestore: attachments stay as they are.".to_owned());
        }
        let beside = backups.served_beside().await?;
        if !beside.is_empty() {
            warnings.push(format!("The container serves other databases, which stop for a moment too: {}.", beside.join(", ")));
        }
        Ok(Plan {
            summary: format!("Would replace {} by the backup {}", instance.database, self.backup),
            affected: 1,
            examples: vec![format!("{} of {}", manifest.id, kernel::time_text(manifest.created))],
            warnings,
            ids: Vec::new(),
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Put> {
        let short = cx.call_id().to_string().to_lowercase();
        let snapshot = format!("{short}-before");
        let short = short.get(short.len().saturating_sub(8)..).unwrap_or(&short).to_owned();
        cx.checkpoint(&json!({"snapshot": snapshot})).await?;
        let restored =
            WriteCx::backups(cx)?.restore(&self.backup, (snapshot, short), cx.now(), &mut |progress| cx.report(progress)).await?;
        let mut notes = restored.warnings;
        if restored.missing > 0 {
            notes.push(format!("{} files that attachments name were missing in the backup already.", restored.missing));
        }
        if !restored.lost_rights.is_empty() {
            notes.push(format!("{ROLES} ({})", restored.lost_rights.join(", ")));
        }
        Ok(Put { backup: self.backup, snapshot: Some(restored.snapshot), served: "new", notes })
    }
    async fn resume(self, cx: &WriteCx, _: Value) -> Result<Put> {
        match WriteCx::backups(cx)?.recover().await? {
            Some((new, found)) => Ok(recovered(found, new)),
            None => Err(refusal(Code::Cancelled, "ocore was stopped before anything of the instance was changed.")
                .next("Call again.")
                .into()),
        }
    }
}
pub const TOOL: Tool = tool::destructive::<RestoreDatabase>("Restore the database").operation(6 * 3600);
