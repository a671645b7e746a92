use backends::odoo::Manifest;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// What a module's manifest says, installed or not: title, summary, description, author, license, category, dependencies, state and versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetAddonManifest {
    /// Technical name, like sale_management
    module: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Addon {
    pub module: String,
    pub title: String,
    pub summary: String,
    pub description: String,
    pub author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub maintainer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub contributors: String,
    pub website: String,
    pub license: String,
    pub category: String,
    pub state: String,
    /// In the database (Odoo's field latest_version); null while it is not installed.
    pub version: Option<String>,
    /// Of the files (Odoo's field installed_version).
    pub disk_version: Option<String>,
    pub application: bool,
    pub auto_install: bool,
    /// Installed with demonstration data.
    pub demo: bool,
    pub depends: Vec<Needed>,
    /// Modules that it cannot be installed beside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub excludes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Needed {
    pub module: String,
    /// Null: Odoo knows no such module.
    pub state: Option<String>,
}
impl Answer for Addon {
    fn affected(&self) -> Option<u64> {
        Some(1)
    }
}

/// Characters of a description; the longest are pages.
const DESCRIPTION: usize = 6_000;

impl From<Manifest> for Addon {
    fn from(m: Manifest) -> Self {
        let mut notes = m.notes;
        let length = m.description.chars().count();
        let mut description = m.description;
        if length > DESCRIPTION {
            description = description.chars().take(DESCRIPTION).collect();
            notes.push(format!("The description's first {DESCRIPTION} of {length} characters are shown."));
        }
        if m.state == "installed" && m.disk_version.is_some() && m.version != m.disk_version {
            notes.push("The files have another version than the database: module_drift tells more, upgrade_module brings the database up to them.".to_owned());
        }
        Self {
            module: m.module,
            title: m.title,
            summary: m.summary,
            description,
            author: m.author,
            maintainer: m.maintainer,
            contributors: m.contributors,
            website: m.website,
            license: m.license,
            category: m.category,
            state: m.state,
            version: m.version,
            disk_version: m.disk_version,
            application: m.application,
            auto_install: m.auto_install,
            demo: m.demo,
            depends: m.depends.into_iter().map(|(module, state)| Needed { module, state }).collect(),
            excludes: m.excludes,
            notes,
        }
    }
}
impl ReadTool for GetAddonManifest {
    type Answer = Addon;
    async fn call(self, cx: &ReadCx) -> Result<Addon> {
        Ok(cx.odoo()?.module_manifest(self.module.trim()).await?.into())
    }
}
pub const TOOL: Tool = tool::read::<GetAddonManifest>("Manifest of a module");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_descriptions_and_other_versions_are_said() {
        let addon = Addon::from(Manifest {
            description: "é".repeat(DESCRIPTION + 1),
            state: "installed".to_owned(),
            version: Some("1.0".to_owned()),
            disk_version: Some("1.1".to_owned()),
            ..Manifest::default()
        });
        assert_eq!(addon.description.chars().count(), DESCRIPTION);
        assert_eq!(addon.notes.len(), 2, "{:?}", addon.notes);
        assert!(Addon::from(Manifest { state: "installed".to_owned(), ..Manifest::default() }).notes.is_empty());
    }
}
