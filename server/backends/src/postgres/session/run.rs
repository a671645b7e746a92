//! Statements within a transaction: parameters in, rows out, plans, steps of scripts, and Odoo's signals.
use std::collections::BTreeMap;

use deadpool_postgres::Transaction;
use serde_json::Value;
use tokio_postgres::{
    Row, Statement,
    types::{Kind as TypeKind, ToSql, Type},
};

use super::{
    Limits, Preview,
    error::{Error, failed},
};
use crate::postgres::{
    guard::{Checked, Kind, Step},
    values::{self, Answer, Column, Parameter, Raw},
};

async fn prepare(transaction: &Transaction<'_>, sql: &str, checked: &Checked) -> Result<Statement, Error> {
    transaction.prepare(sql).await.map_err(|e| failed(&e, Some(checked)))
}
fn bind(statement: &Statement, params: &[Value]) -> Result<Vec<Parameter>, Error> {
    let wanted = statement.params();
    if wanted.len() != params.len() {
        return Err(Error::Parameters(format!(
            "the statement has {} parameters, {} values were given",
            wanted.len(),
            params.len()
        )));
    }
    params
        .iter()
        .zip(wanted)
        .enumerate()
        .map(|(at, (value, of))| Parameter::new(value, of).map_err(|why| Error::Parameters(format!("${} is {why}", at + 1))))
        .collect()
}
fn references(params: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    params.iter().map(|p| p as &(dyn ToSql + Sync)).collect()
}

/// How a column of the caller's statement is asked for, so that no value is longer than [`Limits::value`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    /// As it is: of a fixed size, or small.
    Plain,
    /// As text, also what has no reader here; cut, with a word that tells so.
    Text,
    /// JSON; when it is too long, its cut text.
    Json,
    /// Size and hash or base64, made by the server.
    Bytes,
    /// As it is, and how long it is; nothing when it is too long.
    Sized,
}
impl Ask {
    fn of(of: &Type) -> Self {
        match of.name() {
            _ if !values::known(of) => Self::Text,
            "text" | "varchar" | "citext" | "xml" | "unknown" => Self::Text,
            "json" | "jsonb" => Self::Json,
            "bytea" => Self::Bytes,
            _ if matches!(of.kind(), TypeKind::Array(_) | TypeKind::Multirange(_) | TypeKind::Domain(_)) => Self::Sized,
            _ => Self::Plain,
        }
    }
}

