//! The frame around the pages of a signed-in user.
use crate::{routes, strings::frame as s};

/// Who is signed in, where, and which page this is.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The form token, for signing out.
    pub csrf: String,
    /// The e-mail address of who is signed in.
    pub you: String,
    /// The organization that is chosen.
    pub org: Option<String>,
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
}

impl Section {
    /// Every entry, in order.
    pub const ALL: [Self; 3] = [Self::Authorizations, Self::Sessions, Self::Account];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Authorizations => s::AUTHORIZATIONS,
            Self::Sessions => s::SESSIONS,
            Self::Account => s::ACCOUNT,
        }
    }

    /// Its address.
    pub const fn href(self) -> &'static str {
        match self {
            Self::Authorizations => routes::AUTHORIZATIONS,
            Self::Sessions => routes::SESSIONS,
            Self::Account => routes::ACCOUNT,
        }
    }
}

impl Frame {
    /// Whether this page is or belongs to `section`.
    pub fn is(&self, section: Section) -> bool {
        self.section == Some(section)
    }
}
