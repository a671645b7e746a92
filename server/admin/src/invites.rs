//! Invite links. Administrators make, revoke and vouch for them; whoever has a link looks, and accepts as a signed-in person.
//!
//! The rules stand in [`identity::invite`]; here they meet the store. Somebody of the organization always vouches for an invite: what it
//! gives never exceeds what that person may do, and who may not invite any more cannot let anybody in nor keep its keys alive.
use std::net::IpAddr;

use identity::{
    invite::{self, INVITES, Invite, Offer, Power},
    oauth::opaque::{self, Kind},
    token,
};
use kernel::{
    Code, Instance, InviteId, KeyId, OrgId, Organization, Permissions, Refusal, Result, Role, SecretString, TimeDelta, Timestamp,
    UserId, refusal, time_text,
};
use serde_json::json;
use store::{
    StoreError, Tx, instances as instance_rows,
    invites::{self, Taken},
    keys as key_rows, orgs as org_rows,
    users::{self as user_rows, UserRow},
};

pub use identity::invite::{LIFE, LONGEST, MOST_USES, Refused};
pub use store::invites::InviteRow;

use crate::{Admin, By, keys, orgs, target, teach, title, users};

/// An invite to make.
#[derive(Debug, Clone)]
pub struct NewInvite {
    /// The organization's slug.
    pub org: String,
    /// The address of the administrator who vouches for it. None means who makes it; only operators name another.
    pub vouched_by: Option<String>,
    /// The role of who joins by it: viewer or member.
    pub role: Role,
    /// Names it in lists; its keys are called so too.
    pub label: String,
    /// What its keys may do, within the role.
    pub permissions: Permissions,
    /// How many persons may accept it, 1 to 100.
    pub uses: i64,
    /// From now on, up to 30 days.
    pub life: TimeDelta,
}

/// An invite just made.
#[derive(Debug)]
pub struct Made {
    pub row: InviteRow,
    /// The end of its link, given out once.
    pub text: SecretString,
}

/// An invite with who vouches for it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub row: InviteRow,
    /// Their address.
    pub vouched_by: String,
    /// Whether they may still invite. If not, nobody can accept the invite and its keys are dead until an administrator takes it over.
    pub vouched: bool,
}

/// The path of an invite's link, to go after the server's public URL.
pub fn path(text: &str) -> String {
    format!("/oauth/invite/{text}")
}

/// The organizations whose invites this person administers, by slug.
pub async fn organizations(admin: &Admin, by: &By) -> Result<Vec<Organization>> {
    let mut found = Vec::new();
    for org in orgs::list(admin, by).await? {
        if by.role(&admin.db, org.organization.id).await?.is_some_and(|mine| mine >= INVITES) {
            found.push(org.organization);
        }
    }
    Ok(found)
}

/// Administrators and owners. More than they may do themselves, or than the role may, is refused.
pub async fn make(admin: &Admin, by: &By, new: &NewInvite) -> Result<Made> {
    let label = title("The name of an invite", &new.label, 100)?;
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, &new.org, INVITES).await?.organization;
    let mine = by.role(&mut tx, org.id).await?.unwrap_or(Role::Viewer);
    keys::rate(admin, by, mine, new.permissions.rate_per_minute)?;
    let (voucher, power) = voucher(&mut tx, by, &org, new.vouched_by.as_deref()).await?;
    let offer = Offer { role: new.role, permissions: new.permissions.clone(), uses: new.uses, life: new.life };
    let made = invite::make(&power, &offer, admin.sources.now()).map_err(|why| refused(&why))?;
    keys::named(&mut tx, org.id, &made.permissions).await?;
    let text = opaque::make(Kind::Invite, &*admin.sources.random);
    let row = invites::NewInvite {
        org: org.id,
        vouched_by: voucher.id,
        role: made.role,
        label: label.clone(),
        permissions: made.permissions,
        shown: text.shown,
        hash: text.hash,
        max_uses: made.max_uses,
        expires_at: made.expires_at,
    };
    let id = invites::create(&mut tx, &row, &admin.sources).await?;
    let detail = json!({
        "role": row.role,
        "uses": row.max_uses,
        "expires_at": time_text(row.expires_at),
        "vouched_by": voucher.email,
        "permissions": row.permissions,
    });
    admin.log(&mut tx, by, Some(org.id), "invite.create", target("invite", id, label), &detail).await?;
    let row = resolve(&mut tx, org.id, id).await?;
    tx.commit().await?;
    Ok(Made { row, text: text.text })
}

