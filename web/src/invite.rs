//! Invites: GET shows, POST accepts.
use askama::Template;

use crate::{
    organizations::Role,
    parts::{Mistake, Phrase, When},
    permission::Permission,
    routes,
    strings::invite as s,
};

/// The page of an invite that is still good. Posts `csrf` to `action`.
#[derive(Debug, Template)]
#[template(path = "invite.html")]
pub struct Invite {
    /// The form token.
    pub csrf: String,
    /// Where the form posts to: the invite's own address.
    pub action: String,
    /// The organization.
    pub org: String,
    /// Who invites.
    pub inviter: String,
    /// The role that a new member gets.
    pub role: Role,
    /// The role of a reader who is a member already: it stays.
    pub member_as: Option<Role>,
    /// What the key that it makes may do.
    pub allows: Permission,
    /// When the invite ends.
    pub until: When,
    /// Who is signed in; nobody sees what it gives and a link to sign in.
    pub you: Option<String>,
    /// The address to sign in and come back, used when nobody is.
    pub sign_in: String,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// An invite was accepted: the key, shown once.
#[derive(Debug, Template)]
#[template(path = "invite_done.html")]
pub struct InviteDone {
    /// The organization.
    pub org: String,
    /// The role now.
    pub role: Role,
    /// The key's label.
    pub label: String,
    /// The key, whole.
    pub key: String,
    /// The address for clients, such as `https://ocore.example.com/mcp`.
    pub url: String,
}

/// The page of an invite that cannot be accepted.
#[derive(Debug, Template)]
#[template(path = "invite_over.html")]
pub struct InviteOver {
    /// Why.
    pub why: InviteRefused,
    /// The organization, where the reader may know it.
    pub org: Option<String>,
}

/// Why an invite cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InviteRefused {
    /// Too old.
    Expired,
    /// Used as often as it may.
    Used,
    /// Taken back.
    Revoked,
    /// Who made it may no longer give what it gives.
    Shrunk,
    /// Made for another e-mail address.
    NotYours,
    /// No such invite.
    Unknown,
}

impl InviteOver {
    fn words(&self) -> &'static s::Words {
        s::words(self.why)
    }
}
