//! Lists, trees, facts and content.
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use super::{
    Files, WHOLE,
    error::{Error, Result},
    git::GitStatus,
    place::{Kind, Meta, Order, Reply, Seen, hash},
    roots::{Located, is_git},
    text,
};

/// Entries that one list shows.
const LISTED: usize = 2000;

/// A directory with a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Addon {
    pub path: String,
    pub root: String,
    /// The manifest's file name.
    pub manifest: String,
    pub writable: bool,
}

/// A directory's entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// To be given back as it is, if `addressable`.
    pub path: String,
    /// False for names with bytes that are no UTF-8 (shown replaced), control characters or backslashes: seen, not reached.
    pub addressable: bool,
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// Octal, as `0644`.
    pub mode: String,
    /// RFC 3339, UTC.
    pub modified: String,
    /// A directory whose entries are not all shown, for want of room or rights.
    pub cut: bool,
}

/// What a directory holds, or at the top: every addon.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listing {
    pub path: String,
    /// At the top only.
    pub addons: Vec<Addon>,
    /// By name; in a tree each directory is followed by what it holds.
    pub entries: Vec<Entry>,
    pub truncated: bool,
}

/// Facts of one path.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    pub path: String,
    pub kind: Kind,
    pub size: u64,
    /// Octal, as `0644`.
    pub mode: String,
    pub modified: String,
    pub uid: u32,
    pub gid: u32,
    pub hard_links: u64,
    pub writable: bool,
    /// Of files up to 10 MB; it is the version too.
    pub sha256: Option<String>,
    /// No UTF-8 text; none for what was not read.
    pub binary: Option<bool>,
    pub lines: Option<u64>,
    pub git: GitStatus,
}

/// How content is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    #[default]
    Text,
    Base64,
}

/// What of a file is wanted.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// From 1.
    pub first_line: Option<u64>,
    /// Inclusive; beyond the end means the end.
    pub last_line: Option<u64>,
    /// Bytes to leave out at the beginning, instead of lines.
    pub offset: Option<u64>,
    pub encoding: Encoding,
    /// Bytes of content, at most 10 MB.
    pub max: usize,
}
impl Default for ReadOptions {
    fn default() -> Self {
        Self { first_line: None, last_line: None, offset: None, encoding: Encoding::Text, max: 100 << 10 }
    }
}

/// A file's content, or a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reading {
    pub path: String,
    pub encoding: Encoding,
    pub content: String,
    /// Bytes of the whole file.
    pub size: u64,
    /// Of the whole file; none when it is above 10 MB, or no text.
    pub lines: Option<u64>,
    /// What `content` has, when it was read by lines.
    pub first_line: Option<u64>,
    pub last_line: Option<u64>,
    /// The wanted part did not fit.
    pub truncated: bool,
    /// Where to go on; the line only when the cut is between two.
    pub next_line: Option<u64>,
    pub next_offset: Option<u64>,
    /// SHA-256 of the whole content; of files above 10 MB another word that changes when they do.
    pub version: String,
}

impl Files {
    pub(super) fn until(&self) -> Instant {
        Instant::now() + self.deadline
    }
    /// What is at a path, with its content up to `whole`, its first `head` bytes beyond.
    pub(super) async fn get(&self, located: &Located, whole: u64, head: u64, until: Instant) -> Result<(Meta, Bytes)> {
        let order = Order::Get { root: located.root, path: located.path.clone(), whole, head, offset: 0 };
        match self.place.run(&self.roots, order, Bytes::new(), until).await? {
            (Reply::Got { meta }, content) => Ok((meta, content)),
            _ => Err(unexpected()),
        }
    }
    /// Reading below `.git` would show what its configuration holds: addresses with passwords, as often as not.
    fn readable(&self, path: &str) -> Result<Located> {
        let located = self.roots.below(path)?;
        if located.path.iter().any(|part| is_git(part)) {
            return Err(Error::Git { path: located.shown });
        }
        Ok(located)
    }

    /// A directory's entries by name; without a path the addons of all roots.
    pub async fn list(&self, path: &str) -> Result<Listing> {
        self.tree(path, 1, LISTED).await
    }

    /// What is below a directory, up to 3 levels deep and `cap` (at most 2,000) entries: nearer ones first, shown in order.
    pub async fn tree(&self, path: &str, depth: u8, cap: usize) -> Result<Listing> {
        if !(1..=3).contains(&depth) {
            return Err(Error::Argument { what: "The depth", why: format!("{depth} is not from 1 to 3") });
        }
        let until = self.until();
        if path.is_empty() {
            return self.addons(until).await;
        }
        let located = self.readable(path)?;
        let order = Order::Walk { root: located.root, path: located.path.clone(), depth, cap: cap.clamp(1, LISTED) };
        let (Reply::Walked { mut entries, truncated }, _) = self.place.run(&self.roots, order, Bytes::new(), until).await? else {
            return Err(unexpected());
        };
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        let entries = entries.into_iter().map(|seen| entry(&located, &seen)).collect();
        Ok(Listing { path: located.shown, addons: Vec::new(), entries, truncated })
    }

