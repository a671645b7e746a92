use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::RecordId,
    contract::{self as tool, *},
    users::{Who, called},
};

/// Activate an Odoo user, or deactivate (archive) it. Odoo's own users are protected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserActive {
    user_id: RecordId,
    active: bool,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Switched {
    /// As it is now.
    pub user: Who,
    /// False when it was so already.
    pub changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Switched {
    fn affected(&self) -> Option<u64> {
        Some(self.changed.into())
    }
}
impl SetUserActive {
    fn verb(&self) -> &'static str {
        if self.active { "activate" } else { "deactivate" }
    }
    fn consequence(&self) -> &'static str {
        if self.active {
            "The user can sign in again, with the password and the API keys that it had."
        } else {
            "The user is signed out everywhere and its API keys stop working; its records stay."
        }
    }
}
impl WriteTool for SetUserActive {
    type Answer = Switched;
    fn confirm(&self) -> bool {
        true
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let odoo = cx.odoo()?;
        let user = odoo.user(self.user_id.0).await?;
        odoo.not_protected(&user, if self.active { "activated" } else { "deactivated" }).await?;
        if !self.active {
            odoo.not_myself(&user, "deactivated").await?;
        }
        let mut warnings = Vec::new();
        if user.active == self.active {
            warnings.push(format!("It is {} already: nothing would change.", if user.active { "active" } else { "archived" }));
        } else {
            warnings.push(self.consequence().to_owned());
            let jobs = if self.active { None } else { odoo.jobs_of(user.id).await };
            if let Some(jobs) = jobs.filter(|n| *n > 0) {
                warnings.push(format!("{jobs} active scheduled actions run as this user; they may fail from then on."));
            }
        }
        Ok(Plan {
            summary: format!("Would {} {}", self.verb(), called(&user)),
            affected: (user.active != self.active).into(),
            examples: vec![called(&user)],
            warnings,
            ids: vec![user.id],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Switched> {
        let odoo = cx.odoo()?;
        let before = odoo.user(self.user_id.0).await?;
        let mut notes = Vec::new();
        if before.active == self.active {
            odoo.not_protected(&before, if self.active { "activated" } else { "deactivated" }).await?;
            return Ok(Switched { user: Who::from(&before), changed: false, notes });
        }
        odoo.set_active(&before, self.active).await?;
        // The write is done: what cannot be read back is said, and is no error.
        let user = match odoo.user(before.id).await {
            Ok(user) => Who::from(&user),
            Err(fault) => {
                notes.push(format!("Odoo took the change, but the user could not be read back: {}", fault.public().message));
                Who { active: self.active, ..Who::from(&before) }
            }
        };
        let changed = user.active == self.active;
        notes.push(if changed {
            self.consequence().to_owned()
        } else {
            "Odoo took the change without an error, but the user is as it was.".to_owned()
        });
        Ok(Switched { user, changed, notes })
    }
}
pub const TOOL: Tool = tool::write::<SetUserActive>("Activate or deactivate a user").lifting(&["res.users"]);
