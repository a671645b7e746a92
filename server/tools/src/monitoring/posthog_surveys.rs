use backends::posthog::Survey;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// PostHog: the project's surveys with name, type, status (draft, running, complete, archived) and number of responses.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Surveys {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub surveys: Vec<Survey>,
    pub count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Listed {
    const LIST: Option<&'static str> = Some("surveys");
    fn affected(&self) -> Option<u64> {
        Some(self.surveys.len() as u64)
    }
}
impl ReadTool for Surveys {
    type Answer = Listed;
    async fn call(self, cx: &ReadCx) -> Result<Listed> {
        let reader = cx.posthog()?;
        let (mut surveys, count) = reader.surveys().await?;
        let mut notes = Vec::new();
        // The list is worth something without them, and older PostHogs do not tell keys.
        if !surveys.is_empty() {
            match reader.survey_responses().await {
                Ok(counts) => {
                    for survey in &mut surveys {
                        survey.responses = Some(counts.get(&survey.id).copied().unwrap_or(0));
                    }
                }
                Err(fault) => notes.push(format!("Responses could not be counted: {}", fault.public().message)),
            }
        }
        let left = count.saturating_sub(surveys.len() as u64);
        if left > 0 {
            notes.push(format!("{left} more are not listed: look at PostHog itself."));
        }
        Ok(Listed { surveys, count, notes })
    }
}
pub const TOOL: Tool = tool::read::<Surveys>("Surveys (PostHog)");
