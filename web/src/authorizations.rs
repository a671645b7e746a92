//! The assistants and apps that a user has let in.
use askama::Template;

use crate::{
    consent::Client,
    frame::{Frame, Section},
    parts::{Phrase, When},
    permission::Permission,
    routes,
    strings::authorizations as s,
};

/// The page `GET /authorizations`. Revoking posts `csrf id` or `csrf client` to `/authorizations/revoke`.
#[derive(Debug, Template)]
#[template(path = "authorizations.html")]
pub struct Authorizations {
    /// The frame.
    pub frame: Frame,
    /// The clients with what they may do.
    pub clients: Vec<ClientGrants>,
    /// The address that a new client is given.
    pub url: String,
}

/// A client and what it was allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientGrants {
    /// The client's id, posted as `client`.
    pub id: String,
    /// The client.
    pub client: Client,
    /// Its grants, one per organization and consent.
    pub grants: Vec<Grant>,
}

/// One consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// The organization.
    pub org: String,
    /// The label of the key it works through.
    pub key: String,
    /// Whether that key was made by the consent, and goes with it.
    pub key_goes: bool,
    /// What it may do.
    pub allows: Permission,
    /// Since when.
    pub since: When,
    /// When it was last used.
    pub used: Option<When>,
}
