//! Sign in with e-mail and password, or with a provider.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::NotIn;

use crate::{
    openid,
    parts::{Mistake, Notice, Phrase, Tone, error, minutes},
    routes,
    site::{Asked, Site, failed, field, go, own_path, page, parameter, session_cookie, with_cookie, with_next},
    strings::sign_in as s,
};

/// The page `GET /sign-in`, and the answer to a POST that failed. Posts `csrf`, `next`, `email`, `password`.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn {
    /// The form token.
    pub csrf: String,
    /// The path to go on to, of this site; sent back as `next`. Empty for none.
    pub next: String,
    /// The same in words.
    pub continues: Option<Continues>,
    /// What was typed.
    pub email: String,
    /// What is wrong, on `email`, `password` or the form. See [`crate::strings::sign_in`] for the sentences.
    pub mistakes: Vec<Mistake>,
    /// Why the page is shown, such as after a password change.
    pub notice: Option<Notice>,
    /// OpenID Connect providers, each a link.
    pub providers: Vec<Provider>,
}

/// An OpenID Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its name, such as "Google".
    pub name: String,
    /// Where signing in with it starts.
    pub href: String,
}

/// Where signing in leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Continues {
    /// The consent page of a client.
    Consent,
    /// Confirming a device code.
    Device,
    /// An invite.
    Invite,
    /// A one-time link into Odoo.
    Impersonate,
}

impl Continues {
    /// The sentence.
    pub fn phrase(&self) -> Phrase {
        match self {
            Self::Consent => Phrase::new(s::THEN_CONSENT, &[]),
            Self::Device => Phrase::new(s::THEN_DEVICE, &[]),
            Self::Invite => Phrase::new(s::THEN_INVITE, &[]),
            Self::Impersonate => Phrase::new(s::THEN_IMPERSONATE, &[]),
        }
    }
}

/// Where a path leads, in words.
pub(crate) fn continues(next: &str) -> Option<Continues> {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    match path {
        routes::AUTHORIZE => Some(Continues::Consent),
        routes::DEVICE | routes::CONSENT => Some(Continues::Device),
        _ if path.starts_with("/oauth/invite/") => Some(Continues::Invite),
        _ if path.starts_with("/impersonate/") => Some(Continues::Impersonate),
        _ => None,
    }
}
pub(crate) fn form(site: &Site, csrf: String, next: &str, email: &str, mistakes: Vec<Mistake>) -> SignIn {
    SignIn {
        csrf,
        next: next.to_owned(),
        continues: continues(next),
        email: email.to_owned(),
        mistakes,
        notice: None,
        providers: openid::links(site, next),
    }
}

pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (next, done) = (parameter(&request, "next"), parameter(&request, "done"));
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let next = own_path(&next);
    let (csrf, cookie) = asked.token(&site);
    let notice = (done == "password").then(|| Notice { tone: Tone::Good, text: s::PASSWORD_CHANGED.to_owned() });
    let view = SignIn { notice, ..form(&site, csrf, next, "", Vec::new()) };
    with_cookie(page(StatusCode::OK, &view, None), cookie)
}

pub(crate) async fn take(State(site): State<Arc<Site>>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let sent = match asked.form().await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let (next, email, password) = (own_path(field(&sent, "next")), field(&sent, "email").trim(), field(&sent, "password"));
    let mut mistakes = Vec::new();
    if email.is_empty() {
        mistakes.push(Mistake::on("email", s::NO_EMAIL));
    } else if !email.contains('@') || email.len() > 320 {
        mistakes.push(Mistake::on("email", s::BAD_EMAIL));
    }
    if password.is_empty() {
        mistakes.push(Mistake::on("password", s::NO_PASSWORD));
    }
    let address = asked.visitor.address;
    if mistakes.is_empty() {
        let mistake = match site.people.sign_in(email, password.to_owned().into(), address, asked.agent()).await {
            Ok(Ok(came)) => {
                // A session that was there before is another one's, or over: it ends with the cookie.
                if let Some(before) = &asked.signed
                    && let Err(fault) = site.people.sign_out(before).await
                {
                    return failed(&fault);
                }
                let to = if came.second_step { with_next(routes::SIGN_IN_CODE, next) } else { next.to_owned() };
                return with_cookie(go(&to), Some(session_cookie(&asked.visitor, Some(&came.cookie))));
            }
            Ok(Err(NotIn::Wrong | NotIn::Over)) => {
                (site.events)("sign_in_failed", address, "a password was wrong, or nobody has that address");
                s::REFUSED.to_owned()
            }
            Ok(Err(NotIn::Later { seconds })) => {
                (site.events)("sign_in_throttled", address, "too many wrong passwords");
                s::throttled(minutes(seconds))
            }
            Err(fault) => return failed(&fault),
        };
        mistakes.push(Mistake::form(mistake));
    }
    let (csrf, cookie) = asked.token(&site);
    with_cookie(page(StatusCode::UNPROCESSABLE_ENTITY, &form(&site, csrf, next, email, mistakes), None), cookie)
}
