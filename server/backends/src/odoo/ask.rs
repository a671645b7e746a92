//! Methods without effects: their arguments are put in order by the methods' known parameters, so that domains, fields and
//! groupings in them pass the same checks as everywhere else, and what comes back loses what must not be seen.
use kernel::{Code, name, refusal};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};

use super::{
    ReadMethod, Reader, Record, Result,
    dialect::{self, Arg, Request},
    schema::smart,
};
use crate::scope::secret_like;

impl Reader {
    /// Runs a method without effects.
    pub async fn ask(
        &self,
        model: &str,
        method: ReadMethod,
        ids: &[i64],
        args: Vec<Value>,
        kwargs: Map<String, Value>,
    ) -> Result<Box<RawValue>> {
        let method = method.name();
        self.scope().askable(model, method)?;
        let mut named = arguments(method, ids, args, kwargs)?;
        self.check_arguments(model, method, ids, &mut named).await?;
        let answer = if self.scope().filtered(model) && !ids.is_empty() {
            let ids = self.visible(model, ids).await?;
            if ids.is_empty() {
                return to_raw_value(&Value::Array(Vec::new()))
                    .map_err(|_| kernel::Fault::failed("serializing an answer of Odoo"));
            }
            self.positional(model, method, &ids, &named).await?
        } else {
            self.positional(model, method, ids, &named).await?
        };
        self.seen(model, method, &named, answer).await
    }

