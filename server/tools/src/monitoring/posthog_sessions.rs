use backends::posthog::Bucket;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog::{self, Period},
};

/// PostHog: number and length of sessions, bounce rate, all against the time before, and the trend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Default 7d
    #[serde(default)]
    period: Period,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Statistics {
    pub period: Period,
    pub sessions: u64,
    /// In the same time before.
    pub sessions_before: u64,
    pub change_percent: Option<f64>,
    pub users: u64,
    pub average_seconds: Option<f64>,
    pub average_seconds_before: Option<f64>,
    pub median_seconds: Option<f64>,
    pub average_page_views: Option<f64>,
    /// The share of the sessions with a page view that ended at once, 0 to 1; by PostHog's definition.
    pub bounce_rate: Option<f64>,
    pub bounce_rate_before: Option<f64>,
    /// By day, for 1d by hour; those without sessions are left out.
    pub trend: Vec<Bucket>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Statistics {
    const LIST: Option<&'static str> = Some("trend");
}
impl ReadTool for Sessions {
    type Answer = Statistics;
    async fn call(self, cx: &ReadCx) -> Result<Statistics> {
        let (reader, period) = (cx.posthog()?, self.period);
        let (found, trend) = futures_util::try_join!(reader.sessions(period), reader.session_trend(period))?;
        let mut notes = Vec::new();
        if found.sessions == 0 {
            notes.push(posthog::without("sessions", period, posthog::NO_SESSIONS));
        }
        Ok(Statistics {
            period,
            sessions: found.sessions,
            sessions_before: found.before,
            change_percent: posthog::change(found.sessions, found.before),
            users: found.users,
            average_seconds: found.average_seconds,
            average_seconds_before: found.average_seconds_before,
            median_seconds: found.median_seconds,
            average_page_views: found.average_page_views,
            bounce_rate: found.bounce_rate,
            bounce_rate_before: found.bounce_rate_before,
            trend,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<Sessions>("Sessions (PostHog)");
