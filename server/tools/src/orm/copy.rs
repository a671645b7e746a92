use schemars::JsonSchema;
use serde::Deserialize;

use super::{create::Created, write::plan_for};
use crate::{
    args::{Ids, Values},
    batch,
    contract::{self as tool, *},
};

/// Duplicate a record, with other values where `default` gives them, and get the new one back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    model: String,
    id: i64,
    /// Like {"name":"Copy"}
    #[serde(default)]
    default: Values,
}
/// The plan of copies: the records must be there, and the overridden fields must exist.
pub async fn plan_copies(cx: &ReadCx, model: &str, ids: &[i64], default: &Values) -> Result<Plan> {
    let fields: Vec<String> = default.0.keys().cloned().collect();
    let mut refused = batch::Refused::default();
    for (i, id) in ids.iter().enumerate() {
        refused.note(i, cx.odoo()?.may_copy(model, *id, &default.0).await)?;
    }
    let mut plan = plan_for(cx, "Would duplicate", model, &Ids(ids.to_vec()).distinct()).await?;
    plan.warnings.extend(refused.among(ids.len())?);
    if !fields.is_empty() {
        plan.summary = format!("{}, with other values for {}", plan.summary, fields.join(", "));
    }
    Ok(plan)
}
impl WriteTool for Copy {
    type Answer = Created;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        plan_copies(cx, &self.model, &[self.id], &self.default).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Created> {
        let id = cx.odoo()?.copy(&self.model, self.id, self.default.0).await?;
        Created::read_back(cx, self.model, id).await
    }
}
pub const TOOL: Tool = tool::write::<Copy>("Duplicate a record");
