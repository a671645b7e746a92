//! What tables there are, by queries that are fixed: list_tables takes no SQL from anybody.
use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_util::sync::CancellationToken;

use crate::postgres::{
    catalogue::{Catalogue, Kind},
    session::{Error, Key, Limits, Pools},
};

/// A table or view of the schema `public`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Rows, as the server's statistics have it; `None` where there are none yet, and of views.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_rows: Option<i64>,
    /// Bytes on disk with indexes and long values; 0 of views.
    pub bytes: i64,
    /// The model of Odoo that is kept there, where `ir_model` knows one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its comment, which Odoo fills with the model's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether SQL may read it.
    pub readable: bool,
    /// Whether SQL may change it.
    pub writable: bool,
    /// Its columns, where they were asked for. Those that are withheld are named and marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<TableColumn>>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its type, as in a declaration.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Whether it always has a value.
    pub required: bool,
    /// Whether it is withheld.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub withheld: bool,
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Only tables with this in their name or that of their model, small and capital letters alike.
    pub search: Option<String>,
    /// With columns.
    pub columns: bool,
    /// Without asking `ir_model`.
    pub raw: bool,
    /// The most tables.
    pub limit: usize,
}

const TABLES: &str = "
    SELECT c.relname::text, c.relkind::text, c.reltuples::pg_catalog.float8,
           CASE WHEN c.relkind IN ('r', 'm', 'p') THEN pg_catalog.pg_total_relation_size(c.oid) ELSE 0 END,
           pg_catalog.obj_description(c.oid, 'pg_class')
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     ORDER BY c.relname COLLATE pg_catalog.\"C\"";
const MODELS: &str = "SELECT model::text FROM public.ir_model";
const COLUMNS: &str = "
    SELECT c.relname::text, a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'public' AND a.attnum > 0 AND NOT a.attisdropped AND c.relname = ANY ($1)
     ORDER BY c.relname, a.attnum";

/// The tables that are wanted, by name, and how many there were before the limit.
///
/// # Errors
/// [`Error`].
pub async fn list(
    pools: &Pools,
    key: &Key,
    catalogue: &Catalogue,
    wanted: &Wanted,
    limits: &Limits,
    cancel: &CancellationToken,
) -> Result<(Vec<Table>, usize), Error> {
    let unreadable = |e: tokio_postgres::Error| Error::Answer(e.to_string());
    let models: BTreeMap<String, String> = if wanted.raw {
        BTreeMap::new()
    } else {
        match pools.fixed(key, MODELS, &[], limits, cancel).await {
            Ok(rows) => {
                let names: Result<Vec<String>, _> = rows.iter().map(|row| row.try_get(0)).collect();
                names.map_err(unreadable)?.into_iter().map(|model| (model.replace('.', "_"), model)).collect()
            }
            // A database without Odoo in it.
            Err(Error::Sql(_) | Error::Privilege(_)) => BTreeMap::new(),
            Err(error) => return Err(error),
        }
    };
    let search = wanted.search.as_deref().map(str::to_lowercase);
    let mut tables = Vec::new();
    for row in pools.fixed(key, TABLES, &[], limits, cancel).await? {
        let table = read(&row, catalogue, &models).map_err(unreadable)?;
        let found = search.as_deref().is_none_or(|s| {
            table.name.to_lowercase().contains(s) || table.model.as_deref().is_some_and(|m| m.to_lowercase().contains(s))
        });
        if found {
            tables.push(table);
        }
    }
    let all = tables.len();
    tables.truncate(wanted.limit);
    if wanted.columns {
        let names: Vec<&str> = tables.iter().map(|t| t.name.as_str()).collect();
        let mut columns: BTreeMap<String, Vec<TableColumn>> = BTreeMap::new();
        for row in pools.fixed(key, COLUMNS, &[&names], limits, cancel).await? {
            let column = || -> Result<(String, TableColumn), tokio_postgres::Error> {
                let table: String = row.try_get(0)?;
                let name: String = row.try_get(1)?;
                let withheld = catalogue.withheld(&table).contains(&name.as_str());
                Ok((table, TableColumn { name, type_name: row.try_get(2)?, required: row.try_get(3)?, withheld }))
            };
            let (table, column) = column().map_err(unreadable)?;
            columns.entry(table).or_default().push(column);
        }
        for table in &mut tables {
            table.columns = Some(columns.remove(&table.name).unwrap_or_default());
        }
    }
    Ok((tables, all))
}

fn read(row: &Row, catalogue: &Catalogue, models: &BTreeMap<String, String>) -> Result<Table, tokio_postgres::Error> {
    let name: String = row.try_get(0)?;
    let kind = match row.try_get::<_, String>(1)?.as_str() {
        "v" => Kind::View,
        "m" => Kind::Materialized,
        "f" => Kind::Foreign,
        _ => Kind::Table,
    };
    let tuples: f64 = row.try_get(2)?;
    #[expect(clippy::cast_possible_truncation, reason = "statistics; PostgreSQL keeps them as a float")]
    let estimated_rows = (tuples >= 0.0 && kind != Kind::View).then_some(tuples as i64);
    Ok(Table {
        kind,
        estimated_rows,
        bytes: row.try_get(3)?,
        model: models.get(&name).cloned(),
        comment: row.try_get(4)?,
        readable: catalogue.shown(&name).is_some(),
        writable: catalogue.writable(&name),
        columns: None,
        name,
    })
}
