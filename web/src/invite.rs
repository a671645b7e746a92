//! Invites: GET shows, POST accepts.
use std::sync::Arc;

use admin::{
    By,
    invites::{self, Closed, Refused},
};
use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::{HeaderValue, StatusCode},
    response::Response,
};
use identity::Signed;
use kernel::ExposeSecret as _;

use crate::{
    organizations::Role,
    parts::{Mistake, Phrase, When},
    permission::Permission,
    routes,
    site::{Asked, Site, Visitor, failed, go, page, with_cookie},
    strings::invite as s,
};

/// The page of an invite that is still good. Posts `csrf` to `action`.
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
fn over(closed: Closed) -> Response {
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
    page(status, &InviteOver { why, org }, None)
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
    shown(&site, asked.signed.as_ref(), token_of, &token, StatusCode::OK, Vec::new()).await
}
async fn shown(
    site: &Site,
    signed: Option<&Signed>,
    (csrf, cookie): (String, Option<HeaderValue>),
    token: &str,
    status: StatusCode,
    mistakes: Vec<Mistake>,
) -> Response {
    let look = match invites::look(&site.admin, token, signed.map(|signed| signed.user)).await {
        Ok(Ok(look)) => look,
        Ok(Err(closed)) => return over(closed),
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
    if let Err(response) = asked.form().await {
        return response;
    }
    let Some(signed) = &asked.signed else { return go(&sign_in(&token)) };
    match invites::accept(&site.admin, &by(signed, &asked.visitor), &token).await {
        Ok(Ok(accepted)) => {
            let view = InviteDone {
                org: accepted.organization.name,
                role: accepted.role.into(),
                label: accepted.label,
                key: accepted.text.expose_secret().to_owned(),
                url: format!("{}/mcp", asked.visitor.origin),
            };
            page(StatusCode::OK, &view, None)
        }
        Ok(Err(closed)) => over(closed),
        Err(fault) => {
            tracing::error!(?fault, "an invite could not be accepted");
            let mistakes = vec![Mistake::form(s::FAILED)];
            let token_of = asked.token(&site);
            shown(&site, Some(signed), token_of, &token, StatusCode::SERVICE_UNAVAILABLE, mistakes).await
        }
    }
}
