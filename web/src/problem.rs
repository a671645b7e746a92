//! The page for what went wrong, when no page of its own tells it better.
use askama::Template;

use crate::{routes, strings::problem as s};

/// What happened, why, what to do, and the id to name when asking for help.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// What happened, as the heading.
    pub what: String,
    /// Why.
    pub why: String,
    /// What to do.
    pub next: String,
    /// The id of the request; also in the logs. Empty where it has none.
    pub request_id: String,
}

/// The usual problems, with their words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 400: the request cannot be read.
    Malformed,
    /// 403: the form was posted from another site, or its token is too old.
    Stale,
    /// 403: the user may not.
    Forbidden,
    /// 404: nothing there, or nothing that this user may see.
    NotFound,
    /// 405: this address does not take that method.
    Method,
    /// 409: it is not as the page showed it.
    Conflict,
    /// 413: too much was sent.
    TooLarge,
    /// 429: too many tries.
    TooMany,
    /// 500: our fault.
    Internal,
    /// 503: the store does not answer, or ocore is starting or stopping.
    Unavailable,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Stale,
        Self::Forbidden,
        Self::NotFound,
        Self::Method,
        Self::Conflict,
        Self::TooLarge,
        Self::TooMany,
        Self::Internal,
        Self::Unavailable,
    ];
}

impl Problem {
    /// A usual problem.
    pub fn new(kind: Kind, request_id: impl Into<String>) -> Self {
        let (status, words) = s::words(kind);
        Self {
            status,
            what: words.what.to_owned(),
            why: words.why.to_owned(),
            next: words.next.to_owned(),
            request_id: request_id.into(),
        }
    }
}
