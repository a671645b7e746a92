//! This host's files: every step by the handle of the directory before it.
use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    io::{Read, Seek, SeekFrom, Write},
    ops::ControlFlow,
    os::fd::AsFd,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use cap_std::{ambient_authority, fs::Dir};
use rustix::{
    fs::{AtFlags, FileType, FlockOperation, Gid, Mode, OFlags, RenameFlags, StatxFlags, Uid},
    io::Errno,
};
use tokio::{
    sync::Semaphore,
    task::spawn_blocking,
    time::{Instant, timeout, timeout_at},
};

use super::{
    error::{Error, Result},
    place::{AddonSeen, Done, Expect, Failure, Fault, Gate, Kind, Meta, Order, Reply, Seen, hash},
    roots::{Roots, TEMPORARY, barred, fault, is_git},
};

/// Operations at a time; a file system that hangs holds so many threads and no more.
const SLOTS: usize = 16;
/// Names that are read of one directory.
const NAMES: usize = 20_000;
/// Directories within one another that are walked.
const DEPTH: usize = 64;
pub(super) const MANIFESTS: [&str; 2] = ["__manifest__.py", "__openerp__.py"];
/// Directories whose files are nobody's source.
pub(super) const SKIPPED: [&str; 3] = [".git", "node_modules", "__pycache__"];

type Faulty<T> = std::result::Result<T, Fault>;

#[derive(Debug)]
pub(super) struct Local {
    roots: Vec<Dir>,
    slots: Arc<Semaphore>,
}

/// File system and mount: what may not change on the way to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Device {
    major: u32,
    minor: u32,
    mount: u64,
}

