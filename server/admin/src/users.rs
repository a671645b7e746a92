//! Users and their memberships. Passwords come as ready hashes; nobody but the user and the operator sets one.
use identity::oauth::opaque::{self, Kind};
use kernel::{Code, Organization, Result, Role, SecretString, TimeDelta, Timestamp, refusal, time_text};
use serde_json::json;
use store::{Tx, impersonations, password_resets, second_factor, users, web_sessions};

pub use store::users::{Member, Membership, UserRow};

use crate::{
    Admin, By, consents, orgs, taken, target,
    teach::{self, Checked},
};

#[derive(Clone)]
pub struct NewUser {
    pub email: String,
    /// The organization's slug and the role in it.
    pub member: Option<(String, Role)>,
    /// The argon2id hash, made by identity; none when the user signs in elsewhere.
    pub password_hash: Option<String>,
    pub operator: bool,
}

/// Operators alone; others invite.
pub async fn create(admin: &Admin, by: &By, new: &NewUser) -> Result<UserRow> {
    by.operator("create users")?;
    let email = email(&new.email)?;
    if new.member.is_none() && !new.operator {
        return Err(refusal(Code::InvalidArgument, "A user who is no operator belongs to an organization.")
            .next("Name an organization and a role, or make the user an operator.")
            .into());
    }
    let mut tx = admin.begin().await?;
    let org = match &new.member {
        Some((slug, _)) => Some(orgs::resolve(&mut tx, by, slug, Role::Admin).await?),
        None => None,
    };
    if users::by_email(&mut tx, email).await?.is_some() {
        return Err(refusal(Code::Conflict, format!("A user with the address {email} exists."))
            .next("Make that user a member instead of creating a second one.")
            .into());
    }
    let now = admin.sources.now();
    let id = users::create(&mut tx, email, new.password_hash.as_deref(), new.operator, &admin.sources)
        .await
        .map_err(taken("A user with this address"))?;
    let mut detail = json!({ "operator": new.operator });
    if let (Some(org), Some((slug, role))) = (&org, &new.member) {
        users::set_role(&mut tx, org.organization.id, id, *role, now).await?;
        detail = json!({ "operator": new.operator, "organization": slug, "role": role });
    }
    admin.log(&mut tx, by, org.map(|o| o.organization.id), "user.create", target("user", id, email), &detail).await?;
    let row = find(&mut tx, email).await?;
    tx.commit().await?;
    Ok(row)
}

/// What to change; what is none stays.
#[derive(Clone, Default)]
pub struct UserUpdate {
    /// False signs the user out everywhere and stops the user's keys.
    pub active: Option<bool>,
    pub operator: Option<bool>,
    pub password_hash: Option<String>,
    /// Takes the second step away, for who has lost telephone and recovery codes.
    pub remove_second_step: bool,
    /// Signs the user out everywhere.
    pub end_sessions: bool,
}

