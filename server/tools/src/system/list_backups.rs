use backends::backup::{Entry, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// List the backups of the instance, newest first, with what is in them and whether they are whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBackups {
    /// Not those that are older
    max_age_days: Option<u32>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub backups: Vec<Backup>,
    pub count: usize,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Backup {
    /// What restore_database takes.
    pub id: String,
    /// good, broken, forged (not ocore's for this instance) or unfinished.
    pub state: &'static str,
    pub created: String,
    pub bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub odoo_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filestore: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
impl Answer for Listed {
    const LIST: Option<&'static str> = Some("backups");
    fn columns(&self) -> Vec<String> {
        ["id", "state", "created", "bytes", "label", "odoo_version", "filestore"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
impl From<Entry> for Backup {
    fn from(entry: Entry) -> Self {
        let (state, why) = match entry.state {
            State::Good => ("good", None),
            State::Broken { why } => ("broken", Some(why)),
            State::Forged { why } => ("forged", Some(why)),
            State::Part => ("unfinished", None),
        };
        let manifest = entry.manifest;
        Self {
            id: entry.id,
            state,
            created: kernel::time_text(entry.created),
            bytes: entry.bytes,
            label: manifest.as_ref().and_then(|m| m.label.clone()),
            odoo_version: manifest.as_ref().map(|m| m.odoo_version.clone()),
            filestore: manifest.as_ref().map(|m| m.filestore.is_some()),
            why,
        }
    }
}
impl ReadTool for ListBackups {
    type Answer = Listed;
    async fn call(self, cx: &ReadCx) -> Result<Listed> {
        let age = self.max_age_days.map(|days| kernel::TimeDelta::days(days.into()));
        let backups: Vec<Backup> = cx.backups()?.list(cx.now(), age).await?.into_iter().map(Backup::from).collect();
        Ok(Listed { count: backups.len(), backups })
    }
}
pub const TOOL: Tool = tool::read::<ListBackups>("List backups");
