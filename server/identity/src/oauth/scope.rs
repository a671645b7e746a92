//! Scopes: what a client may ask for at most. What a token may do is never more than its scopes, its key and its user's role together.
use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::oauth::error::{Code, OauthError, Result, shown};
use kernel::Access;

/// The longest `scope` parameter that is read, in bytes.
const LONGEST: usize = 1_000;

/// One scope. `write` includes `read`, and `destructive` includes both; the other two stand alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Calls that change nothing.
    Read,
    /// Calls that change data; includes `read`.
    Write,
    /// Calls that delete or cannot be undone; includes `write`.
    Destructive,
    /// Stay connected (refresh tokens). Of the authorization server alone: no resource asks for it.
    OfflineAccess,
    /// Administration through REST, for ocore's own command line only. Says nothing about instances.
    Admin,
}
impl Scope {
    /// All of them, weakest first.
    pub const ALL: [Self; 5] = [Self::Read, Self::Write, Self::Destructive, Self::OfflineAccess, Self::Admin];
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Destructive => "destructive",
            Self::OfflineAccess => "offline_access",
            Self::Admin => "admin",
        }
    }
    /// The scope that a call of this access needs.
    pub const fn for_access(access: Access) -> Self {
        match access {
            Access::Read => Self::Read,
            Access::Write => Self::Write,
            Access::Destructive => Self::Destructive,
        }
    }
}
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl FromStr for Scope {
    type Err = ();
    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or(())
    }
}

