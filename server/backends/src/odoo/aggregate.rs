//! Grouping: `read_group` up to 18, `formatted_read_group` from 19. Keys and ranges come from what the server means (its ids,
//! domains and ranges), never from its labels, which change with the language.
use kernel::{Code, OdooVersion, Refusal, name, refusal};
use serde_json::{Map, Value};

use super::{
    Aggregate, Field, Group, GroupKey, Reader, Result,
    dialect::{self, Arg, Request},
    walk::{GRANULARITIES, NUMBER_PARTS},
};

const FUNCTIONS: [&str; 9] = ["sum", "avg", "min", "max", "count", "count_distinct", "bool_and", "bool_or", "array_agg"];
const MOST_GROUPINGS: usize = 8;
const MOST_MEASURES: usize = 16;
/// The alias under which records are counted where `__count` cannot be sorted by (up to 16).
const COUNTED: &str = "ocore_n";

/// One grouping as Odoo gets it.
struct By {
    /// `field` or `field:granularity`.
    spec: String,
    path: String,
    field: Field,
    ranged: bool,
}

impl Reader {
    pub async fn aggregate(&self, aggregate: &Aggregate) -> Result<Vec<Group>> {
        let model = aggregate.model.as_str();
        self.scope().readable(model)?;
        self.check_domain(model, &aggregate.domain, false).await?;
        let version = self.version().await?;
        let groupings = self.groupings(aggregate, version).await?;
        let measures = self.measures(aggregate, version).await?;
        let limit = self.group_limit(aggregate.limit)?;
        let formatted = dialect::has_formatted_groups(version);
        let order = order(aggregate, &groupings, formatted)?;

        let by: Vec<&str> = groupings.iter().map(|g| g.spec.as_str()).collect();
        let rows = if formatted {
            let mut aggregates: Vec<&str> = vec!["__count"];
            aggregates.extend(measures.iter().map(String::as_str).filter(|m| *m != "__count"));
            let mut kwargs = vec![("groupby", Arg::Words(&by)), ("aggregates", Arg::Words(&aggregates))];
            paging(&mut kwargs, &by, limit, aggregate.offset, "order", order.as_deref());
            self.groups(aggregate, "formatted_read_group", &[], &kwargs).await?
        } else {
            let mut fields: Vec<String> = vec![format!("{COUNTED}:count(id)")];
            fields.extend(
                aggregate
                    .measures
                    .iter()
                    .enumerate()
                    .filter(|(_, m)| m.field != "__count")
                    .map(|(i, m)| format!("m{i}:{}({})", m.function, m.field)),
            );
            let args = [Arg::Names(&fields), Arg::Words(&by)];
            let mut kwargs = vec![("lazy", Arg::Flag(false))];
            paging(&mut kwargs, &by, limit, aggregate.offset, "orderby", order.as_deref());
            self.groups(aggregate, "read_group", &args, &kwargs).await?
        };
        Ok(rows.iter().map(|row| group(row, &groupings, aggregate, formatted)).collect())
    }

