use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list_scheduled_actions::{Listed, called};
use crate::{
    args::RecordId,
    contract::{self as tool, *},
};

/// Enable or disable a scheduled action.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToggleScheduledAction {
    /// From list_scheduled_actions
    action_id: RecordId,
    active: bool,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Toggled {
    /// As it is now.
    pub action: Listed,
    /// False when it was so already.
    pub changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Toggled {
    fn affected(&self) -> Option<u64> {
        Some(self.changed.into())
    }
}
/// What an enabled action does next.
fn outlook(job: &backends::odoo::Job) -> Option<String> {
    if job.numbercall == Some(0) {
        return Some("It has no runs left (numbercall is 0): Odoo does not run it, enabled or not.".to_owned());
    }
    job.nextcall.as_ref().map(|next| format!("It runs next at {next} UTC, or within a minute or so when that is past."))
}
impl WriteTool for ToggleScheduledAction {
    type Answer = Toggled;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let job = cx.odoo()?.job(self.action_id.0).await?;
        let same = job.active == self.active;
        let mut warnings = Vec::new();
        if same {
            warnings.push(format!("It is {} already: nothing would change.", if job.active { "enabled" } else { "disabled" }));
        } else if self.active {
            warnings.extend(outlook(&job));
        }
        Ok(Plan {
            summary: format!("Would {} the scheduled action {}", if self.active { "enable" } else { "disable" }, called(&job)),
            affected: (!same).into(),
            examples: vec![called(&job)],
            warnings,
            ids: vec![job.id],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Toggled> {
        let odoo = cx.odoo()?;
        let before = odoo.job(self.action_id.0).await?;
        if before.active == self.active {
            return Ok(Toggled { action: Listed::from(before), changed: false, notes: Vec::new() });
        }
        odoo.switch_job(&before, self.active).await?;
        let mut notes = Vec::new();
        let now = match odoo.job(before.id).await {
            Ok(now) => now,
            Err(fault) => {
                notes.push(format!("Odoo took the change, but it could not be read back: {}", fault.public().message));
                backends::odoo::Job { active: self.active, ..before }
            }
        };
        let changed = now.active == self.active;
        if !changed {
            notes.push("Odoo took the change without an error, but the action is as it was.".to_owned());
        } else if now.active {
            notes.extend(outlook(&now));
        }
        Ok(Toggled { action: Listed::from(now), changed, notes })
    }
}
pub const TOOL: Tool = tool::write::<ToggleScheduledAction>("Enable or disable a scheduled action").lifting(&["ir.cron"]);
