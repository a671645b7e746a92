//! An import of CSV from the header to the batches: which column is which field, which rows make a record, what may not be in a cell,
//! and what became of each batch.
//!
//! Each batch is a request of its own, in which Odoo takes all rows or none. A batch of which no answer came is looked up by the
//! external ids that it would have made; without any its outcome stays unknown, and the run ends there.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use backends::odoo::{Cells, Field, ImportColumns, LoadMessage, Loaded, Reader, Taken, is_external_id, whole_external_id};
use kernel::{Code, Fault, Plan, Refusal, refusal};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    batch,
    caps::records,
    contract::WriteCx,
    csv_text::{self, Row, Sheet, behind_apostrophe, excerpt, is_formula},
};

type Result<T, E = Fault> = std::result::Result<T, E>;

/// The most rows of one import.
pub const MOST_ROWS: usize = 1_000;
/// Rows that go to Odoo in one request, unless a record with its lines has more.
const BATCH: usize = 100;
/// Wrong columns, cells and rows that a refusal names.
const TOLD: usize = 10;
/// Messages of one batch that are passed on; Odoo itself stops soon after ten.
const MOST_MESSAGES: usize = 40;
/// Odoo works on a request for so long at most, unless its limit was raised.
const ODOO_S_LIMIT: Duration = Duration::from_secs(150);
/// Between two looks for what a lost request made.
const LOOK: Duration = Duration::from_secs(3);

/// An import as it was asked for.
pub struct Wanted<'a> {
    pub model: &'a str,
    pub content: &'a str,
    pub field_mapping: &'a Map<String, Value>,
    pub delimiter: Option<&'a str>,
    pub allow_formulas: bool,
}
/// An import that was checked, ready to be sent.
pub struct Import {
    columns: ImportColumns,
    /// Column's header and path, in the order of the columns.
    mapped: Vec<(String, String)>,
    ignored: Vec<String>,
    rows: Vec<Row>,
    records: Vec<Record>,
    batches: Vec<std::ops::Range<usize>>,
    delimiter: char,
}
struct Record {
    /// Of [`Import::rows`].
    rows: std::ops::Range<usize>,
    key: Key,
}
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    None,
    /// With its module.
    External(String),
    Database(i64),
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message)
}
fn some_of(all: &[String]) -> String {
    let more = all.len().saturating_sub(TOLD);
    let shown = all.iter().take(TOLD).cloned().collect::<Vec<_>>().join("; ");
    if more > 0 { format!("{shown}; and {more} more") } else { shown }
}

// ---- the header

