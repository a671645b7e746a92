use backends::files::{Content, Encoding};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::Deserialize;

use super::file_read::encoding;
use crate::{
    changes::{self, Changed},
    contract::{self as tool, *},
};

/// Make a new file or directory in the instance's addons, with the directories on the way. What is there already is not replaced.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileCreate {
    path: String,
    /// Empty unless given
    content: Option<String>,
    /// Of content: text (default) or base64
    encoding: Option<String>,
    /// true makes a directory
    #[serde(default)]
    is_directory: bool,
}
impl FileCreate {
    fn content(&self) -> Result<Content> {
        let text = self.content.as_deref().unwrap_or_default();
        if self.is_directory {
            if !text.is_empty() {
                return Err(refusal(Code::InvalidArgument, "A directory has no content.")
                    .next("Leave content or is_directory out.")
                    .into());
            }
            return Ok(Content::Directory);
        }
        Ok(Content::File(match encoding(self.encoding.as_deref())? {
            Encoding::Text => text.as_bytes().to_vec(),
            Encoding::Base64 => STANDARD.decode(text.split_whitespace().collect::<String>()).map_err(|_| {
                refusal(Code::InvalidArgument, "content is not base64.").next("Use the standard alphabet with padding.")
            })?,
        }))
    }
}
impl WriteTool for FileCreate {
    type Answer = Changed;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        Ok(changes::plan("create", cx.files()?.plan_create(&self.path, self.content()?).await?))
    }
    async fn call(self, cx: &WriteCx) -> Result<Changed> {
        let content = self.content()?;
        changes::kept(cx, WriteCx::files(cx)?.create(&self.path, content).await?).await
    }
}
pub const TOOL: Tool = tool::write::<FileCreate>("Create a file");
