//! What git would say of a file, without git: the repository's data is read as any other file, and nothing in it is executed.
//!
//! The index tells what is tracked (gitformat-index), the commit's trees what is committed, `.gitignore` files and
//! `info/exclude` what is ignored. Hooks, filters, fsmonitor and the configuration are not looked at; where they would matter
//! (line endings, large-file storage), the file's time and size in the index decide, and the reason says so.
use std::{collections::HashMap, io::Read, time::Duration};

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use ignore::gitignore::GitignoreBuilder;
use serde::Serialize;
use sha1::{Digest, Sha1};
use tokio::time::{Instant, timeout_at};

use super::{
    Files, WHOLE,
    error::Error,
    place::{Kind, Meta, Order, Reply, Session},
    roots::Located,
};

/// How long the answer may take; a list of facts does not wait longer for this one.
const TIME: Duration = Duration::from_secs(6);
/// Bytes of an object (a commit or a tree) that are read.
const OBJECT: u64 = 8 << 20;
/// Deltas upon one another.
const CHAIN: usize = 60;
/// Packs that are looked through.
const PACKS: usize = 40;

/// A path's state in its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GitState {
    /// As committed.
    Clean,
    /// Differs from the index.
    Modified,
    /// The index differs from what is committed.
    Staged,
    Untracked,
    Ignored,
    /// In no repository below its root.
    None,
    /// Could not be told; the reason says why.
    Unknown,
}
/// What git would say, with what has to be known besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GitStatus {
    pub state: GitState,
    pub reason: Option<String>,
}

type Id = [u8; 20];
/// A reason why it is unknown.
type Told<T> = Result<T, String>;

/// An index entry, of stage 0 unless in conflict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tracked {
    id: Id,
    mode: u32,
    size: u32,
    seconds: u32,
    nanoseconds: u32,
    conflict: bool,
}

/// A repository's `.git`, by the path of its directory.
struct Repository<'a> {
    files: &'a Files,
    session: Session<'a>,
    root: usize,
    /// Of the working tree, below the root.
    top: Vec<String>,
    until: Instant,
    /// Pack indexes that were read.
    packs: HashMap<String, Bytes>,
    listed: Option<Vec<String>>,
}

impl Files {
    pub(super) async fn git_status(&self, located: &Located, meta: &Meta, content: &Bytes, until: Instant) -> GitStatus {
        let until = until.min(Instant::now() + TIME);
        let told = timeout_at(until, self.git_told(located, meta, content, until)).await;
        match told.unwrap_or_else(|_| Err("it took too long to be told".to_owned())) {
            Ok((state, reason)) => GitStatus { state, reason },
            Err(reason) => GitStatus { state: GitState::Unknown, reason: Some(reason) },
        }
    }

    async fn git_told(
        &self,
        located: &Located,
        meta: &Meta,
        content: &Bytes,
        until: Instant,
    ) -> Told<(GitState, Option<String>)> {
        let Some(mut repository) = Repository::find(self, located, meta, until).await? else {
            return Ok((GitState::None, None));
        };
        let name = located.path.get(repository.top.len()..).unwrap_or_default().join("/");
        let index = repository.index().await?;
        let below = format!("{name}/");
        if meta.kind == Kind::Directory {
            if index.as_deref().is_some_and(|index| {
                name.is_empty() || find(index, |path| path.starts_with(below.as_bytes())).is_ok_and(|found| found.is_some())
            }) {
                return Err("it is told of files, not of directories with tracked files".to_owned());
            }
            let ignored = repository.ignored(located, true).await?;
            return Ok((if ignored { GitState::Ignored } else { GitState::Untracked }, None));
        }
        let tracked = match &index {
            Some(index) => find(index, |path| path == name.as_bytes())?,
            None => None,
        };
        let Some(tracked) = tracked else {
            let ignored = repository.ignored(located, false).await?;
            return Ok((if ignored { GitState::Ignored } else { GitState::Untracked }, None));
        };
        if tracked.conflict {
            return Ok((GitState::Modified, Some("it is in conflict".to_owned())));
        }
        let (state, note) = worktree(&tracked, meta, content)?;
        if state == GitState::Modified {
            return Ok((state, note));
        }
        let committed = repository.committed(&name).await?;
        if committed == Some((tracked.mode, tracked.id)) {
            Ok((GitState::Clean, note))
        } else {
            Ok((GitState::Staged, committed.is_none().then(|| "it is new: not committed yet".to_owned())))
        }
    }
}

