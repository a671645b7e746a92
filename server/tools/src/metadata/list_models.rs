use backends::odoo::Model;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    caps,
    contract::{self as tool, *},
};

/// List the models of this instance with label, state and source module. Start here when you do not know a model's name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListModels {
    /// Part of a name or label, like sale
    search: Option<String>,
    /// manual: made by users
    state: Option<State>,
    /// Default 100
    limit: Option<u64>,
    #[serde(default)]
    offset: u64,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum State {
    Base,
    Manual,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Models {
    pub models: Vec<Listed>,
    pub count: usize,
    pub total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_offset: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub model: String,
    pub name: String,
    /// Absent where Odoo does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    pub modules: Vec<String>,
}
impl Answer for Models {
    const LIST: Option<&'static str> = Some("models");
    fn columns(&self) -> Vec<String> {
        ["model", "name", "state", "modules"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.models.len() as u64)
    }
}
impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Manual => "manual",
        }
    }
}
fn page(found: Vec<Model>, offset: u64, limit: u64, notes: Vec<String>) -> Models {
    let (total, skip) = (found.len(), usize::try_from(offset).unwrap_or(usize::MAX));
    let page = found.into_iter().skip(skip).take(usize::try_from(limit).unwrap_or(usize::MAX));
    let models: Vec<Listed> =
        page.map(|Model { model, name, state, modules, .. }| Listed { model, name, state, modules }).collect();
    let end = skip.saturating_add(models.len());
    Models { count: models.len(), total, next_offset: (end < total).then_some(end as u64), models, notes }
}
impl ReadTool for ListModels {
    type Answer = Models;
    async fn call(self, cx: &ReadCx) -> Result<Models> {
        let odoo = cx.odoo()?;
        let (limit, note) = caps::limit(odoo.scope(), self.limit, 100)?;
        let search = self.search.as_deref().map(str::trim).filter(|s| !s.is_empty());
        let found = odoo.models(search, self.state.map(State::as_str)).await?;
        Ok(page(found, self.offset, limit, note.into_iter().collect()))
    }
}
pub const TOOL: Tool = tool::read::<ListModels>("List models");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_paged() {
        let of = |offset, limit| {
            let all = ["res.partner", "sale.order", "x_sale"].map(|model| Model {
                model: model.to_owned(),
                name: "A model".to_owned(),
                state: Some("base".to_owned()),
                modules: vec!["base".to_owned()],
            });
            let page = page(all.into(), offset, limit, Vec::new());
            (page.models.iter().map(|m| m.model.clone()).collect::<Vec<_>>().join(" "), page.total, page.next_offset)
        };
        assert_eq!(of(0, 100), ("res.partner sale.order x_sale".to_owned(), 3, None));
        assert_eq!(of(1, 1), ("sale.order".to_owned(), 3, Some(2)));
        assert_eq!(of(9, 1), (String::new(), 3, None));
    }
}
