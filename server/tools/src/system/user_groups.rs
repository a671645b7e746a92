use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::RecordId,
    contract::{self as tool, *},
    users::{GroupLine, Groups, Who},
};

/// Show the security groups of an Odoo user with XML ids and categories, and whether each is explicit or implied. For what they permit use user_access_rights.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserGroups {
    user_id: RecordId,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct OfUser {
    pub user: Who,
    /// internal, portal or public
    pub user_type: String,
    pub groups: Vec<GroupLine>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for OfUser {
    const LIST: Option<&'static str> = Some("groups");
    fn columns(&self) -> Vec<String> {
        ["id", "full_name", "xml_id", "category", "membership"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.groups.len() as u64)
    }
}
impl ReadTool for UserGroups {
    type Answer = OfUser;
    async fn call(self, cx: &ReadCx) -> Result<OfUser> {
        let odoo = cx.odoo()?;
        let user = odoo.user(self.user_id.0).await?;
        let groups = Groups::of(odoo).await?;
        let membership = odoo.membership(user.id).await?;
        let told = "This version of Odoo stores implied groups among the explicit ones: implied means here that another of the groups gives it.";
        Ok(OfUser {
            user: Who::from(&user),
            user_type: groups.user_type(&membership.effective),
            groups: groups.lines(&membership),
            notes: if membership.told_apart { Vec::new() } else { vec![told.to_owned()] },
        })
    }
}
pub const TOOL: Tool = tool::read::<UserGroups>("Groups of a user").lifting(&["res.users", "res.groups"]);
