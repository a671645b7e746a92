use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::List,
    contract::{self as tool, *},
    python::{self, Ran},
};

/// Run several pieces of Python one after the other in one `odoo shell`: names and the transaction carry over. Stops at the first that fails. Rolled back at the end unless one calls env.cr.commit().
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecuteShellMulti {
    /// Pieces of Python, at most 20
    commands: List,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Multi {
    /// In order, as far as they were run.
    pub results: Vec<Ran>,
    /// Pieces that were not reached.
    pub not_run: usize,
}
impl Answer for Multi {
    const LIST: Option<&'static str> = Some("results");
}
impl ExecuteShellMulti {
    fn pieces(&self) -> Result<Vec<&str>> {
        let pieces: Option<Vec<&str>> = self.commands.0.iter().map(serde_json::Value::as_str).collect();
        pieces.ok_or_else(|| {
            refusal(Code::InvalidArgument, "commands is a list of texts.").next("Give each piece of Python as a text.").into()
        })
    }
}
impl WriteTool for ExecuteShellMulti {
    type Answer = Multi;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        python::plan(cx, &self.pieces()?)
    }
    async fn call(self, cx: &WriteCx) -> Result<Multi> {
        let pieces = self.pieces()?;
        python::checked(&pieces)?;
        let pieces: Vec<String> = pieces.into_iter().map(str::to_owned).collect();
        let ran = WriteCx::container(cx)?.execute_multi(&pieces, false).await?;
        let not_run = pieces.len().saturating_sub(ran.len());
        Ok(Multi { results: ran.into_iter().map(Ran::from).collect(), not_run })
    }
}
pub const TOOL: Tool = tool::write::<ExecuteShellMulti>("Run several pieces of Python");
