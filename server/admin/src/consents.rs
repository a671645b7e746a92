//! Consents: a person lets a client act by a key of theirs, in one organization, and takes that back.
use std::collections::BTreeSet;

use identity::oauth::{
    opaque::Hash,
    request::Authorization,
    resource::PublicUrl,
    scope::{Scope, Scopes},
    server::{KnownClient, Pending, Server},
};
use kernel::{
    Category, Code, GrantId, InstanceId, KeyId, OrgId, Organization, Permissions, Result, Role, Selection, ToolRule, UserId,
    refusal,
};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use store::{
    Tx,
    audit_log::{self, Who},
    credentials, instances, keys,
    oauth::{
        RevokedWhy, devices,
        grants::{self, NewGrant},
    },
    orgs as org_rows, users,
};

pub use store::oauth::grants::GrantRow;

use crate::{Admin, By, target, teach, title};

/// Categories that reach past records: never in a ready-made choice but [`Preset::Full`].
const STRONG: [Category; 3] = [Category::Sql, Category::Shell, Category::Files];
/// The same of single tools.
const STRONG_TOOLS: [&str; 10] = [
    "impersonate_user",
    "install_module",
    "restore_database",
    "scaffold_module",
    "set_system_parameter",
    "set_user_active",
    "set_user_groups",
    "set_user_password",
    "uninstall_module",
    "upgrade_module",
];
/// The prefix, as lists show it, of keys that consents make.
const OF_CONSENT: &str = "oauth";
/// How many keys that still work consents may have made for one person in one organization.
const MOST: usize = 200;

/// A ready-made choice of what a client may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Reads records and settings.
    Read,
    /// Reads and changes them.
    Standard,
    /// All that the person may do with what is there now.
    Full,
}
impl Preset {
    /// Instances and categories are those of now: later ones only where the person ticks that.
    pub fn permissions(self, instances: Selection<InstanceId>, auto_context: bool) -> Permissions {
        let categories = Selection::Only(Category::ALL.iter().copied().collect());
        let all = Permissions { instances, categories, auto_context, ..Permissions::all() };
        if self == Self::Full {
            return all;
        }
        Permissions {
            categories: Selection::Only(Category::ALL.iter().copied().filter(|c| !STRONG.contains(c)).collect()),
            tools: ToolRule::Deny(STRONG_TOOLS.into_iter().map(str::to_owned).collect()),
            read_only: self == Self::Read,
            ..all
        }
    }
}

/// By which key a client is to act.
#[derive(Debug, Clone)]
pub enum Through {
    /// One of its own, which goes with the consent.
    New { label: String, permissions: Box<Permissions> },
    /// One that the person has, as it is, or raised to what it can and what is given here together.
    Own { key: KeyId, raise: Option<Box<Permissions>> },
}

/// How the client is answered.
#[derive(Debug)]
pub enum Reply<'a> {
    /// By a code, through the browser.
    Redirect { public: &'a PublicUrl, client: &'a KnownClient, asked: &'a Authorization },
    /// It polls.
    Device(&'a Pending),
}
impl Reply<'_> {
    fn client(&self) -> &KnownClient {
        match self {
            Self::Redirect { client, .. } => client,
            Self::Device(pending) => &pending.client,
        }
    }
    fn scopes(&self) -> &Scopes {
        match self {
            Self::Redirect { asked, .. } => &asked.scopes,
            Self::Device(pending) => &pending.scopes,
        }
    }
}

/// What the person's consent page is made of in one organization.
#[derive(Debug)]
pub struct Choices {
    pub org: Organization,
    pub role: Role,
    pub instances: Vec<kernel::Instance>,
    /// The person's own keys that work, without those that consents made: they end with theirs.
    pub keys: Vec<OwnKey>,
}

/// A key that the person can have a client act by.
#[derive(Debug)]
pub struct OwnKey {
    pub row: keys::KeyRow,
    /// Whether the person may give it more than it has.
    pub raisable: bool,
}