/// Where a column goes: a path of fields, or nowhere.
struct Target {
    at: usize,
    header: String,
    path: String,
}
/// The columns as they are named or mapped; those that are mapped to nothing are left out.
fn targets(sheet: &Sheet, mapping: &Map<String, Value>) -> Result<(Vec<Target>, Vec<String>), Refusal> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (at, header) in sheet.header.iter().enumerate() {
        if header.is_empty() {
            if sheet.rows.iter().any(|row| row.cells.get(at).is_some_and(|c| !c.trim().is_empty())) {
                return Err(wrong(format!("content: column {} has cells but no name in the header.", at + 1))
                    .next("Name it after its field, or take the column out."));
            }
            continue;
        }
        if let Some(first) = seen.insert(header, at) {
            return Err(wrong(format!("content: the header names {header:?} twice, in columns {} and {}.", first + 1, at + 1))
                .next("Give each column a name of its own."));
        }
    }
    for (header, field) in mapping {
        if !seen.contains_key(header.trim()) {
            let near = nearest(header, sheet.header.iter().filter(|h| !h.is_empty()).map(String::as_str));
            return Err(wrong(format!("field_mapping: the header has no column {:?}.", excerpt(header))).next(
                if near.is_empty() {
                    format!("It has {}.", some_of(&sheet.header))
                } else {
                    format!("Did you mean {}?", near.join(", "))
                },
            ));
        }
        if !(field.is_string() || field.is_null() || field == &Value::Bool(false)) {
            return Err(wrong(format!("field_mapping: {:?} is not mapped to the name of a field.", excerpt(header)))
                .next("Write it like {\"Company\": \"parent_id\", \"Notes\": \"\"}; \"\" leaves a column out."));
        }
    }
    let (mut targets, mut ignored) = (Vec::new(), Vec::new());
    for (at, header) in sheet.header.iter().enumerate().filter(|(_, h)| !h.is_empty()) {
        let named = mapping.iter().find(|(key, _)| key.trim() == header).map(|(_, field)| field.as_str().unwrap_or("").trim());
        match named.unwrap_or(header) {
            "" => ignored.push(header.clone()),
            path => targets.push(Target { at, header: header.clone(), path: path.to_owned() }),
        }
    }
    if targets.is_empty() {
        return Err(wrong("content: no column is left to import.").next("Map at least one column to a field."));
    }
    Ok((targets, ignored))
}
/// At most three names that are close to what was written, nearest first.
fn nearest<'a>(written: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let written = written.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&written, &name.to_lowercase()), name))
        .filter(|(score, _)| *score > 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How a step of a path is found among a model's fields: by its name, else by its label.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    /// Several have that label.
    Several(Vec<String>),
    Unknown(Vec<String>),
}
fn step(fields: &BTreeMap<String, Field>, written: &str) -> Step {
    if fields.contains_key(written) {
        return Step::Field(written.to_owned());
    }
    let labelled = |field: &Field| field.string.to_lowercase() == written.to_lowercase();
    let found: Vec<&String> = fields.iter().filter(|(_, f)| labelled(f)).map(|(name, _)| name).collect();
    // What Odoo sets itself is seldom meant.
    let open: Vec<&String> = found.iter().copied().filter(|name| fields.get(*name).is_some_and(|f| !f.readonly)).collect();
    match (found.as_slice(), open.as_slice()) {
        (_, [one]) | ([one], _) => Step::Field((*one).clone()),
        ([], _) => {
            let mut near: Vec<String> =
                nearest(written, fields.keys().map(String::as_str)).into_iter().map(str::to_owned).collect();
            let labels: Vec<&str> = fields.values().map(|f| f.string.as_str()).collect();
            for label in nearest(written, labels.into_iter()) {
                let of = fields.iter().find(|(_, f)| f.string == label).map(|(name, _)| name.clone());
                near.extend(of.filter(|name| !near.contains(name)));
            }
            near.truncate(3);
            Step::Unknown(near)
        }
        (several, _) => Step::Several(several.iter().map(|name| (*name).clone()).collect()),
    }
}
/// A column's path in the names of fields; or what is wrong with it, in words.
async fn path_of(odoo: &Reader, model: &str, written: &str) -> Result<Result<String, String>> {
    let own_id = |part: &str| match part.to_lowercase().as_str() {
        "external id" => Some("id"),
        "database id" => Some(".id"),
        _ => None,
    };
    if written != "id" && written.eq_ignore_ascii_case("id") {
        return Ok(Err(format!("{written:?} may be the database id (.id) or the external id (id): name it one of these")));
    }
    let mut model = model.to_owned();
    let mut path: Vec<String> = Vec::new();
    let mut rest = Some(written);
    while let Some(now) = rest {
        let fields = odoo.fields(&model).await?;
        // A label may hold the sign that joins paths.
        let (part, behind) = match (step(&fields.0, now), now.split_once('/')) {
            (Step::Field(_), _) | (_, None) => (now.trim(), None),
            (_, Some((part, behind))) => (part.trim(), Some(behind)),
        };
        rest = behind;
        if let Some(id) = own_id(part).or_else(|| ["id", ".id"].into_iter().find(|id| *id == part)) {
            path.push(id.to_owned());
            if behind.is_some() {
                return Ok(Err(format!("{written:?} goes on behind an id")));
            }
            break;
        }
        match step(&fields.0, part) {
            Step::Field(name) => {
                let comodel = fields.get(&name).and_then(|f| f.relation.clone());
                path.push(name);
                match (comodel, rest) {
                    (_, None) => {}
                    (Some(comodel), Some(_)) => model = comodel,
                    (None, Some(_)) => return Ok(Err(format!("{written:?}: {part} is no relation"))),
                }
            }
            Step::Several(names) => {
                return Ok(Err(format!("{written:?} is the label of {}: name one of these", names.join(", "))));
            }
            Step::Unknown(near) => {
                // A credential is known, and refused by its name.
                if let Err(fault) = odoo.check_fields(&model, &[part.to_owned()]).await
                    && fault.code() == Code::FieldDenied
                {
                    return Err(fault);
                }
                let hint = if near.is_empty() { String::new() } else { format!(" (did you mean {}?)", near.join(", ")) };
                return Ok(Err(format!("{:?}{hint}", excerpt(written))));
            }
        }
    }
    Ok(Ok(path.join("/")))
}

// ---- the cells

