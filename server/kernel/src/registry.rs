//! Organizations, servers and instances as the pipeline sees them: snapshots, at most 30 seconds old.
use std::{fmt, path::PathBuf, str::FromStr, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::{CredentialId, InstanceId, OrgId, ServerId, Timestamp, access::words, resource::WithoutResource};

words! {
    Environment, "environment":
    Production = "production",
    Staging = "staging",
    Development = "development",
}
words! {
    /// Set by people.
    InstanceState, "state":
    Active = "active",
    Maintenance = "maintenance",
    Archived = "archived",
}
words! {
    /// Found by ocore.
    Health, "health":
    Unknown = "unknown",
    Up = "up",
    Down = "down",
}

/// Odoo's series, e.g. 17.0; saas and later suffixes are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct OdooVersion {
    pub major: u16,
    pub minor: u16,
}
impl OdooVersion {
    pub const fn new(major: u16) -> Self {
        Self { major, minor: 0 }
    }
}
impl fmt::Display for OdooVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
impl FromStr for OdooVersion {
    type Err = String;
    /// Reads `19.0`, `19.0+e-20260215`, `saas~18.2`, `18`.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let mut parts = digits.split(|c: char| !c.is_ascii_digit());
        let major = parts.next().and_then(|p| p.parse().ok()).ok_or_else(|| format!("\"{text}\" is no Odoo version"))?;
        Ok(Self { major, minor: parts.next().and_then(|p| p.parse().ok()).unwrap_or(0) })
    }
}

#[derive(Debug, Clone)]
pub struct Organization {
    pub id: OrgId,
    pub slug: Arc<str>,
    pub name: String,
    /// All calls of the organization are refused while it is on.
    pub kill_switch: bool,
    /// Records in one answer (default 500).
    pub max_records: u32,
    /// The most that `limit` may ask for (default 1,000).
    pub max_search_limit: u32,
    /// What becomes of models without a resource (default: as Odoo says).
    pub without_resource: WithoutResource,
    /// New resources start read-only (default off).
    pub default_read_only: bool,
}

#[derive(Debug, Clone)]
pub struct Server {
    pub id: ServerId,
    pub org: OrgId,
    pub name: String,
    /// For operators only.
    pub docker: Option<String>,
    /// Whether Docker answered there when a job last asked.
    pub docker_health: Health,
    /// For operators only.
    pub path_roots: Vec<PathBuf>,
    /// Part of every cache key: grows when what the endpoint needs changes.
    pub generation: i64,
}

words! {
    /// How ocore speaks RPC with a credential. `auto`: a password signs in to a session, an Odoo API key uses JSON-RPC
    /// while the version has it and JSON-2 where it has not.
    RpcDialect, "RPC dialect":
    Auto = "auto",
    Session = "session",
    JsonRpc = "jsonrpc",
    Json2 = "json2",
}

/// The way in by RPC. The secret stays sealed in the store under `credential`.
#[derive(Debug, Clone)]
pub struct RpcConnection {
    pub credential: CredentialId,
    pub login: String,
    pub dialect: RpcDialect,
    /// Odoo refused it: it is not used again until somebody changes it.
    pub refused: bool,
    /// Part of every cache key: grows when the credential changes.
    pub generation: i64,
}

/// The way into the instance's analytics. The key stays sealed in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostHogConnection {
    /// Where PostHog's API is, e.g. `https://eu.posthog.com`.
    pub url: Url,
    /// The number of the project.
    pub project: u64,
}

/// The Docker server of an instance. What TLS or ssh needs stays sealed in the store under `server`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerConnection {
    pub server: ServerId,
    /// `unix:///…`, `tcp://host:port` (with TLS) or `ssh://user@host`.
    pub endpoint: String,
    /// Part of every cache key: grows when the endpoint's secrets change.
    pub generation: i64,
}

/// The way into an instance's own database. Its logins stay sealed in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostgresConnection {
    /// `user@host:port` of the login that Odoo itself has: whoever has it reaches its other databases too.
    pub login: String,
    /// The certificates that the server's must lead to (PEM), for `sslmode=verify-full`.
    pub ca: Option<String>,
    /// Whether there is a login that reads what it should and nothing else.
    pub reader: bool,
    /// Whether there is a login for INSERT, UPDATE and DELETE.
    pub writer: bool,
}