/// Cancels what has not begun when nobody waits for it any more.
struct Waiting(Arc<Gate>);
impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Local {
    pub(super) fn open(roots: &Roots, forbidden: &[PathBuf]) -> Result<Self> {
        let forbidden: Vec<PathBuf> =
            forbidden.iter().map(|path| std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())).collect();
        let (mut opened, mut resolved) = (Vec::new(), Vec::<PathBuf>::new());
        for root in &roots.all {
            let refused = |why: String| Error::RootRefused { name: root.name.clone(), why };
            let dir = Dir::open_ambient_dir(&root.path, ambient_authority())
                .map_err(|error| refused(format!("{} cannot be opened as a directory ({error})", root.path.display())))?;
            // What was opened, not what the path says by now.
            let real = std::fs::canonicalize(&root.path).map_err(|error| refused(error.to_string()))?;
            let found = std::fs::metadata(&real).map_err(|error| refused(error.to_string()))?;
            let (_, inode, _) = look(&dir, "").map_err(|_| refused("its directory cannot be looked at".to_owned()))?;
            if std::os::unix::fs::MetadataExt::ino(&found) != inode.inode {
                return Err(refused("its directory changes while it is opened".to_owned()));
            }
            if let Some(why) = barred(&real, &forbidden) {
                return Err(refused(why));
            }
            if let Some(other) = resolved.iter().find(|other| real.starts_with(other) || other.starts_with(&real)) {
                return Err(refused(format!("it and the root at {} contain one another", other.display())));
            }
            resolved.push(real);
            opened.push(dir);
        }
        Ok(Self { roots: opened, slots: Arc::new(Semaphore::new(SLOTS)) })
    }

    pub(super) async fn run(self: &Arc<Self>, order: Order, payload: Bytes, until: Instant) -> Result<(Reply, Bytes), Failure> {
        let local = self.clone();
        self.blocking(until, move |gate| local.execute(&order, &payload, gate)).await
    }

    /// Runs what blocks, in a thread of its own, until its deadline.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        until: Instant,
        work: impl FnOnce(&Gate) -> Faulty<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let Ok(Ok(permit)) = timeout_at(until, self.slots.clone().acquire_owned()).await else {
            return Err(Failure::Crowded);
        };
        let gate = Arc::new(Gate::default());
        let waiting = Waiting(gate.clone());
        let mut task = spawn_blocking(move || {
            let _permit = permit;
            gate.go()?;
            work(&gate)
        });
        let joined = match timeout_at(until, &mut task).await {
            Ok(joined) => joined,
            Err(_) if waiting.0.cancel() => return Err(Failure::Late { unknown: false }),
            // The change has begun and is a matter of moments.
            Err(_) => match timeout(Duration::from_secs(3), task).await {
                Ok(joined) => joined,
                Err(_) => return Err(Failure::Late { unknown: true }),
            },
        };
        match joined {
            Ok(done) => done.map_err(Failure::Fault),
            Err(error) => Err(Failure::Script { why: error.to_string(), unknown: true }),
        }
    }

    fn root(&self, index: usize) -> Faulty<&Dir> {
        let gone = |why: &str| Fault::RootGone { root: index, why: why.to_owned() };
        let dir = self.roots.get(index).ok_or_else(|| gone("it was never opened"))?;
        let (_, meta, _) = look(dir, "").map_err(|errno| gone(&errno.to_string()))?;
        if meta.links == 0 { Err(gone("it was deleted")) } else { Ok(dir) }
    }

    fn execute(&self, order: &Order, payload: &Bytes, gate: &Gate) -> Faulty<(Reply, Bytes)> {
        let nothing = Bytes::new();
        Ok(match order {
            Order::Addons => (self.addons(gate)?, nothing),
            Order::Walk { root, path, depth, cap } => (self.walk(*root, path, *depth, *cap, gate)?, nothing),
            Order::Get { root, path, whole, head, offset } => self.get(*root, path, (*whole, *head, *offset), gate)?,
            Order::Put { root, path, expect, parents, mode } => {
                (Reply::Done(self.put(*root, path, expect, *parents, *mode, payload, gate)?), nothing)
            }
            Order::Mkdir { root, path, parents } => (Reply::Done(self.mkdir(*root, path, *parents, gate)?), nothing),
            Order::Remove { root, path, expect, recursive, limit, dry } => {
                let root = self.root(*root)?;
                (Reply::Done(remove(root, path, expect.as_deref(), *recursive, *limit, *dry, gate)?), nothing)
            }
            Order::Rename { root, path, to, expect } => {
                (Reply::Done(self.rename(*root, path, to, expect.as_deref(), gate)?), nothing)
            }
        })
    }

    fn addons(&self, gate: &Gate) -> Faulty<Reply> {
        let (mut addons, mut truncated) = (Vec::new(), false);
        for index in 0..self.roots.len() {
            let root = self.root(index)?;
            if let Some(manifest) = manifest(root) {
                addons.push(AddonSeen { root: index, name: None, manifest });
            }
            let (names, more) = names(root)?;
            truncated |= more;
            for name in names.iter().filter_map(|name| name.to_str()) {
                gate.go()?;
                if fault(name).is_none()
                    && let Ok(dir) = step(root, name, 1, None)
                    && let Some(manifest) = manifest(&dir)
                {
                    addons.push(AddonSeen { root: index, name: Some(name.to_owned()), manifest });
                }
            }
        }
        Ok(Reply::Addons { addons, truncated })
    }

    fn walk(&self, root: usize, path: &[String], depth: u8, cap: usize, gate: &Gate) -> Faulty<Reply> {
        let base = descend(self.root(root)?, path, None)?;
        let (mut entries, mut truncated) = (Vec::<Seen>::new(), false);
        let mut todo = VecDeque::from([(Vec::<String>::new(), None::<usize>)]);
        while let Some((below, at)) = todo.pop_front() {
            gate.go()?;
            // Opened again from the base: few handles, and each step is as strict as the first.
            let listed = descend(&base, &below, None).and_then(|dir| names(&dir).map(|found| (dir, found)));
            let (dir, (found, more)) = match (listed, at) {
                (Ok(found), _) => found,
                (Err(fault), None) => return Err(shift(fault, path.len())),
                (Err(_), Some(at)) => {
                    mark(&mut entries, at);
                    continue;
                }
            };
            let mut cut = more;
            for raw in found {
                gate.go()?;
                let (name, lossy) = (raw.to_string_lossy().into_owned(), raw.to_str().is_none());
                if name == "__pycache__" || name.starts_with(TEMPORARY) {
                    continue;
                }
                if entries.len() >= cap {
                    cut = true;
                    break;
                }
                let Ok((kind, meta, _)) = look(&dir, raw.as_os_str()) else { continue };
                let seen: Vec<String> = below.iter().cloned().chain([name.clone()]).collect();
                let deeper = kind == Kind::Directory && !lossy && !is_git(&name) && fault(&name).is_none();
                if deeper && seen.len() < usize::from(depth) {
                    todo.push_back((seen.clone(), Some(entries.len())));
                }
                entries.push(Seen { path: seen, lossy, meta, cut: false });
            }
            if cut {
                truncated = true;
                if let Some(at) = at {
                    mark(&mut entries, at);
                }
            }
        }
        Ok(Reply::Walked { entries, truncated })
    }

    fn get(&self, root: usize, path: &[String], part: (u64, u64, u64), gate: &Gate) -> Faulty<(Reply, Bytes)> {
        let (whole, head, offset) = part;
        let root = self.root(root)?;
        let Some((name, parents)) = path.split_last() else {
            let (_, meta, _) = look(root, "").map_err(|errno| of(errno, 0))?;
            return Ok((Reply::Got { meta }, Bytes::new()));
        };
        let dir = descend(root, parents, None)?;
        let (kind, meta, _) = look(&dir, name).map_err(|errno| of(errno, path.len()))?;
        match kind {
            Kind::Directory => return Ok((Reply::Got { meta }, Bytes::new())),
            Kind::Link => return Err(Fault::Link { at: path.len() }),
            Kind::File => {}
            kind => return Err(Fault::Special { at: path.len(), kind }),
        }
        let (mut file, meta) = open(&dir, name, path.len())?;
        let limit = if meta.size <= whole { whole } else { head };
        if meta.size > whole {
            file.seek(SeekFrom::Start(offset)).map_err(|error| failed(&error, path.len()))?;
        }
        let content = read(&mut file, limit, gate)?;
        if meta.size <= whole && content.len() as u64 > whole {
            return Err(Fault::TooLarge { size: content.len() as u64 });
        }
        let (_, meta, _) = look(&file, "").map_err(|errno| of(errno, path.len()))?;
        Ok((Reply::Got { meta }, content.into()))
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one order")]
    fn put(
        &self,
        root: usize,
        path: &[String],
        expect: &Expect,
        parents: bool,
        mode: u32,
        content: &[u8],
        gate: &Gate,
    ) -> Faulty<Done> {
        let root = self.root(root)?;
        let (name, above) = path.split_last().ok_or(Fault::IsDirectory { at: 0 })?;
        let mut made = 0;
        let done = open_parents(root, above, parents, gate, &mut made).and_then(|dir| {
            let _lock = lock(&dir, gate)?;
            replace(&dir, name, path.len(), expect, mode, content, gate)
        });
        if done.is_err() {
            unmake(root, above, made);
        }
        done.map(|done| Done { made, ..done })
    }

    fn mkdir(&self, root: usize, path: &[String], parents: bool, gate: &Gate) -> Faulty<Done> {
        let root = self.root(root)?;
        let (name, above) = path.split_last().ok_or(Fault::Exists)?;
        let mut made = 0;
        let done = open_parents(root, above, parents, gate, &mut made).and_then(|dir| {
            gate.commit()?;
            let dir = make(&dir, name, path.len())?;
            let (_, meta, _) = look(&dir, "").map_err(|errno| of(errno, path.len()))?;
            Ok(Done { meta: Some(meta), directories: 1, ..Done::default() })
        });
        if done.is_err() {
            unmake(root, above, made);
        }
        done.map(|done| Done { made, ..done })
    }

    fn rename(&self, root: usize, path: &[String], to: &[String], expect: Option<&str>, gate: &Gate) -> Faulty<Done> {
        let root = self.root(root)?;
        let about_new = |fault| Fault::New { about: Box::new(fault) };
        let (name, above) = path.split_last().ok_or(Fault::IntoItself)?;
        let (new_name, new_above) = to.split_last().ok_or(Fault::Exists)?;
        if to.starts_with(path) && to.len() > path.len() {
            return Err(Fault::IntoItself);
        }
        let (_, _, device) = look(root, "").map_err(|errno| of(errno, 0))?;
        let dir = descend(root, above, Some(device))?;
        let new_dir = descend(root, new_above, Some(device)).map_err(about_new)?;
        let _lock = lock(&dir, gate)?;
        let _other = if above == new_above { None } else { Some(lock(&new_dir, gate)?) };
        let (kind, meta, _) = look(&dir, name).map_err(|errno| of(errno, path.len()))?;
        match kind {
            Kind::Directory => {
                step(&dir, name, path.len(), Some(device))?;
            }
            Kind::File => {}
            Kind::Link => return Err(Fault::Link { at: path.len() }),
            kind => return Err(Fault::Special { at: path.len(), kind }),
        }
        if let Some(expect) = expect {
            let found = if kind == Kind::File { version(&dir, name, path.len(), gate)?.0 } else { meta.stamp() };
            if found != expect {
                return Err(Fault::Conflict { found });
            }
        }
        gate.commit()?;
        match rustix::fs::renameat_with(&dir, name.as_str(), &new_dir, new_name.as_str(), RenameFlags::NOREPLACE) {
            // Some file systems do not know the flag.
            Err(Errno::NOSYS | Errno::INVAL) => {
                if kind == Kind::File {
                    rustix::fs::linkat(&dir, name.as_str(), &new_dir, new_name.as_str(), AtFlags::empty())
                        .map_err(|errno| about_new(of(errno, to.len())))?;
                    rustix::fs::unlinkat(&dir, name.as_str(), AtFlags::empty()).map_err(|errno| of(errno, path.len()))?;
                } else {
                    // A directory replaces an empty one only, and this one is ours.
                    rustix::fs::mkdirat(&new_dir, new_name.as_str(), Mode::from(0o700))
                        .map_err(|errno| about_new(of(errno, to.len())))?;
                    rustix::fs::renameat(&dir, name.as_str(), &new_dir, new_name.as_str()).map_err(|errno| {
                        let _ = rustix::fs::unlinkat(&new_dir, new_name.as_str(), AtFlags::REMOVEDIR);
                        of(errno, path.len())
                    })?;
                }
            }
            Err(Errno::EXIST) => return Err(Fault::Exists),
            other => other.map_err(|errno| of(errno, path.len()))?,
        }
        sync(&dir);
        sync(&new_dir);
        let (_, meta, _) = look(&new_dir, new_name).map_err(|errno| about_new(of(errno, to.len())))?;
        let (files, directories) = if kind == Kind::File { (1, 0) } else { (0, 1) };
        Ok(Done { meta: Some(meta), files, directories, ..Done::default() })
    }

    /// Hands over the content of every wanted text file below the starts until told to stop; false when there were too many.
    pub(super) fn scan(
        &self,
        starts: &[(usize, Vec<String>)],
        limits: &ScanLimits,
        gate: &Gate,
        wanted: &dyn Fn(usize, &[String]) -> bool,
        visit: Visit<'_>,
    ) -> Faulty<bool> {
        let (mut files, mut bytes) = (0, 0);
        for (root, start) in starts {
            let base = self.root(*root)?;
            // A start may be a file.
            let mut todo = Vec::new();
            match descend(base, start, None) {
                Ok(_) => todo.push(start.clone()),
                Err(Fault::NotDirectory { at }) if at == start.len() => {
                    if let Some((name, above)) = start.split_last() {
                        let (mut file, _) = open(&descend(base, above, None)?, name, start.len())?;
                        if visit(*root, start, read(&mut file, limits.file, gate)?).is_break() {
                            return Ok(true);
                        }
                    }
                }
                Err(fault) => return Err(fault),
            }
            while let Some(path) = todo.pop() {
                gate.go()?;
                if std::time::Instant::now() >= limits.until {
                    return Ok(false);
                }
                let Ok(dir) = descend(base, &path, None) else { continue };
                let Ok((found, more)) = names(&dir) else { continue };
                if more {
                    return Ok(false);
                }
                let mut directories = Vec::new();
                for name in found.iter().filter_map(|name| name.to_str()) {
                    gate.go()?;
                    if fault(name).is_some() || is_git(name) || SKIPPED.contains(&name) {
                        continue;
                    }
                    let Ok((kind, meta, _)) = look(&dir, name) else { continue };
                    let below: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
                    if kind == Kind::Directory && below.len() < DEPTH {
                        directories.push(below);
                    } else if kind == Kind::File && meta.size <= limits.file && wanted(*root, &below) {
                        files += 1;
                        bytes += meta.size;
                        if files > limits.files || bytes > limits.bytes {
                            return Ok(false);
                        }
                        let Ok((mut file, _)) = open(&dir, name, below.len()) else { continue };
                        let Ok(content) = read(&mut file, limits.file, gate) else { continue };
                        if content.len() as u64 <= limits.file && visit(*root, &below, content).is_break() {
                            return Ok(true);
                        }
                    }
                }
                directories.reverse();
                todo.append(&mut directories);
            }
        }
        Ok(true)
    }
}

