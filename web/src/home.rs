//! The first page: who is signed in.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

use crate::{
    routes,
    site::{Asked, Site, go, page, with_cookie},
    strings::home as s,
};

/// The first page after signing in. Posts `csrf` to [`routes::SIGN_OUT`].
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home {
    /// The form token.
    pub csrf: String,
    /// Who is signed in.
    pub you: String,
}

pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let Some(signed) = &asked.signed else { return go(routes::SIGN_IN) };
    let (csrf, cookie) = asked.token(&site);
    with_cookie(page(StatusCode::OK, &Home { csrf, you: signed.email.clone() }, None), cookie)
}
