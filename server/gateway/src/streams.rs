//! Streams that stay open and wait: of HTTP+SSE, of subscriptions, of legacy sessions.
use std::sync::Arc;

use axum::{http::StatusCode, response::Response};
use kernel::{Code, OrgId, refusal};

use crate::{
    answer,
    metrics::Metrics,
    shares::{Shares, Taken, UsedUp},
};

/// One takes about 20 KB; its connection takes a file descriptor.
const NODE: usize = if cfg!(test) { 20 } else { 40_000 };
/// A quarter, so that no organization takes the node from the others.
const ORGANIZATION: usize = NODE / 4;
/// What a client that is refused one should wait, in seconds: streams live long.
pub(crate) const RETRY_SECONDS: u32 = 60;

pub(crate) struct Streams(Arc<Shares>);
impl Streams {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self(Shares::new("streams", NODE, ORGANIZATION, &metrics.streams, metrics))
    }
    /// The right to hold one open until what is returned is dropped.
    pub(crate) fn open(&self, org: OrgId) -> Result<Taken, UsedUp> {
        self.0.take(org, 1)
    }
}

pub(crate) fn refused(used_up: UsedUp) -> Response {
    let why = match used_up {
        UsedUp::Organization => refusal(
            Code::RateLimited,
            format!("Your organization holds all of the {ORGANIZATION} streams that it may keep open here."),
        )
        .next("Close streams that are not used; one for each client is enough. Tools are called by POST to /mcp without any."),
        UsedUp::Node => refusal(Code::RateLimited, "All streams of this server are taken.")
            .next("Call tools by POST to /mcp, which needs no stream, and try again later; tell the operator if it lasts."),
    };
    answer::retry_after(answer::refused(StatusCode::TOO_MANY_REQUESTS, &why), RETRY_SECONDS)
}
