use backends::files::{Encoding, ReadOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// Read a file of the instance's addons, as text or in base64. 100 KB of it unless max_response_size says more; the answer says how to go on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRead {
    path: String,
    /// From 1
    start_line: Option<u64>,
    /// The last line that is wanted
    end_line: Option<u64>,
    /// text (default) or base64
    encoding: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Content {
    pub path: String,
    pub content: String,
    /// text or base64.
    pub encoding: &'static str,
    /// Bytes of the whole file.
    pub size: u64,
    /// Of the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_line: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_line: Option<u64>,
    /// Where to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_line: Option<u64>,
    /// Whether the wanted part did not fit.
    pub more: bool,
    /// SHA-256 of the whole file.
    pub version: String,
}
impl Answer for Content {}

pub fn encoding(text: Option<&str>) -> Result<Encoding> {
    match text {
        None | Some("text" | "utf-8" | "utf8") => Ok(Encoding::Text),
        Some("base64") => Ok(Encoding::Base64),
        Some(_) => {
            Err(refusal(Code::InvalidArgument, "encoding: text or base64.").next("Binary files are read as base64.").into())
        }
    }
}
/// Bytes of one answer.
const MOST: usize = 100 << 10;

impl ReadTool for FileRead {
    type Answer = Content;
    async fn call(self, cx: &ReadCx) -> Result<Content> {
        let encoding = encoding(self.encoding.as_deref())?;
        let options = ReadOptions { first_line: self.start_line, last_line: self.end_line, offset: None, encoding, max: MOST };
        let read = cx.files()?.read(&self.path, &options).await?;
        Ok(Content {
            path: read.path,
            content: read.content,
            encoding: if read.encoding == Encoding::Base64 { "base64" } else { "text" },
            size: read.size,
            lines: read.lines,
            first_line: read.first_line,
            last_line: read.last_line,
            next_line: read.next_line,
            more: read.truncated,
            version: read.version,
        })
    }
}
// Base64 is a third longer, and JSON escapes what it must.
pub const TOOL: Tool = tool::read::<FileRead>("Read a file").response_kb(256);