/// # Errors
/// A refusal where the person is no member.
pub async fn choices(admin: &Admin, by: &By, org: &str) -> Result<Choices> {
    let mut tx = admin.db.begin_read().await?;
    let (org, role, user) = membership(&mut tx, by, org).await?;
    let now = admin.sources.now();
    let instances = instances::list(&mut tx, org.id).await?.into_iter().map(|row| row.instance);
    let instances = instances.filter(|i| i.state != kernel::InstanceState::Archived).collect();
    let mut keys = Vec::new();
    for row in keys::list(&mut tx, org.id).await?.into_iter().filter(|key| usable(key, user, now) && !of_consent(key)) {
        keys.push(OwnKey { raisable: raisable(&mut tx, &row, user, role).await?, row });
    }
    Ok(Choices { org, role, instances, keys })
}

/// Whether a person may give a key more. Its limits are the person's own to lift where the person made it or administers the
/// organization; a key with model rules, or with an Odoo login of its own, was made narrow for a reason that a consent does not know.
async fn raisable(tx: &mut Tx, key: &keys::KeyRow, user: UserId, role: Role) -> Result<bool> {
    let own = key.created_by == Some(user) || role >= Role::Admin;
    let plain = key.permissions.as_ref().is_some_and(|permissions| !permissions.restricted());
    Ok(own && plain && credentials::own(&mut *tx, key.org, key.id).await?.is_empty())
}
/// Whether a consent made the key: nobody knows its text.
fn of_consent(key: &keys::KeyRow) -> bool {
    key.prefix == OF_CONSENT
}

fn usable(key: &keys::KeyRow, user: UserId, now: kernel::Timestamp) -> bool {
    key.owner == Some(user)
        && key.permissions.is_some()
        && key.invite.is_none()
        && key.revoked_at.is_none()
        && key.expires_at.is_none_or(|at| now < at)
}

async fn membership(tx: &mut Tx, by: &By, org: &str) -> Result<(Organization, Role, UserId)> {
    let unknown = || teach::hidden("organization", org).next("Choose one that you are a member of.");
    let user = by.user().ok_or_else(unknown)?;
    let row = org_rows::by_slug(&mut *tx, org).await?.ok_or_else(unknown)?.organization;
    // Members alone: an operator who is none administers the organization, but has nothing to lend in it.
    let role = users::role(&mut *tx, row.id, user).await?.ok_or_else(unknown)?;
    Ok((row, role, user))
}

/// The scopes that a consent gives: what was asked for, as far as the key can use it.
pub fn granted(asked: &Scopes, permissions: &Permissions, role: Role) -> Scopes {
    if !permissions.read_only && role > Role::Viewer {
        return asked.clone();
    }
    asked.and(&Scopes::new([Scope::Read, Scope::OfflineAccess]))
}

