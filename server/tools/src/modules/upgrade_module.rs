use backends::odoo::ModuleOperation;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    args::Names,
    contract::{self as tool, *},
    module_graph::Graph,
    module_ops::{self, Done, Marks, counted, named},
};

/// Bring installed modules to the version on the disk, with the installed modules that stand on them. base means all and needs confirm. Call again with the same arguments to wait for the outcome.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpgradeModule {
    modules: Names,
}
impl UpgradeModule {
    fn names(&self) -> Result<Vec<String>> {
        module_ops::asked("modules", &self.modules.0)
    }
}

impl WriteTool for UpgradeModule {
    type Answer = Done;
    /// Everything is upgraded then, for as long as it takes.
    fn confirm(&self) -> bool {
        self.modules.0.iter().any(|name| name == "base")
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let (odoo, names) = (cx.odoo()?, self.names()?);
        let states = odoo.module_states().await?;
        module_ops::fit(ModuleOperation::Upgrade, &names, &states, &[])?;
        let links = odoo.module_links().await?;
        let graph = Graph::new(&states, &links);
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        let upgraded = graph.upgraded(&asked);
        let mut warnings: Vec<String> = Marks::of(&states, cx.now()).warning().into_iter().collect();
        let absent = |name: &&str| graph.module(name).is_some_and(|m| m.state == "uninstalled");
        let mut new: Vec<&str> = upgraded.iter().flat_map(|name| graph.needs(name)).filter(absent).collect();
        new.sort_unstable();
        new.dedup();
        if !new.is_empty() {
            warnings
                .push(format!("Needed by now and not installed, so they would be installed: {}.", named(new.iter().copied())));
        }
        warnings.push(
            "Odoo reads the manifests again when it upgrades: modules that they need by then are installed too.".to_owned(),
        );
        let along = upgraded.iter().copied().filter(|name| !asked.contains(name));
        let with = match upgraded.len() - asked.len().min(upgraded.len()) {
            0 => String::new(),
            n => format!(" and {} on top", counted(n, "module")),
        };
        Ok(Plan {
            summary: format!("Would upgrade {}{with}", named(asked.iter().copied())),
            affected: upgraded.len() as u64,
            examples: asked
                .iter()
                .copied()
                .chain(along)
                .take(10)
                .filter_map(|name| graph.module(name))
                .map(|m| format!("{} {}", m.name, m.version.as_deref().unwrap_or_default()).trim_end().to_owned())
                .collect(),
            warnings,
            ids: upgraded.iter().filter_map(|name| graph.module(name)).map(|m| m.id).collect(),
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Done> {
        module_ops::run(cx, ModuleOperation::Upgrade, self.names()?).await
    }
    async fn resume(self, cx: &WriteCx, journal: Value) -> Result<Done> {
        module_ops::resume(cx, ModuleOperation::Upgrade, self.names()?, journal).await
    }
}
pub const TOOL: Tool = tool::write::<UpgradeModule>("Upgrade modules")
    .lifting(&["ir.module.module"])
    .at_least_seconds(90)
    .operation(module_ops::SECONDS);