/// Takes a root, a path below it and the content; says whether to go on.
pub(super) type Visit<'a> = &'a mut dyn FnMut(usize, &[String], Vec<u8>) -> ControlFlow<()>;

/// What a search may read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ScanLimits {
    /// Bytes of one file, bytes of all, and how many.
    pub(super) file: u64,
    pub(super) bytes: u64,
    pub(super) files: u64,
    /// When to stop looking for more.
    pub(super) until: std::time::Instant,
}

fn mark(entries: &mut [Seen], at: usize) {
    if let Some(seen) = entries.get_mut(at) {
        seen.cut = true;
    }
}

/// A fault below a directory, told from the root.
fn shift(fault: Fault, by: usize) -> Fault {
    match fault {
        Fault::NotFound { at } => Fault::NotFound { at: at + by },
        Fault::Denied { at } => Fault::Denied { at: at + by },
        other => other,
    }
}

/// The kernel's reasons.
fn of(errno: Errno, at: usize) -> Fault {
    match errno {
        Errno::NOENT => Fault::NotFound { at },
        Errno::ACCESS | Errno::PERM => Fault::Denied { at },
        Errno::NOTDIR => Fault::NotDirectory { at },
        Errno::ISDIR => Fault::IsDirectory { at },
        Errno::LOOP => Fault::Link { at },
        Errno::EXIST => Fault::Exists,
        Errno::NOTEMPTY => Fault::NotEmpty,
        Errno::ROFS => Fault::ReadOnly,
        Errno::NOSPC | Errno::DQUOT => Fault::NoSpace,
        Errno::XDEV => Fault::CrossDevice,
        Errno::BUSY => Fault::Mount { at },
        Errno::NXIO | Errno::NODEV => Fault::Special { at, kind: Kind::Other },
        other => Fault::Io { why: other.to_string() },
    }
}
fn failed(error: &std::io::Error, at: usize) -> Fault {
    Errno::from_io_error(error).map_or_else(|| Fault::Io { why: error.to_string() }, |errno| of(errno, at))
}

