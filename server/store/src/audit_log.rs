//! The main audit log: what people did to the registry. One row in the transaction of the change.
use kernel::{OrgId, Sources, Timestamp};
use serde_json::Value;

use crate::{Db, On, Result, Tx, args};

/// Who acted.
#[derive(Debug, Clone)]
pub struct Who {
    /// `cli`, `user`, `key`, `client` (of OAuth, by what it was consented to), `system`.
    pub kind: &'static str,
    pub id: Option<String>,
    pub name: String,
    pub address: Option<String>,
}

/// What it was done to, by the name it had then.
#[derive(Debug, Clone)]
pub struct Target {
    pub kind: &'static str,
    pub id: Option<String>,
    pub name: String,
}

/// One entry of the log.
#[derive(Debug, Clone)]
pub struct LogRow {
    pub id: String,
    pub org: Option<OrgId>,
    pub at: Timestamp,
    pub actor_kind: String,
    pub actor_id: Option<String>,
    pub actor_name: String,
    pub action: String,
    pub target_kind: String,
    pub target_id: Option<String>,
    pub target_name: String,
    pub detail: Value,
    pub address: Option<String>,
}

/// `action` is like `instance.update`; `detail` holds old and new values, never secrets (it is redacted all the same).
pub async fn write(
    tx: &mut Tx,
    who: &Who,
    org: Option<OrgId>,
    action: &str,
    target: &Target,
    detail: &Value,
    sources: &Sources,
) -> Result<()> {
    tx.execute(
        "INSERT INTO audit_log (id, org_id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, target_name, \
         detail, address) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        args![
            // A ULID like any other; the log needs no type of its own for it.
            kernel::CallId::new(sources),
            org,
            sources.now(),
            who.kind,
            who.id.as_ref(),
            &who.name,
            action,
            target.kind,
            target.id.as_ref(),
            &target.name,
            kernel::redact::arguments(detail).to_string(),
            who.address.as_ref(),
        ],
    )
    .await?;
    Ok(())
}

/// Newest first; `org` none means the whole installation (operators). `before` is the id of the last row of the page before.
pub async fn list(on: impl Into<On<'_>>, org: Option<OrgId>, before: Option<&str>, limit: u32) -> Result<Vec<LogRow>> {
    let sql = "SELECT * FROM audit_log WHERE (org_id = $1 OR $1 IS NULL) AND (id < $2 OR $2 IS NULL) ORDER BY id DESC LIMIT $3";
    let rows = on.into().fetch_all(sql, args![org, before, limit]).await?;
    rows.iter()
        .map(|r| {
            Ok(LogRow {
                id: r.text("audit_log.id")?,
                org: r.opt_parsed("audit_log.org_id")?,
                at: r.time("audit_log.at")?,
                actor_kind: r.text("audit_log.actor_kind")?,
                actor_id: r.opt_text("audit_log.actor_id")?,
                actor_name: r.text("audit_log.actor_name")?,
                action: r.text("audit_log.action")?,
                target_kind: r.text("audit_log.target_kind")?,
                target_id: r.opt_text("audit_log.target_id")?,
                target_name: r.text("audit_log.target_name")?,
                detail: r.json("audit_log.detail")?,
                address: r.opt_text("audit_log.address")?,
            })
        })
        .collect()
}

/// Deletes what is older than `before`.
pub async fn prune(db: &Db, before: Timestamp) -> Result<u64> {
    db.execute("DELETE FROM audit_log WHERE at < $1", args![before]).await
}