/// Runs a statement and reads its rows up to the limits.
pub(super) async fn run(
    transaction: &Transaction<'_>,
    checked: &Checked,
    params: &[Value],
    limits: &Limits,
) -> Result<Answer, Error> {
    let mut statement = prepare(transaction, checked.sql(), checked).await?;
    let columns: Vec<(String, Type)> = statement.columns().iter().map(|c| (c.name().to_owned(), c.type_().clone())).collect();
    let mut asked: Vec<Ask> = columns.iter().map(|_| Ask::Plain).collect();
    // A statement that changes data cannot be wrapped; what it returns is as long as what is in the table.
    if checked.kind() == Kind::Select {
        asked = columns.iter().map(|(_, of)| Ask::of(of)).collect();
        if asked.iter().any(|ask| *ask != Ask::Plain) {
            statement = prepare(transaction, &wrapped(checked.sql(), &asked, limits.value), checked).await?;
        }
    }
    let bound = bind(&statement, params)?;
    if columns.is_empty() {
        let affected = transaction.execute(&statement, &references(&bound)).await.map_err(|e| failed(&e, Some(checked)))?;
        return Ok(Answer { affected: Some(affected), ..Answer::default() });
    }
    let portal = transaction.bind(&statement, &references(&bound)).await.map_err(|e| failed(&e, Some(checked)))?;
    let types: Vec<Type> = statement.columns().iter().map(|c| c.type_().clone()).collect();
    let mut answer = Answer {
        columns: values::unique(columns.iter().map(|(name, _)| name.clone()))
            .into_iter()
            .zip(&columns)
            .map(|(name, (_, of))| Column { name, type_name: type_name(of) })
            .collect(),
        ..Answer::default()
    };
    let (mut seen, mut bytes): (u64, usize) = (0, 0);
    // Few at a time, for a row can be long; fewer where they are.
    let mut batch: usize = 8;
    loop {
        let rows = transaction
            .query_portal(&portal, i32::try_from(batch).unwrap_or(i32::MAX))
            .await
            .map_err(|e| failed(&e, Some(checked)))?;
        let got = rows.len();
        for row in &rows {
            seen += 1;
            if answer.truncated {
                continue;
            }
            let (values, size) = read_row(row, &types, &asked)?;
            if answer.rows.len() >= limits.rows || (bytes + size > limits.bytes && !answer.rows.is_empty()) {
                answer.truncated = true;
                continue;
            }
            bytes += size;
            answer.rows.push(values);
        }
        // A statement that changes data runs to its end whatever is shown of it.
        if got < batch || (answer.truncated && checked.kind().reads()) {
            break;
        }
        let average = bytes / answer.rows.len().max(1) + 1;
        batch = (1_048_576 / average).clamp(1, 128);
    }
    if !checked.kind().reads() {
        answer.affected = Some(seen);
    }
    Ok(answer)
}
/// The statement with every column asked for as its type wants; columns that are [`Ask::Sized`] have their length behind all
/// others. The order of rows stays: a selection without clauses of its own passes them on as they come.
fn wrapped(sql: &str, asked: &[Ask], longest: usize) -> String {
    let names: Vec<String> = (1..=asked.len()).map(|n| format!("\"c{n}\"")).collect();
    let cut = |text: &str| {
        format!(
            "pg_catalog.left({text}, {longest}) || ' … [cut: ' || pg_catalog.octet_length({text})::pg_catalog.text || ' bytes]'"
        )
    };
    let mut out: Vec<String> = asked
        .iter()
        .zip(&names)
        .map(|(ask, c)| {
            let text = format!("{c}::pg_catalog.text");
            match ask {
                Ask::Plain => c.clone(),
                // In bytes the length is known without reading a long value.
                Ask::Text => format!("CASE WHEN pg_catalog.octet_length({text}) > {longest} THEN {} ELSE {text} END", cut(&text)),
                Ask::Json => format!(
                    "CASE WHEN pg_catalog.octet_length({text}) > {longest} THEN pg_catalog.to_jsonb({})::pg_catalog.text ELSE {text} END",
                    cut(&text)
                ),
                Ask::Bytes => format!(
                    "CASE WHEN {c} IS NULL THEN NULL WHEN pg_catalog.octet_length({c}) <= {} THEN pg_catalog.jsonb_build_object('size', pg_catalog.octet_length({c}),
                     'base64', pg_catalog.replace(pg_catalog.encode({c}, 'base64'), pg_catalog.chr(10), ''))
                     ELSE pg_catalog.jsonb_build_object('size', pg_catalog.octet_length({c}), 'sha256', pg_catalog.encode(pg_catalog.sha256({c}), 'hex')) END",
                    values::BYTES_SHOWN
                ),
                Ask::Sized => format!("CASE WHEN pg_catalog.octet_length({text}) > {longest} THEN NULL ELSE {c} END"),
            }
        })
        .collect();
    out.extend(
        asked
            .iter()
            .zip(&names)
            .filter(|(ask, _)| **ask == Ask::Sized)
            .map(|(_, c)| format!("pg_catalog.octet_length({c}::pg_catalog.text)")),
    );
    format!("SELECT {} FROM ({sql}) AS \"q\" ({})", out.join(", "), names.join(", "))
}
/// Every way in which a column can be asked for.
#[cfg(all(test, feature = "libpg_query"))]
pub(in crate::postgres) fn wrapped_every_way(sql: &str) -> String {
    wrapped(sql, &[Ask::Plain, Ask::Text, Ask::Json, Ask::Bytes, Ask::Sized], 1000)
}
fn read_row(row: &Row, types: &[Type], asked: &[Ask]) -> Result<(Vec<Value>, usize), Error> {
    let unreadable = |at: usize, why: String| Error::Answer(format!("column {}: {why}", at + 1));
    let mut size = 0;
    let mut sized = asked.len();
    let mut out = Vec::with_capacity(asked.len());
    for ((at, of), ask) in types.iter().enumerate().zip(asked) {
        let raw: Option<Raw<'_>> = row.try_get(at).map_err(|e| unreadable(at, e.to_string()))?;
        let value = match raw {
            None => Value::Null,
            Some(Raw(raw)) => {
                size += raw.len();
                match ask {
                    Ask::Json => values::decode(&Type::JSON, raw).map_err(|e| unreadable(at, e.to_string()))?,
                    _ if values::known(of) => values::decode(of, raw).map_err(|e| unreadable(at, e.to_string()))?,
                    _ => serde_json::json!({"type": of.name(), "size": raw.len()}),
                }
            }
        };
        let value = if *ask == Ask::Sized {
            let length: Option<i32> = row.try_get(sized).map_err(|e| unreadable(at, e.to_string()))?;
            sized += 1;
            match (value, length) {
                (Value::Null, Some(length)) => format!("[cut: {length} bytes]").into(),
                (value, _) => value,
            }
        } else {
            value
        };
        out.push(value);
        size += 4;
    }
    Ok((out, size))
}
fn type_name(of: &Type) -> String {
    match of.name() {
        "int2" => "smallint".into(),
        "int4" => "integer".into(),
        "int8" => "bigint".into(),
        "float4" => "real".into(),
        "float8" => "double precision".into(),
        "bool" => "boolean".into(),
        "bpchar" => "char".into(),
        name => match name.strip_prefix('_') {
            Some(inner) if matches!(of.kind(), TypeKind::Array(_)) => format!("{inner}[]"),
            _ => name.to_owned(),
        },
    }
}

