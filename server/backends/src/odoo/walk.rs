//! The walker: follows every path that a domain, an order, a grouping, a list of fields or written values name, through the
//! models' fields, and refuses those that leave the scope or end at a credential. Operands are data and never evaluated.
//!
//! For a key without limits most domains need no schema: a name without dots that could not be a credential touches nothing
//! but the model itself, and Odoo knows best whether it exists.
use std::sync::Arc;

use futures_util::future::BoxFuture;
use kernel::{Code, Refusal, name, refusal};
use serde_json::{Map, Value};

use super::{Field, Reader, Result, schema::Schema};
use crate::scope::{Right, secret_like};

/// Domains in domains (`any`), nested values of x2many commands.
const DEEPEST: usize = 8;
/// Leaves and operators of one domain, nested ones included.
const MOST_TERMS: usize = 500;
/// Values of one leaf, records of one command list.
const MOST_VALUES: usize = 20_000;
/// Relations in one path.
const LONGEST_PATH: usize = 8;

/// Odoo 14 to 19. `any!` and `not any!` (19), which pass by access rights, are for Odoo's own code and left out.
const OPERATORS: [&str; 23] = [
    "=",
    "!=",
    "<>",
    "==",
    "<",
    ">",
    "<=",
    ">=",
    "=?",
    "like",
    "ilike",
    "=like",
    "=ilike",
    "not like",
    "not ilike",
    "not =like",
    "not =ilike",
    "in",
    "not in",
    "child_of",
    "parent_of",
    "any",
    "not any",
];
/// What a date or time may be asked for behind a dot (Odoo 18), and grouped by.
pub(super) const NUMBER_PARTS: [&str; 11] = [
    "year_number",
    "quarter_number",
    "month_number",
    "iso_week_number",
    "day_of_year",
    "day_of_month",
    "day_of_week",
    "hour_number",
    "minute_number",
    "second_number",
    "week_number",
];
pub(super) const GRANULARITIES: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message)
}
const DOMAIN_HELP: &str = "A domain is a list of [field, operator, value] in prefix notation, such as [\"|\", [\"state\", \"=\", \"sale\"], [\"amount_total\", \">\", 100]].";

struct Leaf<'a> {
    path: &'a str,
    operator: String,
    value: &'a Value,
}

/// The leaves of a domain, its form checked: lists, known operators, and as many operands as `&`, `|` and `!` want.
fn leaves<'a>(domain: &'a Value, depth: usize, budget: &mut usize, out: &mut Vec<Leaf<'a>>) -> Result<(), Refusal> {
    let terms = match domain {
        Value::Null | Value::Bool(false) => return Ok(()),
        Value::Array(terms) => terms,
        _ => return Err(wrong("domain: this is no list.").next(DOMAIN_HELP)),
    };
    if depth > DEEPEST {
        return Err(wrong(format!("domain: more than {DEEPEST} domains within each other."))
            .next("Use dotted paths or several searches."));
    }
    *budget = budget
        .checked_sub(terms.len())
        .ok_or_else(|| wrong(format!("domain: more than {MOST_TERMS} terms.")).next("Use \"in\" with a list of values."))?;
    // How many operands are still wanted; what stands beside each other is joined by "and".
    let mut wanted: usize = 0;
    for term in terms {
        match term {
            Value::String(op) if op == "&" || op == "|" => wanted = wanted.max(1) + 1,
            Value::String(op) if op == "!" => wanted = wanted.max(1),
            Value::Array(parts) => {
                wanted = wanted.saturating_sub(1);
                leaf(parts, depth, budget, out)?;
            }
            other => {
                let shown: String = other.to_string().chars().take(60).collect();
                return Err(
                    wrong(format!("domain: {shown} is neither a condition nor one of \"&\", \"|\", \"!\".")).next(DOMAIN_HELP)
                );
            }
        }
    }
    if wanted > 0 {
        return Err(wrong(
            "domain: \"&\" and \"|\" stand before two conditions each, \"!\" before one; some are missing at the end.",
        )
        .next(DOMAIN_HELP));
    }
    Ok(())
}