/// What is there, without following a link; `""`: the handle itself.
fn look(dir: impl AsFd, name: impl rustix::path::Arg) -> std::result::Result<(Kind, Meta, Device), Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
    let found = rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS | StatxFlags::MNT_ID)?;
    let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice | FileType::BlockDevice => Kind::Device,
        FileType::Unknown => Kind::Other,
    };
    let meta = Meta {
        kind,
        size: found.stx_size,
        mode: u32::from(found.stx_mode) & 0o7777,
        mtime: found.stx_mtime.tv_sec,
        nanoseconds: found.stx_mtime.tv_nsec,
        uid: found.stx_uid,
        gid: found.stx_gid,
        links: found.stx_nlink.into(),
        inode: found.stx_ino,
    };
    Ok((kind, meta, Device { major: found.stx_dev_major, minor: found.stx_dev_minor, mount: found.stx_mnt_id }))
}
/// One directory further.
fn step(dir: &Dir, name: &str, at: usize, device: Option<Device>) -> Faulty<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Ok(fd) => {
            let next = Dir::from(fd);
            if let Some(device) = device {
                let (_, _, found) = look(&next, "").map_err(|errno| of(errno, at))?;
                if found != device {
                    return Err(Fault::Mount { at });
                }
            }
            Ok(next)
        }
        Err(Errno::NOTDIR | Errno::LOOP) => match look(dir, name) {
            Ok((Kind::Link, ..)) => Err(Fault::Link { at }),
            Ok((Kind::File | Kind::Directory, ..)) => Err(Fault::NotDirectory { at }),
            Ok((kind, ..)) => Err(Fault::Special { at, kind }),
            Err(errno) => Err(of(errno, at)),
        },
        Err(errno) => Err(of(errno, at)),
    }
}
fn descend(root: &Dir, path: &[String], device: Option<Device>) -> Faulty<Dir> {
    let mut dir = root.try_clone().map_err(|error| failed(&error, 0))?;
    for (index, name) in path.iter().enumerate() {
        dir = step(&dir, name, index + 1, device)?;
    }
    Ok(dir)
}
/// The directory that a change is made in: on the root's own file system, made where it is missing and that is wanted.
fn open_parents(root: &Dir, path: &[String], make_them: bool, gate: &Gate, made: &mut usize) -> Faulty<Dir> {
    let (_, _, device) = look(root, "").map_err(|errno| of(errno, 0))?;
    let mut dir = root.try_clone().map_err(|error| failed(&error, 0))?;
    for (index, name) in path.iter().enumerate() {
        dir = match step(&dir, name, index + 1, Some(device)) {
            Err(Fault::NotFound { .. }) if make_them => {
                gate.commit()?;
                let next = make(&dir, name, index + 1)?;
                *made += 1;
                next
            }
            other => other?,
        };
    }
    Ok(dir)
}
/// A new directory, 0755, its parent's owner's if we may give it.
fn make(dir: &Dir, name: &str, at: usize) -> Faulty<Dir> {
    rustix::fs::mkdirat(dir, name, Mode::from(0o755)).map_err(|errno| of(errno, at))?;
    let next = step(dir, name, at, None)?;
    rustix::fs::fchmod(&next, Mode::from(0o755)).map_err(|errno| of(errno, at))?;
    if let Ok((_, meta, _)) = look(dir, "") {
        own(&next, &meta);
    }
    sync(dir);
    Ok(next)
}
/// Takes back what was made and is still empty.
fn unmake(root: &Dir, path: &[String], made: usize) {
    for count in (path.len().saturating_sub(made)..path.len()).rev() {
        if let Some((name, above)) = path.get(..=count).and_then(<[String]>::split_last)
            && let Ok(dir) = descend(root, above, None)
        {
            let _ = rustix::fs::unlinkat(&dir, name.as_str(), AtFlags::REMOVEDIR);
        }
    }
}
/// Gives a new file the owner of another; false when that is not possible.
fn own(file: impl AsFd, like: &Meta) -> bool {
    let Ok((_, meta, _)) = look(&file, "") else { return false };
    if meta.uid == like.uid && meta.gid == like.gid {
        return true;
    }
    rustix::fs::fchown(&file, Some(Uid::from_raw(like.uid)), Some(Gid::from_raw(like.gid))).is_ok()
        || rustix::fs::fchown(&file, None, Some(Gid::from_raw(like.gid))).is_ok() && meta.uid == like.uid
}
fn sync(dir: &Dir) {
    // Some file systems cannot; the rename itself is done by then.
    let _ = rustix::fs::fsync(dir);
}

