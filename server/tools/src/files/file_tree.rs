use schemars::JsonSchema;
use serde::Deserialize;

use super::file_browse::Files;
use crate::contract::{self as tool, *};

/// List a directory of the instance's addons with what is below it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileTree {
    path: String,
    /// Levels, default and at most 3
    depth: Option<u8>,
}
/// Entries of one answer.
const MOST: usize = 1_000;
impl ReadTool for FileTree {
    type Answer = Files;
    async fn call(self, cx: &ReadCx) -> Result<Files> {
        let depth = self.depth.unwrap_or(3);
        if !(1..=3).contains(&depth) {
            return Err(refusal(Code::InvalidArgument, "depth: 1 to 3.")
                .next("Look into a directory further down instead.")
                .into());
        }
        Ok(cx.files()?.tree(&self.path, depth, MOST).await?.into())
    }
}
pub const TOOL: Tool = tool::read::<FileTree>("Tree of files");