/// Cells that a spreadsheet would run are refused, or taken as they are meant: without the apostrophe that an export puts before.
fn without_formulas(rows: &mut [Row], columns: &[Target], allow: bool) -> Result<(), Refusal> {
    let mut found = Vec::new();
    for row in rows {
        for column in columns {
            let Some(cell) = row.cells.get_mut(column.at) else { continue };
            let meant = behind_apostrophe(cell).map(str::to_owned);
            if meant.is_none() && !is_formula(cell) {
                continue;
            }
            if allow {
                if let Some(meant) = meant {
                    *cell = meant;
                }
            } else {
                found.push(format!("row {}, {}: {}", row.number, column.header, excerpt(cell)));
            }
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(wrong(format!("content: cells that a spreadsheet would run as formulas: {}.", some_of(&found))).next(
        "If they are meant as text, pass allow_formulas: true; an apostrophe that export_csv put before them is taken away then.",
    ))
}
/// The rows as they go to Odoo: the columns that are imported, in their order.
fn picked(rows: Vec<Row>, columns: &[Target]) -> Vec<Row> {
    rows.into_iter()
        .map(|row| Row {
            number: row.number,
            cells: columns.iter().map(|c| row.cells.get(c.at).cloned().unwrap_or_default()).collect(),
        })
        .filter(|row| row.cells.iter().any(|c| !c.trim().is_empty()))
        .collect()
}
/// The rows of each record: what has cells of lines alone goes on with the one above, as Odoo takes it.
fn spans(rows: &[Row], of_lines: &[bool]) -> Vec<std::ops::Range<usize>> {
    let goes_on = |row: &Row| {
        let filled = |lines: bool| row.cells.iter().zip(of_lines).any(|(cell, l)| *l == lines && !cell.is_empty());
        filled(true) && !filled(false)
    };
    let mut spans: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        match spans.last_mut() {
            Some(last) if goes_on(row) => last.end = at + 1,
            _ => spans.push(at..at + 1),
        }
    }
    spans
}
/// The records of each request: as many as fit into [`BATCH`] rows, at least one.
fn batches(spans: &[std::ops::Range<usize>]) -> Vec<std::ops::Range<usize>> {
    let mut batches: Vec<std::ops::Range<usize>> = Vec::new();
    let mut rows = 0;
    for (at, span) in spans.iter().enumerate() {
        match batches.last_mut() {
            Some(last) if rows + span.len() <= BATCH => {
                last.end = at + 1;
                rows += span.len();
            }
            _ => {
                batches.push(at..at + 1);
                rows = span.len();
            }
        }
    }
    batches
}
/// What each record is called by, each but once.
fn keys(rows: &[Row], spans: &[std::ops::Range<usize>], columns: &ImportColumns) -> Result<Vec<Key>, Refusal> {
    let find = |path: &str| columns.all().iter().position(|c| c.path == path);
    let (external, database) = (find("id"), find(".id"));
    if external.is_some() && database.is_some() {
        return Err(wrong("content: there is a column for external ids and one for database ids.")
            .next("Keep one of them: Odoo would not look at the other."));
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let mut keys = Vec::with_capacity(spans.len());
    for span in spans {
        let Some(row) = rows.get(span.start) else { continue };
        let cell = external.or(database).and_then(|at| row.cells.get(at)).map_or("", |c| c.trim());
        let key = match cell {
            "" => Key::None,
            cell if database.is_some() => match cell.parse::<i64>() {
                Ok(id) if (1..=i64::from(i32::MAX)).contains(&id) => Key::Database(id),
                _ => {
                    return Err(wrong(format!("content: row {}: {:?} is no database id.", row.number, excerpt(cell)))
                        .next("Database ids are whole numbers; name the column id for external ids."));
                }
            },
            cell if is_external_id(cell) => Key::External(whole_external_id(cell)),
            cell => {
                return Err(wrong(format!("content: row {}: {:?} is no external id.", row.number, excerpt(cell)))
                    .next("Write it like partner_17 or my_import.partner_17; name the column .id for database ids."));
            }
        };
        if key != Key::None
            && let Some(first) = seen.insert(cell.to_owned(), row.number)
        {
            return Err(wrong(format!("content: rows {first} and {} have the same id, {:?}.", row.number, excerpt(cell)))
                .next("Make one row of them."));
        }
        keys.push(key);
    }
    Ok(keys)
}

impl Import {
    /// Reads and checks everything that can be checked without sending it.
    pub async fn prepare(odoo: &Reader, wanted: &Wanted<'_>) -> Result<Self> {
        let delimiter = wanted.delimiter.map(csv_text::delimiter).transpose()?;
        let mut sheet = csv_text::parse(wanted.content, delimiter, MOST_ROWS)?;
        if sheet.rows.is_empty() {
            return Err(wrong("content: there are no rows below the header.").next("Send at least one.").into());
        }
        // Whether the model may be used at all comes before what is wrong with its columns.
        odoo.fields(wanted.model).await?;
        let (mut targets, ignored) = targets(&sheet, wanted.field_mapping)?;
        let mut unknown = Vec::new();
        for target in &mut targets {
            match path_of(odoo, wanted.model, &target.path).await? {
                Ok(path) => target.path = path,
                Err(what) if what.contains(&format!("{:?}", target.header)) => unknown.push(what),
                Err(what) => unknown.push(format!("column {:?}: {what}", target.header)),
            }
        }
        if !unknown.is_empty() {
            let separated = if sheet.header.len() == 1 {
                format!(" The cells were taken to be separated by {}.", csv_text::name_of(sheet.delimiter))
            } else {
                String::new()
            };
            return Err(wrong(format!("content: columns that are no fields of {}: {}.{separated}", wanted.model, some_of(&unknown)))
                .next("Name columns after fields (get_field_metadata lists them), map them with field_mapping, or map them to \"\" to leave them out.")
                .into());
        }
        for (i, target) in targets.iter().enumerate() {
            if let Some(other) = targets.iter().take(i).find(|t| t.path == target.path) {
                return Err(wrong(format!(
                    "content: the columns {:?} and {:?} are both {}.",
                    other.header, target.header, target.path
                ))
                .next("Map one of them to \"\" with field_mapping to leave it out.")
                .into());
            }
        }
        without_formulas(&mut sheet.rows, &targets, wanted.allow_formulas)?;
        let rows = picked(sheet.rows, &targets);
        let paths: Vec<String> = targets.iter().map(|t| t.path.clone()).collect();
        let keyed = |path: &str| paths.iter().position(|p| p == path);
        // Without a column of ids all rows make records; with database ids in all of them none does.
        let updates = keyed("id").is_some() || keyed(".id").is_some();
        let creates = keyed(".id").is_none_or(|at| rows.iter().any(|r| r.cells.get(at).is_none_or(|c| c.trim().is_empty())));
        let columns = odoo.import_columns(wanted.model, &paths, creates, updates).await?;
        if columns.all().iter().all(|c| c.cells != Cells::Values && c.comodel.is_none()) {
            return Err(wrong("content: there is no column but that of ids.")
                .next("Add the columns of the fields to write.")
                .into());
        }
        let of_lines: Vec<bool> = columns.all().iter().map(|c| c.of_lines).collect();
        let spans = spans(&rows, &of_lines);
        let keys = keys(&rows, &spans, &columns)?;
        let batches = batches(&spans);
        let records = spans.into_iter().zip(keys).map(|(rows, key)| Record { rows, key }).collect();
        let mapped = targets.into_iter().map(|t| (t.header, t.path)).collect();
        Ok(Self { columns, mapped, ignored, rows, records, batches, delimiter: sheet.delimiter })
    }

    fn model(&self) -> &str {
        self.columns.model()
    }
    /// The external ids that are taken, and by which records; refuses those of other models.
    pub async fn taken(&self, odoo: &Reader) -> Result<BTreeMap<String, Taken>> {
        let ids: Vec<String> =
            self.records.iter().filter_map(|r| if let Key::External(id) = &r.key { Some(id.clone()) } else { None }).collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let taken = odoo.taken_external_ids(self.model(), &ids).await?;
        if let Some((id, _)) = taken.iter().find(|(_, t)| t.model != self.model()) {
            let row = self.records.iter().find(|r| r.key == Key::External(id.clone())).map_or(0, |r| self.number(r.rows.start));
            return Err(refusal(
                Code::Conflict,
                format!("content: row {row}: the external id {id} belongs to a record of another model."),
            )
            .next("Use another external id.")
            .into());
        }
        Ok(taken)
    }
    /// The row's number in the content.
    fn number(&self, row: usize) -> usize {
        self.rows.get(row).map_or(0, |r| r.number)
    }
    fn of_batch(&self, batch: usize) -> &[Record] {
        self.batches.get(batch).and_then(|range| self.records.get(range.clone())).unwrap_or_default()
    }
    fn rows_of(&self, batch: usize) -> std::ops::Range<usize> {
        let records = self.of_batch(batch);
        records.first().map_or(0, |r| r.rows.start)..records.last().map_or(0, |r| r.rows.end)
    }

    /// What the import would do, by reads alone.
    pub async fn plan(&self, odoo: &Reader) -> Result<Plan> {
        let taken = self.taken(odoo).await?;
        let named: Vec<i64> =
            self.records.iter().filter_map(|r| if let Key::Database(id) = r.key { Some(id) } else { None }).collect();
        let there: BTreeSet<i64> = odoo.visible(self.model(), &named).await?.into_iter().collect();
        let mut warnings = Vec::new();
        let missing: Vec<String> = self
            .records
            .iter()
            .filter_map(|r| match r.key {
                Key::Database(id) if !there.contains(&id) => Some(format!("row {}: {id}", self.number(r.rows.start))),
                _ => None,
            })
            .collect();
        if !missing.is_empty() {
            warnings.push(format!("Database ids that do not exist; their batches would fail: {}.", some_of(&missing)));
        }
        let updates = |record: &Record| match &record.key {
            Key::None => false,
            Key::External(id) => taken.contains_key(id),
            Key::Database(_) => true,
        };
        let changed = self.records.iter().filter(|r| updates(r)).count();
        let made = self.records.len() - changed;
        if changed > 0 && self.rows.iter().any(|r| r.cells.iter().any(String::is_empty)) {
            warnings.push("Empty cells empty their fields in records that exist.".to_owned());
        }
        let modules: BTreeSet<&str> = self
            .records
            .iter()
            .filter_map(|r| match &r.key {
                Key::External(id) if !taken.contains_key(id) => id.split_once('.').map(|(module, _)| module),
                _ => None,
            })
            .filter(|module| !module.starts_with("__"))
            .collect();
        if !modules.is_empty() {
            let modules = modules.into_iter().take(TOLD).collect::<Vec<_>>().join(", ");
            warnings.push(format!("New external ids belong to {modules}: if that is a module, its next upgrade deletes the records. Ids without a module are safe."));
        }
        if !self.ignored.is_empty() {
            warnings.push(format!("Columns that are left out: {}.", some_of(&self.ignored)));
        }
        let columns: Vec<String> = self
            .mapped
            .iter()
            .map(|(header, path)| if header == path { path.clone() } else { format!("{header} → {path}") })
            .collect();
        let lines = if self.rows.len() == self.records.len() { String::new() } else { format!(" from {} rows", self.rows.len()) };
        Ok(Plan {
            summary: format!(
                "Would import {}{lines} into {}: {made} new, {changed} changed, in {}. Columns (separated by {}): {}",
                records(self.records.len()),
                self.model(),
                if self.batches.len() == 1 { "1 batch".to_owned() } else { format!("{} batches", self.batches.len()) },
                csv_text::name_of(self.delimiter),
                columns.join(", ")
            ),
            affected: self.records.len() as u64,
            examples: self.records.iter().take(TOLD).map(|r| self.example(r, &taken)).collect(),
            warnings,
            ids: there.into_iter().chain(taken.values().filter_map(|t| t.id)).collect(),
        })
    }
    fn example(&self, record: &Record, taken: &BTreeMap<String, Taken>) -> String {
        let what = match &record.key {
            Key::None => "new".to_owned(),
            Key::Database(id) => format!("changes {id}"),
            Key::External(id) => match taken.get(id) {
                None => format!("new, as {id}"),
                Some(Taken { id: Some(db), .. }) => format!("changes {db} ({id})"),
                Some(Taken { id: None, .. }) => format!("changes {id}"),
            },
        };
        let cells = self.rows.get(record.rows.start).map(|r| r.cells.as_slice()).unwrap_or_default();
        let values: Vec<String> = self
            .mapped
            .iter()
            .zip(cells)
            .filter(|((_, path), cell)| !cell.is_empty() && path != "id" && path != ".id")
            .take(6)
            .map(|((_, path), cell)| format!("{path}={}", excerpt(cell)))
            .collect();
        format!("row {}: {what}: {}", self.number(record.rows.start), values.join("; "))
    }

    /// Sends the batches that are not in `told` yet, one after the other.
    pub async fn run(&self, cx: &WriteCx, taken: BTreeMap<String, Taken>, told: Vec<Outcome>) -> Result<Imported> {
        let odoo = cx.odoo()?;
        let mut journal = Journal { told, taken, in_flight: None };
        let mut notes = Vec::new();
        let mut stopped = false;
        for batch in journal.told.len()..self.batches.len() {
            if cx.cancel.is_cancelled() {
                if batch == 0 {
                    return Err(refusal(Code::Cancelled, "The import was cancelled before its first batch.").into());
                }
                notes.push("The import was cancelled: the batches that were not started are not imported.".to_owned());
                stopped = true;
            }
            if stopped {
                journal.told.push(self.outcome(batch, State::NotStarted));
                continue;
            }
            journal.in_flight = Some(batch);
            cx.checkpoint(&journal.as_json()).await?;
            let rows: Vec<Vec<String>> =
                self.rows.get(self.rows_of(batch)).unwrap_or_default().iter().map(|r| r.cells.clone()).collect();
            let outcome = match odoo.load(&self.columns, &rows).await {
                Ok(loaded) => self.loaded(batch, loaded, &journal.taken),
                Err(Fault::Unknown { message, .. }) => self.settled(cx, batch, &journal.taken, &message).await,
                Err(fault) if batch::repeats(&fault) => {
                    if batch == 0 {
                        return Err(fault);
                    }
                    notes.push("Stopped, because the other batches would fail in the same way.".to_owned());
                    stopped = true;
                    self.refused(batch, &fault)
                }
                Err(fault) => self.refused(batch, &fault),
            };
            if outcome.state == State::Unknown {
                notes.push("Stopped, because a batch may or may not be imported: look before you send it again.".to_owned());
                stopped = true;
            }
            journal.told.push(outcome);
            cx.progress(self.rows_of(batch).end as u64, self.rows.len() as u64);
        }
        Ok(self.answer(journal.told, notes))
    }
    /// Another process of ocore ended while the import ran.
    pub async fn resume(&self, cx: &WriteCx, journal: Value) -> Result<Imported> {
        // Before the first batch nothing is left in the journal.
        if journal.is_null() {
            return self.run(cx, self.taken(cx.odoo()?).await?, Vec::new()).await;
        }
        let mut journal: Journal = serde_json::from_value(journal).map_err(|_| Fault::failed("the journal of an import"))?;
        if let Some(batch) = journal.in_flight.take().filter(|b| *b == journal.told.len()) {
            let outcome = self.settled(cx, batch, &journal.taken, "ocore was stopped while Odoo took this batch in.").await;
            let known = outcome.state == State::Done;
            journal.told.push(outcome);
            if !known {
                let rest =
                    (journal.told.len()..self.batches.len()).map(|b| self.outcome(b, State::NotStarted)).collect::<Vec<_>>();
                journal.told.extend(rest);
                let note = "Stopped, because a batch may or may not be imported: look before you send it again.".to_owned();
                return Ok(self.answer(journal.told, vec![note]));
            }
        }
        self.run(cx, journal.taken, journal.told).await
    }

    // ---- what became of a batch

    fn outcome(&self, batch: usize, state: State) -> Outcome {
        let rows = self.rows_of(batch);
        Outcome {
            batch: batch + 1,
            first_row: self.number(rows.start),
            last_row: self.number(rows.end.saturating_sub(1)),
            state,
            created: Vec::new(),
            updated: Vec::new(),
            messages: Vec::new(),
            next: String::new(),
        }
    }
    fn refused(&self, batch: usize, fault: &Fault) -> Outcome {
        let why = fault.public();
        let message = Message { error: true, message: why.message.into_owned(), ..Message::default() };
        Outcome { messages: vec![message], next: why.next.into_owned(), ..self.outcome(batch, State::Failed) }
    }
    fn loaded(&self, batch: usize, loaded: Loaded, taken: &BTreeMap<String, Taken>) -> Outcome {
        let state = if loaded.ids.is_some() { State::Done } else { State::Failed };
        let mut outcome = self.outcome(batch, state);
        let records = self.of_batch(batch);
        if let Some(ids) = loaded.ids {
            for (at, id) in ids.into_iter().enumerate() {
                let changed = match records.get(at).map(|r| &r.key) {
                    Some(Key::Database(named)) => *named == id,
                    Some(Key::External(named)) => taken.get(named).is_some_and(|t| t.id.is_none_or(|was| was == id)),
                    _ => false,
                };
                if changed { outcome.updated.push(id) } else { outcome.created.push(id) }
            }
        } else if !loaded.messages.iter().any(|m| m.error) {
            outcome.messages.push(Message {
                error: true,
                message: "Odoo took nothing in, and gave no reason.".to_owned(),
                ..Message::default()
            });
        }
        let start = self.rows_of(batch).start;
        let more = loaded.messages.len().saturating_sub(MOST_MESSAGES);
        outcome.messages.extend(loaded.messages.into_iter().take(MOST_MESSAGES).map(|m| self.message(start, m)));
        if more > 0 {
            outcome.messages.push(Message { message: format!("and {more} more messages."), ..Message::default() });
        }
        outcome
    }
    fn message(&self, start: usize, told: LoadMessage) -> Message {
        let LoadMessage { error, rows, field, mut message } = told;
        let column = field.and_then(|field| {
            let of = |(_, path): &&(String, String)| path == &field || path.split('/').next() == Some(field.as_str());
            self.mapped.iter().find(of).map(|(header, _)| header.clone()).or(Some(field))
        });
        if column.as_deref().is_some_and(|c| self.mapped.iter().any(|(header, path)| header == c && path == ".id")) {
            message.push_str(" (It does not exist, is hidden from this credential, or is archived: with context {\"active_test\": false} archived records are found.)");
        }
        let row = rows.map(|(from, _)| self.number(start + from));
        let last_row = rows.filter(|(from, to)| to > from).map(|(_, to)| self.number(start + to));
        Message { error, row, last_row, column, message }
    }
    /// A batch of which no answer came: external ids that it would make tell whether it was taken in, for all of it was or nothing.
    async fn settled(&self, cx: &WriteCx, batch: usize, taken: &BTreeMap<String, Taken>, why: &str) -> Outcome {
        let new: Vec<String> = self
            .of_batch(batch)
            .iter()
            .filter_map(|r| match &r.key {
                Key::External(id) if !taken.contains_key(id) => Some(id.clone()),
                _ => None,
            })
            .collect();
        let unknown = |what: &str| Outcome {
            messages: vec![Message { error: true, message: format!("{why} {what}"), ..Message::default() }],
            next: format!(
                "Search {} for records of these rows (order \"id desc\", write_date) before you import them again.",
                self.model()
            ),
            ..self.outcome(batch, State::Unknown)
        };
        let Some(sample) = new.first().cloned() else {
            return unknown("Without new external ids in its rows nothing tells whether they were imported.");
        };
        let until = tokio::time::Instant::now() + ODOO_S_LIMIT;
        loop {
            let found = match cx.odoo() {
                Ok(odoo) => odoo.taken_external_ids(self.model(), std::slice::from_ref(&sample)).await,
                Err(fault) => Err(fault),
            };
            if let (Ok(found), Ok(odoo)) = (&found, cx.odoo())
                && !found.is_empty()
            {
                let made = odoo.taken_external_ids(self.model(), &new).await.unwrap_or_default();
                let mut outcome = self.outcome(batch, State::Done);
                outcome.created = new.iter().filter_map(|id| made.get(id)?.id).collect();
                outcome.updated = self
                    .of_batch(batch)
                    .iter()
                    .filter_map(|r| match &r.key {
                        Key::Database(id) => Some(*id),
                        Key::External(id) => taken.get(id)?.id,
                        Key::None => None,
                    })
                    .collect();
                outcome.messages.push(Message {
                    message: format!(
                        "{why} Its external ids are there: it was imported. Records without one are not in these lists."
                    ),
                    ..Message::default()
                });
                return outcome;
            }
            if tokio::time::Instant::now() >= until || cx.cancel.is_cancelled() {
                return unknown("Its new external ids are not there so far.");
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    fn answer(&self, batches: Vec<Outcome>, mut notes: Vec<String>) -> Imported {
        let rows = |state: State| {
            let of = |(at, outcome): (usize, &Outcome)| if outcome.state == state { self.rows_of(at).len() } else { 0 };
            batches.iter().enumerate().map(of).sum()
        };
        let summary = Summary {
            rows: self.rows.len(),
            created: batches.iter().map(|b| b.created.len()).sum(),
            updated: batches.iter().map(|b| b.updated.len()).sum(),
            failed: rows(State::Failed),
            unknown: rows(State::Unknown),
            not_started: rows(State::NotStarted),
        };
        if summary.failed > 0 && summary.failed < summary.rows {
            notes.push("Nothing of a failed batch was imported, and what was imported stays: mend and send the rows of failed batches alone.".to_owned());
        }
        if !self.ignored.is_empty() {
            notes.push(format!("Columns that were left out: {}.", some_of(&self.ignored)));
        }
        let columns = self.mapped.iter().map(|(header, path)| (header.clone(), path.clone())).collect();
        Imported { model: self.model().to_owned(), summary, columns, batches, notes }
    }
}

/// What is left for another process.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    told: Vec<Outcome>,
    #[serde(with = "ids")]
    taken: BTreeMap<String, Taken>,
    in_flight: Option<usize>,
}
impl Journal {
    fn as_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_else(|_| json!(null))
    }
}
/// Of external ids that are taken the journal needs their records alone: all are of the model.
mod ids {
    use std::collections::BTreeMap;

    use backends::odoo::Taken;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(taken: &BTreeMap<String, Taken>, s: S) -> Result<S::Ok, S::Error> {
        taken.iter().map(|(id, t)| (id, t.id)).collect::<BTreeMap<_, _>>().serialize(s)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<BTreeMap<String, Taken>, D::Error> {
        let ids = BTreeMap::<String, Option<i64>>::deserialize(d)?;
        Ok(ids.into_iter().map(|(key, id)| (key, Taken { model: String::new(), id })).collect())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Done,
    Failed,
    /// May or may not be imported.
    Unknown,
    NotStarted,
}
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "the name is what clients read")]
pub struct Message {
    /// Or a warning.
    pub error: bool,
    /// As a spreadsheet numbers the rows: the header is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<usize>,
    /// Of a record with lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_row: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub message: String,
}
/// What became of one batch.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// From 1.
    pub batch: usize,
    pub first_row: usize,
    pub last_row: usize,
    pub state: State,
    /// Ids.
    pub created: Vec<i64>,
    pub updated: Vec<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// In the content, as all but the first two of these.
    pub rows: usize,
    /// Records.
    pub created: usize,
    pub updated: usize,
    pub failed: usize,
    pub unknown: usize,
    pub not_started: usize,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Imported {
    pub model: String,
    pub summary: Summary,
    /// Header and field.
    pub columns: BTreeMap<String, String>,
    pub batches: Vec<Outcome>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl crate::contract::Answer for Imported {
    const LIST: Option<&'static str> = Some("batches");
    fn affected(&self) -> Option<u64> {
        Some((self.summary.created + self.summary.updated) as u64)
    }
    fn unknown(&self) -> bool {
        self.summary.unknown > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(content: &str) -> Sheet {
        csv_text::parse(content, None, MOST_ROWS).unwrap()
    }
    fn mapping(value: &Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap()
    }
    fn fields(list: &[(&str, &str, bool)]) -> BTreeMap<String, Field> {
        let field = |label: &str, readonly| Field { string: label.to_owned(), readonly, ..Field::default() };
        list.iter().map(|(name, label, readonly)| ((*name).to_owned(), field(label, *readonly))).collect()
    }

    #[test]
    fn headers_are_mapped_or_taken_as_they_are() {
        let s = sheet("Name,Firm,Notes,\nA,B,C,\n");
        let (found, ignored) = targets(&s, &mapping(&json!({"Firm": "parent_id", "Notes": ""}))).unwrap();
        let paths: Vec<(usize, &str)> = found.iter().map(|t| (t.at, t.path.as_str())).collect();
        assert_eq!((paths, ignored), (vec![(0, "Name"), (1, "parent_id")], vec!["Notes".to_owned()]));
        for (content, map, says) in [
            ("a,b,a\n1,2,3", json!({}), "twice, in columns 1 and 3"),
            ("a,\n1,2", json!({}), "column 2 has cells but no name"),
            ("email\n1", json!({"e-mail": "x"}), "no column \"e-mail\""),
            ("a\n1", json!({"a": 3}), "not mapped to the name"),
            ("a\n1", json!({"a": null}), "no column is left"),
        ] {
            let why = targets(&sheet(content), &mapping(&map)).err().unwrap();
            assert!(why.message.contains(says) && !why.next.is_empty(), "{content}: {why}");
        }
    }

    #[test]
    fn columns_are_found_by_name_then_by_label() {
        let fields = fields(&[
            ("name", "Name", false),
            ("display_name", "Display Name", true),
            ("phone", "Phone", false),
            ("mobile", "Phone", true),
            ("a", "Same", false),
            ("b", "Same", false),
        ]);
        assert_eq!(step(&fields, "name"), Step::Field("name".into()));
        assert_eq!(step(&fields, "NAME"), Step::Field("name".into()));
        assert_eq!(step(&fields, "Phone"), Step::Field("phone".into()), "the one that may be written");
        assert_eq!(step(&fields, "Display name"), Step::Field("display_name".into()));
        assert_eq!(step(&fields, "same"), Step::Several(vec!["a".into(), "b".into()]));
        assert_eq!(step(&fields, "nmae"), Step::Unknown(vec!["name".into()]));
    }

    #[test]
    fn formulas_are_refused_or_taken_back_from_their_apostrophe() {
        let of = |content: &str, allow: bool| {
            let mut s = sheet(content);
            let (t, _) = targets(&s, &Map::new()).unwrap();
            without_formulas(&mut s.rows, &t, allow).map(|()| s.rows[0].cells.clone())
        };
        for cell in ["=1+1", "@x", "'=1+1", "-x", "+x", "\tx"] {
            let why = of(&format!("a\n{cell}"), false).unwrap_err();
            assert!(why.message.contains("row 2, a"), "{why}");
        }
        assert_eq!(of("a\n'=1+1", true).unwrap(), ["=1+1"]);
        assert_eq!(of("a\n=1+1", true).unwrap(), ["=1+1"]);
        for cell in ["+32 2 123", "-5.0", "'tis"] {
            assert_eq!(of(&format!("a\n{cell}"), false).unwrap(), [cell]);
        }
    }

    #[test]
    fn lines_belong_to_the_record_above_and_stay_in_its_batch() {
        let rows: Vec<Row> = sheet("name,l\nA,1\n,2\n,3\nB,\nC,1\n").rows;
        assert_eq!(spans(&rows, &[false, true]), [0..3, 3..4, 4..5]);
        assert_eq!(spans(&rows, &[false, false]).len(), 5);
        assert_eq!(batches(&[0..60, 60..100, 100..160, 160..161]), [0..2, 2..4]);
        assert_eq!(batches(&[0..250, 250..251]), [0..1, 1..2], "a record is never split");
        let single: Vec<_> = (0..1_000).map(|i| i..i + 1).collect();
        assert_eq!(batches(&single).len(), 10);
    }

    #[test]
    fn what_is_left_for_another_process_is_read_again() {
        let outcome = Outcome {
            batch: 1,
            first_row: 2,
            last_row: 3,
            state: State::Done,
            created: vec![7],
            updated: vec![],
            messages: vec![Message { message: "m".into(), ..Message::default() }],
            next: String::new(),
        };
        let taken = BTreeMap::from([("__import__.a".to_owned(), Taken { model: "m".into(), id: Some(3) })]);
        let journal = Journal { told: vec![outcome], taken, in_flight: Some(1) }.as_json();
        let read: Journal = serde_json::from_value(journal).unwrap();
        assert_eq!((read.told[0].created.as_slice(), read.in_flight), ([7].as_slice(), Some(1)));
        assert_eq!(read.taken["__import__.a"].id, Some(3));
    }
}
