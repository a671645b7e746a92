use schemars::JsonSchema;
use serde::Deserialize;

use super::write::plan_for;
use crate::{
    args::{Ids, Values},
    batch::{self, Batch, Done},
    contract::{self as tool, *},
};

/// Update up to 500 records with different values each; what fails does not undo the others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchUpdate {
    model: String,
    updates: Vec<Update>,
}
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Update {
    id: i64,
    values: Values,
}
impl WriteTool for BatchUpdate {
    type Answer = Batch;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        batch::size("updates", self.updates.len())?;
        let mut fields: Vec<String> = Vec::new();
        for name in self.updates.iter().flat_map(|u| u.values.0.keys()) {
            if !fields.contains(name) {
                fields.push(name.clone());
            }
        }
        cx.odoo()?.check_fields(&self.model, &fields).await?;
        let ids = Ids(self.updates.iter().map(|u| u.id).collect()).distinct();
        let mut refused = batch::Refused::default();
        for (i, update) in self.updates.iter().enumerate() {
            refused.note(i, cx.odoo()?.may_write(&self.model, &[update.id], &update.values.0).await)?;
        }
        let mut plan = plan_for(cx, "Would update", &self.model, &ids).await?;
        plan.warnings.extend(refused.among(self.updates.len())?);
        plan.summary = format!("{}, each on its own: {}", plan.summary, fields.join(", "));
        Ok(plan)
    }
    async fn call(self, cx: &WriteCx) -> Result<Batch> {
        batch::size("updates", self.updates.len())?;
        let (odoo, model) = (cx.odoo()?, self.model.as_str());
        let items = self.updates.into_iter().map(|u| (Some(u.id), u)).collect();
        batch::each(cx, model, items, |Update { id, values }| async move {
            odoo.write(model, &[id], values.0).await?;
            Ok(Done { id, ..Done::default() })
        })
        .await
    }
}
pub const TOOL: Tool = tool::write::<BatchUpdate>("Update many records");
