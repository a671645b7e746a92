//! The handle's verbs: one figure each. Times are PostHog's, days those of the project's time zone.
use std::collections::BTreeMap;

use kernel::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    client::{Reader, Row, Table, short},
    hogql::{self, Question},
};

/// How far back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Period {
    #[serde(rename = "1d")]
    Day,
    #[default]
    #[serde(rename = "7d")]
    Week,
    #[serde(rename = "14d")]
    Fortnight,
    #[serde(rename = "30d")]
    Month,
    #[serde(rename = "90d")]
    Quarter,
}
impl Period {
    pub const fn days(self) -> u32 {
        match self {
            Self::Day => 1,
            Self::Week => 7,
            Self::Fortnight => 14,
            Self::Month => 30,
            Self::Quarter => 90,
        }
    }
}

/// The most rows of one question.
const MOST: u32 = 100;
/// How long ago the last sign of somebody who is there may be.
const ONLINE_MINUTES: u32 = 5;
/// A page with fewer measurements says nothing.
const LEAST_SAMPLES: u32 = 3;
/// Flags and surveys that are looked through, in pages of 100.
const PAGES: u32 = 3;

/// What happened in a period, and how many people were there in the last 1, 7 and 30 days.
#[derive(Debug, Clone)]
pub struct Activity {
    pub dau: u64,
    pub wau: u64,
    pub mau: u64,
    pub active_users: u64,
    pub events: u64,
    pub page_views: u64,
    pub errors: u64,
    pub users_with_errors: u64,
    pub sessions: u64,
    pub sessions_with_errors: u64,
}

/// Somebody whom PostHog knows.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct User {
    /// PostHog's id of the person.
    pub person_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distinct_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub events: u64,
    pub sessions: u64,
    pub last_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_path: Option<String>,
}

/// Page views of one Odoo app.
#[derive(Debug, Clone)]
pub struct ModuleUse {
    pub module: String,
    /// What names the app: `property`, `path` or `model`.
    pub source: String,
    pub page_views: u64,
    pub users: u64,
    pub sessions: u64,
}
#[derive(Debug, Clone)]
pub struct ModuleTotals {
    pub page_views: u64,
    pub users: u64,
    /// Page views that name an app.
    pub with_module: u64,
    pub modules: u64,
}

/// One web vital: milliseconds, but CLS has no unit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Vital {
    pub samples: u64,
    pub p50: Option<f64>,
    pub p75: Option<f64>,
    pub p95: Option<f64>,
}
#[derive(Debug, Clone)]
pub struct Vitals {
    pub events: u64,
    pub lcp: Vital,
    pub inp: Vital,
    pub cls: Vital,
    pub fcp: Vital,
}
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SlowPage {
    pub path: String,
    pub lcp_p75: Option<f64>,
    pub samples: u64,
}

/// Errors of one type.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ErrorKind {
    #[serde(rename = "type")]
    pub kind: String,
    pub count: u64,
    pub users: u64,
    pub sessions: u64,
    pub first_seen: Option<String>,
    pub last_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_path: Option<String>,
}
#[derive(Debug, Clone)]
pub struct ErrorTotals {
    pub errors: u64,
    /// In the same time before.
    pub before: u64,
    pub users: u64,
    pub sessions: u64,
}

/// A day, or an hour of a day.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Bucket {
    pub at: String,
    pub count: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounce_rate: Option<f64>,
}

/// Calls of one endpoint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Rpc {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    pub calls: u64,
    pub average_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub slowest_ms: Option<f64>,
    pub users: u64,
}
#[derive(Debug, Clone)]
pub struct RpcTotals {
    pub events: u64,
    /// Those that say how long they took.
    pub calls: u64,
    pub average_ms: Option<f64>,
    pub p95_ms: Option<f64>,
}