    async fn addons(&self, until: Instant) -> Result<Listing> {
        let (Reply::Addons { addons, truncated }, _) = self.place.run(&self.roots, Order::Addons, Bytes::new(), until).await?
        else {
            return Err(unexpected());
        };
        let addons = addons
            .into_iter()
            .map(|seen| {
                let root = self.roots.get(seen.root)?;
                let path = self.roots.shown(seen.root, &seen.name.into_iter().collect::<Vec<_>>());
                Ok(Addon { path, root: root.name.clone(), manifest: seen.manifest, writable: root.writable })
            })
            .collect::<Result<_>>()?;
        Ok(Listing { addons, truncated, ..Listing::default() })
    }

    /// Facts of a file or directory.
    pub async fn info(&self, path: &str) -> Result<Info> {
        let until = self.until();
        let located = self.readable(path)?;
        let (meta, content) = self.get(&located, WHOLE, 0, until).await?;
        let read = meta.kind == Kind::File && meta.size <= WHOLE;
        let git = self.git_status(&located, &meta, &content, until).await;
        let text = text::text(&content);
        Ok(Info {
            writable: self.roots.get(located.root)?.writable,
            path: located.shown,
            kind: meta.kind,
            size: meta.size,
            mode: octal(meta.mode),
            modified: meta.modified(),
            uid: meta.uid,
            gid: meta.gid,
            hard_links: meta.links,
            sha256: read.then(|| hash(&content)),
            binary: read.then_some(text.is_none()),
            lines: (read && text.is_some()).then(|| text::count(&content)),
            git,
        })
    }

    /// A file's content, or a part of it.
    ///
    /// # Errors
    /// [`Error::Binary`] for what is no UTF-8 text when text is wanted, [`Error::Line`] for a first line beyond the end,
    /// [`Error::TooLarge`] for what lies beyond the first 10 MB.
    pub async fn read(&self, path: &str, options: &ReadOptions) -> Result<Reading> {
        let until = self.until();
        let located = self.readable(path)?;
        let (meta, mut content) = self.get(&located, WHOLE, WHOLE, until).await?;
        if meta.kind != Kind::File {
            return Err(Error::IsDirectory { path: located.shown });
        }
        let whole = meta.size <= WHOLE;
        if !whole {
            content.truncate(usize::try_from(WHOLE).unwrap_or(usize::MAX));
        }
        let version = if whole { hash(&content) } else { meta.stamp() };
        part(located.shown, &meta, &content, whole, version, options)
    }
}

/// The wanted part of a content, or of the first 10 MB of a larger one.
fn part(path: String, meta: &Meta, content: &[u8], whole: bool, version: String, options: &ReadOptions) -> Result<Reading> {
    let max = options.max.min(usize::try_from(WHOLE).unwrap_or(usize::MAX)).max(1);
    let length = content.len();
    let text = match options.encoding {
        Encoding::Base64 => None,
        Encoding::Text => Some(match text::text(content) {
            Some(text) => text,
            // The cut at 10 MB may be inside a character.
            None if !whole => content
                .get(..length - 3)
                .and_then(|_| (0..4).find_map(|less| text::text(content.get(..length - less)?)))
                .ok_or_else(|| Error::Binary { path: path.clone() })?,
            None => return Err(Error::Binary { path }),
        }),
    };
    let lines = (whole && text.is_some()).then(|| text::count(content));
    let by_lines = text.is_some() && options.offset.is_none();
    let beyond = |path| Error::TooLarge { path, size: meta.size, limit: WHOLE };
    let (mut first_line, mut last_line) = (None, None);
    let (start, stop) = if by_lines {
        let first = options.first_line.unwrap_or(1).max(1);
        let seen = text::count(content);
        if first > seen && !(first == 1 && length == 0) {
            return Err(if whole { Error::Line { path, line: first, lines: seen } } else { beyond(path) });
        }
        let last = options.last_line.unwrap_or(seen).min(seen);
        if last < first && length > 0 {
            return Err(Error::Argument { what: "The range of lines", why: format!("{last} comes before {first}") });
        }
        (first_line, last_line) = (Some(first), Some(last));
        (line_start(content, first), line_start(content, last + 1))
    } else {
        let start = usize::try_from(options.offset.unwrap_or(0)).unwrap_or(usize::MAX);
        if start > length {
            return Err(if whole {
                Error::Argument { what: "The offset", why: format!("{path} has {length} bytes only") }
            } else {
                beyond(path)
            });
        }
        (start, length)
    };
    let mut end = stop.min(start.saturating_add(max));
    let (mut begin, mut next_line) = (start, None);
    if let Some(text) = text {
        begin = (begin..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        end = text.floor_char_boundary(end.min(text.len())).max(begin);
        if by_lines && end < stop {
            // At the end of a line, if there is one.
            if let Some(at) = content.get(begin..end).and_then(|part| part.iter().rposition(|byte| *byte == b'\n')) {
                end = begin + at + 1;
                let shown = text::count(content.get(begin..end).unwrap_or_default());
                let first = first_line.unwrap_or(1);
                last_line = Some(first + shown - 1);
                next_line = Some(first + shown);
            } else {
                last_line = first_line;
            }
        }
    }
    let bytes = content.get(begin..end).unwrap_or_default();
    let truncated = end < stop || (!whole && options.last_line.is_none() && end == length);
    Ok(Reading {
        path,
        encoding: options.encoding,
        content: if text.is_some() { String::from_utf8_lossy(bytes).into_owned() } else { STANDARD.encode(bytes) },
        size: meta.size,
        lines,
        first_line,
        last_line,
        truncated,
        next_line,
        next_offset: (end < stop).then_some(end as u64),
        version,
    })
}

/// Where a line begins; the end for those beyond.
fn line_start(content: &[u8], line: u64) -> usize {
    let Some(before) = line.checked_sub(2) else { return 0 };
    content
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .nth(usize::try_from(before).unwrap_or(usize::MAX))
        .map_or(content.len(), |(at, _)| at + 1)
}

fn entry(base: &Located, seen: &Seen) -> Entry {
    let fine = seen.path.iter().all(|part| super::roots::fault(part).is_none());
    Entry {
        path: format!("{}/{}", base.shown, seen.path.join("/").escape_controls()),
        addressable: fine && !seen.lossy,
        kind: seen.meta.kind,
        size: seen.meta.size,
        mode: octal(seen.meta.mode),
        modified: seen.meta.modified(),
        cut: seen.cut,
    }
}
pub(super) fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}
pub(super) fn unexpected() -> Error {
    Error::Script { why: "an answer to something else".to_owned(), outcome_unknown: true }
}

