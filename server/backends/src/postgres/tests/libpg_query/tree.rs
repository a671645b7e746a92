//! What PostgreSQL's parser makes of a text, as plain JSON: `{"SelectStmt": {…}}` for a node, fields of no value left out.
use pg_query::ParserOptions;
use serde_json::{Map, Value};

pub type Fields = Map<String, Value>;

/// The statements of a text, or why there are none. `strict` is `standard_conforming_strings`.
pub fn parse(sql: &str, strict: bool) -> Result<Vec<Value>, String> {
    let options = if strict { ParserOptions::DEFAULT } else { ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS };
    let parsed = pg_query::parse(sql, options).map_err(|e| match e {
        pg_query::Error::Parse(text) => text,
        other => other.to_string(),
    })?;
    parsed
        .protobuf
        .stmts
        .iter()
        .map(|raw| Ok(plain(&serde_json::to_value(raw.stmt.as_ref().ok_or("no statement")?).map_err(|e| e.to_string())?)))
        .collect()
}
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(plain).collect(),
        // `{"node": {"Kind": {…}}}`
        Value::Object(map) if map.len() == 1 && map.contains_key("node") => plain(&map["node"]),
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), plain(value)))
                .filter(|(_, value)| match value {
                    Value::Null | Value::Bool(false) => false,
                    Value::Number(n) => n.as_f64() != Some(0.0),
                    Value::String(s) => !s.is_empty(),
                    Value::Array(items) => !items.is_empty(),
                    _ => true,
                })
                .collect(),
        ),
        other => other.clone(),
    }
}
/// A node's kind and fields.
pub fn node(value: &Value) -> Option<(&str, &Fields)> {
    let map = value.as_object().filter(|map| map.len() == 1)?;
    let (kind, fields) = map.iter().next()?;
    Some((kind, fields.as_object()?))
}
/// The fields of a node of this kind.
pub fn as_kind<'a>(value: &'a Value, kind: &str) -> Option<&'a Fields> {
    node(value).filter(|(k, _)| *k == kind).map(|(_, fields)| fields)
}
pub fn items<'a>(fields: &'a Fields, name: &str) -> &'a [Value] {
    fields.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}
pub fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}
pub fn flag(fields: &Fields, name: &str) -> bool {
    fields.get(name).and_then(Value::as_bool).unwrap_or_default()
}
pub fn number(fields: &Fields, name: &str) -> i64 {
    fields.get(name).and_then(Value::as_i64).unwrap_or_default()
}
/// A list of `String` nodes; `None` where one is something else.
pub fn strings(list: &[Value]) -> Option<Vec<&str>> {
    list.iter().map(|item| as_kind(item, "String").map(|s| text(s, "sval"))).collect()
}
/// The name that stands for a table, function or subquery of FROM.
pub fn alias(fields: &Fields) -> Option<&Fields> {
    fields.get("alias").and_then(Value::as_object)
}
/// The table that stands as `RangeVar` fields, by its alias or own name.
pub fn called(range: &Fields) -> &str {
    alias(range).map_or_else(|| text(range, "relname"), |a| text(a, "aliasname"))
}
/// Tables that stand in FROM themselves, not within a subquery.
pub fn direct<'a>(item: &'a Value, out: &mut Vec<&'a Fields>) {
    match node(item) {
        Some(("RangeVar", range)) => out.push(range),
        Some(("JoinExpr", join)) => {
            for side in ["larg", "rarg"] {
                if let Some(side) = join.get(side) {
                    direct(side, out);
                }
            }
        }
        _ => {}
    }
}
