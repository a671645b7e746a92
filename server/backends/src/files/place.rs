//! The orders that both places understand, and their answers.
//!
//! An order names its root by index and its path by components that `roots.rs` has checked. Policy (what is writable, what is
//! too much) is above; what only the place can see (links, kinds, devices, versions at the moment of a change) is here.
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{
    error::{Error, Result},
    local::Local,
    remote::{Remote, Stream},
    roots::{Located, Roots},
};

#[derive(Debug, Clone)]
pub(super) enum Place {
    Local(Arc<Local>),
    Container(Arc<Remote>),
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    File,
    Directory,
    /// A symbolic link: listed, never followed.
    Link,
    Fifo,
    Socket,
    /// A character or block device.
    Device,
    Other,
}
impl Kind {
    /// As messages have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "symbolic link",
            Self::Fifo => "FIFO",
            Self::Socket => "socket",
            Self::Device => "device",
            Self::Other => "special file",
        }
    }
}

/// What the file system tells of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Permission bits, `0o7777`.
    pub mode: u32,
    /// Last change of the content: seconds since 1970 and nanoseconds.
    pub mtime: i64,
    pub nanoseconds: u32,
    pub uid: u32,
    pub gid: u32,
    /// Hard links.
    pub links: u64,
    pub inode: u64,
}
impl Meta {
    /// Last change as RFC 3339, UTC, in seconds.
    pub fn modified(&self) -> String {
        chrono::DateTime::from_timestamp(self.mtime, self.nanoseconds)
            .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
            .unwrap_or_default()
    }
    /// The version of a file that is too large to be hashed, or of a directory.
    pub(super) fn stamp(&self) -> String {
        if self.kind == Kind::Directory {
            return format!("dir-{}", self.inode);
        }
        format!("stat-{}-{}-{}.{:09}", self.inode, self.size, self.mtime, self.nanoseconds)
    }
}

/// A content's version: its SHA-256 in hexadecimal.
pub(super) fn hash(content: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(content) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What has to be there for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Expect {
    Absent,
    Version(String),
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Order {
    /// Directories with a manifest, of all roots.
    Addons,
    /// Entries below a directory, nearest first.
    Walk {
        root: usize,
        path: Vec<String>,
        depth: u8,
        cap: usize,
    },
    /// What it is, and a file's content: all of it if it has at most `whole` bytes, else `head` bytes from `offset` on (and
    /// one more, if there is more).
    Get {
        root: usize,
        path: Vec<String>,
        whole: u64,
        head: u64,
        offset: u64,
    },
    /// A file's content, from the payload.
    Put {
        root: usize,
        path: Vec<String>,
        expect: Expect,
        parents: bool,
        mode: u32,
    },
    Mkdir {
        root: usize,
        path: Vec<String>,
        parents: bool,
    },
    /// A file, or a directory with up to `limit` entries in it.
    Remove {
        root: usize,
        path: Vec<String>,
        expect: Option<String>,
        recursive: bool,
        limit: u64,
        dry: bool,
    },
    Rename {
        root: usize,
        path: Vec<String>,
        to: Vec<String>,
        expect: Option<String>,
    },
}
impl Order {
    pub(super) fn changes(&self) -> bool {
        match self {
            Self::Addons | Self::Walk { .. } | Self::Get { .. } => false,
            Self::Remove { dry, .. } => !dry,
            _ => true,
        }
    }
    pub(super) fn doing(&self) -> &'static str {
        match self {
            Self::Addons | Self::Walk { .. } => "list",
            Self::Get { .. } => "read",
            Self::Put { .. } => "write",
            Self::Mkdir { .. } => "create",
            Self::Remove { .. } => "delete",
            Self::Rename { .. } => "rename",
        }
    }
    fn at(&self) -> Option<(usize, &[String])> {
        match self {
            Self::Addons => None,
            Self::Walk { root, path, .. }
            | Self::Get { root, path, .. }
            | Self::Put { root, path, .. }
            | Self::Mkdir { root, path, .. }
            | Self::Remove { root, path, .. }
            | Self::Rename { root, path, .. } => Some((*root, path)),
        }
    }
}

/// One entry of a walk, named from where the walk began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) path: Vec<String>,
    /// Some name on the way is not UTF-8 and stands here with replacements.
    #[serde(default)]
    pub(super) lossy: bool,
    pub(super) meta: Meta,
    /// A directory whose entries are not all here.
    #[serde(default)]
    pub(super) cut: bool,
}
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AddonSeen {
    pub(super) root: usize,
    /// None: the root itself.
    pub(super) name: Option<String>,
    pub(super) manifest: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Done {
    /// What is there now.
    pub(super) meta: Option<Meta>,
    #[serde(default)]
    pub(super) files: u64,
    #[serde(default)]
    pub(super) directories: u64,
    #[serde(default)]
    pub(super) bytes: u64,
    /// Parents that had to be made: the last so many of the path's.
    #[serde(default)]
    pub(super) made: usize,
    /// The owner could not be kept.
    #[serde(default)]
    pub(super) owner: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "snake_case")]
