//! Changes: planned, made, and taken back.
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::{task::spawn_blocking, time::Instant};

use super::{
    Files, UNDO, WHOLE,
    error::{Error, Result},
    place::{Done, Expect, Kind, Meta, Order, Reply, hash},
    roots::{Located, is_git},
    text,
    view::unexpected,
};

/// Entries that one recursive deletion takes.
const DELETED: u64 = 20_000;
/// Names that a plan shows of them.
const NAMED: usize = 50;

/// Applies a unified diff to a text: the new text and a note on how well it fitted (empty: exactly), or why it does not.
pub type Apply = fn(&str, &str) -> Result<(String, String), String>;

/// How a file is to be changed.
#[derive(Debug, Clone)]
pub enum Mode {
    /// All of its content.
    Full(Vec<u8>),
    /// A unified diff.
    Patch(String),
    /// Lines before line `line`, from 1; the number of lines plus one appends.
    Insert { line: u64, content: String },
}

/// What is to be created.
#[derive(Debug, Clone)]
pub enum Content {
    File(Vec<u8>),
    Directory,
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Written,
    Created,
    DirectoryCreated,
    Deleted,
    DirectoryDeleted,
    Renamed,
}

/// What a change did, or, when planned, would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// False: a plan.
    pub done: bool,
    pub kind: ChangeKind,
    pub path: String,
    pub new_path: Option<String>,
    pub bytes_before: Option<u64>,
    pub bytes_after: Option<u64>,
    /// How many it is about.
    pub files: u64,
    pub directories: u64,
    /// Of a directory's deletion: the first 50 entries.
    pub names: Vec<String>,
    /// Unified; none for what is no text, and when nothing differs.
    pub diff: Option<String>,
    /// After the change; of a planned deletion, what `expected` takes.
    pub version: Option<String>,
    /// To be kept by whoever wants to take it back; none: `notes` say why, or nothing was changed.
    #[serde(skip)]
    pub undo: Option<Undo>,
    pub notes: Vec<String>,
}

/// How to take a change back. Holds the file's previous content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    pub kind: ChangeKind,
    pub path: String,
    #[serde(default)]
    pub new_path: Option<String>,
    /// The previous content, in JSON as base64.
    #[serde(default, with = "base64_bytes")]
    pub before: Option<Vec<u8>>,
    /// What has to be there for it to be taken back.
    #[serde(default)]
    pub after_version: Option<String>,
    /// Permission bits of a file that is gone.
    #[serde(default)]
    pub mode: Option<u32>,
    /// Directories that were made on the way.
    #[serde(default)]
    pub made: usize,
}

mod base64_bytes {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
        bytes.as_ref().map(|bytes| STANDARD.encode(bytes)).serialize(to)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| STANDARD.decode(text).map_err(D::Error::custom)).transpose()
    }
}

impl Change {
    fn new(kind: ChangeKind, path: &str, done: bool) -> Self {
        Self {
            done,
            kind,
            path: path.to_owned(),
            new_path: None,
            bytes_before: None,
            bytes_after: None,
            files: 0,
            directories: 0,
            names: Vec::new(),
            diff: None,
            version: None,
            undo: None,
            notes: Vec::new(),
        }
    }
}
impl Undo {
    fn new(kind: ChangeKind, path: &str) -> Self {
        Self { kind, path: path.to_owned(), new_path: None, before: None, after_version: None, mode: None, made: 0 }
    }
}

