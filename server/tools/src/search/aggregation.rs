use std::collections::{BTreeMap, BTreeSet};

use backends::odoo::{Aggregate, Group, GroupBy, GroupKey, Measure, ModelFields, Reader, Search};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    args::{Domain, Names},
    caps,
    contract::{self as tool, *},
    grouping::{self, GRANULARITIES},
};

/// Group, count and sum records in the database. Use it instead of reading records to add them up.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    model: String,
    /// Default group_by
    operation: Option<Operation>,
    preset: Option<Preset>,
    /// Like ["amount_total:sum"]
    #[serde(default)]
    fields: Names,
    /// Like ["state","date_order:month"]; pivot: row, column
    #[serde(default)]
    groupby: Names,
    /// Like amount_total or amount_total:avg
    measure: Option<String>,
    #[serde(default)]
    domain: Domain,
    /// For trend
    date_field: Option<String>,
    granularity: Option<Granularity>,
    /// For top_n, default 10
    n: Option<u64>,
    /// Like "amount_total desc" or "count desc"
    order: Option<String>,
    limit: Option<u64>,
    #[serde(default)]
    format: Format,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Operation {
    GroupBy,
    TopN,
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Pivot,
    Trend,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Preset {
    CountByState,
    CountByDate,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Granularity {
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}
impl Granularity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Quarter => "quarter",
            Self::Year => "year",
        }
    }
}
impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::GroupBy => "group_by",
            Self::TopN => "top_n",
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Pivot => "pivot",
            Self::Trend => "trend",
        }
    }
    /// The operations that are a function of one measure.
    const fn function(self) -> Option<&'static str> {
        match self {
            Self::Sum | Self::Avg | Self::Min | Self::Max => Some(self.as_str()),
            _ => None,
        }
    }
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Aggregated {
    pub model: String,
    /// What was computed: the operation that was given or understood.
    pub kind: &'static str,
    /// One per group: its keys, `count`, and `field:function` for each measure. A pivot's rows have a value per column and `total`.
    pub rows: Vec<Map<String, Value>>,
    /// A pivot's last row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<Map<String, Value>>,
    /// Whether there are more groups than are listed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub columns: Vec<String>,
    #[serde(skip)]
    pub format: Format,
}
impl Answer for Aggregated {
    const LIST: Option<&'static str> = Some("rows");
    fn format(&self) -> Format {
        self.format
    }
    fn columns(&self) -> Vec<String> {
        self.columns.clone()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.rows.len() as u64)
    }
}

/// Cells of a pivot: beyond it, nobody reads the table.
const CELLS: u64 = 900;
const COUNT: &str = "count";
const TOTAL: &str = "total";

/// What the arguments ask for, once they are understood.
#[derive(Debug)]
struct Wish {
    operation: Operation,
    groupby: Vec<GroupBy>,
    measures: Vec<Measure>,
    order: Option<String>,
    /// Top records of a measure, not top groups.
    records: bool,
    notes: Vec<String>,
}
fn wrong(message: impl Into<String>, next: impl Into<String>) -> Fault {
    refusal(Code::InvalidArgument, message.into()).next(next.into()).into()
}
fn column(group: &GroupBy) -> String {
    group.granularity.as_ref().map_or_else(|| group.field.clone(), |g| format!("{}:{g}", group.field))
}
fn measure_column(measure: &Measure) -> String {
    format!("{}:{}", measure.field, measure.function)
}

