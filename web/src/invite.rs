//! Invites: GET shows, POST accepts.
use std::sync::Arc;

use admin::{
    By,
    invites::{self, Accepted, Closed, Joined, Refused},
};
use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode},
    response::Response,
};
use identity::{NotDone, Signed, password::weak};
use kernel::ExposeSecret as _;

use crate::{
    account::mistake,
    organizations::Role,
    parts::{Mistake, Phrase, When, error},
    permission::Permission,
    routes,
    site::{Asked, Site, Visitor, failed, field, page, session_cookie, with_cookie},
    strings::invite as s,
};

/// The page of an invite that is still good. Posts `csrf` to `action`; who is not signed in posts `email` and `new_password` too.
#[derive(Debug, Template)]
#[template(path = "invite.html")]
pub struct Invite {
    /// The form token.
    pub csrf: String,
    /// Where the form posts to: the invite's own address.
    pub action: String,
    /// The organization.
    pub org: String,
    /// Who invites.
    pub inviter: String,
    /// The role that a new member gets.
    pub role: Role,
    /// The role of a reader who is a member already: it stays.
    pub member_as: Option<Role>,
    /// What the key that it makes may do.
    pub allows: Permission,
    /// When the invite ends.
    pub until: When,
    /// Who is signed in; nobody sees what it gives and a link to sign in.
    pub you: Option<String>,
    /// The address to sign in and come back, used when nobody is.
    pub sign_in: String,
    /// What a newcomer typed as the address of a new login.
    pub email: String,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// An invite was accepted: the key, shown once.
#[derive(Debug, Template)]
#[template(path = "invite_done.html")]
pub struct InviteDone {
    /// The organization.
    pub org: String,
    /// The role now.
    pub role: Role,
    /// The key's label.
    pub label: String,
    /// The key, whole.
    pub key: String,
    /// The address for clients, such as `https://ocore.example.com/mcp`.
    pub url: String,
}

/// The page of an invite that cannot be accepted.
#[derive(Debug, Template)]
#[template(path = "invite_over.html")]
pub struct InviteOver {
    /// Why.
    pub why: InviteRefused,
    /// The organization, where the reader may know it.
    pub org: Option<String>,
    /// Whether the reader is signed in: then there is nothing to sign in to.
    pub signed_in: bool,
}

/// Why an invite cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteRefused {
    /// Too old.
    Expired,
    /// Used as often as it may.
    Used,
    /// Taken back.
    Revoked,
    /// Who made it may no longer give what it gives.
    Shrunk,
    /// Made for another e-mail address.
    NotYours,
    /// No such invite.
    Unknown,
}

impl InviteOver {
    fn words(&self) -> &'static s::Words {
        s::words(self.why)
    }
}

/// Why a link cannot be accepted, as a page.
fn over(closed: Closed, signed_in: bool) -> Response {
    let (why, org) = match closed {
        Closed::Unknown => (InviteRefused::Unknown, None),
        Closed::Refused { why, org } => {
            let why = match why {
                Refused::Expired => InviteRefused::Expired,
                Refused::Revoked => InviteRefused::Revoked,
                Refused::UsedUp | Refused::AcceptedBefore => InviteRefused::Used,
                _ => InviteRefused::Shrunk,
            };
            (why, Some(org))
        }
    };
    let status = if why == InviteRefused::Unknown { StatusCode::NOT_FOUND } else { StatusCode::GONE };
    page(status, &InviteOver { why, org, signed_in }, None)
}
fn sign_in(token: &str) -> String {
    let next: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", &invites::path(token)).finish();
    format!("{}?{next}", routes::SIGN_IN)
}
/// Who acts, for administration.
pub(crate) fn by(signed: &Signed, visitor: &Visitor) -> By {
    By::User { id: signed.user, email: signed.email.clone(), operator: signed.operator, address: visitor.address }
}

