//! From the text of a key to an actor, without touching the store: everything that decides stands in the registry's snapshot.
use std::{collections::HashMap, net::IpAddr, sync::Arc};

use kernel::{Actor, Code, Facade, KeyId, OrgId, Refusal, Role, Sources, Timestamp, UserId, Verified, refusal};
use parking_lot::Mutex;
use store::registry::{KeyRecord, Registry, Snapshot};

use crate::{sessions::Sessions, token};

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Missing,
    Malformed,
    Unknown,
    Revoked,
    Expired,
    OwnerDisabled,
    OwnerLeft,
    Address,
    KillSwitch,
    /// The registry could not be read for too long: nobody can be verified.
    Stale,
}
impl Reason {
    /// 401: get another key; 403: this key, but not so; 503: come back later.
    pub const fn status(self) -> u16 {
        match self {
            Self::Address | Self::KillSwitch => 403,
            Self::Stale => 503,
            _ => 401,
        }
    }
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing_key",
            Self::Malformed => "malformed_key",
            Self::Unknown => "unknown_key",
            Self::Revoked => "revoked_key",
            Self::Expired => "expired_key",
            Self::OwnerDisabled => "owner_disabled",
            Self::OwnerLeft => "owner_left",
            Self::Address => "address_not_allowed",
            Self::KillSwitch => "kill_switch",
            Self::Stale => "store_unreachable",
        }
    }
    /// What the caller reads.
    pub fn refusal(self) -> Refusal {
        let (code, message, next) = match self {
            Self::Missing => {
                (Code::Unauthorized, "No API key was sent.", "Send it as the header \"Authorization: Bearer ock_…\".")
            }
            Self::Malformed => (
                Code::Unauthorized,
                "This is not an ocore API key, or a character of it is wrong.",
                "Copy the whole key again: ock_ and 38 characters.",
            ),
            Self::Unknown => (
                Code::Unauthorized,
                "This API key is not known here.",
                "Check that the key belongs to this server, or ask for a new one.",
            ),
            Self::Revoked => {
                (Code::Unauthorized, "This API key has been revoked.", "Ask an administrator of your organization for a new one.")
            }
            Self::Expired => {
                (Code::Unauthorized, "This API key has expired.", "Ask an administrator of your organization for a new one.")
            }
            Self::OwnerDisabled => {
                (Code::Unauthorized, "The owner of this API key has been disabled.", "Ask an administrator of your organization.")
            }
            Self::OwnerLeft => (
                Code::Unauthorized,
                "The owner of this API key is no longer in the organization.",
                "Ask an administrator of your organization for a new key.",
            ),
            Self::Address => (
                Code::PermissionDenied,
                "This API key may not be used from your address.",
                "Use it from an address on its list, or ask an administrator to extend the list.",
            ),
            Self::KillSwitch => (
                Code::PermissionDenied,
                "Access to this organization is switched off.",
                "An owner or administrator turns the kill switch off again.",
            ),
            Self::Stale => (
                Code::Unreachable,
                "The server cannot read its store at the moment, so nobody can be let in.",
                "Try again in a minute; tell the operator if it lasts.",
            ),
        };
        refusal(code, message).next(next)
    }
}

/// What is known of a key that was refused, for the audit of its organization.
#[derive(Debug, Clone)]
pub struct Known {
    pub org: OrgId,
    pub key: KeyId,
    pub label: Arc<str>,
    pub user: Option<UserId>,
}
#[derive(Debug, Clone)]
pub struct Denied {
    pub reason: Reason,
    /// None for keys that nobody knows: those are security events, not a tenant's rows.
    pub known: Option<Known>,
    pub address: IpAddr,
}

/// What keys were used since it was last asked, to be written in one go.
#[derive(Debug, Clone)]
pub struct Touched {
    pub key: KeyId,
    pub at: Timestamp,
    pub address: IpAddr,
    pub calls: u64,
}

/// The door for API keys.
#[derive(Debug)]
pub struct Keys {
    registry: Arc<Registry>,
    sources: Sources,
    sessions: Sessions,
    touched: Mutex<HashMap<KeyId, Touched>>,
}
impl Keys {
    pub fn new(registry: Arc<Registry>, sources: Sources) -> Self {
        Self { registry, sources, sessions: Sessions::default(), touched: Mutex::default() }
    }

