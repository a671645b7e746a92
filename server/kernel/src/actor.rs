//! Who calls. An [`Actor`] is proof that identity looked at the key not long ago.
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use serde::Serialize;

use crate::{
    Access, GrantId, Instance, InstanceId, KeyId, OrgId, Permissions, Role, RpcConnection, SessionId, Timestamp, UserId,
};

/// The Odoo logins of a key's own, by instance. Empty for most.
pub type OwnCredentials = BTreeMap<InstanceId, RpcConnection>;

/// The wire protocol over which a call came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Facade {
    Mcp,
    McpSse,
    /// MCP through `ocore stdio`, which says so itself: it gets less for it, never more.
    Stdio,
    Rest,
    Cli,
    /// ocore itself, going on with what a process that ended had begun.
    Job,
}
impl Facade {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::McpSse => "mcp_sse",
            Self::Stdio => "stdio",
            Self::Rest => "rest",
            Self::Cli => "cli",
            Self::Job => "job",
        }
    }
}

/// What identity found out about a caller; [`Actor::verified`] makes it an actor.
#[derive(Debug, Clone)]
pub struct Verified {
    pub org: OrgId,
    pub org_slug: Arc<str>,
    pub key: KeyId,
    pub key_label: Arc<str>,
    /// The key's owner; none for a key of the organization itself.
    pub user: Option<UserId>,
    /// The owner's role now, or the role ceiling of an organization's key.
    pub role: Role,
    /// Whether it acts for an operator of the installation: the owner is one and made the key.
    pub operator: bool,
    pub permissions: Arc<Permissions>,
    /// Where there is one, the key acts by it and by no other.
    pub own: Option<Arc<OwnCredentials>>,
    /// The consent by which an OAuth client acts through the key; none where the key itself was shown.
    pub grant: Option<GrantId>,
    /// The most that a call may do by the scopes of its access token (none: no call at all). Who shows the key itself has all.
    pub ceiling: Option<Access>,
    pub address: IpAddr,
    pub facade: Facade,
    pub session: SessionId,
    pub at: Timestamp,
}

/// A caller whose key, owner, address and organization were found in order. At most [`Actor::MAX_AGE_SECONDS`] old when used.
#[derive(Debug, Clone)]
pub struct Actor(Verified);
impl Actor {
    /// Dispatch refuses an actor older than this: revocation acts within it, everywhere.
    pub const MAX_AGE_SECONDS: i64 = 30;

    /// For identity alone (a clippy rule bans it elsewhere).
    pub fn verified(found: Verified) -> Arc<Self> {
        Arc::new(Self(found))
    }
    pub fn org(&self) -> OrgId {
        self.0.org
    }
    pub fn org_slug(&self) -> &Arc<str> {
        &self.0.org_slug
    }
    pub fn key(&self) -> KeyId {
        self.0.key
    }
    pub fn key_label(&self) -> &Arc<str> {
        &self.0.key_label
    }
    pub fn user(&self) -> Option<UserId> {
        self.0.user
    }
    pub fn role(&self) -> Role {
        self.0.role
    }
    pub fn operator(&self) -> bool {
        self.0.operator
    }
    pub fn permissions(&self) -> &Arc<Permissions> {
        &self.0.permissions
    }
    /// The key's own way into an instance, if it has one.
    pub fn own_credential(&self, instance: InstanceId) -> Option<&RpcConnection> {
        self.0.own.as_ref()?.get(&instance)
    }
    /// Whether more limits the key on this instance than its categories and tools: its own limits, the organization's resources, or an
    /// Odoo login of its own.
    pub fn restricted_on(&self, instance: &Instance) -> bool {
        self.0.permissions.restricted() || instance.ruled || self.own_credential(instance.id).is_some()
    }
    /// The consent of an OAuth client.
    pub fn grant(&self) -> Option<GrantId> {
        self.0.grant
    }
    /// The most that a call may do by the scopes of its access token.
    pub fn ceiling(&self) -> Option<Access> {
        self.0.ceiling
    }
    pub fn address(&self) -> IpAddr {
        self.0.address
    }
    pub fn facade(&self) -> Facade {
        self.0.facade
    }
    pub fn session(&self) -> SessionId {
        self.0.session
    }
    /// False when it was verified too long ago to act on (or in the future).
    pub fn fresh(&self, now: Timestamp) -> bool {
        (-5..=Self::MAX_AGE_SECONDS).contains(&(now - self.0.at).num_seconds())
    }
}
