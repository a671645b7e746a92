use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::Names,
    contract::{self as tool, *},
    knowledge::{self, ShownBookmark},
};

/// The most that one call gives.
pub const MOST: usize = 50;

/// Bookmarked calls on this instance, the newest first, at most 50.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBookmarks {
    /// All of them
    #[serde(default)]
    tags: Names,
    search: Option<String>,
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub records: Vec<ShownBookmark>,
    pub count: usize,
    pub total: usize,
    pub notes: Vec<String>,
}
impl Answer for Listed {
    const LIST: Option<&'static str> = Some("records");
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
impl ReadTool for ListBookmarks {
    type Answer = Listed;
    async fn call(self, cx: &ReadCx) -> Result<Listed> {
        let mut notes = vec![knowledge::DATA.to_owned()];
        let limit = knowledge::limit(self.limit, MOST, MOST, &mut notes)?;
        let (needle, tags) = (knowledge::needle(self.search.as_deref()), knowledge::wanted(&self.tags));
        let mut found = knowledge::bookmarks(cx).await?;
        // Only what is shown is searched.
        found.retain(|b| {
            let texts = [Some(&b.label), b.note.as_ref(), Some(&b.tool), b.arguments.as_ref(), b.result_summary.as_ref()];
            knowledge::tagged(&b.tags, &tags)
                && knowledge::holds(needle.as_deref(), texts.into_iter().flatten().map(String::as_str))
        });
        let total = found.len();
        found.truncate(limit);
        if found.iter().any(|b| b.arguments.is_none()) {
            notes.push("This key is restricted: what other keys asked and were told is left out.".to_owned());
        }
        Ok(Listed { count: found.len(), records: found, total, notes })
    }
}
pub const TOOL: Tool = tool::read::<ListBookmarks>("List bookmarks");
