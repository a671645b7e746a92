//! When keys' sessions began and ended, for the main audit log.
use identity::{Moment, Session};
use kernel::{OrgId, Result, time_text};
use serde_json::json;
use store::audit_log::{self, Who};

use crate::{Admin, target};

/// A moment, with the organization and the label of its key.
#[derive(Debug)]
pub struct Seen<'a> {
    pub org: OrgId,
    pub label: &'a str,
    pub moment: &'a Moment,
}

/// Writes all of them or none, in their order.
///
/// # Errors
/// When the store does not take them: they are to be given again.
pub async fn note(admin: &Admin, seen: &[Seen<'_>]) -> Result<()> {
    if seen.is_empty() {
        return Ok(());
    }
    let mut tx = admin.db.begin().await?;
    for Seen { org, label, moment } in seen {
        let (Moment::Began(session) | Moment::Ended(session) | Moment::Stopped(session)) = moment;
        let Session { id, key, client, facade, address, began, last, calls } = session;
        let (action, detail) = match moment {
            Moment::Began(_) => ("session.start", json!({ "facade": facade, "at": time_text(*began) })),
            Moment::Ended(_) | Moment::Stopped(_) => {
                let why = if matches!(moment, Moment::Ended(_)) { "30 minutes without a call" } else { "the server stopped" };
                let detail = json!({
                    "facade": facade,
                    "began": time_text(*began),
                    "last_call": time_text(*last),
                    "calls": calls,
                    "why": why,
                });
                ("session.end", detail)
            }
        };
        let who = Who { kind: "key", id: Some(key.to_string()), name: (*label).to_owned(), address: Some(address.to_string()) };
        let about = target("session", id, client.as_str());
        audit_log::write(&mut tx, &who, Some(*org), action, &about, &detail, &admin.sources).await?;
    }
    tx.commit().await?;
    Ok(())
}
