//! Which organization to work in.
use askama::Template;

use crate::{
    parts::Mistake,
    routes,
    strings::{organizations as s, role},
};

/// The page `GET /organizations`. Each choice posts `csrf next org`.
#[derive(Debug, Template)]
#[template(path = "organizations.html")]
pub struct Organizations {
    /// The form token.
    pub csrf: String,
    /// The path to go on to.
    pub next: String,
    /// Who is signed in.
    pub you: String,
    /// The client that asks, where the choice is for its consent.
    pub client: Option<String>,
    /// The organizations that the user is a member of.
    pub organizations: Vec<Organization>,
    /// What is wrong.
    pub mistakes: Vec<Mistake>,
}

/// An organization of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its slug, posted as `org`.
    pub slug: String,
    /// Its name.
    pub name: String,
    /// The user's role in it.
    pub role: Role,
    /// How many instances it has.
    pub instances: usize,
    /// Whether it is the one chosen now.
    pub current: bool,
}

/// What a member may do in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// All, and deletes the organization.
    Owner,
    /// All within it.
    Admin,
    /// Own keys, writes where the guard is open.
    Member,
    /// Reads.
    Viewer,
}

impl Role {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Owner => role::OWNER,
            Self::Admin => role::ADMIN,
            Self::Member => role::MEMBER,
            Self::Viewer => role::VIEWER,
        }
    }

    /// What it may do, in a sentence.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Owner => role::OWNER_MAY,
            Self::Admin => role::ADMIN_MAY,
            Self::Member => role::MEMBER_MAY,
            Self::Viewer => role::VIEWER_MAY,
        }
    }
}
