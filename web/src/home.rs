//! The first page: who is signed in, in which organizations, and where to go on.
use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};

use crate::{
    frame::Frame,
    organizations::Organization,
    parts::{Phrase, Tone},
    site::{Site, frame, page, signed_in},
    strings::home as s,
};

/// The first page after signing in, `GET /`.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub struct Home {
    /// The frame.
    pub frame: Frame,
    /// The organizations that the user is a member of; none where that is not known.
    pub organizations: Option<Vec<Organization>>,
    /// The address that assistants are given, such as `https://ocore.example.com/mcp`.
    pub url: String,
}

pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let (asked, signed) = match signed_in(&site, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let current = asked.organization().map(|org| org.org);
    let organizations = asked.organizations.iter().map(|org| Organization::of(org, current == Some(org.org))).collect();
    let frame = frame(&site, &asked, &signed, None, None);
    let url = asked.visitor.public.join("/mcp");
    page(StatusCode::OK, &Home { frame, organizations: Some(organizations), url }, None)
}
