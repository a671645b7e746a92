//! The browsers in which a user is signed in.
use askama::Template;

use crate::{
    frame::{Frame, Section},
    parts::When,
    routes,
    strings::sessions as s,
};

/// The page `GET /sessions`. Revoking posts `csrf id` or `csrf others=yes` to `/sessions/revoke`.
#[derive(Debug, Template)]
#[template(path = "sessions.html")]
pub struct Sessions {
    /// The frame.
    pub frame: Frame,
    /// The sessions, this one first.
    pub sessions: Vec<Session>,
}

/// One browser or command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id, posted as `id`.
    pub id: String,
    /// What it is, such as "Firefox on Linux".
    pub agent: String,
    /// Its address when last seen.
    pub address: String,
    /// When it signed in.
    pub since: When,
    /// When it was last seen.
    pub seen: When,
    /// Whether it is the one that reads this.
    pub current: bool,
}

impl Sessions {
    fn others(&self) -> usize {
        self.sessions.iter().filter(|session| !session.current).count()
    }
}