trait Plain {
    fn escape_controls(&self) -> String;
}
impl Plain for str {
    /// What would move a terminal's cursor is shown as its escape.
    fn escape_controls(&self) -> String {
        self.chars().flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(content: &str, options: &ReadOptions) -> Result<Reading> {
        let size = content.len() as u64;
        let meta = Meta { kind: Kind::File, size, mode: 0o644, mtime: 0, nanoseconds: 0, uid: 0, gid: 0, links: 1, inode: 1 };
        part("p".into(), &meta, content.as_bytes(), true, "v".into(), options)
    }

    #[test]
    fn a_cut_says_how_to_go_on_and_nothing_is_lost() {
        let content = (1..=1000).map(|line| format!("line {line} é")).collect::<Vec<_>>().join("\n") + "\n";
        for by in [7, 20, 100, 333] {
            let (mut line, mut whole) = (1, String::new());
            loop {
                let options = ReadOptions { first_line: Some(line), max: by.max(13), ..ReadOptions::default() };
                let got = reading(&content, &options).unwrap();
                whole.push_str(&got.content);
                assert_eq!(got.lines, Some(1000));
                match got.next_line {
                    Some(next) => line = next,
                    None => break,
                }
            }
            assert_eq!(whole, content);
            let (mut offset, mut bytes) = (0, Vec::new());
            loop {
                let options = ReadOptions { offset: Some(offset), max: by, encoding: Encoding::Base64, ..ReadOptions::default() };
                let got = reading(&content, &options).unwrap();
                bytes.extend(STANDARD.decode(got.content).unwrap());
                match got.next_offset {
                    Some(next) => offset = next,
                    None => break,
                }
            }
            assert_eq!(bytes, content.as_bytes());
        }
    }

    #[test]
    fn ranges_are_exact() {
        let range = |first, last| {
            let options = ReadOptions { first_line: Some(first), last_line: last, ..ReadOptions::default() };
            reading("a\nb\nc", &options)
        };
        assert_eq!(range(2, Some(2)).unwrap().content, "b\n");
        assert_eq!(range(2, None).unwrap().content, "b\nc");
        assert_eq!(range(1, Some(99)).unwrap().content, "a\nb\nc");
        assert!(matches!(range(4, None), Err(Error::Line { line: 4, lines: 3, .. })));
        assert!(matches!(range(3, Some(2)), Err(Error::Argument { .. })));
        let empty = reading("", &ReadOptions::default()).unwrap();
        assert_eq!((empty.content.as_str(), empty.lines, empty.truncated), ("", Some(0), false));
        let long = reading(&"é".repeat(1000), &ReadOptions { max: 11, ..ReadOptions::default() }).unwrap();
        assert_eq!((long.content.chars().count(), long.truncated, long.next_line, long.next_offset), (5, true, None, Some(10)));
    }
}
