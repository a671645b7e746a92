use std::time::Duration;

use backends::files::{Match, Query};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// Search the instance's addons for a text or a regular expression, line by line, with lines around it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchInCode {
    query: String,
    /// true takes query for a regular expression
    #[serde(default)]
    regex: bool,
    /// An addon or directory as file_browse shows it; default all
    addon: Option<String>,
    /// On the name, or with / on the path: *.py, **/models/*.py
    glob: Option<String>,
    /// Before and after, default 2, at most 10
    context_lines: Option<u64>,
    /// Lines that match, default 100, at most 500
    limit: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Hits {
    pub matches: Vec<Hit>,
    pub count: usize,
    /// Lines that match, shown or not.
    pub total: u64,
    /// Files that were searched.
    pub files: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Hit {
    pub path: String,
    pub line: u64,
    pub text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}
impl From<Match> for Hit {
    fn from(m: Match) -> Self {
        Self { path: m.path, line: m.line, text: m.text, before: m.before, after: m.after }
    }
}
impl Answer for Hits {
    const LIST: Option<&'static str> = Some("matches");
    fn columns(&self) -> Vec<String> {
        ["path", "line", "text"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
impl ReadTool for SearchInCode {
    type Answer = Hits;
    async fn call(self, cx: &ReadCx) -> Result<Hits> {
        let (context, limit) = (self.context_lines.unwrap_or(2), self.limit.unwrap_or(100));
        if context > 10 || !(1..=500).contains(&limit) {
            return Err(refusal(Code::InvalidArgument, "context_lines: 0 to 10, limit: 1 to 500.")
                .next("Narrow the search with addon or glob.")
                .into());
        }
        let query = Query {
            query: self.query,
            regex: self.regex,
            below: self.addon,
            glob: self.glob,
            context: usize::try_from(context).unwrap_or(2),
            limit: usize::try_from(limit).unwrap_or(100),
            time: Duration::from_secs(10),
            ..Query::default()
        };
        let found = cx.files()?.search(&query).await?;
        let mut notes = Vec::new();
        if found.timed_out {
            notes.push("The time was up before everything was searched: narrow it with addon or glob.".to_owned());
        } else if found.truncated {
            notes.push("There is more than is shown: narrow the search, or raise limit.".to_owned());
        }
        let matches: Vec<Hit> = found.matches.into_iter().map(Hit::from).collect();
        Ok(Hits { count: matches.len(), matches, total: found.total, files: found.files, notes })
    }
}
pub const TOOL: Tool = tool::read::<SearchInCode>("Search in code");
