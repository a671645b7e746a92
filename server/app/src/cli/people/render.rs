//! What a tool answered, for people: records as a table, facts as lines, texts as they are. Everything is made fit for a terminal.
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{mcp::Answer, plain};
use crate::terminal;

/// Where the width of the terminal is not known, nothing is cut but what nobody reads in a table.
const WIDEST_CELL: usize = 60;

/// The answer as text. `width`: of the terminal, when there is one.
pub fn answer(answer: &Answer, width: Option<usize>) -> String {
    let mut text = match &answer.body {
        Value::Object(body) => object(body, width),
        Value::Null => plain::lines(&answer.text),
        other => pretty(other),
    };
    if answer.attached > 0 {
        let _ = write!(text, "\n({} attached; --json has what it is about)", files(answer.attached));
    }
    text.trim_end().to_owned()
}

fn files(count: usize) -> String {
    if count == 1 { "1 file or picture".into() } else { format!("{count} files or pictures") }
}

fn object(body: &Map<String, Value>, width: Option<usize>) -> String {
    let mut parts = Vec::new();
    // A list that the server wrote as text already, or the plan of a dry run.
    let said = body.get("text").and_then(Value::as_str);
    let mut facts: Vec<(&str, String)> = Vec::new();
    let mut notes = Vec::new();
    for (name, value) in body {
        match (name.as_str(), value) {
            ("text", Value::String(_)) | (_, Value::Null) => {}
            ("notes", Value::Array(items)) => notes.extend(items.iter().map(|item| format!("Note: {}", cell(item, usize::MAX)))),
            ("plan", Value::Object(plan)) => parts.push(self::plan(plan)),
            ("truncated" | "operation", Value::Object(inner)) => notes.push(note(name, inner)),
            ("hint", Value::String(hint)) => notes.push(plain::lines(hint)),
            (name, Value::Array(items)) if !items.is_empty() && items.iter().all(Value::is_object) => {
                parts.push(section(name, &table(items, width)));
            }
            (name, Value::Array(items)) if items.iter().all(is_plain) => facts.push((name, list(items))),
            // One record, by name.
            (name, Value::Object(inner)) if !inner.is_empty() && inner.values().all(is_short) => {
                let rows: Vec<(String, String)> = inner.iter().map(|(k, v)| (plain::cut(k, 60), cell(v, 200))).collect();
                let rows: Vec<(&str, String)> = rows.iter().map(|(k, v)| (k.as_str(), v.clone())).collect();
                parts.push(section(name, &terminal::facts(&rows)));
            }
            (name, Value::String(long)) if long.contains('\n') => parts.push(section(name, &plain::lines(long))),
            (name, value) if is_short(value) => facts.push((name, cell(value, 1000))),
            (name, value) => parts.push(section(name, &pretty(value))),
        }
    }
    let clean: Vec<(String, String)> = facts.iter().map(|(name, value)| (plain::cut(name, 60), value.clone())).collect();
    let facts: Vec<(&str, String)> = clean.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    let mut text = String::new();
    for part in said.map(plain::lines).into_iter().chain(parts) {
        text.push_str(part.trim_end());
        text.push_str("\n\n");
    }
    text.push_str(&terminal::facts(&facts));
    for note in notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// What would happen.
pub fn plan(plan: &Map<String, Value>) -> String {
    let mut text = plain::lines(plan.get("summary").and_then(Value::as_str).unwrap_or("There is no summary."));
    for example in plan.get("examples").and_then(Value::as_array).into_iter().flatten() {
        let _ = write!(text, "\n  {}", cell(example, 200));
    }
    for (name, value) in plan.iter().filter(|(name, _)| !matches!(name.as_str(), "summary" | "examples" | "affected")) {
        let _ = write!(text, "\n  {}: {}", plain::cut(name, 60), cell(value, 500));
    }
    text.push('\n');
    text
}

fn section(name: &str, text: &str) -> String {
    if name == "records" || name == "record" { text.to_owned() } else { format!("{}:\n{text}", plain::cut(name, 60)) }
}

fn note(name: &str, inner: &Map<String, Value>) -> String {
    let said = inner.iter().map(|(k, v)| format!("{}: {}", plain::cut(k, 60), cell(v, 200))).collect::<Vec<_>>().join(", ");
    format!("{}: {said}", plain::cut(name, 60))
}

fn list(items: &[Value]) -> String {
    if items.is_empty() { "none".to_owned() } else { items.iter().map(|i| cell(i, 200)).collect::<Vec<_>>().join(", ") }
}

/// A table of records, as wide as the terminal at most: the widest columns give way first.
pub fn table(records: &[Value], width: Option<usize>) -> String {
    let mut head: Vec<&String> = Vec::new();
    for record in records.iter().filter_map(Value::as_object) {
        for name in record.keys() {
            if !head.contains(&name) {
                head.push(name);
            }
        }
    }
    // Odoo says false where there is nothing; a column of yes and no says it where there is a no.
    let truths: Vec<bool> = head
        .iter()
        .map(|name| records.iter().filter_map(|r| r.get(name.as_str())).all(|v| matches!(v, Value::Bool(_) | Value::Null)))
        .collect();
    let mut rows: Vec<Vec<String>> = records
        .iter()
        .map(|record| {
            let cells = head.iter().zip(&truths).map(|(name, truth)| match record.get(name.as_str()) {
                None | Some(Value::Null) => String::new(),
                Some(Value::Bool(false)) if !truth => String::new(),
                Some(value) => cell(value, WIDEST_CELL),
            });
            cells.collect()
        })
        .collect();
    let mut head: Vec<String> = head.iter().map(|name| plain::cut(name, 40).to_uppercase()).collect();
    if let Some(width) = width {
        fit(&mut head, &mut rows, width);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    terminal::table(&head, &rows, "none")
}

fn fit(head: &mut [String], rows: &mut [Vec<String>], width: usize) {
    const NARROWEST: usize = 8;
    let mut widths: Vec<usize> = head.iter().map(|h| h.chars().count()).collect();
    for row in rows.iter() {
        for (cell, width) in row.iter().zip(&mut widths) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let gaps = 2 * widths.len().saturating_sub(1);
    while widths.iter().sum::<usize>() + gaps > width {
        let Some(widest) = widths.iter_mut().max().filter(|w| **w > NARROWEST) else { break };
        *widest -= 1;
    }
    for line in std::iter::once(head).chain(rows.iter_mut().map(Vec::as_mut_slice)) {
        for (cell, width) in line.iter_mut().zip(&widths) {
            *cell = plain::cut(cell, *width);
        }
    }
}

/// A value on one line.
pub fn cell(value: &Value, characters: usize) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // A link to another record, as Odoo gives it: [7, "Acme"].
        Value::Array(pair) if is_link(pair) => match pair.as_slice() {
            [id, Value::String(name)] => format!("{name} ({id})"),
            _ => String::new(),
        },
        Value::Array(items) if items.iter().all(is_plain) => list(items),
        other => other.to_string(),
    };
    plain::cut(&text, characters)
}

fn is_link(pair: &[Value]) -> bool {
    matches!(pair, [Value::Number(_), Value::String(_)])
}
fn is_plain(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}
fn is_short(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(is_plain),
        Value::Object(_) => false,
        Value::String(text) => !text.contains('\n'),
        _ => true,
    }
}

