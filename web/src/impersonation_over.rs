//! What a one-time link into Odoo shows when it does not open anything (any more).
use askama::Template;

use crate::{
    parts::{Instance, Phrase, When},
    routes,
    strings::impersonation_over as s,
};

/// The page instead of [`crate::Impersonate`], and the end of a session that a link opened.
#[derive(Debug, Template)]
#[template(path = "impersonation_over.html")]
pub struct ImpersonationOver {
    /// Which of the ends it is.
    pub kind: Over,
    /// The instance, where the reader may know it.
    pub instance: Option<Instance>,
    /// The Odoo login, where the reader may know it.
    pub login: Option<String>,
    /// When it ended, expired, was used or revoked, where known.
    pub at: Option<When>,
    /// Who is signed in here.
    pub you: Option<String>,
}

/// Why a one-time link opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The session was ended by its user.
    Ended,
    /// The link was not opened in time.
    Expired,
    /// The link was opened before.
    Used,
    /// An administrator, or who asked for it, took it back.
    Revoked,
    /// The key that asked belongs to another user.
    NotYours,
    /// The session lasted as long as it may.
    TimedOut,
    /// No such link: also what others' organizations look like.
    Unknown,
}

impl ImpersonationOver {
    fn words(&self) -> &'static s::Words {
        s::words(self.kind)
    }

    fn why(&self) -> Phrase {
        match (&self.kind, &self.you) {
            (Over::NotYours, Some(you)) => Phrase::new(s::NOT_YOURS_WHY_AS, &[you]),
            _ => Phrase::new(self.words().why, &[]),
        }
    }
}
