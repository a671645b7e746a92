//! What the command line, REST and the dashboard do to the registry: one file per resource.
//!
//! Every function takes who acts, checks what that person may do, validates, and writes the change, its row in the main audit log and
//! its event in one transaction. What goes wrong by the caller's doing is a refusal that says how to mend it.

pub mod audit;
mod by;
pub mod consents;
pub mod impersonations;
pub mod instances;
pub mod invites;
pub mod keys;
pub mod knowledge;
pub mod openid;
pub mod operations;
pub mod orgs;
pub mod posthog;
pub mod resources;
pub mod secrets;
pub mod servers;
pub mod sessions;
pub mod set_up;
mod teach;
pub mod users;

use kernel::{Code, Fault, Networks, OrgId, Result, Sources, refusal};
use serde_json::Value;
use store::{
    Db, Lock, StoreError, Tx,
    audit_log::{self, Target},
    vault::Vault,
};

pub use by::By;

/// What administration works with.
#[derive(Debug, Clone)]
pub struct Admin {
    pub db: Db,
    pub vault: Vault,
    pub sources: Sources,
    /// Where instances may live; literal addresses are checked when they are given, names at connect.
    pub networks: Networks,
    /// The calls per minute of a key that says nothing else.
    pub calls_per_minute: u32,
    /// The names of all tools: a new slug must not make one that reads as another instance's.
    pub tools: Vec<&'static str>,
}
impl Admin {
    /// A transaction in which nobody else changes the registry: what was checked still holds at the commit.
    async fn begin(&self) -> Result<Tx> {
        let mut tx = self.db.begin().await?;
        tx.lock(Lock::Registry).await?;
        Ok(tx)
    }

    async fn log(&self, tx: &mut Tx, by: &By, org: Option<OrgId>, action: &str, target: Target, detail: &Value) -> Result<()> {
        Ok(audit_log::write(tx, &by.who(), org, action, &target, detail, &self.sources).await?)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "ids are copied")]
fn target(kind: &'static str, id: impl ToString, name: impl Into<String>) -> Target {
    Target { kind, id: Some(id.to_string()), name: name.into() }
}

/// The member of a main audit log row's detail for what operators alone see: endpoints, containers and paths of hosts.
const HOST: &str = "host";

/// Two who do the same at once: the store's own rules decide, and the loser reads this.
fn taken(what: &'static str) -> impl FnOnce(StoreError) -> Fault {
    move |error| match error {
        StoreError::Unique { .. } => {
            refusal(Code::Conflict, format!("{what} exists already.")).next("Choose another name.").into()
        }
        other => other.into(),
    }
}

/// What is allowed as a name for people: not empty, not long, no control characters.
fn title(what: &str, text: &str, longest: usize) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > longest || text.chars().any(char::is_control) {
        return Err(refusal(Code::InvalidArgument, format!("{what} has 1 to {longest} characters, on one line.")).into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
