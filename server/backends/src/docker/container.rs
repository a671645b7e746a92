//! One container: its state, and what an operator wants to know of it.
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chrono::DateTime;
use http::Method;
use serde::Deserialize;

use super::{
    endpoint::Endpoint,
    error::{Error, Result},
    exec::{Exit, Limits, Program},
    shell::last_line,
};

const SERVING: &str = include_str!("scripts/serving.py");

/// How an instance's container is to be used.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Who runs programs in it: a name or uid. None: the container's own user, or the one that Odoo runs as.
    pub user: Option<String>,
    /// The Python 3 that supervises programs. None: the usual places.
    pub python: Option<String>,
}

/// A container on a Docker server, by name or id. Cheap to clone; holds nothing open.
#[derive(Debug, Clone)]
pub struct Container {
    pub(super) endpoint: Endpoint,
    pub(super) name: String,
    pub(super) options: Options,
}

/// What Docker tells of a container, and what matters of it for Odoo. Values of the environment are not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    pub id: String,
    pub name: String,
    pub image: String,
    /// created, running, paused, restarting, removing, exited, dead.
    pub state: String,
    /// RFC 3339; none when it was never started.
    pub started_at: Option<String>,
    pub exit_code: i64,
    /// The kernel killed it for want of memory.
    pub out_of_memory: bool,
    pub restarts: i64,
    /// healthy, unhealthy, starting; none where the image has no check.
    pub health: Option<String>,
    /// Entry point and command.
    pub command: Vec<String>,
    /// As configured; empty for root.
    pub user: String,
    pub environment: BTreeSet<String>,
    pub mounts: Vec<Mount>,
    /// Network and address.
    pub addresses: BTreeMap<String, String>,
    /// `8069/tcp` and where it is published on the host, `127.0.0.1:18069`.
    pub published: BTreeMap<String, Vec<String>>,
    pub tty: bool,
}

/// A folder of the host or a volume in the container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// bind, volume, tmpfs.
    #[serde(rename = "Type", default)]
    pub kind: String,
    /// On the host.
    #[serde(default)]
    pub source: String,
    /// A volume's name.
    #[serde(default)]
    pub name: Option<String>,
    pub destination: String,
    #[serde(rename = "RW", default)]
    pub writable: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Inspected {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    restart_count: i64,
    pub(super) state: StateOf,
    pub(super) config: ConfigOf,
    #[serde(default)]
    mounts: Vec<Mount>,
    #[serde(default)]
    network_settings: NetworksOf,
}
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct StateOf {
    pub(super) status: String,
    #[serde(default)]
    pub(super) exit_code: i64,
    #[serde(rename = "OOMKilled", default)]
    oom_killed: bool,
    #[serde(default)]
    started_at: String,
    #[serde(default)]
    health: Option<HealthOf>,
}
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HealthOf {
    status: String,
}
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConfigOf {
    #[serde(default)]
    pub(super) user: String,
    #[serde(default)]
    pub(super) tty: bool,
    #[serde(default)]
    image: String,
    #[serde(default)]
    env: Option<Vec<String>>,
    #[serde(default)]
    entrypoint: Option<Vec<String>>,
    #[serde(default)]
    cmd: Option<Vec<String>>,
}
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Top {
    titles: Vec<String>,
    processes: Vec<Vec<String>>,
}
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "PascalCase")]
struct NetworksOf {
    #[serde(default)]
    networks: Option<BTreeMap<String, NetworkOf>>,
    #[serde(default)]
    ports: Option<BTreeMap<String, Option<Vec<PortOf>>>>,
}
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkOf {
    #[serde(rename = "IPAddress", default)]
    address: String,
}
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PortOf {
    host_ip: String,
    host_port: String,
}
impl StateOf {
    /// Unix seconds.
    pub(super) fn started(&self) -> Option<i64> {
        DateTime::parse_from_rfc3339(&self.started_at).ok().map(|time| time.timestamp()).filter(|time| *time > 0)
    }
}