impl Aggregation {
    fn operation(&self) -> Operation {
        match (self.preset, self.operation) {
            (Some(Preset::CountByDate), _) => Operation::Trend,
            (None, Some(operation)) => operation,
            (None, None) if self.date_field.is_some() && self.groupby.0.is_empty() => Operation::Trend,
            (None, None) if self.groupby.0.is_empty() && self.fields.0.is_empty() && self.measure.is_none() => Operation::Count,
            (Some(Preset::CountByState), _) | (None, None) => Operation::GroupBy,
        }
    }
    /// The fields that the arguments name, for the check that they exist.
    fn named(&self) -> Vec<String> {
        let fields = self.fields.0.iter().chain(&self.measure).map(|m| measure(m).0);
        let groups = self.groupby.0.iter().chain(&self.date_field).map(|g| g.split_once(':').map_or(g.as_str(), |(f, _)| f));
        let all: BTreeSet<&str> = fields.chain(groups).filter(|f| !is_count(f)).collect();
        all.into_iter().map(str::to_owned).collect()
    }
    /// Pure: the arguments against the model's fields.
    fn wish(&self, fields: &ModelFields) -> Result<Wish> {
        let operation = self.operation();
        if let (Some(_), Some(given)) = (self.preset, self.operation)
            && !matches!(given, Operation::Count | Operation::GroupBy)
            && given != operation
        {
            return Err(wrong(format!("A preset does not go with operation {}.", given.as_str()), "Give one of the two."));
        }
        let mut notes = Vec::new();
        let mut groupby = self.groups(fields)?;
        let measures = self.measures(fields, operation)?;
        let mut order = None;
        match operation {
            Operation::Trend => {
                let date = self.trend(fields, &mut notes)?;
                order = Some(date.field.clone());
                groupby.retain(|g| g.field != date.field);
                groupby.insert(0, date);
            }
            Operation::GroupBy if self.preset == Some(Preset::CountByState) => {
                if fields.get("state").is_none() {
                    let stage = if fields.get("stage_id").is_some() { "It has stage_id: " } else { "" };
                    let next = format!(
                        "{stage}group by another field, such as groupby [\"stage_id\"]; distinct_field_values shows what a field holds."
                    );
                    return Err(wrong(format!("{} has no field state.", self.model), next));
                }
                groupby = vec![GroupBy { field: "state".to_owned(), granularity: None }];
            }
            Operation::GroupBy if groupby.is_empty() && measures.is_empty() => {
                return Err(wrong(
                    "groupby is empty.",
                    "Name at least one field to group by, like [\"state\"], or use operation count.",
                ));
            }
            Operation::Pivot if groupby.len() != 2 => {
                return Err(wrong(
                    format!("A pivot has two fields to group by, not {}.", groupby.len()),
                    "Like groupby [\"partner_id\",\"state\"]: rows, then columns.",
                ));
            }
            Operation::Pivot if measures.len() > 1 => {
                return Err(wrong("A pivot has one measure.", "Leave the others out, or use group_by."));
            }
            Operation::TopN => {
                order =
                    Some(measures.first().map_or_else(|| "__count desc".to_owned(), |m| format!("{} desc", measure_column(m))));
                if groupby.is_empty() && measures.is_empty() {
                    return Err(wrong("top_n needs a measure or a field to group by.", grouping::measures(fields, "")));
                }
            }
            _ => {}
        }
        for group in &groupby {
            grouping::groupable(&self.model, fields, &group.field)?;
        }
        if let Some(asked) = self.order.as_deref().filter(|o| !o.trim().is_empty()) {
            order = Some(ordered(asked, &groupby, &measures)?);
        }
        Ok(Wish { operation, records: operation == Operation::TopN && groupby.is_empty(), groupby, measures, order, notes })
    }
    fn groups(&self, fields: &ModelFields) -> Result<Vec<GroupBy>> {
        let default = self.granularity.map_or("month", Granularity::as_str);
        let mut groups = Vec::new();
        for name in &self.groupby.0 {
            let (field, granularity) = match name.split_once(':') {
                Some((field, granularity)) => (field, Some(granularity)),
                None => (name.as_str(), fields.get(name).is_some_and(grouping::is_date).then_some(default)),
            };
            if let Some(granularity) = granularity {
                dated(&self.model, fields, field, granularity)?;
            }
            groups.push(GroupBy { field: field.to_owned(), granularity: granularity.map(str::to_owned) });
        }
        Ok(groups)
    }
    fn measures(&self, fields: &ModelFields, operation: Operation) -> Result<Vec<Measure>> {
        let mut measures: Vec<Measure> = Vec::new();
        for text in self.fields.0.iter().chain(&self.measure) {
            let (field, said) = measure(text);
            if is_count(field) {
                continue;
            }
            let function = match (operation.function(), said) {
                (Some(operation), Some(said)) if said != operation => {
                    return Err(wrong(
                        format!("Operation {operation} does not go with {text}."),
                        "Use operation group_by for several functions.",
                    ));
                }
                (Some(function), _) | (None, Some(function)) => function.to_owned(),
                (None, None) => grouping::default_function(fields, field),
            };
            grouping::measurable(&self.model, fields, field, &function)?;
            if !measures.iter().any(|m| m.field == field && m.function == function) {
                measures.push(Measure { field: field.to_owned(), function });
            }
        }
        if let (true, Some(function)) = (measures.is_empty(), operation.function()) {
            return Err(wrong(format!("Operation {function} needs a measure."), grouping::measures(fields, "")));
        }
        Ok(measures)
    }
    /// The date that a trend runs along.
    fn trend(&self, fields: &ModelFields, notes: &mut Vec<String>) -> Result<GroupBy> {
        let field = if let Some(field) = &self.date_field {
            field.clone()
        } else if let Some(field) =
            self.groupby.0.iter().map(|g| g.split(':').next().unwrap_or(g)).find(|g| fields.get(g).is_some_and(grouping::is_date))
        {
            field.to_owned()
        } else if fields.get("create_date").is_some() {
            notes.push("No date_field was given: create_date was used.".to_owned());
            "create_date".to_owned()
        } else {
            return Err(wrong("A trend needs a date_field.", "Name a date of the model; get_field_metadata lists them."));
        };
        let (field, own) = match field.split_once(':') {
            Some((field, granularity)) => (field.to_owned(), Some(granularity.to_owned())),
            None => (field, None),
        };
        let of_group = self.groupby.0.iter().find_map(|g| g.strip_prefix(&field)?.strip_prefix(':').map(str::to_owned));
        let granularity = own.or(of_group).unwrap_or_else(|| self.granularity.map_or("month", Granularity::as_str).to_owned());
        dated(&self.model, fields, &field, &granularity)?;
        Ok(GroupBy { field, granularity: Some(granularity) })
    }
}

