use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::RecordId,
    contract::{self as tool, *},
    users::{Change, GroupLine, GroupNames, Who},
};

/// Replace ALL security groups of an Odoo user; what the list leaves out is taken away. Look with user_groups first. Odoo's own users are protected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserGroups {
    user_id: RecordId,
    /// XML ids or ids, like ["base.group_user", 12]
    groups: GroupNames,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Replaced {
    pub user: Who,
    /// internal, portal or public
    pub user_type: String,
    pub added: Vec<String>,
    pub removed: Vec<String>,
    /// Not in the list, but given by groups that are.
    pub implied: Vec<String>,
    /// As they are now.
    pub groups: Vec<GroupLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Replaced {
    const LIST: Option<&'static str> = Some("groups");
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
impl WriteTool for SetUserGroups {
    type Answer = Replaced;
    fn confirm(&self) -> bool {
        true
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        Ok(Change::of(cx.odoo()?, self.user_id.0, &self.groups).await?.plan())
    }
    async fn call(self, cx: &WriteCx) -> Result<Replaced> {
        let odoo = cx.odoo()?;
        let change = Change::of(odoo, self.user_id.0, &self.groups).await?;
        odoo.set_groups(&change.user, &change.wanted, &change.expected).await?;
        let mut notes = change.loud();
        let now = match odoo.membership(change.user.id).await {
            Ok(now) => now,
            Err(fault) => {
                notes.push(format!("Odoo took the groups, but they could not be read back: {}", fault.public().message));
                return Ok(Replaced {
                    user: Who::from(&change.user),
                    user_type: change.groups.user_type(&change.expected),
                    added: change.names(&change.added),
                    removed: change.names(&change.removed),
                    implied: change.names(change.expected.difference(&change.wanted)),
                    groups: Vec::new(),
                    notes,
                });
            }
        };
        let missing = change.names(change.wanted.difference(&now.effective));
        if !missing.is_empty() {
            notes.push(format!("Odoo did not give: {}.", missing.join(", ")));
        }
        let more = change.names(now.effective.difference(&change.expected));
        if !more.is_empty() {
            notes.push(format!("Odoo gave or kept besides: {}.", more.join(", ")));
        }
        Ok(Replaced {
            user: Who::from(&change.user),
            user_type: change.groups.user_type(&now.effective),
            added: change.names(now.effective.difference(&change.before.effective)),
            removed: change.names(change.before.effective.difference(&now.effective)),
            implied: change.names(now.effective.difference(&change.wanted)),
            groups: change.groups.lines(&now),
            notes,
        })
    }
}
pub const TOOL: Tool = tool::write::<SetUserGroups>("Replace a user's groups").lifting(&["res.users", "res.groups"]);
