use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::RecordId,
    contract::{self as tool, *},
    users::{Password, Who, called},
};

/// Give an Odoo user another password, without the old one. Odoo's own users are protected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetUserPassword {
    user_id: RecordId,
    /// At least 8 characters; neither shown nor logged
    password: Password,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Set {
    pub user: Who,
    pub changed: bool,
    pub notes: Vec<String>,
}
impl Answer for Set {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
const ENDS: &str = "The user's sessions end: it is signed out wherever it was signed in.";
const STAYS: &str = "Its API keys and a second factor stay as they are.";

impl WriteTool for SetUserPassword {
    type Answer = Set;
    fn confirm(&self) -> bool {
        true
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let odoo = cx.odoo()?;
        let user = odoo.user(self.user_id.0).await?;
        odoo.not_protected(&user, "given another password").await?;
        odoo.not_myself(&user, "given another password").await?;
        if self.password.is(&user.login) {
            return Err(refusal(Code::InvalidArgument, "password: it is the user's login.").next("Choose another one.").into());
        }
        let mut warnings = vec![ENDS.to_owned(), STAYS.to_owned()];
        if !user.active {
            warnings.push("The user is archived: it cannot sign in before set_user_active activates it.".to_owned());
        }
        Ok(Plan {
            summary: format!("Would set the password of {}", called(&user)),
            affected: 1,
            examples: vec![called(&user)],
            warnings,
            ids: vec![user.id],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Set> {
        let odoo = cx.odoo()?;
        let user = odoo.user(self.user_id.0).await?;
        if self.password.is(&user.login) {
            return Err(refusal(Code::InvalidArgument, "password: it is the user's login.").next("Choose another one.").into());
        }
        odoo.set_password(&user, &self.password.0).await?;
        let mut notes = vec![ENDS.to_owned(), STAYS.to_owned()];
        if !user.active {
            notes.push("The user is archived: it cannot sign in before set_user_active activates it.".to_owned());
        }
        Ok(Set { user: Who::from(&user), changed: true, notes })
    }
}
pub const TOOL: Tool = tool::write::<SetUserPassword>("Set a user's password").lifting(&["res.users"]);
