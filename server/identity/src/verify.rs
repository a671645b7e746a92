//! From the text of a key to an actor, without touching the store: everything that decides stands in the registry's snapshot.
use std::{collections::HashMap, net::IpAddr, sync::Arc};

use kernel::{Actor, Code, Facade, KeyId, OrgId, Refusal, Role, SessionId, Sources, Timestamp, UserId, Verified, refusal};
use parking_lot::Mutex;
use store::registry::{KeyRecord, Registry, Snapshot};

use crate::{
    sessions::{Moment, Sessions},
    token,
};

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
        let (snapshot, hash) = self.snapshot_for(presented, address).await?;
        let (record, found) = self.admit(&snapshot, &hash, address)?;
        self.touch(record.id, self.sources.now(), address);
        let session = self.sessions.of(record.id, client, address, facade, &self.sources);
        Ok(actor(&snapshot, record, found, address, facade, session))
    }

    /// Like [`Keys::verify`], for an open stream that asks whether its key still holds: that is no use of the key, so it is not counted,
    /// and it does not prolong the session, which 30 minutes without a call end.
    ///
    /// # Errors
    /// As [`Keys::verify`].
    pub async fn look(&self, presented: &str, address: IpAddr, facade: Facade, client: &str) -> Result<Arc<Actor>, Denied> {
        let (snapshot, hash) = self.snapshot_for(presented, address).await?;
        let (record, found) = self.admit(&snapshot, &hash, address)?;
        let alive = self.sessions.alive(record.id, client, &self.sources);
        // Nobody calls in a session that has ended: the actor's own is one that no table keeps.
        let session = alive.unwrap_or_else(|| SessionId::new(&self.sources));
        Ok(actor(&snapshot, record, found, address, facade, session))
    }

    /// The actor of work that a key began and another process takes over: the key must still be good for it.
    ///
    /// # Errors
    /// As [`Keys::verify`].
    pub fn resume(&self, key: KeyId, address: IpAddr, session: SessionId) -> Result<Arc<Actor>, Denied> {
        let denied = |reason| Denied { reason, known: None, address };
        let snapshot = self.registry.current();
        if snapshot.age(self.sources.now()).num_seconds() > Actor::MAX_AGE_SECONDS {
            return Err(denied(Reason::Stale));
        }
        let record = snapshot.key_by_id(key).ok_or_else(|| denied(Reason::Unknown))?;
        let found = examine(&snapshot, record, address, self.sources.now()).map_err(denied)?;
        Ok(actor(&snapshot, record, found, address, Facade::Job, session))
    }

    /// The snapshot to decide by, and the hash of what was presented.
    async fn snapshot_for(&self, presented: &str, address: IpAddr) -> Result<(Arc<Snapshot>, [u8; 32]), Denied> {
        let denied = |reason| Denied { reason, known: None, address };
        if presented.is_empty() {
            return Err(denied(Reason::Missing));
        }
        if !token::well_formed(presented) {
            return Err(denied(Reason::Malformed));
        }
        let hash = token::hash(presented);
        let mut snapshot = self.registry.current();
        // A key that another process made a moment ago: look once, before the poll comes round. Boxed, because it is rare and would
        // make every call's future as large as the reading of a whole registry.
        if snapshot.key(&hash).is_none() {
            Box::pin(self.registry.refresh_if_changed()).await;
            snapshot = self.registry.current();
        }
        Ok((snapshot, hash))
    }

    fn admit<'a>(&self, snapshot: &'a Snapshot, hash: &[u8; 32], address: IpAddr) -> Result<(&'a Arc<KeyRecord>, Found), Denied> {
        let denied = |reason, known| Denied { reason, known, address };
        let now = self.sources.now();
        if snapshot.age(now).num_seconds() > Actor::MAX_AGE_SECONDS {
            return Err(denied(Reason::Stale, None));
        }
        let record = snapshot.key(hash).ok_or_else(|| denied(Reason::Unknown, None))?;
        let known = || Known { org: record.org, key: record.id, label: Arc::clone(&record.label), user: record.owner };
        let found = examine(snapshot, record, address, now).map_err(|reason| denied(reason, Some(known())))?;
        Ok((record, found))
    }

    /// Sessions that began and ended since the last time, oldest first, for the main audit log.
    pub fn take_moments(&self) -> Vec<Moment> {
        self.sessions.moments(self.sources.now())
    }
    /// The same when the server stops: all that go on end with it.
    pub fn stop_sessions(&self) -> Vec<Moment> {
        self.sessions.stop()
    }
    /// Takes back what could not be written.
    pub fn give_back(&self, moments: Vec<Moment>) {
        self.sessions.give_back(moments);
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
fn actor(
    snapshot: &Snapshot,
    record: &KeyRecord,
    found: Found,
    address: IpAddr,
    facade: Facade,
    session: SessionId,
) -> Arc<Actor> {
    Actor::verified(Verified {
        org: record.org,
        org_slug: found.org_slug,
        key: record.id,
        key_label: Arc::clone(&record.label),
        user: record.owner,
        role: found.role,
        operator: found.operator,
        permissions: Arc::clone(&record.permissions),
        own: record.own.clone(),
        address,
        facade,
        session,
        // As old as what was looked at.
        at: snapshot.loaded_at(),
    })
}

struct Found {
    org_slug: Arc<str>,
    role: Role,
    operator: bool,
}

/// The key, its owner, the address and the organization, in this order: a revoked key learns nothing about the rest.
fn examine(snapshot: &Snapshot, key: &KeyRecord, address: IpAddr, now: Timestamp) -> Result<Found, Reason> {
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
            // A key never exceeds what its owner may do now. Who makes a key knows its text: one that somebody else made for an
            // operator would lend that person the operator's power.
            (role.min(key.role), user.operator && key.created_by == Some(owner))
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

#[cfg(test)]
mod tests {
    use kernel::{ExposeSecret as _, Permissions, SecretString, TimeDelta};
    use store::{
        keys::{self, NewKey},
        orgs,
        testing::{TestStore, sqlite},
        users,
    };

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    async fn member(t: &TestStore, org: OrgId, email: &str, operator: bool) -> UserId {
        let mut tx = t.begin().await.unwrap();
        let user = users::create(&mut tx, email, None, operator, &t.sources).await.unwrap();
        users::set_role(&mut tx, org, user, Role::Admin, t.sources.now()).await.unwrap();
        tx.commit().await.unwrap();
        user
    }
    async fn key(t: &TestStore, org: OrgId, owner: Option<UserId>, maker: Option<UserId>) -> (KeyId, SecretString) {
        let made = token::new(&t.sources);
        let new = NewKey {
            org,
            owner,
            role: Role::Admin,
            label: "key".into(),
            prefix: made.prefix,
            hash: made.hash,
            permissions: Permissions::all(),
            expires_at: None,
        };
        let mut tx = t.begin().await.unwrap();
        let id = keys::create_by(&mut tx, maker, &new, &t.sources).await.unwrap();
        tx.commit().await.unwrap();
        (id, made.text)
    }
    async fn door(t: &TestStore) -> (Keys, OrgId) {
        let mut tx = t.begin().await.unwrap();
        let org = orgs::create(&mut tx, "acme", "Acme", &t.sources).await.unwrap();
        tx.commit().await.unwrap();
        let registry = Registry::load(t.db.clone(), t.sources.clone()).await.unwrap();
        (Keys::new(Arc::new(registry), t.sources.clone()), org)
    }

    #[tokio::test]
    async fn a_key_is_an_operators_only_if_the_operator_made_it() {
        let t = sqlite().await;
        let (door, org) = door(&t).await;
        let operator = member(&t, org, "operator@example.com", true).await;
        let other = member(&t, org, "admin@example.com", false).await;
        for (owner, maker, power) in [
            (Some(operator), Some(operator), true),
            (Some(operator), Some(other), false),
            (Some(operator), None, false),
            (Some(other), Some(other), false),
            (Some(other), Some(operator), false),
            (None, Some(operator), false),
            (None, None, false),
        ] {
            let (_, text) = key(&t, org, owner, maker).await;
            let actor = door.verify(text.expose_secret(), HERE, Facade::Mcp, "").await.unwrap();
            assert_eq!((actor.operator(), actor.user()), (power, owner), "owner {owner:?}, made by {maker:?}");
        }
    }

    #[tokio::test]
    async fn looking_at_a_key_is_no_use_of_it() {
        let t = sqlite().await;
        let (door, org) = door(&t).await;
        let (id, text) = key(&t, org, None, None).await;
        let text = text.expose_secret();
        let first = door.verify(text, HERE, Facade::Mcp, "claude").await.unwrap();
        assert_eq!(door.take_touched().iter().map(|u| u.calls).collect::<Vec<_>>(), [1]);
        for _ in 0..29 {
            t.clock.advance(TimeDelta::minutes(1));
            door.registry.reload().await;
            let actor = door.look(text, HERE, Facade::Mcp, "claude").await.unwrap();
            assert!(actor.session() == first.session() && actor.key() == id && actor.fresh(t.sources.now()));
        }
        t.clock.advance(TimeDelta::minutes(1));
        door.registry.reload().await;
        let later = door.look(text, HERE, Facade::Mcp, "claude").await.unwrap();
        assert_ne!(later.session(), first.session(), "30 minutes after the last call");
        assert!(door.take_touched().is_empty());

        let mut tx = t.begin().await.unwrap();
        keys::revoke(&mut tx, org, id, t.sources.now()).await.unwrap();
        tx.commit().await.unwrap();
        door.registry.reload().await;
        assert_eq!(door.look(text, HERE, Facade::Mcp, "claude").await.unwrap_err().reason, Reason::Revoked);
    }

    #[tokio::test]
    async fn what_every_request_awaits_is_small() {
        let t = sqlite().await;
        let (door, _) = door(&t).await;
        for size in [size_of_val(&door.verify("", HERE, Facade::Mcp, "")), size_of_val(&door.look("", HERE, Facade::Mcp, ""))] {
            assert!(size <= 512, "{size} bytes");
        }
    }
}
