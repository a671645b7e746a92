use kernel::knowledge::{MAX_BODY, Target, text};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::{self as tool, *},
    knowledge::{self, Summarized},
};

/// Write the one summary of this instance: what it is for, what is special. Replaces the one before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetInstanceSummary {
    /// At most 2,000 characters; the first 400 count
    summary: String,
}
impl WriteTool for SetInstanceSummary {
    type Answer = Summarized;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        text("summary", &self.summary, MAX_BODY)?;
        knowledge::plan_summary(cx, &Target::instance()).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Summarized> {
        let body = text("summary", &self.summary, MAX_BODY)?;
        knowledge::set_summary(cx, &Target::instance(), &body).await
    }
}
pub const TOOL: Tool = tool::write::<SetInstanceSummary>("Set the summary of the instance");
