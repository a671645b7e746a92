//! API keys. Their text is made by identity and shown once; here only its first characters and its hash arrive.
use kernel::{
    Code, Instance, KeyId, OrgId, Permissions, Refusal, Result, Role, Selection, Timestamp, UserId, refusal,
    resource::check_rules,
};
use serde_json::json;
use store::{
    Tx,
    credentials::{self, NewCredential},
    instances, keys,
};

pub use store::{credentials::Own, keys::KeyRow};

use crate::{
    Admin, By,
    instances::Login,
    orgs, target,
    teach::{self, Checked},
    title, users,
};

/// The most calls per minute that an organization gives a key; more is the operator's, whose machine it is.
const MOST_PER_MINUTE: u32 = 10_000;
/// How many keys that still work somebody below an administrator has in an organization: each has a rate of its own.
const MOST_KEYS: usize = 50;

#[derive(Debug, Clone)]
pub struct NewKey {
    /// The organization's slug.
    pub org: String,
    /// The address of the owner, whose power the key never exceeds. None makes a key of the organization itself.
    pub owner: Option<String>,
    /// The most that the key may do. None means the owner's role, for a key of the organization member.
    pub role: Option<Role>,
    pub label: String,
    pub permissions: Permissions,
    pub expires_at: Option<Timestamp>,
    /// The first characters of its text, for lists.
    pub prefix: String,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
}

/// Administrators make keys of the organization and of its members, others their own; viewers read-only ones.
pub async fn create(admin: &Admin, by: &By, new: &NewKey) -> Result<KeyRow> {
    let label = title("The label of a key", &new.label, 100)?;
    let now = admin.sources.now();
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(refusal(Code::InvalidArgument, "The key would have expired already.").next("Give a time to come.").into());
    }
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, &new.org, Role::Viewer).await?.organization;
    let mine = by.role(&mut tx, org.id).await?.unwrap_or(Role::Viewer);
    rate(admin, by, mine, new.permissions.rate_per_minute)?;
    let (owner, role) = match &new.owner {
        None => {
            if mine < Role::Admin {
                return Err(own_only());
            }
            (None, new.role.unwrap_or(Role::Member))
        }
        Some(address) => {
            if mine < Role::Admin && !by.is_called(&mut tx, address).await? {
                return Err(own_only());
            }
            let member = users::member(&mut tx, by, &org, address).await?;
            if mine < Role::Admin {
                few(&keys::list(&mut tx, org.id).await?, member.user.id, now)?;
            }
            (Some(member.user.id), new.role.unwrap_or(member.role))
        }
    };
    if role > mine {
        return Err(
            refusal(Code::PermissionDenied, format!("Your role here is {mine}: a key that you make has at most that.")).into()
        );
    }
    if mine == Role::Viewer && !new.permissions.read_only {
        return Err(refusal(Code::PermissionDenied, "Viewers make read-only keys.").next("Make it read-only.").into());
    }
    named(&mut tx, org.id, &new.permissions).await?;
    let row = keys::NewKey {
        org: org.id,
        owner,
        role,
        label: label.clone(),
        prefix: new.prefix.clone(),
        hash: new.hash,
        permissions: new.permissions.clone(),
        expires_at: new.expires_at,
        invite: None,
    };
    let id = keys::create_by(&mut tx, by.user(), &row, &admin.sources).await?;
    let detail = json!({
        "role": role,
        "owner": new.owner,
        "expires_at": new.expires_at.map(kernel::time_text),
        "permissions": new.permissions,
    });
    admin.log(&mut tx, by, Some(org.id), "api_key.create", target("api_key", id, label), &detail).await?;
    let row = keys::find(&mut tx, org.id, id).await?.ok_or_else(|| teach::hidden("API key", &id.to_string()))?;
    tx.commit().await?;
    Ok(row)
}

