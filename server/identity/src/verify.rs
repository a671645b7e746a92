//! From the text of a key or access token to an actor. Everything that decides of keys stands in the registry's snapshot; what a token
//! stands for is read once per snapshot, so that a call costs no read, and a revocation acts with the next snapshot at the latest.
use std::{borrow::Cow, collections::HashMap, net::IpAddr, sync::Arc};

use store::{
    Db,
    oauth::tokens::{self as rows, Admitted},
    operations::Consent,
};

use kernel::{
    Access, Actor, Code, Facade, GrantId, KeyId, OrgId, Permissions, Refusal, Role, SessionId, Sources, Timestamp, UserId,
    Verified, refusal,
};
use parking_lot::Mutex;
use store::registry::{KeyRecord, Registry, Snapshot};

use crate::{
    invite,
    oauth::{
        opaque::{self, Hash, Kind},
        scope::Scopes,
    },
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
    /// Who vouches for the invite that made the key may not invite any more.
    VoucherLost,
    Address,
    KillSwitch,
    /// The access token has ended by itself: its client refreshes it.
    TokenExpired,
    /// The access token, or the consent that it came of, was taken back.
    TokenRevoked,
    /// The access token is for another URL of this server (RFC 8707).
    Audience,
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
            Self::VoucherLost => "invite_without_voucher",
            Self::Address => "address_not_allowed",
            Self::KillSwitch => "kill_switch",
            Self::TokenExpired => "expired_token",
            Self::TokenRevoked => "revoked_token",
            Self::Audience => "token_of_another_resource",
            Self::Stale => "store_unreachable",
        }
    }
    /// What the caller reads.
    pub fn refusal(self) -> Refusal {
        let (code, message, next) = match self {
            Self::Missing => (
                Code::Unauthorized,
                "No API key or access token was sent.",
                "Send it as the header \"Authorization: Bearer …\", or authorize the client by OAuth.",
            ),
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
            Self::VoucherLost => (
                Code::Unauthorized,
                "This API key came of an invite, and nobody vouches for that any more.",
                "Ask an administrator of your organization to vouch for the invite, or for a new key.",
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
            Self::TokenExpired => (
                Code::Unauthorized,
                "The access token has expired.",
                "The client refreshes it, or asks its person to authorize again.",
            ),
            Self::TokenRevoked => (
                Code::Unauthorized,
                "The authorization of this client was taken back.",
                "Authorize the client again, if it is to go on.",
            ),
            Self::Audience => (
                Code::Unauthorized,
                "The access token is for another URL of this server.",
                "Authorize the client for the URL that it uses.",
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
    /// The consent of the client that used it; none where the key itself was shown.
    pub grant: Option<GrantId>,
}
#[derive(Debug, Clone)]
pub struct Denied {
    pub reason: Reason,
    /// None for keys that nobody knows: those are security events, not a tenant's rows.
    pub known: Option<Box<Known>>,
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

/// What a caller shows, and where.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    /// An API key or an access token.
    pub text: &'a str,
    pub address: IpAddr,
    pub facade: Facade,
    /// Tells the sessions of one key apart (a client's name).
    pub client: &'a str,
    /// The resource that is asked for, as access tokens name it (RFC 8707); none where access tokens open nothing.
    pub audience: Option<&'a str>,
}

/// The door for API keys and access tokens.
#[derive(Debug)]
pub struct Keys {
    registry: Arc<Registry>,
    db: Db,
    tokens: Mutex<Tokens>,
    sources: Sources,
    sessions: Sessions,
    touched: Mutex<HashMap<KeyId, Touched>>,
}
impl Keys {
    pub fn new(registry: Arc<Registry>, db: Db, sources: Sources) -> Self {
        Self { registry, db, tokens: Mutex::default(), sources, sessions: Sessions::default(), touched: Mutex::default() }
    }

    /// Lets a caller in, or tells why not.
    ///
    /// # Errors
    /// Every reason has its HTTP status; nothing tells an unknown key from one of another installation.
    pub async fn verify(&self, shown: Presented<'_>) -> Result<Arc<Actor>, Denied> {
        let found = self.find(&shown).await?;
        let Presented { address, facade, client, .. } = shown;
        self.touch(found.key.id, self.sources.now(), address);
        let session = self.sessions.of(found.key.id, client, address, facade, &self.sources);
        Ok(found.actor(address, facade, session))
    }

    /// Like [`Keys::verify`], for an open stream that asks whether its key still holds: that is no use of the key, so it is not counted,
    /// and it does not prolong the session, which 30 minutes without a call end.
    ///
    /// # Errors
    /// As [`Keys::verify`].
    pub async fn look(&self, shown: Presented<'_>) -> Result<Arc<Actor>, Denied> {
        let found = self.find(&shown).await?;
        let alive = self.sessions.alive(found.key.id, shown.client, &self.sources);
        // Nobody calls in a session that has ended: the actor's own is one that no table keeps.
        let session = alive.unwrap_or_else(|| SessionId::new(&self.sources));
        Ok(found.actor(shown.address, shown.facade, session))
    }

    /// The actor of work that a key began and another process takes over: the key must still be good for it.
    ///
    /// # Errors
    /// As [`Keys::verify`].
    pub fn resume(&self, key: KeyId, address: IpAddr, session: SessionId) -> Result<Arc<Actor>, Denied> {
        self.resume_by(key, None, address, session)
    }
    /// The same for what a client began by a consent: it does no more than was consented to.
    ///
    /// # Errors
    /// As [`Keys::verify`].
    pub fn resume_by(
        &self,
        key: KeyId,
        consent: Option<&Consent>,
        address: IpAddr,
        session: SessionId,
    ) -> Result<Arc<Actor>, Denied> {
        let denied = |reason| Denied { reason, known: None, address };
        let snapshot = self.registry.current();
        if snapshot.age(self.sources.now()).num_seconds() > Actor::MAX_AGE_SECONDS {
            return Err(denied(Reason::Stale));
        }
        let record = snapshot.key_by_id(key).ok_or_else(|| denied(Reason::Unknown))?;
        let standing = examine(&snapshot, record, address, self.sources.now()).map_err(denied)?;
        // The consent may have ended since; the work goes on as long as its key holds.
        let granted = consent.map(|consent| Granted { grant: consent.grant, ceiling: Scopes::stored(&consent.scopes).ceiling() });
        let found = Holder { key: Arc::clone(record), standing, granted, snapshot };
        Ok(found.actor(address, Facade::Job, session))
    }

    async fn find(&self, shown: &Presented<'_>) -> Result<Holder, Denied> {
        let denied = |reason| Denied { reason, known: None, address: shown.address };
        if shown.text.is_empty() {
            return Err(denied(Reason::Missing));
        }
        if shown.text.starts_with(Kind::AccessToken.prefix()) {
            // Boxed like the reading of a registry below: keys, which are most, need no room for it.
            let hash = opaque::read(Kind::AccessToken, shown.text).ok_or_else(|| denied(Reason::Malformed))?;
            return Box::pin(self.by_token(&hash, shown)).await;
        }
        if !token::well_formed(shown.text) {
            return Err(denied(Reason::Malformed));
        }
        let hash = token::hash(shown.text);
        let mut snapshot = self.registry.current();
        // A key that another process made a moment ago: look once, before the poll comes round. Boxed, because it is rare and would
        // make every call's future as large as the reading of a whole registry.
        if snapshot.key(&hash).is_none() {
            Box::pin(self.registry.refresh_if_changed()).await;
            snapshot = self.registry.current();
        }
        let key = snapshot.key(&hash).map(Arc::clone);
        self.admit(snapshot, key, None, shown.address)
    }

    /// Who an access token stands for: the key of its consent.
    async fn by_token(&self, hash: &Hash, shown: &Presented<'_>) -> Result<Holder, Denied> {
        let denied = |reason| Denied { reason, known: None, address: shown.address };
        let mut snapshot = self.registry.current();
        let mut admitted = self.token(hash, &snapshot).await.map_err(denied)?.ok_or_else(|| denied(Reason::Unknown))?;
        let mut key = snapshot.key_by_id(admitted.grant.key).map(Arc::clone);
        // The key of a consent that was given a moment ago.
        if key.is_none() {
            self.registry.refresh_if_changed().await;
            snapshot = self.registry.current();
            admitted = self.token(hash, &snapshot).await.map_err(denied)?.ok_or_else(|| denied(Reason::Unknown))?;
            key = snapshot.key_by_id(admitted.grant.key).map(Arc::clone);
        }
        let Admitted { access, family, grant } = &*admitted;
        // Never another's key, whatever the rows say.
        let key = key.filter(|key| key.org == grant.org && key.owner == Some(grant.user));
        let whose = key.as_ref().map(|key| Box::new(known_of(key, Some(grant.id))));
        let denied = |reason| Denied { reason, known: whose.clone(), address: shown.address };
        if access.revoked_at.is_some() || family.revoked_at.is_some() || grant.revoked_at.is_some() {
            return Err(denied(Reason::TokenRevoked));
        }
        if access.expires_at <= self.sources.now() {
            return Err(denied(Reason::TokenExpired));
        }
        if shown.audience != Some(family.resource.as_str()) {
            return Err(denied(Reason::Audience));
        }
        let granted = Granted { grant: grant.id, ceiling: Scopes::stored(&access.scopes).ceiling() };
        self.admit(snapshot, key, Some(granted), shown.address)
    }

    /// What the store says of a token, as old as the snapshot that is decided by.
    async fn token(&self, hash: &Hash, snapshot: &Arc<Snapshot>) -> Result<Option<Arc<Admitted>>, Reason> {
        if let Some(known) = self.tokens.lock().get(hash, snapshot) {
            return Ok(Some(known));
        }
        let read = rows::access_token(&self.db, hash).await.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "an access token could not be looked up");
            Reason::Stale
        })?;
        let Some(found) = read.map(Arc::new) else { return Ok(None) };
        self.tokens.lock().keep(*hash, Arc::clone(&found), snapshot);
        Ok(Some(found))
    }

    fn admit(
        &self,
        snapshot: Arc<Snapshot>,
        key: Option<Arc<KeyRecord>>,
        granted: Option<Granted>,
        address: IpAddr,
    ) -> Result<Holder, Denied> {
        let denied = |reason, known| Denied { reason, known, address };
        let now = self.sources.now();
        if snapshot.age(now).num_seconds() > Actor::MAX_AGE_SECONDS {
            return Err(denied(Reason::Stale, None));
        }
        let key = key.ok_or_else(|| denied(Reason::Unknown, None))?;
        let standing = examine(&snapshot, &key, address, now)
            .map_err(|reason| denied(reason, Some(Box::new(known_of(&key, granted.map(|g| g.grant))))))?;
        Ok(Holder { snapshot, key, standing, granted })
    }

    /// Looks at once whether anything changed: after something was taken back, so that this process does not go on by what it knew.
    pub async fn catch_up(&self) {
        self.registry.refresh_if_changed().await;
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

/// What access tokens stand for, as read while one snapshot was current.
#[derive(Debug, Default)]
struct Tokens {
    of: Option<Arc<Snapshot>>,
    known: HashMap<Hash, Arc<Admitted>>,
}
impl Tokens {
    /// So many are kept; a snapshot lives 20 seconds at most.
    const MOST: usize = 50_000;
    fn get(&self, hash: &Hash, snapshot: &Arc<Snapshot>) -> Option<Arc<Admitted>> {
        let current = self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, snapshot));
        current.then(|| self.known.get(hash).map(Arc::clone)).flatten()
    }
    fn keep(&mut self, hash: Hash, found: Arc<Admitted>, snapshot: &Arc<Snapshot>) {
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, snapshot)) {
            // What a slower reader brings of an older snapshot would drop what the newer one knows: it is not kept.
            if self.of.as_ref().is_some_and(|of| of.loaded_at() > snapshot.loaded_at()) {
                return;
            }
            self.known.clear();
            self.of = Some(Arc::clone(snapshot));
        }
        if self.known.len() < Self::MOST {
            self.known.insert(hash, found);
        }
    }
}

