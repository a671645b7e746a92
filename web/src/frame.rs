//! The frame around the pages of a signed-in user.
use crate::{
    routes,
    strings::{account, authorizations, frame as s, invites, sessions},
};

/// Who is signed in, where, and which page this is.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The form token, for signing out.
    pub csrf: String,
    /// The e-mail address of who is signed in.
    pub you: String,
    /// The organization that is chosen.
    pub org: Option<String>,
    /// Whether who is signed in administers that organization.
    pub administers: bool,
    /// The page of the navigation that this is or belongs to.
    pub section: Option<Section>,
    /// What was just done.
    pub notice: Option<crate::parts::Notice>,
}

/// The entries of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Assistants that one has let in.
    Authorizations,
    /// One's sessions.
    Sessions,
    /// My account.
    Account,
    /// Invites to the organization; for its administrators.
    Invites,
}

impl Section {
    /// Every entry, in order.
    const ALL: [Self; 4] = [Self::Authorizations, Self::Sessions, Self::Account, Self::Invites];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Authorizations => s::AUTHORIZATIONS,
            Self::Sessions => s::SESSIONS,
            Self::Account => s::ACCOUNT,
            Self::Invites => s::INVITES,
        }
    }

    /// What it is for, in a sentence.
    pub const fn says(self) -> &'static str {
        match self {
            Self::Authorizations => authorizations::LEAD,
            Self::Sessions => sessions::LEAD,
            Self::Account => account::LEAD,
            Self::Invites => invites::LEAD,
        }
    }

    /// Its address.
    pub const fn href(self) -> &'static str {
        match self {
            Self::Authorizations => routes::AUTHORIZATIONS,
            Self::Sessions => routes::SESSIONS,
            Self::Account => routes::ACCOUNT,
            Self::Invites => routes::INVITES,
        }
    }
}

impl Frame {
    /// The entries of the navigation that the reader can use.
    pub fn sections(&self) -> Vec<Section> {
        Section::ALL.into_iter().filter(|section| self.administers || *section != Section::Invites).collect()
    }

    /// Whether this page is or belongs to `section`.
    pub fn is(&self, section: Section) -> bool {
        self.section == Some(section)
    }
}
