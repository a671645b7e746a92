//! Long work that calls began: what runs, how it ended, and asking it to stop.
use kernel::{CallId, Code, Result, Role, refusal};
use serde_json::json;
use store::operations::{self, Operations};

pub use store::operations::{Operation, State};

use crate::{Admin, By, orgs, target, teach};

/// The longest list.
const MOST: u32 = 1_000;

/// The newest first. Administrators of the organization and operators.
pub async fn list(admin: &Admin, by: &By, org: &str, limit: u32) -> Result<Vec<Operation>> {
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization.id;
    drop(tx);
    Ok(here(admin).list(org, limit.clamp(1, MOST)).await?)
}

/// Asks a running operation to stop where it is safe: between two records, never in the middle of one. It is seen within some
/// seconds, on whichever node it runs.
pub async fn cancel(admin: &Admin, by: &By, org: &str, id: &str) -> Result<Operation> {
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization.id;
    let none = || teach::hidden("operation", id);
    let id: CallId = id.parse().map_err(|_| none())?;
    let all = here(admin);
    let found = all.get(org, id).await?.ok_or_else(none)?;
    if found.state != State::Running {
        return Err(refusal(Code::Conflict, format!("The operation has ended already: {}.", found.state.as_str()))
            .next("ocore operation list shows how operations ended.")
            .into());
    }
    admin.log(&mut tx, by, Some(org), "operation.cancel", target("operation", id, &found.tool), &json!({})).await?;
    tx.commit().await?;
    all.ask_to_cancel(org, id).await?;
    Ok(Operation { cancel_asked: true, ..found })
}

fn here(admin: &Admin) -> Operations {
    operations::Operations::new(admin.db.clone(), admin.vault.clone(), admin.sources.clone(), "")
}
