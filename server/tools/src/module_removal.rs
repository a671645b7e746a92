//! What goes away with a module, by Odoo's own reckoning.
use backends::odoo::{Belongings, ModuleState, Reader};
use kernel::Result;

#[derive(Debug)]
pub struct Removal<'a> {
    /// Those that were asked for first.
    pub modules: Vec<&'a ModuleState>,
    pub lost: Belongings,
}
impl<'a> Removal<'a> {
    /// Of modules that are installed.
    pub async fn of(odoo: &Reader, states: &'a [ModuleState], asked: &[&'a ModuleState]) -> Result<Self> {
        let ids: Vec<i64> = asked.iter().map(|m| m.id).collect();
        let along = odoo.modules_that_go_along(&ids).await?;
        let mut modules = asked.to_vec();
        modules.extend(states.iter().filter(|m| along.contains(&m.id)));
        let names: Vec<&str> = modules.iter().map(|m| m.name.as_str()).collect();
        let lost = odoo.module_belongings(&names).await?;
        Ok(Self { modules, lost })
    }
    /// Of the models that go away.
    pub fn records(&self) -> u64 {
        self.lost.models.iter().map(|m| m.records).sum()
    }
}