    /// Lets a caller in, or tells why not. `client` tells the sessions of one key apart (a client's name).
    ///
    /// # Errors
    /// Every reason has its HTTP status; nothing tells an unknown key from one of another installation.
    pub async fn verify(&self, presented: &str, address: IpAddr, facade: Facade, client: &str) -> Result<Arc<Actor>, Denied> {
        let denied = |reason, known| Denied { reason, known, address };
        if presented.is_empty() {
            return Err(denied(Reason::Missing, None));
        }
        if !token::well_formed(presented) {
            return Err(denied(Reason::Malformed, None));
        }
        let hash = token::hash(presented);
        let mut snapshot = self.registry.current();
        // A key that another process made a moment ago: look once, before the poll comes round.
        if snapshot.key(&hash).is_none() {
            self.registry.refresh_if_changed().await;
            snapshot = self.registry.current();
        }
        let now = self.sources.now();
        if snapshot.age(now).num_seconds() > Actor::MAX_AGE_SECONDS {
            return Err(denied(Reason::Stale, None));
        }
        let record = snapshot.key(&hash).ok_or_else(|| denied(Reason::Unknown, None))?;
        let known = || Known { org: record.org, key: record.id, label: Arc::clone(&record.label), user: record.owner };
        let found = look(&snapshot, record, address, now).map_err(|reason| denied(reason, Some(known())))?;
        self.touch(record.id, now, address);
        Ok(made(Verified {
            org: record.org,
            org_slug: found.org_slug,
            key: record.id,
            key_label: Arc::clone(&record.label),
            user: record.owner,
            role: found.role,
            operator: found.operator,
            permissions: Arc::clone(&record.permissions),
            address,
            facade,
            session: self.sessions.of(record.id, client, &self.sources),
            // As old as what was looked at.
            at: snapshot.loaded_at(),
        }))
    }

    /// Uses since the last time, for the columns "last used" of the key list.
    pub fn take_touched(&self) -> Vec<Touched> {
        std::mem::take(&mut *self.touched.lock()).into_values().collect()
    }

    fn touch(&self, key: KeyId, at: Timestamp, address: IpAddr) {
        let mut touched = self.touched.lock();
        let entry = touched.entry(key).or_insert(Touched { key, at, address, calls: 0 });
        entry.at = at;
        entry.address = address;
        entry.calls += 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where an actor is made")]
fn made(found: Verified) -> Arc<Actor> {
    Actor::verified(found)
}

struct Found {
    org_slug: Arc<str>,
    role: Role,
    operator: bool,
}

/// The key, its owner, the address and the organization, in this order: a revoked key learns nothing about the rest.
fn look(snapshot: &Snapshot, key: &KeyRecord, address: IpAddr, now: Timestamp) -> Result<Found, Reason> {
    if key.revoked_at.is_some_and(|at| at <= now) {
        return Err(Reason::Revoked);
    }
    if key.expires_at.is_some_and(|at| at <= now) {
        return Err(Reason::Expired);
    }
    let (role, operator) = match key.owner {
        // A key of the organization itself has an explicit ceiling.
        None => (key.role, false),
        Some(owner) => {
            let user = snapshot.user(owner).ok_or(Reason::OwnerLeft)?;
            if !user.active {
                return Err(Reason::OwnerDisabled);
            }
            let role = snapshot.role(key.org, owner).ok_or(Reason::OwnerLeft)?;
            // A key never exceeds what its owner may do now.
            (role.min(key.role), user.operator)
        }
    };
    if let kernel::Selection::Only(networks) = &key.permissions.addresses
        && !networks.iter().any(|n| n.contains(&address) || mapped(address).is_some_and(|a| n.contains(&a)))
    {
        return Err(Reason::Address);
    }
    let org = snapshot.org(key.org).ok_or(Reason::Unknown)?;
    if org.kill_switch {
        return Err(Reason::KillSwitch);
    }
    Ok(Found { org_slug: Arc::clone(&org.slug), role, operator })
}

/// A dual-stack listener shows IPv4 peers as `::ffff:a.b.c.d`.
fn mapped(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(IpAddr::V4),
        IpAddr::V4(_) => None,
    }
}
