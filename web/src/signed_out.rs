//! After the end of a session.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

use crate::{
    routes,
    site::{Asked, Site, by, failed, page, session_cookie, with_cookie},
    strings::signed_out as s,
};

/// Says that and why nobody is signed in.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut {
    /// Why.
    pub why: Why,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The user signed out.
    You,
    /// The user signed out everywhere.
    Everywhere,
    /// It was not used for too long.
    Expired,
    /// It was revoked from another browser or by the operator.
    Revoked,
    /// The account was disabled.
    Disabled,
}

impl SignedOut {
    fn words(&self) -> &'static s::Words {
        s::words(self.why)
    }
}

pub(crate) async fn take(State(site): State<Arc<Site>>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    if let Err(response) = asked.form().await {
        return response;
    }
    if let Some(signed) = &asked.signed {
        if let Err(fault) = site.people.sign_out(signed).await {
            return failed(&fault);
        }
        // Whoever signs out leaves no Odoo open behind either. The session is over in any case.
        if let Some(visits) = &site.visits
            && let Err(fault) = visits.leave_all(signed.user, &by(&asked, signed)).await
        {
            return failed(&fault);
        }
    }
    let cookie = session_cookie(&asked.visitor, None);
    with_cookie(page(StatusCode::OK, &SignedOut { why: Why::You }, None), Some(cookie))
}
