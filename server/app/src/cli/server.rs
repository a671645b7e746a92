//! `ocore server …`
use std::path::PathBuf;

use admin::servers::{self, DockerSecret, NewServer, ServerUpdate};
use clap::{Args, Subcommand};
use kernel::DockerConnection;
use serde_json::{Value, json};

use super::{Given, input};
use crate::{
    failure::{Failure, Result},
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
        #[command(flatten)]
        secret: Secret,
        /// A folder in which addons and backups of instances may be; may be given several times
        #[arg(long, value_name = "DIR")]
        path_root: Vec<PathBuf>,
    },
    /// Changes a host; an empty endpoint removes it, path roots replace those before
    Update {
        name: String,
        /// The organization
        #[arg(long, value_name = "SLUG")]
        org: String,
        /// unix:///var/run/docker.sock, tcp://host:2376 (with TLS) or ssh://user@host
        #[arg(long, value_name = "ENDPOINT")]
        docker: Option<String>,
        #[command(flatten)]
        secret: Secret,
        /// A folder in which addons and backups of instances may be; may be given several times
        #[arg(long, value_name = "DIR")]
        path_root: Vec<PathBuf>,
    },
    /// Asks the host's Docker whether it answers, and tells what does not work
    Check {
        name: String,
        /// The organization
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
    /// Lists the hosts
    List {
        /// Only those of this organization
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
}

/// What TLS or ssh to a Docker endpoint needs.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub struct Secret {
    /// A file with the certificate (PEM) of who signed the Docker server's, for tcp://
    #[arg(long, value_name = "FILE")]
    docker_ca: Option<PathBuf>,
    /// A file with ocore's client certificate (PEM), for tcp://
    #[arg(long, value_name = "FILE")]
    docker_cert: Option<PathBuf>,
    /// A file with its private key (PEM), or with an ssh key without passphrase, for ssh://
    #[arg(long, value_name = "FILE")]
    docker_key: Option<PathBuf>,
    /// A file with the host's lines of known_hosts, for ssh://
    #[arg(long, value_name = "FILE")]
    docker_known_hosts: Option<PathBuf>,
}
impl Secret {
    fn read(&self) -> Result<Option<DockerSecret>> {
        let secret = DockerSecret {
            ca: self.docker_ca.as_deref().map(input::text_file).transpose()?,
            certificate: self.docker_cert.as_deref().map(input::text_file).transpose()?,
            key: self.docker_key.as_deref().map(input::key_file).transpose()?,
            known_hosts: self.docker_known_hosts.as_deref().map(input::text_file).transpose()?,
        };
        let none = secret.ca.is_none() && secret.certificate.is_none() && secret.key.is_none() && secret.known_hosts.is_none();
        Ok(if none { None } else { Some(secret) })
    }
}

impl Server {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let (admin, by) = (&base.admin, &base.by);
        let shown = match self {
            Self::Create { name, org, docker, secret, path_root } => {
                let new = NewServer { org, name, docker, secret: secret.read()?, path_roots: path_root };
                let server = servers::create(admin, by, &new).await?;
                Shown::new(format!("Created the server {} of {}.", server.name, new.org), json(&server, &new.org))
            }
            Self::Update { name, org, docker, secret, path_root } => {
                let change = ServerUpdate {
                    docker: docker.map(|d| Some(d).filter(|d| !d.is_empty())),
                    secret: secret.read()?,
                    path_roots: Some(path_root).filter(|roots| !roots.is_empty()),
                };
                if change.docker.is_none() && change.secret.is_none() && change.path_roots.is_none() {
                    return Err(Failure::usage("Nothing to change was named.").next("--help lists the options."));
                }
                let server = servers::update(admin, by, &org, &name, &change).await?;
                Shown::new(format!("Changed the server {name} of {org}."), json(&server, &org))
            }
            Self::Check { name, org } => {
                let server = servers::show(admin, by, &org, &name).await?;
                let Some(endpoint) = server.docker.clone() else {
                    return Err(Failure::new(
                        crate::failure::Exit::Refused,
                        "not_configured",
                        format!("{name} has no Docker endpoint."),
                    )
                    .next(format!("ocore server update {name} --org {org} --docker unix:///var/run/docker.sock")));
                };
                let docker = DockerConnection { server: server.id, endpoint, generation: server.generation };
                let (version, problems) = base.docker().check(server.org, &docker).await?;
                let mut lines = vec![format!("{name}: Docker {version} answers.")];
                lines.extend(problems.iter().cloned());
                let mut value = json(&server, &org);
                if let Some(map) = value.as_object_mut() {
                    map.insert("version".into(), version.into());
                    map.insert("problems".into(), problems.into());
                }
                Shown::new(lines.join("\n"), value)
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
                        let docker = match &server.docker {
                            Some(endpoint) => format!("{endpoint} ({})", server.docker_health),
                            None => "-".into(),
                        };
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
        "docker_health": server.docker.as_ref().map(|_| server.docker_health),
        "path_roots": server.path_roots,
    })
}
