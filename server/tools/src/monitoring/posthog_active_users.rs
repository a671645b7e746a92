use backends::posthog::User;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog::{self, Period},
};

/// PostHog: users of the last 1, 7 and 30 days (DAU, WAU, MAU), and the most active ones of the period.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActiveUsers {
    /// Default 7d
    #[serde(default)]
    period: Period,
    /// Of users; default 10, at most 100
    limit: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Active {
    pub period: Period,
    pub dau: u64,
    pub wau: u64,
    pub mau: u64,
    /// DAU by MAU.
    pub stickiness: Option<f64>,
    /// In the period.
    pub active_users: u64,
    pub events: u64,
    /// The most events first.
    pub users: Vec<User>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Active {
    const LIST: Option<&'static str> = Some("users");
    fn affected(&self) -> Option<u64> {
        Some(self.users.len() as u64)
    }
}
impl ReadTool for ActiveUsers {
    type Answer = Active;
    async fn call(self, cx: &ReadCx) -> Result<Active> {
        let (reader, period, limit) = (cx.posthog()?, self.period, posthog::limit(self.limit)?);
        let (activity, (users, has_more)) = futures_util::try_join!(reader.activity(period), reader.top_users(period, limit))?;
        let mut notes = Vec::new();
        if activity.events == 0 {
            notes.push(posthog::without("events", period, posthog::NO_EVENTS));
        }
        notes.extend(posthog::anonymous(reader, "Names and addresses of users"));
        Ok(Active {
            period,
            dau: activity.dau,
            wau: activity.wau,
            mau: activity.mau,
            stickiness: posthog::share(activity.dau, activity.mau),
            active_users: activity.active_users,
            events: activity.events,
            users,
            has_more,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<ActiveUsers>("Active users (PostHog)");
