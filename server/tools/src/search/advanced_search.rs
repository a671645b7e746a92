use backends::odoo::Search;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    args::{Domain, Names},
    contract::{self as tool, *},
    orm::search_read::Page,
};

/// Search with a domain, with the total of matching records and how to get the next page. Use it to page through many.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AdvancedSearch {
    model: String,
    /// Like ["|",["a","=",1],["b",">",2]]
    domain: Domain,
    #[serde(default)]
    fields: Names,
    /// Default 80
    limit: Option<u64>,
    #[serde(default)]
    offset: u64,
    order: Option<String>,
    #[serde(default)]
    format: Format,
}
impl Page {
    /// Adds what is known once the total is: whether there is more, and how to get it.
    fn counted(mut self, total: u64) -> Self {
        let end = self.offset + self.count as u64;
        let more = end < total && self.count > 0;
        self.total = Some(total);
        self.has_more = Some(more);
        self.next_offset = more.then_some(end);
        self.hint = Some(if total == 0 {
            "Nothing matches. Archived records are left out unless the context has active_test false.".to_owned()
        } else if self.count == 0 {
            format!("All {total} matching records stand before offset {}.", self.offset)
        } else if more {
            format!("Records {} to {end} of {total}. Ask again with offset {end} for the next ones.", self.offset + 1)
        } else {
            format!("Records {} to {end} of {total}: this is the last page.", self.offset + 1)
        });
        self
    }
}
impl ReadTool for AdvancedSearch {
    type Answer = Page;
    async fn call(self, cx: &ReadCx) -> Result<Page> {
        if self.domain.0.is_null() {
            return Err(refusal(Code::InvalidArgument, "domain: this tool needs one.")
                .next("Use [] for all records, or search_read.")
                .into());
        }
        let odoo = cx.odoo()?;
        let search = Search {
            model: self.model,
            domain: self.domain.0,
            fields: self.fields.0,
            limit: 0,
            offset: self.offset,
            order: self.order,
        };
        let (page, search) = Page::search(odoo, search, self.limit, self.format).await?;
        let last = page.next_offset.is_none() && (page.count > 0 || page.offset == 0);
        let total =
            if last { page.offset + page.count as u64 } else { odoo.search_count(&search.model, &search.domain, None).await? };
        Ok(page.counted(total))
    }
}
pub const TOOL: Tool = tool::read::<AdvancedSearch>("Search with total and paging");

#[cfg(test)]
mod tests {
    use super::*;

    fn page(offset: u64, count: usize) -> Page {
        Page { count, offset, ..Page::default() }
    }

    #[test]
    fn the_hint_says_how_to_go_on() {
        let first = page(0, 80).counted(342);
        assert_eq!((first.has_more, first.next_offset, first.total), (Some(true), Some(80), Some(342)));
        assert_eq!(first.hint.as_deref(), Some("Records 1 to 80 of 342. Ask again with offset 80 for the next ones."));
        let last = page(320, 22).counted(342);
        assert_eq!((last.has_more, last.next_offset), (Some(false), None));
        let beyond = page(400, 0).counted(342);
        assert_eq!((beyond.has_more, beyond.next_offset), (Some(false), None));
        assert!(page(0, 0).counted(0).hint.unwrap().contains("Nothing matches"));
    }
}