/// EXPLAIN of a statement in the transaction at hand.
pub(super) async fn plan(transaction: &Transaction<'_>, checked: &Checked, params: &[Value]) -> Result<Preview, Error> {
    let unreadable = || Error::Answer("PostgreSQL's plan is of an unknown form".into());
    let statement = prepare(transaction, &format!("EXPLAIN (FORMAT JSON) {}", checked.sql()), checked).await?;
    let bound = bind(&statement, params)?;
    let row = transaction.query_one(&statement, &references(&bound)).await.map_err(|e| failed(&e, Some(checked)))?;
    let Raw(raw) = row.try_get(0).map_err(|e| Error::Answer(e.to_string()))?;
    let plan = values::decode(&Type::JSON, raw).map_err(|e| Error::Answer(e.to_string()))?;
    let top = plan.pointer("/0/Plan").ok_or_else(unreadable)?;
    let number = |name: &str| top.get(name).and_then(Value::as_f64).ok_or_else(unreadable);
    let cost = number("Total Cost")?;
    // The node of a change gives no rows; what it changes comes from below.
    let rows = match top.get("Node Type").and_then(Value::as_str) {
        Some("ModifyTable") => top.pointer("/Plans/0/Plan Rows").and_then(Value::as_f64).ok_or_else(unreadable)?,
        _ => number("Plan Rows")?,
    };
    Ok(Preview { cost, rows, plan })
}

/// One step of a script, undone by itself when it fails.
pub(super) async fn stepped(transaction: &Transaction<'_>, step: &Step, limits: &Limits) -> Result<Answer, Error> {
    let command = |sql: String| async move { transaction.batch_execute(&sql).await.map_err(|e| failed(&e, None)) };
    let quoted = |name: &str| format!("\"user {}\"", name.replace('"', "\"\""));
    match step {
        Step::Savepoint(name) => command(format!("SAVEPOINT {}", quoted(name))).await.map(|()| Answer::default()),
        Step::Release(name) => command(format!("RELEASE SAVEPOINT {}", quoted(name))).await.map(|()| Answer::default()),
        Step::RollbackTo(name) => command(format!("ROLLBACK TO SAVEPOINT {}", quoted(name))).await.map(|()| Answer::default()),
        Step::Run(checked) => {
            command("SAVEPOINT \"ocore step\"".into()).await?;
            match run(transaction, checked, &[], limits).await {
                Ok(answer) => command("RELEASE SAVEPOINT \"ocore step\"".into()).await.map(|()| answer),
                Err(error) => {
                    command("ROLLBACK TO SAVEPOINT \"ocore step\"; RELEASE SAVEPOINT \"ocore step\"".into()).await?;
                    Err(error)
                }
            }
        }
    }
}

/// Tells Odoo's processes to forget their caches, as its own `signal_changes` does, in the transaction at hand: sequences
/// `base_cache_signaling` (14 to 16) and `base_cache_signaling_…` (17, 18) are counted up, tables `orm_signaling_…` (19) get
/// a row. The registry's own signal, which makes every process load anew, is left alone: no schema was changed. Computed
/// fields do not run. Gives the names of what was signalled; none is found where the database is not Odoo's.
///
/// # Errors
/// [`Error`], mostly [`Error::Privilege`] where the role may not.
pub async fn signal(transaction: &Transaction<'_>) -> Result<Vec<String>, Error> {
    const FIND: &str = "
        SELECT c.relname::text, c.relkind::text
          FROM pg_catalog.pg_class c
          JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public'
           AND (c.relkind = 'S' AND (c.relname = 'base_cache_signaling' OR c.relname LIKE 'base\\_cache\\_signaling\\_%')
                OR c.relkind = 'r' AND c.relname LIKE 'orm\\_signaling\\_%' AND c.relname <> 'orm_signaling_registry')
         ORDER BY 1";
    let found = transaction.query(FIND, &[]).await.map_err(|e| failed(&e, None))?;
    let mut names = Vec::new();
    let mut statements: BTreeMap<String, String> = BTreeMap::new();
    for row in found {
        let (Ok(name), Ok(kind)) = (row.try_get::<_, String>(0), row.try_get::<_, String>(1)) else { continue };
        let quoted = format!("\"public\".\"{}\"", name.replace('"', "\"\""));
        let statement = if kind == "S" {
            format!("SELECT pg_catalog.nextval('{}')", quoted.replace('\'', "''"))
        } else {
            format!("INSERT INTO {quoted} DEFAULT VALUES")
        };
        statements.insert(name, statement);
    }
    for (name, statement) in statements {
        transaction.batch_execute(&statement).await.map_err(|e| failed(&e, None))?;
        names.push(name);
    }
    Ok(names)
}
