use backends::odoo::Relation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// Where a model leads: its many2one, one2many and many2many fields with target model, fields back, tables, and what deletion does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetModelRelations {
    model: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Relations {
    pub model: String,
    pub count: usize,
    pub relations: Vec<Listed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub field: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub string: String,
    /// Absent: any model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation: Option<String>,
    pub required: bool,
    pub store: bool,
    /// The other model's fields that lead back.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inverse: Vec<String>,
    /// Of a many2many, with its column for this model and that for the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relation_table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column2: Option<String>,
    /// What becomes of this record when the other is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<String>,
    /// False where this key may not use the other model; of that only the name is told.
    pub usable: bool,
}
impl Answer for Relations {
    const LIST: Option<&'static str> = Some("relations");
    fn columns(&self) -> Vec<String> {
        ["field", "type", "relation", "inverse", "required", "store"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
impl From<Relation> for Listed {
    fn from(r: Relation) -> Self {
        let [table, mine, other] = r.table.map_or([None, None, None], |t| t.map(Some));
        Self {
            field: r.field,
            kind: r.kind,
            string: r.label,
            relation: r.model,
            required: r.required,
            store: r.stored,
            inverse: r.inverse,
            relation_table: table,
            column1: mine,
            column2: other,
            on_delete: r.on_delete,
            usable: r.usable,
        }
    }
}
impl ReadTool for GetModelRelations {
    type Answer = Relations;
    async fn call(self, cx: &ReadCx) -> Result<Relations> {
        let told = cx.odoo()?.model_relations(&self.model).await?;
        let relations: Vec<Listed> = told.relations.into_iter().map(Listed::from).collect();
        Ok(Relations { model: self.model, count: relations.len(), relations, notes: told.notes })
    }
}
pub const TOOL: Tool = tool::read::<GetModelRelations>("Relations of a model");
