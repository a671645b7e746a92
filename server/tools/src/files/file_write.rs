use backends::files::Mode;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    changes::{self, Changed},
    contract::{self as tool, *},
};

/// Change an existing file of the instance's addons: as a whole, by a unified diff, or by lines put in. dry_run shows the diff.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileWrite {
    path: String,
    /// full_content, patch or insert_at_line
    mode: String,
    /// For full_content and insert_at_line
    content: Option<String>,
    /// For patch: a unified diff of this one file
    patch: Option<String>,
    /// For insert_at_line: before this line, from 1; one more than the last appends
    line: Option<u64>,
}
impl FileWrite {
    fn mode(&self) -> Result<Mode> {
        let lacks = |what: &str| {
            refusal(Code::InvalidArgument, format!("mode {} takes {what}.", self.mode))
                .next("Give it, and leave the others out.")
                .into()
        };
        match (self.mode.as_str(), &self.content, &self.patch, self.line) {
            ("full_content", Some(content), None, None) => Ok(Mode::Full(content.clone().into_bytes())),
            ("full_content", ..) => Err(lacks("content, and neither patch nor line")),
            ("patch", None, Some(patch), None) => Ok(Mode::Patch(patch.clone())),
            ("patch", ..) => Err(lacks("patch, and neither content nor line")),
            ("insert_at_line", Some(content), None, Some(line)) => Ok(Mode::Insert { line, content: content.clone() }),
            ("insert_at_line", ..) => Err(lacks("content and line, and no patch")),
            _ => Err(refusal(Code::InvalidArgument, "mode: there is no such mode.")
                .next("full_content, patch or insert_at_line.")
                .into()),
        }
    }
}
impl WriteTool for FileWrite {
    type Answer = Changed;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        Ok(changes::plan("write", cx.files()?.plan_write(&self.path, self.mode()?).await?))
    }
    async fn call(self, cx: &WriteCx) -> Result<Changed> {
        let mode = self.mode()?;
        Ok(WriteCx::files(cx)?.write(&self.path, mode).await?.into())
    }
}
pub const TOOL: Tool = tool::write::<FileWrite>("Change a file");
