//! The call audit as people read it: filtered, page by page. Writing is [`crate::audit`]'s.
use std::fmt;

use kernel::{KeyId, OrgId, Timestamp, UserId, time_text};
use sea_query::{Asterisk, Expr, ExprTrait as _, Order, PostgresQueryBuilder, Query, SelectStatement, SqliteQueryBuilder, Value};

use crate::{Arg, Assembled, Db, Engine, Result, Row, StoreError, args};

/// Which rows; what is none does not limit.
#[derive(Debug, Clone, Default)]
pub struct CallFilter {
    /// The tenant. None means the whole installation: operators alone.
    pub org: Option<OrgId>,
    pub instance: Option<String>,
    pub tool: Option<String>,
    /// `begun`, `ok`, `planned`, `refused`, `failed`, `unknown`.
    pub state: Option<String>,
    pub code: Option<String>,
    pub key: Option<KeyId>,
    pub user: Option<UserId>,
    /// Writes alone.
    pub writes: bool,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// The id of the last row of the page before.
    pub before: Option<String>,
    pub limit: u32,
}

/// A call as it stands in the audit. Texts are as they were stored, so that a row from another version can be read too.
#[derive(Debug, Clone)]
pub struct Call {
    pub id: String,
    pub org: OrgId,
    pub instance: Option<String>,
    pub tool: String,
    pub category: Option<String>,
    pub access: String,
    pub facade: String,
    pub key: Option<String>,
    pub key_label: String,
    /// The consent by which an OAuth client used the key.
    pub grant: Option<String>,
    pub user: Option<String>,
    pub session: Option<String>,
    pub address: String,
    /// Redacted JSON.
    pub arguments: String,
    pub state: String,
    pub code: Option<String>,
    pub summary: Option<String>,
    pub latency_us: Option<i64>,
    pub affected: Option<i64>,
    /// Refusals folded into this row.
    pub times: i64,
    pub node: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}
fn read(row: &Row) -> Result<Call> {
    Ok(Call {
        id: row.text("call_audit.id")?,
        org: row.parsed("call_audit.org_id")?,
        instance: row.opt_text("call_audit.instance_slug")?,
        tool: row.text("call_audit.tool")?,
        category: row.opt_text("call_audit.category")?,
        access: row.text("call_audit.access")?,
        facade: row.text("call_audit.facade")?,
        key: row.opt_text("call_audit.key_id")?,
        key_label: row.text("call_audit.key_label")?,
        grant: row.opt_text("call_audit.grant_id")?,
        user: row.opt_text("call_audit.user_id")?,
        session: row.opt_text("call_audit.session_id")?,
        address: row.text("call_audit.address")?,
        arguments: row.text("call_audit.arguments")?,
        state: row.text("call_audit.state")?,
        code: row.opt_text("call_audit.code")?,
        summary: row.opt_text("call_audit.summary")?,
        latency_us: row.opt_int("call_audit.latency_us")?,
        affected: row.opt_int("call_audit.affected")?,
        times: row.int("call_audit.times")?,
        node: row.text("call_audit.node")?,
        started_at: row.time("call_audit.started_at")?,
        ended_at: row.opt_time("call_audit.ended_at")?,
    })
}

/// Newest first.
pub async fn list(db: &Db, filter: &CallFilter) -> Result<Vec<Call>> {
    let mut query = Query::select();
    query.column(Asterisk).from("call_audit").order_by("id", Order::Desc).limit(filter.limit.into());
    let mut equal = |column: &'static str, value: Option<String>| {
        if let Some(value) = value {
            query.and_where(Expr::col(column).eq(value));
        }
    };
    equal("org_id", filter.org.map(text));
    equal("instance_slug", filter.instance.clone());
    equal("tool", filter.tool.clone());
    equal("state", filter.state.clone());
    equal("code", filter.code.clone());
    equal("key_id", filter.key.map(text));
    equal("user_id", filter.user.map(text));
    if filter.writes {
        query.and_where(Expr::col("access").ne("read"));
    }
    if let Some(since) = filter.since {
        query.and_where(Expr::col("started_at").gte(time_text(since)));
    }
    if let Some(until) = filter.until {
        query.and_where(Expr::col("started_at").lt(time_text(until)));
    }
    if let Some(before) = &filter.before {
        query.and_where(Expr::col("id").lt(before.as_str()));
    }
    fetch(db, &query).await?.iter().map(read).collect()
}

fn text(id: impl fmt::Display) -> String {
    id.to_string()
}