fn leaf<'a>(parts: &'a [Value], depth: usize, budget: &mut usize, out: &mut Vec<Leaf<'a>>) -> Result<(), Refusal> {
    let [path, operator, value] = parts else {
        return Err(wrong(format!(
            "domain: a condition has three parts, field, operator and value; this one has {}.",
            parts.len()
        ))
        .next(DOMAIN_HELP));
    };
    // (1, '=', 1) and (0, '=', 1): Odoo's "all" and "none".
    if path.is_number() && operator == "=" && value.is_number() {
        return Ok(());
    }
    let (Some(path), Some(operator)) = (path.as_str(), operator.as_str()) else {
        return Err(wrong("domain: field and operator of a condition are texts.").next(DOMAIN_HELP));
    };
    name::identifier("domain", path)?;
    if path.split('.').any(str::is_empty) {
        return Err(wrong(format!("domain: {path:?} is no path of fields.")).next("Write it like partner_id.country_id.code."));
    }
    let operator = operator.trim().to_ascii_lowercase();
    if !OPERATORS.contains(&operator.as_str()) {
        let shown: String = operator.chars().take(30).collect();
        return Err(wrong(format!("domain: {shown:?} is no operator."))
            .next("There are = != < > <= >= =? like ilike =like =ilike, not like, not ilike, in, not in, child_of, parent_of, and from 17 on any, not any."));
    }
    if operator == "any" || operator == "not any" {
        // Checked for form now; walked with the model that the path leads to.
        leaves(value, depth + 1, budget, &mut Vec::new())?;
    } else {
        if matches!(value, Value::Object(_)) {
            return Err(wrong(format!("domain: {path} is compared with an object."))
                .next("Compare with a text, a number, true, false, or a list of those."));
        }
        if let Value::Array(values) = value {
            if values.len() > MOST_VALUES {
                return Err(
                    wrong(format!("domain: {path} is compared with more than {MOST_VALUES} values.")).next("Split the search.")
                );
            }
            if values.iter().any(|v| v.is_object() || v.is_array()) {
                return Err(wrong(format!("domain: {path} is compared with a list of lists or objects."))
                    .next("Use a flat list of values."));
            }
        }
    }
    out.push(Leaf { path, operator, value });
    Ok(())
}

/// The terms of an order: field and whether it descends.
fn order_terms(order: &str) -> Result<Vec<(&str, bool)>, Refusal> {
    let mut terms = Vec::new();
    for term in order.split(',') {
        let mut words = term.split_whitespace();
        let (Some(field), direction, None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong(format!("order: {:?} cannot be read.", term.trim())).next("Write it like \"date desc, name\"."));
        };
        let descending = match direction.map(str::to_ascii_lowercase).as_deref() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => {
                return Err(
                    wrong(format!("order: {other:?} is neither asc nor desc.")).next("Write it like \"date desc, name\".")
                );
            }
        };
        name::identifier("order", field)?;
        if field.contains('.') {
            return Err(wrong(format!("order: {field} is a path; Odoo sorts by the model's own fields."))
                .next("Sort by the first part of the path."));
        }
        terms.push((field, descending));
    }
    if terms.len() > 16 {
        return Err(wrong("order: more than 16 fields.").next("Name fewer."));
    }
    Ok(terms)
}

/// Where a path ends.
pub(super) struct End {
    /// The model that the field is of.
    pub model: String,
    pub name: String,
    pub field: Field,
}

