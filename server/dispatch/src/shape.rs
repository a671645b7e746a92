//! Stage 9: answers are cut by whole records to the size asked for, rendered as text, table or CSV, and say what was left out.
use kernel::{Fault, Result};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use tools::{
    contract::{Format, Reply},
    csv_text::neutral,
};

/// An answer ready for any façade.
pub struct Shaped {
    pub body: Box<RawValue>,
    pub text: Option<String>,
}

/// Cuts and renders. An answer that fits and wants no other format passes untouched, not even parsed.
pub fn shape(reply: Reply, max_bytes: usize, notes: Vec<String>) -> Result<Shaped> {
    if reply.format == Format::Json && notes.is_empty() && reply.body.get().len() <= max_bytes {
        return Ok(Shaped { body: reply.body, text: None });
    }
    let failed = |_| Fault::failed("shaping an answer");
    let mut object: Map<String, Value> = serde_json::from_str(reply.body.get()).map_err(failed)?;
    add_notes(&mut object, notes);
    let list = reply.list.and_then(|name| match object.shift_remove(name) {
        Some(Value::Array(items)) => Some((name, items)),
        _ => None,
    });
    let Some((name, items)) = list else {
        shrink(&mut object, max_bytes);
        return Ok(Shaped { body: to_raw_value(&object).map_err(failed)?, text: None });
    };
    if reply.format == Format::Json {
        let rest = serde_json::to_string(&object).map_err(failed)?.len() + 300;
        let sizes = items.iter().map(|i| i.to_string().len() + 1);
        let fit = fitting(sizes, max_bytes.saturating_sub(rest));
        cut(&mut object, name, items.len(), fit, max_bytes);
        object.insert(name.to_owned(), Value::Array(items.into_iter().take(fit).collect()));
        return Ok(Shaped { body: to_raw_value(&object).map_err(failed)?, text: None });
    }
    let columns = if reply.columns.is_empty() { keys(&items) } else { reply.columns };
    let lines = render(reply.format, &columns, &items)?;
    // The text appears in the structured answer too, so it counts twice.
    let fit = fitting(lines.rows.iter().map(|l| 2 * l.len() + 2), max_bytes.saturating_sub(2 * lines.head.len() + 300));
    cut(&mut object, name, items.len(), fit, max_bytes);
    let mut text = lines.head;
    lines.rows.iter().take(fit).for_each(|row| text.push_str(row));
    object.insert("text".to_owned(), Value::from(text.clone()));
    Ok(Shaped { body: to_raw_value(&object).map_err(failed)?, text: Some(text) })
}

/// How many of the items fit, by whole items; the first one always does, or nothing could ever be seen.
fn fitting(sizes: impl Iterator<Item = usize>, room: usize) -> usize {
    let mut used = 0;
    let mut count = 0;
    for size in sizes {
        used += size;
        if used > room && count > 0 {
            break;
        }
        count += 1;
    }
    count
}

fn cut(object: &mut Map<String, Value>, list: &str, total: usize, shown: usize, max_bytes: usize) {
    if shown >= total {
        return;
    }
    let offset = object.get("offset").and_then(Value::as_u64).unwrap_or(0);
    let next = if object.contains_key("offset") {
        let next = offset + shown as u64;
        object.insert("next_offset".into(), next.into());
        format!("Go on with offset={next}, ask for fewer fields, or raise max_response_size (KB, at most 1024).")
    } else {
        "Ask for fewer fields or records, or raise max_response_size (KB, at most 1024).".to_owned()
    };
    if object.contains_key("count") {
        object.insert("count".into(), shown.into());
    }
    object.insert(
        "truncated".into(),
        json!({"list": list, "shown": shown, "of": total, "limit_kb": max_bytes / 1024, "next": next}),
    );
}

/// Without a list: the largest values go first, each named, so that what is left is whole.
fn shrink(object: &mut Map<String, Value>, max_bytes: usize) {
    let mut dropped = Vec::new();
    let mut cut = Vec::new();
    loop {
        let sizes: Vec<(String, usize)> = object.iter().map(|(k, v)| (k.clone(), v.to_string().len())).collect();
        let total: usize = sizes.iter().map(|(_, size)| size).sum();
        let Some((largest, size)) = sizes.into_iter().max_by_key(|(_, size)| *size).filter(|_| total > max_bytes) else { break };
        // What is a list keeps its head; anything else goes whole.
        if let Some(Value::Array(items)) = object.get_mut(&largest)
            && items.len() > 1
        {
            let of = items.len();
            let room = max_bytes.saturating_sub(total - size + 300);
            items.truncate(fitting(items.iter().map(|i| i.to_string().len() + 1), room).min(of - 1));
            cut.push(json!({"list": largest, "shown": items.len(), "of": of}));
            continue;
        }
        object.shift_remove(&largest);
        dropped.push(largest);
    }
    if dropped.is_empty() && !cut.is_empty() {
        object.insert(
            "truncated".into(),
            json!({"lists": cut, "limit_kb": max_bytes / 1024, "next": "Raise max_response_size (KB, at most 1024), or ask for less."}),
        );
    }
    if !dropped.is_empty() {
        object.insert(
            "truncated".into(),
            json!({"left_out": dropped, "limit_kb": max_bytes / 1024, "next": "Raise max_response_size (KB, at most 1024), or ask for less."}),
        );
    }
}

fn add_notes(object: &mut Map<String, Value>, notes: Vec<String>) {
    if notes.is_empty() {
        return;
    }
    if let Value::Array(all) = object.entry("notes").or_insert_with(|| json!([])) {
        all.extend(notes.into_iter().map(Value::from));
    }
}

