use std::collections::BTreeMap;

use backends::odoo::Record;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::Values,
    contract::{self as tool, *},
};

/// Update records by id with the same values, and get them back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    model: String,
    ids: Vec<i64>,
    values: Values,
}

/// Records after a write; shared by the tools that create and update.
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
    pub async fn read_back(cx: &WriteCx, model: String, ids: Vec<i64>, fields: &[String]) -> Result<Self> {
        let mut written = Self { model, ids, records: Vec::new(), skipped_fields: BTreeMap::new(), notes: Vec::new() };
        match cx.odoo()?.read(&written.model, &written.ids, fields).await {
            Ok(rows) => {
                written.records = rows.records;
                written.skipped_fields = rows.skipped;
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
    if ids.is_empty() {
        return Err(refusal(Code::InvalidArgument, "ids is empty.").next("Name at least one record.").into());
    }
    let names = cx.odoo()?.names(model, ids).await?;
    let missing: Vec<String> = ids.iter().filter(|id| !names.iter().any(|(found, _)| found == *id)).map(ToString::to_string).collect();
    let mut warnings = Vec::new();
    if !missing.is_empty() {
        warnings.push(format!("Not there (deleted, or not visible to this login): {}", missing.join(", ")));
    }
    Ok(Plan {
        summary: format!("{verb} {} of {model}", if names.len() == 1 { "1 record".to_owned() } else { format!("{} records", names.len()) }),
        affected: names.len() as u64,
        examples: names.iter().take(10).map(|(id, name)| format!("{name} (id {id})")).collect(),
        warnings,
        ids: names.iter().map(|(id, _)| *id).collect(),
    })
}

impl WriteTool for Write {
    type Answer = Written;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let fields: Vec<String> = self.values.0.keys().cloned().collect();
        cx.odoo()?.check_fields(&self.model, &fields).await?;
        let mut plan = plan_for(cx, "Would update", &self.model, &self.ids).await?;
        plan.summary = format!("{}: {}", plan.summary, fields.join(", "));
        Ok(plan)
    }
    async fn call(self, cx: &WriteCx) -> Result<Written> {
        if self.ids.is_empty() || self.values.0.is_empty() {
            return Err(refusal(Code::InvalidArgument, "ids and values must not be empty.").next("Name at least one record and one field.").into());
        }
        cx.odoo()?.write(&self.model, &self.ids, self.values.0).await?;
        Written::read_back(cx, self.model, self.ids, &[]).await
    }
}
pub const TOOL: Tool = tool::write::<Write>("Update records");
