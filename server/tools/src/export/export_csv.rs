use std::collections::{BTreeMap, BTreeSet, HashMap};

use backends::odoo::{Field, Reader};
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    args::{Domain, Names},
    contract::{self as tool, *},
    csv_text::neutral,
};

/// Export records as CSV with the fields' labels as header, for people and spreadsheets. Paths such as partner_id.email are read through.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportCsv {
    model: String,
    #[serde(default)]
    domain: Domain,
    #[serde(default)]
    fields: Names,
    order: Option<String>,
    /// Default 500, at most 5000
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Exported {
    pub model: String,
    pub count: usize,
    /// The fields, in the order of the columns.
    pub fields: Vec<String>,
    /// Shown as CSV in `text`.
    pub rows: Vec<Map<String, Value>>,
    /// Whether there are more records than the limit let through.
    pub has_more: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_fields: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    labels: Vec<String>,
}
impl Answer for Exported {
    const LIST: Option<&'static str> = Some("rows");
    fn format(&self) -> Format {
        Format::Csv
    }
    fn columns(&self) -> Vec<String> {
        self.labels.clone()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}

const DEFAULT: u64 = 500;
const MOST: u64 = 5_000;
/// Records that paths of one export may lead to, per relation.
const MOST_RELATED: usize = 20_000;
/// Records in one request, where the organization does not set less.
const PAGE: usize = 500;
/// As Odoo's own import calls the column.
pub const DATABASE_ID: &str = "Database ID";

impl ReadTool for ExportCsv {
    type Answer = Exported;
    async fn call(self, cx: &ReadCx) -> Result<Exported> {
        let odoo = cx.odoo()?;
        let limit = limit(self.limit)?;
        let fields = if self.fields.0.is_empty() { odoo.smart_fields(&self.model).await? } else { self.fields.0 };
        let mut columns: Vec<Column> = Vec::with_capacity(fields.len());
        for field in fields {
            let column = column(odoo, &self.model, &field).await?;
            if !columns.iter().any(|c| c.path == column.path) {
                columns.push(column);
            }
        }
        let mut ids = odoo.search_ids(&self.model, &self.domain.0, limit + 1, 0, self.order.as_deref()).await?;
        let has_more = ids.len() as u64 > limit;
        ids.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let paths: Vec<Vec<String>> = columns.iter().map(|c| c.path.split('.').map(str::to_owned).collect()).collect();
        let mut skipped_fields = BTreeMap::new();
        let cells = table(odoo, &self.model, &ids, paths, "", &mut skipped_fields).await?;
        let labels = labels(&columns);
        let row = |id: &i64| {
            let cells = cells.get(id)?;
            Some(labels.iter().cloned().zip(cells.iter().cloned().map(Value::from)).collect::<Map<_, _>>())
        };
        let rows: Vec<_> = ids.iter().filter_map(row).collect();
        let mut notes = Vec::new();
        if has_more {
            notes.push(format!(
                "There are more records than {limit}: raise limit (at most {MOST}), or go on behind these with a domain on id and order \"id\"."
            ));
        }
        Ok(Exported {
            model: self.model,
            count: rows.len(),
            fields: columns.into_iter().map(|c| c.path).collect(),
            rows,
            has_more,
            skipped_fields,
            notes,
            labels,
        })
    }
}
fn limit(asked: Option<u64>) -> Result<u64> {
    match asked.unwrap_or(DEFAULT) {
        limit @ 1..=MOST => Ok(limit),
        _ => Err(refusal(Code::InvalidArgument, format!("limit is a whole number from 1 to {MOST}."))
            .next("Export more in several calls, with a domain on id and order \"id\".")
            .into()),
    }
}

#[derive(Debug)]
struct Column {
    path: String,
    label: String,
}
/// Checks a path of fields, written with dots or with slashes, and finds its label.
async fn column(odoo: &Reader, model: &str, path: &str) -> Result<Column> {
    let path = path.replace('/', ".");
    let path = path.strip_suffix("..id").map_or(path.clone(), |head| format!("{head}.id"));
    odoo.check_fields(model, std::slice::from_ref(&path)).await?;
    let mut model = model.to_owned();
    let mut labels: Vec<String> = Vec::new();
    let mut steps = path.split('.').peekable();
    while let Some(step) = steps.next() {
        let fields = odoo.fields(&model).await?;
        let field = fields.get(step);
        if step == "id" && steps.peek().is_none() {
            labels.push(DATABASE_ID.to_owned());
            break;
        }
        let Some(field) = field else {
            return Err(refusal(Code::InvalidArgument, format!("fields: {path} is no path of fields.")).into());
        };
        labels.push(if field.string.is_empty() { step.to_owned() } else { field.string.clone() });
        match (&field.relation, steps.peek()) {
            (Some(comodel), Some(_)) => model.clone_from(comodel),
            (None, Some(_)) => {
                return Err(refusal(Code::InvalidArgument, format!("fields: {path}: {step} is no relation."))
                    .next("Export the field itself.")
                    .into());
            }
            (_, None) if field.r#type == "binary" => {
                return Err(refusal(Code::InvalidArgument, format!("fields: {path} is binary and has no place in CSV."))
                    .next("Leave it out; read gives its content, download_attachment that of files.")
                    .into());
            }
            (_, None) => {}
        }
    }
    Ok(Column { path, label: labels.join("/") })
}
/// The columns' labels, told apart by the path where several have the same.
fn labels(columns: &[Column]) -> Vec<String> {
    let again = |label: &str| columns.iter().filter(|c| c.label == label).count() > 1;
    let label = |c: &Column| if again(&c.label) { format!("{} ({})", c.label, c.path) } else { c.label.clone() };
    // Labels of custom fields are texts of people too.
    columns.iter().map(|c| neutral(label(c))).collect()
}

