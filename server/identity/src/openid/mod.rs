//! Signing in at OpenID providers (OpenID Connect Core 1.0, authorization code flow), as the operator sets them up.
//!
//! `openidconnect` reads the messages and checks the signatures; what it leaves open is decided here. A person is who the provider's
//! issuer and subject say, never who an e-mail address says. `begin` makes what goes to the browser and what is kept, `finish` tells who came
//! back, [`admit`] what follows from it. Which provider a sign-in is at stands in the kept row, not in what comes back, and the way
//! back has the provider's own path: so that an answer of one provider is never taken to another (RFC 9700 section 4.4).
mod admit;
mod discovery;
mod flow;

use std::collections::HashSet;

use kernel::{Role, SecretString};
use serde::Deserialize;
use url::Url;

pub use admit::{Admit, Membership, Seen, Why, admit, memberships};
pub use discovery::Providers;
pub use flow::{Begun, Browser, Callback, CallbackFlaw, Claims, LIFETIME, Pending, SignInError, TokenFlaw};

/// Longest of what the operator writes, in characters.
const LONGEST: usize = 200;

/// A provider as the operator writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its short name, in the path of its callback and in the store: of the form of a slug.
    pub slug: String,
    /// What people read on the button.
    pub name: String,
    /// To the letter as the provider writes it: some end with a slash.
    pub issuer: String,
    pub client_id: String,
    /// None for a public client, which PKCE alone protects. Not read with the rest: secrets come from a file or the environment.
    #[serde(skip)]
    pub client_secret: Option<SecretString>,
    /// Asked for beside `openid`; `email` and `profile` unless said otherwise.
    #[serde(default = "usual_scopes")]
    pub scopes: Vec<String>,
    /// If there are any, only people with a verified e-mail address at one of these come in. A subdomain is another domain.
    #[serde(default)]
    pub email_domains: Vec<String>,
    /// The claim that lists a person's groups, as `groups` or `https://example.com/roles`.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// What members of groups become.
    #[serde(default)]
    pub groups: Vec<Mapped>,
    /// Whether people whom nobody knows get an account.
    #[serde(default)]
    pub create: bool,
}
fn usual_scopes() -> Vec<String> {
    vec!["email".to_owned(), "profile".to_owned()]
}

/// Who is in the group has the role in the organization.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapped {
    /// To the letter as the claim has it.
    pub group: String,
    /// The organization's slug.
    pub organization: String,
    pub role: Role,
}

/// Why a provider cannot be set up so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("slug '{0}' is none: use at most 24 lower-case letters, digits and hyphens")]
    Slug(String),
    #[error("two providers have the slug '{0}'; give one another")]
    Twice(String),
    #[error("{0} is empty, longer than 200 characters, or has control characters")]
    Text(&'static str),
    #[error("issuer '{0}' must be an https URL without user, query and fragment, as the provider's discovery document writes it")]
    Issuer(String),
    #[error("scope '{0}' cannot be asked for: scopes are printable ASCII without spaces")]
    Scope(String),
    #[error("email domain '{0}' is none: write it in lower case and ASCII, as in example.com")]
    Domain(String),
    #[error("groups are mapped, but groups_claim does not say where they stand")]
    NoClaim,
    #[error("organization '{0}' is no slug")]
    Organization(String),
}

/// A provider that is set up soundly.
#[derive(Debug, Clone)]
pub struct Provider(Settings);
impl TryFrom<Settings> for Provider {
    type Error = Flaw;
    fn try_from(settings: Settings) -> Result<Self, Flaw> {
        kernel::name::slug(&settings.slug).map_err(|_| Flaw::Slug(settings.slug.clone()))?;
        let fine = |text: &str| !text.trim().is_empty() && text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
        let claim = settings.groups_claim.as_deref();
        for (what, text) in
            [("name", Some(settings.name.as_str())), ("client_id", Some(settings.client_id.as_str())), ("groups_claim", claim)]
        {
            if text.is_some_and(|t| !fine(t)) {
                return Err(Flaw::Text(what));
            }
        }
        if settings.groups.iter().any(|mapped| !fine(&mapped.group)) {
            return Err(Flaw::Text("group"));
        }
        let issuer = Url::parse(&settings.issuer).ok().filter(|url| {
            url.scheme() == "https"
                && url.host().is_some()
                && url.username().is_empty()
                && url.password().is_none()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        if issuer.is_none() || settings.issuer.trim() != settings.issuer {
            return Err(Flaw::Issuer(settings.issuer));
        }
        // RFC 6749 section 3.3.
        let token = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        if let Some(scope) = settings.scopes.iter().find(|s| !token(s)) {
            return Err(Flaw::Scope(scope.clone()));
        }
        let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if let Some(domain) = settings.email_domains.iter().find(|d| !(d.contains('.') && d.split('.').all(label))) {
            return Err(Flaw::Domain(domain.clone()));
        }
        if !settings.groups.is_empty() && claim.is_none() {
            return Err(Flaw::NoClaim);
        }
        if let Some(mapped) = settings.groups.iter().find(|m| kernel::name::slug(&m.organization).is_err()) {
            return Err(Flaw::Organization(mapped.organization.clone()));
        }
        Ok(Self(settings))
    }
}
impl Provider {
    pub fn slug(&self) -> &str {
        &self.0.slug
    }
    /// For people.
    pub fn name(&self) -> &str {
        &self.0.name
    }
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }
    /// The slugs of the organizations that its groups give roles in, each once.
    pub fn organizations(&self) -> std::collections::BTreeSet<&str> {
        self.0.groups.iter().map(|mapped| mapped.organization.as_str()).collect()
    }
    /// The providers that the operator wrote, each sound and no slug twice.
    ///
    /// # Errors
    /// The first [`Flaw`].
    pub fn all(settings: Vec<Settings>) -> Result<Vec<Self>, Flaw> {
        let mut slugs = HashSet::new();
        settings
            .into_iter()
            .map(|one| {
                if !slugs.insert(one.slug.clone()) {
                    return Err(Flaw::Twice(one.slug));
                }
                Self::try_from(one)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
