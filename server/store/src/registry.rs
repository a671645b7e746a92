//! The registry in memory: what a call needs to know of organizations, servers, instances, users and keys, without a look at the store.
//!
//! A [`Snapshot`] never changes; [`Registry`] replaces it when the events table has moved. It says how old it is, and who decides by it
//! refuses when it is too old: if the store cannot be read, revocations cannot be seen. A row that cannot be read is left out (a key
//! with unreadable permissions stays and grants nothing) and logged, and the other rows go on.
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use kernel::{
    Actor, Instance, InstanceId, InviteId, KeyId, OrgId, Organization, OwnCredentials, Permissions, Role, Server, Sources,
    Timestamp, UserId,
    resource::{Resource, Rules, WithoutResource},
};
use tokio::sync::{Mutex, Notify};

use crate::{Db, Result, Row, credentials, events, instances, keys, orgs, resources, servers, summaries::Summaries, users};

#[derive(Debug, Clone)]
pub struct UserRecord {
    pub id: UserId,
    pub email: Arc<str>,
    pub active: bool,
    pub operator: bool,
}

/// The invite that made a key, and whose power bounds the key at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Invited {
    pub invite: InviteId,
    pub vouched_by: UserId,
}

#[derive(Debug, Clone)]
pub struct KeyRecord {
    pub id: KeyId,
    pub org: OrgId,
    /// None for a key of the organization itself.
    pub owner: Option<UserId>,
    /// The user who made it, and may know its text; none for the command line.
    pub created_by: Option<UserId>,
    /// The most that the key may do, whatever its owner's role.
    pub role: Role,
    pub label: Arc<str>,
    pub permissions: Arc<Permissions>,
    /// The Odoo logins of its own, if it has any.
    pub own: Option<Arc<OwnCredentials>>,
    /// Where an invite made it: it may never do more than who vouches for the invite.
    pub invite: Option<Invited>,
    pub expires_at: Option<Timestamp>,
    /// Revoked keys stay for a month: whose they were is known when they are used again.
    pub revoked_at: Option<Timestamp>,
}
impl KeyRecord {
    /// Whether it may be used at this moment.
    pub fn live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none_or(|at| now < at) && self.expires_at.is_none_or(|at| now < at)
    }
}