/// Those of an organization, newest first, ended ones included. Administrators and owners.
pub async fn list(admin: &Admin, by: &By, org: &str) -> Result<Vec<Listed>> {
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, INVITES).await?.organization;
    let mut all = Vec::new();
    for row in invites::list(&mut tx, org.id).await? {
        let vouched = power(&mut tx, org.id, row.vouched_by).await?.is_some_and(|power| power.role >= INVITES);
        let vouched_by = user_rows::find(&mut tx, row.vouched_by).await?.map(|user| user.email).unwrap_or_default();
        all.push(Listed { row, vouched_by, vouched });
    }
    Ok(all)
}

/// Lets nobody in by it any more, at once. Who has accepted it stays, and keeps the key. Administrators and owners.
pub async fn revoke(admin: &Admin, by: &By, org: &str, id: InviteId) -> Result<InviteRow> {
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, org, INVITES).await?.organization;
    let found = resolve(&mut tx, org.id, id).await?;
    if !invites::revoke(&mut tx, org.id, id, admin.sources.now()).await? {
        return Err(refusal(Code::Conflict, format!("The invite \"{}\" is revoked already.", found.label)).into());
    }
    let detail = json!({ "used": found.used, "uses": found.max_uses });
    admin.log(&mut tx, by, Some(org.id), "invite.revoke", target("invite", id, &found.label), &detail).await?;
    let row = resolve(&mut tx, org.id, id).await?;
    tx.commit().await?;
    Ok(row)
}

/// From now on another administrator vouches for the invite and the keys that it made: who does this, or, for operators, the one of that
/// address.
pub async fn vouch(admin: &Admin, by: &By, org: &str, id: InviteId, vouched_by: Option<&str>) -> Result<InviteRow> {
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, org, INVITES).await?.organization;
    let found = resolve(&mut tx, org.id, id).await?;
    let (voucher, power) = voucher(&mut tx, by, &org, vouched_by).await?;
    match &found.permissions {
        None => return Err(unreadable(&found.label).into()),
        Some(gives) if !gives.within(&power.permissions) => {
            return Err(refused(&Refused::Beyond(gives.beyond(&power.permissions).join(", "))).into());
        }
        Some(_) => {}
    }
    let before = user_rows::find(&mut tx, found.vouched_by).await?.map(|user| user.email);
    if !invites::take_over(&mut tx, org.id, id, voucher.id, admin.sources.now()).await? {
        return Err(no_voucher(&org, &voucher.email).into());
    }
    let detail = json!({ "vouched_by": { "old": before, "new": voucher.email } });
    admin.log(&mut tx, by, Some(org.id), "invite.vouch", target("invite", id, &found.label), &detail).await?;
    let row = resolve(&mut tx, org.id, id).await?;
    tx.commit().await?;
    Ok(row)
}

/// Why a link cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// There is no such invite, or what it gives cannot be read.
    Unknown,
    /// There is one.
    Refused {
        why: Refused,
        /// The organization's name: whoever has the link may know it.
        org: String,
    },
}

/// An invite as whoever has its link sees it.
#[derive(Debug, Clone)]
pub struct Look {
    pub organization: Organization,
    /// The address of who vouches for it.
    pub inviter: String,
    /// The role of who joins by it.
    pub role: Role,
    /// The role of a reader who is a member already: it stays.
    pub member_as: Option<Role>,
    /// The ceiling of the key that it makes for this reader.
    pub key_role: Role,
    /// What that key may do, within that role.
    pub permissions: Permissions,
    /// The instances of the organization that it reaches at this moment.
    pub instances: Vec<Instance>,
    pub expires_at: Timestamp,
}

/// Shows what a link gives to this user, or to anybody. Changes nothing.
pub async fn look(admin: &Admin, text: &str, user: Option<UserId>) -> Result<std::result::Result<Look, Closed>> {
    let mut tx = admin.db.begin_read().await?;
    let opened = match open(&mut tx, text, user, admin.sources.now()).await? {
        Ok(opened) => opened,
        Err(closed) => return Ok(Err(closed)),
    };
    let Opened { row, organization, member, accepted } = opened;
    let inviter = user_rows::find(&mut tx, row.vouched_by).await?.map(|user| user.email).unwrap_or_default();
    let mut instances: Vec<_> = instance_rows::list(&mut tx, row.org).await?.into_iter().map(|row| row.instance).collect();
    instances.retain(|at| accepted.permissions.instances.contains(&at.id));
    Ok(Ok(Look {
        instances,
        organization,
        inviter,
        role: accepted.joins_as.unwrap_or(row.role),
        member_as: member,
        key_role: accepted.key_role,
        permissions: accepted.permissions,
        expires_at: row.expires_at,
    }))
}

/// What came of accepting.
#[derive(Debug)]
pub struct Accepted {
    pub organization: Organization,
    /// The role that the person has now.
    pub role: Role,
    pub key: KeyId,
    pub label: String,
    /// The key's text, given out once.
    pub text: SecretString,
}

