use schemars::JsonSchema;
use serde::Deserialize;
use store::knowledge::Filter;

use crate::{
    contract::{self as tool, *},
    knowledge::{self, Gone},
};

/// Delete a saved search for everybody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteFilter {
    name: Option<String>,
    filter_id: Option<String>,
}
impl DeleteFilter {
    async fn meant(&self, cx: &ReadCx) -> Result<Filter> {
        knowledge::filter(cx, knowledge::given(self.filter_id.as_ref()), knowledge::given(self.name.as_ref())).await
    }
}
impl WriteTool for DeleteFilter {
    type Answer = Gone;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let filter = self.meant(cx).await?;
        let mut plan = knowledge::deletion("filter", &filter.id, &filter.name);
        plan.warnings.push(format!("It is on {} and was run {} times.", filter.model, filter.use_count));
        Ok(plan)
    }
    async fn call(self, cx: &WriteCx) -> Result<Gone> {
        let filter = self.meant(cx).await?;
        if !cx.knowledge()?.delete_filter(&filter.id).await? {
            return Err(knowledge::unknown("filter", &filter.name, "list_filters"));
        }
        Ok(Gone { id: filter.id, deleted: true, name: filter.name })
    }
}
pub const TOOL: Tool = tool::destructive::<DeleteFilter>("Delete a filter");
