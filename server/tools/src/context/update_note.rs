use kernel::knowledge::{MAX_BODY, MAX_TITLE, line, tags, text};
use schemars::JsonSchema;
use serde::Deserialize;
use store::knowledge::{Note, NoteChange};

use crate::{
    args::Names,
    contract::{self as tool, *},
    knowledge::{self, Shown},
};

/// Change a note; what is left out stays.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateNote {
    note_id: String,
    title: Option<String>,
    body: Option<String>,
    tags: Option<Names>,
}
impl UpdateNote {
    async fn checked(&self, cx: &ReadCx) -> Result<(Note, NoteChange)> {
        if self.title.is_none() && self.body.is_none() && self.tags.is_none() {
            return Err(refusal(Code::InvalidArgument, "Nothing to change is given.").next("Give title, body or tags.").into());
        }
        let note = knowledge::note(cx, &self.note_id).await?;
        let tags = self.tags.as_ref().map(|t| tags(&t.0).and_then(|t| note.retagged(t))).transpose()?;
        let change = NoteChange {
            title: self.title.as_deref().map(|t| line("title", t, MAX_TITLE)).transpose()?,
            body: self.body.as_deref().map(|t| text("body", t, MAX_BODY)).transpose()?,
            tags,
        };
        Ok((note, change))
    }
}
impl WriteTool for UpdateNote {
    type Answer = Shown;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let (note, change) = self.checked(cx).await?;
        let mut warnings = Vec::new();
        if note.approved.is_some() && (change.title.is_some() || change.body.is_some()) {
            warnings.push("A person stands for the present text; another text needs a new approval.".to_owned());
        }
        Ok(Plan { summary: format!("Would change the note \"{}\"", note.title), affected: 1, warnings, ..Plan::default() })
    }
    async fn call(self, cx: &WriteCx) -> Result<Shown> {
        let (note, change) = self.checked(cx).await?;
        let changed = cx.knowledge()?.edit_note(&note.id, &change).await?;
        // Somebody deleted it a moment ago.
        changed.map(Shown::from).ok_or_else(|| knowledge::unknown("note", &note.id, "list_notes"))
    }
}
pub const TOOL: Tool = tool::write::<UpdateNote>("Change a note");