/// Refuses permissions that name what is not there, or is another organization's.
pub(crate) async fn named(tx: &mut Tx, org: OrgId, permissions: &Permissions) -> Result<()> {
    check_rules(&permissions.rules)?;
    if let Selection::Only(ids) = &permissions.instances {
        for id in ids {
            if instances::find(&mut *tx, org, *id).await?.is_none() {
                return Err(teach::hidden("instance", &id.to_string()).into());
            }
        }
    }
    Ok(())
}

/// More than the installation's default is for administrators to give, and only operators give without a limit.
pub(crate) fn rate(admin: &Admin, by: &By, mine: Role, wanted: Option<u32>) -> Checked<()> {
    let default = admin.calls_per_minute;
    match wanted {
        Some(0) => {
            Err(refusal(Code::InvalidArgument, "A rate of 0 per minute permits nothing.")
                .next("Leave it out, or give at least 1."))
        }
        Some(n) if n > default && mine < Role::Admin => Err(refusal(
            Code::PermissionDenied,
            format!("Your role here is {mine}: a key of yours makes at most {default} calls a minute, not {n}."),
        )
        .next(format!("Leave the rate out, or give at most {default}; an administrator of the organization gives more."))),
        Some(n) if n > default.max(MOST_PER_MINUTE) && !by.is_operator() => {
            let most = default.max(MOST_PER_MINUTE);
            Err(refusal(Code::PermissionDenied, format!("A key makes at most {most} calls a minute, not {n}."))
                .next(format!("Give at most {most}; only an operator of this installation gives more.")))
        }
        _ => Ok(()),
    }
}

fn few(all: &[KeyRow], owner: UserId, now: Timestamp) -> Checked<()> {
    let live = |key: &&KeyRow| {
        key.owner == Some(owner) && key.revoked_at.is_none_or(|at| now < at) && key.expires_at.is_none_or(|at| now < at)
    };
    if all.iter().filter(live).count() < MOST_KEYS {
        return Ok(());
    }
    Err(refusal(Code::Conflict, format!("You have {MOST_KEYS} keys here that still work, which is the most."))
        .next("Revoke one that you no longer use; an administrator of the organization may make more for you."))
}

fn own_only() -> kernel::Fault {
    refusal(Code::PermissionDenied, "You make keys of your own only.").next("Ask an administrator of the organization.").into()
}

/// Administrators see all keys of the organization, others their own. Oldest first; revoked and expired ones are there too.
pub async fn list(admin: &Admin, by: &By, org: &str) -> Result<Vec<KeyRow>> {
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Viewer).await?.organization;
    let mut found = keys::list(&mut tx, org.id).await?;
    if by.role(&mut tx, org.id).await?.is_none_or(|mine| mine < Role::Admin) {
        found.retain(|k| k.owner.is_some() && k.owner == by.user());
    }
    Ok(found)
}

/// Revokes for good: on this node with the next look at the store, everywhere within 30 seconds. `key` is its id. Administrators revoke
/// all keys of the organization, others their own.
pub async fn revoke(admin: &Admin, by: &By, key: &str) -> Result<KeyRow> {
    let mut tx = admin.begin().await?;
    let found = resolve(&mut tx, by, key).await?;
    if found.revoked_at.is_some() {
        return Err(refusal(Code::Conflict, format!("The key \"{}\" is revoked already.", found.label)).into());
    }
    keys::revoke(&mut tx, found.org, found.id, admin.sources.now()).await?;
    let detail = json!({ "prefix": found.prefix });
    admin.log(&mut tx, by, Some(found.org), "api_key.revoke", target("api_key", found.id, &found.label), &detail).await?;
    let row = keys::find(&mut tx, found.org, found.id).await?;
    tx.commit().await?;
    row.ok_or_else(|| unknown(key).into())
}

/// The Odoo logins of a key's own, by instance. Who may see the key.
pub async fn own_logins(admin: &Admin, by: &By, key: &str) -> Result<Vec<Own>> {
    let mut tx = admin.db.begin_read().await?;
    let found = resolve(&mut tx, by, key).await?;
    Ok(credentials::own(&mut tx, found.org, found.id).await?)
}