/// A folder that holds addons of an instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum AddonsFolder {
    /// On the machine that ocore runs on.
    Local(PathBuf),
    /// In the container in which Odoo runs.
    Container(String),
}
impl AddonsFolder {
    const IN_CONTAINER: &str = "container:";
}
impl fmt::Display for AddonsFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::Container(path) => write!(f, "{}{path}", Self::IN_CONTAINER),
        }
    }
}
impl FromStr for AddonsFolder {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (path, inside) = match text.strip_prefix(Self::IN_CONTAINER) {
            Some(path) => (path, true),
            None => (text, false),
        };
        if !path.starts_with('/') {
            return Err(format!("\"{text}\" is no absolute path; a folder in Odoo's container is written container:/path"));
        }
        Ok(if inside { Self::Container(path.to_owned()) } else { Self::Local(path.into()) })
    }
}
impl From<AddonsFolder> for String {
    fn from(folder: AddonsFolder) -> Self {
        folder.to_string()
    }
}
impl TryFrom<String> for AddonsFolder {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

words! {
    /// What two instances have in common, so that whoever works on the host of one reaches the other.
    Common, "thing in common":
    Container = "container",
    Addons = "addons folder",
    DatabaseLogin = "database login",
}

/// Another instance that work on this one's host reaches too.
#[derive(Debug, Clone)]
pub struct Neighbour {
    pub slug: Arc<str>,
    pub org: OrgId,
    pub common: Common,
    pub environment: Environment,
    pub state: InstanceState,
    pub write_enabled: bool,
    pub write_enabled_until: Option<Timestamp>,
}

/// What belongs to an instance on its host; for operators only.
#[derive(Debug, Clone, Default)]
pub struct Host {
    /// Its server's.
    pub docker: Option<DockerConnection>,
    pub container: Option<String>,
    /// The container in which its PostgreSQL server runs, on the same Docker server.
    pub postgres_container: Option<String>,
    pub addons: Vec<AddonsFolder>,
    pub backups: Option<PathBuf>,
    pub postgres: Option<PostgresConnection>,
    /// Filled by the registry.
    pub neighbours: Arc<[Neighbour]>,
}

#[derive(Debug, Clone)]
pub struct Instance {
    pub id: InstanceId,
    pub org: OrgId,
    pub server: ServerId,
    pub server_name: String,
    /// Unique in the installation, at most 24 characters of `[a-z0-9-]`.
    pub slug: Arc<str>,
    pub url: Url,
    pub database: String,
    pub environment: Environment,
    pub state: InstanceState,
    pub health: Health,
    /// Found at the last check.
    pub version: Option<OdooVersion>,
    /// `community` or `enterprise`, found at the last check.
    pub edition: Option<String>,
    /// The guard: whether writes are allowed at all (`mcp_write_enabled`).
    pub write_enabled: bool,
    /// When set, the guard closes again at this time.
    pub write_enabled_until: Option<Timestamp>,
    /// When an RPC login to this very database last succeeded; host connections stay off until then.
    pub checked_at: Option<Timestamp>,
    pub rpc: Option<RpcConnection>,
    pub host: Host,
    pub posthog: Option<PostHogConnection>,
    /// Whether resources of its organization apply to it: every key is *restricted* there.
    pub ruled: bool,
    /// Calls at a time (default 4).
    pub concurrency: u32,
    /// Part of every cache key: bumped when what is cached about the instance may have changed.
    pub generation: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}
impl Instance {
    /// Whether ocore has seen that its login opens this very database: until then nothing of the host is touched.
    pub fn proven(&self) -> bool {
        self.checked_at.is_some()
    }
    /// The guard at this moment.
    pub fn writable(&self, now: Timestamp) -> bool {
        self.write_enabled && self.write_enabled_until.is_none_or(|until| now < until)
    }
    /// What stands before a tool's name: the slug with `_` for `-`.
    pub fn prefix(&self) -> String {
        crate::name::prefix(&self.slug)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, major, minor) in
            [("19.0", 19, 0), ("19.0+e-20260215", 19, 0), ("saas~18.2", 18, 2), ("14.0-20201231", 14, 0), ("18", 18, 0)]
        {
            assert_eq!(text.parse(), Ok(OdooVersion { major, minor }), "{text}");
        }
        assert!("master".parse::<OdooVersion>().is_err());
        assert!(OdooVersion::new(18) < OdooVersion { major: 18, minor: 2 });
    }
}
