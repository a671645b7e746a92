use backends::{docker, odoo::Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    args::SearchWords,
    contract::{self as tool, *},
};

/// The methods of a model with signature, decorators (api), module and explanation. Before Odoo 19, and for private ones, by the instance's container.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetModelMethods {
    model: String,
    /// Those that start with _ too, which the container alone tells. Default true, but false on 19
    include_private: Option<bool>,
    /// Part of a name or explanation; parameters are explained when few are left
    #[serde(default)]
    search: SearchWords,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Methods {
    pub model: String,
    pub count: usize,
    pub methods: Vec<Listed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub name: String,
    pub signature: String,
    /// model: called without ids. readonly: changes nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub api: Vec<String>,
    /// Where it is defined last; core is Odoo's base.
    pub module: String,
    pub defined_in: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
    /// Where at most ten methods are told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<Parameter>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub returns: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub raises: Vec<String>,
    /// Modules whose definitions it replaces or calls, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Parameter {
    pub name: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub doc: String,
}
impl Answer for Methods {
    const LIST: Option<&'static str> = Some("methods");
    fn columns(&self) -> Vec<String> {
        ["name", "signature", "api", "module"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.count as u64)
    }
}

/// So few are told in full.
const IN_FULL: usize = 10;
/// Characters of an explanation in a longer list.
const BRIEF: usize = 200;

fn told(methods: Vec<Method>, search: Option<&str>) -> Vec<Listed> {
    let needle = search.map(str::to_lowercase);
    let found: Vec<Method> = methods
        .into_iter()
        .filter(|m| needle.as_deref().is_none_or(|n| m.name.to_lowercase().contains(n) || m.doc.to_lowercase().contains(n)))
        .collect();
    let in_full = found.len() <= IN_FULL;
    found
        .into_iter()
        .map(|m| Listed {
            doc: if in_full || m.doc.chars().count() <= BRIEF {
                m.doc
            } else {
                format!("{}…", m.doc.chars().take(BRIEF).collect::<String>().trim_end())
            },
            parameters: m
                .parameters
                .into_iter()
                .filter(|_| in_full)
                .map(|(name, kind, doc)| Parameter { name, kind, doc })
                .collect(),
            returns: if in_full { m.returns } else { String::new() },
            raises: if in_full { m.raises } else { Vec::new() },
            overrides: Vec::new(),
            name: m.name,
            signature: m.signature,
            api: m.api,
            module: m.module,
            defined_in: m.model,
        })
        .collect()
}
/// What Odoo's shell tells, which loads the model as the server does.
fn of_shell(methods: Vec<docker::Method>) -> Vec<Listed> {
    let in_full = methods.len() <= IN_FULL;
    let brief = |doc: String| {
        if in_full || doc.chars().count() <= BRIEF {
            doc
        } else {
            format!("{}…", doc.chars().take(BRIEF).collect::<String>().trim_end())
        }
    };
    let listed = |m: docker::Method| Listed {
        name: m.name,
        signature: m.signature,
        api: m.decorators,
        defined_in: m.module.clone(),
        module: m.module,
        doc: brief(m.doc),
        overrides: m.overridden_in,
        parameters: Vec::new(),
        returns: String::new(),
        raises: Vec::new(),
    };
    methods.into_iter().map(listed).collect()
}

impl ReadTool for GetModelMethods {
    type Answer = Methods;
    async fn call(self, cx: &ReadCx) -> Result<Methods> {
        let by_rpc = cx.odoo()?.version().await?.major >= 19;
        let private = self.include_private.unwrap_or(true);
        // Odoo's own documentation where it has one, unless private ones are asked for by name.
        let shell = !by_rpc || self.include_private == Some(true);
        if shell && let Ok(container) = cx.container() {
            // Which models the caller may know of is decided as for every other tool.
            cx.odoo()?.scope().readable(&self.model)?;
            let Some(found) = container.methods(&self.model, private, self.search.get()).await? else {
                return Err(refusal(Code::NotFound, format!("There is no model {}.", self.model))
                    .next("list_models names them.")
                    .into());
            };
            let methods = of_shell(found);
            return Ok(Methods { model: self.model, count: methods.len(), methods, notes: Vec::new() });
        }
        let methods = told(cx.odoo()?.model_methods(&self.model).await?, self.search.get());
        let mut notes = Vec::new();
        if private {
            notes.push("Public methods alone: Odoo tells private ones (_…) to its shell alone, which needs a container connection: ask with include_private true once there is one. Nobody calls those over RPC.".to_owned());
        }
        Ok(Methods { model: self.model, count: methods.len(), methods, notes })
    }
}
pub const TOOL: Tool = tool::read::<GetModelMethods>("Methods of a model");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_methods_are_told_in_full() {
        let all: Vec<Method> = (0..20)
            .map(|i| Method {
                name: format!("action_{i}"),
                doc: "Long words. ".repeat(40),
                parameters: vec![("a".to_owned(), "int".to_owned(), "What it is".to_owned())],
                ..Method::default()
            })
            .collect();
        let brief = told(all.clone(), None);
        assert_eq!(brief.len(), 20);
        assert!(brief[0].parameters.is_empty() && brief[0].doc.chars().count() <= BRIEF + 1);
        let full = told(all.clone(), Some("ACTION_19"));
        assert_eq!((full.len(), full[0].parameters.len()), (1, 1));
        assert!(full[0].doc.len() > BRIEF);
        assert!(told(all, Some("nothing like it")).is_empty());
    }
}