impl Reader {
    /// Checks a domain; `thorough` looks up every field (to explain what Odoo refused).
    pub(super) async fn check_domain(&self, model: &str, domain: &Value, thorough: bool) -> Result<()> {
        self.domain_within(model, domain, thorough, 0).await
    }
    fn domain_within<'a>(&'a self, model: &'a str, domain: &'a Value, thorough: bool, depth: usize) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let (mut budget, mut found) = (MOST_TERMS, Vec::new());
            leaves(domain, depth, &mut budget, &mut found)?;
            for leaf in found {
                let nested = leaf.operator.ends_with("any");
                if !thorough && !nested && !self.scope().restricted && !leaf.path.contains('.') && !secret_like(model, leaf.path)
                {
                    continue;
                }
                let hierarchy = leaf.operator.ends_with("_of");
                if leaf.path == "id" && !nested && !(hierarchy && self.scope().hiding().is_some()) {
                    continue;
                }
                let end = self.walk(model, leaf.path).await?;
                let comodel = end.field.relation.as_deref();
                if self.scope().hiding().is_some() {
                    self.asks_nothing_hidden(&leaf, &end, nested || hierarchy).await?;
                }
                if nested {
                    let Some(comodel) = comodel else {
                        return Err(wrong(format!(
                            "domain: {} asks {}, which is no relation, for a domain.",
                            leaf.operator, leaf.path
                        ))
                        .next("Use another operator.")
                        .into());
                    };
                    self.scope().readable(comodel)?;
                    self.domain_within(comodel, leaf.value, thorough, depth + 1).await?;
                } else if let Some(comodel) = comodel
                    && by_name(&leaf)
                    && !self.goes_by_names(comodel).await
                {
                    return Err(refusal(
                        Code::FieldDenied,
                        format!(
                            "domain: comparing {} with a text searches the names of {comodel}, which this key may not search.",
                            leaf.path
                        ),
                    )
                    .next("Compare with an id.")
                    .into());
                }
            }
            Ok(())
        })
    }

    /// Where fields or records are hidden: what looks through, or at the whole of, other records is refused where some of them are hidden.
    async fn asks_nothing_hidden(&self, leaf: &Leaf<'_>, end: &End, through: bool) -> Result<()> {
        let other = end.field.relation.as_deref().unwrap_or(&end.model);
        if through {
            let limited = self.scope().filtered(other) || self.scope().veiled(other);
            if limited && (leaf.operator.ends_with("_of") || self.scope().filtered(other)) {
                return Err(through_hidden(leaf.path, other));
            }
        }
        if end.name == "id" {
            return Ok(());
        }
        let schema = self.schema(&end.model).await?;
        let searches_names = end.name == "display_name" && (schema.limited() || schema.names != super::schema::Names::All);
        // A field that is not stored is looked for in ways that nobody tells.
        let unknown_ways =
            schema.limited() && !end.field.store && end.field.all.get("related").is_none_or(|r| !r.is_string() && !r.is_array());
        if searches_names || unknown_ways {
            return Err(refusal(
                Code::FieldDenied,
                format!("domain: looking for {} could find records of {} by what is hidden from this key.", leaf.path, end.model),
            )
            .next("Search by stored fields of the model.")
            .into());
        }
        Ok(())
    }

    /// Follows a path of fields. Every model on the way must be permitted, the end be no credential.
    pub(super) async fn walk(&self, model: &str, path: &str) -> Result<End> {
        let parts: Vec<&str> = path.split('.').collect();
        if parts.len() > LONGEST_PATH {
            return Err(wrong(format!("{path}: more than {LONGEST_PATH} steps.")).next("Search the related model first.").into());
        }
        let mut model = model.to_owned();
        let mut parts = parts.into_iter().peekable();
        while let Some(part) = parts.next() {
            let schema = self.schema(&model).await?;
            if part == "id" && parts.peek().is_none() && schema.fields.get("id").is_none() {
                let field = Field { r#type: "integer".to_owned(), store: true, ..Field::default() };
                return Ok(End { model, name: part.to_owned(), field });
            }
            let field = schema.field(&model, part)?;
            let Some(next) = parts.peek() else {
                if self.scope().restricted && field.r#type == "properties" {
                    return Err(properties(&model, part).into());
                }
                let field = field.clone();
                return Ok(End { model, name: part.to_owned(), field });
            };
            match (&field.relation, field.r#type.as_str()) {
                (Some(comodel), "many2one" | "one2many" | "many2many") => {
                    if self.scope().filtered(comodel) {
                        return Err(through_hidden(path, comodel));
                    }
                    model.clone_from(comodel);
                }
                (_, "date" | "datetime") if NUMBER_PARTS.contains(next) => {
                    let field = Field { r#type: "integer".to_owned(), store: field.store, ..Field::default() };
                    return Ok(End { model, name: part.to_owned(), field });
                }
                (_, "properties") if !self.scope().restricted => {
                    let field = Field { r#type: "property".to_owned(), ..Field::default() };
                    return Ok(End { model, name: part.to_owned(), field });
                }
                (_, "properties") => return Err(properties(&model, part).into()),
                _ => {
                    return Err(wrong(format!("{path}: {model}.{part} is no relation, so {next} cannot be asked of it."))
                        .next("get_model_relations shows where a model leads.")
                        .into());
                }
            }
        }
        Err(wrong(format!("{path:?} is no path of fields.")).into())
    }

    /// The order as Odoo gets it, with `id` as a tiebreak.
    pub(super) async fn check_order(&self, model: &str, order: &str, thorough: bool) -> Result<String> {
        let terms = order_terms(order)?;
        for (field, _) in &terms {
            if *field == "id" || (!thorough && !self.scope().restricted && !secret_like(model, field)) {
                continue;
            }
            let end = self.walk(model, field).await?;
            self.named_by("order", &end).await?;
            // How Odoo sorts by a relation is the other model's affair, and that of those to which it leads in turn.
            if self.scope().hiding().is_some() && end.field.relation.is_some() {
                return Err(refusal(
                    Code::FieldDenied,
                    format!("order: {field} is a relation, and sorting by it could go by what is hidden from this key."),
                )
                .next("Sort by a field that is none.")
                .into());
            }
            if !end.field.store && end.field.all.get("sortable").and_then(Value::as_bool) == Some(false) {
                return Err(wrong(format!("order: {field} is computed; Odoo cannot sort by it."))
                    .next("Sort by a stored field.")
                    .into());
            }
        }
        let mut text = String::with_capacity(order.len() + 4);
        for (field, descending) in &terms {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(field);
            if *descending {
                text.push_str(" desc");
            }
        }
        if !terms.iter().any(|(field, _)| *field == "id") {
            text.push_str(", id");
        }
        Ok(text)
    }

    /// Sorting and grouping by a many2one shows the order, or the names, of the other model's records.
    pub(super) async fn named_by(&self, what: &str, end: &End) -> Result<()> {
        match end.field.relation.as_deref() {
            Some(comodel) if !self.goes_by_names(comodel).await => Err(refusal(
                Code::FieldDenied,
                format!("{what}: {} goes by the names of {comodel}, which this key may not use for that.", end.name),
            )
            .next("Use another field.")
            .into()),
            _ => Ok(()),
        }
    }

    /// Checks the fields of a reading: the model's own, none a credential. A schema is fetched only where it decides.
    pub(super) async fn check_read_fields(&self, model: &str, fields: &[String], thorough: bool) -> Result<Option<Arc<Schema>>> {
        let mut decide = thorough || self.scope().restricted;
        for field in fields {
            name::identifier("fields", field)?;
            if field.contains('.') {
                let first = field.split('.').next().unwrap_or_default();
                return Err(wrong(format!("fields: {field} is a path; a reading takes the model's own fields."))
                    .next(format!("Read {first} and then the records that it names."))
                    .into());
            }
            decide |= secret_like(model, field);
        }
        if !decide {
            return Ok(None);
        }
        let schema = self.schema(model).await?;
        for field in fields.iter().filter(|f| *f != "id") {
            let known = schema.field(model, field)?;
            if self.scope().restricted && known.r#type == "properties" {
                return Err(properties(model, field).into());
            }
        }
        Ok(Some(schema))
    }

    /// Checks written values: the fields exist, none is a credential, and what x2many commands do to other models is permitted
    /// as if it were asked for there.
    pub(super) fn check_values<'a>(
        &'a self,
        model: &'a str,
        values: &'a Map<String, Value>,
        depth: usize,
    ) -> BoxFuture<'a, Result<()>> {
        self.check_values_to(Right::Write, model, values, depth)
    }
    /// The same, for records that are made or for those that are changed.
    pub(super) fn check_values_to<'a>(
        &'a self,
        right: Right,
        model: &'a str,
        values: &'a Map<String, Value>,
        depth: usize,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.scope().permitted(model, right)?;
            if depth > DEEPEST {
                return Err(wrong(format!("values: more than {DEEPEST} levels of new records within each other."))
                    .next("Write them one after the other.")
                    .into());
            }
            let schema = self.schema(model).await?;
            for (key, value) in values {
                name::identifier("values", key)?;
                if key == "id" {
                    return Err(wrong("values: id is given by Odoo.").next("Leave it out.").into());
                }
                // The dedicated tool for a model may set its credentials (a password); nobody reads them.
                if schema.is_credential(key) && self.scope().lifted(model) {
                    continue;
                }
                let field = schema.field(model, key)?;
                self.through_related(&schema, field, right).await?;
                match (field.r#type.as_str(), &field.relation) {
                    ("one2many" | "many2many", Some(comodel)) => {
                        self.check_commands(model, key, field, comodel, value, depth).await?;
                    }
                    ("many2one", Some(comodel)) => {
                        if !(value.is_i64() || value.is_null() || *value == Value::Bool(false)) {
                            return Err(wrong(format!("values: {key} is a many2one; it takes an id of {comodel}, or false."))
                                .next("Search the record first and give its id.")
                                .into());
                        }
                        if comodel == "res.company" {
                            self.scope().company_value(value)?;
                        }
                        // A link to a record tells of it: through related fields, and in what is computed from it.
                        if let Some(id) = value.as_i64() {
                            self.all_visible(comodel, &[id]).await?;
                        }
                    }
                    ("reference" | "many2one_reference", _) if self.scope().rules.is_some() => {
                        self.check_reference(model, key, &field.r#type, value).await?;
                    }
                    _ => {}
                }
            }
            if self.scope().hiding().is_some() {
                self.within_filters(model, values, right, &schema).await?;
            }
            Ok(())
        })
    }
    /// `model,id`: to a model that may be read, and a record that is there.
    async fn check_reference(&self, model: &str, key: &str, kind: &str, value: &Value) -> Result<()> {
        let (target, id) = match value {
            Value::Null | Value::Bool(false) => return Ok(()),
            Value::String(text) if kind == "reference" && text.is_empty() => return Ok(()),
            Value::String(text) if kind == "reference" => match text.split_once(',') {
                Some((target, id)) => (target, id.trim().parse::<i64>().ok()),
                None => ("", None),
            },
            _ => ("", None),
        };
        let Some(id) = id.filter(|_| name::is_identifier(target)) else {
            return Err(refusal(
                Code::FieldDenied,
                format!("values: {model}.{key} may lead to any record, which this key's limits forbid."),
            )
            .next("Leave it out, or write it like res.partner,7 where it takes that.")
            .into());
        };
        self.scope().readable(target)?;
        self.all_visible(target, &[id]).await
    }

    async fn check_commands(
        &self,
        model: &str,
        key: &str,
        field: &Field,
        comodel: &str,
        value: &Value,
        depth: usize,
    ) -> Result<()> {
        let help = "Commands are [0, 0, {values}] to create, [1, id, {values}] to change, [2, id] to delete, [3, id] to unlink, [4, id] to link, [5] to clear, [6, 0, [ids]] to set.";
        let commands = match value {
            Value::Null | Value::Bool(false) => return Ok(()),
            Value::Array(commands) => commands,
            _ => return Err(wrong(format!("values: {key} takes a list of commands.")).next(help).into()),
        };
        if commands.len() > MOST_VALUES {
            return Err(wrong(format!("values: {key} has more than {MOST_VALUES} commands.")).next("Split the write.").into());
        }
        // A many2many's links are the record's own; everything else changes the other model.
        let of_other = field.r#type == "one2many";
        if of_other && !commands.is_empty() {
            if self.scope().rules.is_none() {
                self.scope().writable(comodel)?;
            } else {
                // Which right it takes depends on the command; that the record of the other model has another link on the value of it.
                self.linked_back(comodel, field.relation_field.as_deref()).await?;
            }
        }
        if self.scope().rules.is_some() {
            self.check_links(key, of_other, comodel, commands).await?;
            if !of_other && !commands.is_empty() {
                self.shared_links(key, model, comodel).await?;
            }
        }
        let company = |id: &Value| if comodel == "res.company" { self.scope().company_value(id) } else { Ok(()) };
        for command in commands {
            let parts = match command {
                Value::Array(parts) => parts.as_slice(),
                id if id.is_i64() => {
                    company(id)?;
                    continue;
                }
                _ => return Err(wrong(format!("values: {key} has something that is no command.")).next(help).into()),
            };
            match (parts.first().and_then(Value::as_i64), parts.get(1), parts.get(2)) {
                (Some(0), _, Some(Value::Object(values))) => {
                    self.check_values_to(Right::Create, comodel, values, depth + 1).await?;
                }
                (Some(1), Some(id), Some(Value::Object(values))) if id.is_i64() => {
                    self.check_values(comodel, values, depth + 1).await?;
                }
                (Some(2), Some(id), _) if id.is_i64() => {
                    self.scope().permitted(comodel, Right::Delete)?;
                    self.leaves_others(comodel).await?;
                    self.takes_nothing_along(comodel, &id.as_i64().into_iter().collect::<Vec<_>>()).await?;
                }
                (Some(3), Some(id), _) if id.is_i64() => {}
                (Some(4), Some(id), _) if id.is_i64() => company(id)?,
                (Some(5), _, _) => {}
                (Some(6), _, Some(Value::Array(ids))) if ids.len() <= MOST_VALUES && ids.iter().all(Value::is_i64) => {
                    ids.iter().try_for_each(company)?;
                }
                _ => return Err(wrong(format!("values: {key} has a command that Odoo does not know.")).next(help).into()),
            }
        }
        Ok(())
    }

    /// Under rules: of a filtered model only visible records are linked; nothing else is done to it from here.
    async fn check_links(&self, key: &str, of_other: bool, comodel: &str, commands: &[Value]) -> Result<()> {
        let filtered = self.scope().filtered(comodel);
        let mut linked: Vec<i64> = Vec::new();
        for command in commands {
            let parts = match command {
                Value::Array(parts) => parts.as_slice(),
                id => {
                    linked.extend(id.as_i64());
                    continue;
                }
            };
            let code = parts.first().and_then(Value::as_i64);
            match code {
                Some(4) => linked.extend(parts.get(1).and_then(Value::as_i64)),
                Some(6) if !of_other || !filtered => {
                    linked.extend(parts.get(2).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_i64));
                }
                _ if filtered => {
                    return Err(refusal(
                        Code::RecordDenied,
                        format!("values: records of {comodel} are hidden from this key; {key} takes [4, id] for those that are not{}.",
                            if of_other { "" } else { ", and [6, 0, [ids]]" }),
                    )
                    .next(format!("Create, change and delete records of {comodel} by calls of their own."))
                    .into());
                }
                _ => {}
            }
            // Linking, unlinking and clearing write the other record's way back.
            if of_other && matches!(code, Some(3..=6)) {
                self.scope().writable(comodel)?;
            }
        }
        if of_other && !linked.is_empty() {
            self.scope().writable(comodel)?;
        }
        self.scope().readable(comodel)?;
        self.all_visible(comodel, &linked).await
    }
    /// Under rules: what a one2many's commands write to the other model's way back must be permitted and must move no record.
    async fn linked_back(&self, comodel: &str, back: Option<&str>) -> Result<()> {
        self.scope().not_guarded(comodel)?;
        if self.scope().hiding().is_none() {
            return Ok(());
        }
        let schema = self.schema(comodel).await?;
        let Some(back) = back else {
            return Err(refusal(Code::RecordDenied, format!("What a link to {comodel} changes there is not known."))
                .next(format!("Write the records of {comodel} by calls of their own."))
                .into());
        };
        schema.field(comodel, back)?;
        // Which record it will be is not known: undecided wherever a filter goes by it.
        let values = Map::from_iter([(back.to_owned(), Value::Object(Map::new()))]);
        self.within_filters(comodel, &values, Right::Write, &schema).await
    }

    /// Under rules: a computed field that may be written can write back to the records that it is computed from (a company's street is its
    /// partner's). Odoo does not tell which do.
    async fn through_computed(&self, schema: &Schema, field: &Field) -> Result<()> {
        let depends = field.all.get("depends").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        // Not stored, and yet written: where to is not told, so to any record that this one leads to.
        if !field.store && !depends.iter().filter_map(Value::as_str).any(|path| path.contains('.')) {
            for link in schema.fields.0.values() {
                let Some((comodel, rule)) = link.relation.as_deref().and_then(|m| Some((m, self.scope().rule(m)?))) else {
                    continue;
                };
                if !rule.write {
                    self.scope().writable(comodel)?;
                }
                if rule.filtered() {
                    return Err(through_hidden("A computed field", comodel));
                }
            }
        }
        for path in depends.iter().filter_map(Value::as_str) {
            let mut steps = path.split('.').peekable();
            let first = steps.next().unwrap_or_default();
            let mut at = schema.fields.get(first).and_then(|f| f.relation.clone());
            while let (Some(comodel), Some(step)) = (at.take(), steps.next()) {
                if let Some(rule) = self.scope().rule(&comodel) {
                    if !rule.write {
                        self.scope().writable(&comodel)?;
                    }
                    if rule.filtered() {
                        return Err(through_hidden(path, &comodel));
                    }
                }
                let Ok(next) = self.schema_unscoped(&comodel).await else { break };
                at = next.fields.get(step).and_then(|f| f.relation.clone());
            }
        }
        Ok(())
    }
    /// Under rules: a many2many that the other model has too is that model's field as well.
    async fn shared_links(&self, key: &str, model: &str, comodel: &str) -> Result<()> {
        let Some(rule) = self.scope().rule(comodel) else { return Ok(()) };
        if rule.write {
            return Ok(());
        }
        let other = self.schema_unscoped(comodel).await?;
        let Some((back, _)) =
            other.fields.0.iter().find(|(_, f)| f.r#type == "many2many" && f.relation.as_deref() == Some(model))
        else {
            return Ok(());
        };
        Err(refusal(
            Code::ModelDenied,
            format!("values: {key} may be {comodel}.{back} from the other side, and {comodel} is not changed here."),
        )
        .next("An administrator of the organization decides it with ocore resource.")
        .into())
    }

    /// Writing a related field writes the record that it leads to: that must not be one of the block-listed models.
    async fn through_related(&self, schema: &Schema, field: &Field, right: Right) -> Result<()> {
        if field.readonly {
            return Ok(());
        }
        let path: Vec<String> = match field.all.get("related") {
            Some(Value::String(path)) => path.split('.').map(str::to_owned).collect(),
            Some(Value::Array(parts)) => parts.iter().filter_map(|p| p.as_str().map(str::to_owned)).collect(),
            _ if self.scope().rules.is_some() => return self.through_computed(schema, field).await,
            _ => return Ok(()),
        };
        let mut at = schema.fields.get(path.first().map_or("", String::as_str)).and_then(|f| f.relation.clone());
        for step in path.iter().skip(1) {
            let Some(comodel) = at else { return Ok(()) };
            self.scope().not_guarded(&comodel)?;
            if self.scope().rules.is_some() {
                self.scope().writable(&comodel)?;
                // What a record inherits is made with it.
                self.scope().permitted(&comodel, right)?;
                if self.scope().filtered(&comodel) {
                    return Err(through_hidden(&path.join("."), &comodel));
                }
                // Written there as if it were asked for there.
                let schema = self.schema(&comodel).await?;
                schema.field(&comodel, step)?;
                if self.scope().hiding().is_some() {
                    let values = Map::from_iter([(step.clone(), Value::Object(Map::new()))]);
                    self.within_filters(&comodel, &values, Right::Write, &schema).await?;
                }
            }
            let Ok(next) = self.schema_unscoped(&comodel).await else { return Ok(()) };
            at = next.fields.get(step).and_then(|f| f.relation.clone());
        }
        Ok(())
    }
}

