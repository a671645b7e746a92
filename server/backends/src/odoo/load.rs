//! Rows of texts, taken in by Odoo's own import (`load`): all rows of one request or none. What each column writes to is checked
//! as if it were written by hand; how a column finds related records (by name, external id or database id) decides whose
//! records it may look for.
use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use futures_util::future::BoxFuture;
use kernel::{Code, Refusal, Selection, name, refusal};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    Reader, Result, Writer,
    dialect::{self, Arg, Context, Request},
    error::{Failure, Kind, scrub},
    users::text,
};
use crate::scope::Right;

/// One request may take so long, whatever time the call has: Odoo's own limit is two minutes unless it was raised.
const ONE_LOAD: Duration = Duration::from_mins(5);
/// Relations within each other.
const DEEPEST: usize = 4;
/// External ids asked for in one request.
const IDS_AT_ONCE: usize = 500;
/// Where `load` puts external ids that name no module.
const NO_MODULE: &str = "__import__";

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cells {
    Values,
    /// Names of related records, as they are shown.
    Names,
    /// `module.name`; of related records where the column is one of a relation.
    ExternalIds,
    DatabaseIds,
}
/// A column that may be imported.
#[derive(Debug, Clone)]
pub struct ImportColumn {
    /// As `load` takes it: `name`, `country_id/id`, `.id`, `order_line/product_id`.
    pub path: String,
    pub cells: Cells,
    /// Whose names or ids they are.
    pub comodel: Option<String>,
    /// Within a one2many: a row with such cells alone goes on with the record above.
    pub of_lines: bool,
}
/// The columns of an import, each checked.
#[derive(Debug, Clone)]
pub struct ImportColumns {
    model: String,
    columns: Vec<ImportColumn>,
}
impl ImportColumns {
    pub fn model(&self) -> &str {
        &self.model
    }
    pub fn all(&self) -> &[ImportColumn] {
        &self.columns
    }
}

/// An external id that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub model: String,
    /// None where the credential may not know.
    pub id: Option<i64>,
}

/// What Odoo made of some rows.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// One per record, in order; none when nothing was taken in.
    pub ids: Option<Vec<i64>>,
    pub messages: Vec<LoadMessage>,
}
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadMessage {
    /// Or a warning.
    pub error: bool,
    /// The rows of the request that it is about, from 0.
    pub rows: Option<(usize, usize)>,
    /// The field's name.
    pub field: Option<String>,
    pub message: String,
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message)
}
/// An external id with its module.
pub fn whole_external_id(id: &str) -> String {
    if id.contains('.') { id.to_owned() } else { format!("{NO_MODULE}.{id}") }
}
/// Whether a text can be an external id: `name` or `module.name`.
pub fn is_external_id(text: &str) -> bool {
    text.len() <= 200
        && text.split('.').count() <= 2
        && text.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-')))
}