/// The only one of ocore's writers in a directory. Where locks do not work, versions alone protect.
fn lock(dir: &Dir, gate: &Gate) -> Faulty<Dir> {
    let own = step(dir, ".", 0, None)?;
    for _ in 0..200 {
        gate.go()?;
        match rustix::fs::flock(&own, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(Duration::from_millis(10)),
            _ => return Ok(own),
        }
    }
    Err(Fault::Busy)
}

/// Names in a directory, sorted; and whether there are more.
fn names(dir: &Dir) -> Faulty<(Vec<OsString>, bool)> {
    let (mut found, mut more) = (Vec::new(), false);
    for entry in dir.entries().map_err(|error| failed(&error, 0))? {
        let name = entry.map_err(|error| failed(&error, 0))?.file_name();
        if found.len() >= NAMES {
            more = true;
            break;
        }
        found.push(name);
    }
    found.sort();
    Ok((found, more))
}
fn manifest(dir: &Dir) -> Option<String> {
    let is_file = |name: &&&str| matches!(look(dir, OsStr::new(**name)), Ok((Kind::File, ..)));
    MANIFESTS.iter().find(is_file).map(|name| (*name).to_owned())
}

/// A regular file, opened for reading; what else there is, is not opened.
fn open(dir: &Dir, name: &str, at: usize) -> Faulty<(std::fs::File, Meta)> {
    let check = |kind| match kind {
        Kind::File => Ok(()),
        Kind::Directory => Err(Fault::IsDirectory { at }),
        Kind::Link => Err(Fault::Link { at }),
        kind => Err(Fault::Special { at, kind }),
    };
    check(look(dir, name).map_err(|errno| of(errno, at))?.0)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file: std::fs::File = rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(|errno| of(errno, at))?.into();
    let (kind, meta, _) = look(&file, "").map_err(|errno| of(errno, at))?;
    check(kind)?;
    Ok((file, meta))
}
/// At most one byte more than the limit.
fn read(file: &mut std::fs::File, limit: u64, gate: &Gate) -> Faulty<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        gate.go()?;
        let room = (limit + 1).saturating_sub(content.len() as u64).min(1 << 20);
        let got = Read::by_ref(file).take(room).read_to_end(&mut content).map_err(|error| failed(&error, 0))?;
        if got == 0 {
            return Ok(content);
        }
    }
}
/// A file's version at this moment.
fn version(dir: &Dir, name: &str, at: usize, gate: &Gate) -> Faulty<(String, Meta)> {
    let (mut file, meta) = open(dir, name, at)?;
    if meta.size > super::WHOLE {
        return Ok((meta.stamp(), meta));
    }
    let content = read(&mut file, super::WHOLE, gate)?;
    Ok((hash(&content), meta))
}