/// Reads `field`, `field:function` and `alias:function(field)`.
fn measure(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((_, rest)) if rest.ends_with(')') && rest.contains('(') => {
            let (function, field) = rest.trim_end_matches(')').split_once('(').unwrap_or((rest, ""));
            (field, Some(function))
        }
        Some((field, function)) => (field, Some(function)),
        None => (text, None),
    }
}
fn is_count(field: &str) -> bool {
    matches!(field, "count" | "__count" | "*")
}
/// Refuses a granularity that does not exist, or on a field that is no date.
fn dated(model: &str, fields: &ModelFields, field: &str, granularity: &str) -> Result<()> {
    if !GRANULARITIES.contains(&granularity) {
        return Err(wrong(format!("\"{granularity}\" is no granularity."), format!("Use one of {}.", GRANULARITIES.join(", "))));
    }
    match fields.get(field) {
        Some(f) if !grouping::is_date(f) => Err(wrong(
            format!("{field} of {model} is no date ({}).", f.r#type),
            "Leave the granularity out, or name a date or datetime field.",
        )),
        Some(f) if f.r#type == "date" && granularity == "hour" => {
            Err(wrong(format!("{field} is a date without hours."), "Use day."))
        }
        _ => Ok(()),
    }
}
/// The order in the handle's words; only what is grouped by or measured has one.
fn ordered(asked: &str, groupby: &[GroupBy], measures: &[Measure]) -> Result<String> {
    let mut parts = Vec::new();
    for part in asked.split(',') {
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or("");
        let direction = words.next().unwrap_or("asc").to_ascii_lowercase();
        let known = if is_count(name) {
            Some("__count".to_owned())
        } else if let Some(m) = measures.iter().find(|m| m.field == name || measure_column(m) == name) {
            Some(measure_column(m))
        } else {
            groupby.iter().find(|g| g.field == name || column(g) == name).map(|g| g.field.clone())
        };
        let (Some(known), "asc" | "desc", None) = (known, direction.as_str(), words.next()) else {
            let names: Vec<String> = groupby.iter().map(column).chain(measures.iter().map(measure_column)).collect();
            return Err(wrong(
                format!("order: \"{}\" is neither grouped by nor measured.", part.trim()),
                format!("Order by count{}{}, with asc or desc.", if names.is_empty() { "" } else { ", " }, names.join(", ")),
            ));
        };
        parts.push(format!("{known} {direction}"));
    }
    Ok(parts.join(", "))
}

