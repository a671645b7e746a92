use kernel::knowledge::{MAX_BODY, Target, text};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::{self as tool, *},
    knowledge::{self, Summarized},
};

/// Write the one summary of a model: what it is used for here, its custom fields. Replaces the one before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetModelSummary {
    model: String,
    /// At most 2,000 characters; the first 150 count
    summary: String,
}
impl SetModelSummary {
    fn checked(&self) -> Result<(Target, String)> {
        Ok((Target::model(&self.model)?, text("summary", &self.summary, MAX_BODY)?))
    }
}
impl WriteTool for SetModelSummary {
    type Answer = Summarized;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        knowledge::plan_summary(cx, &self.checked()?.0).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Summarized> {
        let (target, body) = self.checked()?;
        knowledge::set_summary(cx, &target, &body).await
    }
}
pub const TOOL: Tool = tool::write::<SetModelSummary>("Set the summary of a model");
