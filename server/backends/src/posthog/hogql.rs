//! The questions that ocore asks PostHog: fixed texts in HogQL, compiled in. What varies is given as HogQL `values`, by placeholders;
//! nothing is ever spliced into a text.
//!
//! The texts keep to what HogQL has had for long (no window functions, no OFFSET, which keys for the API may not use). Values that
//! come from properties are made texts or numbers here, whatever type PostHog takes the property for. Aliases are never named like
//! columns: ClickHouse would take the alias for the column.
use serde_json::{Map, Value, json};

/// A fixed text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement(&'static str);
impl Statement {
    pub(super) fn with(self, name: &'static str, value: impl Into<Value>) -> Question {
        Question { text: self.0, values: Map::new() }.with(name, value)
    }
    pub(super) fn alone(self) -> Question {
        Question { text: self.0, values: Map::new() }
    }
}

/// A fixed text and the values of its placeholders.
#[derive(Debug, Clone)]
pub(super) struct Question {
    text: &'static str,
    values: Map<String, Value>,
}
impl Question {
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.values.insert(name.to_owned(), value.into());
        self
    }
    /// The body of the request. Computed anew, because PostHog would otherwise answer from a cache of hours ago without a word.
    pub(super) fn body(&self) -> Vec<u8> {
        json!({"query": {"kind": "HogQLQuery", "query": self.text, "values": self.values}, "refresh": "force_blocking"})
            .to_string()
            .into_bytes()
    }
}

/// Whether a key and project work at all.
pub(super) const ONE: Statement = Statement("SELECT 1 AS one");

/// `days`; `reach`, the larger of `days` and 30.
pub(super) const ACTIVITY: Statement = Statement(
    "SELECT uniqIf(person_id, timestamp >= now() - toIntervalDay(1)) AS dau, \
     uniqIf(person_id, timestamp >= now() - toIntervalDay(7)) AS wau, \
     uniqIf(person_id, timestamp >= now() - toIntervalDay(30)) AS mau, \
     uniqIf(person_id, timestamp >= now() - toIntervalDay({days})) AS active_users, \
     countIf(timestamp >= now() - toIntervalDay({days})) AS event_count, \
     countIf(event = '$pageview' AND timestamp >= now() - toIntervalDay({days})) AS page_views, \
     countIf(event = '$exception' AND timestamp >= now() - toIntervalDay({days})) AS error_count, \
     uniqIf(person_id, event = '$exception' AND timestamp >= now() - toIntervalDay({days})) AS users_with_errors, \
     uniqIf($session_id, notEmpty($session_id) AND timestamp >= now() - toIntervalDay({days})) AS session_count, \
     uniqIf($session_id, notEmpty($session_id) AND event = '$exception' AND timestamp >= now() - toIntervalDay({days})) \
     AS sessions_with_errors \
     FROM events WHERE timestamp >= now() - toIntervalDay({reach})",
);

/// `days`, `limit`.
pub(super) const TOP_USERS: Statement = Statement(
    "SELECT toString(person_id) AS who_id, argMax(distinct_id, timestamp) AS last_distinct_id, \
     argMax(toString(person.properties.email), timestamp) AS user_email, \
     argMax(toString(person.properties.name), timestamp) AS user_name, count() AS event_count, \
     uniqIf($session_id, notEmpty($session_id)) AS session_count, max(timestamp) AS last_seen, \
     argMax(toString(properties.$pathname), timestamp) AS last_path \
     FROM events WHERE timestamp >= now() - toIntervalDay({days}) \
     GROUP BY who_id ORDER BY event_count DESC, last_seen DESC LIMIT {limit}",
);

/// `minutes`, `limit`. Clocks of browsers run ahead: what claims to come from far in the future is left out.
pub(super) const ONLINE: Statement = Statement(
    "SELECT toString(person_id) AS who_id, argMax(distinct_id, timestamp) AS last_distinct_id, \
     argMax(toString(person.properties.email), timestamp) AS user_email, \
     argMax(toString(person.properties.name), timestamp) AS user_name, count() AS event_count, \
     uniqIf($session_id, notEmpty($session_id)) AS session_count, max(timestamp) AS last_seen, \
     argMax(toString(properties.$pathname), timestamp) AS last_path \
     FROM events WHERE timestamp >= now() - toIntervalMinute({minutes}) AND timestamp <= now() + toIntervalMinute({minutes}) \
     GROUP BY who_id ORDER BY last_seen DESC LIMIT {limit}",
);

/// `minutes`.
pub(super) const ONLINE_COUNT: Statement = Statement(
    "SELECT uniq(person_id) AS online_users FROM events \
     WHERE timestamp >= now() - toIntervalMinute({minutes}) AND timestamp <= now() + toIntervalMinute({minutes})",
);

