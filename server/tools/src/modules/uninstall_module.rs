use backends::odoo::ModuleOperation;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    contract::{self as tool, *},
    module_ops::{self, Done, Marks, counted, named},
    module_removal::Removal,
};

/// Remove a module and every module that stands on it, with their tables and data. Cannot be undone. Look with check_uninstall_deps first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UninstallModule {
    module: String,
}
impl UninstallModule {
    fn names(&self) -> Result<Vec<String>> {
        module_ops::asked("module", std::slice::from_ref(&self.module))
    }
}

impl WriteTool for UninstallModule {
    type Answer = Done;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let (odoo, names) = (cx.odoo()?, self.names()?);
        let states = odoo.module_states().await?;
        let stands_on = odoo.modules_that_odoo_stands_on().await?;
        let found = module_ops::fit(ModuleOperation::Uninstall, &names, &states, stands_on)?;
        let removal = Removal::of(odoo, &states, &found).await?;
        let names: Vec<&str> = removal.modules.iter().map(|m| m.name.as_str()).collect();
        let mut warnings: Vec<String> = Marks::of(&states, cx.now()).warning().into_iter().collect();
        let along: Vec<&str> = names.iter().copied().filter(|name| *name != self.module).collect();
        if !along.is_empty() {
            warnings.push(format!("Goes along, because it stands on {}: {}.", self.module, named(along.iter().copied())));
        }
        let lost = &removal.lost;
        if !lost.models.is_empty() {
            let models: Vec<String> = lost.models.iter().map(|m| format!("{} ({})", m.model, m.records)).collect();
            warnings.push(format!(
                "Deletes {} with {}: {}.",
                counted(lost.models.len(), "model"),
                counted(usize::try_from(removal.records()).unwrap_or(usize::MAX), "record"),
                named(models.iter().map(String::as_str))
            ));
        }
        if !lost.fields.is_empty() {
            warnings.push(format!(
                "Deletes {} of models that stay, with what they hold: {}.",
                counted(lost.fields.len(), "field"),
                named(lost.fields.iter().map(String::as_str))
            ));
        }
        if !lost.views.is_empty() {
            warnings.push(format!("Removes {}.", counted(lost.views.len(), "view")));
        }
        for view in lost.broken.iter().take(10) {
            warnings.push(format!("The view \"{}\" ({}) stops working: {}.", view.name, view.id, view.why));
        }
        warnings.push("It cannot be undone: make a backup first.".to_owned());
        let records = counted(usize::try_from(removal.records()).unwrap_or(usize::MAX), "record");
        let with = if along.is_empty() { String::new() } else { format!(" and {} on top", counted(along.len(), "module")) };
        Ok(Plan {
            summary: format!("Would remove {}{with}, and delete {records}", self.module),
            affected: names.len() as u64,
            examples: names.iter().take(10).map(|name| (*name).to_owned()).collect(),
            warnings,
            ids: removal.modules.iter().map(|m| m.id).collect(),
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Done> {
        module_ops::run(cx, ModuleOperation::Uninstall, self.names()?).await
    }
    async fn resume(self, cx: &WriteCx, journal: Value) -> Result<Done> {
        module_ops::resume(cx, ModuleOperation::Uninstall, self.names()?, journal).await
    }
}
pub const TOOL: Tool = tool::destructive::<UninstallModule>("Remove a module")
    .lifting(&["ir.module.module"])
    .at_least_seconds(90)
    .operation(module_ops::SECONDS);
