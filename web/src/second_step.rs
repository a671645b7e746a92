//! The second step of signing in: a code of the authenticator app, or a recovery code.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::{NotIn, Waiting};

use crate::{
    parts::{Mistake, Phrase, error, minutes},
    routes,
    sign_in::{self, Continues, continues},
    site::{Asked, Site, failed, field, go, own_path, page, parameter, session_cookie, sign_in_first, with_cookie},
    strings::second_step as s,
};

/// The page after a right password of an account with a second step. Posts `csrf next code`.
#[derive(Debug, Template)]
#[template(path = "second_step.html")]
pub struct SecondStep {
    /// The form token.
    pub csrf: String,
    /// As in [`crate::SignIn`].
    pub next: String,
    /// As in [`crate::SignIn`].
    pub continues: Option<Continues>,
    /// The account that is signing in.
    pub email: String,
    /// What is wrong, on `code` or the form.
    pub mistakes: Vec<Mistake>,
}

fn form(csrf: String, next: &str, email: &str, mistakes: Vec<Mistake>) -> SecondStep {
    SecondStep { csrf, next: next.to_owned(), continues: continues(next), email: email.to_owned(), mistakes }
}
/// Who has shown the password under this browser's cookie. Who is signed in already goes on.
async fn waiting(site: &Site, asked: &Asked, next: &str) -> Result<Option<Waiting>, Response> {
    match asked.session() {
        _ if asked.signed.is_some() => Err(go(next)),
        Some(cookie) => site.people.waiting(&cookie).await.map_err(|fault| failed(&fault)),
        None => Ok(None),
    }
}
fn expired(site: &Site, asked: &Asked, next: &str) -> Response {
    let (csrf, cookie) = asked.token(site);
    let view = sign_in::form(site, csrf, next, "", vec![Mistake::form(s::EXPIRED)]);
    with_cookie(page(StatusCode::UNPROCESSABLE_ENTITY, &view, None), cookie)
}

pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let next = parameter(&request, "next");
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let next = own_path(&next);
    let waiting = match waiting(&site, &asked, next).await {
        Ok(Some(waiting)) => waiting,
        Ok(None) => return sign_in_first(next),
        Err(response) => return response,
    };
    let (csrf, cookie) = asked.token(&site);
    with_cookie(page(StatusCode::OK, &form(csrf, next, &waiting.email, Vec::new()), None), cookie)
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
    let (next, code) = (own_path(field(&sent, "next")), field(&sent, "code").trim());
    let waiting = match waiting(&site, &asked, next).await {
        Ok(Some(waiting)) => waiting,
        Ok(None) => return expired(&site, &asked, next),
        Err(response) => return response,
    };
    let address = asked.visitor.address;
    let mistake = if code.is_empty() {
        Mistake::on("code", s::EMPTY)
    } else {
        match site.people.second_step(&waiting, code, address).await {
            Ok(Ok(cookie)) => return with_cookie(go(next), Some(session_cookie(&asked.visitor, Some(&cookie)))),
            Ok(Err(NotIn::Wrong)) => {
                (site.events)("second_step_failed", address, "a code was wrong after a right password");
                Mistake::on("code", s::WRONG)
            }
            Ok(Err(NotIn::Later { seconds })) => {
                (site.events)("second_step_throttled", address, "too many wrong codes after a right password");
                Mistake::form(s::throttled(minutes(seconds)))
            }
            Ok(Err(NotIn::Over)) => return expired(&site, &asked, next),
            Err(fault) => return failed(&fault),
        }
    };
    let (csrf, cookie) = asked.token(&site);
    let view = form(csrf, next, &waiting.email, vec![mistake]);
    with_cookie(page(StatusCode::UNPROCESSABLE_ENTITY, &view, None), cookie)
}