/// One state of the registry.
pub struct Snapshot {
    orgs: HashMap<OrgId, Arc<Organization>>,
    orgs_by_slug: HashMap<Arc<str>, OrgId>,
    instances: HashMap<Arc<str>, Arc<Instance>>,
    instances_of: HashMap<OrgId, Vec<Arc<Instance>>>,
    servers_of: HashMap<OrgId, Vec<Arc<Server>>>,
    users: HashMap<UserId, Arc<UserRecord>>,
    roles: HashMap<(OrgId, UserId), Role>,
    keys: HashMap<[u8; 32], Arc<KeyRecord>>,
    keys_by_id: HashMap<KeyId, Arc<KeyRecord>>,
    summaries: Arc<Summaries>,
    resources: HashMap<OrgId, Vec<Resource>>,
    /// What applies to a key that has no rules of its own and may act in all companies.
    common: HashMap<InstanceId, Arc<Rules>>,
    /// The newest change that it contains.
    seq: i64,
    base: Instant,
    /// When it was last known to be the store's state: microseconds of the wall clock, and nanoseconds since `base`.
    wall: AtomicI64,
    monotonic: AtomicU64,
}
impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Snapshot({} organizations, {} instances, {} keys)", self.orgs.len(), self.instances.len(), self.keys.len())
    }
}
impl Snapshot {
    pub fn org(&self, id: OrgId) -> Option<&Arc<Organization>> {
        self.orgs.get(&id)
    }
    pub fn org_by_slug(&self, slug: &str) -> Option<&Arc<Organization>> {
        self.orgs.get(self.orgs_by_slug.get(slug)?)
    }
    /// All organizations, in no order.
    pub fn orgs(&self) -> impl Iterator<Item = &Arc<Organization>> {
        self.orgs.values()
    }
    /// Whichever organization it is of: policy decides who sees it.
    pub fn instance(&self, slug: &str) -> Option<&Arc<Instance>> {
        self.instances.get(slug)
    }
    pub fn instance_by_id(&self, org: OrgId, id: InstanceId) -> Option<&Arc<Instance>> {
        self.instances(org).iter().find(|i| i.id == id)
    }
    /// Those of one organization, by slug.
    pub fn instances(&self, org: OrgId) -> &[Arc<Instance>] {
        self.instances_of.get(&org).map_or(&[], Vec::as_slice)
    }
    /// Those of all organizations, in no order: for health checks and the like.
    pub fn all_instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.instances.values()
    }
    /// Those of one organization, by name.
    pub fn servers(&self, org: OrgId) -> &[Arc<Server>] {
        self.servers_of.get(&org).map_or(&[], Vec::as_slice)
    }
    pub fn all_servers(&self) -> impl Iterator<Item = &Arc<Server>> {
        self.servers_of.values().flatten()
    }
    /// By the SHA-256 of its text. Revoked and expired ones are found too.
    pub fn key(&self, hash: &[u8; 32]) -> Option<&Arc<KeyRecord>> {
        self.keys.get(hash)
    }
    /// By its id: each call with an access token asks for its consent's. Revoked and expired ones are found too.
    pub fn key_by_id(&self, id: KeyId) -> Option<&Arc<KeyRecord>> {
        self.keys_by_id.get(&id)
    }
    pub fn user(&self, id: UserId) -> Option<&Arc<UserRecord>> {
        self.users.get(&id)
    }
    /// The user's role in the organization now.
    pub fn role(&self, org: OrgId, user: UserId) -> Option<Role> {
        self.roles.get(&(org, user)).copied()
    }

    /// What people wrote or approved about their instances, for the descriptions of tools.
    pub fn summaries(&self) -> &Summaries {
        &self.summaries
    }

    /// What a call of this actor on this instance works under, beside the key's other limits. None where nothing applies.
    pub fn rules(&self, actor: &Actor, instance: &Instance) -> Option<Arc<Rules>> {
        let permissions = actor.permissions();
        if permissions.rules.is_empty() {
            if !instance.ruled {
                return None;
            }
            if permissions.companies.is_all()
                && let Some(common) = self.common.get(&instance.id)
            {
                return Some(Arc::clone(common));
            }
        }
        let without = self.org(instance.org).map_or(WithoutResource::Refuse, |org| org.without_resource);
        let of = self.resources.get(&instance.org).map_or(&[][..], Vec::as_slice);
        // A company's rule holds wherever the key may act in that company.
        let applies = |r: &&Resource| {
            r.instance.is_none_or(|id| id == instance.id) && r.company.is_none_or(|id| permissions.companies.contains(&id))
        };
        let applying = of.iter().filter(applies).map(|r| (r.model.as_str(), &r.rule));
        Rules::combine(applying, &permissions.rules, without).map(Arc::new)
    }

    /// When it was last known to be the state of the store.
    pub fn loaded_at(&self) -> Timestamp {
        Timestamp::from_timestamp_micros(self.wall.load(Ordering::Acquire)).unwrap_or_default()
    }
    /// How long ago that was, by the wall clock or the monotonic one, whichever says more: setting the clock back makes nothing fresh.
    pub fn age(&self, now: Timestamp) -> chrono::TimeDelta {
        let confirmed = Duration::from_nanos(self.monotonic.load(Ordering::Acquire));
        let elapsed = self.base.elapsed().saturating_sub(confirmed);
        let elapsed = chrono::TimeDelta::from_std(elapsed).unwrap_or(chrono::TimeDelta::MAX);
        (now - self.loaded_at()).max(elapsed)
    }
    fn confirm(&self, wall: Timestamp, at: Instant) {
        self.wall.store(wall.timestamp_micros(), Ordering::Release);
        self.monotonic.store(nanos(at.saturating_duration_since(self.base)), Ordering::Release);
    }
    fn confirmed_since(&self, at: Instant) -> bool {
        self.monotonic.load(Ordering::Acquire) > nanos(at.saturating_duration_since(self.base))
    }
}
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// The newest snapshot, and what keeps it new.
#[derive(Debug)]
pub struct Registry {
    db: Db,
    sources: Sources,
    current: ArcSwap<Snapshot>,
    base: Instant,
    /// One reader of the store at a time; who waited meanwhile takes what it found.
    refreshing: Mutex<()>,
    nudged: Notify,
}

