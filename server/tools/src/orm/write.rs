use std::collections::BTreeMap;

use backends::odoo::{Reader, Record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::read::{in_order, missing_note};
use crate::{
    args::{Ids, Values},
    caps,
    contract::{self as tool, *},
};

/// Update records by id with the same values, and get them back. For different values per record use batch_update.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    model: String,
    ids: Ids,
    values: Values,
}

/// Records after a write.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Written {
    pub model: String,
    pub ids: Vec<i64>,
    pub records: Vec<Record>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_fields: BTreeMap<String, String>,
    /// Why the records are not shown, although the write is done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Written {
    const LIST: Option<&'static str> = Some("records");
    fn affected(&self) -> Option<u64> {
        Some(self.ids.len() as u64)
    }
}
impl Written {
    /// Reads back what was written. The write is done: a read that fails is a note, never an error.
    pub async fn read_back(cx: &WriteCx, model: String, ids: Vec<i64>) -> Result<Self> {
        let mut written = Self { model, ids, records: Vec::new(), skipped_fields: BTreeMap::new(), notes: Vec::new() };
        match cx.odoo()?.read(&written.model, &written.ids, &[]).await {
            Ok(rows) => {
                let (records, missing) = in_order(&written.ids, rows.records);
                written.records = records;
                written.skipped_fields = rows.skipped;
                written.notes.extend(missing_note(&missing).map(|n| format!("The write is done. {n}")));
            }
            Err(fault) => {
                let why = fault.public();
                written.notes.push(format!("The write is done, but the records could not be read back: {}", why.message));
            }
        }
        Ok(written)
    }
}

/// The plan of a write to records that exist: how many there are, and which ids do not.
pub async fn plan_for(cx: &ReadCx, verb: &str, model: &str, ids: &[i64]) -> Result<Plan> {
    let names = cx.odoo()?.names(model, ids).await?;
    let missing: Vec<i64> = ids.iter().copied().filter(|id| !names.iter().any(|(found, _)| found == id)).collect();
    Ok(Plan {
        summary: format!("{verb} {} of {model}", caps::records(names.len())),
        affected: names.len() as u64,
        examples: names.iter().take(10).map(|(id, name)| format!("{name} (id {id})")).collect(),
        warnings: missing_note(&missing).into_iter().collect(),
        ids: names.iter().map(|(id, _)| *id).collect(),
    })
}

impl WriteTool for Write {
    type Answer = Written;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let ids = self.check(cx.odoo()?)?;
        let fields: Vec<String> = self.values.0.keys().cloned().collect();
        cx.odoo()?.may_write(&self.model, &ids, &self.values.0).await?;
        let mut plan = plan_for(cx, "Would update", &self.model, &ids).await?;
        plan.summary = format!("{}: {}", plan.summary, fields.join(", "));
        Ok(plan)
    }
    async fn call(self, cx: &WriteCx) -> Result<Written> {
        let odoo = cx.odoo()?;
        let ids = self.check(odoo)?;
        odoo.write(&self.model, &ids, self.values.0).await?;
        Written::read_back(cx, self.model, ids).await
    }
}
impl Write {
    fn check(&self, odoo: &Reader) -> Result<Vec<i64>> {
        if self.values.0.is_empty() {
            return Err(refusal(Code::InvalidArgument, "values is empty.")
                .next("Name at least one field and its new value.")
                .into());
        }
        caps::named(odoo, &self.ids)
    }
}
pub const TOOL: Tool = tool::write::<Write>("Update records");
