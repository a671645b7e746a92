//! What can go wrong with a backup or restore, each with what to do about it.
use std::{io, path::PathBuf};

use super::{Step, docker};

/// Result of this module.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure. `Display` says what was wrong and where, [`Error::advice`] what to do, [`Error::standing`] what is whole and served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    #[error("{what} is not usable: {why}.")]
    Argument { what: &'static str, why: String },
    /// On the way to Docker, a container or Odoo.
    #[error(transparent)]
    Docker(#[from] docker::Error),
    #[error("The container {container} has no {program}.")]
    NoProgram { container: String, program: &'static str },
    #[error("{program} in {container} is version {client}, and the server is PostgreSQL {server}.")]
    ClientTooOld { program: &'static str, container: String, client: u32, server: u32 },
    /// PostgreSQL could not be connected to: nothing was done.
    #[error("PostgreSQL at {at} is not reached from {container}: {said}")]
    NoPostgres { at: String, container: String, said: String },
    #[error("PostgreSQL refuses to {doing}: {said}")]
    Sql { doing: &'static str, said: String },
    /// One of PostgreSQL's programs ended with an error, or was killed.
    #[error("{program} in {container} failed: {said}")]
    Program { program: &'static str, container: String, said: String },
    #[error("There is no database {database}.")]
    NoDatabase { database: String },
    #[error("The database {database} has no Odoo in it.")]
    NotOdoo { database: String },
    /// The role that was given may not do it.
    #[error("The PostgreSQL role {role} {lacks}.")]
    Role { role: String, lacks: String },
    #[error("{database} is in use by others ({who}), whom ocore may not disconnect.")]
    InUse { database: String, who: String },
    #[error(
        "The backup would take up to {} MB (database {} MB, filestore {} MB); the limit is {} MB.",
        mb(database + filestore), mb(*database), mb(*filestore), mb(*limit)
    )]
    TooBig { database: u64, filestore: u64, limit: u64 },
    #[error("The backup may take up to {} MB, and {} has {} MB free.", mb(*needed), path.display(), mb(*free))]
    NoSpace { path: PathBuf, needed: u64, free: u64 },
    #[error("The disk that holds {} is full.", path.display())]
    DiskFull { path: PathBuf },
    #[error("{} cannot be used.", path.display())]
    Disk { path: PathBuf, source: io::Error },
    #[error("The filestore {path} in {container} cannot be used: {said}")]
    Filestore { path: String, container: String, said: String },
    /// Files that the dump names went while they were copied.
    #[error("{count} files of the filestore went while they were copied, {example} for one.")]
    FilesGone { count: usize, example: String },
    /// What was written is not what can be read.
    #[error("The backup {id} is not whole: {why}.")]
    Broken { id: String, why: String },
    #[error("The manifest of {id} is not one that ocore wrote for it: {why}.")]
    Forged { id: String, why: String },
    #[error("There is no backup {id} of this instance.")]
    NoBackup { id: String },
    #[error("A backup {id} exists already.")]
    Exists { id: String },
    #[error("The backup is of Odoo {backup}, and the container runs {running}.")]
    OtherVersion { backup: String, running: String },
    /// Another backup, restore or clean-up of this instance goes on.
    #[error("Another operation on the backups of {instance} is going on.")]
    Busy { instance: String },
    /// An earlier restore was interrupted.
    #[error("The restore {restore} of {instance} was interrupted.")]
    Unfinished { instance: String, restore: String },
    #[error("The journal {} cannot be read: {why}.", path.display())]
    Journal { path: PathBuf, why: String },
    /// What was loaded is not what the manifest says.
    #[error("The restored database is not what the backup's manifest says: {why}.")]
    NotEqual { why: String },
    #[error("{what} {name} exists already.")]
    Taken { what: &'static str, name: String },
    #[error("The copy is not neutralized: {left}.")]
    NotNeutralized { left: String },
    #[error("It was cancelled.")]
    Cancelled,
    /// The restore failed at a step, and the old database is served again.
    #[error("The restore failed to {step}; the database is as it was before.")]
    RolledBack { step: Step, snapshot: Option<String>, source: Box<Error> },
    /// The restore failed, and going back failed as well.
    #[error("The restore failed to {step}, and going back failed too: {back}")]
    Stuck { step: Step, snapshot: Option<String>, back: Box<Error>, source: Box<Error> },
    /// A copy failed and not everything that it made could be removed.
    #[error("The copy failed, and {left} could not be removed.")]
    Left { left: String, source: Box<Error> },
}

fn mb(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

impl Error {
    /// What the operator or caller does next.
    pub fn advice(&self) -> String {
        match self {
            Self::Argument { .. } => "Correct the argument.".to_owned(),
            Self::Docker(error) => error.advice().to_owned(),
            Self::NoProgram { .. } | Self::ClientTooOld { .. } => {
                "Name the container that runs PostgreSQL in the instance's connection: its programs fit its server. Or install a \
                 newer postgresql-client in Odoo's image."
                    .to_owned()
            }
            Self::NoPostgres { .. } => {
                "Check host, port, role and password as seen from that container, and that PostgreSQL runs.".to_owned()
            }
            Self::Sql { .. } | Self::Program { .. } => "Read PostgreSQL's words; its log may have more.".to_owned(),
            Self::NoDatabase { .. } | Self::NotOdoo { .. } => {
                "Correct the database's name in the instance's connection.".to_owned()
            }
            Self::Role { role, .. } => {
                format!(
                    "Give the owner of the database as role, with CREATEDB (ALTER ROLE \"{role}\" CREATEDB); it needs no more."
                )
            }
            Self::InUse { .. } => "Disconnect them (psql, BI tools, replication), then try again.".to_owned(),
            Self::TooBig { .. } => "Raise the limit of backups, or leave the filestore out.".to_owned(),
            Self::NoSpace { .. } | Self::DiskFull { .. } => {
                "Free space there, delete old backups, or keep backups on another disk.".to_owned()
            }
            Self::Disk { .. } => "Check that the folder exists and that ocore may write there.".to_owned(),
            Self::Filestore { .. } => "Check data_dir in Odoo's configuration, its owner and the free space there.".to_owned(),
            Self::FilesGone { .. } => "Back up again; attachments were being deleted meanwhile.".to_owned(),
            Self::Broken { .. } => "Use another backup; list_backups tells which are whole.".to_owned(),
            Self::Forged { .. } => {
                "Do not use it. When ocore's key was replaced, the backups from before need the earlier key.".to_owned()
            }
            Self::NoBackup { .. } => "list_backups tells the ids.".to_owned(),
            Self::Exists { .. } | Self::Taken { .. } => "Choose another name.".to_owned(),
            Self::OtherVersion { .. } => "Start Odoo of the backup's version in the container, then restore.".to_owned(),
            Self::Busy { .. } => "Wait until it ends.".to_owned(),
            Self::Unfinished { .. } => "Let ocore recover first: it does so by itself at its start, or when asked.".to_owned(),
            Self::Journal { .. } => {
                "Look which of the database's names exist (…_ocore_…) before you remove the journal.".to_owned()
            }
            Self::NotEqual { .. } => "Try another backup.".to_owned(),
            Self::NotNeutralized { .. } => "Neutralize by hand, or look which addon keeps them.".to_owned(),
            Self::Cancelled => "Nothing was changed.".to_owned(),
            Self::RolledBack { source, .. } | Self::Left { source, .. } => source.advice(),
            Self::Stuck { back, .. } => format!("{} Then let ocore recover this instance.", back.advice()),
        }
    }

    /// What is whole and what is served after this error, for a caller who asked for a restore; none where nothing was touched.
    pub fn standing(&self) -> Option<String> {
        let snapshot =
            |id: &Option<String>| id.as_ref().map_or_else(String::new, |id| format!(" The pre-restore snapshot is {id}."));
        match self {
            Self::RolledBack { snapshot: id, .. } => {
                Some(format!("The old database and its filestore are whole and served.{}", snapshot(id)))
            }
            Self::Stuck { snapshot: id, .. } => Some(format!(
                "The old database is whole under its own name or with _ocore_old_ in it; nothing was dropped. Recovery goes on from \
                 the journal.{}",
                snapshot(id)
            )),
            _ => None,
        }
    }

    pub(crate) fn disk(path: &std::path::Path, source: io::Error) -> Self {
        if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            return Self::DiskFull { path: path.to_owned() };
        }
        Self::Disk { path: path.to_owned(), source }
    }
}
