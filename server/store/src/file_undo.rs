//! How to take changes of an instance's files back. The content that a change replaced is kept sealed, for a week, of the last changes.
use kernel::{CallId, ExposeSecret as _, SecretString, Sources, TimeDelta, Timestamp, WritePermit};

use crate::{
    Db, Result, args,
    caller::Caller,
    vault::{Place, Vault},
};

/// Changes of one instance that can be taken back.
pub const KEPT: u32 = 50;
/// How long they are kept.
pub const AGE: TimeDelta = TimeDelta::days(7);

const CONTENT: (&str, &str) = ("file_undo", "content");

fn place(row: &str) -> Place<'_> {
    Place { table: CONTENT.0, column: CONTENT.1, row }
}

/// A kept change.
#[derive(Debug)]
pub struct Kept {
    pub id: CallId,
    /// Who made it.
    pub key_label: String,
    pub created_at: Timestamp,
    /// What the files need to take it back.
    pub content: SecretString,
}

/// Looks at the kept changes of one instance.
#[derive(Debug, Clone)]
pub struct FileUndo {
    db: Db,
    vault: Vault,
    sources: Sources,
    caller: Caller,
}
impl FileUndo {
    pub fn new(db: Db, vault: Vault, sources: Sources, caller: Caller) -> Self {
        Self { db, vault, sources, caller }
    }
    /// The last change of that path, by its old or its new name.
    pub async fn latest(&self, path: &str) -> Result<Option<Kept>> {
        let sql = "SELECT id, key_label, created_at, content FROM file_undo \
                   WHERE instance_id = $1 AND org_id = $2 AND (path = $3 OR new_path = $3) AND created_at > $4 ORDER BY id DESC LIMIT 1";
        let since = self.sources.now() - AGE;
        let found = self.db.fetch_optional(sql, args![self.caller.instance, self.caller.org, path, since]).await?;
        let Some(row) = found else { return Ok(None) };
        let id: CallId = row.parsed("file_undo.id")?;
        Ok(Some(Kept {
            id,
            key_label: row.text("file_undo.key_label")?,
            created_at: row.time("file_undo.created_at")?,
            content: self.vault.open_text(place(&id.to_string()), &row.bytes("file_undo.content")?)?,
        }))
    }
}

/// The same, and it keeps them.
#[derive(Debug, Clone)]
pub struct FileUndoWriter(pub(crate) FileUndo);
impl FileUndoWriter {
    pub fn new(undo: FileUndo, _proof: &WritePermit) -> Self {
        Self(undo)
    }
    /// Keeps how a change is taken back; the oldest beyond [`KEPT`] go.
    pub async fn keep(&self, path: &str, new_path: Option<&str>, content: &SecretString) -> Result<()> {
        let FileUndo { db, vault, sources, caller } = &self.0;
        let id = CallId::new(sources);
        let row = id.to_string();
        let sealed = vault.seal(place(&row), content.expose_secret().as_bytes())?;
        let mut tx = db.begin().await?;
        tx.execute(
            "INSERT INTO file_undo (id, org_id, instance_id, call_id, key_label, path, new_path, content, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            args![id, caller.org, caller.instance, caller.call, &caller.key_label, path, new_path, sealed, sources.now()],
        )
        .await?;
        tx.execute(
            "DELETE FROM file_undo WHERE instance_id = $1 AND id NOT IN \
             (SELECT id FROM file_undo WHERE instance_id = $1 ORDER BY id DESC LIMIT $2)",
            args![caller.instance, KEPT],
        )
        .await?;
        tx.commit().await
    }
    /// It was taken back.
    pub async fn forget(&self, id: CallId) -> Result<()> {
        let FileUndo { db, caller, .. } = &self.0;
        db.execute("DELETE FROM file_undo WHERE id = $1 AND instance_id = $2", args![id, caller.instance]).await?;
        Ok(())
    }
}
impl std::ops::Deref for FileUndoWriter {
    type Target = FileUndo;
    fn deref(&self) -> &FileUndo {
        &self.0
    }
}

/// Forgets what is too old.
pub async fn prune(db: &Db, now: Timestamp) -> Result<u64> {
    db.execute("DELETE FROM file_undo WHERE created_at <= $1", args![now - AGE]).await
}