/// Lets the client in. Gives where the browser goes, if anywhere.
///
/// # Errors
/// Refusals that the page shows.
pub async fn allow(
    admin: &Admin,
    server: &Server,
    by: &By,
    org: &str,
    reply: &Reply<'_>,
    through: &Through,
) -> Result<(GrantId, Option<String>)> {
    let now = admin.sources.now();
    let mut tx = admin.begin().await?;
    let (org, role, user) = membership(&mut tx, by, org).await?;
    let client = reply.client();
    let (key, made, permissions) = match through {
        Through::New { label, permissions } => {
            let key = make(admin, &mut tx, by, &org, user, role, label, permissions).await?;
            (key, true, permissions.as_ref().clone())
        }
        Through::Own { key, raise } => {
            let row = keys::find(&mut tx, org.id, *key).await?.filter(|row| usable(row, user, now) && !of_consent(row));
            let row =
                row.ok_or_else(|| teach::hidden("API key", &key.to_string()).next("Choose one of your own, or a new one."))?;
            let mut permissions = row.permissions.clone().unwrap_or_else(Permissions::nothing);
            if let Some(more) = raise {
                if !raisable(&mut tx, &row, user, role).await? {
                    return Err(refusal(Code::PermissionDenied, format!("The key {} is not yours to give more.", row.label))
                        .next("Use it as it is, make a new key, or ask an administrator of the organization.")
                        .into());
                }
                permissions = raised(&permissions, more);
                keys::set_permissions(&mut tx, org.id, row.id, &permissions, now).await?;
                let detail = json!({ "permissions": permissions });
                admin.log(&mut tx, by, Some(org.id), "api_key.raise", target("api_key", row.id, &row.label), &detail).await?;
            }
            (row.id, false, permissions)
        }
    };
    let scopes = granted(reply.scopes(), &permissions, role);
    let (resource, host) = match reply {
        Reply::Redirect { public, asked, .. } => (asked.resource.uri(public), asked.redirect.host().to_owned()),
        Reply::Device(pending) => (pending.resource.clone(), String::new()),
    };
    let new = NewGrant {
        org: org.id,
        user,
        client: client.id.clone(),
        key,
        made_key: made,
        scopes: scopes.to_string(),
        resource,
        redirect_host: host.clone(),
    };
    let grant = grants::create(&mut tx, &new, &admin.sources).await?;
    let location = match reply {
        Reply::Redirect { public, client, asked } => Some(server.code(&mut tx, public, client, asked, &scopes, grant).await?),
        Reply::Device(pending) => {
            if !devices::answer(&mut tx, &pending.user_code, Some(grant), now).await? {
                return Err(refusal(Code::Conflict, "This code was answered already, or is over.")
                    .next("Begin again in the program that showed it.")
                    .into());
            }
            None
        }
    };
    let detail = json!({
        "client": client.client.name,
        "client_id": client.id,
        "redirect_host": host,
        "key": key.to_string(),
        "made_key": made,
        "scopes": scopes.to_string(),
        "resource": new.resource,
    });
    admin.log(&mut tx, by, Some(org.id), "oauth.consent", target("oauth_grant", grant, &client.client.name), &detail).await?;
    tx.commit().await?;
    Ok((grant, location))
}

/// Notes that a person refused; for a device, the program hears of it.
pub async fn deny(admin: &Admin, by: &By, client: &KnownClient, device: Option<&Hash>) -> Result<()> {
    let mut tx = admin.begin().await?;
    if let Some(code) = device {
        devices::answer(&mut tx, code, None, admin.sources.now()).await?;
    }
    let detail = json!({ "client_id": client.id });
    admin.log(&mut tx, by, None, "oauth.deny", target("oauth_client", &client.id, &client.client.name), &detail).await?;
    Ok(tx.commit().await?)
}

#[expect(clippy::too_many_arguments, reason = "what a key is made of")]
async fn make(
    admin: &Admin,
    tx: &mut Tx,
    by: &By,
    org: &Organization,
    user: UserId,
    role: Role,
    label: &str,
    permissions: &Permissions,
) -> Result<KeyId> {
    let label = title("The label of a key", label, 100)?;
    let now = admin.sources.now();
    let live = keys::list(&mut *tx, org.id).await?.into_iter().filter(|key| usable(key, user, now) && of_consent(key)).count();
    if live >= MOST {
        return Err(refusal(Code::Conflict, format!("You have {MOST} authorizations here, which is the most."))
            .next("Revoke authorizations that you no longer use.")
            .into());
    }
    if let Selection::Only(ids) = &permissions.instances {
        for id in ids {
            if instances::find(&mut *tx, org.id, *id).await?.is_none() {
                return Err(teach::hidden("instance", &id.to_string()).into());
            }
        }
    }
    let mut permissions = permissions.clone();
    permissions.read_only |= role == Role::Viewer;
    // Nobody knows its text: only the consent leads to it.
    let mut text = [0_u8; 32];
    admin.sources.random.fill(&mut text);
    let row = keys::NewKey {
        org: org.id,
        owner: Some(user),
        role,
        label: label.clone(),
        prefix: OF_CONSENT.to_owned(),
        hash: Sha256::digest(text).into(),
        permissions: permissions.clone(),
        expires_at: None,
        invite: None,
    };
    // Made by nobody, so that it never has an operator's power, also where the person is one.
    let id = keys::create(tx, &row, &admin.sources).await?;
    let detail = json!({ "role": role, "permissions": permissions, "by": "consent" });
    admin.log(tx, by, Some(org.id), "api_key.create", target("api_key", id, label), &detail).await?;
    Ok(id)
}

