use std::collections::BTreeSet;

use backends::docker::Target;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::Names,
    contract::{self as tool, *},
};

/// Clear caches of the instance: registry (Odoo loads its models again), assets (bundles of scripts and styles), pyc (compiled Python files of the addons), sessions (everybody is signed out; only when named). Always needs confirm.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClearSystemCache {
    /// registry, assets, pyc, sessions; default registry and assets
    #[serde(default)]
    targets: Names,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Cleared {
    pub cleared: Vec<Part>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Part {
    pub target: &'static str,
    /// Caches, bundles, files or sessions that went.
    pub removed: u32,
    /// What could not be removed: not Odoo's user's.
    pub kept: u32,
}
impl Answer for Cleared {
    const LIST: Option<&'static str> = Some("cleared");
    fn affected(&self) -> Option<u64> {
        Some(self.cleared.iter().map(|p| u64::from(p.removed)).sum())
    }
}
const ALL: [(&str, Target, &str); 4] = [
    ("registry", Target::Registry, "every process of Odoo loads its models again at its next request, which takes seconds"),
    ("assets", Target::Assets, "bundles of scripts and styles are made again at the next page"),
    ("pyc", Target::Pyc, "compiled Python files of the addons are made again at the next start"),
    ("sessions", Target::Sessions, "everybody is signed out, ocore's own sessions too"),
];
impl ClearSystemCache {
    fn wanted(&self) -> Result<Vec<(&'static str, Target, &'static str)>> {
        let named: BTreeSet<&str> = self.targets.0.iter().map(String::as_str).collect();
        if named.is_empty() {
            return Ok(ALL.into_iter().take(2).collect());
        }
        if let Some(unknown) = named.iter().find(|name| !ALL.iter().any(|(known, ..)| known == *name)) {
            let shown: String = unknown.chars().take(40).collect();
            return Err(refusal(Code::InvalidArgument, format!("targets: there is no cache {shown:?}."))
                .next("registry, assets, pyc and sessions are there.")
                .into());
        }
        Ok(ALL.into_iter().filter(|(name, ..)| named.contains(name)).collect())
    }
}
impl WriteTool for ClearSystemCache {
    type Answer = Cleared;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let wanted = self.wanted()?;
        cx.container()?;
        let names: Vec<&str> = wanted.iter().map(|(name, ..)| *name).collect();
        Ok(Plan {
            summary: format!("Would clear {}", names.join(", ")),
            affected: wanted.len() as u64,
            examples: Vec::new(),
            warnings: wanted.iter().map(|(name, _, what)| format!("{name}: {what}.")).collect(),
            ids: Vec::new(),
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Cleared> {
        let wanted = self.wanted()?;
        let targets: Vec<Target> = wanted.iter().map(|(_, target, _)| *target).collect();
        let done = WriteCx::container(cx)?.clear_caches(&targets).await?;
        let part = |(name, target, _): (&'static str, Target, &'static str)| {
            let (removed, kept) = match target {
                Target::Registry => (done.registry, None),
                Target::Assets => (done.assets, None),
                Target::Pyc => (done.pyc, done.pyc_kept),
                Target::Sessions => (done.sessions, done.sessions_kept),
            };
            Part { target: name, removed: removed.unwrap_or_default(), kept: kept.unwrap_or_default() }
        };
        Ok(Cleared { cleared: wanted.into_iter().map(part).collect() })
    }
}
pub const TOOL: Tool = tool::destructive::<ClearSystemCache>("Clear caches");