/// Where a page view names an Odoo app: `odoo_module` that somebody set, `/odoo/<app>` of Odoo 18 and later, or the model in the
/// fragment of the web client's address before that (`#…&model=sale.order`), of which the part before the dot is taken.
macro_rules! page_views {
    ($select:literal, $rest:literal) => {
        concat!(
            $select,
            " FROM (SELECT person_id AS who, $session_id AS sid, \
             coalesce(nullIf(toString(properties.odoo_module), ''), \
             nullIf(extract(toString(properties.$pathname), {app_pattern}), ''), \
             nullIf(extract(toString(properties.$current_url), {model_pattern}), '')) AS app, \
             multiIf(notEmpty(toString(properties.odoo_module)), 'property', \
             notEmpty(extract(toString(properties.$pathname), {app_pattern})), 'path', 'model') AS app_source \
             FROM events WHERE event = '$pageview' AND timestamp >= now() - toIntervalDay({days}))",
            $rest
        )
    };
}
pub(super) const APP_PATTERN: &str = "^/odoo/([^/?#]+)";
pub(super) const MODEL_PATTERN: &str = "#(?:[^#]*&)?model=([a-z0-9_]+)";

/// `app_pattern`, `model_pattern`, `days`, `limit`.
pub(super) const MODULES: Statement = Statement(page_views!(
    "SELECT app, app_source, count() AS page_views, uniq(who) AS user_count, uniqIf(sid, notEmpty(sid)) AS session_count",
    " WHERE notEmpty(app) GROUP BY app, app_source ORDER BY page_views DESC, app LIMIT {limit}"
));

/// `app_pattern`, `model_pattern`, `days`.
pub(super) const MODULE_TOTALS: Statement = Statement(page_views!(
    "SELECT count() AS page_views, uniq(who) AS user_count, countIf(notEmpty(app)) AS with_app, uniq(app) AS app_count",
    ""
));

/// `days`. Each event carries only the vitals that were measured since the last.
pub(super) const VITALS: Statement = Statement(
    "SELECT count() AS event_count, count(lcp) AS lcp_samples, quantile(0.5)(lcp) AS lcp_p50, quantile(0.75)(lcp) AS lcp_p75, \
     quantile(0.95)(lcp) AS lcp_p95, count(inp) AS inp_samples, quantile(0.5)(inp) AS inp_p50, quantile(0.75)(inp) AS inp_p75, \
     quantile(0.95)(inp) AS inp_p95, count(cls) AS cls_samples, quantile(0.5)(cls) AS cls_p50, quantile(0.75)(cls) AS cls_p75, \
     quantile(0.95)(cls) AS cls_p95, count(fcp) AS fcp_samples, quantile(0.5)(fcp) AS fcp_p50, quantile(0.75)(fcp) AS fcp_p75, \
     quantile(0.95)(fcp) AS fcp_p95 \
     FROM (SELECT toFloat(properties.$web_vitals_LCP_value) AS lcp, toFloat(properties.$web_vitals_INP_value) AS inp, \
     toFloat(properties.$web_vitals_CLS_value) AS cls, toFloat(properties.$web_vitals_FCP_value) AS fcp \
     FROM events WHERE event = '$web_vitals' AND timestamp >= now() - toIntervalDay({days}))",
);

/// `days`, `limit`, `least` samples.
pub(super) const SLOW_PAGES: Statement = Statement(
    "SELECT page, quantile(0.75)(lcp) AS lcp_p75, count(lcp) AS lcp_samples \
     FROM (SELECT toString(properties.$pathname) AS page, toFloat(properties.$web_vitals_LCP_value) AS lcp \
     FROM events WHERE event = '$web_vitals' AND timestamp >= now() - toIntervalDay({days})) \
     WHERE notEmpty(page) AND isNotNull(lcp) GROUP BY page HAVING lcp_samples >= {least} \
     ORDER BY lcp_p75 DESC, page LIMIT {limit}",
);

/// `days`, `limit`. The properties hold lists in JSON; older libraries sent one text.
pub(super) const ERRORS: Statement = Statement(
    "SELECT kind, count() AS error_count, uniq(who) AS user_count, uniqIf(sid, notEmpty(sid)) AS session_count, \
     min(at) AS first_seen, max(at) AS last_seen, argMax(message, at) AS last_message, argMax(page, at) AS last_page \
     FROM (SELECT person_id AS who, $session_id AS sid, timestamp AS at, \
     coalesce(nullIf(toString(properties.$exception_types), ''), nullIf(toString(properties.$exception_type), ''), '') AS kind, \
     coalesce(nullIf(toString(properties.$exception_values), ''), nullIf(toString(properties.$exception_message), ''), '') AS message, \
     coalesce(toString(properties.$pathname), '') AS page \
     FROM events WHERE event = '$exception' AND timestamp >= now() - toIntervalDay({days})) \
     GROUP BY kind ORDER BY error_count DESC, kind LIMIT {limit}",
);

