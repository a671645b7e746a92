use std::collections::{BTreeMap, HashMap};

use backends::odoo::Record;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::search_read::columns;
use crate::{
    args::{Ids, Names},
    caps,
    contract::{self as tool, *},
};

/// Read records whose ids you know. Without `fields` the most useful ones are chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Read {
    model: String,
    ids: Ids,
    #[serde(default)]
    fields: Names,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Records {
    pub model: String,
    /// In the order of `ids`.
    pub records: Vec<Record>,
    pub count: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_ids: Vec<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_fields: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub fields: Vec<String>,
}
impl Answer for Records {
    const LIST: Option<&'static str> = Some("records");
    fn columns(&self) -> Vec<String> {
        columns(&self.fields)
    }
    fn affected(&self) -> Option<u64> {
        Some(self.records.len() as u64)
    }
}

/// The records in the order of the ids, and the ids that have none.
pub fn in_order(ids: &[i64], records: Vec<Record>) -> (Vec<Record>, Vec<i64>) {
    let mut by_id: HashMap<i64, Record> = records.into_iter().map(|r| (r.id(), r)).collect();
    let mut missing = Vec::new();
    let mut found = Vec::with_capacity(by_id.len());
    for id in ids {
        match by_id.remove(id) {
            Some(record) => found.push(record),
            None => missing.push(*id),
        }
    }
    (found, missing)
}

/// How missing ids are told: whether they were deleted or are hidden cannot be known.
pub fn missing_note(missing: &[i64]) -> Option<String> {
    let ids: Vec<String> = missing.iter().take(20).map(ToString::to_string).collect();
    let rest = missing.len().saturating_sub(20);
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    (!missing.is_empty()).then(|| format!("Not there (deleted, or not visible to this login): {}{more}.", ids.join(", ")))
}

impl ReadTool for Read {
    type Answer = Records;
    async fn call(self, cx: &ReadCx) -> Result<Records> {
        let odoo = cx.odoo()?;
        let ids = caps::named(odoo, &self.ids)?;
        let rows = odoo.read(&self.model, &ids, &self.fields.0).await?;
        let (records, missing_ids) = in_order(&ids, rows.records);
        Ok(Records {
            model: self.model,
            count: records.len(),
            records,
            notes: missing_note(&missing_ids).into_iter().collect(),
            missing_ids,
            skipped_fields: rows.skipped,
            fields: rows.fields,
        })
    }
}
pub const TOOL: Tool = tool::read::<Read>("Read records by id");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_ids_is_kept_and_missing_ones_are_named() {
        let records = [3, 1].map(|id| serde_json::from_value(serde_json::json!({"id": id})).unwrap());
        let (found, missing) = in_order(&[1, 2, 3], records.into());
        assert_eq!(found.iter().map(Record::id).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(missing, [2]);
        assert_eq!(missing_note(&missing).unwrap(), "Not there (deleted, or not visible to this login): 2.");
        assert_eq!(missing_note(&[]), None);
        assert!(missing_note(&(1..=25).collect::<Vec<_>>()).unwrap().ends_with("20 and 5 more."));
    }
}
