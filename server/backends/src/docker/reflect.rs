//! What only Odoo's own process knows: methods and Python constraints of a model; and the clearing of its caches.
use kernel::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    container::Container,
    error::{Error, Result},
    exec::Limits,
};

const METHODS: &str = include_str!("scripts/methods.py");
const CONSTRAINTS: &str = include_str!("scripts/constraints.py");
const CACHES: &str = include_str!("scripts/caches.py");
const SESSION: &str = include_str!("scripts/session.py");

/// A model's method, as its class has it.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
pub struct Method {
    pub name: String,
    /// As Python writes it, `(self, vals_list)`.
    pub signature: String,
    /// model, model_create (one dictionary or several), depends(a, b), constrains(a), onchange(a), private, readonly, ondelete, autovacuum.
    pub decorators: Vec<String>,
    pub doc: String,
    /// In the container.
    pub file: Option<String>,
    pub line: Option<u32>,
    /// The addon of the definition that runs; `core` for Odoo's own.
    pub module: String,
    /// The addons whose definitions it replaces or calls, nearest first.
    pub overridden_in: Vec<String>,
    /// Every model has it, and this one no other.
    pub inherited: bool,
    /// Not callable by RPC.
    pub private: bool,
}

/// What Python checks when records are written, or before they are deleted.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
pub struct PythonConstraint {
    pub name: String,
    /// `constraint` or `deletion`.
    pub kind: String,
    /// Whose change runs it.
    pub fields: Vec<String>,
    pub module: String,
    pub doc: String,
    pub file: String,
    pub line: u32,
    /// At most 4,000 characters; none where the source is not there.
    pub source: Option<String>,
}

/// What is cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Odoo's caches in memory; every server process loads its registry again at its next request.
    Registry,
    /// Bundles of scripts and styles; made again when next asked for.
    Assets,
    /// Compiled Python files in the addons folders, as far as Odoo's user may remove them.
    Pyc,
    /// Every sign-in ends: only when named by the user.
    Sessions,
}

/// What went; none for what was not asked for.
#[derive(Debug, Clone, Copy, Deserialize, PartialEq, Eq, Default)]
#[serde(default)]
pub struct Cleared {
    pub registry: Option<u32>,
    pub assets: Option<u32>,
    pub pyc: Option<u32>,
    /// Not Odoo's user's to remove: those of its installation, as a rule.
    pub pyc_kept: Option<u32>,
    pub sessions: Option<u32>,
    pub sessions_kept: Option<u32>,
}

/// A session of Odoo's that was made without a sign-in.
#[derive(Debug, Clone)]
pub struct UserSession {
    /// The cookie's value.
    pub session: SecretString,
    pub login: String,
    /// The first page after a sign-in: `/odoo`, `/web` or, for portal users, `/my`.
    pub landing: &'static str,
    /// Whether the user may change access rights or settings.
    pub administrator: bool,
}
/// Why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoSession {
    Missing,
    Archived,
    /// One of Odoo's own users.
    Protected,
    /// The user of visitors.
    Public,
}
#[derive(Deserialize)]
#[serde(untagged)]
enum Session {
    Made { session: String, login: String, landing: String, administrator: bool },
    Refused { refused: NoSession },
}

impl Container {
    /// Makes a session for a user, as a sign-in would, without one; `own` also for Odoo's own users.
    pub async fn user_session(
        &self,
        database: &str,
        user: i64,
        own: bool,
        limits: &Limits,
    ) -> Result<std::result::Result<UserSession, NoSession>> {
        let made = self.shell(database, limits).await?.script(SESSION, json!({ "user": user, "protected": !own })).await?;
        Ok(match made {
            Session::Made { session, login, landing, administrator } => {
                let known = ["/odoo", "/my"].into_iter().find(|page| *page == landing);
                Ok(UserSession { session: session.into(), login, landing: known.unwrap_or("/web"), administrator })
            }
            Session::Refused { refused } => Err(refused),
        })
    }
    /// A model's methods, by name. None when there is no such model.
    ///
    /// `private`: those with an underscore too. `search`: part of the name, in any case.
    pub async fn model_methods(
        &self,
        database: &str,
        model: &str,
        private: bool,
        search: Option<&str>,
        limits: &Limits,
    ) -> Result<Option<Vec<Method>>> {
        model_name(model)?;
        let args = json!({ "model": model, "private": private, "search": search });
        self.shell(database, limits).await?.script(METHODS, args).await
    }
    /// A model's constraints in Python and its checks before deletion. None when there is no such model.
    pub async fn python_constraints(
        &self,
        database: &str,
        model: &str,
        limits: &Limits,
    ) -> Result<Option<Vec<PythonConstraint>>> {
        model_name(model)?;
        self.shell(database, limits).await?.script(CONSTRAINTS, json!({ "model": model })).await
    }
    /// Clears caches and tells the running servers.
    pub async fn clear_caches(&self, database: &str, targets: &[Target], limits: &Limits) -> Result<Cleared> {
        self.shell(database, limits).await?.script(CACHES, json!({ "targets": targets })).await
    }
}

fn model_name(name: &str) -> Result<()> {
    let fine = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if fine { Ok(()) } else { Err(Error::Argument { what: "the model's name", why: "it is no identifier".to_owned() }) }
}