impl Reader {
    /// Checks where columns lead. `creates` and `updates` tell what the rows may do to the model.
    pub async fn import_columns(&self, model: &str, paths: &[String], creates: bool, updates: bool) -> Result<ImportColumns> {
        for (asked, right) in [(creates, Right::Create), (updates, Right::Write)] {
            if asked {
                self.scope().permitted(model, right)?;
            }
        }
        self.scope().unguarded(model, "load")?;
        let right = if creates { Right::Create } else { Right::Write };
        let mut columns = Vec::with_capacity(paths.len());
        for path in paths {
            let steps: Vec<&str> = path.split('/').collect();
            let (cells, comodel, of_lines) = self.import_column(model, path, &steps, right, 0).await?;
            columns.push(ImportColumn { path: path.clone(), cells, comodel, of_lines });
        }
        Ok(ImportColumns { model: model.to_owned(), columns })
    }
    fn import_column<'a>(
        &'a self,
        model: &'a str,
        path: &'a str,
        steps: &'a [&'a str],
        right: Right,
        depth: usize,
    ) -> BoxFuture<'a, Result<(Cells, Option<String>, bool)>> {
        Box::pin(async move {
            let Some((first, rest)) = steps.split_first() else { return Err(wrong("A column without a field.").into()) };
            match (*first, rest) {
                ("id", []) => return Ok((Cells::ExternalIds, None, false)),
                (".id", []) => return Ok((Cells::DatabaseIds, None, false)),
                _ => {}
            }
            if depth > DEEPEST {
                return Err(wrong(format!("{path}: more than {DEEPEST} relations within each other.")).into());
            }
            name::identifier("column", first)?;
            let schema = self.schema(model).await?;
            let field = schema.field(model, first)?;
            // With nothing to write: whether the field may be written at all.
            let nothing = Map::from_iter([((*first).to_owned(), Value::Null)]);
            self.check_values_to(right, model, &nothing, depth).await?;
            if field.readonly && !self.writable_in_some_state(model, first).await? {
                return Err(wrong(format!("{path}: {model}.{first} is read-only; Odoo sets it itself."))
                    .next("Leave the column out.")
                    .into());
            }
            let kind = field.r#type.as_str();
            match (kind, &field.relation, rest) {
                ("many2one" | "many2many", Some(comodel), rest) => {
                    let cells = match rest {
                        [] => Cells::Names,
                        ["id"] => Cells::ExternalIds,
                        [".id"] => Cells::DatabaseIds,
                        _ => {
                            return Err(wrong(format!("{path}: fields of the related {comodel} are not imported from here."))
                                .next(format!(
                                    "Name the related record: {first} by its name, {first}/id by its external id, {first}/.id by its database id."
                                ))
                                .into());
                        }
                    };
                    self.may_look_for(path, first, comodel, cells).await?;
                    Ok((cells, Some(comodel.clone()), false))
                }
                ("one2many", Some(comodel), []) => Err(wrong(format!("{path}: a one2many is imported by columns of its lines."))
                    .next(format!("Name them like {first}/name; a row with such cells alone adds a line to the record above. The lines are records of {comodel}."))
                    .into()),
                ("one2many", Some(comodel), rest) => {
                    // Lines are made, and changed where they are named.
                    self.scope().permitted(comodel, Right::Create)?;
                    self.scope().permitted(comodel, Right::Write)?;
                    let (cells, comodel, _) = self.import_column(comodel, path, rest, Right::Create, depth + 1).await?;
                    Ok((cells, comodel, true))
                }
                ("reference" | "many2one_reference", _, []) if self.scope().restricted => Err(refusal(
                    Code::FieldDenied,
                    format!("{path}: {model}.{first} may lead to records of any model; a restricted key does not import it."),
                )
                .next("Leave the column out.")
                .into()),
                (
                    "char" | "text" | "html" | "integer" | "float" | "monetary" | "boolean" | "date" | "datetime" | "selection"
                    | "binary" | "reference" | "many2one_reference",
                    _,
                    [],
                ) => Ok((Cells::Values, None, false)),
                (_, _, []) => Err(wrong(format!("{path}: a field of type {kind} is not imported."))
                    .next("Leave the column out, and write the field with the tool write.")
                    .into()),
                (_, _, [next, ..]) => Err(wrong(format!("{path}: {model}.{first} is no relation, so {next} cannot be asked of it."))
                    .next("get_model_relations shows where a model leads.")
                    .into()),
            }
        })
    }
    /// Up to 16 many fields are read-only but for the first states of a document.
    async fn writable_in_some_state(&self, model: &str, field: &str) -> Result<bool> {
        if !dialect::has_field_states(self.version().await?) {
            return Ok(false);
        }
        let names = Value::from(vec![field]);
        let args = [Arg::Value(&names), Arg::Words(&["states"])];
        let context = Context::default();
        let request =
            Request { model, method: "fields_get", ids: None, args: &args, kwargs: &[], context: &context, write: false };
        let told: Value = self.send_or_tell(&request).await?;
        let states = told.get(field).and_then(|f| f.get("states")).and_then(Value::as_object);
        let lifts = |change: &Value| change.get(0).is_some_and(|a| a == "readonly") && change.get(1) == Some(&Value::Bool(false));
        Ok(states.is_some_and(|s| s.values().filter_map(Value::as_array).flatten().any(lifts)))
    }
    /// Whether a column may find records of the related model as it does.
    async fn may_look_for(&self, path: &str, field: &str, comodel: &str, cells: Cells) -> Result<()> {
        if comodel == "res.company" && !matches!(self.scope().companies, Selection::All) && cells != Cells::DatabaseIds {
            return Err(refusal(
                Code::FieldDenied,
                format!("{path}: this key is limited to companies, which it names by their ids."),
            )
            .next(format!("Name the column {field}/.id and give the company's database id."))
            .into());
        }
        match cells {
            Cells::Names => {
                self.scope().readable(comodel)?;
                if !self.goes_by_names(comodel).await {
                    return Err(refusal(
                        Code::FieldDenied,
                        format!("{path}: this looks for records of {comodel} by their names, which this key may not use."),
                    )
                    .next(format!("Name the column {field}/.id and give database ids."))
                    .into());
                }
                Ok(())
            }
            Cells::ExternalIds => Ok(self.scope().readable(comodel)?),
            Cells::DatabaseIds | Cells::Values => Ok(()),
        }
    }

    /// Which of these external ids are taken, by the id with its module. Odoo tells it of all at once to those who may read
    /// `ir.model.data`, of one at a time to others.
    pub async fn taken_external_ids(&self, model: &str, ids: &[String]) -> Result<BTreeMap<String, Taken>> {
        #[derive(Deserialize)]
        struct Row {
            module: String,
            name: String,
            model: String,
            res_id: Value,
        }
        self.scope().readable(model)?;
        let mut taken = BTreeMap::new();
        let mut singly = false;
        for chunk in ids.chunks(IDS_AT_ONCE) {
            let mut by_module: HashMap<&str, Vec<&str>> = HashMap::new();
            for id in chunk {
                let (module, name) = id.split_once('.').unwrap_or((NO_MODULE, id));
                by_module.entry(module).or_default().push(name);
            }
            if !singly {
                let mut domain: Vec<Value> = vec!["|".into(); by_module.len().saturating_sub(1)];
                for (module, names) in &by_module {
                    domain.extend(["&".into(), json!(["module", "=", module]), json!(["name", "in", names])]);
                }
                let fields = ["module", "name", "model", "res_id"];
                let found = self.find::<Row>("ir.model.data", &Value::Array(domain), &fields, "id", chunk.len() as u64 * 2).await;
                match found {
                    Ok(rows) => {
                        taken.extend(rows.into_iter().map(|row| {
                            let id = row.res_id.as_i64();
                            (format!("{}.{}", row.module, row.name), Taken { model: row.model, id })
                        }));
                        continue;
                    }
                    Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => singly = true,
                    Err(failure) => return Err(self.tell(failure, "ir.model.data", "search_read").await),
                }
            }
            for (module, names) in by_module {
                for name in names {
                    if let Some(found) = self.external_id(model, module, name).await? {
                        taken.insert(format!("{module}.{name}"), found);
                    }
                }
            }
        }
        Ok(taken)
    }
    async fn external_id(&self, model: &str, module: &str, name: &str) -> Result<Option<Taken>> {
        let args = [Arg::Text(module), Arg::Text(name)];
        let context = Context::default();
        let request = Request {
            model: "ir.model.data",
            method: "check_object_reference",
            ids: None,
            args: &args,
            kwargs: &[],
            context: &context,
            write: false,
        };
        match self.send::<(Value, Value)>(&request).await {
            Ok((model, id)) => Ok(Some(Taken { model: text(&model), id: id.as_i64() })),
            // There is none of that name.
            Err(Failure::Odoo(error)) if error.kind == Kind::Value => Ok(None),
            // There is, and its record is hidden from the credential.
            Err(Failure::Odoo(error)) if matches!(error.kind, Kind::Access | Kind::AccessDenied) => {
                Ok(Some(Taken { model: model.to_owned(), id: None }))
            }
            Err(failure) => Err(self.tell(failure, "ir.model.data", "check_object_reference").await),
        }
    }
}

