use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    contract::{self as tool, *},
    knowledge::{self, Gone},
};

/// Delete a note for everybody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteNote {
    note_id: String,
}
impl WriteTool for DeleteNote {
    type Answer = Gone;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let note = knowledge::note(cx, &self.note_id).await?;
        Ok(knowledge::deletion("note", &note.id, &note.title))
    }
    async fn call(self, cx: &WriteCx) -> Result<Gone> {
        let note = knowledge::note(cx, &self.note_id).await?;
        if !cx.knowledge()?.delete_note(&note.id).await? {
            return Err(knowledge::unknown("note", &note.id, "list_notes"));
        }
        Ok(Gone { id: note.id, deleted: true, name: note.title })
    }
}
pub const TOOL: Tool = tool::destructive::<DeleteNote>("Delete a note");
