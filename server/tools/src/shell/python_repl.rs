use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::{self as tool, *},
    python::{self, Ran},
};

/// Run Python as typed at the prompt of the instance's `odoo shell`: the value of every expression is printed. Each call is a new session; nothing stays for the next. Rolled back unless env.cr.commit() is called.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PythonRepl {
    /// Python, one statement a line as at a prompt
    code: String,
}
impl WriteTool for PythonRepl {
    type Answer = Ran;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        python::plan(cx, &[&self.code])
    }
    async fn call(self, cx: &WriteCx) -> Result<Ran> {
        python::checked(&[&self.code])?;
        Ok(WriteCx::container(cx)?.execute(&self.code, true).await?.into())
    }
}
pub const TOOL: Tool = tool::write::<PythonRepl>("Python prompt in Odoo's shell");