impl Files {
    /// What [`Files::write`] would do.
    pub async fn plan_write(&self, path: &str, mode: Mode, expected: Option<&str>, apply: Apply) -> Result<Change> {
        self.change(path, mode, expected, apply, true).await
    }
    /// Changes an existing file, as a whole or not at all; its mode stays, and so does its owner if ocore may give files away.
    ///
    /// `expected`: the version that was read; without it, the change is made to what is there. In any case a change by
    /// somebody else between ocore's own reading and writing is noticed.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is another version; [`Error::Patch`], [`Error::Line`] when the change does not fit.
    pub async fn write(&self, path: &str, mode: Mode, expected: Option<&str>, apply: Apply) -> Result<Change> {
        self.change(path, mode, expected, apply, false).await
    }
    /// What [`Files::create`] would do.
    pub async fn plan_create(&self, path: &str, content: Content) -> Result<Change> {
        self.make(path, content, 0o644, true).await
    }
    /// Creates a file (0644) or directory (0755), and the directories above it. Never replaces anything.
    pub async fn create(&self, path: &str, content: Content) -> Result<Change> {
        self.make(path, content, 0o644, false).await
    }
    /// What [`Files::delete`] would do; its `version` is what `expected` takes.
    pub async fn plan_delete(&self, path: &str, recursive: bool, expected: Option<&str>) -> Result<Change> {
        self.remove(path, recursive, expected, true).await
    }
    /// Deletes a file, or a directory: an empty one, or with `recursive` all that is in it (up to 20,000 entries, no `.git`,
    /// no other file system). Symbolic links in it go themselves, what they point to stays.
    pub async fn delete(&self, path: &str, recursive: bool, expected: Option<&str>) -> Result<Change> {
        self.remove(path, recursive, expected, false).await
    }
    /// What [`Files::rename`] would do.
    pub async fn plan_rename(&self, path: &str, new_path: &str) -> Result<Change> {
        self.move_to(path, new_path, None, true).await
    }
    /// Moves a file or directory below its root. Never replaces anything; the directory above the new path has to exist.
    pub async fn rename(&self, path: &str, new_path: &str) -> Result<Change> {
        self.move_to(path, new_path, None, false).await
    }