/// Writes beside the target and renames over it, or links to it where nothing may be.
fn replace(dir: &Dir, name: &str, at: usize, expect: &Expect, mode: u32, content: &[u8], gate: &Gate) -> Faulty<Done> {
    let before = match expect {
        Expect::Absent => match look(dir, name) {
            Err(Errno::NOENT) => None,
            Ok(_) => return Err(Fault::Exists),
            Err(errno) => return Err(of(errno, at)),
        },
        Expect::Version(expected) => {
            let (found, meta) = version(dir, name, at, gate)?;
            if found != *expected {
                return Err(Fault::Conflict { found });
            }
            Some(meta)
        }
    };
    let temporary = format!("{TEMPORARY}{}", hash(name.as_bytes()).get(..16).unwrap_or("0"));
    // Left by a writer that was killed: the lock says that there is none now.
    let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let written =
        rustix::fs::openat(dir, temporary.as_str(), flags, Mode::from(0o600)).map_err(|errno| of(errno, at)).and_then(|fd| {
            let mut file: std::fs::File = fd.into();
            for part in content.chunks(1 << 20) {
                gate.go()?;
                file.write_all(part).map_err(|error| failed(&error, at))?;
            }
            let owner = match &before {
                Some(meta) => own(&file, meta),
                None => look(dir, "").is_ok_and(|(_, parent, _)| own(&file, &parent)),
            };
            let mode = before.as_ref().map_or(mode, |meta| meta.mode) & 0o777;
            rustix::fs::fchmod(&file, Mode::from(mode)).map_err(|errno| of(errno, at))?;
            file.sync_all().map_err(|error| failed(&error, at))?;
            if let Some(before) = &before {
                // Once more, as late as can be: others than ocore do not know of its lock.
                let (_, now, _) = look(dir, name).map_err(|errno| of(errno, at))?;
                if (now.inode, now.size, now.mtime, now.nanoseconds)
                    != (before.inode, before.size, before.mtime, before.nanoseconds)
                {
                    return Err(Fault::Conflict { found: now.stamp() });
                }
            }
            gate.commit()?;
            if before.is_some() {
                rustix::fs::renameat(dir, temporary.as_str(), dir, name).map_err(|errno| of(errno, at))?;
            } else {
                match rustix::fs::renameat_with(dir, temporary.as_str(), dir, name, RenameFlags::NOREPLACE) {
                    Err(Errno::NOSYS | Errno::INVAL) => {
                        rustix::fs::linkat(dir, temporary.as_str(), dir, name, AtFlags::empty())
                            .map_err(|errno| of(errno, at))?;
                        let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
                    }
                    other => other.map_err(|errno| of(errno, at))?,
                }
            }
            Ok((file, owner))
        });
    let (file, owner) = match written {
        Ok(done) => done,
        Err(fault) => {
            let _ = rustix::fs::unlinkat(dir, temporary.as_str(), AtFlags::empty());
            return Err(fault);
        }
    };
    sync(dir);
    let (_, meta, _) = look(&file, "").map_err(|errno| of(errno, at))?;
    let bytes = content.len() as u64;
    Ok(Done { meta: Some(meta), files: 1, bytes, owner: before.is_some() && !owner, ..Done::default() })
}

