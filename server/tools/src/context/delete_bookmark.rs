use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::{self as tool, *},
    knowledge::{self, Gone},
};

/// Delete a bookmark for everybody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteBookmark {
    bookmark_id: String,
}
impl WriteTool for DeleteBookmark {
    type Answer = Gone;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let bookmark = knowledge::bookmark(cx, &self.bookmark_id).await?;
        Ok(knowledge::deletion("bookmark", &bookmark.id, &bookmark.label))
    }
    async fn call(self, cx: &WriteCx) -> Result<Gone> {
        let bookmark = knowledge::bookmark(cx, &self.bookmark_id).await?;
        if !cx.knowledge()?.delete_bookmark(&bookmark.id).await? {
            return Err(knowledge::unknown("bookmark", &bookmark.id, "list_bookmarks"));
        }
        Ok(Gone { id: bookmark.id, deleted: true, name: bookmark.label })
    }
}
pub const TOOL: Tool = tool::destructive::<DeleteBookmark>("Delete a bookmark");
