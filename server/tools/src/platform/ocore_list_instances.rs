use kernel::{Health, Instance, InstanceState, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// List the Odoo instances that you may use, with version, environment, health and whether writes are on. Start here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListInstances {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Instances {
    pub instances: Vec<Listed>,
    pub count: usize,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub id: String,
    pub name: String,
    pub slug: String,
    /// What the instance's tools start with.
    pub tool_prefix: String,
    pub odoo_version: Option<String>,
    /// `running`, `down`, `unknown`, or what people set: `maintenance`, `archived`.
    pub status: &'static str,
    pub state: &'static str,
    pub health: &'static str,
    pub environment: &'static str,
    pub mcp_write_enabled: bool,
}
impl Answer for Instances {
    const LIST: Option<&'static str> = Some("instances");
    fn columns(&self) -> Vec<String> {
        ["slug", "odoo_version", "status", "environment", "mcp_write_enabled", "tool_prefix", "id"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.instances.len() as u64)
    }
}
fn status(instance: &Instance) -> &'static str {
    match (instance.state, instance.health) {
        (InstanceState::Active, Health::Up) => "running",
        (InstanceState::Active, health) => health.as_str(),
        (state, _) => state.as_str(),
    }
}
impl Listed {
    fn of(instance: &Instance, now: Timestamp) -> Self {
        Self {
            id: instance.id.to_string(),
            name: instance.slug.to_string(),
            slug: instance.slug.to_string(),
            tool_prefix: format!("{}_", instance.prefix()),
            odoo_version: instance.version.map(|v| v.to_string()),
            status: status(instance),
            state: instance.state.as_str(),
            health: instance.health.as_str(),
            environment: instance.environment.as_str(),
            mcp_write_enabled: instance.writable(now),
        }
    }
}
impl ReadTool for ListInstances {
    type Answer = Instances;
    async fn call(self, cx: &ReadCx) -> Result<Instances> {
        let instances: Vec<Listed> = cx.directory().instances.iter().map(|i| Listed::of(i, cx.now())).collect();
        Ok(Instances { count: instances.len(), instances })
    }
}
pub const TOOL: Tool = tool::read::<ListInstances>("List instances");