fn by_name(leaf: &Leaf<'_>) -> bool {
    leaf.operator.contains("like")
        || leaf.value.is_string()
        || leaf.value.as_array().is_some_and(|list| list.iter().any(Value::is_string))
}
fn through_hidden(path: &str, model: &str) -> kernel::Fault {
    refusal(Code::RecordDenied, format!("{path} leads through {model}, of which records are hidden from this key."))
        .next(format!("Search {model} itself, and then by the ids that it gives."))
        .into()
}
fn properties(model: &str, field: &str) -> Refusal {
    refusal(
        Code::FieldDenied,
        format!("{model}.{field} holds properties, which may name records of any model; a restricted key does not use them."),
    )
    .next("Leave the field out.")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn form(domain: &Value) -> Result<Vec<(String, String)>, Refusal> {
        let (mut budget, mut found) = (MOST_TERMS, Vec::new());
        leaves(domain, 0, &mut budget, &mut found)?;
        Ok(found.into_iter().map(|l| (l.path.to_owned(), l.operator)).collect())
    }

    #[test]
    fn well_formed_domains() {
        for (domain, leaves) in [
            (json!(null), 0),
            (json!([]), 0),
            (json!([["a", "=", 1]]), 1),
            (json!([["a", "=", 1], ["b", "ILIKE", "x"]]), 2),
            (json!(["|", ["a", "=", 1], ["b", "=", 2]]), 2),
            (json!(["&", "|", ["a", "=", 1], ["b", "=", 2], "!", ["c", "in", [1, 2]]]), 3),
            (json!(["|", ["a", "=", 1], ["b", "=", 2], ["c", "=", 3]]), 3),
            (json!([[1, "=", 1]]), 0),
            (json!(["!", ["a.b.c", "not in", []]]), 1),
            (json!([["lines", "any", [["x", "=", 1]]]]), 1),
            (json!([["a", "child_of", 3], ["a", "=?", false]]), 2),
        ] {
            assert_eq!(form(&domain).map(|l| l.len()), Ok(leaves), "{domain}");
        }
    }

    #[test]
    fn malformed_domains_are_refused_with_help() {
        let mut deep = json!([["a", "=", 1]]);
        for _ in 0..20 {
            deep = json!([["a", "any", deep]]);
        }
        for domain in [
            json!("[('a','=',1)]"),
            json!({"a": 1}),
            json!(["|", ["a", "=", 1]]),
            json!(["&"]),
            json!(["!"]),
            json!([["a", "="]]),
            json!([["a", "=", 1, 2]]),
            json!([["a", "any!", []]]),
            json!([["a", "inselect", "SELECT 1"]]),
            json!([["a", "~", "x"]]),
            json!([["a b", "=", 1]]),
            json!([["a..b", "=", 1]]),
            json!([["a;drop", "=", 1]]),
            json!([[true, "=", 1]]),
            json!([["a", "=", {"x": 1}]]),
            json!([["a", "in", [[1]]]]),
            json!(["and"]),
            json!([3]),
            deep,
            Value::Array(vec![json!(["a", "=", 1]); 600]),
        ] {
            let refused = form(&domain).unwrap_err();
            assert_eq!(refused.code, Code::InvalidArgument, "{domain}");
            assert!(!refused.next.is_empty(), "{domain}");
        }
    }

    #[test]
    fn orders() {
        assert_eq!(order_terms("name, date DESC").unwrap(), [("name", false), ("date", true)]);
        for bad in ["", "name foo", "name asc x", "a.b", "name;drop table", "1"] {
            assert!(order_terms(bad).is_err(), "{bad}");
        }
    }
}
