//! `ocore server …`
use std::path::PathBuf;

use admin::servers::{self, NewServer};
use clap::Subcommand;
use serde_json::{Value, json};

use super::Given;
use crate::{
    failure::Result,
    terminal::{self, Shown},
};

#[derive(Debug, Subcommand)]
pub enum Server {
    /// Registers a host
    Create {
        /// Its short name: letters, digits and hyphens
        name: String,
        /// The organization
        #[arg(long, value_name = "SLUG")]
        org: String,
        /// unix:///var/run/docker.sock, tcp://host:2376 (with TLS) or ssh://user@host
        #[arg(long, value_name = "ENDPOINT")]
        docker: Option<String>,
        /// A folder in which addons and backups of instances may be; may be given several times
        #[arg(long, value_name = "DIR")]
        path_root: Vec<PathBuf>,
    },
    /// Lists the hosts
    List {
        /// Only those of this organization
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
}

impl Server {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let (admin, by) = (&base.admin, &base.by);
        let shown = match self {
            Self::Create { name, org, docker, path_root } => {
                let new = NewServer { org, name, docker, path_roots: path_root };
                let server = servers::create(admin, by, &new).await?;
                Shown::new(format!("Created the server {} of {}.", server.name, new.org), json(&server, &new.org))
            }
            Self::List { org } => {
                let orgs = match org {
                    Some(org) => vec![org],
                    None => admin::orgs::list(admin, by).await?.iter().map(|o| o.organization.slug.to_string()).collect(),
                };
                let (mut rows, mut values) = (Vec::new(), Vec::new());
                for org in orgs {
                    for server in servers::list(admin, by, &org).await? {
                        let roots: Vec<String> = server.path_roots.iter().map(|p| p.display().to_string()).collect();
                        let docker = server.docker.clone().unwrap_or_else(|| "-".into());
                        rows.push(vec![
                            server.name.clone(),
                            org.clone(),
                            docker,
                            if roots.is_empty() { "-".into() } else { roots.join(", ") },
                        ]);
                        values.push(json(&server, &org));
                    }
                }
                let empty = "There is no server yet. Create one: ocore server create NAME --org SLUG";
                Shown::new(terminal::table(&["NAME", "ORG", "DOCKER", "PATH ROOTS"], &rows, empty), values.into())
            }
        };
        base.close().await;
        Ok(shown)
    }
}

fn json(server: &kernel::Server, org: &str) -> Value {
    json!({
        "id": server.id.to_string(),
        "name": server.name,
        "org": org,
        "docker": server.docker,
        "path_roots": server.path_roots,
    })
}