/// With the time of a look and a busy machine, changes are seen within about a second.
const POLL: Duration = Duration::from_millis(800);
/// Changes that came past the events table (a restored backup, an operator's SQL) are seen after this time.
const RELOAD: Duration = Duration::from_secs(20);
const REVOKED_STAY_DAYS: i64 = 30;

impl Registry {
    /// Reads the store for the first time.
    pub async fn load(db: Db, sources: Sources) -> Result<Self> {
        let base = Instant::now();
        let first = read(&db, &sources, base, None).await?;
        Ok(Self { db, sources, current: ArcSwap::from_pointee(first), base, refreshing: Mutex::new(()), nudged: Notify::new() })
    }

    /// The newest snapshot. No lock, no I/O.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Looks for changes and takes them over; gives whether there were any. A store that does not answer is logged, and the snapshot ages.
    pub async fn refresh_if_changed(&self) -> bool {
        self.refresh(false).await
    }

    /// Reads everything anew, whether there were changes or not.
    pub async fn reload(&self) -> bool {
        self.refresh(true).await
    }

    /// The store behind it.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Makes [`Registry::watch`] look now: for who hears of a change sooner than the poll (a notification of the store).
    pub fn nudge(&self) {
        self.nudged.notify_one();
    }

    async fn refresh(&self, all: bool) -> bool {
        let asked = Instant::now();
        let _one = self.refreshing.lock().await;
        let current = self.current();
        if !all && current.confirmed_since(asked) {
            return false;
        }
        match self.newer(&current, all).await {
            Ok(None) => false,
            Ok(Some(new)) => {
                self.current.store(Arc::new(new));
                true
            }
            Err(error) => {
                let age = current.age(self.sources.now()).num_seconds();
                tracing::warn!(error = &error as &dyn std::error::Error, age, "the registry could not be read from the store");
                false
            }
        }
    }

    async fn newer(&self, current: &Snapshot, all: bool) -> Result<Option<Snapshot>> {
        if !all {
            // The state is as old as the moment before it was asked for.
            let (wall, at) = (self.sources.now(), Instant::now());
            if events::latest(&self.db).await? == current.seq {
                current.confirm(wall, at);
                return Ok(None);
            }
        }
        read(&self.db, &self.sources, self.base, Some(&current.summaries)).await.map(Some)
    }

    /// Keeps the snapshot new: changes of other processes within about a second, everything every twenty. Never ends by itself.
    pub async fn watch(&self) {
        let mut full = tokio::time::Instant::now() + RELOAD;
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = self.nudged.notified() => {}
            }
            let due = tokio::time::Instant::now() >= full;
            self.refresh(due).await;
            if due {
                full = tokio::time::Instant::now() + RELOAD;
            }
        }
    }
}

/// Reads what can be read, and leaves out and logs what cannot.
fn legible<T>(rows: &[Row], read: impl Fn(&Row) -> Result<T>) -> impl Iterator<Item = T> {
    rows.iter().filter_map(move |row| match read(row) {
        Ok(value) => Some(value),
        Err(error) => {
            let id = row.text("id").or_else(|_| row.text("user_id")).unwrap_or_default();
            tracing::error!(error = &error as &dyn std::error::Error, id, "a row of the registry cannot be read and is left out");
            None
        }
    })
}

