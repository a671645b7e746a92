use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::write::plan_for;
use crate::{
    args::Ids,
    caps,
    contract::{self as tool, *},
};

/// Delete records by id, all or none. Cannot be undone; archiving (write active=false) can.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unlink {
    model: String,
    ids: Ids,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deleted {
    pub model: String,
    pub deleted: usize,
    pub ids: Vec<i64>,
}
impl Answer for Deleted {
    fn affected(&self) -> Option<u64> {
        Some(self.deleted as u64)
    }
}
impl WriteTool for Unlink {
    type Answer = Deleted;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let ids = caps::named(cx.odoo()?, &self.ids)?;
        cx.odoo()?.may_delete(&self.model, &ids).await?;
        plan_for(cx, "Would delete", &self.model, &ids).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Deleted> {
        let odoo = cx.odoo()?;
        let ids = caps::named(odoo, &self.ids)?;
        odoo.unlink(&self.model, &ids).await?;
        Ok(Deleted { model: self.model, deleted: ids.len(), ids })
    }
}
pub const TOOL: Tool = tool::destructive::<Unlink>("Delete records");
