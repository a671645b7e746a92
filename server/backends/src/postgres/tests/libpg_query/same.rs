//! One form for what the caller wrote and for what the guard wrote of it, so that a difference of meaning shows.
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    look::replaced,
    tree::{Fields, alias, as_kind, called, flag, items, node, strings, text},
};
use crate::postgres::catalogue::Catalogue;

/// A statement's tree without what the guard may change: places, schemas, names of common table expressions, stars.
pub fn canonical(statement: &Value, catalogue: &Catalogue) -> Value {
    let statement = as_kind(statement, "ExplainStmt").and_then(|e| e.get("query")).unwrap_or(statement);
    Same { catalogue, scopes: Vec::new(), ctes: 0 }.value(statement)
}
/// The first place in which two trees differ.
pub fn difference(a: &Value, b: &Value, path: &str) -> Option<(String, String, String)> {
    let short = |v: Option<&Value>| v.map_or_else(|| "nothing".to_owned(), |v| v.to_string().chars().take(160).collect());
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = format!("{path}.{key}");
                match (x.get(key), y.get(key)) {
                    (Some(a), Some(b)) => difference(a, b, &path),
                    (a, b) => Some((path, short(a), short(b))),
                }
            })
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).find_map(|(a, b)| difference(a, b, &format!("{path}[]")))
        }
        (a, b) if a == b => None,
        (a, b) => Some((path.to_owned(), short(Some(a)), short(Some(b)))),
    }
}