/// A set of scopes, closed upwards: who has `write` has `read`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);
impl Scopes {
    /// The set with what each scope includes.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Self {
        let mut set: BTreeSet<_> = scopes.into_iter().collect();
        if set.contains(&Scope::Destructive) {
            set.insert(Scope::Write);
        }
        if set.contains(&Scope::Write) {
            set.insert(Scope::Read);
        }
        Self(set)
    }
    /// What a client gets to ask for that names none (RFC 6749 section 3.3): everything on instances, because consent narrows it and
    /// many clients cannot ask again.
    pub fn unasked() -> Self {
        Self::new([Scope::Destructive])
    }

    /// Reads the `scope` of a request. Unknown scopes are left out, as RFC 6749 section 3.3 allows: hosts send what other servers
    /// want (`openid`, `profile`). Left out or empty it means [`Scopes::unasked`]. `own` tells whether ocore's own command line asks.
    ///
    /// # Errors
    /// `invalid_scope` for characters that no scope has, for `admin` from a foreign client, and where not one scope is known.
    pub fn asked(text: Option<&str>, own: bool) -> Result<Self> {
        let text = text.unwrap_or_default().trim_matches(' ');
        if text.is_empty() {
            return Ok(Self::unasked());
        }
        if text.len() > LONGEST || !text.bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)) {
            return Err(OauthError::new(
                Code::InvalidScope,
                "scope must be words separated by single spaces, at most 1000 characters. This server knows read, write, destructive and offline_access.",
            ));
        }
        let known: BTreeSet<Scope> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        if known.contains(&Scope::Admin) && !own {
            return Err(OauthError::new(
                Code::InvalidScope,
                "The scope admin is for ocore's own command line. Ask for read, write, destructive or offline_access.",
            ));
        }
        if known.is_empty() {
            return Err(OauthError::new(
                Code::InvalidScope,
                format!("No scope of '{}' is known here. Ask for read, write, destructive or offline_access.", shown(text)),
            ));
        }
        // offline_access alone says nothing about what to do with the token.
        if known.iter().all(|s| *s == Scope::OfflineAccess) {
            return Ok(Self::new([Scope::Destructive, Scope::OfflineAccess]));
        }
        Ok(Self::new(known))
    }

    /// The scopes of a refresh request: the same, or fewer (RFC 6749 section 6). What was never granted is left out rather than refused:
    /// hosts repeat what they asked for at first, of which the person may have consented to less, and a refusal would end the connection.
    /// The answer names what is given.
    ///
    /// # Errors
    /// `invalid_scope` where nothing is left.
    pub fn narrowed(&self, text: Option<&str>) -> Result<Self> {
        let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { return Ok(self.clone()) };
        let left = Self::new(text.split(' ').filter_map(|word| word.parse().ok())).and(self);
        if left.is_empty() {
            return Err(OauthError::new(
                Code::InvalidScope,
                format!("scope asks for nothing that was granted ({self}). Leave it out, or authorize again to get more."),
            ));
        }
        Ok(left)
    }

    /// From the store; what is unknown there grants nothing.
    pub fn stored(text: &str) -> Self {
        Self::new(text.split(' ').filter_map(|word| word.parse().ok()))
    }
    /// Whether it has a scope, by itself or included in another.
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }
    /// Whether a call of this access is within it.
    pub fn permits(&self, access: Access) -> bool {
        self.contains(Scope::for_access(access))
    }
    /// Whether `other` has all of it.
    pub fn within(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }
    /// What both have: the asked ones that a person consented to.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }
    /// Whether it grants nothing.
    /// The most that a call may do by them; none where they allow no call.
    pub fn ceiling(&self) -> Option<Access> {
        [Access::Destructive, Access::Write, Access::Read].into_iter().find(|access| self.permits(*access))
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes to name in a 403 `insufficient_scope`: all that the client needs to go on as before and do this as well. None where it
    /// has enough. `offline_access` is never among them (MCP 2026-07-28, authorization).
    pub fn step_up(&self, needed: Scope) -> Option<Self> {
        if self.contains(needed) {
            return None;
        }
        let mut set = Self::new(self.0.iter().copied().chain([needed]));
        set.0.remove(&Scope::OfflineAccess);
        Some(set)
    }
}
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, scope) in self.0.iter().enumerate() {
            write!(f, "{}{scope}", if n == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

/// Whether a client gets refresh tokens: it said that it can use them, in its registration or by asking for `offline_access`.
pub fn refreshes(grant_types: &[crate::oauth::registration::GrantType], scopes: &Scopes) -> bool {
    grant_types.contains(&crate::oauth::registration::GrantType::RefreshToken) || scopes.contains(Scope::OfflineAccess)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_scopes() -> impl Strategy<Value = Scopes> {
        proptest::sample::subsequence(Scope::ALL.to_vec(), 0..=5).prop_map(Scopes::new)
    }

    #[test]
    fn higher_scopes_include_the_lower_ones_and_nothing_else() {
        assert_eq!(Scopes::new([Scope::Destructive]).to_string(), "read write destructive");
        assert_eq!(Scopes::new([Scope::Write]).to_string(), "read write");
        assert_eq!(Scopes::new([Scope::Admin]).to_string(), "admin");
        assert!(!Scopes::new([Scope::Admin]).permits(Access::Read));
    }

    #[test]
    fn requests_are_read_as_clients_send_them() {
        for (text, meant) in [
            (None, "read write destructive"),
            (Some(""), "read write destructive"),
            (Some("read"), "read"),
            (Some("openid profile write"), "read write"),
            (Some("offline_access"), "read write destructive offline_access"),
            (Some("read  offline_access "), "read offline_access"),
            (Some("destructive read destructive"), "read write destructive"),
        ] {
            assert_eq!(Scopes::asked(text, false).unwrap().to_string(), meant, "{text:?}");
        }
        for bad in ["openid", "READ", "admin", "read admin", "read\nwrite", "read\u{a0}write", "\"read\"", &"x".repeat(1001)] {
            assert_eq!(Scopes::asked(Some(bad), false).unwrap_err().code(), Code::InvalidScope, "{bad}");
        }
        assert!(Scopes::asked(Some("admin"), true).unwrap().contains(Scope::Admin));
    }

    #[test]
    fn a_step_up_names_everything_the_client_needs_and_never_offline_access() {
        let has = Scopes::new([Scope::Read, Scope::OfflineAccess]);
        assert_eq!(has.step_up(Scope::Read), None);
        assert_eq!(has.step_up(Scope::Destructive).unwrap().to_string(), "read write destructive");
        assert_eq!(Scopes::new([Scope::Admin]).step_up(Scope::Write).unwrap().to_string(), "read write admin");
    }

    proptest! {
        #[test]
        fn narrowing_never_gives_more(has in any_scopes(), asked in any_scopes()) {
            match has.narrowed(Some(&asked.to_string())) {
                Ok(given) => prop_assert!(given.within(&has) && (asked.is_empty() || given.within(&asked))),
                Err(error) => {
                    prop_assert_eq!(error.code(), Code::InvalidScope);
                    prop_assert!(asked.and(&has).is_empty());
                }
            }
            prop_assert!(has.and(&asked).within(&has) && has.and(&asked).within(&asked));
        }

        #[test]
        fn texts_come_back_and_closure_holds(scopes in any_scopes(), access in prop::sample::select(vec![Access::Write, Access::Destructive])) {
            prop_assert_eq!(&Scopes::stored(&scopes.to_string()), &scopes);
            prop_assert!(!scopes.permits(access) || scopes.permits(Access::Read));
        }

        #[test]
        fn a_step_up_is_enough(scopes in any_scopes(), needed in prop::sample::select(vec![Scope::Read, Scope::Write, Scope::Destructive, Scope::Admin])) {
            let up = scopes.step_up(needed);
            prop_assert_eq!(up.is_none(), scopes.contains(needed));
            prop_assert!(up.is_none_or(|u| u.contains(needed) && !u.contains(Scope::OfflineAccess)));
        }
    }
}
