//! The page of a one-time link into Odoo: says what is about to happen; only its POST does it, so a bot that previews links does nothing.
use std::sync::Arc;

use admin::impersonations::Gone;
use askama::Template;
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use kernel::ExposeSecret as _;

use crate::{
    impersonation_over::{ImpersonationOver, Over},
    parts::{Instance, Mistake, When},
    problem::Kind,
    site::{Asked, Site, failed, go, page, problem, sign_in_first, with_cookie},
    strings::impersonate as s,
};

/// The page `GET` of a one-time link that is still good. Posts `csrf` alone, to `action`.
#[derive(Debug, Template)]
#[template(path = "impersonate.html")]
pub struct Impersonate {
    /// The form token.
    pub csrf: String,
    /// Where the form posts to: the link itself.
    pub action: String,
    /// The instance that opens.
    pub instance: Instance,
    /// The Odoo login to act as.
    pub login: String,
    /// The name of that Odoo user, where known.
    pub person: Option<String>,
    /// The reason that was given.
    pub reason: String,
    /// The label of the key that asked.
    pub key: String,
    /// Who is signed in here, under whom ocore records it.
    pub you: String,
    /// The link ends then.
    pub until: When,
    /// What went wrong with the last try, while the link is still good.
    pub mistakes: Vec<Mistake>,
}

/// Why a link or visit is over, as a page.
pub(crate) fn over(gone: &Gone, you: Option<&str>) -> Response {
    let kind = match gone {
        Gone::NotYours => Over::NotYours,
        Gone::Expired => Over::Expired,
        Gone::Used => Over::Used,
        Gone::Ended => Over::Ended,
        Gone::Refused(_) => Over::Revoked,
    };
    let view = ImpersonationOver { kind, instance: None, login: None, at: None, you: you.map(str::to_owned) };
    page(StatusCode::GONE, &view, None)
}
fn path(link: &str) -> String {
    format!("/impersonate/{link}")
}
/// The form of a link's text; anything else is none of ours and goes nowhere.
fn well_formed(link: &str) -> bool {
    link.len() == 68 && link.starts_with("ocv_") && link.bytes().skip(4).all(|b| b.is_ascii_hexdigit())
}

pub(crate) async fn show(State(site): State<Arc<Site>>, Path(link): Path<String>, request: Request) -> Response {
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Some(visits) = site.visits.as_ref().filter(|_| well_formed(&link)) else { return problem(Kind::NotFound) };
    let Some(signed) = &asked.signed else { return sign_in_first(&path(&link)) };
    let email = &signed.email;
    let look = match visits.look(&link, signed, asked.visitor.address).await {
        Ok(Ok(look)) => look,
        Ok(Err(gone)) => return over(&gone, Some(email)),
        Err(fault) => return failed(&fault),
    };
    let (csrf, cookie) = asked.token(&site);
    let view = Impersonate {
        csrf,
        action: path(&link),
        instance: Instance::of(&look.instance),
        login: look.login,
        person: None,
        reason: look.reason,
        key: look.key_label,
        you: email.clone(),
        until: When::of(look.valid_until, site.sources.now()),
        mistakes: Vec::new(),
    };
    with_cookie(page(StatusCode::OK, &view, Some(&look.leads_to)), cookie)
}

pub(crate) async fn open(State(site): State<Arc<Site>>, Path(link): Path<String>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    if let Err(response) = asked.form().await {
        return response;
    }
    let Some(visits) = site.visits.as_ref().filter(|_| well_formed(&link)) else { return problem(Kind::NotFound) };
    let Some(signed) = &asked.signed else { return sign_in_first(&path(&link)) };
    match visits.open(&link, signed, asked.visitor.address).await {
        Ok(Ok(to)) => go(to.expose_secret()),
        Ok(Err(gone)) => over(&gone, Some(&signed.email)),
        Err(fault) => failed(&fault),
    }
}