pub(super) enum Reply {
    Addons {
        addons: Vec<AddonSeen>,
        truncated: bool,
    },
    Walked {
        entries: Vec<Seen>,
        truncated: bool,
    },
    /// The payload is the content, or its head.
    Got {
        meta: Meta,
    },
    Done(Done),
}

/// Why an order was not carried out. `at`: how many components lead to what is in the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub(super) enum Fault {
    NotFound {
        at: usize,
    },
    Link {
        at: usize,
    },
    Special {
        at: usize,
        kind: Kind,
    },
    NotDirectory {
        at: usize,
    },
    IsDirectory {
        at: usize,
    },
    Denied {
        at: usize,
    },
    Mount {
        at: usize,
    },
    ReadOnly,
    Exists,
    NotEmpty,
    Conflict {
        found: String,
    },
    TooLarge {
        size: u64,
    },
    TooMany,
    NoSpace,
    Busy,
    RootGone {
        root: usize,
        why: String,
    },
    IntoItself,
    CrossDevice,
    Git {
        below: Vec<String>,
    },
    Partial {
        files: u64,
        directories: u64,
        why: String,
    },
    Cancelled,
    Io {
        why: String,
    },
    /// About the new path of a rename.
    New {
        about: Box<Fault>,
    },
}

impl Place {
    /// Carries an order out. Dropping it before the change begins means that no change is made.
    pub(super) async fn run(&self, roots: &Roots, order: Order, payload: Bytes, until: Instant) -> Result<(Reply, Bytes)> {
        let began = Instant::now();
        let context = Context::of(roots, &order);
        let done = match self {
            Self::Local(local) => local.run(order, payload, until).await,
            Self::Container(remote) => remote.run(order, payload, until).await,
        };
        done.map_err(|failure| context.failed(roots, failure, until.saturating_duration_since(began)))
    }

    /// For several orders that change nothing, one after the other.
    pub(super) fn session(&self) -> Session<'_> {
        Session { place: self, stream: None }
    }
}

/// Several orders that change nothing; in a container they are one run of the script.
#[derive(Debug)]
pub(super) struct Session<'a> {
    place: &'a Place,
    stream: Option<Stream>,
}
impl Session<'_> {
    pub(super) async fn ask(&mut self, roots: &Roots, order: Order, until: Instant) -> Result<(Reply, Bytes)> {
        let Place::Container(remote) = self.place else {
            return self.place.run(roots, order, Bytes::new(), until).await;
        };
        let (context, began) = (Context::of(roots, &order), Instant::now());
        let failed = |failure| context.failed(roots, failure, until.saturating_duration_since(began));
        // Taken out while it is used: half an answer is nobody's to read on.
        let mut stream = match self.stream.take() {
            Some(mut stream) => match stream.ask(&order) {
                Ok(()) => stream,
                Err(failure) => return Err(failed(failure)),
            },
            None => match remote.open(&order, until).await {
                Ok(stream) => stream,
                Err(failure) => return Err(failed(failure)),
            },
        };
        let answer = stream.answer().await;
        if matches!(answer, Ok(_) | Err(Failure::Fault(_))) {
            self.stream = Some(stream);
        }
        answer.map_err(failed)
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    Fault(Fault),
    /// The deadline; `unknown`: the change had begun.
    Late {
        unknown: bool,
    },
    Docker {
        source: crate::docker::Error,
        unknown: bool,
    },
    Script {
        why: String,
        unknown: bool,
    },
    Crowded,
}

