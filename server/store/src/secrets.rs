//! ocore's own secrets and marks: made at the first use, the same for every process on the store.
use kernel::Sources;
use zeroize::Zeroizing;

use crate::{
    Db, Result, StoreError, args,
    vault::{Place, Vault},
};

/// Signs confirm tokens.
pub const CONFIRM_TOKENS: &str = "confirm_tokens";
/// Vouches for the manifests of backups.
pub const BACKUPS: &str = "backups";

/// The random secret of that name, sealed in the store.
pub async fn named(db: &Db, vault: &Vault, name: &'static str, sources: &Sources) -> Result<Zeroizing<[u8; 32]>> {
    let place = Place { table: "secrets", column: "sealed", row: name };
    let sql = "SELECT sealed FROM secrets WHERE name = $1";
    let mut row = db.fetch_optional(sql, args![name]).await?;
    if row.is_none() {
        let mut fresh = Zeroizing::new([0_u8; 32]);
        sources.random.fill(&mut *fresh);
        // Of two that start at once the first wins, and both use its secret.
        db.execute(
            "INSERT INTO secrets (name, sealed, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            args![name, vault.seal(place, &*fresh)?, sources.now()],
        )
        .await?;
        row = db.fetch_optional(sql, args![name]).await?;
    }
    let row = row.ok_or_else(|| StoreError::corrupt("secrets.sealed", "it is not there right after it was written"))?;
    let opened = vault.open_value(place, &row.bytes("secrets.sealed")?)?;
    let bytes: [u8; 32] =
        opened.as_slice().try_into().map_err(|_| StoreError::corrupt("secrets.sealed", "it is not 32 bytes long"))?;
    Ok(Zeroizing::new(bytes))
}

/// Names this installation for good; no secret.
pub async fn installation_id(db: &Db, sources: &Sources) -> Result<String> {
    let sql = "SELECT value FROM meta WHERE name = 'installation_id'";
    if let Some(row) = db.fetch_optional(sql, args![]).await? {
        return row.text("meta.value");
    }
    db.execute(
        "INSERT INTO meta (name, value) VALUES ('installation_id', $1) ON CONFLICT DO NOTHING",
        args![kernel::CallId::new(sources)],
    )
    .await?;
    let row = db.fetch_optional(sql, args![]).await?;
    row.ok_or_else(|| StoreError::corrupt("meta.value", "it is not there right after it was written"))?.text("meta.value")
}