#[derive(Debug, Clone)]
pub struct Sessions {
    pub sessions: u64,
    pub users: u64,
    pub average_seconds: Option<f64>,
    pub median_seconds: Option<f64>,
    pub average_page_views: Option<f64>,
    /// Of the sessions that have a page view; 0 to 1.
    pub bounce_rate: Option<f64>,
    /// The same in the time before.
    pub before: u64,
    pub average_seconds_before: Option<f64>,
    pub bounce_rate_before: Option<f64>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Flag {
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub active: bool,
    /// Percent of all users; absent when conditions tell users apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout_percentage: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}
/// One group of users for whom the flag is on.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Condition {
    /// How many properties limit it.
    pub filters: u64,
    pub rollout_percentage: f64,
}
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Variant {
    pub key: String,
    pub rollout_percentage: Option<f64>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Survey {
    pub id: String,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// `draft`, `running`, `complete` or `archived`.
    pub status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Absent when they could not be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub responses: Option<u64>,
}

/// The rows as asked for, and whether there are more.
fn cut<T>(table: &Table, limit: u32, read: impl Fn(Row<'_>) -> Result<T>) -> Result<(Vec<T>, bool)> {
    let limit = limit as usize;
    let rows = table.rows().take(limit).map(read).collect::<Result<Vec<T>>>()?;
    Ok((rows, table.len() > limit))
}

impl Reader {
    /// Whether who somebody is, and what errors say, is left out because the key is limited to some models or companies.
    pub fn anonymous(&self) -> bool {
        !self.people()
    }

    pub async fn activity(&self, period: Period) -> Result<Activity> {
        let days = period.days();
        let table = self.ask(&hogql::ACTIVITY.with("days", days).with("reach", days.max(30))).await?;
        let row = table.only()?;
        Ok(Activity {
            dau: row.count("dau")?,
            wau: row.count("wau")?,
            mau: row.count("mau")?,
            active_users: row.count("active_users")?,
            events: row.count("event_count")?,
            page_views: row.count("page_views")?,
            errors: row.count("error_count")?,
            users_with_errors: row.count("users_with_errors")?,
            sessions: row.count("session_count")?,
            sessions_with_errors: row.count("sessions_with_errors")?,
        })
    }

    /// Those with the most events, and whether there are more.
    pub async fn top_users(&self, period: Period, limit: u32) -> Result<(Vec<User>, bool)> {
        let limit = limit.min(MOST);
        let table = self.ask(&hogql::TOP_USERS.with("days", period.days()).with("limit", limit + 1)).await?;
        cut(&table, limit, |row| self.user(row))
    }

    /// Who was there within the last five minutes, the latest first, and how many they are in all.
    pub async fn online(&self) -> Result<(Vec<User>, u64)> {
        let listed = hogql::ONLINE.with("minutes", ONLINE_MINUTES).with("limit", MOST);
        let counted = hogql::ONLINE_COUNT.with("minutes", ONLINE_MINUTES);
        let (listed, counted) = futures_util::try_join!(self.ask(&listed), self.ask(&counted))?;
        let (users, _) = cut(&listed, MOST, |row| self.user(row))?;
        // Two questions, two moments.
        let all = counted.only()?.count("online_users")?.max(users.len() as u64);
        Ok((users, all))
    }

    fn user(&self, row: Row<'_>) -> Result<User> {
        let known = |column: &str| if self.people() { row.text(column) } else { Ok(None) };
        Ok(User {
            person_id: row.text("who_id")?.unwrap_or_default(),
            distinct_id: known("last_distinct_id")?,
            email: known("user_email")?,
            name: known("user_name")?,
            events: row.count("event_count")?,
            sessions: row.count("session_count")?,
            last_seen: row.text("last_seen")?,
            last_path: row.text("last_path")?,
        })
    }

    /// The most viewed, and whether there are more.
    pub async fn modules(&self, period: Period, limit: u32) -> Result<(Vec<ModuleUse>, bool)> {
        let limit = limit.min(MOST);
        let table = self.ask(&with_patterns(hogql::MODULES.with("days", period.days())).with("limit", limit + 1)).await?;
        cut(&table, limit, |row| {
            Ok(ModuleUse {
                module: row.text("app")?.unwrap_or_default(),
                source: row.text("app_source")?.unwrap_or_default(),
                page_views: row.count("page_views")?,
                users: row.count("user_count")?,
                sessions: row.count("session_count")?,
            })
        })
    }
    pub async fn module_totals(&self, period: Period) -> Result<ModuleTotals> {
        let table = self.ask(&with_patterns(hogql::MODULE_TOTALS.with("days", period.days()))).await?;
        let row = table.only()?;
        Ok(ModuleTotals {
            page_views: row.count("page_views")?,
            users: row.count("user_count")?,
            with_module: row.count("with_app")?,
            modules: row.count("app_count")?,
        })
    }

    pub async fn vitals(&self, period: Period) -> Result<Vitals> {
        let table = self.ask(&hogql::VITALS.with("days", period.days())).await?;
        let row = table.only()?;
        let vital = |[samples, p50, p75, p95]: [&str; 4]| -> Result<Vital> {
            Ok(Vital { samples: row.count(samples)?, p50: row.number(p50)?, p75: row.number(p75)?, p95: row.number(p95)? })
        };
        Ok(Vitals {
            events: row.count("event_count")?,
            lcp: vital(["lcp_samples", "lcp_p50", "lcp_p75", "lcp_p95"])?,
            inp: vital(["inp_samples", "inp_p50", "inp_p75", "inp_p95"])?,
            cls: vital(["cls_samples", "cls_p50", "cls_p75", "cls_p95"])?,
            fcp: vital(["fcp_samples", "fcp_p50", "fcp_p75", "fcp_p95"])?,
        })
    }
    /// The pages with the worst LCP, of those that were measured a few times.
    pub async fn slow_pages(&self, period: Period, limit: u32) -> Result<Vec<SlowPage>> {
        let question = hogql::SLOW_PAGES.with("days", period.days()).with("least", LEAST_SAMPLES).with("limit", limit.min(MOST));
        let table = self.ask(&question).await?;
        let read = |row: Row<'_>| {
            Ok(SlowPage {
                path: row.text("page")?.unwrap_or_default(),
                lcp_p75: row.number("lcp_p75")?,
                samples: row.count("lcp_samples")?,
            })
        };
        table.rows().map(read).collect()
    }

    /// The most frequent types, and whether there are more.
    pub async fn errors(&self, period: Period, limit: u32) -> Result<(Vec<ErrorKind>, bool)> {
        let limit = limit.min(MOST);
        let table = self.ask(&hogql::ERRORS.with("days", period.days()).with("limit", limit + 1)).await?;
        cut(&table, limit, |row| {
            // An error's words may hold what records hold.
            let message = if self.people() { row.text("last_message")? } else { None };
            Ok(ErrorKind {
                kind: row.text("kind")?.map_or_else(|| "unknown".to_owned(), |kind| of_list(&kind)),
                count: row.count("error_count")?,
                users: row.count("user_count")?,
                sessions: row.count("session_count")?,
                first_seen: row.text("first_seen")?,
                last_seen: row.text("last_seen")?,
                last_message: message.map(|message| of_list(&message)),
                last_path: row.text("last_page")?,
            })
        })
    }
    pub async fn error_totals(&self, period: Period) -> Result<ErrorTotals> {
        let days = period.days();
        let table = self.ask(&hogql::ERROR_TOTALS.with("days", days).with("reach", 2 * days)).await?;
        let row = table.only()?;
        Ok(ErrorTotals {
            errors: row.count("error_count")?,
            before: row.count("errors_before")?,
            users: row.count("user_count")?,
            sessions: row.count("session_count")?,
        })
    }
    /// By day, or by hour of one day; those without errors are left out.
    pub async fn error_trend(&self, period: Period) -> Result<Vec<Bucket>> {
        let statement = if period == Period::Day { hogql::ERRORS_BY_HOUR } else { hogql::ERRORS_BY_DAY };
        let table = self.ask(&statement.with("days", period.days()).with("limit", MOST)).await?;
        let read = |row: Row<'_>| {
            Ok(Bucket {
                at: row.text("bucket")?.unwrap_or_default(),
                count: row.count("error_count")?,
                users: Some(row.count("user_count")?),
                average_seconds: None,
                bounce_rate: None,
            })
        };
        table.rows().map(read).collect()
    }

    /// The slowest on average, and whether there are more.
    pub async fn rpcs(&self, period: Period, limit: u32) -> Result<(Vec<Rpc>, bool)> {
        let limit = limit.min(MOST);
        let table = self.ask(&hogql::RPCS.with("days", period.days()).with("limit", limit + 1)).await?;
        cut(&table, limit, |row| {
            Ok(Rpc {
                route: row.text("route")?,
                model: row.text("call_model")?,
                method: row.text("call_method")?,
                calls: row.count("call_count")?,
                average_ms: row.number("avg_ms")?,
                p95_ms: row.number("p95_ms")?,
                slowest_ms: row.number("max_ms")?,
                users: row.count("user_count")?,
            })
        })
    }
    pub async fn rpc_totals(&self, period: Period) -> Result<RpcTotals> {
        let table = self.ask(&hogql::RPC_TOTALS.with("days", period.days())).await?;
        let row = table.only()?;
        Ok(RpcTotals {
            events: row.count("event_count")?,
            calls: row.count("call_count")?,
            average_ms: row.number("avg_ms")?,
            p95_ms: row.number("p95_ms")?,
        })
    }

    pub async fn sessions(&self, period: Period) -> Result<Sessions> {
        let days = period.days();
        let table = self.ask(&hogql::SESSIONS.with("days", days).with("reach", 2 * days)).await?;
        let row = table.only()?;
        Ok(Sessions {
            sessions: row.count("session_count")?,
            users: row.count("user_count")?,
            average_seconds: row.number("avg_seconds")?,
            median_seconds: row.number("median_seconds")?,
            average_page_views: row.number("avg_views")?,
            bounce_rate: row.number("bounce_rate")?,
            before: row.count("sessions_before")?,
            average_seconds_before: row.number("avg_seconds_before")?,
            bounce_rate_before: row.number("bounce_rate_before")?,
        })
    }
    /// By day, or by hour of one day; those without sessions are left out.
    pub async fn session_trend(&self, period: Period) -> Result<Vec<Bucket>> {
        let statement = if period == Period::Day { hogql::SESSIONS_BY_HOUR } else { hogql::SESSIONS_BY_DAY };
        let table = self.ask(&statement.with("days", period.days()).with("limit", MOST)).await?;
        let read = |row: Row<'_>| {
            Ok(Bucket {
                at: row.text("bucket")?.unwrap_or_default(),
                count: row.count("session_count")?,
                users: None,
                average_seconds: row.number("avg_seconds")?,
                bounce_rate: row.number("bounce_rate")?,
            })
        };
        table.rows().map(read).collect()
    }