async fn fetch(db: &Db, query: &SelectStatement) -> Result<Vec<Row>> {
    let (sql, values) = match db.engine() {
        Engine::Sqlite => query.build(SqliteQueryBuilder),
        Engine::Postgres => query.build(PostgresQueryBuilder),
    };
    let args = values.into_iter().map(arg).collect::<Result<_>>()?;
    db.fetch_all(Assembled(sql), args).await
}

fn arg(value: Value) -> Result<Arg> {
    Ok(match value {
        Value::String(v) => v.into(),
        Value::Bool(v) => v.into(),
        Value::BigInt(v) => v.into(),
        Value::BigUnsigned(v) => v.and_then(|n| i64::try_from(n).ok()).into(),
        _ => return Err(StoreError::corrupt("query", "a list is filtered by texts, numbers and flags alone")),
    })
}

/// Deletes calls of one organization that started before `before`, up to `limit` of them, oldest first. Those that still run stay. Gives
/// how many; called again until it gives fewer than `limit`, so that writers get their turn between.
pub async fn prune(db: &Db, org: OrgId, before: Timestamp, limit: u32) -> Result<u64> {
    let sql = "DELETE FROM call_audit WHERE id IN (SELECT id FROM call_audit WHERE org_id = $1 AND started_at < $2 AND state <> 'begun' \
               ORDER BY id LIMIT $3)";
    db.execute(sql, args![org, before, limit]).await
}

#[cfg(test)]
mod tests {
    use kernel::{CallId, Sources};

    use super::*;
    use crate::testing::each_engine;

    async fn put(db: &Db, sources: &Sources, org: OrgId, tool: &str, state: &str, access: &str) {
        db.execute(
            "INSERT INTO call_audit (id, org_id, instance_slug, tool, access, facade, key_label, address, arguments, state, node, started_at) \
             VALUES ($1, $2, 'prod', $3, $4, 'mcp', 'k', '::1', '{}', $5, 'n', $6)",
            args![CallId::new(sources), org, tool, access, state, sources.now()],
        )
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn filters_pages_and_retention() {
        each_engine(async |t| {
            let s = &t.sources;
            let (a, b) = (OrgId::new(s), OrgId::new(s));
            for n in 0..10 {
                let (tool, access) = if n % 2 == 0 { ("count", "read") } else { ("create", "write") };
                let state = if n == 3 { "begun" } else { "ok" };
                put(t, s, a, tool, state, access).await;
                t.clock.advance(chrono::TimeDelta::hours(1));
            }
            put(t, s, b, "count", "ok", "read").await;
            let of = CallFilter { org: Some(a), limit: 4, ..CallFilter::default() };
            let first = list(t, &of).await.unwrap();
            assert_eq!(first.len(), 4);
            assert!(first.is_sorted_by(|x, y| x.id > y.id));
            let next = list(t, &CallFilter { before: Some(first[3].id.clone()), ..of.clone() }).await.unwrap();
            assert!(next[0].id < first[3].id && next.len() == 4);
            let n = async |f: CallFilter| list(t, &CallFilter { limit: 100, ..f }).await.unwrap().len();
            assert_eq!(n(of.clone()).await, 10);
            assert_eq!(n(CallFilter { writes: true, ..of.clone() }).await, 5);
            assert_eq!(n(CallFilter { tool: Some("count".into()), ..of.clone() }).await, 5);
            assert_eq!(n(CallFilter { state: Some("begun".into()), instance: Some("prod".into()), ..of.clone() }).await, 1);
            assert_eq!(n(CallFilter { instance: Some("dev".into()), ..of.clone() }).await, 0);
            let since = Some(s.now() - chrono::TimeDelta::hours(3));
            assert_eq!(n(CallFilter { since, ..of.clone() }).await, 3);
            assert_eq!(n(CallFilter { until: since, ..of.clone() }).await, 7);
            assert_eq!(n(CallFilter { key: Some(KeyId::new(s)), ..of.clone() }).await, 0);
            assert_eq!(n(CallFilter::default()).await, 11, "the installation");

            let before = s.now() - chrono::TimeDelta::hours(5);
            assert_eq!(prune(t, a, before, 3).await.unwrap(), 3);
            assert_eq!(prune(t, a, before, 3).await.unwrap(), 1, "what runs stays");
            assert_eq!(n(of).await, 6);
            assert_eq!(n(CallFilter { org: Some(b), ..CallFilter::default() }).await, 1);
        })
        .await;
    }
}
