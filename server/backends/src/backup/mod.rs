//! Backup, restore and copy of one Odoo database with its filestore.
//!
//! `store.rs` is the shelf: folders of finished backups, their manifests and what becomes of old ones; `create.rs` makes a
//! backup, `restore.rs` puts one back and recovers from a crash on the way, `journal.rs` is its memory; `clone.rs` copies a
//! database beside the live one. Below them, `postgres.rs` runs PostgreSQL's own programs in a container, `dump.rs` reads what
//! they wrote, `filestore.rs` reaches the attachments by a script in Odoo's container. Nothing here knows of tenants or keys:
//! who may back up what, and where, is decided before.
//!
//! The dump comes before the filestore, because files are only ever added: a file that an attachment of the dump names is there
//! unless somebody deleted the attachment meanwhile, and that is found out.
mod clone;
mod create;
mod dump;
mod error;
mod filestore;
mod handle;
mod journal;
mod postgres;
mod restore;
mod store;
#[cfg(test)]
mod tests;

use std::fmt;

use tokio_util::sync::CancellationToken;

use super::docker;

pub use clone::{Copied, CopyRequest, Neutralized};
pub use create::{Format, LIMIT, Request};
pub use error::{Error, Result};
pub use handle::{New, Pool, Reader, Writer};
pub use postgres::Postgres;
pub use restore::{Recovered, RestoreRequest, Restored, Served, served_databases};
pub use store::{Backups, Entry, Keep, Manifest, PRE_RESTORE, Part, State};

/// One instance's database, and the way to it. The caller decides all of it.
#[derive(Debug, Clone)]
pub struct Instance {
    /// ocore's id of the instance: letters, digits, `-` and `_`, at most 64. The name of its folder of backups.
    pub id: String,
    /// The container that runs Odoo.
    pub odoo: docker::container::Container,
    pub postgres: Postgres,
    pub database: String,
    /// The database's filestore in Odoo's container. None: Odoo is asked.
    pub filestore: Option<String>,
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Sizes, versions, space.
    Check,
    Dump,
    Filestore,
    Verify,
    /// The backup that is made before a restore.
    Snapshot,
    Create,
    Load,
    ReadBack,
    Unpack,
    /// From here on nothing is cancelled: Odoo is shut out of its database.
    Swap,
    /// Odoo's container stops and starts.
    Restart,
    Serve,
    CleanUp,
    Copy,
    Neutralize,
}
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Check => "check sizes and versions",
            Self::Dump => "dump the database",
            Self::Filestore => "copy the filestore",
            Self::Verify => "verify the backup",
            Self::Snapshot => "make the pre-restore snapshot",
            Self::Create => "create the new database",
            Self::Load => "load the dump",
            Self::ReadBack => "read the new database back",
            Self::Unpack => "unpack the filestore",
            Self::Swap => "swap the databases",
            Self::Restart => "restart Odoo's container",
            Self::Serve => "see Odoo serve again",
            Self::CleanUp => "drop what is left over",
            Self::Copy => "copy the database",
            Self::Neutralize => "neutralize the copy",
        })
    }
}

/// How far a step is. `total_bytes` is an estimate, and 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub step: Step,
    pub done_bytes: u64,
    pub total_bytes: u64,
}

/// Who watches an operation and may cancel it. After a cancellation nothing has changed, and what was made is removed.
pub struct Watch<'a> {
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
    pub cancel: CancellationToken,
}
impl Watch<'_> {
    fn tell(&mut self, step: Step, done_bytes: u64, total_bytes: u64) {
        (self.progress)(Progress { step, done_bytes, total_bytes });
    }
    fn go_on(&self) -> Result<()> {
        if self.cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
    }
}
