use backends::{docker::PythonConstraint, odoo::Constraint};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// What Odoo's database checks for a model: checks, unique keys, foreign keys, indexes, fields that may not be empty; and, where the instance has a container, what Python checks.
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
    /// Methods with @api.constrains or @api.ondelete; absent where they could not be asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub python_constraints: Option<Vec<Python>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Python {
    pub name: String,
    /// constraint, or deletion: before records are deleted.
    pub kind: String,
    /// Whose change runs it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    pub module: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
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
        let mut notes = told.notes;
        let python = if let Ok(container) = cx.container() {
            let found = container.constraints(&self.model).await;
            if let Err(fault) = &found {
                notes.push(format!("What Python checks could not be read: {}", fault.public().message));
            }
            found.ok().map(Option::unwrap_or_default)
        } else {
            notes.push("What Python checks, Odoo tells to its shell alone, which needs a container connection. A write that violates one is refused in its words.".to_owned());
            None
        };
        let python_constraints = python.map(|found| {
            let one = |c: PythonConstraint| Python {
                name: c.name,
                kind: c.kind,
                fields: c.fields,
                module: c.module,
                doc: c.doc,
                source: c.source,
            };
            found.into_iter().map(one).collect()
        });
        Ok(Constraints {
            model: self.model,
            count: constraints.len(),
            constraints,
            required_fields: told.required,
            python_constraints,
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<GetModelConstraints>("Constraints of a model");