/// Lets the signed-in user in: the use is counted, the user joins unless there already, a key is made. All of it or nothing; of more at once
/// than the invite has uses left, the rest are refused.
pub async fn accept(admin: &Admin, by: &By, text: &str) -> Result<std::result::Result<Accepted, Closed>> {
    let mut tx = admin.begin().await?;
    let accepted = accept_in(admin, &mut tx, by, text).await?;
    if accepted.is_ok() {
        tx.commit().await?;
    }
    Ok(accepted)
}

/// What came of somebody new accepting.
#[derive(Debug)]
pub enum Joined {
    Accepted(Accepted),
    Closed(Closed),
    /// There is a login with this address: its person signs in.
    Taken,
}

/// Lets somebody in who has no login yet: it is made with the address and the password, in one with the rest. The address is as the person
/// typed it; whoever has an invite could be anybody, and the inviter sees who came.
pub async fn join(admin: &Admin, text: &str, address: &str, password_hash: &str, from: IpAddr) -> Result<Joined> {
    let address = users::email(address)?;
    let mut tx = admin.begin().await?;
    let now = admin.sources.now();
    // Only who holds a good link learns whether there is such a login.
    let Opened { row, .. } = match open(&mut tx, text, None, now).await? {
        Ok(opened) => opened,
        Err(closed) => return Ok(Joined::Closed(closed)),
    };
    let user = match user_rows::create(&mut tx, address, Some(password_hash), false, &admin.sources).await {
        Ok(user) => user,
        Err(StoreError::Unique { .. }) => return Ok(Joined::Taken),
        Err(error) => return Err(error.into()),
    };
    let by = By::User { id: user, email: address.to_owned(), operator: false, address: from };
    let detail = json!({ "invite": row.id.to_string() });
    admin.log(&mut tx, &by, Some(row.org), "user.create", target("user", user, address), &detail).await?;
    Ok(match accept_in(admin, &mut tx, &by, text).await? {
        Ok(accepted) => {
            tx.commit().await?;
            Joined::Accepted(accepted)
        }
        Err(closed) => Joined::Closed(closed),
    })
}

async fn accept_in(admin: &Admin, tx: &mut Tx, by: &By, text: &str) -> Result<std::result::Result<Accepted, Closed>> {
    let Some(user) = by.user() else {
        return Err(refusal(Code::InvalidArgument, "Nobody is signed in who could accept an invite.")
            .next("Open the link in a browser and sign in.")
            .into());
    };
    let now = admin.sources.now();
    let Opened { row, organization, member, accepted } = match open(&mut *tx, text, Some(user), now).await? {
        Ok(opened) => opened,
        Err(closed) => return Ok(Err(closed)),
    };
    let closed = |why| Ok(Err(Closed::Refused { why, org: organization.name.clone() }));
    if !user_rows::find(&mut *tx, user).await?.is_some_and(|user| user.active) {
        return Err(refusal(Code::PermissionDenied, "You have been disabled.").next("Ask the operator.").into());
    }
    match invites::take(&mut *tx, row.id, user, now).await? {
        Taken::Yes => {}
        Taken::Before => return closed(Refused::AcceptedBefore),
        Taken::Over => return closed(Refused::UsedUp),
    }
    if let Some(role) = accepted.joins_as {
        user_rows::set_role(&mut *tx, organization.id, user, role, now).await?;
    }
    let token::NewKey { text, prefix, hash } = token::new(&admin.sources);
    let key = key_rows::NewKey {
        org: organization.id,
        owner: Some(user),
        role: accepted.key_role,
        label: row.label.clone(),
        prefix,
        hash,
        permissions: accepted.permissions,
        expires_at: None,
        invite: Some(row.id),
    };
    let id = key_rows::create_by(&mut *tx, Some(user), &key, &admin.sources).await?;

    let org = Some(organization.id);
    let email = by.who().name;
    let detail = json!({ "used": row.used + 1, "uses": row.max_uses, "made": id.to_string(), "joined": accepted.joins_as });
    admin.log(&mut *tx, by, org, "invite.accept", target("invite", row.id, &row.label), &detail).await?;
    if let Some(role) = accepted.joins_as {
        let detail = json!({ "role": { "old": null, "new": role }, "invite": row.id.to_string() });
        admin.log(&mut *tx, by, org, "member.role", target("user", user, &email), &detail).await?;
    }
    let detail = json!({ "role": key.role, "owner": email, "permissions": key.permissions, "invite": row.id.to_string() });
    admin.log(&mut *tx, by, org, "api_key.create", target("api_key", id, &row.label), &detail).await?;
    let role = accepted.joins_as.or(member).unwrap_or(accepted.key_role);
    Ok(Ok(Accepted { organization, role, key: id, label: row.label, text }))
}