struct Same<'a> {
    catalogue: &'a Catalogue,
    /// Common table expressions in scope, with their numbers.
    scopes: Vec<Vec<(String, usize)>>,
    ctes: usize,
}
impl Same<'_> {
    fn value(&mut self, value: &Value) -> Value {
        match value {
            Value::Array(list) => list.iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => match node(value) {
                Some((kind, fields)) if kind.starts_with(char::is_uppercase) => self.node(kind, fields),
                _ => Value::Object(self.fields(fields)),
            },
            other => other.clone(),
        }
    }
    fn node(&mut self, kind: &str, fields: &Fields) -> Value {
        match kind {
            "RangeVar" => return self.range(fields),
            "RangeSubselect" => {
                if let Some((table, alias, columns)) = replaced(fields, self.catalogue) {
                    return table_of(&table, &alias, columns);
                }
            }
            "RangeFunction" if flag(fields, "is_rowsfrom") => {
                if let Some(merged) = merged(fields) {
                    return self.node("RangeFunction", &merged);
                }
            }
            _ => {}
        }
        json!({ kind: self.fields(fields) })
    }
    fn fields(&mut self, fields: &Fields) -> Fields {
        let mut fields = fields.clone();
        for place in ["location", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end", "arg_location", "funcformat"] {
            fields.remove(place);
        }
        // Underscores in numbers go; PostgreSQL keeps them in the text of those that are no integers.
        if let Some(number) = fields.get("fval").and_then(Value::as_str).map(|n| n.replace('_', "")) {
            fields.insert("fval".into(), number.into());
        }
        // LIMIT ALL is none.
        if fields.get("limit_count").and_then(|l| as_kind(l, "AConst")).is_some_and(|l| flag(l, "isnull")) {
            fields.remove("limit_count");
        }
        if fields.get("limit_option").and_then(Value::as_i64).is_some_and(|option| option < 3) {
            fields.remove("limit_option");
        }
        for names in ["funcname", "names", "collname"] {
            if let Some(list) = fields.get_mut(names).and_then(Value::as_array_mut) {
                let schema = list.first().and_then(|first| as_kind(first, "String")).map(|s| text(s, "sval").to_owned());
                if list.len() == 2 && schema.is_some_and(|s| s == "pg_catalog" || (names == "funcname" && s == "public")) {
                    list.remove(0);
                }
            }
        }
        // `public.t.c`
        if let Some(list) = fields.get_mut("fields").and_then(Value::as_array_mut)
            && list.len() == 3
            && list.first().and_then(|f| as_kind(f, "String")).is_some_and(|s| text(s, "sval") == "public")
        {
            list.remove(0);
        }
        if let Some(relation) = fields.get("relation").and_then(Value::as_object).cloned() {
            let name = called(&relation).to_owned();
            if let Some(returning) = fields.get_mut("returning_clause").and_then(Value::as_object_mut)
                && let Some(list) = returning.get_mut("exprs").and_then(Value::as_array_mut)
            {
                *list = std::mem::take(list)
                    .into_iter()
                    .flat_map(|item| spelled_out(&item, &name, text(&relation, "relname"), self.catalogue).unwrap_or(vec![item]))
                    .collect();
            }
            let range = self.range(&relation);
            fields.insert("relation".into(), range);
        }
        let scoped = fields.remove("with_clause");
        let mut out = Fields::new();
        self.scopes.push(Vec::new());
        if let Some(with) = scoped.as_ref().and_then(Value::as_object) {
            out.insert("with_clause".into(), self.with(with));
        }
        for (name, value) in &fields {
            let value = if name == "relation" { value.clone() } else { self.value(value) };
            out.insert(name.clone(), value);
        }
        self.scopes.pop();
        out
    }
    fn with(&mut self, with: &Fields) -> Value {
        let recursive = flag(with, "recursive");
        let ctes: Vec<&Fields> = items(with, "ctes").iter().filter_map(|cte| as_kind(cte, "CommonTableExpr")).collect();
        let numbered: Vec<(String, usize)> = ctes
            .iter()
            .map(|cte| {
                self.ctes += 1;
                (text(cte, "ctename").to_owned(), self.ctes)
            })
            .collect();
        if recursive && let Some(scope) = self.scopes.last_mut() {
            scope.clone_from(&numbered);
        }
        let mut list = Vec::new();
        for (cte, (name, number)) in ctes.into_iter().zip(numbered) {
            let mut cte = self.fields(cte);
            cte.insert("ctename".into(), number.into());
            list.push(Value::Object(cte));
            if !recursive && let Some(scope) = self.scopes.last_mut() {
                scope.push((name, number));
            }
        }
        json!({"recursive": recursive, "ctes": list})
    }
    fn range(&mut self, range: &Fields) -> Value {
        let name = text(range, "relname");
        let columns = alias(range).and_then(|a| a.get("colnames"));
        let cte = self.scopes.iter().rev().flatten_scopes(name).filter(|_| text(range, "schemaname").is_empty());
        match (cte, text(range, "schemaname")) {
            (Some(number), _) => {
                // Without an alias it is known by the name that the caller gave.
                json!({"cte": number, "alias": alias(range).map_or(name, |a| text(a, "aliasname")), "columns": columns})
            }
            (None, "" | "public") if flag(range, "inh") && text(range, "relpersistence") == "p" => {
                table_of(name, called(range), columns)
            }
            _ => json!({ "RangeVar": range }),
        }
    }
}
trait FlattenScopes {
    fn flatten_scopes(self, name: &str) -> Option<usize>;
}
impl<'a, I: Iterator<Item = &'a Vec<(String, usize)>>> FlattenScopes for I {
    fn flatten_scopes(mut self, name: &str) -> Option<usize> {
        self.find_map(|scope| scope.iter().find(|(n, _)| n == name).map(|(_, number)| *number))
    }
}
fn table_of(table: &str, alias: &str, columns: Option<&Value>) -> Value {
    json!({"table": table, "alias": alias, "columns": columns})
}
/// `ROWS FROM (unnest(a), unnest(b))` is `unnest(a, b)`.
fn merged(range: &Fields) -> Option<Fields> {
    let mut args = Vec::new();
    let mut first = None;
    for list in items(range, "functions") {
        let call = as_kind(items(as_kind(list, "List")?, "items").first()?, "FuncCall")?;
        if strings(items(call, "funcname"))?.last() != Some(&"unnest") {
            return None;
        }
        args.extend(items(call, "args").iter().cloned());
        first.get_or_insert_with(|| call.clone());
    }
    let mut call = first?;
    call.insert("args".into(), args.into());
    let mut range = range.clone();
    range.remove("is_rowsfrom");
    range.insert("functions".into(), json!([{"List": {"items": [{"FuncCall": call}, null]}}]));
    Some(range)
}
/// `*` of RETURNING as the guard spells it.
fn spelled_out(item: &Value, called: &str, table: &str, catalogue: &Catalogue) -> Option<Vec<Value>> {
    let fields = items(as_kind(as_kind(item, "ResTarget")?.get("val")?, "ColumnRef")?, "fields");
    as_kind(fields.last()?, "AStar")?;
    let names = strings(&fields[..fields.len() - 1])?;
    if names.last().is_some_and(|last| *last != called) {
        return None;
    }
    let column = |name: &String| json!({"ResTarget": {"val": {"ColumnRef": {"fields": [{"String": {"sval": called}}, {"String": {"sval": name}}]}}}});
    Some(catalogue.shown(table)?.iter().map(column).collect())
}
/// Options of EXPLAIN in one form.
pub fn explain_options(statement: &Value) -> BTreeMap<String, String> {
    let Some(fields) = as_kind(statement, "ExplainStmt") else { return BTreeMap::new() };
    items(fields, "options")
        .iter()
        .filter_map(|option| as_kind(option, "DefElem"))
        .map(|option| {
            let value = match option.get("arg").and_then(node) {
                Some(("String", s)) => text(s, "sval").to_lowercase(),
                Some(("Integer", n)) => n.get("ival").map_or_else(|| "0".to_owned(), ToString::to_string),
                _ => "true".to_owned(),
            };
            let value = match value.as_str() {
                "on" | "1" => "true".to_owned(),
                "off" | "0" => "false".to_owned(),
                _ => value,
            };
            (text(option, "defname").to_lowercase(), value)
        })
        .collect()
}
