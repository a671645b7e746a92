//! What the columns of an item of FROM are called, as PostgreSQL names them.
//!
//! It matters because `x.f` is `f(x)` where x has no column f, and of a function's alias x is the value itself: whatever
//! function the caller names would run.
use std::collections::BTreeMap;

use super::tree::{Fields, alias, as_kind, called, flag, items, node, number, strings, text};
use crate::postgres::catalogue::Catalogue;

/// One name in FROM.
#[derive(Debug, Clone)]
pub struct Item {
    pub alias: String,
    pub columns: Vec<String>,
    /// The alias stands for a value, not for a row.
    pub value: bool,
}
/// Columns of the common table expressions in scope.
pub type Ctes = BTreeMap<String, Vec<String>>;

/// The names that stand in a FROM.
pub fn from(list: &[serde_json::Value], catalogue: &Catalogue, ctes: &Ctes) -> Vec<Item> {
    list.iter().flat_map(|item| of_item(item, catalogue, ctes)).collect()
}
fn of_item(item: &serde_json::Value, catalogue: &Catalogue, ctes: &Ctes) -> Vec<Item> {
    match node(item) {
        Some(("JoinExpr", join)) => {
            ["larg", "rarg"].iter().filter_map(|side| join.get(*side)).flat_map(|s| of_item(s, catalogue, ctes)).collect()
        }
        Some(("RangeVar", range)) => vec![of_table(range, catalogue, ctes)],
        Some(("RangeSubselect", range)) => {
            let select = range.get("subquery").and_then(|q| as_kind(q, "SelectStmt"));
            let own = select.map(|s| of_query(s, catalogue, ctes)).unwrap_or_default();
            let name = alias(range).map(|a| text(a, "aliasname").to_owned()).unwrap_or_default();
            vec![Item { alias: name, columns: renamed(own, alias(range)), value: false }]
        }
        Some(("RangeFunction", range)) => vec![of_function(range)],
        _ => Vec::new(),
    }
}
/// A table or common table expression.
pub fn of_table(range: &Fields, catalogue: &Catalogue, ctes: &Ctes) -> Item {
    let name = text(range, "relname");
    let own = match ctes.get(name) {
        Some(columns) if text(range, "schemaname").is_empty() => columns.clone(),
        _ => {
            let withheld = catalogue.withheld(name).into_iter().map(str::to_owned);
            catalogue.shown(name).unwrap_or_default().iter().cloned().chain(withheld).collect()
        }
    };
    Item { alias: called(range).to_owned(), columns: renamed(own, alias(range)), value: false }
}
fn of_function(range: &Fields) -> Item {
    let names: Vec<&str> = items(range, "functions")
        .iter()
        .filter_map(|list| as_kind(items(as_kind(list, "List")?, "items").first()?, "FuncCall"))
        .filter_map(|call| strings(items(call, "funcname"))?.last().copied())
        .collect();
    let given = alias(range).map(|a| text(a, "aliasname"));
    let typed: Vec<String> = items(range, "coldeflist")
        .iter()
        .filter_map(|c| as_kind(c, "ColumnDef"))
        .map(|c| text(c, "colname").to_owned())
        .collect();
    let single = names.len() == 1;
    let pairs = names.first().is_some_and(|n| n.ends_with("_each") || n.ends_with("_each_text"));
    let mut own: Vec<String> = match names.as_slice() {
        _ if !typed.is_empty() => typed.clone(),
        [name] if pairs => vec!["key".into(), if name.is_empty() { String::new() } else { "value".into() }],
        [name] if name.contains("_array_elements") => vec!["value".into()],
        [name] => vec![given.unwrap_or(name).to_owned()],
        several => several.iter().map(|n| (*n).to_owned()).collect(),
    };
    if flag(range, "ordinality") {
        own.push("ordinality".into());
    }
    Item {
        alias: given.or(names.first().copied()).unwrap_or_default().to_owned(),
        columns: renamed(own, alias(range)),
        value: single && !pairs && typed.is_empty() && !flag(range, "ordinality"),
    }
}
fn renamed(mut columns: Vec<String>, given: Option<&Fields>) -> Vec<String> {
    let names = given.and_then(|a| strings(items(a, "colnames"))).unwrap_or_default();
    for (at, name) in names.into_iter().enumerate() {
        match columns.get_mut(at) {
            Some(column) => name.clone_into(column),
            None => columns.push(name.to_owned()),
        }
    }
    columns
}
/// Adds the common table expressions of a WITH.
pub fn with(with: &Fields, catalogue: &Catalogue, ctes: &mut Ctes) {
    for cte in items(with, "ctes").iter().filter_map(|c| as_kind(c, "CommonTableExpr")) {
        let given = strings(items(cte, "aliascolnames")).unwrap_or_default();
        let own =
            cte.get("ctequery").and_then(|q| as_kind(q, "SelectStmt")).map(|s| of_query(s, catalogue, ctes)).unwrap_or_default();
        let columns = given.iter().map(|n| (*n).to_owned()).chain(own.into_iter().skip(given.len())).collect();
        ctes.insert(text(cte, "ctename").to_owned(), columns);
    }
}
/// What a query gives.
pub fn of_query(select: &Fields, catalogue: &Catalogue, outer: &Ctes) -> Vec<String> {
    let mut ctes = outer.clone();
    if let Some(clause) = select.get("with_clause").and_then(serde_json::Value::as_object) {
        with(clause, catalogue, &mut ctes);
    }
    if number(select, "op") > 1 {
        return select
            .get("larg")
            .and_then(serde_json::Value::as_object)
            .map(|l| of_query(l, catalogue, &ctes))
            .unwrap_or_default();
    }
    if let Some(first) = items(select, "values_lists").first() {
        let width = as_kind(first, "List").map_or(0, |l| items(l, "items").len());
        return (1..=width).map(|n| format!("column{n}")).collect();
    }
    let tables = from(items(select, "from_clause"), catalogue, &ctes);
    let mut out = Vec::new();
    for target in items(select, "target_list").iter().filter_map(|t| as_kind(t, "ResTarget")) {
        let Some(value) = target.get("val") else { continue };
        let star = as_kind(value, "ColumnRef")
            .map(|c| items(c, "fields"))
            .filter(|fields| fields.last().is_some_and(|l| as_kind(l, "AStar").is_some()));
        match (star, text(target, "name")) {
            (Some(fields), _) => {
                let of = strings(&fields[..fields.len() - 1]).unwrap_or_default().last().copied();
                out.extend(tables.iter().filter(|t| of.is_none_or(|of| of == t.alias)).flat_map(|t| t.columns.iter().cloned()));
            }
            (None, "") => out.push(figured(value).0),
            (None, name) => out.push(name.to_owned()),
        }
    }
    out
}
/// The name that PostgreSQL gives an expression, and how sure of it it is.
fn figured(value: &serde_json::Value) -> (String, u8) {
    let nothing = ("?column?".to_owned(), 0);
    let Some((kind, fields)) = node(value) else { return nothing };
    let argument = || fields.get("arg").map_or(nothing.clone(), figured);
    let sure = |name: &str| (name.to_owned(), 2);
    match kind {
        "ColumnRef" => strings(items(fields, "fields")).and_then(|f| f.last().map(|n| sure(n))).unwrap_or(nothing),
        "FuncCall" => strings(items(fields, "funcname")).and_then(|f| f.last().map(|n| sure(n))).unwrap_or(nothing),
        "AIndirection" => {
            let name = items(fields, "indirection").iter().rev().find_map(|i| as_kind(i, "String")).map(|s| text(s, "sval"));
            name.map_or_else(argument, sure)
        }
        "AExpr" if number(fields, "kind") == 6 => sure("nullif"),
        "TypeCast" => {
            let inner = argument();
            let of = fields.get("type_name").and_then(|t| t.as_object()).and_then(|t| strings(items(t, "names")));
            match of.and_then(|n| n.last().map(|n| (*n).to_owned())) {
                Some(of) if inner.1 <= 1 => (of, 1),
                _ => inner,
            }
        }
        "CollateClause" => argument(),
        "GroupingFunc" => sure("grouping"),
        "SubLink" => match number(fields, "sub_link_type") {
            1 => sure("exists"),
            7 => sure("array"),
            5 => {
                let select = fields.get("subselect").and_then(|s| as_kind(s, "SelectStmt"));
                let target = select.and_then(|s| items(s, "target_list").first()).and_then(|t| as_kind(t, "ResTarget"));
                match target {
                    Some(t) if !text(t, "name").is_empty() => sure(text(t, "name")),
                    Some(t) => t.get("val").map_or(nothing, figured),
                    None => nothing,
                }
            }
            _ => nothing,
        },
        "CaseExpr" => match fields.get("defresult").map(figured) {
            Some((name, sure)) if sure > 1 => (name, sure),
            _ => ("case".to_owned(), 1),
        },
        "AArrayExpr" => sure("array"),
        "RowExpr" => sure("row"),
        "CoalesceExpr" => sure("coalesce"),
        "MinMaxExpr" => sure(if number(fields, "op") == 1 { "greatest" } else { "least" }),
        "SqlvalueFunction" => {
            const NAMES: [&str; 9] = [
                "current_date",
                "current_time",
                "current_time",
                "current_timestamp",
                "current_timestamp",
                "localtime",
                "localtime",
                "localtimestamp",
                "localtimestamp",
            ];
            let at = usize::try_from(number(fields, "op")).unwrap_or_default();
            NAMES.get(at.wrapping_sub(1)).map_or(nothing, |n| sure(n))
        }
        _ => nothing,
    }
}
