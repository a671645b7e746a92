use backends::posthog::{Bucket, ErrorKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog::{self, Period},
};

/// PostHog: errors in users' browsers (and what else sends exceptions): the most frequent types, totals against the time before, trend.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Errors {
    /// Default 7d
    #[serde(default)]
    period: Period,
    /// Of types; default 10, at most 100
    limit: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Found {
    pub period: Period,
    pub total: u64,
    /// In the same time before.
    pub total_before: u64,
    pub change_percent: Option<f64>,
    pub users: u64,
    pub sessions: u64,
    /// By type, the most frequent first.
    pub errors: Vec<ErrorKind>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    /// By day, for 1d by hour; those without errors are left out.
    pub trend: Vec<Bucket>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Found {
    const LIST: Option<&'static str> = Some("errors");
    fn affected(&self) -> Option<u64> {
        Some(self.errors.len() as u64)
    }
}
impl ReadTool for Errors {
    type Answer = Found;
    async fn call(self, cx: &ReadCx) -> Result<Found> {
        let (reader, period, limit) = (cx.posthog()?, self.period, posthog::limit(self.limit)?);
        let (totals, (errors, has_more), trend) =
            futures_util::try_join!(reader.error_totals(period), reader.errors(period, limit), reader.error_trend(period))?;
        let mut notes = Vec::new();
        if totals.errors == 0 {
            notes.push(posthog::without("$exception events", period, posthog::NO_ERRORS));
        }
        notes.extend(posthog::anonymous(reader, "The texts of errors"));
        Ok(Found {
            period,
            total: totals.errors,
            total_before: totals.before,
            change_percent: posthog::change(totals.errors, totals.before),
            users: totals.users,
            sessions: totals.sessions,
            errors,
            has_more,
            trend,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<Errors>("Errors (PostHog)");
