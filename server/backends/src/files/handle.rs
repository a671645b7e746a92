//! The handles that tools get: the addons of one instance, for one call.
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use kernel::{AddonsFolder, Code, Fault, Instance, InstanceId, Refusal, Result, WritePermit, refusal};
use moka::future::Cache;
use tokio::time::Instant;

use super::{
    Change, Content, Error, Files, Found, Info, Listing, Mode, Query, ReadOptions, Reading, Root, Undo,
    error::Error as FilesError,
};
use crate::{docker, postgres::proven, source};

/// What no root may contain or lie in: where ocore keeps its store and keys.
#[derive(Debug, Clone, Default)]
pub struct Folders {
    pub forbidden: Vec<PathBuf>,
}

/// The way to all instances' addons. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool {
    docker: docker::Pool,
    folders: Arc<Folders>,
    open: Cache<(InstanceId, i64), Files>,
}
/// A way to none: for tests and benches.
impl Default for Pool {
    fn default() -> Self {
        Self::new(docker::Pool::default(), Folders::default())
    }
}
impl Pool {
    pub fn new(docker: docker::Pool, folders: Folders) -> Self {
        let open = Cache::builder().max_capacity(1_000).time_to_idle(std::time::Duration::from_mins(15)).build();
        Self { docker, folders: Arc::new(folders), open }
    }

    /// A handle for one call. No I/O.
    ///
    /// # Errors
    /// `not_configured` without a folder or before a login has proven the database.
    pub fn reader(&self, instance: Arc<Instance>, deadline: Instant) -> std::result::Result<Reader, Refusal> {
        if instance.host.addons.is_empty() {
            return Err(refusal(Code::NotConfigured, format!("{} has no addons folder.", instance.slug)).next(format!(
                "The operator names it: ocore instance update {} --addons DIR, or --addons container:/path for one in its container",
                instance.slug
            )));
        }
        proven(&instance)?;
        Ok(Reader { pool: self.clone(), instance, deadline })
    }

    async fn files(&self, instance: &Arc<Instance>) -> Result<Files> {
        let key = (instance.id, instance.generation);
        if let Some(open) = self.open.get(&key).await {
            return Ok(open);
        }
        let roots = roots(&instance.host.addons);
        let mut forbidden = self.folders.forbidden.clone();
        let inside = matches!(instance.host.addons.first(), Some(AddonsFolder::Container(_)));
        let files = if inside {
            let container = self.docker.container(instance).await?;
            Files::container(container, roots, &[])
        } else {
            forbidden.extend(instance.host.backups.clone());
            tokio::task::spawn_blocking(move || Files::local(roots, &forbidden))
                .await
                .map_err(|_| Fault::failed("opening addons folders"))?
        };
        let files = files.map_err(|e| told(instance, &e))?;
        self.open.insert(key, files.clone()).await;
        Ok(files)
    }
}

/// A name for each folder: its last component, with a number where two have the same.
fn roots(folders: &[AddonsFolder]) -> Vec<Root> {
    let mut taken = BTreeSet::new();
    folders
        .iter()
        .map(|folder| {
            let path = match folder {
                AddonsFolder::Local(path) => path.clone(),
                AddonsFolder::Container(path) => PathBuf::from(path),
            };
            let last = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let fine: String =
                last.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' }).take(60).collect();
            let base = if fine.trim_matches('.').is_empty() { "addons".to_owned() } else { fine };
            let mut name = base.clone();
            let mut n = 1;
            while !taken.insert(name.clone()) {
                n += 1;
                name = format!("{base}_{n}");
            }
            Root { name, path, writable: true }
        })
        .collect()
}

/// What a caller reads of a failure.
fn told(instance: &Instance, error: &Error) -> Fault {
    let slug = &instance.slug;
    if error.outcome_unknown() {
        return Fault::unknown(error.to_string(), error.advice());
    }
    let code = match error.code() {
        "path_refused" => Code::PathRefused,
        "not_found" => Code::NotFound,
        "invalid_argument" => Code::InvalidArgument,
        "conflict" => Code::Conflict,
        "too_large" => Code::TooLarge,
        "busy" => Code::Busy,
        "not_configured" => Code::NotConfigured,
        "cancelled" => Code::Cancelled,
        "timeout" => Code::Timeout,
        "unreachable" => {
            tracing::warn!(%slug, error = error as &dyn std::error::Error, "the container of an instance is not reached");
            Code::Unreachable
        }
        _ => {
            tracing::warn!(%slug, error = error as &dyn std::error::Error, "a file operation failed");
            Code::NotConfigured
        }
    };
    refusal(code, error.to_string()).next(error.advice()).into()
}

