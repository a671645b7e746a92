use backends::postgres::{self, Column, Rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    args::List,
    contract::{self as tool, *},
};

/// Run one SQL statement on the instance's PostgreSQL database. SELECT and EXPLAIN read; INSERT, UPDATE and DELETE show their plan and need confirm. SQL passes by Odoo's access rights, computed fields and mails: prefer the tools of search and orm where they can do it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecuteSql {
    /// One statement of PostgreSQL, with $1, $2, … for params
    query: String,
    /// The values of $1, $2, …
    #[serde(default)]
    params: List,
    /// true shows the plan and runs nothing
    #[serde(default)]
    explain: bool,
    /// json (default), table or csv
    #[serde(default)]
    format: Format,
    /// Rows, default and at most 1,000
    limit: Option<u64>,
}
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Ran {
    /// In order, with PostgreSQL's types.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnType>,
    /// Numbers of type numeric are texts, times RFC 3339, long values cut.
    pub rows: Vec<Map<String, Value>>,
    pub row_count: usize,
    /// Whether there are more rows than were asked for.
    pub more: bool,
    /// Rows that were added, changed or removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected: Option<u64>,
    /// What PostgreSQL would do, where explain was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explained: Option<Explained>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    format: Format,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct ColumnType {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explained {
    /// In PostgreSQL's units.
    pub cost: f64,
    /// Estimated.
    pub rows: f64,
    /// As EXPLAIN (FORMAT JSON) gives it.
    pub tree: Map<String, Value>,
}
impl Answer for Ran {
    const LIST: Option<&'static str> = Some("rows");
    fn format(&self) -> Format {
        self.format
    }
    fn columns(&self) -> Vec<String> {
        self.columns.iter().map(|c| c.name.clone()).collect()
    }
    fn affected(&self) -> Option<u64> {
        self.affected.or(Some(self.rows.len() as u64))
    }
}

/// The most rows of one call.
pub const MOST: u64 = 1_000;
/// What SQL does not do, said where it writes.
pub const PASSES_BY: &str =
    "SQL passes by Odoo: no access rights, no checks in Python, no computed fields, no mail. Odoo's caches are told to forget.";
/// Where there is no login of ocore's own.
pub const BORROWED: &str = "ocore reads with Odoo's own login here, and its parser alone keeps secrets back. The operator makes a login that cannot read them: ocore instance sql-role.";

pub fn types(columns: Vec<Column>) -> Vec<ColumnType> {
    columns.into_iter().map(|c| ColumnType { name: c.name, kind: c.type_name }).collect()
}
/// Of rows, what a caller reads.
pub fn ran(rows: Rows, format: Format) -> Ran {
    let found = rows.json();
    Ran {
        row_count: found.len(),
        rows: found,
        more: rows.truncated,
        affected: rows.affected,
        columns: types(rows.columns),
        format,
        ..Ran::default()
    }
}
/// PostgreSQL wraps the one plan in a list.
fn tree(plan: Value) -> Map<String, Value> {
    match plan {
        Value::Object(tree) => tree,
        Value::Array(plans) => plans.into_iter().next().map(tree).unwrap_or_default(),
        _ => Map::new(),
    }
}
/// Rows as they are counted in a sentence: the planner's estimate is no count.
pub fn about(rows: f64) -> String {
    match rows {
        r if r < 1.5 => "about 1 row".to_owned(),
        r => format!("about {r:.0} rows"),
    }
}

pub struct Ask(ExecuteSql);
pub struct Change(ExecuteSql);
impl MixedTool for ExecuteSql {
    type Answer = Ran;
    type Read = Ask;
    type Write = Change;
    fn split(self) -> Result<Split<Ask, Change>> {
        if !(1..=MOST).contains(&self.limit.unwrap_or(MOST)) {
            return Err(refusal(Code::InvalidArgument, format!("limit: 1 to {MOST}.")).next("Use OFFSET to read on.").into());
        }
        Ok(if !self.explain && postgres::changes(&self.query) { Split::Write(Change(self)) } else { Split::Read(Ask(self)) })
    }
}
impl ExecuteSql {
    fn rows(&self) -> usize {
        usize::try_from(self.limit.unwrap_or(MOST)).unwrap_or(1_000)
    }
}
impl ReadTool for Ask {
    type Answer = Ran;
    async fn call(self, cx: &ReadCx) -> Result<Ran> {
        let (sql, asked) = (cx.sql()?, self.0);
        let mut answer = if asked.explain {
            let preview = sql.explain(&asked.query, &asked.params.0).await?;
            let explained = Explained { cost: preview.cost, rows: preview.rows, tree: tree(preview.plan) };
            Ran { explained: Some(explained), notes: vec!["Nothing was run: this is the plan.".to_owned()], ..Ran::default() }
        } else {
            let (rows, left_out) = sql.select(&asked.query, &asked.params.0, asked.rows()).await?;
            let mut answer = ran(rows, asked.format);
            if !left_out.is_empty() {
                let names: Vec<&str> = left_out.iter().map(String::as_str).take(20).collect();
                answer.notes.push(format!("Withheld, because they hold secrets: {}.", names.join(", ")));
            }
            answer
        };
        if sql.borrows_login() {
            answer.notes.push(BORROWED.to_owned());
        }
        Ok(answer)
    }
}
impl WriteTool for Change {
    type Answer = Ran;
    fn confirm(&self) -> bool {
        true
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let (what, rows, unbounded) = cx.sql()?.plan(&self.0.query, &self.0.params.0).await?;
        let mut warnings = vec![PASSES_BY.to_owned()];
        if unbounded {
            warnings.insert(0, "It has no WHERE: every row of the table is meant.".to_owned());
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate, kept within bounds")]
        let affected = rows.clamp(0.0, 1e15).round() as u64;
        Ok(Plan {
            summary: format!("Would run {what}: {}, as PostgreSQL estimates", about(rows)),
            affected,
            warnings,
            ..Plan::default()
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Ran> {
        let asked = self.0;
        let rows = WriteCx::sql(cx)?.change(&asked.query, &asked.params.0, asked.rows()).await?;
        let mut answer = ran(rows, asked.format);
        answer.notes.push("Committed. Odoo's caches were told to forget; computed fields did not run.".to_owned());
        Ok(answer)
    }
}
pub const TOOL: Tool = tool::mixed::<ExecuteSql>("Run SQL");
