use schemars::JsonSchema;
use serde::Deserialize;

use super::write::plan_for;
use crate::{
    args::Ids,
    batch::{self, Batch, Done},
    contract::{self as tool, *},
};

/// Delete up to 500 records, each on its own: what fails does not undo the others. Use unlink for all or none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchDelete {
    model: String,
    ids: Ids,
}
impl BatchDelete {
    fn check(&self) -> Result<()> {
        batch::size("ids", self.ids.0.len())?;
        if self.ids.distinct().len() < self.ids.0.len() {
            return Err(refusal(Code::InvalidArgument, "ids names a record twice.").next("Name each record once.").into());
        }
        Ok(())
    }
}
impl WriteTool for BatchDelete {
    type Answer = Batch;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        self.check()?;
        let mut refused = batch::Refused::default();
        for (i, id) in self.ids.0.iter().enumerate() {
            refused.note(i, cx.odoo()?.may_delete(&self.model, &[*id]).await)?;
        }
        let mut plan = plan_for(cx, "Would delete, each on its own,", &self.model, &self.ids.0).await?;
        plan.warnings.extend(refused.among(self.ids.0.len())?);
        Ok(plan)
    }
    async fn call(self, cx: &WriteCx) -> Result<Batch> {
        self.check()?;
        let (odoo, model) = (cx.odoo()?, self.model.as_str());
        let items = self.ids.0.into_iter().map(|id| (Some(id), id)).collect();
        batch::each(cx, model, items, |id| async move {
            odoo.unlink(model, &[id]).await?;
            Ok(Done { id, ..Done::default() })
        })
        .await
    }
}
pub const TOOL: Tool = tool::destructive::<BatchDelete>("Delete many records");
