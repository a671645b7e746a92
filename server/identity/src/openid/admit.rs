//! What follows from who came back. No store: what it knows comes in, what it is to do comes out.
use std::collections::BTreeMap;

use kernel::{Role, UserId};

use super::{Claims, Provider};

/// What the store knows about somebody who came back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// Whose identity it is, by issuer and subject.
    pub known: Option<UserId>,
    /// Who was signed in and began this in order to add an identity. Must still be signed in.
    pub linking: Option<UserId>,
    /// Whether there is an account with the e-mail address of the claims.
    pub email_taken: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admit {
    /// Sign this person in; whether the account is active, and its second factor, are asked elsewhere.
    SignIn(UserId),
    /// Make an account with this address, which the provider verified, and this identity; then sign it in.
    Create {
        email: String,
        name: Option<String>,
        memberships: Vec<Membership>,
    },
    /// Add the identity to the person who is signed in.
    Link(UserId),
    Refused(Why),
}

/// A role that a group gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The organization's slug.
    pub organization: String,
    pub role: Role,
}

/// Why somebody does not come in; the text is for that person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("The provider gives no verified e-mail address for you, which is needed here. Verify it there, or ask the operator.")]
    Unverified,
    #[error("People with e-mail addresses of your domain do not sign in with this provider.")]
    Domain,
    #[error("Nobody is known here by this account. Sign in as before and add it in your settings, or ask for an invite.")]
    Unknown,
    #[error("There is an account with your e-mail address. Sign in to it as before and add this provider in your settings.")]
    Taken,
    #[error("This account at the provider belongs to another person here. Remove it there first.")]
    OtherPerson,
}

/// Decides about somebody whose claims [`super::Providers::finish`] gave.
///
/// The provider's e-mail domains hold for everybody, also for who is known: whoever left the company has left. An e-mail address never leads
/// to an account: whoever can have an address confirmed by some provider would get it.
pub fn admit(provider: &Provider, claims: &Claims, seen: Seen) -> Admit {
    let Provider(settings) = provider;
    let email = claims.email.as_deref().filter(|_| claims.email_verified);
    if !settings.email_domains.is_empty() {
        let Some(email) = email else { return Admit::Refused(Why::Unverified) };
        let domain = email.rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
        if !settings.email_domains.contains(&domain) {
            return Admit::Refused(Why::Domain);
        }
    }
    match (seen.known, seen.linking) {
        (Some(known), Some(linking)) if known != linking => Admit::Refused(Why::OtherPerson),
        (Some(known), _) => Admit::SignIn(known),
        (None, Some(linking)) => Admit::Link(linking),
        // Whoever only claims an address does not learn whether it has an account.
        (None, None) if seen.email_taken && email.is_some() => Admit::Refused(Why::Taken),
        (None, None) if !settings.create => Admit::Refused(Why::Unknown),
        (None, None) => email.map_or(Admit::Refused(Why::Unverified), |email| Admit::Create {
            email: email.to_owned(),
            name: claims.name.clone(),
            memberships: memberships(provider, claims),
        }),
    }
}

/// What a person's groups give, the highest role of each organization, by slug.
pub fn memberships(provider: &Provider, claims: &Claims) -> Vec<Membership> {
    let mut highest = BTreeMap::new();
    for mapped in provider.0.groups.iter().filter(|mapped| claims.groups.contains(&mapped.group)) {
        let role = highest.entry(&mapped.organization).or_insert(mapped.role);
        *role = mapped.role.max(*role);
    }
    highest.into_iter().map(|(organization, role)| Membership { organization: organization.clone(), role }).collect()
}