/// `days`; `reach`, twice that.
pub(super) const ERROR_TOTALS: Statement = Statement(
    "SELECT countIf(timestamp >= now() - toIntervalDay({days})) AS error_count, \
     countIf(timestamp < now() - toIntervalDay({days})) AS errors_before, \
     uniqIf(person_id, timestamp >= now() - toIntervalDay({days})) AS user_count, \
     uniqIf($session_id, notEmpty($session_id) AND timestamp >= now() - toIntervalDay({days})) AS session_count \
     FROM events WHERE event = '$exception' AND timestamp >= now() - toIntervalDay({reach})",
);

/// `days`, `limit`.
pub(super) const ERRORS_BY_DAY: Statement = Statement(
    "SELECT toString(toStartOfDay(timestamp)) AS bucket, count() AS error_count, uniq(person_id) AS user_count \
     FROM events WHERE event = '$exception' AND timestamp >= now() - toIntervalDay({days}) GROUP BY bucket ORDER BY bucket LIMIT {limit}",
);
/// `days`, `limit`.
pub(super) const ERRORS_BY_HOUR: Statement = Statement(
    "SELECT toString(toStartOfHour(timestamp)) AS bucket, count() AS error_count, uniq(person_id) AS user_count \
     FROM events WHERE event = '$exception' AND timestamp >= now() - toIntervalDay({days}) GROUP BY bucket ORDER BY bucket LIMIT {limit}",
);

/// `days`, `limit`. The event is a convention of ocore's guide: PostHog has none for calls of a server.
pub(super) const RPCS: Statement = Statement(
    "SELECT route, call_model, call_method, count() AS call_count, avg(ms) AS avg_ms, quantile(0.95)(ms) AS p95_ms, max(ms) AS max_ms, \
     uniq(who) AS user_count \
     FROM (SELECT person_id AS who, toFloat(properties.duration_ms) AS ms, coalesce(toString(properties.route), '') AS route, \
     coalesce(toString(properties.model), '') AS call_model, coalesce(toString(properties.method), '') AS call_method \
     FROM events WHERE event = 'odoo_rpc' AND timestamp >= now() - toIntervalDay({days})) \
     WHERE isNotNull(ms) GROUP BY route, call_model, call_method ORDER BY avg_ms DESC, call_count DESC LIMIT {limit}",
);

/// `days`.
pub(super) const RPC_TOTALS: Statement = Statement(
    "SELECT count() AS event_count, count(ms) AS call_count, avg(ms) AS avg_ms, quantile(0.95)(ms) AS p95_ms \
     FROM (SELECT toFloat(properties.duration_ms) AS ms \
     FROM events WHERE event = 'odoo_rpc' AND timestamp >= now() - toIntervalDay({days}))",
);

/// `days`; `reach`, twice that. A session without a page view neither bounces nor stays: it is null there and does not count.
pub(super) const SESSIONS: Statement = Statement(
    "SELECT countIf(began >= now() - toIntervalDay({days})) AS session_count, \
     countIf(began < now() - toIntervalDay({days})) AS sessions_before, \
     uniqIf(who, began >= now() - toIntervalDay({days})) AS user_count, \
     avgIf(seconds, began >= now() - toIntervalDay({days})) AS avg_seconds, \
     quantileIf(0.5)(seconds, began >= now() - toIntervalDay({days})) AS median_seconds, \
     avgIf(views, began >= now() - toIntervalDay({days})) AS avg_views, \
     avgIf(bounce, began >= now() - toIntervalDay({days})) AS bounce_rate, \
     avgIf(seconds, began < now() - toIntervalDay({days})) AS avg_seconds_before, \
     avgIf(bounce, began < now() - toIntervalDay({days})) AS bounce_rate_before \
     FROM (SELECT $start_timestamp AS began, distinct_id AS who, $session_duration AS seconds, $pageview_count AS views, \
     $is_bounce AS bounce FROM sessions WHERE $start_timestamp >= now() - toIntervalDay({reach}))",
);

/// `days`, `limit`.
pub(super) const SESSIONS_BY_DAY: Statement = Statement(
    "SELECT toString(toStartOfDay($start_timestamp)) AS bucket, count() AS session_count, avg($session_duration) AS avg_seconds, \
     avg($is_bounce) AS bounce_rate \
     FROM sessions WHERE $start_timestamp >= now() - toIntervalDay({days}) GROUP BY bucket ORDER BY bucket LIMIT {limit}",
);
/// `days`, `limit`.
pub(super) const SESSIONS_BY_HOUR: Statement = Statement(
    "SELECT toString(toStartOfHour($start_timestamp)) AS bucket, count() AS session_count, avg($session_duration) AS avg_seconds, \
     avg($is_bounce) AS bounce_rate \
     FROM sessions WHERE $start_timestamp >= now() - toIntervalDay({days}) GROUP BY bucket ORDER BY bucket LIMIT {limit}",
);