/// A key as Odoo shows it: `[id, name]` for a record, else the value.
fn shown(key: &GroupKey) -> Value {
    match (&key.value, &key.label, &key.range) {
        (Value::Number(id), Some(label), _) => json!([id, label]),
        (_, Some(label), Some(_)) => json!(label),
        (value, ..) => value.clone(),
    }
}
/// Groups as rows: keys, `count`, measures; beside them what tells a group exactly (a range, a selection's label).
fn rows(groupby: &[GroupBy], measures: &[Measure], groups: &[Group]) -> (Vec<Map<String, Value>>, Vec<String>) {
    let row = |group: &Group| {
        let mut row = Map::new();
        for (by, key) in groupby.iter().zip(&group.keys) {
            row.insert(column(by), shown(key));
            if let Some((from, until)) = &key.range {
                row.insert(format!("{}_range", by.field), json!([from, until]));
            } else if let (Some(label), false) = (&key.label, key.value.is_number()) {
                row.insert(format!("{}_label", by.field), json!(label));
            }
        }
        row.insert(COUNT.to_owned(), json!(group.count));
        row.extend(measures.iter().zip(&group.values).map(|(m, v)| (measure_column(m), v.clone())));
        row
    };
    let columns = groupby.iter().map(column).chain([COUNT.to_owned()]).chain(measures.iter().map(measure_column)).collect();
    (groups.iter().map(row).collect(), columns)
}
/// How many stretches without a group lie between dated groups in order.
fn gaps(groups: &[Group]) -> usize {
    let ranges: Vec<&(String, String)> = groups.iter().filter_map(|g| g.keys.first()?.range.as_ref()).collect();
    ranges.windows(2).filter(|w| matches!(w, [a, b] if a.1 < b.0)).count()
}

/// The four answers that a cross table is made of: sums of averages or of records in several groups would be wrong.
struct Cross {
    cells: Vec<Group>,
    rows: Vec<Group>,
    columns: Vec<Group>,
    all: Option<Group>,
}
struct Table {
    rows: Vec<Map<String, Value>>,
    totals: Map<String, Value>,
    columns: Vec<String>,
}
fn key(group: &Group, at: usize) -> String {
    group.keys.get(at).map(|k| k.value.to_string()).unwrap_or_default()
}
/// Rows by columns with totals. A cell without records is 0 for a count and null for a measure.
fn cross(by: &str, measured: bool, cross: &Cross) -> Table {
    let value = |g: &Group| if measured { g.values.first().cloned().unwrap_or(Value::Null) } else { json!(g.count) };
    let empty = if measured { Value::Null } else { json!(0) };
    let mut titles: BTreeMap<String, String> = BTreeMap::new();
    let mut columns = vec![by.to_owned()];
    for group in &cross.columns {
        let Some(head) = group.keys.first() else { continue };
        let text = match (&head.label, &head.value) {
            (Some(label), _) => label.clone(),
            (None, Value::Null | Value::Bool(false)) => "(none)".to_owned(),
            (None, Value::String(text)) => text.clone(),
            (None, other) => other.to_string(),
        };
        // Two customers may have one name, and one may be called "total".
        let title = if columns.contains(&text) || text == TOTAL { format!("{text} ({})", head.value) } else { text };
        columns.push(title.clone());
        titles.insert(key(group, 0), title);
    }
    columns.push(TOTAL.to_owned());
    let cells: BTreeMap<(String, String), Value> = cross.cells.iter().map(|g| ((key(g, 0), key(g, 1)), value(g))).collect();
    let row = |head: Value, of: Option<&Group>, total: Value| {
        let mut row = Map::from_iter([(by.to_owned(), head)]);
        for column in &cross.columns {
            let id = key(column, 0);
            let Some(title) = titles.get(&id) else { continue };
            let cell = match of {
                Some(group) => cells.get(&(key(group, 0), id)).cloned().unwrap_or_else(|| empty.clone()),
                None => value(column),
            };
            row.insert(title.clone(), cell);
        }
        row.insert(TOTAL.to_owned(), total);
        row
    };
    let rows = cross.rows.iter().filter_map(|g| Some(row(shown(g.keys.first()?), Some(g), value(g)))).collect();
    let totals = row(json!("Total"), None, cross.all.as_ref().map_or_else(|| empty.clone(), value));
    Table { rows, totals, columns }
}