/// The instance that a key is to get, or has, an Odoo login of its own for. Administrators: with another login a key may do more or less.
pub async fn instance_for(admin: &Admin, by: &By, key: &str, instance: &str) -> Result<(KeyRow, Instance)> {
    let mut tx = admin.db.begin_read().await?;
    bound(&mut tx, by, key, instance).await
}
async fn bound(tx: &mut Tx, by: &By, key: &str, instance: &str) -> Result<(KeyRow, Instance)> {
    let found = resolve(tx, by, key).await?;
    if by.role(&mut *tx, found.org).await?.is_none_or(|mine| mine < Role::Admin) {
        return Err(refusal(Code::PermissionDenied, "Which Odoo login a key acts by is for administrators to say.")
            .next("Ask an administrator of the organization.")
            .into());
    }
    let known = instances::list(&mut *tx, found.org).await?;
    let Some(at) = known.iter().find(|row| *row.instance.slug == *instance) else {
        return Err(teach::not_found("instance", instance, known.iter().map(|row| &*row.instance.slug)).into());
    };
    Ok((found, at.instance.clone()))
}

/// From now on the key acts by this login on the instance, and by no other: if Odoo refuses it, the key cannot use the instance.
/// Administrators.
pub async fn set_login(admin: &Admin, by: &By, key: &str, instance: &str, login: &Login) -> Result<KeyRow> {
    if login.login.trim().is_empty() {
        return Err(refusal(Code::InvalidArgument, "The login is empty.").into());
    }
    let mut tx = admin.begin().await?;
    let (found, at) = bound(&mut tx, by, key, instance).await?;
    if found.revoked_at.is_some() {
        return Err(refusal(Code::Conflict, format!("The key \"{}\" is revoked.", found.label)).into());
    }
    let new =
        NewCredential { org: found.org, instance: at.id, login: &login.login, secret: &login.secret, dialect: login.dialect };
    credentials::set_own(&mut tx, &admin.vault, found.id, &new, &admin.sources).await?;
    let detail = json!({ "instance": at.slug, "login": login.login, "dialect": login.dialect });
    admin.log(&mut tx, by, Some(found.org), "api_key.set_login", target("api_key", found.id, &found.label), &detail).await?;
    tx.commit().await?;
    Ok(found)
}

/// From now on the key acts by the instance's own login. Administrators.
pub async fn remove_login(admin: &Admin, by: &By, key: &str, instance: &str) -> Result<KeyRow> {
    let mut tx = admin.begin().await?;
    let (found, at) = bound(&mut tx, by, key, instance).await?;
    if !credentials::remove_own(&mut tx, found.org, at.id, found.id, admin.sources.now()).await? {
        return Err(
            refusal(Code::NotFound, format!("The key \"{}\" has no login of its own for {instance}.", found.label)).into()
        );
    }
    let detail = json!({ "instance": at.slug });
    admin.log(&mut tx, by, Some(found.org), "api_key.remove_login", target("api_key", found.id, &found.label), &detail).await?;
    tx.commit().await?;
    Ok(found)
}

async fn resolve(tx: &mut Tx, by: &By, key: &str) -> Result<KeyRow> {
    let id: KeyId = key.trim().to_ascii_uppercase().parse().map_err(|_| unknown(key))?;
    let found = keys::anywhere(&mut *tx, id).await?.ok_or_else(|| unknown(key))?;
    let own = found.owner.is_some() && found.owner == by.user();
    if own || by.role(&mut *tx, found.org).await?.is_some_and(|mine| mine >= Role::Admin) {
        return Ok(found);
    }
    Err(unknown(key).into())
}

fn unknown(key: &str) -> Refusal {
    // Perhaps somebody pasted the key itself: it must not come back.
    let shown = if key.starts_with("ock_") { "ock_…" } else { key };
    teach::hidden("API key", shown).next("Keys are named by their id, as the list of keys shows it.")
}
