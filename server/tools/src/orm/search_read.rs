use std::collections::BTreeMap;

use backends::odoo::{Record, Search};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::Domain,
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
    fields: Vec<String>,
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
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page {
    pub model: String,
    pub records: Vec<Record>,
    pub count: usize,
    /// Of all matching records, when it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    pub offset: u64,
    /// Where the next page starts; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    /// Fields that were withheld, with the reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped_fields: BTreeMap<String, String>,
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
        std::iter::once("id".to_owned()).chain(self.fields.iter().filter(|f| *f != "id").cloned()).collect()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.records.len() as u64)
    }
}

/// How many records a search gives when nobody says.
pub const DEFAULT_LIMIT: u64 = 80;

impl ReadTool for SearchRead {
    type Answer = Page;
    async fn call(self, cx: &ReadCx) -> Result<Page> {
        let limit = self.limit.unwrap_or(DEFAULT_LIMIT);
        let search =
            Search { model: self.model, domain: self.domain.0, fields: self.fields, limit, offset: self.offset, order: self.order };
        let rows = cx.odoo()?.search_read(&search).await?;
        let count = rows.records.len();
        // A full page may have a next one; counting all would cost more than the search itself.
        let next_offset = (count as u64 == limit && count > 0).then(|| search.offset + count as u64);
        Ok(Page {
            model: search.model,
            count,
            records: rows.records,
            total: None,
            offset: search.offset,
            next_offset,
            skipped_fields: rows.skipped,
            fields: rows.fields,
            format: self.format,
        })
    }
}
pub const TOOL: Tool = tool::read::<SearchRead>("Search and read records");
