use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    knowledge::{self, ShownFilter},
};

/// Saved searches of this instance, the most used first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListFilters {
    model: Option<String>,
    search: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub records: Vec<ShownFilter>,
    pub count: usize,
    pub notes: Vec<String>,
}
impl Answer for Listed {
    const LIST: Option<&'static str> = Some("records");
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
impl ReadTool for ListFilters {
    type Answer = Listed;
    async fn call(self, cx: &ReadCx) -> Result<Listed> {
        let mut notes = vec![knowledge::DATA.to_owned()];
        notes.extend(knowledge::blind(cx));
        let needle = knowledge::needle(self.search.as_deref());
        let mut found = knowledge::filters(cx).await?;
        found.retain(|f| {
            self.model.as_ref().is_none_or(|m| *m == f.model)
                && knowledge::holds(needle.as_deref(), [f.name.as_str(), &f.model, f.description.as_deref().unwrap_or_default()])
        });
        let records: Vec<ShownFilter> = found.into_iter().map(ShownFilter::from).collect();
        Ok(Listed { count: records.len(), records, notes })
    }
}
pub const TOOL: Tool = tool::read::<ListFilters>("List filters");
