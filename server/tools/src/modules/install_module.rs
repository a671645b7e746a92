use std::collections::BTreeSet;

use backends::odoo::ModuleOperation;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    contract::{self as tool, *},
    module_graph::Graph,
    module_ops::{self, Done, Marks, counted, named},
};

/// Install a module with all that it needs. Takes minutes: call again with the same arguments to wait for the outcome. dry_run lists what comes along.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstallModule {
    /// Technical name, like sale_management
    module: String,
}
impl InstallModule {
    fn names(&self) -> Result<Vec<String>> {
        module_ops::asked("module", std::slice::from_ref(&self.module))
    }
}
/// The most modules that Odoo is asked about before an installation, one by one.
const ASKED: usize = 20;

impl WriteTool for InstallModule {
    type Answer = Done;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let (odoo, names) = (cx.odoo()?, self.names()?);
        let states = odoo.module_states().await?;
        let found = match module_ops::fit(ModuleOperation::Install, &names, &states, &[]) {
            Ok(found) => found,
            Err(refused) if refused.code == Code::NotFound => {
                let next = format!("{} The call itself has Odoo look for new modules first.", refused.next);
                return Err(refused.next(next).into());
            }
            Err(refused) => return Err(refused.into()),
        };
        let links = odoo.module_links().await?;
        let foreign = odoo.modules_of_other_countries().await?;
        let graph = Graph::new(&states, &links);
        let made = graph.installed(&[self.module.as_str()], &foreign);
        let mut warnings: Vec<String> = Marks::of(&states, cx.now()).warning().into_iter().collect();
        for (module, missing) in made.missing.iter().take(10) {
            warnings.push(format!("Odoo would refuse: {module} needs {missing}, which is not in its addons paths."));
        }
        if !made.uninstallable.is_empty() {
            warnings.push(format!("Not installable and needed: {}.", named(made.uninstallable.iter().copied())));
        }
        for module in made.modules.iter().filter_map(|name| graph.module(name)).take(ASKED) {
            match odoo.missing_package(module).await? {
                Some(Some(why)) => warnings.push(format!("Odoo would refuse: {why}")),
                Some(None) => {}
                None => break,
            }
        }
        if !made.automatic.is_empty() {
            let automatic = named(made.automatic.iter().copied());
            warnings.push(format!("By themselves, because all that they wait for is there then: {automatic}."));
        }
        let along: BTreeSet<&str> = made.modules.iter().copied().filter(|name| *name != self.module).collect();
        let with =
            if along.is_empty() { String::new() } else { format!(", and {} along with it", counted(along.len(), "module")) };
        let title = found.first().map(|m| m.title.as_str()).unwrap_or_default();
        Ok(Plan {
            summary: format!("Would install {} ({title}){with}", self.module),
            affected: along.len() as u64 + 1,
            examples: std::iter::once(self.module.as_str()).chain(along).take(10).map(str::to_owned).collect(),
            warnings,
            ids: made.modules.iter().filter_map(|name| graph.module(name)).map(|m| m.id).collect(),
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Done> {
        module_ops::run(cx, ModuleOperation::Install, self.names()?).await
    }
    async fn resume(self, cx: &WriteCx, journal: Value) -> Result<Done> {
        module_ops::resume(cx, ModuleOperation::Install, self.names()?, journal).await
    }
}
pub const TOOL: Tool = tool::write::<InstallModule>("Install a module")
    .lifting(&["ir.module.module"])
    .at_least_seconds(90)
    .operation(module_ops::SECONDS);
