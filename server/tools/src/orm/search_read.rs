use std::collections::BTreeMap;

use backends::odoo::{Reader, Record, Search};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::{Domain, Names},
    caps,
    contract::{self as tool, *},
};

/// Search and read records of a model in one call. Without `fields` the most useful ones are chosen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRead {
    /// Like res.partner
    model: String,
    /// Like [["name","ilike","acme"]]
    #[serde(default)]
    domain: Domain,
    #[serde(default)]
    fields: Names,
    /// Default 80
    limit: Option<u64>,
    #[serde(default)]
    offset: u64,
    /// Like "name asc"
    order: Option<String>,
    #[serde(default)]
    format: Format,
}

/// What a page of records looks like; shared by the tools that list records.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Page {
    pub model: String,
    pub records: Vec<Record>,
    pub count: usize,
    /// Of all matching records, when it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    pub offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_more: Option<bool>,
    /// Where the next page starts; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// How to go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Fields that were withheld, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_fields: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    #[serde(skip)]
    pub fields: Vec<String>,
    #[serde(skip)]
    pub format: Format,
}
impl Answer for Page {
    const LIST: Option<&'static str> = Some("records");
    fn format(&self) -> Format {
        self.format
    }
    fn columns(&self) -> Vec<String> {
        columns(&self.fields)
    }
    fn affected(&self) -> Option<u64> {
        Some(self.records.len() as u64)
    }
}
/// The fields as columns: the id first.
pub fn columns(fields: &[String]) -> Vec<String> {
    std::iter::once("id".to_owned()).chain(fields.iter().filter(|f| *f != "id").cloned()).collect()
}
impl Page {
    /// Searches, with the limit brought within the caps. A full page may have a next one: counting all would cost more
    /// than the search itself, so only [`Page::counted`] knows.
    pub async fn search(odoo: &Reader, mut search: Search, limit: Option<u64>, format: Format) -> Result<(Self, Search)> {
        let (limit, note) = caps::limit(odoo.scope(), limit, caps::DEFAULT_LIMIT)?;
        search.limit = limit;
        let rows = odoo.search_read(&search).await?;
        let count = rows.records.len();
        let page = Self {
            model: search.model.clone(),
            count,
            records: rows.records,
            offset: search.offset,
            next_offset: (count as u64 >= limit).then(|| search.offset + count as u64),
            skipped_fields: rows.skipped,
            notes: note.into_iter().collect(),
            fields: rows.fields,
            format,
            ..Self::default()
        };
        Ok((page, search))
    }
}

impl ReadTool for SearchRead {
    type Answer = Page;
    async fn call(self, cx: &ReadCx) -> Result<Page> {
        let search = Search {
            model: self.model,
            domain: self.domain.0,
            fields: self.fields.0,
            limit: 0,
            offset: self.offset,
            order: self.order,
        };
        Ok(Page::search(cx.odoo()?, search, self.limit, self.format).await?.0)
    }
}
pub const TOOL: Tool = tool::read::<SearchRead>("Search and read records");