/// What a fault is told about.
#[derive(Debug)]
pub(super) struct Context {
    root: usize,
    path: Vec<String>,
    to: Option<Vec<String>>,
    expected: String,
    limit: u64,
    shown: String,
    doing: &'static str,
    changes: bool,
}
impl Context {
    fn of(roots: &Roots, order: &Order) -> Self {
        let (root, path) = order.at().map_or((0, Vec::new()), |(root, path)| (root, path.to_vec()));
        let (to, expected, limit) = match order {
            Order::Rename { to, expect, .. } => (Some(to.clone()), expect.clone(), 0),
            Order::Remove { expect, limit, .. } => (None, expect.clone(), *limit),
            Order::Put { expect: Expect::Version(version), .. } => (None, Some(version.clone()), 0),
            _ => (None, None, 0),
        };
        let shown = if matches!(order, Order::Addons) { "all roots".to_owned() } else { roots.shown(root, &path) };
        let (doing, changes) = (order.doing(), order.changes());
        Self { root, path, to, expected: expected.unwrap_or_default(), limit, shown, doing, changes }
    }
    /// For what is done without an order.
    pub(super) fn reading(located: &Located, doing: &'static str) -> Self {
        Self {
            root: located.root,
            path: located.path.clone(),
            to: None,
            expected: String::new(),
            limit: 0,
            shown: located.shown.clone(),
            doing,
            changes: false,
        }
    }
    pub(super) fn failed(self, roots: &Roots, failure: Failure, within: Duration) -> Error {
        match failure {
            Failure::Fault(fault) => self.explain(roots, fault),
            Failure::Late { unknown } => {
                Error::Timeout { path: self.shown, doing: self.doing, within, outcome_unknown: unknown && self.changes }
            }
            Failure::Docker { source, unknown } => {
                Error::Container { source: Box::new(source), outcome_unknown: unknown && self.changes }
            }
            Failure::Script { why, unknown } => Error::Script { why, outcome_unknown: unknown && self.changes },
            Failure::Crowded => Error::Crowded,
        }
    }
    pub(super) fn explain(self, roots: &Roots, fault: Fault) -> Error {
        let at = |count: usize| roots.shown(self.root, self.path.get(..count).unwrap_or(&self.path));
        let path = self.shown.clone();
        let new_path = self.to.as_ref().map_or_else(|| path.clone(), |to| roots.shown(self.root, to));
        match fault {
            Fault::NotFound { at: count } => Error::NotFound { path: at(count) },
            Fault::Link { at: count } => Error::Link { path: at(count) },
            Fault::Special { at: count, kind } => Error::Special { path: at(count), kind },
            Fault::NotDirectory { at: count } => Error::NotDirectory { path: at(count) },
            Fault::IsDirectory { at: count } => Error::IsDirectory { path: at(count) },
            Fault::Denied { at: count } => Error::Denied { path: at(count), doing: self.doing },
            Fault::Mount { at: count } => Error::Mount { path: at(count) },
            Fault::ReadOnly => Error::ReadOnly { path },
            Fault::Exists => Error::Exists { path: new_path },
            Fault::NotEmpty => Error::NotEmpty { path },
            Fault::Conflict { found } => Error::Conflict { path, expected: self.expected, found },
            Fault::TooLarge { size } => Error::TooLarge { path, size, limit: super::WHOLE },
            Fault::TooMany => Error::TooMany { path, limit: self.limit },
            Fault::NoSpace => Error::NoSpace { path },
            Fault::Busy => Error::Busy { path },
            Fault::RootGone { root, why } => {
                Error::RootGone { root: roots.all.get(root).map(|root| root.name.clone()).unwrap_or_default(), why }
            }
            Fault::IntoItself => Error::IntoItself { path },
            Fault::CrossDevice => Error::CrossRoot { path, new_path },
            Fault::Git { below } => {
                Error::Git { path: roots.shown(self.root, &self.path.iter().chain(&below).cloned().collect::<Vec<_>>()) }
            }
            Fault::Partial { files, directories, why } => Error::Partial { path, files, directories, why },
            Fault::Cancelled => Error::Cancelled,
            Fault::New { about } => {
                let to = self.to.clone().unwrap_or_default();
                Self { path: to, shown: new_path, to: None, ..self }.explain(roots, *about)
            }
            Fault::Io { why } => Error::Io { path, why },
        }
    }
}

/// Between a change and its deadline: the change begins or the deadline comes, never both.
#[derive(Debug, Default)]
pub(super) struct Gate(AtomicU8);
const RUNNING: u8 = 0;
const COMMITTED: u8 = 1;
const CANCELLED: u8 = 2;
impl Gate {
    /// Whether to go on with what changes nothing.
    pub(super) fn go(&self) -> Result<(), Fault> {
        if self.0.load(Ordering::Acquire) == CANCELLED { Err(Fault::Cancelled) } else { Ok(()) }
    }
    /// From here on it changes something.
    pub(super) fn commit(&self) -> Result<(), Fault> {
        match self.0.compare_exchange(RUNNING, COMMITTED, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) | Err(COMMITTED) => Ok(()),
            Err(_) => Err(Fault::Cancelled),
        }
    }
    /// True: nothing is and will be changed.
    pub(super) fn cancel(&self) -> bool {
        !matches!(self.0.compare_exchange(RUNNING, CANCELLED, Ordering::AcqRel, Ordering::Acquire), Err(COMMITTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_the_change_or_the_deadline() {
        let gate = Gate::default();
        assert!(gate.go().is_ok() && gate.cancel() && gate.cancel());
        assert_eq!((gate.go(), gate.commit()), (Err(Fault::Cancelled), Err(Fault::Cancelled)));
        let gate = Gate::default();
        assert!(gate.commit().is_ok() && gate.commit().is_ok() && gate.go().is_ok());
        assert!(!gate.cancel());
        for _ in 0..2000 {
            let gate = Arc::new(Gate::default());
            let other = gate.clone();
            let commits = std::thread::spawn(move || other.commit().is_ok());
            assert_ne!(gate.cancel(), commits.join().unwrap());
        }
    }
}
