use backends::posthog::User;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog,
};

/// PostHog: who uses Odoo right now (seen in the last 5 minutes), and on which page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnlineUsers {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Online {
    pub online_users: u64,
    /// The last seen first; at most 100. Events and sessions are those of the five minutes.
    pub users: Vec<User>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Online {
    const LIST: Option<&'static str> = Some("users");
    fn affected(&self) -> Option<u64> {
        Some(self.users.len() as u64)
    }
}
impl ReadTool for OnlineUsers {
    type Answer = Online;
    async fn call(self, cx: &ReadCx) -> Result<Online> {
        let reader = cx.posthog()?;
        let (users, online_users) = reader.online().await?;
        let mut notes = Vec::new();
        if online_users > users.len() as u64 {
            notes.push(format!("{} of {online_users} are listed.", users.len()));
        }
        notes.extend(posthog::anonymous(reader, "Names and addresses of users"));
        Ok(Online { online_users, users, notes })
    }
}
pub const TOOL: Tool = tool::read::<OnlineUsers>("Users online now (PostHog)");
