//! First run: the first user and organization.
//!
//! Only the address that `ocore serve` printed leads here, and only until there is a user. Everybody else is told what is told of any
//! address that does not exist.
use std::sync::Arc;

use admin::set_up::First;
use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::password::{self, Weak};
use kernel::{Fault, SecretString};

use crate::{
    parts::{Mistake, error},
    problem::Kind,
    routes,
    site::{Asked, Site, failed, field, go, page, parameter, problem, session_cookie, with_cookie},
    strings::set_up as s,
};

/// The page `GET /set-up?token=…` while there is no user. Posts `csrf token email password org`.
#[derive(Debug, Template)]
#[template(path = "set_up.html")]
pub struct SetUp {
    /// The form token.
    pub csrf: String,
    /// The one-time token that `serve` printed.
    pub token: String,
    /// What was typed.
    pub email: String,
    /// What was typed.
    pub org: String,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// The way in that this token opens.
async fn way<'a>(site: &'a Site, asked: &Asked, token: &SecretString) -> Result<&'a admin::set_up::SetUp, Response> {
    use kernel::ExposeSecret as _;
    let Some(set_up) = &site.set_up else { return Err(problem(Kind::NotFound)) };
    match set_up.stands(token).await {
        Ok(true) => Ok(set_up),
        Ok(false) => {
            if !token.expose_secret().is_empty() {
                (site.events)("set_up_refused", asked.visitor.address, "a set-up token was wrong or over");
            }
            Err(problem(Kind::NotFound))
        }
        Err(fault) => Err(failed(&fault)),
    }
}

pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let token = parameter(&request, "token");
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    if let Err(response) = way(&site, &asked, &token.clone().into()).await {
        return response;
    }
    let (csrf, cookie) = asked.token(&site);
    let view = SetUp { csrf, token, email: String::new(), org: String::new(), mistakes: Vec::new() };
    with_cookie(page(StatusCode::OK, &view, None), cookie)
}

fn mistakes(email: &str, password: &SecretString, org: &str) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if email.is_empty() {
        mistakes.push(Mistake::on("email", s::NO_EMAIL));
    }
    match password::weak(password, email) {
        Some(Weak::Short) => mistakes.push(Mistake::on("password", s::SHORT)),
        Some(Weak::Long) => mistakes.push(Mistake::on("password", s::LONG)),
        Some(Weak::Common) => mistakes.push(Mistake::on("password", s::COMMON)),
        None => {}
    }
    if org.is_empty() {
        mistakes.push(Mistake::on("org", s::NO_ORG));
    }
    mistakes
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
    let token = field(&sent, "token").to_owned();
    let set_up = match way(&site, &asked, &token.clone().into()).await {
        Ok(set_up) => set_up,
        Err(response) => return response,
    };
    let (email, org) = (field(&sent, "email").trim(), field(&sent, "org").trim());
    let (password, address) = (SecretString::from(field(&sent, "password")), asked.visitor.address);
    let mut mistakes = mistakes(email, &password, org);
    if mistakes.is_empty() {
        let password_hash = match password::hash(password.clone(), &site.sources).await {
            Ok(hash) => hash,
            Err(fault) => return failed(&fault),
        };
        let first = First { email: email.to_owned(), password_hash, org: org.to_owned() };
        match set_up.finish(&token.into(), &first, address).await {
            Ok(true) => {
                return match site.people.sign_in(email, password, address, asked.agent()).await {
                    Ok(Ok(came)) => with_cookie(go(routes::HOME), Some(session_cookie(&asked.visitor, Some(&came.cookie)))),
                    // Somebody guessed passwords from here before there were any.
                    Ok(Err(_)) => go(routes::SIGN_IN),
                    Err(fault) => failed(&fault),
                };
            }
            Ok(false) => return problem(Kind::NotFound),
            Err(Fault::Refused(refusal)) => mistakes.push(Mistake::form(format!("{} {}", refusal.message, refusal.next))),
            Err(fault) => return failed(&fault),
        }
    }
    let (csrf, cookie) = asked.token(&site);
    let token = field(&sent, "token").to_owned();
    let view = SetUp { csrf, token, email: email.to_owned(), org: org.to_owned(), mistakes };
    with_cookie(page(StatusCode::UNPROCESSABLE_ENTITY, &view, None), cookie)
}
