use kernel::knowledge::{MAX_NOTES, TargetType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list_bookmarks::MOST;
use crate::{
    contract::{self as tool, *},
    knowledge::{self, Shown},
};

/// How many plain notes an answer gives when nobody says.
const DEFAULT: usize = 50;

/// Load what is known about this instance: summaries, notes, saved filters, bookmarks. Call it first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetContext {
    /// Of notes and of bookmarks; default 50
    limit: Option<u64>,
}
/// Enough of a filter to run it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Runnable {
    pub name: String,
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub is_default: bool,
}
/// Enough of a bookmark to find it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Marked {
    pub id: String,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    pub tool: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<String>,
    pub called_at: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Context {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_summary: Option<Shown>,
    pub model_summaries: Vec<Shown>,
    pub other_notes: Vec<Shown>,
    pub filters: Vec<Runnable>,
    pub bookmarks: Vec<Marked>,
    pub notes: Vec<String>,
}
impl Answer for Context {
    fn affected(&self) -> Option<u64> {
        Some((usize::from(self.instance_summary.is_some()) + self.model_summaries.len() + self.other_notes.len()) as u64)
    }
}
impl ReadTool for GetContext {
    type Answer = Context;
    async fn call(self, cx: &ReadCx) -> Result<Context> {
        let mut notes = vec![knowledge::DATA.to_owned()];
        let limit = knowledge::limit(self.limit, DEFAULT, MAX_NOTES, &mut notes)?;
        notes.extend(knowledge::blind(cx));
        let (summaries, mut others): (Vec<_>, Vec<_>) = knowledge::notes(cx).await?.into_iter().partition(|n| n.is_summary);
        let (of_instance, of_models): (Vec<_>, Vec<_>) =
            summaries.into_iter().partition(|n| n.target.kind() == TargetType::Instance);
        let mut more = |list: &str, tool: &str, all: usize, shown: usize| {
            if all > shown {
                notes.push(format!("{list}: {shown} of {all}; {tool} shows the others."));
            }
        };
        more("other_notes", "list_notes", others.len(), limit);
        others.truncate(limit);
        let mut bookmarks = knowledge::bookmarks(cx).await?;
        more("bookmarks", "list_bookmarks", bookmarks.len(), limit.min(MOST));
        bookmarks.truncate(limit.min(MOST));
        Ok(Context {
            instance_summary: of_instance.into_iter().next().map(Shown::from),
            model_summaries: of_models.into_iter().map(Shown::from).collect(),
            other_notes: others.into_iter().map(Shown::from).collect(),
            filters: knowledge::filters(cx)
                .await?
                .into_iter()
                .map(|f| Runnable { name: f.name, model: f.model, description: f.description, is_default: f.is_default })
                .collect(),
            bookmarks: bookmarks
                .into_iter()
                .map(|b| Marked {
                    id: b.id,
                    label: b.label,
                    note: b.note,
                    tool: b.tool,
                    arguments: b.arguments.map(|a| kernel::knowledge::excerpt(&a, 300)),
                    called_at: b.called_at,
                })
                .collect(),
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<GetContext>("Load the knowledge of an instance");