/// `GET /oauth/invite/{token}`: shows, to anybody, and changes nothing.
pub(crate) async fn show(State(site): State<Arc<Site>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let token_of = asked.token(&site);
    shown(&site, asked.signed.as_ref(), token_of, &token, "", StatusCode::OK, Vec::new()).await
}
async fn shown(
    site: &Site,
    signed: Option<&Signed>,
    (csrf, cookie): (String, Option<HeaderValue>),
    token: &str,
    email: &str,
    status: StatusCode,
    mistakes: Vec<Mistake>,
) -> Response {
    let look = match invites::look(&site.admin, token, signed.map(|signed| signed.user)).await {
        Ok(Ok(look)) => look,
        Ok(Err(closed)) => return over(closed, signed.is_some()),
        Err(fault) => return failed(&fault),
    };
    let now = site.sources.now();
    let view = Invite {
        csrf,
        action: invites::path(token),
        org: look.organization.name,
        inviter: look.inviter,
        role: look.role.into(),
        member_as: look.member_as.map(Role::from),
        allows: Permission::of((s::YOUR_KEY, s::YOU), &look.permissions, look.key_role, &look.instances, now),
        until: When::of(look.expires_at, now),
        you: signed.map(|signed| signed.email.clone()),
        sign_in: sign_in(token),
        email: email.to_owned(),
        mistakes,
    };
    with_cookie(page(status, &view, None), cookie)
}

/// `POST /oauth/invite/{token}`: accepts, and shows the key once.
pub(crate) async fn accept(State(site): State<Arc<Site>>, Path(token): Path<String>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let sent = match asked.form().await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let Some(signed) = &asked.signed else { return join(&site, &asked, &token, &sent).await };
    match invites::accept(&site.admin, &by(signed, &asked.visitor), &token).await {
        Ok(Ok(accepted)) => done(&asked, accepted),
        Ok(Err(closed)) => over(closed, true),
        Err(fault) => {
            tracing::error!(?fault, "an invite could not be accepted");
            let mistakes = vec![Mistake::form(s::FAILED)];
            let token_of = asked.token(&site);
            shown(&site, Some(signed), token_of, &token, "", StatusCode::SERVICE_UNAVAILABLE, mistakes).await
        }
    }
}

/// Somebody without a login here makes one, and accepts with it.
async fn join(site: &Site, asked: &Asked, token: &str, sent: &[(String, String)]) -> Response {
    let (email, password) = (field(sent, "email").trim(), field(sent, "new_password"));
    let again = async |mistake| {
        let token_of = asked.token(site);
        shown(site, None, token_of, token, email, StatusCode::UNPROCESSABLE_ENTITY, vec![mistake]).await
    };
    if email.is_empty() {
        return again(Mistake::on("email", s::NO_EMAIL)).await;
    }
    // Hashing is work: only for who holds a link that is good.
    match invites::look(&site.admin, token, None).await {
        Ok(Ok(_)) => {}
        Ok(Err(closed)) => return over(closed, false),
        Err(fault) => return failed(&fault),
    }
    if let Some(weak) = weak(&password.into(), email) {
        return again(mistake(NotDone::Weak(weak), "new_password")).await;
    }
    let hash = match identity::password::hash(password.into(), &site.sources).await {
        Ok(hash) => hash,
        Err(fault) => return failed(&fault),
    };
    match invites::join(&site.admin, token, email, &hash, asked.visitor.address).await {
        Ok(Joined::Accepted(accepted)) => {
            // The login is made: whoever just chose the password is signed in with it, or does that later.
            let came = site.people.sign_in(email, password.into(), asked.visitor.address, asked.agent()).await;
            let cookie = came.ok().and_then(Result::ok).map(|came| session_cookie(&asked.visitor, Some(&came.cookie)));
            with_cookie(done(asked, accepted), cookie)
        }
        Ok(Joined::Closed(closed)) => over(closed, false),
        Ok(Joined::Taken) => again(Mistake::on("email", s::TAKEN)).await,
        Err(kernel::Fault::Refused(why)) => again(Mistake::on("email", format!("{} {}", why.message, why.next))).await,
        Err(fault) => failed(&fault),
    }
}

fn done(asked: &Asked, accepted: Accepted) -> Response {
    let view = InviteDone {
        org: accepted.organization.name,
        role: accepted.role.into(),
        label: accepted.label,
        key: accepted.text.expose_secret().to_owned(),
        url: asked.visitor.public.join("/mcp"),
    };
    page(StatusCode::OK, &view, None)
}