fn remove(
    root: &Dir,
    path: &[String],
    expect: Option<&str>,
    recursive: bool,
    limit: u64,
    dry: bool,
    gate: &Gate,
) -> Faulty<Done> {
    let at = path.len();
    let (name, above) = path.split_last().ok_or(Fault::IsDirectory { at: 0 })?;
    let (_, _, device) = look(root, "").map_err(|errno| of(errno, 0))?;
    let dir = descend(root, above, Some(device))?;
    let _lock = lock(&dir, gate)?;
    let (kind, meta, _) = look(&dir, name).map_err(|errno| of(errno, at))?;
    match kind {
        Kind::File => {
            if let Some(expect) = expect {
                let (found, _) = version(&dir, name, at, gate)?;
                if found != expect {
                    return Err(Fault::Conflict { found });
                }
            }
            if !dry {
                gate.commit()?;
                rustix::fs::unlinkat(&dir, name.as_str(), AtFlags::empty()).map_err(|errno| of(errno, at))?;
                sync(&dir);
            }
            Ok(Done { files: 1, bytes: meta.size, meta: Some(meta), ..Done::default() })
        }
        Kind::Directory => {
            let inner = step(&dir, name, at, Some(device))?;
            let mut done = Done { directories: 1, meta: Some(meta), ..Done::default() };
            count(&inner, device, &mut Vec::new(), at, limit, &mut done, gate)?;
            if !recursive && done.files + done.directories > 1 {
                return Err(Fault::NotEmpty);
            }
            if !dry {
                gate.commit()?;
                let mut gone = Done::default();
                empty(&inner, device, 0, &mut gone)
                    .and_then(|()| rustix::fs::unlinkat(&dir, name.as_str(), AtFlags::REMOVEDIR).map_err(|errno| of(errno, at)))
                    .map_err(|fault| match fault {
                        fault if gone.files + gone.directories == 0 => fault,
                        fault => Fault::Partial { files: gone.files, directories: gone.directories, why: format!("{fault:?}") },
                    })?;
                sync(&dir);
            }
            Ok(done)
        }
        Kind::Link => Err(Fault::Link { at }),
        kind => Err(Fault::Special { at, kind }),
    }
}