    /// Flags that are not deleted, and how many there are in all: of very many not every one is listed.
    pub async fn flags(&self) -> Result<(Vec<Flag>, u64)> {
        let (found, all) = self.pages(&["feature_flags"]).await?;
        let gone = found.iter().filter(|f| truth(f, "deleted")).count() as u64;
        Ok((found.iter().filter(|f| !truth(f, "deleted")).map(flag).collect(), all.saturating_sub(gone)))
    }

    /// Surveys without the numbers of responses, and how many there are in all.
    pub async fn surveys(&self) -> Result<(Vec<Survey>, u64)> {
        let (found, all) = self.pages(&["surveys"]).await?;
        Ok((found.iter().map(survey).collect(), all))
    }
    /// Responses by survey; one without any is not there.
    pub async fn survey_responses(&self) -> Result<BTreeMap<String, u64>> {
        let counts = self.value(&["surveys", "responses_count"]).await?;
        Ok(counts.as_object().into_iter().flatten().filter_map(|(id, n)| Some((id.clone(), n.as_u64()?))).collect())
    }

    async fn pages(&self, path: &[&str]) -> Result<(Vec<Value>, u64)> {
        let (mut found, mut all) = (Vec::new(), 0);
        for page in 0..PAGES {
            let (items, count) = self.list(path, MOST, page * MOST).await?;
            let full = items.len() >= MOST as usize;
            found.extend(items);
            all = count.max(found.len() as u64);
            if !full || found.len() as u64 >= count {
                break;
            }
        }
        Ok((found, all))
    }
}

