use kernel::knowledge::{MAX_BOOKMARK_NOTE, MAX_BOOKMARKS, MAX_LABEL, excerpt, full, line, tags, text};
use schemars::JsonSchema;
use serde::Deserialize;
use store::knowledge::{Added, CallCopy, NewBookmark};

use crate::{
    args::Names,
    contract::{self as tool, *},
    knowledge::{self, ShownBookmark},
};

/// Keep a call with its arguments and the head of its answer, to find it again. Without audit_log_id: the last successful call
/// before this one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BookmarkCall {
    label: String,
    note: Option<String>,
    #[serde(default)]
    tags: Names,
    /// One of your own calls here
    audit_log_id: Option<String>,
}
impl BookmarkCall {
    async fn checked(&self, cx: &ReadCx) -> Result<NewBookmark> {
        let label = line("label", &self.label, MAX_LABEL)?;
        let note = knowledge::given(self.note.as_ref()).map(|n| text("note", n, MAX_BOOKMARK_NOTE)).transpose()?;
        let tags = tags(&self.tags.0)?;
        Ok(NewBookmark { call: self.meant(cx).await?, label, note, tags })
    }
    async fn meant(&self, cx: &ReadCx) -> Result<CallCopy> {
        let knowledge = cx.knowledge()?;
        let Some(id) = knowledge::given(self.audit_log_id.as_ref()) else {
            let last = knowledge.last_call(cx.now()).await?;
            return last.ok_or_else(|| {
                refusal(Code::NotFound, "No call of this session on this instance went well before this one.")
                    .next("Make the call first, or give its audit_log_id.")
                    .into()
            });
        };
        match knowledge.call(id).await? {
            None => {
                let shown: String = id.chars().take(60).collect();
                Err(refusal(Code::NotFound, format!("There is no call \"{shown}\" of this key on this instance."))
                    .next("Leave audit_log_id out to keep the last call of this session.")
                    .into())
            }
            Some(call) if call.state == "begun" => {
                Err(refusal(Code::Busy, "This call is still running.").next("Bookmark it when it has ended.").into())
            }
            Some(call) => Ok(call),
        }
    }
}
fn too_many(cx: &ReadCx, all: Vec<store::knowledge::Bookmark>) -> Fault {
    let old = all.into_iter().rev().filter_map(|b| knowledge::shown(cx, b)).take(3);
    full("bookmarks", MAX_BOOKMARKS, &old.map(|b| format!("{} \"{}\"", b.id, excerpt(&b.label, 60))).collect::<Vec<_>>()).into()
}
impl WriteTool for BookmarkCall {
    type Answer = ShownBookmark;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let new = self.checked(cx).await?;
        let all = cx.knowledge()?.bookmarks().await?;
        if all.len() >= MAX_BOOKMARKS {
            return Err(too_many(cx, all));
        }
        Ok(Plan {
            summary: format!("Would bookmark a call of {} as \"{}\"", new.call.tool, new.label),
            affected: 1,
            examples: vec![excerpt(&new.call.arguments, 200)],
            ..Plan::default()
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<ShownBookmark> {
        let new = self.checked(cx).await?;
        match cx.knowledge()?.add_bookmark(&new).await? {
            Added::Done(bookmark) => {
                let id = bookmark.id.clone();
                // A key that was limited after the call does not see the call any more.
                knowledge::shown(cx, bookmark).ok_or_else(|| knowledge::unknown("bookmark", &id, "list_bookmarks"))
            }
            Added::Full(all) => Err(too_many(cx, all)),
        }
    }
}
pub const TOOL: Tool = tool::write::<BookmarkCall>("Bookmark a call");
