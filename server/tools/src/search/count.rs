use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::Domain,
    contract::{self as tool, *},
};

/// Count the records that match a domain, without fetching them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Count {
    model: String,
    #[serde(default)]
    domain: Domain,
    /// Stop counting here
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Counted {
    pub model: String,
    pub count: u64,
    /// Whether counting stopped at `limit`: there may be more.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub limit_reached: bool,
}
impl Answer for Counted {
    fn affected(&self) -> Option<u64> {
        Some(self.count)
    }
}
impl ReadTool for Count {
    type Answer = Counted;
    async fn call(self, cx: &ReadCx) -> Result<Counted> {
        if self.limit == Some(0) {
            return Err(refusal(Code::InvalidArgument, "limit: at least 1.").next("Leave it out to count all.").into());
        }
        let count = cx.odoo()?.search_count(&self.model, &self.domain.0, self.limit).await?;
        Ok(Counted { model: self.model, count, limit_reached: self.limit == Some(count) })
    }
}
pub const TOOL: Tool = tool::read::<Count>("Count records");
