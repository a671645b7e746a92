use kernel::{Health, Server};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// List the servers that your organization's Odoo instances run on, with their status.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListServers {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Servers {
    pub servers: Vec<Listed>,
    pub count: usize,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Listed {
    pub id: String,
    pub name: String,
    /// From the instances that you may use there: `up` when one is, `down` when all are, else `unknown`.
    pub status: &'static str,
    pub instances: usize,
    /// Whether its Docker answers: `up`, `down` or `unknown`; absent where none is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docker: Option<&'static str>,
    /// For operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}
impl Answer for Servers {
    const LIST: Option<&'static str> = Some("servers");
    fn columns(&self) -> Vec<String> {
        let host = self.servers.iter().any(|s| s.host.is_some()).then_some("host");
        ["name", "status", "instances", "docker", "id"].into_iter().chain(host).map(str::to_owned).collect()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.servers.len() as u64)
    }
}
fn status(healths: &[Health]) -> &'static str {
    if healths.contains(&Health::Up) {
        Health::Up.as_str()
    } else if !healths.is_empty() && healths.iter().all(|h| *h == Health::Down) {
        Health::Down.as_str()
    } else {
        Health::Unknown.as_str()
    }
}
impl Listed {
    fn of(server: &Server, directory: &Directory) -> Self {
        let healths: Vec<Health> = directory.instances.iter().filter(|i| i.server == server.id).map(|i| i.health).collect();
        Self {
            id: server.id.to_string(),
            name: server.name.clone(),
            status: status(&healths),
            instances: healths.len(),
            docker: server.docker.as_ref().map(|_| server.docker_health.as_str()),
            host: server.docker.clone().filter(|_| directory.operator),
        }
    }
}
impl ReadTool for ListServers {
    type Answer = Servers;
    async fn call(self, cx: &ReadCx) -> Result<Servers> {
        let directory = cx.directory();
        let servers: Vec<Listed> = directory.servers.iter().map(|s| Listed::of(s, directory)).collect();
        Ok(Servers { count: servers.len(), servers })
    }
}
pub const TOOL: Tool = tool::read::<ListServers>("List servers");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_as_well_as_its_instances() {
        use Health::{Down, Unknown, Up};
        for (healths, expected) in
            [(&[Up, Down][..], "up"), (&[Down, Down], "down"), (&[Down, Unknown], "unknown"), (&[], "unknown")]
        {
            assert_eq!(status(healths), expected);
        }
    }
}