/// What a key can when it is raised by `more`: both together in categories, instances and tools. Its other limits (models, companies,
/// rules, networks, rates) stay: they were set for a reason that this page does not know.
pub fn raised(key: &Permissions, more: &Permissions) -> Permissions {
    Permissions {
        categories: both(&key.categories, &more.categories),
        instances: both(&key.instances, &more.instances),
        tools: both_tools(&key.tools, &more.tools),
        read_only: key.read_only && more.read_only,
        auto_context: key.auto_context || more.auto_context,
        ..key.clone()
    }
}
fn both<T: Ord + Clone>(a: &Selection<T>, b: &Selection<T>) -> Selection<T> {
    match (a, b) {
        (Selection::Only(a), Selection::Only(b)) => Selection::Only(a.union(b).cloned().collect()),
        _ => Selection::All,
    }
}
fn both_tools(a: &ToolRule, b: &ToolRule) -> ToolRule {
    let less =
        |denied: &BTreeSet<String>, allowed: &BTreeSet<String>| ToolRule::Deny(denied.difference(allowed).cloned().collect());
    match (a, b) {
        (ToolRule::All, _) | (_, ToolRule::All) => ToolRule::All,
        (ToolRule::Allow(a), ToolRule::Allow(b)) => ToolRule::Allow(a.union(b).cloned().collect()),
        (ToolRule::Deny(a), ToolRule::Deny(b)) => ToolRule::Deny(a.intersection(b).cloned().collect()),
        (ToolRule::Deny(denied), ToolRule::Allow(allowed)) | (ToolRule::Allow(allowed), ToolRule::Deny(denied)) => {
            less(denied, allowed)
        }
    }
}

/// A consent with what people need to know it by.
#[derive(Debug)]
pub struct Authorized {
    pub grant: GrantRow,
    pub org: Organization,
    /// None where the person is no member any more: then it opens nothing.
    pub role: Option<Role>,
    pub key: keys::KeyRow,
    /// Of a member.
    pub instances: Vec<kernel::Instance>,
}

/// The person's own, in all organizations, newest first.
pub async fn list(admin: &Admin, by: &By) -> Result<Vec<Authorized>> {
    let Some(user) = by.user() else { return Ok(Vec::new()) };
    let mut tx = admin.db.begin_read().await?;
    let mut found = Vec::new();
    for grant in grants::of_user(&mut tx, user).await? {
        let (Some(org), Some(key)) =
            (org_rows::find(&mut tx, grant.org).await?, keys::find(&mut tx, grant.org, grant.key).await?)
        else {
            continue;
        };
        let org = org.organization;
        let role = users::role(&mut tx, org.id, user).await?;
        let instances = match role {
            Some(_) => instances::list(&mut tx, org.id).await?.into_iter().map(|row| row.instance).collect(),
            None => Vec::new(),
        };
        found.push(Authorized { grant, org, role, key, instances });
    }
    Ok(found)
}

/// All of an organization: for administrators, and for the operator.
pub async fn list_org(admin: &Admin, by: &By, org: &str) -> Result<Vec<(GrantRow, String)>> {
    let mut tx = admin.db.begin_read().await?;
    let org = crate::orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization;
    let mut found = Vec::new();
    for grant in grants::of_org(&mut tx, org.id).await? {
        let user = users::find(&mut tx, grant.user).await?.map(|user| user.email).unwrap_or_default();
        found.push((grant, user));
    }
    Ok(found)
}

