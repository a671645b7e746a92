//! Who acts, and what that allows.
use std::net::IpAddr;

use kernel::{Code, OrgId, Result, Role, UserId, refusal};
use store::{On, audit_log::Who, users};

use crate::teach::Checked;

/// Who acts on the registry.
#[derive(Debug, Clone)]
pub enum By {
    /// On the host's command line: whoever can read the store and its key is an operator. `login` is the name on that host.
    Host { login: String },
    /// A signed-in user.
    User { id: UserId, email: String, operator: bool, address: IpAddr },
}
impl By {
    pub fn is_operator(&self) -> bool {
        match self {
            Self::Host { .. } => true,
            Self::User { operator, .. } => *operator,
        }
    }
    pub(crate) fn user(&self) -> Option<UserId> {
        match self {
            Self::Host { .. } => None,
            Self::User { id, .. } => Some(*id),
        }
    }

    pub(crate) fn who(&self) -> Who {
        match self {
            Self::Host { login } => Who { kind: "cli", id: None, name: login.clone(), address: None },
            Self::User { id, email, address, .. } => {
                Who { kind: "user", id: Some(id.to_string()), name: email.clone(), address: Some(address.to_string()) }
            }
        }
    }

    /// Refuses who is no operator.
    pub(crate) fn operator(&self, what: &str) -> Checked<()> {
        if self.is_operator() {
            return Ok(());
        }
        Err(refusal(Code::PermissionDenied, format!("Only an operator of this installation may {what}."))
            .next("Ask the operator."))
    }

    /// Whether that is the address of who acts. Nobody else is looked up, so that nothing can be told of them.
    pub(crate) async fn is_called(&self, on: impl Into<On<'_>>, address: &str) -> Result<bool> {
        let Some(id) = self.user() else { return Ok(false) };
        let own = users::find(on, id).await?;
        Ok(own.is_some_and(|own| users::email_key(&own.email) == users::email_key(address)))
    }

    /// The power in an organization: operators have all of it; none means that the organization does not exist for this person.
    pub(crate) async fn role(&self, on: impl Into<On<'_>>, org: OrgId) -> Result<Option<Role>> {
        match self {
            _ if self.is_operator() => Ok(Some(Role::Owner)),
            Self::User { id, .. } => Ok(users::role(on, org, *id).await?),
            Self::Host { .. } => Ok(None),
        }
    }
}