async fn read(db: &Db, sources: &Sources, base: Instant, known: Option<&Arc<Summaries>>) -> Result<Snapshot> {
    let (wall, at) = (sources.now(), Instant::now());
    let mut tx = db.begin_read().await?;
    let seq = events::latest(&mut tx).await?;
    let org_rows = orgs::rows(&mut tx).await?;
    let server_rows = servers::rows(&mut tx).await?;
    let instance_rows = instances::rows(&mut tx, None, None, None).await?;
    let user_rows = users::rows(&mut tx).await?;
    let member_rows = tx.fetch_all("SELECT org_id, user_id, role FROM memberships", vec![]).await?;
    let key_rows = keys::rows(&mut tx, wall - chrono::TimeDelta::days(REVOKED_STAY_DAYS)).await?;
    let resource_rows = resources::rows(&mut tx).await?;
    let own_rows = credentials::own_rows(&mut tx).await?;
    let summaries = Summaries::read(&mut tx, known).await?;
    tx.rollback().await?;

    let orgs: HashMap<_, _> = legible(&org_rows, orgs::read).map(|o| (o.organization.id, Arc::new(o.organization))).collect();
    let mut instances_of: HashMap<OrgId, Vec<Arc<Instance>>> = HashMap::new();
    let mut resources_of: HashMap<OrgId, Vec<Resource>> = HashMap::new();
    for resource in legible(&resource_rows, resources::read_closed) {
        resources_of.entry(resource.org).or_default().push(resource);
    }
    let mut common = HashMap::new();
    let mut found: Vec<Instance> = legible(&instance_rows, instances::read).map(|row| row.instance).collect();
    instances::acquaint(&mut found);
    for mut instance in found {
        let (id, org) = (instance.id, instance.org);
        let without = orgs.get(&org).map_or(WithoutResource::Refuse, |o| o.without_resource);
        let applying = resources_of.get(&org).into_iter().flatten().filter(|r| r.instance.is_none_or(|i| i == id));
        let rules = Rules::combine(applying.map(|r| (r.model.as_str(), &r.rule)), &BTreeMap::new(), without);
        instance.ruled = rules.is_some();
        if let Some(rules) = rules {
            common.insert(id, Arc::new(rules));
        }
        instances_of.entry(org).or_default().push(Arc::new(instance));
    }
    let mut own_of: HashMap<KeyId, OwnCredentials> = HashMap::new();
    for own in legible(&own_rows, credentials::read_own) {
        own_of.entry(own.key).or_default().insert(own.instance, own.rpc);
    }
    let mut servers_of: HashMap<OrgId, Vec<Arc<Server>>> = HashMap::new();
    for server in legible(&server_rows, servers::read) {
        servers_of.entry(server.org).or_default().push(Arc::new(server));
    }
    let user = |row: &Row| {
        users::read(row).map(|u| UserRecord { id: u.id, email: u.email.into(), active: u.active, operator: u.operator })
    };
    let role = |row: &Row| Ok(((row.parsed("org_id")?, row.parsed("user_id")?), row.parsed("memberships.role")?));
    let keys: HashMap<_, _> = legible(&key_rows, |row| key(row, &own_of)).collect();
    let snapshot = Snapshot {
        orgs_by_slug: orgs.values().map(|o| (Arc::clone(&o.slug), o.id)).collect(),
        orgs,
        instances: instances_of.values().flatten().map(|i| (Arc::clone(&i.slug), Arc::clone(i))).collect(),
        instances_of,
        servers_of,
        users: legible(&user_rows, user).map(|u| (u.id, Arc::new(u))).collect(),
        roles: legible(&member_rows, role).collect(),
        keys_by_id: keys.values().map(|key| (key.id, Arc::clone(key))).collect(),
        keys,
        summaries,
        resources: resources_of,
        common,
        seq,
        base,
        wall: AtomicI64::new(0),
        monotonic: AtomicU64::new(0),
    };
    snapshot.confirm(wall, at);
    Ok(snapshot)
}

fn key(row: &Row, own: &HashMap<KeyId, OwnCredentials>) -> Result<([u8; 32], Arc<KeyRecord>)> {
    let hash = row.bytes32("api_keys.hash")?;
    let key = keys::read(row)?;
    let permissions = key.permissions.unwrap_or_else(|| {
        tracing::error!(key = %key.id, "the permissions of a key cannot be read; it grants nothing");
        Permissions::nothing()
    });
    // An invite without who vouches for it cannot be: the error leaves the key out, and it opens nothing.
    let vouched = |invite| row.parsed("invites.vouched_by").map(|vouched_by| Invited { invite, vouched_by });
    let invite = key.invite.map(vouched).transpose()?;
    let record = KeyRecord {
        id: key.id,
        org: key.org,
        owner: key.owner,
        created_by: key.created_by,
        role: key.role,
        label: key.label.into(),
        permissions: Arc::new(permissions),
        own: own.get(&key.id).cloned().map(Arc::new),
        invite,
        expires_at: key.expires_at,
        revoked_at: key.revoked_at,
    };
    Ok((hash, Arc::new(record)))
}