/// Takes all of a person's in one organization back: who leaves it lends nothing there, also when they join again.
pub(crate) async fn forget(admin: &Admin, tx: &mut Tx, who: &Who, org: OrgId, user: UserId) -> Result<()> {
    for grant in grants::of_user(&mut *tx, user).await?.into_iter().filter(|grant| grant.org == org) {
        if grants::revoke(tx, grant.id, RevokedWhy::Admin, admin.sources.now()).await? {
            let detail = json!({ "client_id": grant.client });
            let target = target("oauth_grant", grant.id, &grant.client);
            audit_log::write(tx, who, Some(org), "oauth.revoke", &target, &detail, &admin.sources).await?;
        }
    }
    Ok(())
}

/// Takes one back: one's own, or as an administrator of its organization.
pub async fn revoke(admin: &Admin, by: &By, grant: GrantId) -> Result<GrantRow> {
    let mut tx = admin.begin().await?;
    let unknown = || teach::hidden("authorization", &grant.to_string());
    let row = grants::find(&mut tx, grant).await?.ok_or_else(unknown)?;
    let own = by.user() == Some(row.user);
    if !own && by.role(&mut tx, row.org).await?.is_none_or(|role| role < Role::Admin) {
        return Err(unknown().into());
    }
    let why = if own { RevokedWhy::User } else { RevokedWhy::Admin };
    if !grants::revoke(&mut tx, grant, why, admin.sources.now()).await? {
        return Err(refusal(Code::Conflict, "This authorization was revoked already.").into());
    }
    ended(admin, &mut tx, by, row.org, grant, &row.client).await?;
    tx.commit().await?;
    Ok(row)
}

/// Takes all of one's own for a client back. Gives how many there were.
pub async fn revoke_client(admin: &Admin, by: &By, client: &str) -> Result<u64> {
    let Some(user) = by.user() else { return Ok(0) };
    let mut tx = admin.begin().await?;
    let mut count = 0;
    for grant in grants::of_user(&mut tx, user).await?.into_iter().filter(|grant| grant.client == client) {
        if grants::revoke(&mut tx, grant.id, RevokedWhy::User, admin.sources.now()).await? {
            ended(admin, &mut tx, by, grant.org, grant.id, client).await?;
            count += 1;
        }
    }
    tx.commit().await?;
    Ok(count)
}

async fn ended(admin: &Admin, tx: &mut Tx, by: &By, org: OrgId, grant: GrantId, client: &str) -> Result<()> {
    admin.log(tx, by, Some(org), "oauth.revoke", target("oauth_grant", grant, client), &json!({ "client_id": client })).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_never_reach_past_records_but_the_full_one() {
        let all = || Selection::All;
        for preset in [Preset::Read, Preset::Standard] {
            let given = preset.permissions(all(), false);
            assert!(STRONG.iter().all(|c| !given.categories.contains(c)), "{preset:?}");
            assert!(STRONG_TOOLS.iter().all(|t| !given.tools.permits(t)), "{preset:?}");
            assert_eq!(given.read_only, preset == Preset::Read);
            // Categories of later versions are for later consents.
            assert!(!given.categories.is_all());
        }
        let full = Preset::Full.permissions(all(), true);
        assert!(!full.categories.is_all() && Category::ALL.iter().all(|c| full.categories.contains(c)) && full.auto_context);
    }

    #[test]
    fn a_key_is_raised_by_what_is_given_and_keeps_its_other_limits() {
        let key = Permissions {
            categories: Selection::only([Category::Sql]),
            read_only: true,
            models: Selection::only(["res.partner".to_owned()]),
            tools: ToolRule::Deny(["write".to_owned(), "unlink".to_owned()].into()),
            ..Permissions::all()
        };
        let more = Permissions {
            categories: Selection::only([Category::Orm]),
            tools: ToolRule::Allow(["write".to_owned()].into()),
            ..Permissions::all()
        };
        let now = raised(&key, &more);
        assert_eq!(now.categories, Selection::only([Category::Sql, Category::Orm]));
        assert!(now.tools.permits("write") && !now.tools.permits("unlink") && now.tools.permits("search_read"));
        assert!(!now.read_only && now.models == key.models);
    }
}