    async fn check_arguments(&self, model: &str, method: &str, ids: &[i64], named: &mut Map<String, Value>) -> Result<()> {
        if ids.len() as u64 > self.scope().max_records {
            return Err(refusal(
                Code::TooLarge,
                format!("{} records are more than the {} that one call may read.", ids.len(), self.scope().max_records),
            )
            .next("Split the list over several calls.")
            .into());
        }
        if let Some(domain) = named.get("domain") {
            self.check_domain(model, domain, false).await?;
        }
        if self.scope().hiding().is_some() {
            self.keep(model, method, named).await?;
        }
        if let Some(Value::Array(having)) = named.get("having")
            && !having.is_empty()
        {
            return Err(refusal(Code::InvalidArgument, "having is not passed on.")
                .next("Filter the groups in the answer.")
                .into());
        }
        if matches!(method, "search" | "search_read")
            && let Some(Value::String(order)) = named.get("order")
            && !order.trim().is_empty()
        {
            let order = self.check_order(model, order, false).await?;
            named.insert("order".to_owned(), order.into());
        }
        match method {
            "search" | "search_read" | "name_search" => {
                let asked = match named.get("limit") {
                    None | Some(Value::Null | Value::Bool(false)) => 0,
                    Some(limit) => limit.as_u64().ok_or_else(|| refusal(Code::InvalidArgument, "limit: a whole number."))?,
                };
                named.insert("limit".to_owned(), self.capped(asked)?.into());
            }
            _ => {}
        }
        if matches!(method, "search_read" | "read") {
            let fields = texts("fields", named.get("fields"))?;
            let fields = if fields.is_empty() { smart(&self.schema(model).await?.fields) } else { fields };
            self.check_read_fields(model, &fields, false).await?;
            named.insert("fields".to_owned(), json!(fields));
        }
        match method {
            "default_get" => {
                let fields = texts("fields", named.get("fields"))?;
                self.check_read_fields(model, &fields, true).await?;
            }
            "read_group" | "formatted_read_group" => {
                for (key, path) in group_paths(named)? {
                    if path == "__count" || path == "id" {
                        continue;
                    }
                    let end = self.walk(model, &path).await?;
                    if key == "groupby" {
                        self.named_by("groupby", &end).await?;
                    }
                }
            }
            "get_field_translations" => {
                if let Some(Value::String(field)) = named.get("field_name") {
                    self.check_read_fields(model, std::slice::from_ref(field), true).await?;
                }
            }
            // A form's computation gives back what its specification names, on whatever model.
            "onchange" => {
                if let Some(secret) = ["values", "field_names", "fields_spec"]
                    .iter()
                    .filter_map(|k| named.get(*k))
                    .find_map(|v| first_secret(model, v, 0))
                {
                    return Err(super::schema::withheld(model, &secret).into());
                }
                if let Some(Value::Object(spec)) = named.get("fields_spec") {
                    self.check_spec(model, spec, 0).await?;
                }
            }
            _ => {}
        }
        Ok(())
    }
    /// Where fields or records are hidden: the domain that hides them, an order that does not go by them, and no look for names that
    /// are made of them.
    async fn keep(&self, model: &str, method: &str, named: &mut Map<String, Value>) -> Result<()> {
        if method == "name_search" && !self.goes_by_names(model).await {
            return Err(refusal(
                Code::FieldDenied,
                format!("Looking for records of {model} by name could find them by what is hidden from this key."),
            )
            .next("Use search_read with a domain on fields of the model.")
            .into());
        }
        if matches!(method, "search" | "search_read")
            && named.get("order").and_then(Value::as_str).is_none_or(|order| order.trim().is_empty())
        {
            let order = self.own_order(model).await?;
            named.insert("order".to_owned(), (&*order).into());
        }
        if self.scope().filtered(model) {
            match method {
                "search" | "search_read" | "search_count" => {
                    let domain = self.kept(model, named.get("domain").unwrap_or(&Value::Null)).into_owned();
                    named.insert("domain".to_owned(), domain);
                }
                "read" | "fields_get" | "default_get" | "has_access" | "check_access_rights" => {}
                _ => {
                    return Err(refusal(
                        Code::RecordDenied,
                        format!("Records of {model} are hidden from this key, and {method} does not keep to that."),
                    )
                    .next("Use search_read, read, count or aggregation.")
                    .into());
                }
            }
        }
        Ok(())
    }
    /// A specification names fields and, within relations, fields of the other model.
    fn check_spec<'a>(
        &'a self,
        model: &'a str,
        spec: &'a Map<String, Value>,
        depth: usize,
    ) -> futures_util::future::BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if depth > 8 {
                return Err(refusal(Code::InvalidArgument, "fields_spec: too deep.").into());
            }
            let schema = self.schema(model).await?;
            for (name, inner) in spec {
                if name == "id" {
                    continue;
                }
                let field = schema.field(model, name)?;
                if let (Some(comodel), Some(Value::Object(fields))) = (&field.relation, inner.get("fields")) {
                    self.check_spec(comodel, fields, depth + 1).await?;
                }
            }
            Ok(())
        })
    }

    /// Sends known parameters by position as long as there is no gap, the rest by name: positions are the same in every version.
    async fn positional(&self, model: &str, method: &str, ids: &[i64], named: &Map<String, Value>) -> Result<Box<RawValue>> {
        let parameters = dialect::parameters(method).unwrap_or_default();
        let leading = parameters.iter().take_while(|p| named.contains_key(**p)).count();
        let args: Vec<Arg<'_>> = parameters.iter().take(leading).filter_map(|p| named.get(*p)).map(Arg::Value).collect();
        let kwargs: Vec<(&str, Arg<'_>)> = named
            .iter()
            .filter(|(name, _)| !parameters.iter().take(leading).any(|p| p == name))
            .map(|(name, value)| (name.as_str(), Arg::Value(value)))
            .collect();
        let on_records = dialect::on_records(method).unwrap_or(!ids.is_empty());
        let request = Request {
            model,
            method,
            ids: on_records.then_some(ids),
            args: &args,
            kwargs: &kwargs,
            context: self.sent(),
            write: false,
        };
        match self.send_kept(&request).await {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(match named.get("domain") {
                Some(domain) => self.explained(failure, model, method, domain, None).await,
                None => self.tell(failure, model, method).await,
            }),
        }
    }

    /// What the caller may see of the answer.
    async fn seen(&self, model: &str, method: &str, named: &Map<String, Value>, answer: Box<RawValue>) -> Result<Box<RawValue>> {
        let back = |value: &Value| to_raw_value(value).map_err(|_| kernel::Fault::failed("serializing an answer of Odoo"));
        match method {
            "read" | "search_read" if self.scope().restricted => {
                let schema = self.schema(model).await?;
                let records: Vec<Record> = serde_json::from_str(answer.get()).unwrap_or_default();
                let fields = texts("fields", named.get("fields"))?;
                to_raw_value(&self.without_foreign_names(model, records, &fields, &schema).await?)
                    .map_err(|_| kernel::Fault::failed("serializing an answer of Odoo"))
            }
            "fields_get" | "default_get" => {
                let schema = self.schema(model).await?;
                let mut told: Value = serde_json::from_str(answer.get()).unwrap_or_default();
                if let Value::Object(map) = &mut told {
                    map.retain(|name, _| !schema.withheld.contains(name));
                }
                back(&told)
            }
            "onchange" => {
                let mut told: Value = serde_json::from_str(answer.get()).unwrap_or_default();
                withhold(model, &mut told, 0);
                back(&told)
            }
            _ => Ok(answer),
        }
    }

    /// Sends a method whose scope was checked, with its arguments as they are.
    pub(super) async fn run(
        &self,
        model: &str,
        method: &str,
        ids: &[i64],
        args: &[Value],
        kwargs: &Map<String, Value>,
        write: bool,
    ) -> Result<Box<RawValue>> {
        no_context(kwargs)?;
        let args: Vec<Arg<'_>> = args.iter().map(Arg::Value).collect();
        let kwargs: Vec<(&str, Arg<'_>)> = kwargs.iter().map(|(name, value)| (name.as_str(), Arg::Value(value))).collect();
        let request = Request {
            model,
            method,
            ids: (!ids.is_empty()).then_some(ids),
            args: &args,
            kwargs: &kwargs,
            context: self.sent(),
            write,
        };
        // What an answer holds of a method that was permitted by name is the method's affair; Odoo's words of an error are not passed on.
        match self.send_kept(&request).await {
            Ok(answer) => Ok(answer),
            Err(failure) => Err(self.tell(failure, model, method).await),
        }
    }
}

fn no_context(kwargs: &Map<String, Value>) -> Result<()> {
    for key in kwargs.keys() {
        name::identifier("kwargs", key)?;
    }
    if kwargs.contains_key("context") {
        return Err(refusal(Code::InvalidArgument, "kwargs: context is not passed here.")
            .next("Use the argument context of the tool itself.")
            .into());
    }
    Ok(())
}

/// The arguments by today's names, whichever way they were given.
fn arguments(method: &str, ids: &[i64], mut args: Vec<Value>, kwargs: Map<String, Value>) -> Result<Map<String, Value>> {
    no_context(&kwargs)?;
    let parameters = dialect::parameters(method).unwrap_or_default();
    // Some pass the ids as the first argument, as Odoo's own protocol does.
    if ids.is_empty() && dialect::on_records(method) == Some(true) && args.len() > parameters.len() {
        return Err(refusal(
            Code::InvalidArgument,
            format!("{method} takes at most {} arguments beside the records.", parameters.len()),
        )
        .next("Name the records in ids, not in args.")
        .into());
    }
    if args.len() > parameters.len() {
        return Err(refusal(
            Code::InvalidArgument,
            format!("{method} takes at most {} arguments: {}.", parameters.len(), parameters.join(", ")),
        )
        .next("Leave out the others.")
        .into());
    }
    let mut named = Map::new();
    for (parameter, value) in parameters.iter().zip(args.drain(..)) {
        named.insert((*parameter).to_owned(), value);
    }
    for (name, value) in kwargs {
        let name = dialect::renamed(method, &name).map_or(name.as_str(), |n| n).to_owned();
        let of_views =
            matches!(method, "fields_view_get" | "get_view") && matches!(name.as_str(), "toolbar" | "submenu" | "mobile");
        if !of_views && !parameters.contains(&name.as_str()) {
            return Err(refusal(Code::InvalidArgument, format!("{method} has no argument {name}."))
                .next(if parameters.is_empty() {
                    "It takes none.".to_owned()
                } else {
                    format!("It takes {}.", parameters.join(", "))
                })
                .into());
        }
        if named.insert(name.clone(), value).is_some() {
            return Err(refusal(Code::InvalidArgument, format!("{name} is given twice, in args and in kwargs."))
                .next("Give it once.")
                .into());
        }
    }
    // What stands before a given argument must be given too: names differ between versions, positions do not.
    if method == "name_search" {
        named.entry("name").or_insert_with(|| "".into());
    }
    if parameters.first() == Some(&"domain") {
        named.entry("domain").or_insert_with(|| json!([]));
    }
    Ok(named)
}

fn texts(what: &str, value: Option<&Value>) -> Result<Vec<String>> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(list)) => list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>().ok_or_else(|| {
            refusal(Code::InvalidArgument, format!("{what}: a list of names.")).next("Like [\"name\", \"state\"].").into()
        }),
        Some(_) => {
            Err(refusal(Code::InvalidArgument, format!("{what}: a list of names.")).next("Like [\"name\", \"state\"].").into())
        }
    }
}