fn known_of(key: &KeyRecord, grant: Option<GrantId>) -> Known {
    Known { org: key.org, key: key.id, label: Arc::clone(&key.label), user: key.owner, grant }
}

/// By what consent a key is used.
#[derive(Debug, Clone, Copy)]
struct Granted {
    grant: GrantId,
    ceiling: Option<Access>,
}

/// Whoever was let in.
struct Holder {
    snapshot: Arc<Snapshot>,
    key: Arc<KeyRecord>,
    standing: Found,
    granted: Option<Granted>,
}
impl Holder {
    #[expect(clippy::disallowed_methods, reason = "the one place where an actor is made")]
    fn actor(self, address: IpAddr, facade: Facade, session: SessionId) -> Arc<Actor> {
        let Self { snapshot, key, standing, granted } = self;
        Actor::verified(Verified {
            org: key.org,
            org_slug: standing.org_slug,
            key: key.id,
            key_label: Arc::clone(&key.label),
            user: key.owner,
            role: standing.role,
            // A client acts for its person in an organization, and never has the power over the installation that the person's own
            // key may have.
            operator: standing.operator && granted.is_none(),
            permissions: standing.permissions,
            own: key.own.clone(),
            grant: granted.map(|g| g.grant),
            ceiling: granted.map_or(Some(Access::Destructive), |g| g.ceiling),
            address,
            facade,
            session,
            // As old as what was looked at.
            at: snapshot.loaded_at(),
        })
    }
}

