use std::collections::HashMap;

use backends::odoo::{ModuleDetails, ModuleFilter};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    caps,
    contract::{self as tool, *},
    module_categories,
};

/// List the modules that Odoo knows, installed or not, with state, version, category and author.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListModules {
    state: Option<State>,
    /// With those below it, like Sales
    category: Option<String>,
    /// Part of a name, title or summary
    search: Option<String>,
    /// Default 100
    limit: Option<u64>,
    #[serde(default)]
    offset: u64,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    Installed,
    Uninstalled,
    Uninstallable,
    #[serde(rename = "to install", alias = "to_install")]
    ToInstall,
    #[serde(rename = "to upgrade", alias = "to_upgrade")]
    ToUpgrade,
    #[serde(rename = "to remove", alias = "to_remove")]
    ToRemove,
}
impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Uninstalled => "uninstalled",
            Self::Uninstallable => "uninstallable",
            Self::ToInstall => "to install",
            Self::ToUpgrade => "to upgrade",
            Self::ToRemove => "to remove",
        }
    }
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Modules {
    pub modules: Vec<Listed>,
    pub count: usize,
    pub total: u64,
    pub offset: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub module: String,
    pub title: String,
    pub state: String,
    /// Installed, in the database.
    pub version: Option<String>,
    /// Of the files, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_version: Option<String>,
    pub category: Option<String>,
    pub author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub application: bool,
}
impl Answer for Modules {
    const LIST: Option<&'static str> = Some("modules");
    fn columns(&self) -> Vec<String> {
        ["module", "state", "version", "category", "author", "title"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.modules.len() as u64)
    }
}
fn listed(details: ModuleDetails, paths: &HashMap<i64, String>) -> Listed {
    let ModuleDetails { name, title, state, version, disk_version, category, author, summary, application } = details;
    Listed {
        disk_version: disk_version.filter(|disk| Some(disk) != version.as_ref()),
        category: category.and_then(|id| paths.get(&id).cloned()),
        module: name,
        title,
        state,
        version,
        author,
        summary,
        application,
    }
}

impl ReadTool for ListModules {
    type Answer = Modules;
    async fn call(self, cx: &ReadCx) -> Result<Modules> {
        let odoo = cx.odoo()?;
        let (limit, note) = caps::limit(odoo.scope(), self.limit, 100)?;
        let said = |text: &Option<String>| text.as_deref().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned);
        let categories = odoo.module_categories().await?;
        let paths = module_categories::paths(&categories);
        let filter = ModuleFilter {
            names: Vec::new(),
            states: self.state.map(|s| s.as_str().to_owned()).into_iter().collect(),
            categories: said(&self.category).map(|wanted| module_categories::below(&wanted, &categories, &paths)).transpose()?,
            search: said(&self.search),
        };
        let (found, total) = odoo.module_details(&filter, limit, self.offset).await?;
        let modules: Vec<Listed> = found.into_iter().map(|m| listed(m, &paths)).collect();
        let end = self.offset.saturating_add(modules.len() as u64);
        Ok(Modules {
            count: modules.len(),
            total,
            offset: self.offset,
            next_offset: (end < total && !modules.is_empty()).then_some(end),
            modules,
            notes: note.into_iter().collect(),
        })
    }
}
pub const TOOL: Tool = tool::read::<ListModules>("List modules");