fn with_patterns(question: Question) -> Question {
    question.with("app_pattern", hogql::APP_PATTERN).with("model_pattern", hogql::MODEL_PATTERN)
}

/// What a list in JSON holds, in one text: an error that was caused by another has several types.
fn of_list(text: &str) -> String {
    match serde_json::from_str::<Vec<Value>>(text) {
        Ok(items) if !items.is_empty() => {
            let texts = items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned));
            short(&texts.collect::<Vec<_>>().join(", ")).unwrap_or_else(|| "unknown".to_owned())
        }
        Ok(_) => "unknown".to_owned(),
        Err(_) => text.to_owned(),
    }
}

fn truth(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or(false)
}
fn text(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) => short(text),
        Value::Null => None,
        other => short(&other.to_string()),
    }
}
fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn flag(value: &Value) -> Flag {
    let percent = |v: &Value| v.get("rollout_percentage").and_then(Value::as_f64);
    let conditions: Vec<Condition> = list(value, "/filters/groups")
        .iter()
        .map(|group| Condition {
            filters: list(group, "/properties").len() as u64,
            // Without a number it is for everybody in the group.
            rollout_percentage: percent(group).unwrap_or(100.0),
        })
        .collect();
    let (rollout_percentage, conditions) = match conditions.as_slice() {
        [one] if one.filters == 0 => (Some(one.rollout_percentage), Vec::new()),
        _ => (None, conditions),
    };
    Flag {
        key: text(value, "key").unwrap_or_default(),
        name: text(value, "name"),
        active: truth(value, "active"),
        rollout_percentage,
        conditions,
        variants: list(value, "/filters/multivariate/variants")
            .iter()
            .map(|v| Variant { key: text(v, "key").unwrap_or_default(), rollout_percentage: percent(v) })
            .collect(),
    }
}