struct Found {
    org_slug: Arc<str>,
    role: Role,
    operator: bool,
    permissions: Arc<Permissions>,
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
            // operator would lend that person the operator's power. An invite gives none of it.
            (role.min(key.role), user.operator && key.created_by == Some(owner) && key.invite.is_none())
        }
    };
    let mut lives = (role, Arc::clone(&key.permissions));
    if let Some(invited) = key.invite {
        let voucher = invite::standing(snapshot, key.org, invited.vouched_by);
        let now = invite::lived(role, &key.permissions, voucher.as_ref(), Some(role)).ok_or(Reason::VoucherLost)?;
        lives.0 = now.role;
        // Seldom: what was taken out when the key was made is not there to be taken out again.
        if let Cow::Owned(narrowed) = now.permissions {
            lives.1 = Arc::new(narrowed);
        }
    }
    let (role, permissions) = lives;
    if let kernel::Selection::Only(networks) = &key.permissions.addresses
        && !networks.iter().any(|n| n.contains(&address) || mapped(address).is_some_and(|a| n.contains(&a)))
    {
        return Err(Reason::Address);
    }
    let org = snapshot.org(key.org).ok_or(Reason::Unknown)?;
    if org.kill_switch {
        return Err(Reason::KillSwitch);
    }
    Ok(Found { org_slug: Arc::clone(&org.slug), role, operator, permissions })
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
    use kernel::{ExposeSecret as _, SecretString, TimeDelta};
    use store::{
        keys::{self, NewKey},
        orgs,
        testing::{TestStore, sqlite},
        users,
    };

    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn shown<'a>(text: &'a str, client: &'a str) -> Presented<'a> {
        Presented { text, address: HERE, facade: Facade::Mcp, client, audience: None }
    }

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
            invite: None,
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
        (Keys::new(Arc::new(registry), t.db.clone(), t.sources.clone()), org)
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
            let actor = door.verify(shown(text.expose_secret(), "")).await.unwrap();
            assert_eq!((actor.operator(), actor.user()), (power, owner), "owner {owner:?}, made by {maker:?}");
        }
    }

    #[tokio::test]
    async fn a_client_never_has_the_power_of_an_operator() {
        use store::oauth::{
            clients::{self, NewClient},
            grants::{self, NewGrant},
            tokens::{AccessRow, NewFamily},
        };
        let t = sqlite().await;
        let (door, org) = door(&t).await;
        let operator = member(&t, org, "operator@example.com", true).await;
        let (key, text) = key(&t, org, Some(operator), Some(operator)).await;
        let (now, client, resource) = (t.sources.now(), "oci_a".to_owned(), "https://ocore.example/mcp".to_owned());
        let access = opaque::make(Kind::AccessToken, &*t.sources.random);
        let mut tx = t.begin().await.unwrap();
        let new = NewClient { id: client.clone(), metadata: "{}".into(), secret_hash: None, fingerprint: None, address: None };
        clients::insert(&mut tx, &new, now).await.unwrap();
        let scopes = "read write destructive".to_owned();
        let new = NewGrant {
            org,
            user: operator,
            client: client.clone(),
            key,
            made_key: false,
            scopes: scopes.clone(),
            resource: resource.clone(),
            redirect_host: String::new(),
        };
        let grant = grants::create(&mut tx, &new, &t.sources).await.unwrap();
        let new = NewFamily { grant, client, resource: resource.clone(), scopes: scopes.clone(), confidential: false };
        let family = rows::create_family(&mut tx, &new, &t.sources).await.unwrap().unwrap();
        let row = AccessRow { family, scopes, issued_at: now, expires_at: now + TimeDelta::hours(1), revoked_at: None };
        rows::insert_access(&mut tx, &access.hash, &row).await.unwrap();
        tx.commit().await.unwrap();
        let own = door.verify(shown(text.expose_secret(), "")).await.unwrap();
        assert!(own.operator() && own.grant().is_none());
        let by_token = Presented { audience: Some(&resource), ..shown(access.text.expose_secret(), "") };
        let clients = door.verify(by_token).await.unwrap();
        assert_eq!((clients.key(), clients.grant(), clients.operator()), (key, Some(grant), false));
        let later = door.look(by_token).await.unwrap();
        assert!(!later.operator() && later.ceiling() == Some(Access::Destructive));

        // What it began and another process goes on with.
        let session = clients.session();
        let resumed = |consent: Option<&Consent>| {
            let actor = door.resume_by(key, consent, HERE, session).unwrap();
            (actor.operator(), actor.grant(), actor.ceiling())
        };
        let consent = |scopes: &str| Consent { grant, scopes: scopes.into() };
        assert_eq!(resumed(None), (true, None, Some(Access::Destructive)));
        assert_eq!(resumed(Some(&consent("read write"))), (false, Some(grant), Some(Access::Write)));
        assert_eq!(resumed(Some(&consent(""))), (false, Some(grant), None));
    }

    #[tokio::test]
    async fn a_key_of_an_invite_lives_by_who_vouches_for_it() {
        let t = sqlite().await;
        let (door, org) = door(&t).await;
        let [boss, other] = [member(&t, org, "boss@example.com", false).await, member(&t, org, "other@example.com", false).await];
        let holder = member(&t, org, "holder@example.com", true).await;
        let made = token::new(&t.sources);
        let permissions = Permissions { auto_context: true, ..invite::Power::of(Role::Member).permissions.into_owned() };
        let mut tx = t.begin().await.unwrap();
        let new = store::invites::NewInvite {
            org,
            vouched_by: boss,
            role: Role::Member,
            label: "invite".into(),
            permissions: permissions.clone(),
            shown: "ocn_abcdef".into(),
            hash: [7; 32],
            max_uses: 1,
            expires_at: t.sources.now() + TimeDelta::days(1),
        };
        let id = store::invites::create(&mut tx, &new, &t.sources).await.unwrap();
        let new = NewKey {
            org,
            owner: Some(holder),
            role: Role::Member,
            label: "key".into(),
            prefix: made.prefix,
            hash: made.hash,
            permissions,
            expires_at: None,
            invite: Some(id),
        };
        keys::create_by(&mut tx, Some(holder), &new, &t.sources).await.unwrap();
        tx.commit().await.unwrap();
        let text = made.text.expose_secret().to_owned();
        let now = async || {
            door.registry.reload().await;
            door.verify(shown(&text, "")).await.map_err(|denied| denied.reason)
        };
        let role = async |user, role| {
            let mut tx = t.begin().await.unwrap();
            users::set_role(&mut tx, org, user, role, t.sources.now()).await.unwrap();
            tx.commit().await.unwrap();
        };
        let active = async |user, active| {
            let mut tx = t.begin().await.unwrap();
            let change = users::UserChange { active: Some(active), ..users::UserChange::default() };
            users::update(&mut tx, user, &change, t.sources.now()).await.unwrap();
            tx.commit().await.unwrap();
        };
        let actor = now().await.unwrap();
        assert!(actor.role() == Role::Member && !actor.operator() && !actor.permissions().read_only, "no operator's power");

        // The holder sinks, and rises: never above what the invite gave.
        role(holder, Role::Viewer).await;
        let sunk = now().await.unwrap();
        assert!(sunk.role() == Role::Viewer && sunk.permissions().read_only);
        role(holder, Role::Owner).await;
        assert_eq!(now().await.unwrap().role(), Role::Member);

        // Who vouches for it sinks, is disabled, leaves.
        role(boss, Role::Member).await;
        assert_eq!(now().await.unwrap_err(), Reason::VoucherLost);
        role(boss, Role::Owner).await;
        assert_eq!(now().await.unwrap().role(), Role::Member);
        active(boss, false).await;
        assert_eq!(now().await.unwrap_err(), Reason::VoucherLost);
        active(boss, true).await;
        now().await.unwrap();
        let mut tx = t.begin().await.unwrap();
        users::remove_member(&mut tx, org, boss, t.sources.now()).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(now().await.unwrap_err(), Reason::VoucherLost);

        // Another takes it over.
        let mut tx = t.begin().await.unwrap();
        assert!(store::invites::take_over(&mut tx, org, id, other, t.sources.now()).await.unwrap());
        tx.commit().await.unwrap();
        assert_eq!(now().await.unwrap().role(), Role::Member);
    }

    #[tokio::test]
    async fn looking_at_a_key_is_no_use_of_it() {
        let t = sqlite().await;
        let (door, org) = door(&t).await;
        let (id, text) = key(&t, org, None, None).await;
        let text = text.expose_secret();
        let first = door.verify(shown(text, "claude")).await.unwrap();
        assert_eq!(door.take_touched().iter().map(|u| u.calls).collect::<Vec<_>>(), [1]);
        for _ in 0..29 {
            t.clock.advance(TimeDelta::minutes(1));
            door.registry.reload().await;
            let actor = door.look(shown(text, "claude")).await.unwrap();
            assert!(actor.session() == first.session() && actor.key() == id && actor.fresh(t.sources.now()));
        }
        t.clock.advance(TimeDelta::minutes(1));
        door.registry.reload().await;
        let later = door.look(shown(text, "claude")).await.unwrap();
        assert_ne!(later.session(), first.session(), "30 minutes after the last call");
        assert!(door.take_touched().is_empty());

        let mut tx = t.begin().await.unwrap();
        keys::revoke(&mut tx, org, id, t.sources.now()).await.unwrap();
        tx.commit().await.unwrap();
        door.registry.reload().await;
        assert_eq!(door.look(shown(text, "claude")).await.unwrap_err().reason, Reason::Revoked);
    }

    #[tokio::test]
    async fn what_every_request_awaits_is_small() {
        let t = sqlite().await;
        let (door, _) = door(&t).await;
        for size in [size_of_val(&door.verify(shown("", ""))), size_of_val(&door.look(shown("", "")))] {
            assert!(size <= 512, "{size} bytes");
        }
    }
}
