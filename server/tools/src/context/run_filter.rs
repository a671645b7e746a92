use backends::odoo::Search;
use schemars::JsonSchema;
use serde::Deserialize;
use store::knowledge::Filter;

use crate::{
    contract::{self as tool, *},
    knowledge,
    orm::search_read::Page,
};

/// Run a saved search by name or id, or the default one of a model.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunFilter {
    name: Option<String>,
    filter_id: Option<String>,
    model: Option<String>,
    /// In place of the filter's own
    limit: Option<u64>,
    #[serde(default)]
    offset: u64,
}
impl RunFilter {
    async fn meant(&self, cx: &ReadCx) -> Result<Filter> {
        let (id, name) = (knowledge::given(self.filter_id.as_ref()), knowledge::given(self.name.as_ref()));
        if id.is_some() || name.is_some() {
            let filter = knowledge::filter(cx, id, name).await?;
            return match &self.model {
                Some(model) if *model != filter.model => {
                    let message = format!("The filter \"{}\" is on {}, not on {model}.", filter.name, filter.model);
                    Err(refusal(Code::InvalidArgument, message).next("Leave model out, or name another filter.").into())
                }
                _ => Ok(filter),
            };
        }
        let Some(model) = &self.model else {
            return Err(refusal(Code::InvalidArgument, "Nothing says which filter.")
                .next("Give name or filter_id, or model for its default filter; list_filters shows them.")
                .into());
        };
        let of: Vec<Filter> = knowledge::filters(cx).await?.into_iter().filter(|f| f.model == *model).collect();
        if let Some(default) = of.iter().find(|f| f.is_default) {
            return Ok(default.clone());
        }
        let names: Vec<String> = of.iter().take(5).map(|f| format!("\"{}\"", f.name)).collect();
        let refused = refusal(Code::NotFound, format!("No filter of {model} is the default one."));
        Err(if names.is_empty() {
            refused.next("There is no filter of this model; use search_read, or save_filter to keep one.")
        } else {
            refused.next(format!("Name one of {}.", names.join(", ")))
        }
        .into())
    }
}
impl ReadTool for RunFilter {
    type Answer = Page;
    async fn call(self, cx: &ReadCx) -> Result<Page> {
        let filter = self.meant(cx).await?;
        let odoo = cx.odoo()?;
        // The organization's cap may be lower than when it was saved; what the caller asks for itself is refused above it.
        let limit = self.limit.or(filter.limit.map(|n| u64::from(n).min(odoo.scope().max_search_limit)));
        let search = Search {
            model: filter.model,
            domain: filter.domain,
            fields: filter.fields,
            limit: 0,
            offset: self.offset,
            order: filter.order,
        };
        let (mut page, _) = Page::search(odoo, search, limit, Format::Json).await?;
        cx.knowledge()?.count_use(&filter.id).await;
        page.notes.push(format!("Filter \"{}\" ({}).", filter.name, filter.id));
        Ok(page)
    }
}
pub const TOOL: Tool = tool::read::<RunFilter>("Run a filter");