/// Operators alone.
pub async fn update(admin: &Admin, by: &By, address: &str, change: &UserUpdate) -> Result<UserRow> {
    by.operator("change users")?;
    let mut tx = admin.begin().await?;
    let old = find(&mut tx, address).await?;
    if by.user() == Some(old.id) && (change.active == Some(false) || change.operator == Some(false)) {
        return Err(refusal(Code::InvalidArgument, "You cannot disable yourself or give up being an operator.")
            .next("Let another operator do it, or use the command line on the host.")
            .into());
    }
    let store_change =
        users::UserChange { active: change.active, operator: change.operator, password_hash: change.password_hash.clone() };
    users::update(&mut tx, old.id, &store_change, admin.sources.now()).await?;
    let mut detail = crate::instances::differences(
        &json!({ "active": old.active, "operator": old.operator }),
        &json!({ "active": change.active.unwrap_or(old.active), "operator": change.operator.unwrap_or(old.operator) }),
    );
    let mut happened = Vec::new();
    if change.password_hash.is_some() {
        happened.push(("credentials_changed", true.into()));
    }
    if change.remove_second_step {
        if !second_factor::remove(&mut tx, old.id).await? {
            return Err(refusal(Code::Conflict, format!("{} has no second step.", old.email))
                .next("There is nothing to remove: the password alone is asked for.")
                .into());
        }
        happened.push(("second_step_removed", true.into()));
    }
    if change.end_sessions {
        happened.push(("sessions_ended", web_sessions::end_all(&mut tx, old.id).await?.into()));
    }
    // A visit of somebody who is disabled is refused, and ended in Odoo, at its next request.
    if change.end_sessions || change.password_hash.is_some() {
        impersonations::expire(&mut tx, old.id, admin.sources.now()).await?;
    }
    if let Some(map) = detail.as_object_mut() {
        map.extend(happened.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    admin.log(&mut tx, by, None, "user.update", target("user", old.id, &old.email), &detail).await?;
    let row = find(&mut tx, address).await?;
    tx.commit().await?;
    Ok(row)
}

/// The user of that address. Operators alone.
pub async fn one(admin: &Admin, by: &By, address: &str) -> Result<UserRow> {
    by.operator("look up users")?;
    let mut tx = admin.db.begin_read().await?;
    find(&mut tx, address).await
}

/// How long a link that sets a password is good.
const RESET_LIFE: TimeDelta = TimeDelta::hours(1);

/// A link with which a person sets a new password.
#[derive(Debug)]
pub struct Reset {
    pub user: UserRow,
    /// The end of the link, given out once.
    pub text: SecretString,
    pub expires_at: Timestamp,
}
/// Where the link with that end leads, below the server's URL.
pub fn reset_path(text: &str) -> String {
    format!("/password-reset/{text}")
}

/// Makes the link with which a person sets a new password, in place of an earlier one. The operator never learns the password, and
/// nothing changes until the person uses it. Operators alone.
pub async fn reset_link(admin: &Admin, by: &By, address: &str) -> Result<Reset> {
    by.operator("make links that set a password")?;
    let mut tx = admin.begin().await?;
    let user = find(&mut tx, address).await?;
    if !user.active {
        return Err(refusal(Code::Conflict, format!("{} is disabled and cannot sign in.", user.email))
            .next("Enable the user first: ocore user update EMAIL --enable")
            .into());
    }
    let link = opaque::make(Kind::PasswordReset, &*admin.sources.random);
    let expires_at = admin.sources.now() + RESET_LIFE;
    password_resets::begin(&mut tx, user.id, &link.hash, expires_at).await?;
    let detail = json!({ "until": time_text(expires_at) });
    admin.log(&mut tx, by, None, "user.reset_link", target("user", user.id, &user.email), &detail).await?;
    tx.commit().await?;
    Ok(Reset { user, text: link.text, expires_at })
}

/// All users: operators alone.
pub async fn list(admin: &Admin, by: &By) -> Result<Vec<UserRow>> {
    by.operator("list all users")?;
    Ok(users::list(&admin.db).await?)
}

/// The organizations that a person is a member of, by slug. For the person alone.
pub async fn organizations(admin: &Admin, user: kernel::UserId) -> Result<Vec<Membership>> {
    Ok(users::organizations(&admin.db, user).await?)
}

/// The members of one organization.
pub async fn members(admin: &Admin, by: &By, org: &str) -> Result<Vec<Member>> {
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Viewer).await?;
    Ok(users::members(&mut tx, org.organization.id).await?)
}

/// Changes the role of a member. Administrators give roles up to their own, and change nobody above them. Operators also make users
/// members who are not: whoever could do that to any address would learn who has a login here, and nobody would have been asked.
pub async fn set_role(admin: &Admin, by: &By, org: &str, address: &str, role: Role) -> Result<()> {
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization;
    let (user, old) = if by.is_operator() {
        let user = find(&mut tx, address).await?;
        let old = users::role(&mut tx, org.id, user.id).await?;
        (user, old)
    } else {
        let member = member(&mut tx, by, &org, address).await?;
        (member.user, Some(member.role))
    };
    let mine = by.role(&mut tx, org.id).await?.unwrap_or(Role::Viewer);
    if role > mine || old.is_some_and(|old| old > mine) {
        return Err(refusal(Code::PermissionDenied, format!("Your role here is {mine}: you give and take roles up to it."))
            .next("Ask an owner of the organization.")
            .into());
    }
    if old == Some(Role::Owner) && role != Role::Owner {
        another_owner(&mut tx, org.id).await?;
    }
    users::set_role(&mut tx, org.id, user.id, role, admin.sources.now()).await?;
    let detail = json!({ "role": { "old": old, "new": role } });
    admin.log(&mut tx, by, Some(org.id), "member.role", target("user", user.id, &user.email), &detail).await?;
    Ok(tx.commit().await?)
}

/// Ends a membership; one's own, or as an administrator another's. The last owner stays.
pub async fn remove_member(admin: &Admin, by: &By, org: &str, address: &str) -> Result<()> {
    let mut tx = admin.begin().await?;
    let own = by.is_called(&mut tx, address).await?;
    let org = orgs::resolve(&mut tx, by, org, if own { Role::Viewer } else { Role::Admin }).await?.organization;
    let Member { user, role: old } = member(&mut tx, by, &org, address).await?;
    if !own && by.role(&mut tx, org.id).await?.is_none_or(|mine| old > mine) {
        return Err(refusal(Code::PermissionDenied, "You cannot remove somebody with more power than yours.").into());
    }
    if old == Role::Owner {
        another_owner(&mut tx, org.id).await?;
    }
    users::remove_member(&mut tx, org.id, user.id, admin.sources.now()).await?;
    consents::forget(admin, &mut tx, &by.who(), org.id, user.id).await?;
    admin
        .log(&mut tx, by, Some(org.id), "member.remove", target("user", user.id, &user.email), &json!({ "role": { "old": old } }))
        .await?;
    Ok(tx.commit().await?)
}

async fn another_owner(tx: &mut Tx, org: kernel::OrgId) -> Result<()> {
    if users::owners(tx, org).await? < 2 {
        return Err(refusal(Code::Conflict, "The last owner of an organization cannot leave it.")
            .next("Make somebody else an owner first.")
            .into());
    }
    Ok(())
}

/// The member of that address. Whether somebody has a login here without being a member is told to operators alone: for others both
/// are no members, in the same words.
pub(crate) async fn member(tx: &mut Tx, by: &By, org: &Organization, address: &str) -> Result<Member> {
    let members = users::members(&mut *tx, org.id).await?;
    let key = users::email_key(address);
    let refused = teach::not_found("member", address, members.iter().map(|m| m.user.email.as_str()));
    if let Some(found) = members.into_iter().find(|m| users::email_key(&m.user.email) == key) {
        return Ok(found);
    }
    if by.is_operator() {
        let user = find(tx, address).await?;
        return Err(refusal(Code::NotFound, format!("{} is no member of {}.", user.email, org.slug))
            .next("Make the user a member first.")
            .into());
    }
    let advice = format!("{} Whoever is no member yet comes in by an invite.", refused.next);
    Err(refused.next(advice).into())
}

/// The user of that address, or what was perhaps meant: for operators, who may know of everybody.
async fn find(tx: &mut Tx, address: &str) -> Result<UserRow> {
    if let Some(user) = users::by_email(&mut *tx, address).await? {
        return Ok(user);
    }
    let known = users::list(&mut *tx).await?;
    Err(teach::not_found("user", address, known.iter().map(|u| u.email.as_str())).into())
}

/// The shape of an address; whether it is anybody's is found out by writing to it.
pub(crate) fn email(text: &str) -> Checked<&str> {
    let text = text.trim();
    let fine = text.split_once('@').is_some_and(|(local, domain)| {
        (1..=64).contains(&local.len())
            && !domain.contains('@')
            && domain.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_alphanumeric() || c == '-')
            })
    });
    let plain = text.len() <= 254 && !text.chars().any(|c| c.is_whitespace() || c.is_control() || "<>()[],;:\"\\".contains(c));
    if fine && plain {
        return Ok(text);
    }
    let shown: String = text.chars().take(80).collect();
    Err(refusal(Code::InvalidArgument, format!("{shown:?} is no e-mail address.")).next("Write it like ann@example.com."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["ann@example.com", " ann@example.com ", "a.b+c@x-y.example", "root@localhost", "jörg@exämple.de"] {
            assert!(email(good).is_ok(), "{good}");
        }
        for bad in ["", "ann", "@x.com", "ann@", "ann@x..com", "a b@x.com", "ann@x@y.com", "ann@-x.com", "Ann <a@b.c>", "a\n@b.c"]
        {
            assert!(email(bad).is_err(), "{bad}");
        }
    }
}
