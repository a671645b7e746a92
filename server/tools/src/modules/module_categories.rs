use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    module_categories as tree,
};

/// The categories of modules, with how many modules each holds and how many of them are installed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleCategories {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Categories {
    pub categories: Vec<Category>,
    pub count: usize,
    pub modules: u64,
    /// Modules of no category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uncategorized: Option<u64>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Category {
    /// With the categories above it: `Sales / CRM`.
    pub category: String,
    /// In it alone, not below it.
    pub modules: u64,
    pub installed: u64,
    /// With those below it.
    pub all_modules: u64,
}
impl Answer for Categories {
    const LIST: Option<&'static str> = Some("categories");
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}

impl ReadTool for ModuleCategories {
    type Answer = Categories;
    async fn call(self, cx: &ReadCx) -> Result<Categories> {
        let odoo = cx.odoo()?;
        let modules = odoo.modules_by_category().await?;
        let categories = odoo.module_categories().await?;
        let paths = tree::paths(&categories);
        let mut counts: BTreeMap<Option<i64>, (u64, u64)> = BTreeMap::new();
        for (category, state) in &modules {
            let (all, installed) = counts.entry(*category).or_default();
            *all += 1;
            *installed += u64::from(matches!(state.as_str(), "installed" | "to upgrade" | "to remove"));
        }
        let of = |id: i64| counts.get(&Some(id)).copied().unwrap_or_default();
        let mut listed: Vec<Category> = Vec::new();
        for category in &categories {
            let path = paths.get(&category.id).cloned().unwrap_or_default();
            let all_modules = tree::with_those_below(category.id, &categories).into_iter().map(|id| of(id).0).sum();
            let (own, installed) = of(category.id);
            if all_modules > 0 {
                listed.push(Category { category: path, modules: own, installed, all_modules });
            }
        }
        listed.sort_by(|a, b| a.category.cmp(&b.category));
        Ok(Categories {
            count: listed.len(),
            categories: listed,
            modules: modules.len() as u64,
            uncategorized: counts.get(&None).map(|(all, _)| *all),
        })
    }
}
pub const TOOL: Tool = tool::read::<ModuleCategories>("List module categories");
