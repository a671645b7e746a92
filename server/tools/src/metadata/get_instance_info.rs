use kernel::{Instance, Timestamp, time_text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// What ocore knows of this instance: server, environment, Odoo version and edition, health, whether writes are on, connections. Asks nothing of Odoo.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetInstanceInfo {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Info {
    pub id: String,
    pub slug: String,
    /// What this instance's tools start with.
    pub tool_prefix: String,
    pub server: String,
    pub url: String,
    pub port: Option<u16>,
    pub database: String,
    pub environment: &'static str,
    pub odoo_version: Option<String>,
    pub edition: Option<String>,
    pub state: &'static str,
    pub health: &'static str,
    /// Whether writes are on at this moment.
    pub mcp_write_enabled: bool,
    /// When writes go off by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_write_enabled_until: Option<String>,
    pub connections: Connections,
    /// When a login to this database last succeeded.
    pub checked_at: Option<String>,
    pub created_at: String,
    pub updated_at: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
/// Which ways into the instance are configured.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a connection of its own")]
pub struct Connections {
    pub rpc: bool,
    pub postgres: bool,
    pub docker: bool,
    pub files: bool,
    pub posthog: bool,
}
impl Answer for Info {}
impl Info {
    fn of(instance: &Instance, now: Timestamp) -> Self {
        let writable = instance.writable(now);
        let mut notes = Vec::new();
        if instance.rpc.as_ref().is_some_and(|rpc| rpc.refused) {
            notes.push(
                "Odoo refused the stored login: an administrator has to change it before tools that use RPC work again."
                    .to_owned(),
            );
        }
        if instance.checked_at.is_none() {
            notes.push("No login to this database has succeeded yet.".to_owned());
        }
        Self {
            id: instance.id.to_string(),
            slug: instance.slug.to_string(),
            tool_prefix: format!("{}_", instance.prefix()),
            server: instance.server_name.clone(),
            url: instance.url.origin().ascii_serialization(),
            port: instance.url.port_or_known_default(),
            database: instance.database.clone(),
            environment: instance.environment.as_str(),
            odoo_version: instance.version.map(|v| v.to_string()),
            edition: instance.edition.clone(),
            state: instance.state.as_str(),
            health: instance.health.as_str(),
            mcp_write_enabled: writable,
            mcp_write_enabled_until: instance.write_enabled_until.filter(|_| writable).map(time_text),
            connections: Connections {
                rpc: instance.rpc.is_some(),
                postgres: instance.host.postgres.is_some(),
                docker: instance.host.container.is_some(),
                files: !instance.host.addons.is_empty(),
                posthog: instance.posthog.is_some(),
            },
            checked_at: instance.checked_at.map(time_text),
            created_at: time_text(instance.created_at),
            updated_at: time_text(instance.updated_at),
            notes,
        }
    }
}
impl ReadTool for GetInstanceInfo {
    type Answer = Info;
    async fn call(self, cx: &ReadCx) -> Result<Info> {
        Ok(Info::of(cx.instance()?, cx.now()))
    }
}
pub const TOOL: Tool = tool::read::<GetInstanceInfo>("Describe this instance");