impl Container {
    /// # Errors
    /// [`Error::Argument`] when it is not a name or id of a container.
    pub fn new(endpoint: Endpoint, name: &str, options: Options) -> Result<Self> {
        let fine = name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.len() <= 255
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
        if !fine {
            return Err(Error::Argument {
                what: "the container's name",
                why: "it has letters, digits and _.- only, and starts with a letter or digit".to_owned(),
            });
        }
        if options.user.as_deref().is_some_and(is_root) {
            return Err(Error::Root { container: name.to_owned() });
        }
        Ok(Self { endpoint, name: name.to_owned(), options })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state and make-up. Works in every state.
    pub async fn describe(&self) -> Result<Description> {
        let Inspected { id, name, restart_count, state, config, mounts, network_settings } = self.inspected().await?;
        let started_at = state.started().is_some().then(|| state.started_at.clone());
        let mut command = config.entrypoint.unwrap_or_default();
        command.extend(config.cmd.unwrap_or_default());
        Ok(Description {
            id,
            name: name.trim_start_matches('/').to_owned(),
            image: config.image,
            state: state.status,
            started_at,
            exit_code: state.exit_code,
            out_of_memory: state.oom_killed,
            restarts: restart_count,
            health: state.health.map(|health| health.status).filter(|status| status != "none"),
            command: without_secrets(command),
            user: config.user,
            environment: config
                .env
                .unwrap_or_default()
                .into_iter()
                .filter_map(|pair| pair.split_once('=').map(|(name, _)| name.to_owned()))
                .collect(),
            mounts,
            addresses: network_settings
                .networks
                .unwrap_or_default()
                .into_iter()
                .map(|(name, network)| (name, network.address))
                .collect(),
            published: network_settings
                .ports
                .unwrap_or_default()
                .into_iter()
                .map(|(port, hosts)| {
                    let hosts = hosts.unwrap_or_default();
                    (port, hosts.into_iter().map(|host| format!("{}:{}", host.host_ip, host.host_port)).collect())
                })
                .collect(),
            tty: config.tty,
        })
    }

    /// Stops and starts it, and waits until Odoo answers HTTP in it.
    ///
    /// `patience`: what it gets to end by itself before it is killed. `serving`: what it gets to answer again.
    pub async fn restart(&self, patience: Duration, serving: Duration) -> Result<()> {
        const DOING: &str = "restart a container";
        let port = match self.launch().await {
            Ok(launch) => launch.http_port,
            // Stopped or without Odoo now: a restart is what helps.
            Err(Error::NotRunning { .. } | Error::NoOdoo { .. } | Error::Restarting { .. }) => 8069,
            Err(error) => return Err(error),
        };
        let path = format!("/containers/{}/restart?t={}", self.name, patience.as_secs());
        let within = patience.saturating_add(self.endpoint.settings().answer);
        self.endpoint.send_within(DOING, Method::POST, &path, None, within, false).await.map_err(|error| self.named(error))?;
        self.serves(port, serving).await
    }

    /// The same container, in which programs run as another user (a name or uid).
    ///
    /// # Errors
    /// [`Error::Root`] for root.
    pub fn as_user(&self, user: &str) -> Result<Self> {
        Self::new(self.endpoint.clone(), &self.name, Options { user: Some(user.to_owned()), ..self.options.clone() })
    }

    /// Stops it, when it runs; `patience` is what it gets to end by itself before it is killed.
    pub async fn stop(&self, patience: Duration) -> Result<()> {
        const DOING: &str = "stop a container";
        let path = format!("/containers/{}/stop?t={}", self.name, patience.as_secs());
        let within = patience.saturating_add(self.endpoint.settings().answer);
        self.endpoint.send_within(DOING, Method::POST, &path, None, within, false).await.map_err(|error| self.named(error))?;
        Ok(())
    }
    /// Starts it, when it does not run. That Odoo answers is another matter: [`Container::serves`].
    pub async fn bring_up(&self) -> Result<()> {
        const DOING: &str = "start a container";
        let path = format!("/containers/{}/start", self.name);
        self.endpoint.send(DOING, Method::POST, &path, None).await.map_err(|error| self.named(error))?;
        Ok(())
    }

    /// Waits until Odoo answers HTTP at this port of the container.
    pub async fn serves(&self, port: u16, within: Duration) -> Result<()> {
        let program = Program {
            argv: ["{python}", "-I", "-S", "-c", SERVING, &port.to_string(), &within.as_secs().max(1).to_string()]
                .map(ToOwned::to_owned)
                .to_vec(),
            ..Program::default()
        };
        let limits = Limits { deadline: within.saturating_add(Duration::from_secs(5)), ..Limits::default() };
        let not_serving = |why: String| Error::NotServing { container: self.name.clone(), within, why };
        match self.run(&program, &limits).await {
            Ok(ended) if ended.exit == Exit::Code(0) => Ok(()),
            Ok(ended) => Err(not_serving(last_line(&ended.stderr.text()).unwrap_or_else(|| "it does not answer".to_owned()))),
            // It ended while we waited.
            Err(
                error @ (Error::Lost { .. } | Error::Supervisor { .. } | Error::NotRunning { .. } | Error::Restarting { .. }),
            ) => Err(not_serving(error.to_string().trim_end_matches('.').to_owned())),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn inspected(&self) -> Result<Inspected> {
        self.endpoint
            .get("inspect a container", &format!("/containers/{}/json", self.name))
            .await
            .map_err(|error| self.named(error))
    }
    /// Its inspection, when it runs.
    pub(super) async fn running(&self) -> Result<Inspected> {
        let found = self.inspected().await?;
        let (container, exit_code) = (self.name.clone(), found.state.exit_code);
        match found.state.status.as_str() {
            "running" => Ok(found),
            "paused" => Err(Error::Paused { container }),
            "restarting" => Err(Error::Restarting { container, exit_code }),
            state => Err(Error::NotRunning { container, state: state.to_owned(), exit_code }),
        }
    }
    /// Docker's refusals that speak of the container, told as such.
    pub(super) fn named(&self, error: Error) -> Error {
        let container = self.name.clone();
        match error {
            Error::Api { status: 404, message, .. } if message.to_lowercase().contains("no such container") => {
                Error::NoContainer { container }
            }
            Error::Api { status: 409, message, .. } if message.contains("is paused") => Error::Paused { container },
            Error::Api { status: 409, message, .. } if message.contains("is restarting") => {
                Error::Restarting { container, exit_code: 0 }
            }
            Error::Api { status: 409, message, .. } if message.contains("not running") => {
                Error::NotRunning { container, state: "stopped".to_owned(), exit_code: 0 }
            }
            other => other,
        }
    }

    /// Who runs programs: the given user, else the container's, else the one of Odoo's process. Never root.
    pub(super) async fn user(&self, found: &Inspected) -> Result<String> {
        if let Some(user) = &self.options.user {
            return Ok(user.clone());
        }
        if !found.config.user.is_empty() && !is_root(&found.config.user) {
            return Ok(found.config.user.clone());
        }
        // The container starts as root; Odoo itself may have been started as somebody else.
        let path = format!("/containers/{}/top?ps_args=-eo%20pid,uid,gid,args", self.name);
        let top: Top = self.endpoint.get("list a container's processes", &path).await.map_err(|error| self.named(error))?;
        let column = |title: &str| top.titles.iter().position(|t| t == title);
        let (uid, gid, command) = (column("UID"), column("GID"), column("COMMAND").or_else(|| column("CMD")));
        let cell = |row: &[String], at: Option<usize>| at.and_then(|at| row.get(at)).cloned().unwrap_or_default();
        let mut users = BTreeMap::new();
        for row in &top.processes {
            let command = cell(row, command);
            let (uid, gid) = (cell(row, uid), cell(row, gid));
            if command.split_whitespace().take(4).any(is_odoo) && uid.parse::<u32>().is_ok_and(|uid| uid != 0) {
                *users.entry(format!("{uid}:{gid}")).or_insert(0u32) += 1;
            }
        }
        users
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(user, _)| user)
            .ok_or_else(|| Error::Root { container: self.name.clone() })
    }
}

/// Without the values of flags that name a secret: `--db_password x`, `--db_password=x`, `-w x`.
fn without_secrets(command: Vec<String>) -> Vec<String> {
    let mut hide = false;
    command
        .into_iter()
        .map(|word| {
            if std::mem::take(&mut hide) {
                return "…".to_owned();
            }
            let name = word.split('=').next().unwrap_or(&word);
            let lower = name.to_lowercase();
            let secret = word == "-w"
                || (name.starts_with("--") && ["password", "secret", "token", "key"].iter().any(|s| lower.contains(s)));
            match (secret, word.contains('=')) {
                (true, true) => format!("{name}=…"),
                (true, false) => {
                    hide = true;
                    word
                }
                _ => word,
            }
        })
        .collect()
}

/// Whether a word of a command line is Odoo's program.
fn is_odoo(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    matches!(name, "odoo" | "odoo-bin" | "odoo.py" | "odoo-server" | "openerp-server")
}
fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or(user);
    name == "root" || name.parse::<u32>() == Ok(0)
}