type Cells = HashMap<i64, Vec<String>>;
/// The cells of these records, one per path, by record.
fn table<'a>(
    odoo: &'a Reader,
    model: &'a str,
    ids: &'a [i64],
    paths: Vec<Vec<String>>,
    prefix: &'a str,
    skipped: &'a mut BTreeMap<String, String>,
) -> BoxFuture<'a, Result<Cells>> {
    Box::pin(async move {
        let mut own: Vec<String> = Vec::new();
        for first in paths.iter().filter_map(|p| p.first()).filter(|f| *f != "id") {
            if !own.contains(first) {
                own.push(first.clone());
            }
        }
        let asked = if own.is_empty() { vec!["id".to_owned()] } else { own };
        let cap = usize::try_from(odoo.scope().max_records).unwrap_or(PAGE).clamp(1, PAGE);
        let mut records: Vec<(i64, Map<String, Value>)> = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(cap) {
            let rows = odoo.read(model, chunk, &asked).await?;
            skipped.extend(rows.skipped.into_iter().map(|(field, why)| (format!("{prefix}{field}"), why)));
            records.extend(rows.records.iter().map(|r| (r.id(), r.parse())));
        }
        let fields = odoo.fields(model).await?;
        // What the relations lead to: their own cells where a path goes on, else their names.
        let mut related: HashMap<String, (Vec<usize>, Cells)> = HashMap::new();
        let mut names: HashMap<String, HashMap<i64, String>> = HashMap::new();
        for field in &asked {
            let Some(comodel) = fields.get(field).and_then(|f| f.relation.as_deref()) else { continue };
            let targets: BTreeSet<i64> = records.iter().flat_map(|(_, r)| linked(r.get(field))).collect();
            if targets.len() > MOST_RELATED {
                return Err(refusal(Code::TooLarge, format!("fields: {prefix}{field} leads to {} records.", targets.len()))
                    .next(format!("Export fewer records at once; a path may lead to {MOST_RELATED}."))
                    .into());
            }
            let targets: Vec<i64> = targets.into_iter().collect();
            let behind: Vec<usize> =
                (0..paths.len()).filter(|i| paths.get(*i).is_some_and(|p| p.len() > 1 && p.first() == Some(field))).collect();
            if !behind.is_empty() {
                let rests: Vec<Vec<String>> =
                    behind.iter().filter_map(|i| paths.get(*i)).map(|p| p.iter().skip(1).cloned().collect()).collect();
                let seen = if rests.iter().all(|rest| rest.as_slice() == ["id"]) {
                    targets.clone()
                } else {
                    odoo.visible(comodel, &targets).await?
                };
                let below = format!("{prefix}{field}.");
                let cells = table(odoo, comodel, &seen, rests, &below, skipped).await?;
                related.insert(field.clone(), (behind, cells));
            }
            let shown = paths.iter().any(|p| p.as_slice() == [field.as_str()]);
            if shown && fields.get(field).is_some_and(|f| f.r#type != "many2one") {
                names.insert(field.clone(), named(odoo, comodel, &targets).await?);
            }
        }
        let empty = HashMap::new();
        let mut cells = Cells::with_capacity(records.len());
        for (id, record) in &records {
            let of = |(at, path): (usize, &Vec<String>)| match path.as_slice() {
                [own] if own == "id" => id.to_string(),
                [own] => {
                    let field = fields.get(own);
                    cell(field, record.get(own).unwrap_or(&Value::Null), names.get(own).unwrap_or(&empty))
                }
                [first, ..] => {
                    let Some((behind, below)) = related.get(first) else { return String::new() };
                    let column = behind.iter().position(|i| *i == at).unwrap_or_default();
                    let values = linked(record.get(first)).filter_map(|id| below.get(&id)?.get(column).cloned());
                    values.filter(|v| !v.is_empty()).collect::<Vec<_>>().join(",")
                }
                [] => String::new(),
            };
            cells.insert(*id, paths.iter().enumerate().map(of).collect());
        }
        Ok(cells)
    })
}
/// The ids of a relation's value: `[7, "name"]`, a bare id, or a list of ids.
fn linked(value: Option<&Value>) -> impl Iterator<Item = i64> {
    let ids: Vec<i64> = match value {
        Some(Value::Array(items)) if items.get(1).is_some_and(Value::is_string) => {
            items.first().and_then(Value::as_i64).into_iter().collect()
        }
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_i64).collect(),
        Some(one) => one.as_i64().into_iter().collect(),
        None => Vec::new(),
    };
    ids.into_iter()
}
/// Names of records; their ids where names may not be shown or cannot be read.
async fn named(odoo: &Reader, model: &str, ids: &[i64]) -> Result<HashMap<i64, String>> {
    match odoo.names(model, ids).await {
        Ok(names) => Ok(names.into_iter().collect()),
        Err(fault) if matches!(fault.code(), Code::ModelDenied | Code::FieldDenied | Code::OdooError) => Ok(HashMap::new()),
        Err(fault) => Err(fault),
    }
}
/// A value as Odoo's import takes it again: names of related records, several of them separated by commas.
fn cell(field: Option<&Field>, value: &Value, names: &HashMap<i64, String>) -> String {
    let kind = field.map_or("", |f| f.r#type.as_str());
    match (kind, value) {
        ("boolean", value) => if value == &Value::Bool(true) { "true" } else { "false" }.to_owned(),
        (_, Value::Null | Value::Bool(false)) => String::new(),
        ("many2one", Value::Array(pair)) => pair.get(1).and_then(Value::as_str).unwrap_or_default().to_owned(),
        ("one2many" | "many2many", value) => {
            let name = |id: i64| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
            linked(Some(value)).map(name).collect::<Vec<_>>().join(",")
        }
        (_, Value::String(text)) => text.clone(),
        (_, other) => other.to_string(),
    }
}
pub const TOOL: Tool = tool::read::<ExportCsv>("Export records as CSV");

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field(kind: &str) -> Field {
        Field { r#type: kind.to_owned(), ..Field::default() }
    }

    #[test]
    fn values_are_written_as_the_import_reads_them() {
        let names = HashMap::from([(7, "Gold".to_owned())]);
        for (kind, value, written) in [
            ("char", json!(false), ""),
            ("char", json!("a,b"), "a,b"),
            ("boolean", json!(false), "false"),
            ("boolean", json!(true), "true"),
            ("integer", json!(0), "0"),
            ("float", json!(-5.0), "-5.0"),
            ("many2one", json!([3, "Belgium"]), "Belgium"),
            ("many2one", json!(3), "3"),
            ("many2one", json!(false), ""),
            ("many2many", json!([7, 8]), "Gold,8"),
            ("one2many", json!([]), ""),
            ("json", json!({"a": 1}), "{\"a\":1}"),
        ] {
            assert_eq!(cell(Some(&field(kind)), &value, &names), written, "{kind} {value}");
        }
    }

    #[test]
    fn labels_are_told_apart() {
        let column = |path: &str, label: &str| Column { path: path.to_owned(), label: label.to_owned() };
        let columns = [column("a", "Name"), column("b.a", "B/Name"), column("c", "Name")];
        assert_eq!(labels(&columns), ["Name (a)", "B/Name", "Name (c)"]);
        assert_eq!(labels(&[column("x_a", "=cmd()")]), ["'=cmd()"]);
    }

    #[test]
    fn limits() {
        assert_eq!(limit(None).unwrap(), 500);
        assert_eq!(limit(Some(5_000)).unwrap(), 5_000);
        assert!(limit(Some(0)).is_err() && limit(Some(5_001)).is_err());
    }
}