fn keys(items: &[Value]) -> Vec<String> {
    items.first().and_then(Value::as_object).map(|o| o.keys().cloned().collect()).unwrap_or_default()
}

struct Lines {
    head: String,
    rows: Vec<String>,
}

fn render(format: Format, columns: &[String], items: &[Value]) -> Result<Lines> {
    let cells = |item: &Value| -> Vec<String> { columns.iter().map(|c| cell(item.get(c).unwrap_or(&Value::Null))).collect() };
    Ok(match format {
        Format::Csv => {
            let line = |cells: &[String]| -> Result<String> {
                let mut writer = csv::Writer::from_writer(Vec::new());
                writer.write_record(cells).map_err(|_| Fault::failed("writing CSV"))?;
                let bytes = writer.into_inner().map_err(|_| Fault::failed("writing CSV"))?;
                String::from_utf8(bytes).map_err(|_| Fault::failed("writing CSV"))
            };
            let rows =
                items.iter().map(|i| line(&cells(i).into_iter().map(neutral).collect::<Vec<_>>())).collect::<Result<_>>()?;
            Lines { head: line(columns)?, rows }
        }
        Format::Table => {
            let escape = |s: &str| s.replace('|', "\\|").replace(['\n', '\r'], " ");
            let row = |cells: &[String]| format!("| {} |\n", cells.iter().map(|c| escape(c)).collect::<Vec<_>>().join(" | "));
            let head = row(columns) + &format!("|{}\n", " --- |".repeat(columns.len()));
            Lines { head, rows: items.iter().map(|i| row(&cells(i))).collect() }
        }
        Format::Text | Format::Json => {
            let block = |item: &Value| {
                let lines = columns.iter().zip(cells(item)).filter(|(_, v)| !v.is_empty()).map(|(c, v)| format!("{c}: {v}"));
                lines.collect::<Vec<_>>().join("\n") + "\n\n"
            };
            Lines { head: String::new(), rows: items.iter().map(block).collect() }
        }
    })
}

/// A value as a person reads it: `[7, "Acme"]` is Acme (7), false and null are nothing.
fn cell(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(false) => String::new(),
        Value::Bool(true) => "true".into(),
        Value::String(s) => s.clone(),
        Value::Array(items) => match items.as_slice() {
            [Value::Number(id), Value::String(name)] => format!("{name} ({id})"),
            items => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(body: &Value, format: Format) -> Reply {
        Reply {
            body: to_raw_value(body).unwrap(),
            list: Some("records"),
            format,
            columns: vec![],
            affected: None,
            unknown: false,
            content: vec![],
        }
    }
    fn parsed(s: &Shaped) -> Value {
        serde_json::from_str(s.body.get()).unwrap()
    }

    #[test]
    fn what_fits_passes_untouched() {
        let body = json!({"records": [{"id": 1}], "count": 1});
        let shaped = shape(reply(&body, Format::Json), 1024, vec![]).unwrap();
        assert_eq!(parsed(&shaped), body);
    }

    #[test]
    fn what_does_not_fit_is_cut_by_whole_records_and_says_how_to_go_on() {
        let records: Vec<Value> = (0..100).map(|i| json!({"id": i, "name": "x".repeat(100)})).collect();
        let shaped = shape(reply(&json!({"records": records, "count": 100, "offset": 200}), Format::Json), 2048, vec![]).unwrap();
        assert!(shaped.body.get().len() <= 2048, "{}", shaped.body.get().len());
        let v = parsed(&shaped);
        let shown = v["records"].as_array().unwrap().len();
        assert!(shown > 5 && shown < 100);
        assert_eq!(v["truncated"]["of"], 100);
        assert_eq!(v["count"], shown);
        assert_eq!(v["next_offset"], 200 + shown);
        assert_eq!(v["records"][shown - 1]["name"].as_str().unwrap().len(), 100);
    }

    #[test]
    fn formats() {
        let body = json!({"records": [{"id": 1, "partner_id": [7, "A|B"], "ref": "=1+1", "phone": "+33 1 23", "none": false}], "count": 1});
        let csv = shape(reply(&body, Format::Csv), 4096, vec![]).unwrap().text.unwrap();
        assert_eq!(csv, "id,partner_id,ref,phone,none\n1,A|B (7),'=1+1,+33 1 23,\n");
        let table = shape(reply(&body, Format::Table), 4096, vec![]).unwrap().text.unwrap();
        assert!(table.contains("| 1 | A\\|B (7) | =1+1 | +33 1 23 |  |"), "{table}");
        let text = shape(reply(&body, Format::Text), 4096, vec![]).unwrap().text.unwrap();
        assert_eq!(text, "id: 1\npartner_id: A|B (7)\nref: =1+1\nphone: +33 1 23\n\n");
    }

    #[test]
    fn without_a_list_the_largest_part_goes_and_is_named() {
        let body = json!({"result": "x".repeat(5000), "ok": true});
        let v = parsed(&shape(reply(&body, Format::Json), 1024, vec![]).unwrap());
        assert_eq!(v["ok"], true);
        assert_eq!(v["truncated"]["left_out"], json!(["result"]));
        let body = json!({"result": (0..5000).collect::<Vec<_>>()});
        let shaped = shape(reply(&body, Format::Json), 1024, vec![]).unwrap();
        assert!(shaped.body.get().len() <= 1024, "{}", shaped.body.get().len());
        assert_eq!(parsed(&shaped)["truncated"]["lists"][0]["of"], 5000);
    }
}
