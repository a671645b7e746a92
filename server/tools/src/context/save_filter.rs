use backends::odoo::Search;
use kernel::knowledge::{MAX_DESCRIPTION, MAX_DOMAIN, MAX_FIELDS, MAX_FILTER_NAME, MAX_FILTERS, full, line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::knowledge::{Filter, NewFilter, Saved};

use crate::{
    args::{Domain, Names},
    contract::{self as tool, *},
    knowledge,
};

/// Keep a search under a name; run_filter runs it. The same name and model replaces.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SaveFilter {
    name: String,
    model: String,
    domain: Domain,
    #[serde(default)]
    fields: Names,
    order: Option<String>,
    limit: Option<u64>,
    description: Option<String>,
    /// What run_filter runs for the model alone
    is_default: Option<bool>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Kept {
    pub id: String,
    pub name: String,
    pub model: String,
    /// True when there was one of this name, which has this content now.
    pub replaced: bool,
    pub is_default: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Kept {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}
impl SaveFilter {
    /// The filter, and a word when Odoo could not be asked whether its names exist.
    async fn checked(&self, cx: &ReadCx) -> Result<(NewFilter, Option<String>)> {
        let odoo = cx.odoo()?;
        let domain = if self.domain.0.is_null() { json!([]) } else { self.domain.0.clone() };
        let wrong = |message: String, next: &'static str| Err(refusal(Code::InvalidArgument, message).next(next).into());
        if domain.to_string().chars().count() > MAX_DOMAIN {
            return wrong(
                format!("domain: more than {MAX_DOMAIN} characters."),
                "Ask for a property that the records share, not for their ids.",
            );
        }
        if self.fields.0.len() > MAX_FIELDS {
            return wrong(format!("fields: more than {MAX_FIELDS}."), "Name those that you look at.");
        }
        let most = odoo.scope().max_search_limit;
        let limit = match self.limit {
            Some(n) if n == 0 || n > most => return wrong(format!("limit: 1 to {most}."), "Leave it out for 80."),
            other => other.and_then(|n| u32::try_from(n).ok()),
        };
        let order = knowledge::given(self.order.as_ref()).map(str::to_owned);
        let search = Search {
            model: self.model.clone(),
            domain: domain.clone(),
            fields: self.fields.0.clone(),
            order: order.clone(),
            ..Search::default()
        };
        let mut note = None;
        if let Err(fault) = odoo.check_search(&search, true).await {
            let absent = matches!(fault.code(), Code::Unreachable | Code::Timeout | Code::Busy | Code::OdooError);
            if !absent {
                return Err(fault);
            }
            odoo.check_search(&search, false).await?;
            note = Some(format!("Its names were not looked up in Odoo: {}", fault.public().message));
        }
        let new = NewFilter {
            name: line("name", &self.name, MAX_FILTER_NAME)?,
            model: self.model.clone(),
            domain,
            fields: self.fields.0.clone(),
            order,
            limit,
            description: knowledge::given(self.description.as_ref())
                .map(|d| line("description", d, MAX_DESCRIPTION))
                .transpose()?,
            is_default: self.is_default,
        };
        Ok((new, note))
    }
}
fn taken(name: &str) -> Fault {
    refusal(Code::Conflict, format!("The name \"{name}\" is taken by a filter on another model."))
        .next("Choose another name.")
        .into()
}
async fn too_many(cx: &ReadCx, all: &[Filter]) -> Fault {
    // They come the most used first.
    let mut old = Vec::new();
    for filter in all.iter().rev() {
        if old.len() < 3 && knowledge::sees_filter(cx, filter).await {
            old.push(format!("{} \"{}\"", filter.id, filter.name));
        }
    }
    full("filters", MAX_FILTERS, &old).into()
}
impl WriteTool for SaveFilter {
    type Answer = Kept;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let (new, note) = self.checked(cx).await?;
        let all = cx.knowledge()?.filters().await?;
        let old = all.iter().find(|f| f.name.to_lowercase() == new.name.to_lowercase());
        if old.is_some_and(|f| f.model != new.model) {
            return Err(taken(&new.name));
        }
        if old.is_none() && all.len() >= MAX_FILTERS {
            return Err(too_many(cx, &all).await);
        }
        let mut warnings: Vec<String> = note.into_iter().collect();
        let default = all.iter().find(|f| f.is_default && f.model == new.model && old.is_none_or(|o| o.id != f.id));
        if let Some(default) = default.filter(|_| new.is_default == Some(true)) {
            warnings.push(format!("\"{}\" is the default filter of {} now and would not be any more.", default.name, new.model));
        }
        let verb = if old.is_some() { "replace" } else { "save" };
        let summary = format!("Would {verb} the filter \"{}\" on {}", new.name, new.model);
        Ok(Plan { summary, affected: 1, examples: vec![short(&new.domain)], warnings, ..Plan::default() })
    }
    async fn call(self, cx: &WriteCx) -> Result<Kept> {
        let (new, note) = self.checked(cx).await?;
        let saved = cx.knowledge()?.save_filter(&new).await?;
        let replaced = matches!(saved, Saved::Replaced(_));
        match saved {
            Saved::New(f) | Saved::Replaced(f) => Ok(Kept {
                id: f.id,
                name: f.name,
                model: f.model,
                replaced,
                is_default: f.is_default,
                notes: note.into_iter().collect(),
            }),
            Saved::Taken => Err(taken(&new.name)),
            Saved::Full(all) => Err(too_many(cx, &all).await),
        }
    }
}
fn short(domain: &Value) -> String {
    kernel::knowledge::excerpt(&domain.to_string(), 200)
}
pub const TOOL: Tool = tool::write::<SaveFilter>("Save a filter");
