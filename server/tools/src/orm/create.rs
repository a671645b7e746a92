use std::collections::BTreeMap;

use backends::odoo::{ReadMethod, Reader, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value, json};

use super::write::Written;
use crate::{
    args::Values,
    batch,
    contract::{self as tool, *},
};

/// Create one record and get it back in full. For several use batch_create.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Create {
    model: String,
    /// Like {"name":"Acme","email":"a@b.c"}
    #[serde(deserialize_with = "one")]
    #[schemars(with = "Values")]
    values: Values,
}
fn one<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Values, D::Error> {
    match Value::deserialize(d)? {
        Value::Array(_) => Err(D::Error::custom("this is one object; use batch_create for a list of records")),
        Value::Null => Err(D::Error::custom("this is an object such as {\"name\": \"Acme\"}; {} creates a record of defaults")),
        other => serde_json::from_value(other).map_err(D::Error::custom),
    }
}

/// A record that is new; shared by the tools that make one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Created {
    pub model: String,
    pub id: i64,
    /// Absent when it could not be read back; `notes` tells why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<Record>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_fields: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Created {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
impl Created {
    pub async fn read_back(cx: &WriteCx, model: String, id: i64) -> Result<Self> {
        let Written { model, records, skipped_fields, notes, .. } = Written::read_back(cx, model, vec![id]).await?;
        Ok(Self { model, id, record: records.into_iter().next(), skipped_fields, notes })
    }
}

/// The plan of new records: the fields must exist, and what Odoo would miss is a warning.
pub async fn plan_new(cx: &ReadCx, model: &str, rows: &[&Map<String, Value>]) -> Result<Plan> {
    let odoo = cx.odoo()?;
    let mut fields: Vec<String> = Vec::new();
    for name in rows.iter().flat_map(|row| row.keys()) {
        if !fields.contains(name) {
            fields.push(name.clone());
        }
    }
    odoo.check_fields(model, &fields).await?;
    let mut refused = batch::Refused::default();
    for (i, row) in rows.iter().enumerate() {
        refused.note(i, odoo.may_create(model, row).await)?;
    }
    let missing = without_value(odoo, model, rows).await.unwrap_or_default();
    let warnings = (!missing.is_empty()).then(|| {
        format!(
            "Required, not given in every record and without a default: {}. Odoo would refuse these records.",
            missing.join(", ")
        )
    });
    let named = if fields.is_empty() { "defaults only".to_owned() } else { fields.join(", ") };
    Ok(Plan {
        summary: format!("Would create {} of {model}: {named}", crate::caps::records(rows.len())),
        affected: rows.len() as u64,
        examples: rows.iter().filter_map(|row| row.get("name")?.as_str().map(str::to_owned)).take(10).collect(),
        warnings: refused.among(rows.len())?.into_iter().chain(warnings).collect(),
        ids: Vec::new(),
    })
}
/// Required fields that some row does not give, that nothing computes and that Odoo has no default for.
async fn without_value(odoo: &Reader, model: &str, rows: &[&Map<String, Value>]) -> Result<Vec<String>> {
    let fields = odoo.fields(model).await?;
    let computed = |all: &Map<String, Value>| {
        all.get("depends").and_then(Value::as_array).is_some_and(|d| !d.is_empty())
            || all.get("related").is_some_and(|r| !r.is_null() && r != false)
    };
    let wanted: Vec<String> = fields
        .0
        .iter()
        .filter(|(name, f)| {
            f.required && f.store && !f.readonly && !computed(&f.all) && rows.iter().any(|row| !row.contains_key(*name))
        })
        .map(|(name, _)| name.clone())
        .collect();
    let (Some(default_get), false) = (ReadMethod::of("default_get"), wanted.is_empty()) else { return Ok(Vec::new()) };
    let defaults = odoo.ask(model, default_get, &[], vec![json!(wanted)], Map::new()).await?;
    let defaults: Map<String, Value> = serde_json::from_str(defaults.get()).unwrap_or_default();
    Ok(wanted.into_iter().filter(|name| !defaults.contains_key(name)).collect())
}

impl WriteTool for Create {
    type Answer = Created;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        plan_new(cx, &self.model, &[&self.values.0]).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Created> {
        let ids = cx.odoo()?.create(&self.model, vec![self.values.0]).await?;
        let id = created(&self.model, &ids)?;
        Created::read_back(cx, self.model, id).await
    }
}
/// The one id that a create gave. None means that something was done of which we do not know what.
pub fn created(model: &str, ids: &[i64]) -> Result<i64> {
    ids.first().copied().ok_or_else(|| {
        Fault::unknown(
            "Odoo answered the create without an id.",
            format!("Search {model} for the newest record (order \"id desc\")."),
        )
    })
}
pub const TOOL: Tool = tool::write::<Create>("Create a record");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_values_is_sent_to_batch_create() {
        let refused = |v: Value| serde_json::from_value::<Create>(v).unwrap_err().to_string();
        assert!(refused(json!({"model": "m", "values": [{"name": "a"}]})).contains("batch_create"));
        assert!(refused(json!({"model": "m", "values": null})).contains("Acme"));
        assert!(refused(json!({"model": "m", "values": 3})).contains("Acme"));
        assert!(serde_json::from_value::<Create>(json!({"model": "m", "values": {"name": "a"}})).is_ok());
    }
}
