use backends::odoo::ModuleOperation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    module_ops,
    module_removal::Removal,
};

/// What would go away if a module were removed: modules that stand on it, models with their record counts, fields, views, and hand-made views that would break.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckUninstallDeps {
    module: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Check {
    pub module: String,
    pub state: String,
    /// Whether uninstall_module would begin at all.
    pub removable: bool,
    /// Records of the models that go away, archived ones too.
    pub records: u64,
    /// Installed, and gone with it.
    pub modules: Vec<Dependent>,
    pub models: Vec<Model>,
    /// Of models that stay; what they hold goes.
    pub fields: Vec<String>,
    /// External ids.
    pub views: Vec<String>,
    pub broken_views: Vec<View>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Dependent {
    pub module: String,
    pub title: String,
    pub version: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Model {
    pub model: String,
    pub name: String,
    pub records: u64,
}
/// Made by people, and showing what goes away.
#[derive(Debug, Serialize, JsonSchema)]
pub struct View {
    pub id: i64,
    pub name: String,
    pub model: String,
    pub why: String,
}
impl Answer for Check {
    fn affected(&self) -> Option<u64> {
        Some(self.modules.len() as u64)
    }
}

impl ReadTool for CheckUninstallDeps {
    type Answer = Check;
    async fn call(self, cx: &ReadCx) -> Result<Check> {
        let odoo = cx.odoo()?;
        let names = module_ops::asked("module", std::slice::from_ref(&self.module))?;
        let states = odoo.module_states().await?;
        let stands_on = odoo.modules_that_odoo_stands_on().await?;
        let Some(module) = states.iter().find(|m| m.name == self.module) else {
            return Err(backends::odoo::unknown_module(&self.module, &states).into());
        };
        let mut check = Check {
            module: self.module,
            state: module.state.clone(),
            removable: true,
            records: 0,
            modules: Vec::new(),
            models: Vec::new(),
            fields: Vec::new(),
            views: Vec::new(),
            broken_views: Vec::new(),
            notes: Vec::new(),
        };
        if let Err(why) = module_ops::fit(ModuleOperation::Uninstall, &names, &states, stands_on) {
            check.removable = false;
            check.notes.push(why.message.into_owned());
            return Ok(check);
        }
        let removal = Removal::of(odoo, &states, &[module]).await?;
        check.records = removal.records();
        check.modules = removal
            .modules
            .iter()
            .filter(|m| m.name != module.name)
            .map(|m| Dependent { module: m.name.clone(), title: m.title.clone(), version: m.version.clone() })
            .collect();
        let lost = removal.lost;
        check.models = lost.models.into_iter().map(|m| Model { model: m.model, name: m.name, records: m.records }).collect();
        check.fields = lost.fields;
        check.views = lost.views;
        check.broken_views =
            lost.broken.into_iter().map(|v| View { id: v.id, name: v.name, model: v.model, why: v.why }).collect();
        Ok(check)
    }
}
pub const TOOL: Tool = tool::read::<CheckUninstallDeps>("What a module's removal takes along");
