use backends::postgres::{Table, TableKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::execute_sql::BORROWED;
use crate::{
    args::SearchWords,
    contract::{self as tool, *},
};

/// List the tables and views of the instance's database with their Odoo model, estimated rows and size; with search their columns too. What execute_sql may read and change is told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTables {
    /// Part of a table's or model's name
    #[serde(default)]
    search: SearchWords,
    /// true asks PostgreSQL alone, not Odoo's list of models
    #[serde(default)]
    raw_pg: bool,
    /// Default 100
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Tables {
    pub tables: Vec<Listed>,
    pub count: usize,
    pub total: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub name: String,
    /// table, view, materialized_view, foreign_table or partitioned_table.
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// By PostgreSQL's statistics; absent where there are none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<i64>,
    /// On the disk, with indexes.
    pub bytes: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    pub readable: bool,
    pub writable: bool,
    /// `name type`, with `required` or `withheld`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
}
impl Answer for Tables {
    const LIST: Option<&'static str> = Some("tables");
    fn columns(&self) -> Vec<String> {
        ["name", "kind", "model", "estimated_rows", "bytes", "readable", "writable"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.tables.len() as u64)
    }
}
impl From<Table> for Listed {
    fn from(table: Table) -> Self {
        let columns = table.columns.unwrap_or_default().into_iter().map(|c| {
            let withheld = if c.withheld { " withheld" } else { "" };
            let required = if c.required { " required" } else { "" };
            format!("{} {}{required}{withheld}", c.name, c.type_name)
        });
        Self {
            kind: kind(table.kind),
            name: table.name,
            model: table.model,
            estimated_rows: table.estimated_rows,
            bytes: table.bytes,
            comment: table.comment,
            readable: table.readable,
            writable: table.writable,
            columns: columns.collect(),
        }
    }
}
fn kind(kind: TableKind) -> String {
    serde_json::to_value(kind).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Tables of which columns are told.
const WITH_COLUMNS: usize = 25;

impl ReadTool for ListTables {
    type Answer = Tables;
    async fn call(self, cx: &ReadCx) -> Result<Tables> {
        let limit = self.limit.unwrap_or(100);
        if !(1..=1_000).contains(&limit) {
            return Err(refusal(Code::InvalidArgument, "limit: 1 to 1000.")
                .next("Use search to find a table by its name.")
                .into());
        }
        let limit = usize::try_from(limit).unwrap_or(100);
        let (sql, search) = (cx.sql()?, self.search.get());
        let columns = search.is_some();
        let (tables, total) = sql.tables(search, self.raw_pg, columns, limit).await?;
        let many = tables.len() > WITH_COLUMNS;
        let mut notes = Vec::new();
        if columns && many {
            notes.push(format!("Columns are told of at most {WITH_COLUMNS} tables: search for fewer."));
        }
        if sql.borrows_login() {
            notes.push(BORROWED.to_owned());
        }
        let listed = |table| {
            let mut listed = Listed::from(table);
            if many {
                listed.columns.clear();
            }
            listed
        };
        let tables: Vec<Listed> = tables.into_iter().map(listed).collect();
        Ok(Tables { count: tables.len(), tables, total, notes })
    }
}
pub const TOOL: Tool = tool::read::<ListTables>("List tables");