struct Opened {
    row: InviteRow,
    organization: Organization,
    /// The user's role in the organization, where there is one.
    member: Option<Role>,
    /// What accepting would do.
    accepted: invite::Accepted,
}

/// The invite of that text, as far as this user, or anybody, could accept it now.
async fn open(tx: &mut Tx, text: &str, user: Option<UserId>, now: Timestamp) -> Result<std::result::Result<Opened, Closed>> {
    let Some(hash) = opaque::read(Kind::Invite, text) else { return Ok(Err(Closed::Unknown)) };
    let Some(row) = invites::find_by_hash(&mut *tx, &hash).await? else { return Ok(Err(Closed::Unknown)) };
    let Some(org) = org_rows::find(&mut *tx, row.org).await? else { return Ok(Err(Closed::Unknown)) };
    let organization = org.organization;
    let Some(permissions) = row.permissions.clone() else {
        tracing::error!(invite = %row.id, "the permissions of an invite cannot be read; it lets nobody in");
        return Ok(Err(Closed::Unknown));
    };
    let (member, before) = match user {
        None => (None, false),
        Some(user) => (user_rows::role(&mut *tx, row.org, user).await?, invites::taken(&mut *tx, row.id, user).await?),
    };
    let power = power(&mut *tx, row.org, row.vouched_by).await?;
    let InviteRow { role, expires_at, max_uses, used, revoked_at, .. } = row;
    let stored = Invite { role, permissions, expires_at, max_uses, used, revoked_at };
    Ok(match invite::accept(&stored, power.as_ref(), member, before, now) {
        Ok(accepted) => Ok(Opened { row, organization, member, accepted }),
        Err(why) => Err(Closed::Refused { why, org: organization.name }),
    })
}

/// What a user may do in an organization now; none where the user is disabled or no member. The same as at each use of a key.
async fn power(tx: &mut Tx, org: OrgId, user: UserId) -> Result<Option<Power>> {
    let active = user_rows::find(&mut *tx, user).await?.is_some_and(|user| user.active);
    let role = if active { user_rows::role(&mut *tx, org, user).await? } else { None };
    Ok(role.map(Power::of))
}

/// Who is to vouch for an invite, and what they may do.
async fn voucher(tx: &mut Tx, by: &By, org: &Organization, named: Option<&str>) -> Result<(UserRow, Power)> {
    let user = match (named, by.user()) {
        (Some(address), _) => {
            if !by.is_operator() && !by.is_called(&mut *tx, address).await? {
                return Err(refusal(Code::PermissionDenied, "You vouch for invites yourself, and for nobody else.")
                    .next("Leave the other's address out.")
                    .into());
            }
            users::member(&mut *tx, by, org, address).await?.user
        }
        (None, Some(id)) => user_rows::find(&mut *tx, id).await?.ok_or_else(|| no_voucher(org, &by.who().name))?,
        (None, None) => {
            return Err(refusal(Code::InvalidArgument, "Somebody of the organization must vouch for the invite.")
                .next(format!("Name an administrator or owner of {} by the address: --by ann@example.com.", org.slug))
                .into());
        }
    };
    match power(tx, org.id, user.id).await? {
        Some(power) if power.role >= INVITES => Ok((user, power)),
        _ => Err(no_voucher(org, &user.email).into()),
    }
}

async fn resolve(tx: &mut Tx, org: OrgId, id: InviteId) -> Result<InviteRow> {
    invites::find(&mut *tx, org, id).await?.ok_or_else(|| unknown(&id.to_string()).into())
}

fn unknown(id: &str) -> Refusal {
    teach::hidden("invite", id).next("Invites are named by their id, as the list of invites shows it.")
}
fn unreadable(label: &str) -> Refusal {
    refusal(Code::Conflict, format!("What the invite \"{label}\" gives cannot be read; it gives nothing."))
        .next("Revoke it and make another.")
}
fn no_voucher(org: &Organization, email: &str) -> Refusal {
    refusal(Code::PermissionDenied, format!("{email} is no active administrator or owner of {}.", org.slug))
        .next("An invite is vouched for by an administrator or owner of the organization: ask one of them.")
}

/// Why an invite is not made, with what to do about it.
fn refused(why: &Refused) -> Refusal {
    let code = match why {
        Refused::RoleTooHigh | Refused::OutOfRange => Code::InvalidArgument,
        Refused::MayNotInvite | Refused::Beyond(_) | Refused::InviterLost => Code::PermissionDenied,
        Refused::Expired | Refused::Revoked | Refused::UsedUp | Refused::AcceptedBefore => Code::Conflict,
    };
    let text = why.to_string();
    let (message, next) = text.split_once("; ").unwrap_or((text.as_str(), "ask an administrator of the organization"));
    refusal(code, format!("{}.", sentence(message))).next(format!("{}.", sentence(next)))
}
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
