use backends::files::Mode;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    changes::{self, Changed},
    contract::{self as tool, *},
};

/// Change an existing file of the instance's addons: as a whole, by a unified diff, or by lines put in; or take the last change of a path back. dry_run shows the diff.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileWrite {
    path: String,
    /// full_content, patch, insert_at_line; undo takes the last change of this path back, a creation, deletion or renaming too
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
            ("undo", ..) => Err(lacks("the path alone")),
            _ => Err(refusal(Code::InvalidArgument, "mode: there is no such mode.")
                .next("full_content, patch, insert_at_line or undo.")
                .into()),
        }
    }
}
impl FileWrite {
    fn takes_back(&self) -> bool {
        self.mode == "undo" && self.content.is_none() && self.patch.is_none() && self.line.is_none()
    }
}
impl WriteTool for FileWrite {
    type Answer = Changed;
    /// Taking a change back may delete or move what another has made.
    fn confirm(&self) -> bool {
        self.takes_back()
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        if self.takes_back() {
            let (kept, undo) = changes::last(cx, &self.path).await?;
            let mut plan = changes::plan("take the last change back:", cx.files()?.plan_undo(&undo).await?);
            plan.warnings.insert(
                0,
                format!("The change was made by the key {}, at {}.", kept.key_label, kernel::time_text(kept.created_at)),
            );
            return Ok(plan);
        }
        Ok(changes::plan("write", cx.files()?.plan_write(&self.path, self.mode()?).await?))
    }
    async fn call(self, cx: &WriteCx) -> Result<Changed> {
        if self.takes_back() {
            let (kept, undo) = changes::last(cx, &self.path).await?;
            let mut change = WriteCx::files(cx)?.undo(&undo).await?;
            // The change before it can be taken back next, not this.
            change.undo = None;
            if let Err(error) = WriteCx::file_undo(cx)?.forget(kept.id).await {
                tracing::error!(error = &error as &dyn std::error::Error, "a change that was taken back is still kept");
            }
            return Ok(change.into());
        }
        let mode = self.mode()?;
        changes::kept(cx, WriteCx::files(cx)?.write(&self.path, mode).await?).await
    }
}
pub const TOOL: Tool = tool::write::<FileWrite>("Change a file");