impl ReadTool for Aggregation {
    type Answer = Aggregated;
    async fn call(self, cx: &ReadCx) -> Result<Aggregated> {
        let odoo = cx.odoo()?;
        odoo.check_fields(&self.model, &self.named()).await?;
        let fields = odoo.fields(&self.model).await?;
        let Wish { operation, groupby, measures, order, records, mut notes } = self.wish(&fields)?;
        let asked = if operation == Operation::TopN { Some(self.n.or(self.limit).unwrap_or(10)) } else { self.limit };
        let (limit, note) = caps::limit(odoo.scope(), asked, caps::DEFAULT_LIMIT)?;
        notes.extend(note);
        let mut answer = Aggregated {
            model: self.model,
            kind: operation.as_str(),
            rows: Vec::new(),
            totals: None,
            has_more: false,
            notes,
            columns: Vec::new(),
            format: self.format,
        };
        let mut aggregate = Aggregate {
            model: answer.model.clone(),
            domain: self.domain.0,
            groupby,
            measures,
            order,
            limit: limit + 1,
            offset: 0,
        };
        if records {
            let Some(measure) = aggregate.measures.first() else { return Err(Fault::failed("top records without a measure")) };
            return top_records(odoo, answer, &aggregate, measure, limit).await;
        }
        if operation == Operation::Pivot {
            return pivot(odoo, answer, aggregate).await;
        }
        if aggregate.groupby.is_empty() && aggregate.measures.is_empty() {
            let count = odoo.search_count(&answer.model, &aggregate.domain, None).await?;
            answer.rows.push(Map::from_iter([(COUNT.to_owned(), json!(count))]));
            answer.columns = vec![COUNT.to_owned()];
            return Ok(answer);
        }
        if aggregate.groupby.is_empty() {
            aggregate.order = None;
        }
        let mut groups = odoo.aggregate(&aggregate).await?;
        answer.has_more = caps::more(odoo.scope(), limit, groups.len());
        groups.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        if answer.has_more && operation != Operation::TopN {
            answer
                .notes
                .push(format!("There are more than {limit} groups. Raise limit, narrow the domain, or group more coarsely."));
        }
        if operation == Operation::Trend && aggregate.groupby.len() == 1 {
            let gaps = gaps(&groups);
            if gaps > 0 {
                answer.notes.push(format!("Periods without records are not listed ({gaps} gaps)."));
            }
        }
        (answer.rows, answer.columns) = rows(&aggregate.groupby, &aggregate.measures, &groups);
        Ok(answer)
    }
}
/// The records that have most of a measure.
async fn top_records(
    odoo: &Reader,
    mut answer: Aggregated,
    aggregate: &Aggregate,
    measure: &Measure,
    limit: u64,
) -> Result<Aggregated> {
    let search = Search {
        model: answer.model.clone(),
        domain: aggregate.domain.clone(),
        fields: vec!["display_name".to_owned(), measure.field.clone()],
        limit,
        offset: 0,
        order: Some(format!(
            "{} {}",
            measure.field,
            if aggregate.order.as_deref().is_some_and(|o| o.ends_with("asc")) { "asc" } else { "desc" }
        )),
    };
    let rows = odoo.search_read(&search).await?;
    answer.has_more = rows.records.len() as u64 >= limit;
    answer.rows = rows.records.iter().map(backends::odoo::Record::parse).collect();
    answer.columns = ["id".to_owned(), "display_name".to_owned(), measure.field.clone()].into();
    Ok(answer)
}
async fn pivot(odoo: &Reader, mut answer: Aggregated, mut aggregate: Aggregate) -> Result<Aggregated> {
    let [row, column_by] = <[GroupBy; 2]>::try_from(std::mem::take(&mut aggregate.groupby))
        .map_err(|_| Fault::failed("a pivot without two groups"))?;
    let most = CELLS.min(odoo.scope().max_search_limit.saturating_sub(1)).max(1);
    let part = |groupby: Vec<GroupBy>, order: Option<String>| Aggregate { groupby, order, limit: most + 1, ..aggregate.clone() };
    // The order asked for is that of the rows; columns come in their own.
    let of_rows =
        aggregate.order.clone().filter(|o| !o.split(',').any(|p| p.split_whitespace().next() == Some(column_by.field.as_str())));
    let cells = odoo.aggregate(&part(vec![row.clone(), column_by.clone()], None)).await?;
    if cells.len() as u64 > most || cells.len() as u64 == odoo.scope().max_records {
        return Err(refusal(Code::TooLarge, format!("This pivot has more than {most} cells."))
            .next("Narrow the domain, or group by fields with fewer values (a coarser granularity for dates).")
            .into());
    }
    let parts = Cross {
        cells,
        rows: odoo.aggregate(&part(vec![row.clone()], of_rows)).await?,
        columns: odoo.aggregate(&part(vec![column_by], None)).await?,
        all: odoo.aggregate(&part(Vec::new(), None)).await?.into_iter().next(),
    };
    let table = cross(&column(&row), !aggregate.measures.is_empty(), &parts);
    answer.rows = table.rows;
    answer.columns = table.columns;
    if matches!(answer.format, Format::Json) {
        answer.totals = Some(table.totals);
    } else {
        answer.rows.push(table.totals);
    }
    Ok(answer)
}
pub const TOOL: Tool = tool::read::<Aggregation>("Aggregate records").at_most_per_minute(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grouping::tests::fields;

    fn wish(arguments: Value) -> Result<Wish> {
        serde_json::from_value::<Aggregation>(arguments).unwrap().wish(&fields())
    }
    fn brief(arguments: Value) -> (String, String, String, Option<String>) {
        let w = wish(arguments).unwrap();
        let groups: Vec<String> = w.groupby.iter().map(column).collect();
        let measures: Vec<String> = w.measures.iter().map(measure_column).collect();
        (w.operation.as_str().to_owned(), groups.join(" "), measures.join(" "), w.order)
    }

    #[test]
    fn arguments_are_understood() {
        let m = "sale.order";
        for (arguments, operation, groups, measures, order) in [
            (
                json!({"model": m, "fields": ["amount_total:sum"], "groupby": ["state"]}),
                "group_by",
                "state",
                "amount_total:sum",
                None,
            ),
            (
                json!({"model": m, "operation": "top_n", "groupby": "partner_id", "measure": "amount_total", "n": 5}),
                "top_n",
                "partner_id",
                "amount_total:sum",
                Some("amount_total:sum desc"),
            ),
            (json!({"model": m, "operation": "top_n", "groupby": "partner_id"}), "top_n", "partner_id", "", Some("__count desc")),
            (
                json!({"model": m, "operation": "trend", "date_field": "date_order", "granularity": "week", "measure": "amount_total"}),
                "trend",
                "date_order:week",
                "amount_total:sum",
                Some("date_order"),
            ),
            (
                json!({"model": m, "operation": "trend", "groupby": ["date_order:day", "state"]}),
                "trend",
                "date_order:day state",
                "",
                Some("date_order"),
            ),
            (json!({"model": m, "operation": "avg", "measure": "amount_total"}), "avg", "", "amount_total:avg", None),
            (
                json!({"model": m, "operation": "max", "fields": "date_order", "groupby": "partner_id"}),
                "max",
                "partner_id",
                "date_order:max",
                None,
            ),
            (json!({"model": m}), "count", "", "", None),
            (json!({"model": m, "operation": "count", "groupby": ["state"]}), "count", "state", "", None),
            (json!({"model": m, "preset": "count_by_state"}), "group_by", "state", "", None),
            (
                json!({"model": m, "preset": "count_by_date", "operation": "count"}),
                "trend",
                "create_date:month",
                "",
                Some("create_date"),
            ),
            (
                json!({"model": m, "operation": "pivot", "groupby": "partner_id, date_order"}),
                "pivot",
                "partner_id date_order:month",
                "",
                None,
            ),
            (
                json!({"model": m, "fields": ["x:max(amount_total)", "amount_untaxed", "__count"], "groupby": "state", "order": "amount_untaxed DESC, count"}),
                "group_by",
                "state",
                "amount_total:max amount_untaxed:avg",
                Some("amount_untaxed:avg desc, __count asc"),
            ),
            (
                json!({"model": m, "groupby": "date_order:year", "order": "date_order:year desc"}),
                "group_by",
                "date_order:year",
                "",
                Some("date_order desc"),
            ),
        ] {
            let expected = (operation.to_owned(), groups.to_owned(), measures.to_owned(), order.map(str::to_owned));
            assert_eq!(brief(arguments.clone()), expected, "{arguments}");
        }
        assert!(wish(json!({"model": m, "operation": "top_n", "measure": "amount_total"})).unwrap().records);
        assert_eq!(wish(json!({"model": m, "operation": "trend"})).unwrap().notes.len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_advice() {
        let m = "sale.order";
        for (arguments, advice) in [
            (json!({"model": m, "operation": "group_by"}), "[\"state\"]"),
            (json!({"model": m, "operation": "sum"}), "amount_total"),
            (json!({"model": m, "operation": "sum", "measure": "state"}), "amount_total"),
            (json!({"model": m, "operation": "sum", "measure": "amount_total:avg"}), "group_by"),
            (json!({"model": m, "operation": "pivot", "groupby": "state"}), "rows, then columns"),
            (json!({"model": m, "groupby": "order_line"}), "state"),
            (json!({"model": m, "groupby": "date_order:fortnight"}), "month"),
            (json!({"model": m, "groupby": "state:month"}), "granularity"),
            (json!({"model": m, "groupby": "state", "order": "name"}), "count, state"),
            (json!({"model": m, "groupby": "state", "order": "count; drop"}), "count, state"),
            (json!({"model": m, "operation": "top_n"}), "amount_total"),
            (json!({"model": m, "operation": "trend", "date_field": "state"}), "date"),
            (json!({"model": m, "preset": "count_by_state", "operation": "pivot"}), "one of the two"),
        ] {
            let why = wish(arguments.clone()).unwrap_err().public();
            assert_eq!(why.code, Code::InvalidArgument);
            assert!(why.next.contains(advice), "{arguments}: {} {}", why.message, why.next);
        }
        assert!(
            serde_json::from_value::<Aggregation>(json!({"operation": "count"})).is_err_and(|e| e.to_string().contains("model"))
        );
    }

    fn id(id: i64, label: &str) -> GroupKey {
        GroupKey { value: json!(id), label: Some(label.to_owned()), range: None }
    }
    fn plain(value: Value) -> GroupKey {
        GroupKey { value, label: None, range: None }
    }
    fn month(from: &str, until: &str, label: &str) -> GroupKey {
        GroupKey { value: json!(from), label: Some(label.to_owned()), range: Some((from.to_owned(), until.to_owned())) }
    }
    fn group(keys: Vec<GroupKey>, count: u64, values: Vec<Value>) -> Group {
        Group { keys, values, count }
    }

    #[test]
    fn groups_become_rows() {
        let groupby = [
            GroupBy { field: "partner_id".to_owned(), granularity: None },
            GroupBy { field: "date_order".to_owned(), granularity: Some("month".to_owned()) },
            GroupBy { field: "state".to_owned(), granularity: None },
        ];
        let measures = [Measure { field: "amount_total".to_owned(), function: "sum".to_owned() }];
        let state = GroupKey { value: json!("sale"), label: Some("Sales Order".to_owned()), range: None };
        let groups =
            [group(vec![id(7, "Azure"), month("2026-01-01", "2026-02-01", "January 2026"), state], 3, vec![json!(10.5)])];
        let (rows, columns) = rows(&groupby, &measures, &groups);
        assert_eq!(columns, ["partner_id", "date_order:month", "state", "count", "amount_total:sum"]);
        assert_eq!(
            json!(rows),
            json!([{"partner_id": [7, "Azure"], "date_order:month": "January 2026", "date_order_range": ["2026-01-01", "2026-02-01"],
                "state": "sale", "state_label": "Sales Order", "count": 3, "amount_total:sum": 10.5}])
        );
    }

    #[test]
    fn gaps_are_counted_from_ranges() {
        let of = |months: &[(&str, &str)]| {
            let groups: Vec<Group> = months.iter().map(|(a, b)| group(vec![month(a, b, "x")], 1, vec![])).collect();
            gaps(&groups)
        };
        assert_eq!(of(&[("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-03-01")]), 0);
        assert_eq!(of(&[("2026-01-01", "2026-02-01"), ("2026-03-01", "2026-04-01"), ("2026-08-01", "2026-09-01")]), 2);
        assert_eq!(of(&[]), 0);
    }

    #[test]
    fn a_pivot_is_a_cross_table_with_totals_as_odoo_computes_them() {
        let parts = Cross {
            cells: vec![
                group(vec![id(1, "Azure"), plain(json!("sale"))], 2, vec![json!(30)]),
                group(vec![id(1, "Azure"), plain(json!(false))], 1, vec![json!(60)]),
                group(vec![id(2, "Azure"), plain(json!("sale"))], 1, vec![json!(9)]),
            ],
            rows: vec![group(vec![id(1, "Azure")], 3, vec![json!(40)]), group(vec![id(2, "Azure")], 1, vec![json!(9)])],
            columns: vec![
                group(vec![plain(json!("sale"))], 3, vec![json!(23)]),
                group(vec![plain(json!(false))], 1, vec![json!(60)]),
            ],
            all: Some(group(vec![], 4, vec![json!(32.25)])),
        };
        let averages = cross("partner_id", true, &parts);
        assert_eq!(averages.columns, ["partner_id", "sale", "(none)", "total"]);
        assert_eq!(
            json!(averages.rows),
            json!([{"partner_id": [1, "Azure"], "sale": 30, "(none)": 60, "total": 40}, {"partner_id": [2, "Azure"], "sale": 9, "(none)": null, "total": 9}])
        );
        assert_eq!(json!(averages.totals), json!({"partner_id": "Total", "sale": 23, "(none)": 60, "total": 32.25}));
        let counts = cross("partner_id", false, &parts);
        assert_eq!(json!(counts.rows[1]), json!({"partner_id": [2, "Azure"], "sale": 1, "(none)": 0, "total": 1}));
        assert_eq!(counts.totals["total"], 4);
    }

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let columns = vec![
            group(vec![id(1, "Azure")], 1, vec![]),
            group(vec![id(2, "Azure")], 1, vec![]),
            group(vec![id(3, "total")], 1, vec![]),
        ];
        let table = cross("state", false, &Cross { cells: vec![], rows: vec![], columns, all: None });
        assert_eq!(table.columns, ["state", "Azure", "Azure (2)", "total (3)", "total"]);
    }
}
