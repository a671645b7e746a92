use std::{cmp::Ordering, collections::BTreeSet};

use backends::{
    files::{Encoding, ReadOptions},
    odoo::{ModuleDetails, ModuleFilter, ModuleState, unknown_module},
    source::manifest::{self, Manifest},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    module_graph::Graph,
    module_ops,
};

/// Installed modules whose files have another version than the database, modules left marked by an operation that was cut off, and modules that miss one they need.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleDrift {
    /// This one alone
    module: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Drift {
    /// Installed modules that were looked at.
    pub checked: usize,
    pub count: usize,
    pub drifted: Vec<Drifted>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Drifted {
    pub module: String,
    pub state: String,
    /// In the database.
    pub version: Option<String>,
    pub disk_version: Option<String>,
    pub drift: Kind,
    /// What it is about, where the versions do not say it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The files are newer: upgrade_module applies them.
    UpgradePending,
    /// The files are older, or Odoo does not find them.
    DiskOlder,
    /// The database's version is of another Odoo.
    OtherSeries,
    /// Left between two states.
    Marked,
    /// Installed, but Odoo would not install it any more.
    Uninstallable,
    /// A module that it needs is not installed.
    DependencyMissing,
    /// The manifest on the disk needs other modules than the database knows of: upgrade_module applies it.
    DependsChanged,
    /// The manifest on the disk cannot be read, so Odoo cannot either.
    ManifestBroken,
}
impl Answer for Drift {
    const LIST: Option<&'static str> = Some("drifted");
    fn columns(&self) -> Vec<String> {
        ["module", "state", "version", "disk_version", "drift", "detail"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}

/// Numbers by value, anything else by its letters, a missing part before any other.
fn compare(a: &str, b: &str) -> Ordering {
    let parts = |v: &str| -> Vec<(u64, String)> {
        v.split(['.', '-', '_']).map(|p| p.parse().map_or_else(|_| (0, p.to_owned()), |n| (n, String::new()))).collect()
    };
    parts(a).cmp(&parts(b))
}
/// `19.0` of `19.0.1.2.3`, which has a series only with five parts or four.
fn series(version: &str) -> Option<&str> {
    let mut dots = version.match_indices('.').map(|(at, _)| at);
    let second = dots.nth(1)?;
    dots.next()?;
    version.get(..second)
}
fn versions(details: &ModuleDetails) -> Option<Kind> {
    let (version, disk) = (details.version.as_deref()?, details.disk_version.as_deref()?);
    match compare(disk, version) {
        Ordering::Equal => None,
        _ if series(version).zip(series(disk)).is_some_and(|(a, b)| a != b) => Some(Kind::OtherSeries),
        Ordering::Greater => Some(Kind::UpgradePending),
        Ordering::Less => Some(Kind::DiskOlder),
    }
}

/// Manifests of one call.
const MANIFESTS: usize = 100;

/// The manifests of these modules that lie in the instance's addons folders, read as literals and never run.
async fn manifests<'a>(
    cx: &ReadCx,
    details: &'a [ModuleDetails],
    notes: &mut Vec<String>,
) -> Result<Vec<(&'a ModuleDetails, std::result::Result<Manifest, String>)>> {
    let files = cx.files()?;
    let mut read = Vec::new();
    for addon in files.list("").await?.addons {
        let name = addon.path.rsplit('/').next().unwrap_or_default();
        let Some(module) = details.iter().find(|m| m.name == name) else { continue };
        if read.len() >= MANIFESTS {
            notes.push(format!("Manifests of {MANIFESTS} modules were read; name one to look at another."));
            break;
        }
        let options = ReadOptions { encoding: Encoding::Base64, max: 1 << 20, ..ReadOptions::default() };
        let content = files.read(&format!("{}/{}", addon.path, addon.manifest), &options).await?.content;
        let bytes = STANDARD.decode(content).unwrap_or_default();
        read.push((module, manifest::parse(&bytes).map_err(|e| e.to_string())));
    }
    Ok(read)
}
/// As Odoo stores it: with its own series before it, unless it is there.
fn full(version: &str, series: &str) -> String {
    let version = if version.is_empty() { "1.0" } else { version };
    if version == series || version.starts_with(&format!("{series}.")) {
        version.to_owned()
    } else {
        format!("{series}.{version}")
    }
}

impl ReadTool for ModuleDrift {
    type Answer = Drift;
    async fn call(self, cx: &ReadCx) -> Result<Drift> {
        let odoo = cx.odoo()?;
        let states = odoo.module_states().await?;
        let mut notes = Vec::new();
        if let Some(name) = &self.module {
            module_ops::asked("module", std::slice::from_ref(name))?;
            let Some(module) = states.iter().find(|m| m.name == *name) else {
                return Err(unknown_module(name, &states).into());
            };
            if !module.present() && !module.marked() {
                notes.push(format!("{name} is {}: there is nothing to compare.", module.state));
            }
        }
        let links = odoo.module_links().await?;
        let graph = Graph::new(&states, &links);
        let wanted = |m: &&ModuleState| {
            self.module.as_ref().is_none_or(|name| *name == m.name) && (m.present() || m.marked() || m.version.is_some())
        };
        let looked_at: Vec<&ModuleState> = states.iter().filter(wanted).collect();
        let filter = ModuleFilter { names: looked_at.iter().map(|m| m.name.clone()).collect(), ..ModuleFilter::default() };
        let details =
            if looked_at.is_empty() { Vec::new() } else { odoo.module_details(&filter, looked_at.len() as u64, 0).await?.0 };
        let mut drifted = Vec::new();
        for found in &details {
            let mut say = |drift: Kind, detail: String| {
                drifted.push(Drifted {
                    module: found.name.clone(),
                    state: found.state.clone(),
                    version: found.version.clone(),
                    disk_version: found.disk_version.clone(),
                    drift,
                    detail,
                });
            };
            if found.state.starts_with("to ") {
                say(Kind::Marked, "Odoo runs no scheduled actions while a module is marked.".to_owned());
            } else if found.state == "uninstallable" {
                say(Kind::Uninstallable, String::new());
            } else {
                let missing: Vec<&str> =
                    graph.needs(&found.name).filter(|need| !graph.module(need).is_some_and(ModuleState::present)).collect();
                if !missing.is_empty() {
                    say(Kind::DependencyMissing, format!("needs {}", module_ops::named(missing)));
                }
            }
            if let Some(kind) = versions(found) {
                say(kind, String::new());
            }
        }
        if cx.files().is_ok() {
            let major = odoo.version().await?.to_string();
            for found in manifests(cx, &details, &mut notes).await? {
                let (module, manifest) = found;
                let mut say = |drift: Kind, disk_version: Option<String>, detail: String| {
                    drifted.push(Drifted {
                        module: module.name.clone(),
                        state: module.state.clone(),
                        version: module.version.clone(),
                        disk_version,
                        drift,
                        detail,
                    });
                };
                let manifest = match manifest {
                    Ok(manifest) => manifest,
                    Err(why) => {
                        say(Kind::ManifestBroken, None, why);
                        continue;
                    }
                };
                let version = full(manifest.version.as_deref().unwrap_or_default(), &major);
                let newer = ModuleDetails { disk_version: Some(version.clone()), ..module.clone() };
                // What Odoo's process read at its start is told already where it says the same.
                if module.disk_version.as_deref() != Some(version.as_str())
                    && let Some(kind) = versions(&newer)
                {
                    say(kind, Some(version.clone()), "by the manifest as it is on the disk now".to_owned());
                }
                let needs: BTreeSet<&str> = graph.needs(&module.name).collect();
                let wants: BTreeSet<&str> = manifest.depends.iter().map(String::as_str).collect();
                let new: Vec<&str> = wants.difference(&needs).copied().filter(|name| *name != "base").collect();
                let gone: Vec<&str> = needs.difference(&wants).copied().filter(|name| *name != "base").collect();
                if !new.is_empty() || !gone.is_empty() {
                    let part = |what: &str, names: Vec<&str>| {
                        if names.is_empty() { String::new() } else { format!("{what} {}", module_ops::named(names)) }
                    };
                    let detail = [part("needs now", new), part("no longer needs", gone)].into_iter().filter(|t| !t.is_empty());
                    say(Kind::DependsChanged, Some(version), detail.collect::<Vec<_>>().join("; "));
                }
            }
        } else {
            notes.push(
                "disk_version is what Odoo's process reads; a module without files counts as 1.0 there. Manifests themselves are read \
                 where the instance has an addons folder."
                    .to_owned(),
            );
        }
        Ok(Drift { checked: looked_at.len(), count: drifted.len(), drifted, notes })
    }
}
pub const TOOL: Tool = tool::read::<ModuleDrift>("Compare modules with their files");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let kind = |version: &str, disk: &str| {
            versions(&ModuleDetails {
                name: "m".into(),
                title: String::new(),
                state: "installed".into(),
                version: Some(version.into()),
                disk_version: Some(disk.into()),
                category: None,
                author: String::new(),
                summary: String::new(),
                application: false,
            })
        };
        assert_eq!(kind("19.0.1.9", "19.0.1.10"), Some(Kind::UpgradePending));
        assert_eq!(kind("19.0.1.10", "19.0.1.9"), Some(Kind::DiskOlder));
        assert_eq!(kind("19.0.1.0", "19.0.1.0"), None);
        assert_eq!(kind("18.0.1.0", "19.0.1.0"), Some(Kind::OtherSeries));
        assert_eq!(kind("19.0.1.0", "19.0.1.0.1"), Some(Kind::UpgradePending));
        assert_eq!(kind("1.0", "1.1"), Some(Kind::UpgradePending), "without a series");
    }
}
