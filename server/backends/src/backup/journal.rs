//! The memory of a restore: one line of JSON for each step, on disk before the step is taken.
use std::{
    fs::OpenOptions,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    error::{Error, Result},
    store::{Backups, blocking, open, sync_folder},
};

const JOURNAL: &str = "restore.journal";

/// What a restore is about to do, by the first line; all names that recovery needs.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Plan {
    pub restore: String,
    pub backup: String,
    pub snapshot: String,
    /// The live name, the name of the new one while it is made, and the old one's when it has gone aside.
    pub database: String,
    pub new: String,
    pub old: String,
    pub files: Option<Folders>,
    pub http_port: u16,
    pub keep_old: bool,
}
/// The same of the filestore's folders.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(super) struct Folders {
    pub live: String,
    pub new: String,
    pub old: String,
    /// Whether there was one before.
    pub had: bool,
}

/// The step that is about to be taken.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mark {
    Checked,
    Snapshot,
    Create,
    Load,
    ReadBack,
    Unpack,
    /// Odoo is shut out of the database.
    Shut,
    Swap,
    SwapFiles,
    Restart,
    Serve,
    /// The new one serves: only the old one is still to go.
    CleanUp,
    /// The restore is given up: back to the old one.
    Back,
    /// The old one is in its place again: only the new one is still to go.
    BackDone,
    /// The end, one way or the other.
    Done,
    RolledBack,
}
impl Mark {
    pub(super) fn is_end(self) -> bool {
        matches!(self, Self::Done | Self::RolledBack)
    }
}

#[derive(Serialize, Deserialize)]
struct Line {
    step: Mark,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plan: Option<Plan>,
}

/// A restore that was begun.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    path: PathBuf,
    pub plan: Plan,
    /// The furthest step before the way back, if that was gone.
    pub reached: Mark,
    /// The last line's.
    pub last: Mark,
}

impl Journal {
    /// Begins one, in place of a finished one.
    pub(super) async fn begin(shelf: &Path, plan: Plan) -> Result<Self> {
        let mut this = Self { path: shelf.join(JOURNAL), plan, reached: Mark::Checked, last: Mark::Checked };
        let plan = this.plan.clone();
        this.append(Mark::Checked, Some(plan)).await?;
        Ok(this)
    }
    /// Reads what there is. A last line that was cut by a crash counts as not written.
    pub(super) async fn read(shelf: &Path) -> Result<Option<Self>> {
        let path = shelf.join(JOURNAL);
        blocking(move || {
            let mut text = String::new();
            match open(&path) {
                Ok(file) => file.take(1 << 20).read_to_string(&mut text).map_err(|error| Error::disk(&path, error))?,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::disk(&path, error)),
            };
            let whole = text.rfind('\n').map_or("", |at| text.get(..at).unwrap_or_default());
            let mut lines = Vec::new();
            for line in whole.lines() {
                let line: Line =
                    serde_json::from_str(line).map_err(|error| Error::Journal { path: path.clone(), why: error.to_string() })?;
                lines.push(line);
            }
            let Some(Line { plan: Some(plan), .. }) = lines.first() else {
                // The crash came before the first line was whole: nothing had been done.
                return Ok(None);
            };
            let plan = plan.clone();
            let reached = lines.iter().map(|line| line.step).filter(|step| *step < Mark::Back).max().unwrap_or(Mark::Checked);
            let last = lines.last().map_or(Mark::Checked, |line| line.step);
            Ok(Some(Self { path, plan, reached, last }))
        })
        .await
    }
    /// Notes a step that is about to be taken.
    pub(super) async fn step(&mut self, step: Mark) -> Result<()> {
        self.append(step, None).await
    }
    async fn append(&mut self, step: Mark, plan: Option<Plan>) -> Result<()> {
        let path = self.path.clone();
        let first = plan.is_some();
        let mut text = serde_json::to_vec(&Line { step, plan })
            .map_err(|error| Error::Journal { path: path.clone(), why: error.to_string() })?;
        text.push(b'\n');
        blocking(move || {
            OpenOptions::new()
                .mode(0o600)
                .read(true)
                .write(true)
                .create(first)
                .truncate(first)
                .open(&path)
                .and_then(|mut file| {
                    // A line that a crash cut is no line.
                    let mut before = Vec::new();
                    file.read_to_end(&mut before)?;
                    let whole = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
                    file.set_len(whole)?;
                    file.seek(SeekFrom::Start(whole))?;
                    file.write_all(&text)?;
                    file.sync_all()
                })
                .map_err(|error| Error::disk(&path, error))?;
            if first { path.parent().map_or(Ok(()), sync_folder) } else { Ok(()) }
        })
        .await?;
        self.last = step;
        if step < Mark::Back {
            self.reached = self.reached.max(step);
        }
        Ok(())
    }
}

impl Backups {
    /// Refuses while a restore of this instance waits to be recovered.
    pub(super) async fn unfinished(&self, instance: &str) -> Result<()> {
        match Journal::read(&self.shelf(instance)?).await? {
            Some(journal) if !journal.last.is_end() => {
                Err(Error::Unfinished { instance: instance.to_owned(), restore: journal.plan.restore })
            }
            _ => Ok(()),
        }
    }
    /// The instances whose restore was interrupted: to be recovered before anything else is done to them.
    pub async fn interrupted(&self) -> Result<Vec<String>> {
        let folder = self.folder.clone();
        let names = blocking(move || match std::fs::read_dir(&folder) {
            Ok(entries) => Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::disk(&folder, error)),
        })
        .await?;
        let mut found = Vec::new();
        for name in names {
            match self.unfinished(&name).await {
                Err(Error::Unfinished { .. } | Error::Journal { .. }) => found.push(name),
                Err(Error::Argument { .. }) | Ok(()) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}
