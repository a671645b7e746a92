//! A new password without the old one: by a link that the operator made (`ocore user reset-password`). ocore sends no mail.
use std::sync::Arc;

use admin::By;
use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use identity::NotDone;

use crate::{
    account::mistake,
    parts::{Mistake, Phrase, error},
    routes,
    site::{Asked, Site, failed, field, go, odoo_left, page, session_cookie, with_cookie},
    strings::password_reset as s,
};

/// Set the new password. Posts `csrf new_password` to `action`.
#[derive(Debug, Template)]
#[template(path = "reset_new.html")]
pub struct ResetNew {
    /// The form token.
    pub csrf: String,
    /// Where the form posts to: the link itself.
    pub action: String,
    /// The account.
    pub email: String,
    /// What is wrong, on `new_password` or the form.
    pub mistakes: Vec<Mistake>,
}

/// The link cannot be used (any more).
#[derive(Debug, Template)]
#[template(path = "reset_over.html")]
pub struct ResetOver;

/// `GET /password-reset/{link}`: shows, and changes nothing, so that the bots of chat programs may look.
pub(crate) async fn show(State(site): State<Arc<Site>>, Path(link): Path<String>, request: Request) -> Response {
    match Asked::of(&site, request).await {
        Ok(asked) => form(&site, &asked, &link, Vec::new()).await,
        Err(response) => response,
    }
}

/// `POST /password-reset/{link}`.
pub(crate) async fn take(State(site): State<Arc<Site>>, Path(link): Path<String>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let sent = match asked.form().await {
        Ok(sent) => sent,
        Err(response) => return response,
    };
    let address = asked.visitor.address;
    match site.people.reset_password(&link, field(&sent, "new_password").into(), address).await {
        // All sessions of that person are over; whoever was signed in here was perhaps somebody else, and signs in again.
        Ok(Ok(user)) => {
            let who = By::User { id: user.id, email: user.email, operator: user.operator, address };
            if let Err(response) = odoo_left(&site, user.id, &who).await {
                return response;
            }
            let done = go(&format!("{}?done=password", routes::SIGN_IN));
            with_cookie(done, Some(session_cookie(&asked.visitor, None)))
        }
        Ok(Err(NotDone::Over)) => over(),
        Ok(Err(not)) => form(&site, &asked, &link, vec![mistake(not, "new_password")]).await,
        Err(fault) => failed(&fault),
    }
}

async fn form(site: &Site, asked: &Asked, link: &str, mistakes: Vec<Mistake>) -> Response {
    let email = match site.people.reset_of(link).await {
        Ok(Some(email)) => email,
        Ok(None) => return over(),
        Err(fault) => return failed(&fault),
    };
    let (csrf, cookie) = asked.token(site);
    let status = if mistakes.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let view = ResetNew { csrf, action: admin::users::reset_path(link), email, mistakes };
    with_cookie(page(status, &view, None), cookie)
}
fn over() -> Response {
    page(StatusCode::GONE, &ResetOver, None)
}
