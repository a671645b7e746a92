//! Who comes in from an OpenID provider: which account it is, what it is linked to, and the roles that the operator's settings give.
//!
//! In the organizations that a provider's groups are mapped to, the provider is asked at each sign-in: whoever is in no mapped group of
//! one is no member of it any more. All other memberships are as people gave them.
use std::net::IpAddr;

use identity::openid::{Admit, Claims, Membership, Provider, Seen, Why, admit, memberships};
use kernel::{Result, Role, UserId};
use serde_json::{Value, json};
use store::{
    StoreError, Tx,
    audit_log::{self, Target, Who},
    impersonations, oidc, orgs, users, web_sessions,
};

use crate::{Admin, By, consents, target, users as people};

pub use store::oidc::Identity;

/// Who came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entered {
    pub user: UserId,
    /// Whether a person who was signed in added this way to sign in.
    pub linked: bool,
}

/// Somebody whom a provider knows comes in: found by issuer and subject, made where the provider makes accounts, or linked to `linking`,
/// who is signed in. One transaction with the roles and their audit rows.
///
/// # Errors
/// Only when the store does not answer; whom it does not let in is told why.
pub async fn enter(
    admin: &Admin,
    provider: &Provider,
    claims: &Claims,
    linking: Option<UserId>,
    address: IpAddr,
) -> Result<std::result::Result<Entered, Why>> {
    let now = admin.sources.now();
    let mut tx = admin.begin().await?;
    let known = oidc::find(&mut tx, &claims.issuer, &claims.subject).await?.map(|identity| identity.user);
    let email_taken = match &claims.email {
        Some(email) => users::by_email(&mut tx, email).await?.is_some(),
        None => false,
    };
    let who = Who { kind: "provider", id: None, name: provider.slug().to_owned(), address: Some(address.to_string()) };
    let email = claims.email.as_deref();
    let entered = match admit(provider, claims, Seen { known, linking, email_taken }) {
        Admit::Refused(why) => return Ok(Err(why)),
        Admit::SignIn(user) => {
            oidc::touch(&mut tx, &claims.issuer, &claims.subject, email, now).await?;
            Entered { user, linked: linking.is_some() }
        }
        Admit::Link(user) => {
            oidc::link(&mut tx, &claims.issuer, &claims.subject, user, email, now).await?;
            let of = users::find(&mut tx, user).await?.map_or_else(String::new, |found| found.email);
            // The person did it; the provider only told who it was.
            let who = Who { kind: "user", id: Some(user.to_string()), name: of.clone(), address: Some(address.to_string()) };
            log(admin, &mut tx, &who, "user.link", user, &of, &detail(provider, claims)).await?;
            Entered { user, linked: true }
        }
        Admit::Create { email: verified, .. } => {
            let Ok(address) = people::email(&verified) else { return Ok(Err(Why::Unverified)) };
            let user = match users::create(&mut tx, address, None, false, &admin.sources).await {
                Ok(user) => user,
                Err(StoreError::Unique { .. }) => return Ok(Err(Why::Taken)),
                Err(error) => return Err(error.into()),
            };
            oidc::link(&mut tx, &claims.issuer, &claims.subject, user, email, now).await?;
            log(admin, &mut tx, &who, "user.create", user, address, &detail(provider, claims)).await?;
            Entered { user, linked: false }
        }
    };
    roles(admin, &mut tx, &who, provider, claims, entered.user).await?;
    tx.commit().await?;
    Ok(Ok(entered))
}

fn detail(provider: &Provider, claims: &Claims) -> Value {
    json!({ "provider": provider.slug(), "issuer": claims.issuer, "subject": claims.subject })
}
async fn log(admin: &Admin, tx: &mut Tx, who: &Who, action: &str, user: UserId, email: &str, detail: &Value) -> Result<()> {
    let target = Target { kind: "user", id: Some(user.to_string()), name: email.to_owned() };
    Ok(audit_log::write(tx, who, None, action, &target, detail, &admin.sources).await?)
}

/// Brings the roles of a person up to what the groups say.
async fn roles(admin: &Admin, tx: &mut Tx, who: &Who, provider: &Provider, claims: &Claims, user: UserId) -> Result<()> {
    let now = admin.sources.now();
    let given = memberships(provider, claims);
    let Some(person) = users::find(&mut *tx, user).await? else { return Ok(()) };
    for slug in provider.organizations() {
        let Some(org) = orgs::by_slug(&mut *tx, slug).await?.map(|row| row.organization) else {
            tracing::warn!(
                provider = provider.slug(),
                organization = slug,
                "a provider's groups are mapped to an organization that does not exist"
            );
            continue;
        };
        let new = given.iter().find(|m| m.organization == slug).map(|Membership { role, .. }| *role);
        let old = users::role(&mut *tx, org.id, user).await?;
        if new == old {
            continue;
        }
        if old == Some(Role::Owner) && users::owners(&mut *tx, org.id).await? < 2 {
            tracing::warn!(
                provider = provider.slug(),
                organization = slug,
                "the last owner stays, whatever the provider's groups say"
            );
            continue;
        }
        let action = if let Some(role) = new {
            users::set_role(tx, org.id, user, role, now).await?;
            "member.role"
        } else {
            users::remove_member(tx, org.id, user, now).await?;
            consents::forget(admin, tx, who, org.id, user).await?;
            "member.remove"
        };
        let detail = json!({ "role": { "old": old, "new": new } });
        let target = target("user", user, &person.email);
        audit_log::write(tx, who, Some(org.id), action, &target, &detail, &admin.sources).await?;
    }
    Ok(())
}

/// The ways in that a person added, oldest first. For the person alone.
pub async fn identities(admin: &Admin, user: UserId) -> Result<Vec<Identity>> {
    Ok(oidc::of_user(&admin.db, user).await?)
}

/// What came of taking a way in away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlinked {
    Done,
    /// It was not there.
    Gone,
    /// It is the only way in.
    Last,
}

/// Takes one of the person's own ways in away, unless it is the only one. The sessions that it may have begun end, but `keep`.
pub async fn unlink(
    admin: &Admin,
    by: &By,
    user: UserId,
    issuer: &str,
    subject: &str,
    keep: Option<kernel::SessionId>,
) -> Result<Unlinked> {
    let mut tx = admin.begin().await?;
    let all = oidc::of_user(&mut tx, user).await?;
    if !all.iter().any(|one| one.issuer == issuer && one.subject == subject) {
        return Ok(Unlinked::Gone);
    }
    // The operator may: it is how a stolen account is closed.
    if by.user() == Some(user) && all.len() < 2 && users::password_hash(&mut tx, user).await?.is_none() {
        return Ok(Unlinked::Last);
    }
    let person = users::find(&mut tx, user).await?.map_or_else(String::new, |found| found.email);
    oidc::unlink(&mut tx, user, issuer, subject).await?;
    let ended = match keep {
        Some(session) => web_sessions::end_others(&mut tx, user, session).await?,
        None => web_sessions::end_all(&mut tx, user).await?,
    };
    impersonations::expire(&mut tx, user, admin.sources.now()).await?;
    let detail = json!({ "issuer": issuer, "subject": subject, "sessions_ended": ended });
    log(admin, &mut tx, &by.who(), "user.unlink", user, &person, &detail).await?;
    tx.commit().await?;
    Ok(Unlinked::Done)
}