fn pretty(value: &Value) -> String {
    plain::json(&serde_json::to_string_pretty(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(body: Value) -> String {
        answer(&Answer { body, text: String::new(), attached: 0 }, None)
    }

    #[test]
    fn records_are_a_table_and_the_rest_are_facts() {
        let text = shown(json!({
            "model": "res.partner",
            "records": [
                {"id": 9, "name": "Acme", "email": "a@b.c", "country_id": [233, "United States"], "is_company": true},
                {"id": 36, "name": "Addison", "email": false, "country_id": false, "is_company": false},
            ],
            "count": 2, "next_offset": 2, "hint": "Go on with offset.", "notes": ["One note."]
        }));
        assert_eq!(
            text,
            "ID  NAME     EMAIL  COUNTRY_ID           IS_COMPANY\n\
             9   Acme     a@b.c  United States (233)  true\n\
             36  Addison                              false\n\n\
             model:        res.partner\n\
             count:        2\n\
             next_offset:  2\n\
             Go on with offset.\n\
             Note: One note."
        );
        assert_eq!(shown(json!({"model": "res.partner", "count": 41})), "model:  res.partner\ncount:  41");
    }

    #[test]
    fn texts_plans_and_single_records_read_well() {
        assert_eq!(shown(json!({"text": "| id |\n| 9 |\n", "count": 1})), "| id |\n| 9 |\n\ncount:  1");
        assert_eq!(
            shown(json!({"plan": {"summary": "Would delete 1 record", "affected": 1, "examples": ["Acme (id 9)"]}})),
            "Would delete 1 record\n  Acme (id 9)"
        );
        assert_eq!(shown(json!({"id": 5, "record": {"name": "A", "tags": [1, 2]}})), "name:  A\ntags:  1, 2\n\nid:  5");
        assert_eq!(
            answer(&Answer { body: Value::Null, text: "plain".into(), attached: 2 }, None),
            "plain\n(2 files or pictures attached; --json has what it is about)"
        );
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let text = table(&[json!({"id": 1, "name": "x".repeat(200), "note": "y".repeat(50)})], Some(60));
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        assert!(text.contains('…') && text.starts_with("ID"));
    }

    #[test]
    fn no_answer_reaches_the_terminal_as_a_command() {
        let evil = "\u{1b}]0;x\u{7}\u{9b}2J\u{202e}";
        let body = json!({
            evil: evil, "records": [{evil: evil}], "text": evil, "notes": [evil], "plan": {"summary": evil, evil: evil, "examples": [evil]},
            "deep": {"a": [{"b": evil}]}, "long": format!("{evil}\n{evil}"), "hint": evil, "truncated": {evil: evil}, "one": {evil: evil}, "names": [evil],
        });
        let text = shown(body);
        assert!(!text.chars().any(|c| plain::hostile(c) && c != '\n'), "{text:?}");
        let text = answer(&Answer { body: Value::Null, text: evil.into(), attached: 0 }, Some(20));
        assert!(!text.chars().any(plain::hostile), "{text:?}");
    }
}