    async fn groups(
        &self,
        aggregate: &Aggregate,
        method: &str,
        more: &[Arg<'_>],
        kwargs: &[(&str, Arg<'_>)],
    ) -> Result<Vec<Map<String, Value>>> {
        let domain = self.kept(&aggregate.model, &aggregate.domain);
        let mut args = vec![Arg::Value(super::reader::all_when_null(&domain))];
        args.extend_from_slice(more);
        let request =
            Request { model: &aggregate.model, method, ids: None, args: &args, kwargs, context: self.sent(), write: false };
        match self.send_kept(&request).await {
            Ok(rows) => Ok(rows),
            Err(failure) => Err(self.explained(failure, &aggregate.model, method, &aggregate.domain, None).await),
        }
    }

    fn group_limit(&self, limit: u64) -> Result<u64, Refusal> {
        if limit == 0 { Ok(self.scope().max_records.max(1)) } else { self.capped(limit) }
    }

    async fn groupings(&self, aggregate: &Aggregate, version: OdooVersion) -> Result<Vec<By>> {
        if aggregate.groupby.len() > MOST_GROUPINGS {
            return Err(wrong(format!("groupby: more than {MOST_GROUPINGS} fields.")).next("Group by fewer.").into());
        }
        let mut groupings = Vec::with_capacity(aggregate.groupby.len());
        for by in &aggregate.groupby {
            name::identifier("groupby", &by.field)?;
            if by.field.contains('.') && !dialect::groups_by_path(version) {
                return Err(refusal(
                    Code::NotSupported,
                    format!("groupby: {} is a path, which Odoo groups by from 19 on; this is {version}.", by.field),
                )
                .next("Group by the first part of the path, or by a stored related field.")
                .into());
            }
            let end = self.walk(&aggregate.model, &by.field).await?;
            self.named_by("groupby", &end).await?;
            let kind = end.field.r#type.as_str();
            if !end.field.store && !dialect::groups_by_computed(version) && by.field != "id" {
                return Err(wrong(format!(
                    "groupby: {} is computed and not stored; Odoo {version} cannot group by it.",
                    by.field
                ))
                .next("Group by a stored field.")
                .into());
            }
            if matches!(kind, "one2many" | "binary" | "html" | "text" | "json" | "properties" | "serialized") {
                return Err(wrong(format!("groupby: {} is of type {kind}, which makes no groups.", by.field))
                    .next("Group by a relation, a selection, a date, a flag or a short text.")
                    .into());
            }
            let dated = matches!(kind, "date" | "datetime");
            let granularity = match (by.granularity.as_deref(), dated) {
                (Some(g), true) if GRANULARITIES.contains(&g) => {
                    if g == "hour" && kind == "date" {
                        return Err(wrong(format!("groupby: {} is a date; it has no hours.", by.field))
                            .next("Use day, week, month, quarter or year.")
                            .into());
                    }
                    Some(g)
                }
                (Some(g), true) if NUMBER_PARTS.contains(&g) => {
                    if !dialect::has_number_parts(version) {
                        return Err(refusal(
                            Code::NotSupported,
                            format!("groupby: {g} exists from Odoo 18 on; this is {version}."),
                        )
                        .next("Use day, week, month, quarter or year.")
                        .into());
                    }
                    Some(g)
                }
                (Some(g), true) => {
                    return Err(wrong(format!("groupby: {g:?} is no granularity."))
                        .next(format!("There are {}.", GRANULARITIES.join(", ")))
                        .into());
                }
                (Some(g), false) => {
                    return Err(wrong(format!("groupby: {} is of type {kind}; {g} is for dates and times.", by.field))
                        .next("Leave the granularity out.")
                        .into());
                }
                (None, true) => Some("month"),
                (None, false) => None,
            };
            groupings.push(By {
                spec: granularity.map_or_else(|| by.field.clone(), |g| format!("{}:{g}", by.field)),
                path: by.field.clone(),
                ranged: granularity.is_some_and(|g| GRANULARITIES.contains(&g)),
                field: end.field,
            });
        }
        Ok(groupings)
    }

    /// The measures as `field:function`.
    async fn measures(&self, aggregate: &Aggregate, version: OdooVersion) -> Result<Vec<String>> {
        if aggregate.measures.len() > MOST_MEASURES {
            return Err(wrong(format!("measures: more than {MOST_MEASURES}.")).next("Ask for fewer.").into());
        }
        let mut specs = Vec::with_capacity(aggregate.measures.len());
        for measure in &aggregate.measures {
            if measure.field == "__count" {
                specs.push("__count".to_owned());
                continue;
            }
            if !FUNCTIONS.contains(&measure.function.as_str()) {
                let shown: String = measure.function.chars().take(40).collect();
                return Err(wrong(format!("{shown:?} is no function to sum up with."))
                    .next(format!("There are {}.", FUNCTIONS.join(", ")))
                    .into());
            }
            name::identifier("measure", &measure.field)?;
            if measure.field.contains('.') {
                return Err(wrong(format!("{}: a measure is a field of the model itself.", measure.field))
                    .next("Aggregate the related model instead.")
                    .into());
            }
            let end = self.walk(&aggregate.model, &measure.field).await?;
            if !end.field.store && !dialect::groups_by_computed(version) && measure.field != "id" {
                return Err(wrong(format!("{} is computed and not stored; Odoo {version} cannot sum it up.", measure.field))
                    .next("Use a stored field.")
                    .into());
            }
            let numeric = matches!(end.field.r#type.as_str(), "integer" | "float" | "monetary");
            if matches!(measure.function.as_str(), "sum" | "avg") && !numeric {
                return Err(wrong(format!(
                    "{} is of type {}; {} is for numbers.",
                    measure.field, end.field.r#type, measure.function
                ))
                .next("Use count, count_distinct, min or max, or a number field.")
                .into());
            }
            specs.push(format!("{}:{}", measure.field, measure.function));
        }
        Ok(specs)
    }
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message)
}

/// Without a grouping there is one row, and an order or an offset would be wrong.
fn paging<'a>(
    kwargs: &mut Vec<(&'a str, Arg<'a>)>,
    by: &[&str],
    limit: u64,
    offset: u64,
    order_name: &'a str,
    order: Option<&'a str>,
) {
    if by.is_empty() {
        return;
    }
    kwargs.push(("limit", Arg::Number(limit)));
    if offset > 0 {
        kwargs.push(("offset", Arg::Number(offset)));
    }
    if let Some(order) = order {
        kwargs.push((order_name, Arg::Text(order)));
    }
}

/// The order by Odoo's names for groupings and measures, the groupings themselves as tiebreak so that pages do not overlap.
fn order(aggregate: &Aggregate, groupings: &[By], formatted: bool) -> Result<Option<String>, Refusal> {
    let Some(asked) = aggregate.order.as_deref().filter(|o| !o.trim().is_empty()) else {
        return Ok(None);
    };
    let mut terms: Vec<(String, bool)> = Vec::new();
    for term in asked.split(',') {
        let mut words = term.split_whitespace();
        let (Some(what), direction, None) = (words.next(), words.next(), words.next()) else {
            return Err(wrong(format!("order: {:?} cannot be read.", term.trim())).next("Write it like \"__count desc\"."));
        };
        let descending = match direction.map(str::to_ascii_lowercase).as_deref() {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => {
                return Err(wrong(format!("order: {other:?} is neither asc nor desc.")).next("Write it like \"__count desc\"."));
            }
        };
        let grouping = groupings.iter().find(|g| g.spec == what || g.path == what);
        let measure = aggregate
            .measures
            .iter()
            .position(|m| format!("{}:{}", m.field, m.function) == what || (m.field == what && grouping.is_none()));
        let name = match (what, grouping, measure.and_then(|i| Some((i, aggregate.measures.get(i)?)))) {
            ("__count" | "count", None, _) | ("__count", ..) => if formatted { "__count" } else { COUNTED }.to_owned(),
            (_, Some(by), _) => by.spec.clone(),
            (_, None, Some((_, m))) if m.field == "__count" => if formatted { "__count" } else { COUNTED }.to_owned(),
            (_, None, Some((i, m))) => {
                if formatted {
                    format!("{}:{}", m.field, m.function)
                } else {
                    format!("m{i}")
                }
            }
            (_, None, None) => {
                let shown: String = what.chars().take(60).collect();
                return Err(wrong(format!("order: {shown} is neither grouped by nor a measure of this call."))
                    .next("Sort by __count, a field of groupby, or a measure such as amount_total:sum."));
            }
        };
        terms.push((name, descending));
    }
    for by in groupings {
        if !terms.iter().any(|(name, _)| *name == by.spec) {
            terms.push((by.spec.clone(), false));
        }
    }
    Ok(Some(
        terms
            .into_iter()
            .map(|(name, descending)| if descending { format!("{name} desc") } else { name })
            .collect::<Vec<_>>()
            .join(", "),
    ))
}

fn group(row: &Map<String, Value>, groupings: &[By], aggregate: &Aggregate, formatted: bool) -> Group {
    let mut bounds = Bounds::of(row, formatted);
    let keys = groupings.iter().map(|by| key(row, by, &mut bounds)).collect();
    let count = row.get("__count").or_else(|| row.get(COUNTED)).and_then(Value::as_u64).unwrap_or(0);
    let values = aggregate
        .measures
        .iter()
        .enumerate()
        .map(|(i, m)| {
            if m.field == "__count" {
                return count.into();
            }
            let value = if formatted { row.get(&format!("{}:{}", m.field, m.function)) } else { row.get(&format!("m{i}")) };
            match value {
                // Odoo writes false for "nothing".
                Some(Value::Bool(false)) if !m.function.starts_with("bool_") => Value::Null,
                Some(value) => value.clone(),
                None => Value::Null,
            }
        })
        .collect();
    Group { keys, values, count }
}

fn key(row: &Map<String, Value>, by: &By, bounds: &mut Bounds<'_>) -> GroupKey {
    let raw = row.get(&by.spec).or_else(|| row.get(&by.path)).unwrap_or(&Value::Null);
    let none = GroupKey { value: Value::Null, label: None, range: None };
    if by.ranged {
        if matches!(raw, Value::Bool(false) | Value::Null) {
            return none;
        }
        let label = match raw {
            Value::Array(pair) => pair.get(1).and_then(Value::as_str),
            other => other.as_str(),
        };
        let range = bounds.next(&by.spec, &by.path);
        let start = range.as_ref().map(|(from, _)| from.clone()).or_else(|| Some(raw.as_array()?.first()?.as_str()?.to_owned()));
        return GroupKey { value: start.map_or(Value::Null, Value::from), label: label.map(str::to_owned), range };
    }
    match (raw, by.field.r#type.as_str()) {
        (Value::Bool(flag), "boolean") => GroupKey { value: (*flag).into(), label: None, range: None },
        (Value::Bool(false) | Value::Null, _) => none,
        (Value::Array(pair), _) => {
            let label = pair.get(1).and_then(Value::as_str).map(str::to_owned);
            GroupKey { value: pair.first().cloned().unwrap_or(Value::Null), label, range: None }
        }
        (value, "selection") => GroupKey { value: value.clone(), label: selection_label(&by.field, value), range: None },
        (value, _) => GroupKey { value: value.clone(), label: None, range: None },
    }
}
fn selection_label(field: &Field, key: &Value) -> Option<String> {
    field.selection.as_ref()?.as_array()?.iter().find(|pair| pair.get(0) == Some(key))?.get(1)?.as_str().map(str::to_owned)
}

/// First and last-exclusive of a row's date groups. 15 to 18 tell them in `__range`, 19 in `__extra_domain`; 14 only in
/// `__domain`, where the groups' conditions stand before the caller's.
struct Bounds<'a> {
    ranges: Option<&'a Map<String, Value>>,
    leaves: Vec<(&'a str, &'a str, &'a str)>,
    at: usize,
}
impl<'a> Bounds<'a> {
    fn of(row: &'a Map<String, Value>, formatted: bool) -> Self {
        let domain = row.get(if formatted { "__extra_domain" } else { "__domain" }).and_then(Value::as_array);
        let leaves = domain
            .into_iter()
            .flatten()
            .filter_map(|leaf| match leaf.as_array()?.as_slice() {
                [path, operator, value] => Some((path.as_str()?, operator.as_str()?, value.as_str()?)),
                _ => None,
            })
            .collect();
        Self { ranges: row.get("__range").and_then(Value::as_object), leaves, at: 0 }
    }
    fn next(&mut self, spec: &str, path: &str) -> Option<(String, String)> {
        if let Some(range) = self.ranges.and_then(|r| r.get(spec).or_else(|| r.get(path))) {
            return Some((range.get("from")?.as_str()?.to_owned(), range.get("to")?.as_str()?.to_owned()));
        }
        let from = self.find(path, ">=")?;
        let to = self.find(path, "<")?;
        Some((from, to))
    }
    fn find(&mut self, path: &str, operator: &str) -> Option<String> {
        let (i, (_, _, value)) =
            self.leaves.iter().enumerate().skip(self.at).find(|(_, (p, op, _))| *p == path && *op == operator)?;
        self.at = i + 1;
        Some((*value).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::odoo::{GroupBy, Measure};

    fn by(spec: &str, kind: &str, ranged: bool) -> By {
        let path = spec.split(':').next().unwrap().to_owned();
        By { spec: spec.to_owned(), path, field: Field { r#type: kind.to_owned(), ..Field::default() }, ranged }
    }
    fn asked() -> Aggregate {
        Aggregate {
            model: "crm.lead".into(),
            groupby: vec![GroupBy { field: "date".into(), granularity: Some("month".into()) }],
            measures: vec![Measure { field: "amount".into(), function: "sum".into() }],
            ..Aggregate::default()
        }
    }

    #[test]
    fn ranges_come_from_what_each_version_tells() {
        let groupings = [by("date:month", "date", true)];
        let rows = [
            (
                json!({"date:month": "janvier 2026", "__count": 3, "m0": 5.0, "__domain": ["&", ["date", ">=", "2026-01-01"], ["date", "<", "2026-02-01"], ["date", ">=", "2020-01-01"]]}),
                false,
            ),
            (
                json!({"date:month": "janvier 2026", "__count": 3, "m0": 5.0, "__domain": [["date", ">=", "2020-01-01"], ["date", ">=", "2026-01-01"]], "__range": {"date:month": {"from": "2026-01-01", "to": "2026-02-01"}}}),
                false,
            ),
            (
                json!({"date:month": ["2026-01-01", "janvier 2026"], "__count": 3, "amount:sum": 5.0, "__extra_domain": ["&", ["date", ">=", "2026-01-01"], ["date", "<", "2026-02-01"]]}),
                true,
            ),
        ];
        for (row, formatted) in rows {
            let group = group(row.as_object().unwrap(), &groupings, &asked(), formatted);
            assert_eq!(group.keys[0].value, "2026-01-01");
            assert_eq!(group.keys[0].range, Some(("2026-01-01".to_owned(), "2026-02-01".to_owned())));
            assert_eq!(group.keys[0].label.as_deref(), Some("janvier 2026"));
            assert_eq!((group.count, &group.values[0]), (3, &json!(5.0)));
        }
        let nothing = json!({"date:month": false, "__count": 1, "m0": false, "__domain": [["date", "=", false]]});
        let nothing = group(nothing.as_object().unwrap(), &groupings, &asked(), false);
        assert_eq!((nothing.keys[0].value.clone(), nothing.values[0].clone()), (Value::Null, Value::Null));
    }

    #[test]
    fn orders_take_the_names_of_the_version() {
        let groupings = [by("date:month", "date", true)];
        let with =
            |order: &str, formatted| self::order(&Aggregate { order: Some(order.into()), ..asked() }, &groupings, formatted);
        assert_eq!(with("__count desc", true).unwrap().unwrap(), "__count desc, date:month");
        assert_eq!(with("__count desc", false).unwrap().unwrap(), "ocore_n desc, date:month");
        assert_eq!(with("amount:sum desc", true).unwrap().unwrap(), "amount:sum desc, date:month");
        assert_eq!(with("amount desc", false).unwrap().unwrap(), "m0 desc, date:month");
        assert_eq!(with("date", false).unwrap().unwrap(), "date:month");
        for bad in ["other", "date up", "a b c"] {
            assert_eq!(with(bad, true).unwrap_err().code, Code::InvalidArgument);
        }
        assert_eq!(order(&asked(), &groupings, true).unwrap(), None);
    }

    #[test]
    fn keys_are_what_the_server_means() {
        let selection =
            Field { r#type: "selection".into(), selection: Some(json!([["sale", "Sales Order"]])), ..Field::default() };
        let by = |spec: &str, field: Field| By { spec: spec.into(), path: spec.into(), field, ranged: false };
        let row = json!({"state": "sale", "partner_id": [7, "Azure"], "active": false, "ref": false});
        let key = |by: &By| super::key(row.as_object().unwrap(), by, &mut Bounds::of(row.as_object().unwrap(), true));
        let state = key(&by("state", selection));
        assert_eq!((state.value, state.label.as_deref()), (json!("sale"), Some("Sales Order")));
        let partner = key(&by("partner_id", Field { r#type: "many2one".into(), ..Field::default() }));
        assert_eq!((partner.value, partner.label.as_deref()), (json!(7), Some("Azure")));
        assert_eq!(key(&by("active", Field { r#type: "boolean".into(), ..Field::default() })).value, json!(false));
        assert_eq!(key(&by("ref", Field { r#type: "char".into(), ..Field::default() })).value, Value::Null);
    }
}