/// Whether a file is as the index has it.
fn worktree(tracked: &Tracked, meta: &Meta, content: &[u8]) -> Told<(GitState, Option<String>)> {
    match tracked.mode {
        0o100_644 | 0o100_755 => {}
        _ => return Ok((GitState::Modified, Some("git has a link or a submodule there".to_owned()))),
    }
    if (tracked.mode == 0o100_755) != (meta.mode & 0o100 != 0) {
        return Ok((GitState::Modified, Some("whether it is executable has changed".to_owned())));
    }
    let same_time = i64::from(tracked.seconds) == meta.mtime
        && (tracked.nanoseconds == meta.nanoseconds || tracked.nanoseconds == 0)
        && meta.size & 0xffff_ffff == u64::from(tracked.size);
    if meta.size <= WHOLE {
        if blob(content) == tracked.id {
            return Ok((GitState::Clean, None));
        }
        if same_time {
            let why = "its time and size are the index's, its content is not: git has another form of it (a filter)";
            return Ok((GitState::Clean, Some(why.to_owned())));
        }
        let plain = super::text::text(content).map(|text| text.replace("\r\n", "\n"));
        let endings = plain.is_some_and(|plain| blob(plain.as_bytes()) == tracked.id);
        let why = "only its line endings differ: as git is configured it may call it clean";
        return Ok((GitState::Modified, endings.then(|| why.to_owned())));
    }
    if same_time {
        Ok((GitState::Clean, Some("told by its time and size: it is too large to be compared".to_owned())))
    } else if meta.size & 0xffff_ffff == u64::from(tracked.size) {
        Err("it is too large to be compared".to_owned())
    } else {
        Ok((GitState::Modified, None))
    }
}

