use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    changes::{self, Changed},
    contract::{self as tool, *},
};

/// Delete a file of the instance's addons, or a directory with all that is in it. Always needs confirm; the plan tells how much it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDelete {
    path: String,
}
impl WriteTool for FileDelete {
    type Answer = Changed;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        Ok(changes::plan("delete", cx.files()?.plan_delete(&self.path, true).await?))
    }
    async fn call(self, cx: &WriteCx) -> Result<Changed> {
        changes::kept(cx, WriteCx::files(cx)?.delete(&self.path, true).await?).await
    }
}
pub const TOOL: Tool = tool::destructive::<FileDelete>("Delete a file");
