//! Which organization to work in.
use std::sync::Arc;

use admin::users::Membership;
use askama::Template;
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use identity::Signed;

use crate::{
    consent,
    parts::Mistake,
    routes,
    site::{Asked, Site, faulty, field, go, org_cookie, own_path, page, sign_in_first, with_cookie},
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

impl Organization {
    pub(crate) fn of(org: &admin::users::Membership, current: bool) -> Self {
        Self {
            slug: org.slug.clone(),
            name: org.name.clone(),
            role: Role::of(org.role),
            instances: usize::try_from(org.instances).unwrap_or_default(),
            current,
        }
    }
    pub(crate) fn instances(&self) -> String {
        s::instances(self.instances)
    }
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

impl From<kernel::Role> for Role {
    fn from(role: kernel::Role) -> Self {
        match role {
            kernel::Role::Owner => Self::Owner,
            kernel::Role::Admin => Self::Admin,
            kernel::Role::Member => Self::Member,
            kernel::Role::Viewer => Self::Viewer,
        }
    }
}
impl Role {
    /// The same for pages.
    pub const fn of(role: kernel::Role) -> Self {
        match role {
            kernel::Role::Owner => Self::Owner,
            kernel::Role::Admin => Self::Admin,
            kernel::Role::Member => Self::Member,
            kernel::Role::Viewer => Self::Viewer,
        }
    }

    /// The value that is posted.
    pub const fn value(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Viewer => "viewer",
        }
    }

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

/// The page to choose one, for whoever goes on to `next` with it.
pub(crate) fn choice(
    site: &Site,
    asked: &Asked,
    signed: &Signed,
    mine: &[Membership],
    next: &str,
    client: Option<&str>,
) -> Response {
    let current = asked.organization().map(|org| org.slug.clone());
    let organizations = mine.iter().map(|one| Organization::of(one, current.as_deref() == Some(one.slug.as_str())));
    let (csrf, cookie) = asked.token(site);
    let view = Organizations {
        csrf,
        next: next.to_owned(),
        you: signed.email.clone(),
        client: client.map(str::to_owned),
        organizations: organizations.collect(),
        mistakes: Vec::new(),
    };
    with_cookie(page(StatusCode::OK, &view, None), cookie)
}

/// `GET /organizations?next=…`
pub(crate) async fn show(State(site): State<Arc<Site>>, request: Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let here = request.uri().path_and_query().map_or_else(|| routes::ORGANIZATIONS.to_owned(), ToString::to_string);
    let asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let next =
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "next").map(|(_, value)| value.into_owned());
    let next = own_path(next.as_deref().unwrap_or_default());
    let Some(signed) = &asked.signed else { return sign_in_first(&here) };
    match admin::users::organizations(&site.admin, signed.user).await {
        Ok(mine) => choice(&site, &asked, signed, &mine, next, None),
        Err(fault) => faulty(&fault),
    }
}

/// `POST /organizations`: on to `next` with the chosen one; whether it is the person's own is looked at there.
pub(crate) async fn choose(State(site): State<Arc<Site>>, request: Request) -> Response {
    let mut asked = match Asked::of(&site, request).await {
        Ok(asked) => asked,
        Err(response) => return response,
    };
    let form = match asked.form().await {
        Ok(form) => form,
        Err(response) => return response,
    };
    let next = own_path(field(&form, "next"));
    let chosen = field(&form, "org");
    // A client's request takes it along; the pages keep it for as long as the browser runs.
    let response = if consent::is_request(next) { go(&consent::with_org(next, chosen)) } else { go(next) };
    // Nothing but a slug goes into a cookie.
    let slug = kernel::name::slug(chosen).is_ok();
    with_cookie(response, slug.then(|| org_cookie(&asked.visitor, chosen)))
}