/// The fields that a grouping touches: `(argument, path)`. Aggregates are `field`, `field:function` or `alias:function(field)`.
fn group_paths(named: &Map<String, Value>) -> Result<Vec<(&'static str, String)>> {
    let mut paths = Vec::new();
    for key in ["groupby", "fields", "aggregates", "order", "orderby"] {
        let spec = match named.get(key) {
            Some(Value::String(text)) if matches!(key, "order" | "orderby") => {
                text.split(',').map(|t| t.split_whitespace().next().unwrap_or("").to_owned()).collect()
            }
            other => texts(key, other)?,
        };
        for one in spec {
            let (left, right) = one.split_once(':').unwrap_or((&one, ""));
            let path = right.split_once('(').map_or(left, |(_, inner)| inner.trim_end_matches(')'));
            if path.is_empty() || path == "__count" || path.ends_with("_count") && matches!(key, "order" | "orderby") {
                continue;
            }
            name::identifier(key, path)?;
            paths.push((if key == "groupby" { "groupby" } else { "fields" }, path.to_owned()));
        }
    }
    Ok(paths)
}

fn first_secret(model: &str, value: &Value, depth: usize) -> Option<String> {
    if depth > 16 {
        return None;
    }
    match value {
        Value::Object(map) => {
            map.iter().find_map(|(k, v)| if secret_like(model, k) { Some(k.clone()) } else { first_secret(model, v, depth + 1) })
        }
        Value::Array(list) => list.iter().find_map(|v| match v {
            Value::String(s) if depth == 0 && secret_like(model, s) => Some(s.clone()),
            other => first_secret(model, other, depth + 1),
        }),
        _ => None,
    }
}
fn withhold(model: &str, value: &mut Value, depth: usize) {
    if depth > 16 {
        return;
    }
    match value {
        Value::Object(map) => {
            map.retain(|k, v| !(secret_like(model, k) && v.is_string()));
            map.values_mut().for_each(|v| withhold(model, v, depth + 1));
        }
        Value::Array(list) => list.iter_mut().for_each(|v| withhold(model, v, depth + 1)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(method: &str, args: Value, kwargs: Value) -> Result<Map<String, Value>> {
        let Value::Array(args) = args else { panic!() };
        let Value::Object(kwargs) = kwargs else { panic!() };
        arguments(method, &[], args, kwargs)
    }

    #[test]
    fn arguments_get_their_names_whichever_way_they_come() {
        assert_eq!(
            Value::Object(given("search_read", json!([[], ["name"]]), json!({"limit": 3})).unwrap()),
            json!({"domain": [], "fields": ["name"], "limit": 3})
        );
        assert_eq!(
            Value::Object(given("search", json!([]), json!({"args": [["a", "=", 1]]})).unwrap()),
            json!({"domain": [["a", "=", 1]]})
        );
        for bad in [
            given("search", json!([[], 0, 1, "name", false, 3]), json!({})),
            given("search", json!([[]]), json!({"domain": []})),
            given("search", json!([]), json!({"context": {}})),
            given("get_metadata", json!([1]), json!({})),
            given("search_read", json!([]), json!({"load": ""})),
        ] {
            assert_eq!(bad.unwrap_err().code(), Code::InvalidArgument);
        }
    }

    #[test]
    fn every_field_of_a_grouping_is_seen() {
        let named = json!({"fields": ["amount:sum", "n:max(password)", "__count"], "groupby": ["date:month", "partner_id.country_id"], "orderby": "amount desc, __count"});
        let paths: Vec<String> = group_paths(named.as_object().unwrap()).unwrap().into_iter().map(|(_, p)| p).collect();
        assert_eq!(paths, ["date", "partner_id.country_id", "amount", "password", "amount"]);
    }
}