impl Writer {
    /// Takes rows in, all or none. The cells are in the order of the columns; empty ones empty the field.
    pub async fn load(&self, columns: &ImportColumns, rows: &[Vec<String>]) -> Result<Loaded> {
        #[derive(Deserialize)]
        struct Answer {
            ids: Value,
            #[serde(default)]
            messages: Vec<Map<String, Value>>,
        }
        let model = columns.model();
        if self.scope().permitted(model, Right::Create).is_err() {
            self.scope().writable(model)?;
        }
        for row in rows {
            self.check_companies(columns, row)?;
        }
        let fields: Vec<&str> = columns.all().iter().map(|c| c.path.as_str()).collect();
        let data = serde_json::to_value(rows).map_err(|_| kernel::Fault::failed("serializing rows"))?;
        let args = [Arg::Words(&fields), Arg::Value(&data)];
        let request = Request { model, method: "load", ids: None, args: &args, kwargs: &[], context: self.sent(), write: true };
        let until = self.deadline().min(Instant::now() + ONE_LOAD);
        let answer: Answer = match self.send_until(&request, until).await {
            Ok(answer) => answer,
            Err(failure) => return Err(self.tell(failure, model, "load").await),
        };
        let ids = answer.ids.as_array().map(|ids| ids.iter().filter_map(Value::as_i64).collect());
        Ok(Loaded { ids, messages: answer.messages.iter().map(message).collect() })
    }
    fn check_companies(&self, columns: &ImportColumns, row: &[String]) -> Result<(), Refusal> {
        for (column, cell) in columns.all().iter().zip(row) {
            if column.comodel.as_deref() != Some("res.company") || column.cells != Cells::DatabaseIds {
                continue;
            }
            for id in cell.split(',').map(str::trim).filter(|c| !c.is_empty()) {
                let id: i64 = id.parse().map_err(|_| wrong(format!("{}: {id:?} is no database id.", column.path)))?;
                self.scope().company_value(&Value::from(id))?;
            }
        }
        Ok(())
    }
}

