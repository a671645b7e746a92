use backends::odoo::Constraint;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// What Odoo's database checks for a model: checks, unique keys, foreign keys, indexes, and fields that may not be empty.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetModelConstraints {
    model: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Constraints {
    pub model: String,
    pub count: usize,
    pub constraints: Vec<Listed>,
    /// Stored fields that may not be empty.
    pub required_fields: Vec<String>,
    /// What is known of @api.constrains methods.
    pub python_constraints: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub name: String,
    /// check, unique, exclude, foreign_key, index, unique_index or other.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// What a person reads when it is violated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// Of a foreign key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<String>,
    /// What becomes of the record when the other is deleted: set null, restrict, cascade.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<String>,
}
impl Answer for Constraints {
    const LIST: Option<&'static str> = Some("constraints");
    fn columns(&self) -> Vec<String> {
        ["name", "kind", "definition", "message", "module"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}
impl From<Constraint> for Listed {
    fn from(c: Constraint) -> Self {
        Self {
            name: c.name,
            kind: c.kind,
            definition: c.definition,
            message: c.message,
            module: c.module,
            field: c.field,
            references: c.references,
            on_delete: c.on_delete,
        }
    }
}
impl ReadTool for GetModelConstraints {
    type Answer = Constraints;
    async fn call(self, cx: &ReadCx) -> Result<Constraints> {
        let told = cx.odoo()?.model_constraints(&self.model).await?;
        let constraints: Vec<Listed> = told.constraints.into_iter().map(Listed::from).collect();
        Ok(Constraints {
            model: self.model,
            count: constraints.len(),
            constraints,
            required_fields: told.required,
            python_constraints: "not available: Odoo tells them to its shell alone, which needs a Docker connection. A write that violates one is refused in its words.",
            notes: told.notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<GetModelConstraints>("Constraints of a model");
