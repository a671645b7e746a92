//! The installation's key.
use std::time::Duration;

use kernel::Result;
use serde_json::json;
use store::{audit_log::Target, vault};

use crate::{Admin, By};

/// How long other processes may still store what they sealed with the previous key. The tests are alone on their stores.
const SETTLE: Duration = if cfg!(test) { Duration::ZERO } else { vault::SETTLE };

/// Replaces the installation's key and wraps every secret anew; goes on where an interrupted rotation stopped. Gives the number of
/// secrets. Operators alone.
pub async fn rotate(admin: &Admin, by: &By) -> Result<u64> {
    by.operator("rotate the installation's key")?;
    let target = |name: &str| Target { kind: "vault", id: None, name: name.to_owned() };
    let mut tx = admin.begin().await?;
    admin.log(&mut tx, by, None, "vault.rotate", target("begun"), &json!({})).await?;
    tx.commit().await?;
    let count = admin.vault.rotate(&admin.db, SETTLE).await?;
    let mut tx = admin.begin().await?;
    admin.log(&mut tx, by, None, "vault.rotate", target("done"), &json!({ "rewrapped": count })).await?;
    tx.commit().await?;
    Ok(count)
}
