use kernel::knowledge::{MAX_BODY, MAX_NOTES, MAX_TITLE, Target, TargetType, line, text};
use schemars::JsonSchema;
use serde::Deserialize;
use store::knowledge::{Added, NewNote};

use crate::{
    args::Names,
    contract::{self as tool, *},
    knowledge::{self, Shown},
};

/// Keep what you learned about this instance, a model, record, field or module for later conversations. Shared with the
/// organization's other keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddNote {
    target_type: TargetType,
    /// sale.order | res.partner,42 | sale.order.x_field | sale_stock
    target: Option<String>,
    title: String,
    /// At most 2,000 characters
    body: String,
    #[serde(default)]
    tags: Names,
}
impl AddNote {
    async fn checked(&self, cx: &ReadCx) -> Result<NewNote> {
        let target = Target::parse(self.target_type, self.target.as_deref())?;
        knowledge::may_write_about(cx, &target).await?;
        Ok(NewNote {
            target,
            title: line("title", &self.title, MAX_TITLE)?,
            body: text("body", &self.body, MAX_BODY)?,
            tags: knowledge::plain_tags(&self.tags)?,
        })
    }
}
impl WriteTool for AddNote {
    type Answer = Shown;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let new = self.checked(cx).await?;
        let all = cx.knowledge()?.notes().await?;
        if all.len() >= MAX_NOTES {
            return Err(knowledge::full_of_notes(cx, &all).await);
        }
        let summary = format!("Would add the note \"{}\" about {}", new.title, new.target.words());
        Ok(Plan { summary, affected: 1, ..Plan::default() })
    }
    async fn call(self, cx: &WriteCx) -> Result<Shown> {
        match cx.knowledge()?.add_note(&self.checked(cx).await?).await? {
            Added::Done(note) => Ok(note.into()),
            Added::Full(all) => Err(knowledge::full_of_notes(cx, &all).await),
        }
    }
}
pub const TOOL: Tool = tool::write::<AddNote>("Add a note");
