use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::{self as tool, *},
    python::{self, Ran},
};

/// Run Python in the instance's `odoo shell`, with env. Rolled back at the end unless the code calls env.cr.commit(). The value of a last expression is given back. No access rights hold there: prefer the tools of search and orm where they can do it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecuteShell {
    /// Python, as in a file
    code: String,
}
impl WriteTool for ExecuteShell {
    type Answer = Ran;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        python::plan(cx, &[&self.code])
    }
    async fn call(self, cx: &WriteCx) -> Result<Ran> {
        python::checked(&[&self.code])?;
        Ok(WriteCx::container(cx)?.execute(&self.code, false).await?.into())
    }
}
pub const TOOL: Tool = tool::write::<ExecuteShell>("Run Python in Odoo's shell");
