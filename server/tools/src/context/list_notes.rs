use kernel::knowledge::{MAX_NOTES, Target, TargetType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use store::knowledge::Note;

use crate::{
    args::Names,
    contract::{self as tool, *},
    knowledge::{self, Shown},
};

/// How many notes an answer gives when nobody says.
const DEFAULT: usize = 50;

/// Notes about this instance, the last changed first. A target without target_type finds all that is about that model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListNotes {
    target_type: Option<TargetType>,
    target: Option<String>,
    /// All of them
    #[serde(default)]
    tags: Names,
    search: Option<String>,
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub records: Vec<Shown>,
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
impl ListNotes {
    fn about(&self) -> Result<impl Fn(&Note) -> bool + use<>> {
        let asked = self.target.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(|t| t.replace('#', ","));
        let exact = match (self.target_type, asked.as_deref()) {
            (Some(kind), Some(text)) => Some(Target::parse(kind, Some(text))?),
            _ => None,
        };
        let kind = self.target_type;
        Ok(move |note: &Note| {
            if let Some(exact) = &exact {
                return note.target == *exact;
            }
            let on = asked.as_deref().is_none_or(|a| note.target.as_str() == a || note.target.of_model() == Some(a));
            on && kind.is_none_or(|k| note.target.kind() == k)
        })
    }
}
impl ReadTool for ListNotes {
    type Answer = Listed;
    async fn call(self, cx: &ReadCx) -> Result<Listed> {
        let mut notes = vec![knowledge::DATA.to_owned()];
        let limit = knowledge::limit(self.limit, DEFAULT, MAX_NOTES, &mut notes)?;
        notes.extend(knowledge::blind(cx));
        let (about, needle, tags) = (self.about()?, knowledge::needle(self.search.as_deref()), knowledge::wanted(&self.tags));
        let mut found = knowledge::notes(cx).await?;
        found.retain(|n| {
            about(n)
                && knowledge::tagged(&n.tags, &tags)
                && knowledge::holds(needle.as_deref(), [n.title.as_str(), &n.body, n.target.as_str()])
        });
        let total = found.len();
        let records: Vec<Shown> = found.into_iter().take(limit).map(Shown::from).collect();
        Ok(Listed { count: records.len(), records, total, notes })
    }
}
pub const TOOL: Tool = tool::read::<ListNotes>("List notes");
