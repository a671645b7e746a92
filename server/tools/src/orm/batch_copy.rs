use schemars::JsonSchema;
use serde::Deserialize;

use super::copy::plan_copies;
use crate::{
    args::{Ids, Values},
    batch::{self, Batch, Done},
    contract::{self as tool, *},
};

/// Duplicate up to 500 records, each on its own, all with the same overrides in `default`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchCopy {
    model: String,
    ids: Ids,
    #[serde(default)]
    default: Values,
}
impl WriteTool for BatchCopy {
    type Answer = Batch;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        batch::size("ids", self.ids.0.len())?;
        plan_copies(cx, &self.model, &self.ids.0, &self.default).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Batch> {
        batch::size("ids", self.ids.0.len())?;
        let (odoo, model, default) = (cx.odoo()?, self.model.as_str(), &self.default.0);
        let items = self.ids.0.into_iter().map(|id| (Some(id), id)).collect();
        batch::each(cx, model, items, |id| async move {
            let new = odoo.copy(model, id, default.clone()).await?;
            Ok(Done { id: new, copy_of: Some(id), ..Done::default() })
        })
        .await
    }
}
pub const TOOL: Tool = tool::write::<BatchCopy>("Duplicate many records");