/// The name that git gives a file's content.
fn blob(content: &[u8]) -> Id {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hash.finalize().into()
}
fn hex(id: &[u8]) -> String {
    use std::fmt::Write;
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
fn parse_hex(text: &str) -> Option<Id> {
    let mut id = Id::default();
    if text.len() != 40 || !text.is_ascii() {
        return None;
    }
    for (at, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(id)
}
fn number(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_be_bytes)
}

/// The first entry of an index (versions 2 to 4) whose path is wanted.
fn find(index: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Told<Option<Tracked>> {
    let bad = || "its index is not readable".to_owned();
    let body = index.len().checked_sub(20).and_then(|end| index.split_at_checked(end));
    let (body, sum) = body.ok_or_else(bad)?;
    if sum != [0; 20] && sum != Sha1::digest(body).as_slice() {
        return Err("its index is damaged, just being written, or of a repository with SHA-256".to_owned());
    }
    let version = number(body, 4).filter(|version| body.starts_with(b"DIRC") && (2..=4).contains(version)).ok_or_else(bad)?;
    let count = number(body, 8).ok_or_else(bad)?;
    let (mut at, mut path, mut found) = (12, Vec::<u8>::new(), None);
    for _ in 0..count {
        let start = at;
        let word = |offset| number(body, start + offset).ok_or_else(bad);
        let flags = u16::try_from(word(58)? & 0xffff).map_err(|_| bad())?;
        at += if version >= 3 && flags & 0x4000 != 0 { 64 } else { 62 };
        if version == 4 {
            let (strip, length) = offset(body.get(at..).ok_or_else(bad)?).ok_or_else(bad)?;
            let strip = usize::try_from(strip).map_err(|_| bad())?;
            path.truncate(path.len().checked_sub(strip).ok_or_else(bad)?);
            at += length;
        } else {
            path.clear();
        }
        let rest = body.get(at..).ok_or_else(bad)?;
        let end = rest.iter().position(|byte| *byte == 0).ok_or_else(bad)?;
        path.extend_from_slice(rest.get(..end).unwrap_or_default());
        at += end + 1;
        if version < 4 {
            at = start + (at - 1 - start) / 8 * 8 + 8;
        }
        if found.is_none() && wanted(&path) {
            let id = body.get(start + 40..start + 60).and_then(|id| id.try_into().ok()).ok_or_else(bad)?;
            found = Some(Tracked {
                id,
                mode: word(24)?,
                size: word(36)?,
                seconds: word(8)?,
                nanoseconds: word(12)?,
                conflict: flags & 0x3000 != 0,
            });
        }
    }
    // Extensions that have to be understood have lower-case names.
    while let Some(name) = body.get(at..at + 4) {
        if name.first().is_some_and(u8::is_ascii_lowercase) {
            return Err("its index is split or sparse".to_owned());
        }
        at = at.saturating_add(8).saturating_add(usize::try_from(number(body, at + 4).ok_or_else(bad)?).map_err(|_| bad())?);
    }
    Ok(found)
}

/// The number that index version 4 and offset deltas write, and its length.
fn offset(data: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (at, byte) in data.iter().enumerate().take(9) {
        value = (value << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
        value += 1;
    }
    None
}
/// The number that pack entries and deltas write, lowest bits first.
fn varint(data: &mut &[u8]) -> Option<u64> {
    let (mut value, mut shift) = (0_u64, 0);
    loop {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
}
fn inflate(data: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    ZlibDecoder::new(data).take(OBJECT + 1).read_to_end(&mut out).ok()?;
    (out.len() as u64 <= OBJECT).then_some(out)
}
/// What a delta makes of its base (gitformat-pack).
fn undelta(base: &[u8], mut delta: &[u8]) -> Option<Vec<u8>> {
    if varint(&mut delta)? != base.len() as u64 {
        return None;
    }
    let size = varint(&mut delta)?;
    if size > OBJECT {
        return None;
    }
    let mut out = Vec::new();
    while let Some((&op, rest)) = delta.split_first() {
        delta = rest;
        if op & 0x80 != 0 {
            let (mut from, mut length) = (0_usize, 0_usize);
            for bit in 0..7 {
                if op & (1 << bit) != 0 {
                    let (&byte, rest) = delta.split_first()?;
                    delta = rest;
                    if bit < 4 { from |= usize::from(byte) << (8 * bit) } else { length |= usize::from(byte) << (8 * (bit - 4)) }
                }
            }
            let length = if length == 0 { 0x10000 } else { length };
            out.extend_from_slice(base.get(from..from.checked_add(length)?)?);
        } else {
            let (added, rest) = delta.split_at_checked(usize::from(op)).filter(|_| op != 0)?;
            out.extend_from_slice(added);
            delta = rest;
        }
        if out.len() as u64 > size {
            return None;
        }
    }
    (out.len() as u64 == size).then_some(out)
}
/// Where a pack (index version 2) has an object.
fn packed_at(index: &[u8], id: &Id) -> Option<u64> {
    if !index.starts_with(&[0xff, b't', b'O', b'c', 0, 0, 0, 2]) {
        return None;
    }
    let fan = |byte: usize| number(index, 8 + 4 * byte).and_then(|count| usize::try_from(count).ok());
    let first = usize::from(id[0]);
    let all = fan(255)?;
    let (mut low, mut high) = (if first == 0 { 0 } else { fan(first - 1)? }, fan(first)?);
    while low < high {
        let middle = low + (high - low) / 2;
        let at = 1032 + 20 * middle;
        match index.get(at..at + 20)?.cmp(id.as_slice()) {
            std::cmp::Ordering::Less => low = middle + 1,
            std::cmp::Ordering::Greater => high = middle,
            std::cmp::Ordering::Equal => {
                let offsets = 1032 + 24 * all;
                let offset = number(index, offsets + 4 * middle)?;
                if offset & 0x8000_0000 == 0 {
                    return Some(offset.into());
                }
                let large = offsets + 4 * all + 8 * usize::try_from(offset & 0x7fff_ffff).ok()?;
                return Some(u64::from(number(index, large)?) << 32 | u64::from(number(index, large + 4)?));
            }
        }
    }
    None
}

impl<'a> Repository<'a> {
    /// The nearest above a path that has a `.git`.
    async fn find(files: &'a Files, located: &Located, meta: &Meta, until: Instant) -> Told<Option<Self>> {
        let deepest = located.path.len() - usize::from(meta.kind != Kind::Directory && !located.path.is_empty());
        let mut repository = Self {
            files,
            session: files.place.session(),
            root: located.root,
            top: Vec::new(),
            until,
            packs: HashMap::new(),
            listed: None,
        };
        for length in (0..=deepest).rev() {
            repository.top = located.path.get(..length).unwrap_or_default().to_vec();
            match repository.ask(&[".git"], (0, 0, 0)).await {
                Ok((Meta { kind: Kind::Directory, .. }, _)) => return Ok(Some(repository)),
                Ok(_) => return Err("its repository is a linked worktree or a submodule".to_owned()),
                Err(Error::NotFound { .. }) => {}
                Err(Error::Link { .. }) => return Err("its .git is a symbolic link".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(None)
    }
    fn at(&self, parts: &[&str]) -> Located {
        let path: Vec<String> = self.top.iter().cloned().chain(parts.iter().map(|part| (*part).to_owned())).collect();
        Located { root: self.root, shown: self.files.roots.shown(self.root, &path), path }
    }
    /// As [`Files::get`]: `part` is whole, head, offset.
    async fn ask(&mut self, parts: &[&str], part: (u64, u64, u64)) -> Result<(Meta, Bytes), Error> {
        let (whole, head, offset) = part;
        let order = Order::Get { root: self.root, path: self.at(parts).path, whole, head, offset };
        match self.session.ask(&self.files.roots, order, self.until).await? {
            (Reply::Got { meta }, content) => Ok((meta, content)),
            _ => Err(super::view::unexpected()),
        }
    }
    /// A file's content; none when there is none.
    async fn read(&mut self, parts: &[&str]) -> Told<Option<Bytes>> {
        match self.ask(parts, (WHOLE, 0, 0)).await {
            Ok((meta, content)) if meta.kind == Kind::File && meta.size <= WHOLE => Ok(Some(content)),
            Ok(_) => Err(format!("{} is too large", parts.join("/"))),
            Err(Error::NotFound { .. } | Error::NotDirectory { .. }) => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }
    async fn text(&mut self, parts: &[&str]) -> Told<Option<String>> {
        Ok(self.read(parts).await?.map(|content| String::from_utf8_lossy(&content).into_owned()))
    }
    async fn index(&mut self) -> Told<Option<Bytes>> {
        self.read(&[".git", "index"]).await
    }

    /// The rules of `.gitignore` from the top down to the path, and of `info/exclude`; the directories above count first.
    async fn ignored(&mut self, located: &Located, directory: bool) -> Told<bool> {
        let below = located.path.get(self.top.len()..).unwrap_or_default();
        let mut levels = Vec::new();
        for depth in 0..below.len() {
            let mut parts: Vec<&str> = below.get(..depth).unwrap_or_default().iter().map(String::as_str).collect();
            let base = std::path::PathBuf::from("/").join(parts.join("/"));
            let mut builder = GitignoreBuilder::new(&base);
            let mut texts = Vec::new();
            if depth == 0 {
                texts.push(self.text(&[".git", "info", "exclude"]).await?);
            }
            parts.push(".gitignore");
            texts.push(self.text(&parts).await?);
            for line in texts.iter().flatten().flat_map(|text| text.lines()) {
                let _ = builder.add_line(None, line);
            }
            levels.push(builder.build().map_err(|error| error.to_string())?);
        }
        for length in 1..=below.len() {
            let path = std::path::PathBuf::from("/").join(below.get(..length).unwrap_or_default().join("/"));
            let is_directory = length < below.len() || directory;
            let rule =
                levels.iter().take(length).rev().map(|level| level.matched(&path, is_directory)).find(|rule| !rule.is_none());
            if rule.is_some_and(|rule| rule.is_ignore()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Mode and blob of a path in the commit that is checked out; none when it has none.
    async fn committed(&mut self, name: &str) -> Told<Option<(u32, Id)>> {
        let Some(commit) = self.head().await? else { return Ok(None) };
        let commit = self.object(&commit).await?;
        let tree = commit.strip_prefix(b"tree ").and_then(|rest| rest.get(..40)).and_then(|id| std::str::from_utf8(id).ok());
        let mut id = tree.and_then(parse_hex).ok_or("its commit is not readable")?;
        let mut mode = 0o40_000;
        for part in name.split('/') {
            if mode != 0o40_000 {
                return Ok(None);
            }
            let tree = self.object(&id).await?;
            let mut rest = tree.as_slice();
            let found = loop {
                let Some(space) = rest.iter().position(|byte| *byte == b' ') else { break None };
                let (its_mode, after) = rest.split_at(space);
                let after = after.get(1..).unwrap_or_default();
                let end = after.iter().position(|byte| *byte == 0).ok_or("a tree is not readable")?;
                let its_id: Id =
                    after.get(end + 1..end + 21).and_then(|id| id.try_into().ok()).ok_or("a tree is not readable")?;
                if after.get(..end) == Some(part.as_bytes()) {
                    let its_mode = std::str::from_utf8(its_mode).ok().and_then(|mode| u32::from_str_radix(mode, 8).ok());
                    break Some((its_mode.ok_or("a tree is not readable")?, its_id));
                }
                rest = after.get(end + 21..).unwrap_or_default();
            };
            let Some(found) = found else { return Ok(None) };
            (mode, id) = found;
        }
        Ok(Some((mode, id)))
    }
    /// The commit that is checked out; none before the first.
    async fn head(&mut self) -> Told<Option<Id>> {
        let head = self.text(&[".git", "HEAD"]).await?.ok_or("it has no HEAD")?;
        let Some(name) = head.strip_prefix("ref:").map(str::trim) else {
            return Ok(Some(parse_hex(head.trim()).ok_or("its HEAD is not readable")?));
        };
        let mut parts = vec![".git"];
        parts.extend(name.split('/'));
        if !name.starts_with("refs/")
            || parts.iter().any(|part| super::roots::fault(part).is_some())
            || name.ends_with(".invalid")
        {
            return Err("its references are kept in a form that is not read here".to_owned());
        }
        if let Some(text) = self.text(&parts).await? {
            return Ok(Some(parse_hex(text.trim()).ok_or("a reference is not readable")?));
        }
        let packed = self.text(&[".git", "packed-refs"]).await?.unwrap_or_default();
        let line = packed.lines().find_map(|line| line.split_once(' ').filter(|(_, its_name)| *its_name == name));
        Ok(line.and_then(|(id, _)| parse_hex(id)))
    }
    /// A commit's or tree's content.
    async fn object(&mut self, id: &Id) -> Told<Vec<u8>> {
        let mut deltas: Vec<Vec<u8>> = Vec::new();
        let mut id = *id;
        let mut base = 'found: loop {
            if deltas.len() > CHAIN {
                return Err("an object has too many deltas".to_owned());
            }
            let name = hex(&id);
            let (directory, file) = name.split_at_checked(2).unwrap_or_default();
            if let Some(loose) = self.read(&[".git", "objects", directory, file]).await? {
                let content = inflate(&loose).ok_or("an object is not readable")?;
                let start = content.iter().position(|byte| *byte == 0).ok_or("an object is not readable")?;
                break content.get(start + 1..).unwrap_or_default().to_vec();
            }
            let (pack, mut at) = self.locate(&id).await?;
            loop {
                if deltas.len() > CHAIN {
                    return Err("an object has too many deltas".to_owned());
                }
                match self.entry(&pack, at).await? {
                    Packed::Whole(content) => break 'found content,
                    Packed::Before(delta, back) => {
                        deltas.push(delta);
                        at = at.checked_sub(back).ok_or("a pack is not readable")?;
                    }
                    Packed::Upon(delta, other) => {
                        deltas.push(delta);
                        id = other;
                        break;
                    }
                }
            }
        };
        while let Some(delta) = deltas.pop() {
            base = undelta(&base, &delta).ok_or("a pack is not readable")?;
        }
        Ok(base)
    }
    /// The pack that has an object, and where.
    async fn locate(&mut self, id: &Id) -> Told<(String, u64)> {
        if self.listed.is_none() {
            let located = self.at(&[".git", "objects", "pack"]);
            let order = Order::Walk { root: located.root, path: located.path, depth: 1, cap: 2000 };
            let listed = self.session.ask(&self.files.roots, order, self.until).await;
            let Ok((Reply::Walked { entries, .. }, _)) = listed else { return Err("its packs cannot be listed".to_owned()) };
            let names = entries.into_iter().filter_map(|mut seen| seen.path.pop());
            self.listed = Some(names.filter_map(|name| Some(name.strip_suffix(".idx")?.to_owned())).take(PACKS).collect());
        }
        for name in self.listed.clone().unwrap_or_default() {
            if !self.packs.contains_key(&name) {
                let index = self.read(&[".git", "objects", "pack", &format!("{name}.idx")]).await?;
                self.packs.insert(name.clone(), index.ok_or("its packs are changing")?);
            }
            if let Some(at) = self.packs.get(&name).and_then(|index| packed_at(index, id)) {
                return Ok((name, at));
            }
        }
        Err("an object is missing, or lies in another repository".to_owned())
    }
    async fn entry(&mut self, pack: &str, at: u64) -> Told<Packed> {
        let bad = || "a pack is not readable".to_owned();
        let file = format!("{pack}.pack");
        // Commits and trees are small, and most come whole at once.
        for head in [64 << 10, OBJECT] {
            let got = self.ask(&[".git", "objects", "pack", &file], (0, head, at)).await;
            let (_, content) = got.map_err(|error| error.to_string())?;
            let mut data: &[u8] = &content;
            let kind = data.first().ok_or_else(bad)? >> 4 & 7;
            let size = varint(&mut data).ok_or_else(bad)?;
            // The first byte holds the kind too, and only four bits of the size.
            let size = ((size >> 7) << 4) | (size & 15);
            if size > OBJECT {
                return Err("an object is too large".to_owned());
            }
            let inflate = |data| inflate(data).filter(|out| out.len() as u64 == size);
            let packed = match kind {
                1 | 2 => inflate(data).map(Packed::Whole),
                6 => {
                    let (back, length) = offset(data).ok_or_else(bad)?;
                    inflate(data.get(length..).unwrap_or_default()).map(|delta| Packed::Before(delta, back))
                }
                7 => {
                    let (id, rest) = data.split_first_chunk::<20>().ok_or_else(bad)?;
                    inflate(rest).map(|delta| Packed::Upon(delta, *id))
                }
                _ => return Err(bad()),
            };
            if let Some(packed) = packed {
                return Ok(packed);
            }
        }
        Err(bad())
    }
}

/// An entry of a pack.
enum Packed {
    Whole(Vec<u8>),
    /// A delta upon what begins so many bytes before it.
    Before(Vec<u8>, u64),
    /// A delta upon another object.
    Upon(Vec<u8>, Id),
}
