use std::collections::BTreeSet;

use backends::odoo::{ModuleState, unknown_module};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    contract::{self as tool, *},
    module_graph::{Distances, Graph},
    module_ops,
};

/// What a module needs and what needs it, installed or not, as a graph.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleDependencies {
    module: String,
    /// Through others too, not only directly
    #[serde(default)]
    recursive: bool,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Dependencies {
    pub module: String,
    pub state: String,
    pub depends_on: usize,
    pub required_by: usize,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
    /// Python packages and programs.
    pub external: External,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Node {
    pub module: String,
    /// `unknown` where Odoo has no such module.
    pub state: String,
    pub relation: Relation,
    /// Steps from the module.
    pub distance: usize,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    Itself,
    DependsOn,
    RequiredBy,
}
/// `from` needs `to`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Edge {
    pub from: String,
    pub to: String,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct External {
    /// Whether this version of Odoo tells.
    pub checked: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}
impl Answer for Dependencies {
    fn affected(&self) -> Option<u64> {
        Some(self.nodes.len() as u64)
    }
}

fn nodes(graph: &Graph<'_>, found: &Distances<'_>, relation: Relation) -> Vec<Node> {
    let state = |name: &str| graph.module(name).map_or_else(|| "unknown".to_owned(), |m| m.state.clone());
    let mut nodes: Vec<Node> = found
        .iter()
        .map(|(name, distance)| Node { module: (*name).to_owned(), state: state(name), relation, distance: *distance })
        .collect();
    // What is near, and what is installed, first: a cut takes the rest.
    nodes.sort_by(|a, b| {
        a.distance
            .cmp(&b.distance)
            .then_with(|| (a.state != "installed").cmp(&(b.state != "installed")))
            .then_with(|| a.module.cmp(&b.module))
    });
    nodes
}

impl ReadTool for ModuleDependencies {
    type Answer = Dependencies;
    async fn call(self, cx: &ReadCx) -> Result<Dependencies> {
        let odoo = cx.odoo()?;
        module_ops::asked("module", std::slice::from_ref(&self.module))?;
        let states = odoo.module_states().await?;
        let Some(module) = states.iter().find(|m| m.name == self.module) else {
            return Err(unknown_module(&self.module, &states).into());
        };
        let links = odoo.module_links().await?;
        let graph = Graph::new(&states, &links);
        let name = module.name.as_str();
        let (up, down) = (graph.upstream(&[name], self.recursive), graph.downstream(&[name], self.recursive));
        let mut all =
            vec![Node { module: module.name.clone(), state: module.state.clone(), relation: Relation::Itself, distance: 0 }];
        all.extend(nodes(&graph, &up, Relation::DependsOn));
        all.extend(nodes(&graph, &down, Relation::RequiredBy));
        let known: BTreeSet<&str> = all.iter().map(|n| n.module.as_str()).collect();
        let mut edges = Vec::new();
        for node in &all {
            // Direct ones alone: what they need among each other is not asked for.
            let needs = graph
                .needs(&node.module)
                .filter(|need| known.contains(need) && (self.recursive || node.module == self.module || *need == self.module));
            edges.extend(needs.map(|need| Edge { from: node.module.clone(), to: need.to_owned() }));
        }
        let mut notes = Vec::new();
        let external = self.external(odoo, module, &mut notes).await?;
        Ok(Dependencies {
            module: module.name.clone(),
            state: module.state.clone(),
            depends_on: up.len(),
            required_by: down.len(),
            nodes: all,
            edges,
            external,
            notes,
        })
    }
}
impl ModuleDependencies {
    async fn external(&self, odoo: &backends::odoo::Reader, module: &ModuleState, notes: &mut Vec<String>) -> Result<External> {
        if let Some(missing) = odoo.missing_package(module).await? {
            return Ok(External { checked: true, missing });
        }
        notes.push(
            "This version of Odoo tells of missing Python packages only when it installs or upgrades the module; the manifest names them."
                .to_owned(),
        );
        Ok(External { checked: false, missing: None })
    }
}
pub const TOOL: Tool = tool::read::<ModuleDependencies>("A module's dependencies");