/// What a directory holds, and whether all of it may be deleted.
fn count(dir: &Dir, device: Device, below: &mut Vec<String>, at: usize, limit: u64, done: &mut Done, gate: &Gate) -> Faulty<()> {
    if below.len() > DEPTH {
        return Err(Fault::TooMany);
    }
    for entry in dir.entries().map_err(|error| failed(&error, at))? {
        gate.go()?;
        let name = entry.map_err(|error| failed(&error, at))?.file_name();
        below.push(name.to_string_lossy().into_owned());
        if is_git(&name.to_string_lossy()) {
            return Err(Fault::Git { below: below.clone() });
        }
        let (kind, meta, _) = look(dir, name.as_os_str()).map_err(|errno| of(errno, at))?;
        if kind == Kind::Directory {
            done.directories += 1;
            count(&inside(dir, &name, at, device)?, device, below, at, limit, done, gate)?;
        } else {
            done.files += 1;
            done.bytes += meta.size;
        }
        if done.files + done.directories > limit.saturating_add(1) {
            return Err(Fault::TooMany);
        }
        below.pop();
    }
    Ok(())
}
/// Deletes what a directory holds. Links and special files go themselves; nothing is followed or opened but directories.
fn empty(dir: &Dir, device: Device, depth: usize, gone: &mut Done) -> Faulty<()> {
    if depth > DEPTH {
        return Err(Fault::TooMany);
    }
    let entries: Vec<_> = dir.entries().map_err(|error| failed(&error, 0))?.collect();
    for entry in entries {
        let name = entry.map_err(|error| failed(&error, 0))?.file_name();
        if is_git(&name.to_string_lossy()) {
            return Err(Fault::Git { below: vec![name.to_string_lossy().into_owned()] });
        }
        let (kind, ..) = look(dir, name.as_os_str()).map_err(|errno| of(errno, 0))?;
        if kind == Kind::Directory {
            empty(&inside(dir, &name, 0, device)?, device, depth + 1, gone)?;
            rustix::fs::unlinkat(dir, name.as_os_str(), AtFlags::REMOVEDIR).map_err(|errno| of(errno, 0))?;
            gone.directories += 1;
        } else {
            rustix::fs::unlinkat(dir, name.as_os_str(), AtFlags::empty()).map_err(|errno| of(errno, 0))?;
            gone.files += 1;
        }
    }
    Ok(())
}
/// As [`step`], for names that are no UTF-8 too.
fn inside(dir: &Dir, name: &OsStr, at: usize, device: Device) -> Faulty<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let next = Dir::from(rustix::fs::openat(dir, name, flags, Mode::empty()).map_err(|errno| of(errno, at))?);
    let (_, _, found) = look(&next, "").map_err(|errno| of(errno, at))?;
    if found == device { Ok(next) } else { Err(Fault::Mount { at }) }
}
