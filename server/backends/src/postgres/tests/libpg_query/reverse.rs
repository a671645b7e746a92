//! Statements that read nothing but what may be read, told without the guard: what it refuses of them is its price.
use std::collections::BTreeSet;

use serde_json::Value;

use super::look::allowed;
use super::tree::{Fields, as_kind, flag, items, node, number, strings, text};
use crate::postgres::{catalogue::Catalogue, guard::Refused};

/// Whether a SELECT is harmless by PostgreSQL's own tree: known functions, readable tables, no withheld column by name, no
/// lock, no change. Stricter than need be where names are concerned.
pub fn harmless(statement: &Value, catalogue: &Catalogue) -> bool {
    let mut all = Vec::new();
    nodes(statement, &mut all);
    let ctes: BTreeSet<&str> = all.iter().filter(|(k, _)| *k == "CommonTableExpr").map(|(_, f)| text(f, "ctename")).collect();
    let mut tables = BTreeSet::new();
    for (kind, fields) in &all {
        if *kind == "RangeVar" {
            let (schema, name) = (text(fields, "schemaname"), text(fields, "relname"));
            if schema.is_empty() && ctes.contains(name) {
                continue;
            }
            if !(schema.is_empty() || schema == "public") || catalogue.shown(name).is_none() {
                return false;
            }
            tables.insert(name);
        }
    }
    let secrets: BTreeSet<&str> = tables.iter().flat_map(|t| catalogue.withheld(t)).collect();
    let holds = !secrets.is_empty();
    let aliases: BTreeSet<&str> = all.iter().filter(|(k, _)| *k == "Alias").map(|(_, f)| text(f, "aliasname")).collect();
    let select = as_kind(statement, "SelectStmt").is_some();
    select
        && all.iter().all(|(kind, fields)| match *kind {
            "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "IntoClause" | "LockingClause" | "JsonFuncExpr"
            | "XmlExpr" | "JsonTable" | "RangeTableFunc" | "ParamRef" => false,
            "SqlvalueFunction" => number(fields, "op") <= 9,
            "FuncCall" => {
                let names = strings(items(fields, "funcname")).unwrap_or_default();
                let (schema, name) = match names.as_slice() {
                    [name] => ("pg_catalog", *name),
                    [schema, name] => (*schema, *name),
                    _ => return false,
                };
                number(fields, "funcformat") == 4 || allowed(schema, name, catalogue)
            }
            "TypeName" => strings(items(fields, "names"))
                .is_some_and(|n| n.last().is_some_and(|n| !n.starts_with("reg") && *n != "oid" && *n != "name")),
            "ColumnRef" => {
                let fields = items(fields, "fields");
                let star = fields.last().is_some_and(|l| as_kind(l, "AStar").is_some());
                let names = strings(if star { &fields[..fields.len() - 1] } else { fields }).unwrap_or_default();
                !names.iter().any(|n| secrets.contains(n))
                    && !(holds && names.len() == 1 && (aliases.contains(names[0]) || tables.contains(names[0])))
                    && !(holds && star)
            }
            "JoinExpr" => !(holds && flag(fields, "is_natural")),
            _ => true,
        })
}
/// Every node of a tree, those without a kind by the name of their field.
fn nodes<'a>(value: &'a Value, out: &mut Vec<(&'a str, &'a Fields)>) {
    match value {
        Value::Array(list) => list.iter().for_each(|item| nodes(item, out)),
        Value::Object(fields) => {
            if let Some((kind, inner)) = node(value)
                && kind.starts_with(char::is_uppercase)
            {
                out.push((kind, inner));
                inner.iter().for_each(|(name, value)| named(name, value, out));
            } else {
                fields.iter().for_each(|(name, value)| named(name, value, out));
            }
        }
        _ => {}
    }
}
fn named<'a>(name: &str, value: &'a Value, out: &mut Vec<(&'a str, &'a Fields)>) {
    let kind = match name {
        "relation" => "RangeVar",
        "type_name" => "TypeName",
        "alias" => "Alias",
        "into_clause" => "IntoClause",
        _ => "",
    };
    if !kind.is_empty()
        && let Some(fields) = value.as_object()
    {
        out.push((kind, fields));
    }
    nodes(value, out);
}
/// A refusal without the names in it.
pub fn reason(refused: &Refused) -> String {
    match refused {
        Refused::Construct { what, .. } => {
            let what = what.split(" the name ").next().unwrap_or_default();
            let known = ["operator", "collation", "function", "number", "field", "option", "name"];
            match known.iter().find(|k| what.starts_with(&format!("the {k} "))) {
                Some(k) => format!("construct: the {k} {}", what.split(' ').nth(2).unwrap_or_default()),
                None => format!("construct: {what}"),
            }
        }
        Refused::Syntax(text) => {
            let text = text.split(" at Line").next().unwrap_or_default();
            let (expected, found) = text.split_once(", found: ").unwrap_or((text, ""));
            // Of what stood there only keywords, not names.
            let keyword = !found.is_empty() && found.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_punctuation());
            format!("syntax: {expected}, found {}", if keyword { found } else { "a name or value" })
        }
        Refused::Type { name } => format!("type: {name}"),
        Refused::Function { name, .. } => format!("function: {name}"),
        Refused::TooComplex { what, .. } => format!("too complex: {what}"),
        other => format!("{other:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned(),
    }
}