fn survey(value: &Value) -> Survey {
    let (started_at, ended_at) = (text(value, "start_date"), text(value, "end_date"));
    let status = match (truth(value, "archived"), &started_at, &ended_at) {
        (true, ..) => "archived",
        (_, None, _) => "draft",
        (_, Some(_), None) => "running",
        (_, Some(_), Some(_)) => "complete",
    };
    Survey {
        id: text(value, "id").unwrap_or_default(),
        name: text(value, "name").unwrap_or_default(),
        kind: text(value, "type").unwrap_or_default(),
        status,
        started_at,
        ended_at,
        responses: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_in_json_become_words() {
        assert_eq!(of_list(r#"["TypeError","RPC_ERROR"]"#), "TypeError, RPC_ERROR");
        assert_eq!(of_list("TypeError"), "TypeError");
        assert_eq!(of_list("[]"), "unknown");
        assert_eq!(of_list("[broken"), "[broken");
    }

    #[test]
    fn what_a_flag_gives_to_whom() {
        let all =
            flag(&json!({"key": "a", "active": true, "filters": {"groups": [{"properties": [], "rollout_percentage": null}]}}));
        assert_eq!((all.rollout_percentage, all.conditions.len(), all.active), (Some(100.0), 0, true));
        let some = flag(&json!({"key": "b", "filters": {"groups": [{"properties": [{"key": "email"}], "rollout_percentage": 25},
            {"properties": [], "rollout_percentage": 5}], "multivariate": {"variants": [{"key": "x", "rollout_percentage": 40}]}}}));
        assert_eq!((some.rollout_percentage, some.active), (None, false));
        assert_eq!(some.conditions.iter().map(|c| (c.filters, c.rollout_percentage)).collect::<Vec<_>>(), [(1, 25.0), (0, 5.0)]);
        assert_eq!((some.variants[0].key.as_str(), some.variants[0].rollout_percentage), ("x", Some(40.0)));
        assert_eq!(flag(&json!({"key": "c", "filters": {}})).rollout_percentage, None, "no condition: for nobody");
    }

    #[test]
    fn where_a_survey_stands() {
        let status = |v: Value| survey(&v).status;
        assert_eq!(status(json!({"start_date": null})), "draft");
        assert_eq!(status(json!({"start_date": "2026-01-01T00:00:00Z", "end_date": null})), "running");
        assert_eq!(status(json!({"start_date": "2026-01-01T00:00:00Z", "end_date": "2026-02-01T00:00:00Z"})), "complete");
        assert_eq!(status(json!({"start_date": "2026-01-01T00:00:00Z", "archived": true})), "archived");
    }
}