fn apply(text: &str, diff: &str) -> std::result::Result<(String, String), String> {
    let applied = source::patch::apply(text, diff).map_err(|e| e.to_string())?;
    let moved: Vec<String> = applied
        .hunks
        .iter()
        .filter(|h| h.offset != 0 || h.fuzz > 0)
        .map(|h| format!("the hunk {} was applied at line {} (moved by {}, fuzz {})", h.header, h.at_line, h.offset, h.fuzz))
        .collect();
    Ok((applied.text, moved.join("; ")))
}

/// The addons of one call, reading and planning.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: Pool,
    instance: Arc<Instance>,
    deadline: Instant,
}
impl Reader {
    async fn files(&self) -> Result<Files> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        Ok(self.pool.files(&self.instance).await?.within(left))
    }
    fn fault(&self, error: &FilesError) -> Fault {
        told(&self.instance, error)
    }
    /// A directory's entries; without a path the addons of all folders.
    pub async fn list(&self, path: &str) -> Result<Listing> {
        self.files().await?.list(path).await.map_err(|e| self.fault(&e))
    }
    /// The names of the folders, which paths start with.
    pub async fn roots(&self) -> Result<Vec<String>> {
        Ok(self.files().await?.roots().map(|(name, _)| name.to_owned()).collect())
    }
    pub async fn tree(&self, path: &str, depth: u8, most: usize) -> Result<Listing> {
        self.files().await?.tree(path, depth, most).await.map_err(|e| self.fault(&e))
    }
    pub async fn info(&self, path: &str) -> Result<Info> {
        self.files().await?.info(path).await.map_err(|e| self.fault(&e))
    }
    pub async fn read(&self, path: &str, options: &ReadOptions) -> Result<Reading> {
        self.files().await?.read(path, options).await.map_err(|e| self.fault(&e))
    }
    pub async fn search(&self, query: &Query) -> Result<Found> {
        self.files().await?.search(query).await.map_err(|e| self.fault(&e))
    }
    pub async fn plan_write(&self, path: &str, mode: Mode) -> Result<Change> {
        self.files().await?.plan_write(path, mode, None, apply).await.map_err(|e| self.fault(&e))
    }
    pub async fn plan_create(&self, path: &str, content: Content) -> Result<Change> {
        self.files().await?.plan_create(path, content).await.map_err(|e| self.fault(&e))
    }
    pub async fn plan_delete(&self, path: &str, recursive: bool) -> Result<Change> {
        self.files().await?.plan_delete(path, recursive, None).await.map_err(|e| self.fault(&e))
    }
    pub async fn plan_rename(&self, path: &str, new_path: &str) -> Result<Change> {
        self.files().await?.plan_rename(path, new_path).await.map_err(|e| self.fault(&e))
    }
    /// What [`Writer::undo`] would do.
    pub async fn plan_undo(&self, undo: &Undo) -> Result<Change> {
        self.files().await?.plan_undo(undo).await.map_err(|e| self.fault(&e))
    }
}

/// The addons of one call, changing.
#[derive(Debug, Clone)]
pub struct Writer {
    read: Reader,
}
impl Writer {
    /// Needs the proof that this call may write.
    pub fn new(read: Reader, _permit: &WritePermit) -> Self {
        Self { read }
    }
    pub async fn write(&self, path: &str, mode: Mode) -> Result<Change> {
        self.read.files().await?.write(path, mode, None, apply).await.map_err(|e| self.read.fault(&e))
    }
    pub async fn create(&self, path: &str, content: Content) -> Result<Change> {
        self.read.files().await?.create(path, content).await.map_err(|e| self.read.fault(&e))
    }
    pub async fn delete(&self, path: &str, recursive: bool) -> Result<Change> {
        self.read.files().await?.delete(path, recursive, None).await.map_err(|e| self.read.fault(&e))
    }
    pub async fn rename(&self, path: &str, new_path: &str) -> Result<Change> {
        self.read.files().await?.rename(path, new_path).await.map_err(|e| self.read.fault(&e))
    }
    /// Puts back what a change replaced, unless the file was changed since.
    pub async fn undo(&self, undo: &Undo) -> Result<Change> {
        self.read.files().await?.undo(undo).await.map_err(|e| self.read.fault(&e))
    }
}