fn message(told: &Map<String, Value>) -> LoadMessage {
    let row = |key: &str| told.get("rows")?.get(key)?.as_u64().and_then(|n| usize::try_from(n).ok());
    LoadMessage {
        error: told.get("type").is_none_or(|t| t != "warning"),
        rows: row("from").zip(row("to")),
        field: told.get("field").and_then(Value::as_str).filter(|f| !f.is_empty()).map(str::to_owned),
        message: scrub(said(told.get("message").and_then(Value::as_str).unwrap_or_default())),
    }
}
/// Odoo's words without what Python adds: 14 to 19 show errors of an unexpected kind with their class, 14 others as a tuple or
/// with the quotes of a literal.
fn said(message: &str) -> &str {
    let message = match message.split_once("<class '") {
        Some((_, rest)) => rest.split_once("'>: ").map_or(message, |(_, said)| said),
        None => message,
    };
    for quote in ['\'', '"'] {
        if let Some(tuple) = message.strip_prefix('(').and_then(|m| m.strip_prefix(quote)) {
            return tuple.split_once([quote]).map_or(tuple, |(first, _)| first);
        }
        if let Some(inner) = message.strip_prefix(quote).and_then(|m| m.strip_suffix(quote))
            && !inner.contains(quote)
        {
            return inner;
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn external_ids_have_a_module() {
        assert_eq!(whole_external_id("a_b"), "__import__.a_b");
        assert_eq!(whole_external_id("base.main_partner"), "base.main_partner");
        for good in ["a", "base.main_partner", "__export__.res_partner_1-x", "été.ü1"] {
            assert!(is_external_id(good), "{good}");
        }
        for bad in ["", ".a", "a.", "a.b.c", "a b", "a/b", "a'b", "=a"] {
            assert!(!is_external_id(bad), "{bad}");
        }
    }

    #[test]
    fn messages_lose_what_python_adds() {
        for (told, shown) in [
            ("Contacts require a name", "Contacts require a name"),
            ("'Contacts require a name'", "Contacts require a name"),
            ("<class 'odoo.exceptions.RedirectWarning'>: ('You cannot.', 70, 'Go to', None)", "You cannot."),
            ("Erreur : <class 'odoo.exceptions.UserError'>: (\"It's so.\", '')", "It's so."),
            ("Erreur : <class 'odoo.exceptions.AccessError'>: You are not allowed.", "You are not allowed."),
            ("'x' is no number for 'Lines/Quantity'", "'x' is no number for 'Lines/Quantity'"),
        ] {
            assert_eq!(said(told), shown);
        }
    }

    #[test]
    fn rows_and_fields_of_a_message() {
        let told =
            json!({"type": "warning", "rows": {"from": 3, "to": 5}, "field": "order_line", "message": "m", "moreinfo": {}});
        assert_eq!(
            message(told.as_object().unwrap()),
            LoadMessage { error: false, rows: Some((3, 5)), field: Some("order_line".into()), message: "m".into() }
        );
        let told = json!({"type": "error", "message": "m"});
        assert_eq!(message(told.as_object().unwrap()).rows, None);
    }
}
