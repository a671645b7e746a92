use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    changes::{self, Changed},
    contract::{self as tool, *},
};

/// Move or rename a file or directory within one addons folder of the instance. Nothing is replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileMove {
    path: String,
    new_path: String,
}
impl WriteTool for FileMove {
    type Answer = Changed;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        Ok(changes::plan("move", cx.files()?.plan_rename(&self.path, &self.new_path).await?))
    }
    async fn call(self, cx: &WriteCx) -> Result<Changed> {
        changes::kept(cx, WriteCx::files(cx)?.rename(&self.path, &self.new_path).await?).await
    }
}
pub const TOOL: Tool = tool::write::<FileMove>("Move a file");
