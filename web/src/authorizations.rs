//! The assistants and apps that a user has let in.
use std::sync::Arc;

use admin::consents::{self, Authorized};
use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::oauth::{scope::Scopes, server::Failed};
use kernel::{GrantId, Permissions};

use crate::{
    consent::{self, Client, Proof},
    frame::{Frame, Section},
    parts::{Notice, Phrase, Tone, When},
    permission::Permission,
    routes,
    said::{Allowed, permission},
    site::{Asked, Site, by, faulty, field, frame, go, page, parameter, sign_in_first, signed_in},
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

impl Authorizations {
    /// The command that adds this ocore to Claude Code.
    fn claude_code(&self) -> String {
        format!("claude mcp add --transport http ocore {}", self.url)
    }
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
    /// Whether the person is still in the organization; else it opens nothing.
    pub member: bool,
    /// What it may do.
    pub allows: Permission,
    /// Since when.
    pub since: When,
    /// When it was last used.
    pub used: Option<When>,
}

/// `GET /authorizations`
pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let done = parameter(&request, "done");
    let (asked, signed) = match signed_in(&site, request).await {
        Ok(found) => found,
        Err(response) => return response,
    };
    let found = match consents::list(&site.admin, &by(&asked, &signed)).await {
        Ok(found) => found,
        Err(fault) => return faulty(&fault),
    };
    let now = site.sources.now();
    let mut clients: Vec<ClientGrants> = Vec::new();
    for Authorized { grant, org, role, key, instances } in found {
        let member = role.is_some();
        let role = role.unwrap_or(kernel::Role::Viewer);
        let known = match site.oauth.remembered(&grant.client).await {
            Ok(known) => known,
            Err(Failed::Fault(fault)) => return faulty(&fault),
            Err(_) => None,
        };
        let client = known
            .as_ref()
            .map_or_else(|| Client { name: grant.client.clone(), logo: None, proof: Proof::Itself }, consent::shown);
        let permissions = key.permissions.clone().filter(|_| member).unwrap_or_else(Permissions::nothing);
        let scopes = Scopes::stored(&grant.scopes);
        let allowed = Allowed { who: &client.name, for_whom: &signed.email, permissions: &permissions, role, scopes: &scopes };
        // A new key is used by this client alone, so its last use is the client's.
        let used = if grant.made_key { key.last_used_at.max(grant.last_used_at) } else { grant.last_used_at };
        let row = Grant {
            id: grant.id.to_string(),
            org: org.name.clone(),
            key: key.label.clone(),
            key_goes: grant.made_key,
            member,
            allows: permission(&site.tools, &allowed, &instances, now),
            since: When::of(grant.created_at, now),
            used: used.map(|at| When::of(at, now)),
        };
        match clients.iter_mut().find(|known| known.id == grant.client) {
            Some(known) => known.grants.push(row),
            None => clients.push(ClientGrants { id: grant.client, client, grants: vec![row] }),
        }
    }
    // Which one it was does not stand in the address: anybody could write a name there.
    let notice = (done == "revoked").then(|| Notice { tone: Tone::Good, text: s::REVOKED.to_owned() });
    let frame = frame(&site, &asked, &signed, Some(Section::Authorizations), notice);
    let url = asked.visitor.public.join("/mcp");
    page(StatusCode::OK, &Authorizations { frame, clients, url }, None)
}

/// `POST /authorizations/revoke`: one (`id`), or all of a client (`client`).
pub(crate) async fn revoke(State(site): State<Arc<Site>>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let form = match asked.form().await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let Some(signed) = asked.signed.clone() else { return sign_in_first(routes::AUTHORIZATIONS) };
    let who = by(&asked, &signed);
    let done = match (field(&form, "id").parse::<GrantId>(), field(&form, "client")) {
        (Ok(id), _) => consents::revoke(&site.admin, &who, id).await.map(|_| ()),
        (Err(_), client) => consents::revoke_client(&site.admin, &who, client).await.map(|_| ()),
    };
    match done {
        Ok(()) => {
            site.keys.catch_up().await;
            go(&format!("{}?done=revoked", routes::AUTHORIZATIONS))
        }
        Err(fault) => faulty(&fault),
    }
}