    /// Takes a change back, if the file is still what the change made of it.
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Exists`], [`Error::NotFound`], [`Error::NotEmpty`]: it is not.
    pub async fn undo(&self, undo: &Undo) -> Result<Change> {
        self.take_back(undo, false).await
    }
    /// What [`Files::undo`] would do.
    pub async fn plan_undo(&self, undo: &Undo) -> Result<Change> {
        self.take_back(undo, true).await
    }
    async fn take_back(&self, undo: &Undo, planned: bool) -> Result<Change> {
        let missing = || Error::Argument { what: "The undo", why: "it lacks what its kind needs".to_owned() };
        let version = undo.after_version.as_deref();
        match undo.kind {
            ChangeKind::Written => {
                let before = undo.before.clone().ok_or_else(missing)?;
                let expected = version.ok_or_else(missing)?;
                self.change(&undo.path, Mode::Full(before), Some(expected), no_patch, planned).await
            }
            ChangeKind::Created => {
                let change = self.remove(&undo.path, false, Some(version.ok_or_else(missing)?), planned).await?;
                if !planned {
                    self.unmake(&undo.path, undo.made).await;
                }
                Ok(change)
            }
            ChangeKind::DirectoryCreated => {
                let change = self.remove(&undo.path, false, None, planned).await?;
                if !planned {
                    self.unmake(&undo.path, undo.made).await;
                }
                Ok(change)
            }
            ChangeKind::Deleted => {
                let before = undo.before.clone().ok_or_else(missing)?;
                self.make(&undo.path, Content::File(before), undo.mode.unwrap_or(0o644), planned).await
            }
            ChangeKind::DirectoryDeleted => self.make(&undo.path, Content::Directory, 0o755, planned).await,
            ChangeKind::Renamed => {
                let new_path = undo.new_path.as_deref().ok_or_else(missing)?;
                self.move_to(new_path, &undo.path, Some(version.ok_or_else(missing)?), planned).await
            }
        }
    }

    /// A place where something may be changed.
    fn writable(&self, path: &str) -> Result<Located> {
        let located = self.roots.below(path)?;
        let root = self.roots.get(located.root)?;
        if !root.writable {
            return Err(Error::ReadOnlyRoot { root: root.name.clone() });
        }
        if located.path.iter().any(|part| is_git(part)) {
            return Err(Error::Git { path: located.shown });
        }
        if located.path.is_empty() {
            return Err(Error::Top { path: located.shown });
        }
        Ok(located)
    }
    async fn done(&self, order: Order, payload: Bytes, until: Instant) -> Result<Done> {
        match self.place.run(&self.roots, order, payload, until).await?.0 {
            Reply::Done(done) => Ok(done),
            _ => Err(unexpected()),
        }
    }

    async fn change(&self, path: &str, mode: Mode, expected: Option<&str>, apply: Apply, dry: bool) -> Result<Change> {
        let until = self.until();
        let located = self.writable(path)?;
        let (meta, old) = self.get(&located, WHOLE, 0, until).await?;
        if meta.kind != Kind::File {
            return Err(Error::IsDirectory { path: located.shown });
        }
        let whole = meta.size <= WHOLE;
        let version = if whole { hash(&old) } else { meta.stamp() };
        if let Some(expected) = expected
            && expected != version
        {
            return Err(Error::Conflict { path: located.shown, expected: expected.to_owned(), found: version });
        }
        if !whole && !matches!(mode, Mode::Full(_)) {
            return Err(Error::TooLarge { path: located.shown, size: meta.size, limit: WHOLE });
        }
        let (shown, before) = (located.shown.clone(), old.clone());
        let planned = spawn_blocking(move || changed(&shown, &before, mode, apply)).await;
        let (new, diff, notes) = planned
            .map_err(|_| Error::Patch { path: located.shown.clone(), why: "the diff could not be applied.".to_owned() })??;
        let size = new.len() as u64;
        if size > WHOLE {
            return Err(Error::TooLarge { path: located.shown, size, limit: WHOLE });
        }
        let new_version = hash(&new);
        let mut change = Change::new(ChangeKind::Written, &located.shown, !dry);
        change.files = 1;
        change.bytes_before = Some(meta.size);
        change.bytes_after = Some(size);
        change.diff = if whole { diff } else { None };
        change.notes = notes;
        change.version = Some(new_version.clone());
        if new_version == version {
            change.notes.push("The content is what it was: nothing to change.".to_owned());
            return Ok(change);
        }
        if meta.links > 1 {
            change.notes.push(format!(
                "The file has {} names (hard links): this one gets a file of its own, the others keep the old content.",
                meta.links
            ));
        }
        let keep = meta.size <= UNDO;
        if !keep {
            change.notes.push("No undo: the previous content is larger than 5 MB.".to_owned());
        }
        if dry {
            return Ok(change);
        }
        let order =
            Order::Put { root: located.root, path: located.path, expect: Expect::Version(version), parents: false, mode: 0o644 };
        let done = self.done(order, new.into(), until).await?;
        if done.owner {
            change.notes.push("The file belongs to ocore's user now: it may not give files to the previous owner.".to_owned());
        }
        change.undo = keep.then(|| Undo {
            before: Some(old.to_vec()),
            after_version: Some(new_version),
            mode: Some(meta.mode),
            ..Undo::new(ChangeKind::Written, &located.shown)
        });
        Ok(change)
    }

    async fn make(&self, path: &str, content: Content, mode: u32, dry: bool) -> Result<Change> {
        let until = self.until();
        let located = self.writable(path)?;
        let kind = if matches!(content, Content::File(_)) { ChangeKind::Created } else { ChangeKind::DirectoryCreated };
        let mut change = Change::new(kind, &located.shown, !dry);
        let bytes = match content {
            Content::File(bytes) => {
                let size = bytes.len() as u64;
                if size > WHOLE {
                    return Err(Error::TooLarge { path: located.shown, size, limit: WHOLE });
                }
                change.files = 1;
                change.bytes_after = Some(size);
                change.version = Some(hash(&bytes));
                change.diff = text::text(&bytes).and_then(|text| text::unified(&located.shown, "", text));
                Some(bytes)
            }
            Content::Directory => {
                change.directories = 1;
                None
            }
        };
        if dry {
            return self.plan_make(located, change, until).await;
        }
        let (root, path) = (located.root, located.path);
        let mut undo = Undo { after_version: change.version.clone(), ..Undo::new(kind, &located.shown) };
        let order = match bytes {
            Some(_) => Order::Put { root, path, expect: Expect::Absent, parents: true, mode },
            None => Order::Mkdir { root, path, parents: true },
        };
        let done = self.done(order, bytes.unwrap_or_default().into(), until).await?;
        change.directories += done.made as u64;
        undo.made = done.made;
        change.undo = Some(undo);
        Ok(change)
    }
    /// Looks upwards for what is there already.
    async fn plan_make(&self, located: Located, mut change: Change, until: Instant) -> Result<Change> {
        let mut above = located.clone();
        loop {
            match self.get(&above, 0, 0, until).await {
                Ok(_) if above.path.len() == located.path.len() => return Err(Error::Exists { path: located.shown }),
                Ok((Meta { kind: Kind::Directory, .. }, _)) => {
                    change.directories += (located.path.len() - above.path.len() - 1) as u64;
                    return Ok(change);
                }
                Ok(_) => return Err(Error::NotDirectory { path: above.shown }),
                Err(Error::NotFound { .. }) if !above.path.is_empty() => {
                    above.path.pop();
                    above.shown = self.roots.shown(above.root, &above.path);
                }
                Err(error) => return Err(error),
            }
        }
    }
    /// Takes directories back that were made on the way and are empty again.
    async fn unmake(&self, path: &str, made: usize) {
        let Ok(mut located) = self.writable(path) else { return };
        for _ in 0..made {
            located.path.pop();
            let (root, path) = (located.root, located.path.clone());
            let order = Order::Remove { root, path, expect: None, recursive: false, limit: 1, dry: false };
            if located.path.is_empty() || self.done(order, Bytes::new(), self.until()).await.is_err() {
                return;
            }
        }
    }

    async fn remove(&self, path: &str, recursive: bool, expected: Option<&str>, dry: bool) -> Result<Change> {
        let until = self.until();
        let located = self.writable(path)?;
        let (meta, old) = self.get(&located, WHOLE, 0, until).await?;
        if meta.kind == Kind::Directory {
            return self.remove_directory(located, recursive, expected, dry, until).await;
        }
        let version = if meta.size <= WHOLE { hash(&old) } else { meta.stamp() };
        if let Some(expected) = expected
            && expected != version
        {
            return Err(Error::Conflict { path: located.shown, expected: expected.to_owned(), found: version });
        }
        let mut change = Change::new(ChangeKind::Deleted, &located.shown, !dry);
        change.files = 1;
        change.bytes_before = Some(meta.size);
        change.version = dry.then(|| version.clone());
        let keep = meta.size <= UNDO;
        if !keep {
            change.notes.push("No undo: the content is larger than 5 MB.".to_owned());
        }
        if dry {
            return Ok(change);
        }
        let (root, path) = (located.root, located.path);
        let order = Order::Remove { root, path, expect: Some(version), recursive: false, limit: 0, dry };
        self.done(order, Bytes::new(), until).await?;
        change.undo = keep.then(|| Undo {
            before: Some(old.to_vec()),
            mode: Some(meta.mode & 0o777),
            ..Undo::new(ChangeKind::Deleted, &located.shown)
        });
        Ok(change)
    }
    async fn remove_directory(
        &self,
        located: Located,
        recursive: bool,
        expected: Option<&str>,
        dry: bool,
        until: Instant,
    ) -> Result<Change> {
        let order =
            |dry| Order::Remove { root: located.root, path: located.path.clone(), expect: None, recursive, limit: DELETED, dry };
        // What is at the top of a root goes on purpose or not at all.
        let explained = |error| match error {
            Error::NotEmpty { path } if located.path.len() == 1 => Error::Top { path },
            error => error,
        };
        let mut change = Change::new(ChangeKind::DirectoryDeleted, &located.shown, !dry);
        let mut done = Done::default();
        if dry || expected.is_some() {
            done = self.done(order(true), Bytes::new(), until).await.map_err(explained)?;
            let version = format!("tree-{}-{}-{}", done.files, done.directories, done.bytes);
            if let Some(expected) = expected
                && expected != version
            {
                return Err(Error::Conflict { path: located.shown, expected: expected.to_owned(), found: version });
            }
            change.version = dry.then_some(version);
        }
        if dry {
            change.names = self.tree(&located.shown, 3, NAMED).await?.entries.into_iter().map(|entry| entry.path).collect();
        } else {
            done = self.done(order(false), Bytes::new(), until).await.map_err(explained)?;
        }
        change.files = done.files;
        change.directories = done.directories;
        change.bytes_before = Some(done.bytes);
        if done.files + done.directories > 1 {
            change.notes.push("No undo: the directory is not empty.".to_owned());
        } else if !dry {
            change.undo = Some(Undo::new(ChangeKind::DirectoryDeleted, &located.shown));
        }
        Ok(change)
    }

    async fn move_to(&self, path: &str, new_path: &str, expected: Option<&str>, dry: bool) -> Result<Change> {
        let until = self.until();
        let (from, to) = (self.writable(path)?, self.writable(new_path)?);
        if from.root != to.root {
            return Err(Error::CrossRoot { path: from.shown, new_path: to.shown });
        }
        if from.path == to.path || to.path.starts_with(&from.path) {
            return Err(Error::IntoItself { path: from.shown });
        }
        let (meta, content) = self.get(&from, WHOLE, 0, until).await?;
        let file = meta.kind == Kind::File;
        let version = if file && meta.size <= WHOLE { hash(&content) } else { meta.stamp() };
        if let Some(expected) = expected
            && expected != version
        {
            return Err(Error::Conflict { path: from.shown, expected: expected.to_owned(), found: version });
        }
        let mut change = Change::new(ChangeKind::Renamed, &from.shown, !dry);
        change.new_path = Some(to.shown.clone());
        change.version = Some(version.clone());
        (change.files, change.directories) = if file { (1, 0) } else { (0, 1) };
        if from.path.len() == 1 && !file {
            change.notes.push("Odoo knows an addon by its directory's name: under another it is another addon.".to_owned());
        }
        if dry {
            match self.get(&to, 0, 0, until).await {
                Err(Error::NotFound { path }) if path == to.shown => return Ok(change),
                Ok(_) => return Err(Error::Exists { path: to.shown }),
                Err(error) => return Err(error),
            }
        }
        let order = Order::Rename { root: from.root, path: from.path, to: to.path, expect: Some(version.clone()) };
        self.done(order, Bytes::new(), until).await?;
        change.undo =
            Some(Undo { new_path: Some(to.shown), after_version: Some(version), ..Undo::new(ChangeKind::Renamed, &from.shown) });
        Ok(change)
    }
}

/// The new content, its difference from the old, and notes.
fn changed(path: &str, old: &[u8], mode: Mode, apply: Apply) -> Result<(Vec<u8>, Option<String>, Vec<String>)> {
    let binary = || Error::Binary { path: path.to_owned() };
    let mut notes = Vec::new();
    let new = match mode {
        Mode::Full(content) => content,
        Mode::Patch(diff) => {
            let old = text::text(old).ok_or_else(binary)?;
            let (new, note) = text::patch(old, &diff, apply).map_err(|why| Error::Patch { path: path.to_owned(), why })?;
            if !note.is_empty() {
                notes.push(note);
            }
            new.into_bytes()
        }
        Mode::Insert { line, content } => {
            let text = text::text(old).ok_or_else(binary)?;
            let lines = text::count(old);
            text::insert(text, line, &content).ok_or(Error::Line { path: path.to_owned(), line, lines })?.into_bytes()
        }
    };
    let diff = match (text::text(old), text::text(&new)) {
        (Some(old), Some(new)) => text::unified(path, old, new),
        _ => None,
    };
    Ok((new, diff, notes))
}
fn no_patch(_: &str, _: &str) -> Result<(String, String), String> {
    Err("no diff is applied here".to_owned())
}
