use backends::posthog::ModuleUse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    posthog::{self, Period},
};

/// PostHog: which Odoo apps are used most, by page views and users, and what share of the users uses each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleUsage {
    /// Default 7d
    #[serde(default)]
    period: Period,
    /// Of apps; default 10, at most 100
    limit: Option<u64>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Usage {
    pub period: Period,
    pub page_views: u64,
    /// Who viewed any page.
    pub users: u64,
    pub modules_used: u64,
    pub modules: Vec<Module>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub has_more: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Module {
    /// As the page views name it.
    pub module: String,
    /// What names it: `property` (odoo_module), `path` (/odoo/<app>) or `model` (the first part of the model in the address).
    pub source: String,
    pub page_views: u64,
    pub users: u64,
    pub sessions: u64,
    /// The share of all users who used it, 0 to 1.
    pub adoption: Option<f64>,
}
impl Answer for Usage {
    const LIST: Option<&'static str> = Some("modules");
    fn affected(&self) -> Option<u64> {
        Some(self.modules.len() as u64)
    }
}
impl Module {
    fn of(used: ModuleUse, users: u64) -> Self {
        Self {
            adoption: posthog::share(used.users, users),
            module: used.module,
            source: used.source,
            page_views: used.page_views,
            users: used.users,
            sessions: used.sessions,
        }
    }
}
impl ReadTool for ModuleUsage {
    type Answer = Usage;
    async fn call(self, cx: &ReadCx) -> Result<Usage> {
        let (reader, period, limit) = (cx.posthog()?, self.period, posthog::limit(self.limit)?);
        let (totals, (modules, has_more)) = futures_util::try_join!(reader.module_totals(period), reader.modules(period, limit))?;
        let unnamed = totals.page_views.saturating_sub(totals.with_module);
        let mut notes = Vec::new();
        if totals.page_views == 0 {
            notes.push(posthog::without("page views", period, posthog::NO_PAGE_VIEWS));
        } else if unnamed > 0 {
            notes.push(format!(
                "{unnamed} of {} page views name no app (neither the property odoo_module, nor /odoo/<app>, nor a model in the address) and \
                 are in no row.",
                totals.page_views
            ));
        }
        if modules.iter().any(|m| m.source == "model") {
            notes.push(
                "Rows with source model go by the first part of a model's name (sale of sale.order), which need not be the module's name."
                    .to_owned(),
            );
        }
        Ok(Usage {
            period,
            page_views: totals.page_views,
            users: totals.users,
            modules_used: totals.modules,
            modules: modules.into_iter().map(|m| Module::of(m, totals.users)).collect(),
            has_more,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<ModuleUsage>("Use of modules (PostHog)");
