use backends::postgres::ScriptPlan;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::execute_sql::{ColumnType, PASSES_BY, about, types};
use crate::contract::{self as tool, *};

/// Run several SQL statements in one transaction: all or nothing, unless stop_on_error is false. BEGIN may come first, COMMIT or ROLLBACK last, SAVEPOINTs anywhere. Always needs confirm.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecuteSqlScript {
    /// Statements of PostgreSQL, with ; between
    script: String,
    /// Default true: the first error undoes everything. false undoes that statement alone and goes on
    stop_on_error: Option<bool>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Script {
    /// In order, as far as they were run.
    pub statements: Vec<Ran>,
    /// Whether the changes are there.
    pub committed: bool,
    /// Statements that were not reached.
    pub not_run: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ran {
    /// Which, from 1.
    pub number: usize,
    pub statement: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<ColumnType>,
    /// At most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affected: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
impl Answer for Script {
    const LIST: Option<&'static str> = Some("statements");
    fn affected(&self) -> Option<u64> {
        Some(self.statements.iter().filter_map(|s| s.affected).sum())
    }
}

/// Rows of one statement.
const ROWS: usize = 100;

impl WriteTool for ExecuteSqlScript {
    type Answer = Script;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let ScriptPlan { statements, unbounded, reads, rolls_back } = cx.sql()?.plan_script(&self.script).await?;
        let described: Vec<String> = statements
            .iter()
            .map(|(what, rows)| match rows {
                Some(rows) => format!("{what}, {}", about(*rows)),
                None => format!("{what}, which depends on what is run before it"),
            })
            .collect();
        let mut warnings: Vec<String> =
            unbounded.iter().map(|what| format!("{what} has no WHERE: every row of the table is meant.")).collect();
        if reads || rolls_back {
            let why = if rolls_back { "It ends with ROLLBACK" } else { "It only reads" };
            warnings.push(format!("{why}: nothing would be changed."));
        } else {
            warnings.push(PASSES_BY.to_owned());
        }
        if self.stop_on_error == Some(false) {
            warnings.push("stop_on_error is false: what succeeds is committed even when the rest fails.".to_owned());
        }
        Ok(Plan {
            summary: format!("Would run {} in one transaction", crate::module_ops::counted(statements.len(), "statement")),
            affected: statements.len() as u64,
            examples: described.into_iter().take(10).collect(),
            warnings,
            ids: Vec::new(),
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Script> {
        let go_on = self.stop_on_error == Some(false);
        let ran = WriteCx::sql(cx)?.script(&self.script, go_on, ROWS).await?;
        let mut statements = Vec::new();
        for (at, (statement, result)) in ran.steps.into_iter().enumerate() {
            let number = at + 1;
            match result {
                Ok(rows) => statements.push(Ran {
                    number,
                    statement,
                    rows: rows.json(),
                    affected: rows.affected,
                    columns: types(rows.columns),
                    error: None,
                }),
                Err(fault) if go_on => {
                    let said = fault.public();
                    let error = format!("{} {}", said.message, said.next).trim().to_owned();
                    statements.push(Ran {
                        number,
                        statement,
                        columns: Vec::new(),
                        rows: Vec::new(),
                        affected: None,
                        error: Some(error),
                    });
                }
                // Everything was undone with it.
                Err(Fault::Refused(refused)) => {
                    return Err(refusal(
                        refused.code,
                        format!("Statement {number} ({statement}) failed, and nothing was changed: {}", refused.message),
                    )
                    .next(refused.next)
                    .into());
                }
                Err(other) => return Err(other),
            }
        }
        let mut notes = Vec::new();
        if ran.committed {
            notes.push("Committed. Odoo's caches were told to forget; computed fields did not run.".to_owned());
        } else {
            notes.push("Nothing was changed: the script only reads, or ends with ROLLBACK.".to_owned());
        }
        Ok(Script { statements, committed: ran.committed, not_run: ran.not_run, notes })
    }
}
pub const TOOL: Tool = tool::destructive::<ExecuteSqlScript>("Run an SQL script");
