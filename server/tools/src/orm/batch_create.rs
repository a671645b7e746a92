use schemars::JsonSchema;
use serde::Deserialize;

use super::create::{created, plan_new};
use crate::{
    args::ValuesList,
    batch::{self, Batch, Done},
    contract::{self as tool, *},
};

/// Create up to 500 records, each on its own: what fails does not undo the others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchCreate {
    model: String,
    values_list: ValuesList,
}
impl WriteTool for BatchCreate {
    type Answer = Batch;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        batch::size("values_list", self.values_list.0.len())?;
        let rows: Vec<_> = self.values_list.0.iter().map(|v| &v.0).collect();
        plan_new(cx, &self.model, &rows).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Batch> {
        batch::size("values_list", self.values_list.0.len())?;
        let (odoo, model) = (cx.odoo()?, self.model.as_str());
        let items = self.values_list.0.into_iter().map(|v| (None, v.0)).collect();
        batch::each(cx, model, items, |values| async move {
            let ids = odoo.create(model, vec![values]).await?;
            Ok(Done { id: created(model, &ids)?, ..Done::default() })
        })
        .await
    }
}
pub const TOOL: Tool = tool::write::<BatchCreate>("Create many records");
