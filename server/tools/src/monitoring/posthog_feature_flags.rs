use backends::posthog::Flag;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// PostHog: the project's feature flags with key, whether they are on, and for how many users.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeatureFlags {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Flags {
    pub flags: Vec<Flag>,
    pub count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Flags {
    const LIST: Option<&'static str> = Some("flags");
    fn affected(&self) -> Option<u64> {
        Some(self.flags.len() as u64)
    }
}
impl ReadTool for FeatureFlags {
    type Answer = Flags;
    async fn call(self, cx: &ReadCx) -> Result<Flags> {
        let (flags, count) = cx.posthog()?.flags().await?;
        let left = count.saturating_sub(flags.len() as u64);
        let notes = if left > 0 { vec![format!("{left} more are not listed: look at PostHog itself.")] } else { Vec::new() };
        Ok(Flags { flags, count, notes })
    }
}
pub const TOOL: Tool = tool::read::<FeatureFlags>("Feature flags (PostHog)");
