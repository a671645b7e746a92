//! Identifiers: ULIDs with a type each, so that a key's id cannot be passed where an organization's is wanted.
use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::Sources;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Ulid);

        impl $name {
            /// A new id; its first 48 bits are the clock's milliseconds, so ids sort by creation.
            pub fn new(sources: &Sources) -> Self {
                Self(new_ulid(sources))
            }
            /// Nobody's.
            pub const fn nil() -> Self {
                Self(Ulid::nil())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = ulid::DecodeError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Ulid::from_string(s).map(Self)
            }
        }
    )+};
}

ids! {
    /// An organization (tenant).
    OrgId,
    /// A person with a login.
    UserId,
    /// A host that runs Odoo.
    ServerId,
    /// One Odoo database on a server.
    InstanceId,
    /// An Odoo login and its sealed secret.
    CredentialId,
    /// An API key.
    KeyId,
    /// One call, and its row in the call audit.
    CallId,
    /// A link that opens an instance as one of its users, and the visit that it becomes.
    ImpersonationId,
    /// A model's rule in an organization.
    ResourceId,
    /// A user's consent for an OAuth client.
    GrantId,
    /// The tokens that came of one authorization.
    FamilyId,
    /// An invite link.
    InviteId,
    /// One key and client, ended by 30 minutes of silence.
    SessionId,
}

fn new_ulid(sources: &Sources) -> Ulid {
    let mut random = [0_u8; 16];
    sources.random.fill(&mut random);
    let millis = u64::try_from(sources.clock.now().timestamp_millis()).unwrap_or(0);
    Ulid::from_parts(millis, u128::from_le_bytes(random))
}
