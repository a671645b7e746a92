//! A filestore in Odoo's container, by a script of ocore's own there; and the tar files that it writes.
use std::{collections::BTreeSet, io::Read, path::Path, time::Duration};

use serde::Deserialize;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

use super::{
    docker::{
        container::Container,
        exec::{Captured, Event, Exit, Limits, Program, Running},
    },
    dump::{Names, hex},
    error::{Error, Result},
    postgres::{LONG, ROOM},
};

const FILESTORE: &str = include_str!("scripts/filestore.py");
const WHERE: &str = include_str!("scripts/where.py");

/// What Odoo tells of itself.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    /// As `19.0` or `14.0-20201004`.
    pub version: String,
    pub filestore: String,
}

/// Asks Odoo's configuration where the filestore of a database is.
pub(super) async fn place(odoo: &Container, database: &str) -> Result<Place> {
    let limits = Limits { deadline: Duration::from_mins(1), ..Limits::default() };
    Ok(odoo.python(WHERE, &json!({ "database": database }), &limits).await?)
}

/// How the script's work ended.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub count: u64,
    pub size: u64,
    /// Names that were asked for and are not there.
    pub missing: BTreeSet<String>,
    pub there: Vec<bool>,
}
#[derive(Deserialize)]
struct Line {
    #[serde(default)]
    missing: Option<String>,
    #[serde(default)]
    done: bool,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    there: Vec<bool>,
}

/// The script at work on one filestore.
struct Work<'a> {
    running: Running,
    container: &'a str,
    path: String,
    answer: Vec<u8>,
    done: Option<Done>,
    missing: BTreeSet<String>,
    stderr: Captured,
    ended: Option<Exit>,
}

impl<'a> Work<'a> {
    async fn start(odoo: &'a Container, order: &Value, path: &str, names: bool, reads: bool) -> Result<Self> {
        let mut first = order.to_string().into_bytes();
        first.push(b'\n');
        let program = Program {
            argv: ["{python}", "-I", "-S", "-c", FILESTORE].map(ToOwned::to_owned).to_vec(),
            order: Some(first.into()),
            close_order: !names,
            keep_input: reads,
            ..Program::default()
        };
        let limits = Limits { deadline: LONG, file: 1 << 40, head: usize::MAX >> 1, tail: 1 << 10, ..Limits::default() };
        let running = odoo.start(&program, &limits).await?;
        Ok(Self {
            running,
            container: odoo.name(),
            path: path.to_owned(),
            answer: Vec::new(),
            done: None,
            missing: BTreeSet::new(),
            stderr: Captured::default(),
            ended: None,
        })
    }
    fn take(&mut self, event: Event) -> Result<Option<bytes::Bytes>> {
        match event {
            Event::Stdout(data) => return Ok(Some(data)),
            Event::Stderr(data) if self.stderr.head.len() < 64 << 10 => self.stderr.head.extend_from_slice(&data),
            Event::Answer(data) => {
                self.answer.extend_from_slice(&data);
                while let Some(at) = self.answer.iter().position(|byte| *byte == b'\n') {
                    let rest = self.answer.split_off(at + 1);
                    let line = std::mem::replace(&mut self.answer, rest);
                    let line: Line = serde_json::from_slice(&line).map_err(|error| self.failed(&error.to_string()))?;
                    self.missing.extend(line.missing);
                    if line.done {
                        let missing = std::mem::take(&mut self.missing);
                        self.done = Some(Done { count: line.count, size: line.size, missing, there: line.there });
                    }
                }
            }
            Event::Ended { exit, .. } => self.ended = Some(exit),
            _ => {}
        }
        Ok(None)
    }
    fn failed(&self, said: &str) -> Error {
        Error::Filestore { path: self.path.clone(), container: self.container.to_owned(), said: said.to_owned() }
    }
    fn end(self) -> Result<Done> {
        let text = self.stderr.text();
        let said = text.lines().map(str::trim).rfind(|line| !line.is_empty());
        match (self.ended, self.done) {
            (Some(Exit::Code(0)), Some(done)) => Ok(done),
            (exit, _) => {
                let said: String =
                    said.map_or_else(|| format!("it ended with {exit:?}"), |said| said.chars().take(500).collect());
                Err(Error::Filestore { path: self.path, container: self.container.to_owned(), said })
            }
        }
    }
    /// Gives it names, and its output to `each`.
    async fn names(mut self, names: &Names, cancel: &CancellationToken, each: &mut dyn Sink) -> Result<Done> {
        let mut names = names.iter();
        let mut over = false;
        while self.ended.is_none() {
            let event = tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                event = self.running.next_or_room(if over { 0 } else { ROOM }) => event?,
            };
            if let Some(event) = event {
                if let Some(data) = self.take(event)? {
                    each.write(&data).await?;
                }
                continue;
            }
            let more: String = names.by_ref().take(1000).flat_map(|name| [name, "\n".to_owned()]).collect();
            if more.is_empty() {
                over = true;
                self.running.close_order();
            } else {
                self.running.order(more.as_bytes());
            }
        }
        self.end()
    }
    async fn alone(mut self) -> Result<Done> {
        while self.ended.is_none() {
            let event = self.running.next().await?;
            self.take(event)?;
        }
        self.end()
    }
}

/// Where the output of a program goes, piece by piece.
pub(super) trait Sink: Send {
    fn write<'a>(&'a mut self, data: &'a [u8]) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;
}
/// For what prints nothing.
struct Nowhere;
impl Sink for Nowhere {
    fn write<'a>(&'a mut self, _: &'a [u8]) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async { Ok(()) })
    }
}

/// Which of these files there are, and how big.
pub(super) async fn measure(odoo: &Container, root: &str, names: &Names, cancel: &CancellationToken) -> Result<Done> {
    let order = json!({ "do": "measure", "root": root });
    Work::start(odoo, &order, root, true, false).await?.names(names, cancel, &mut Nowhere).await
}
/// A tar of these files, to a sink.
pub(super) async fn pack(
    odoo: &Container,
    root: &str,
    names: &Names,
    cancel: &CancellationToken,
    sink: &mut dyn Sink,
) -> Result<Done> {
    let order = json!({ "do": "pack", "root": root });
    Work::start(odoo, &order, root, true, false).await?.names(names, cancel, sink).await
}
/// Unpacks a tar into a folder that must not exist yet. `damaged` are the names whose contents are known to differ from them.
pub(super) async fn unpack(
    odoo: &Container,
    root: &str,
    (size, damaged): (u64, &BTreeSet<String>),
    (source, path): (&mut (dyn AsyncRead + Unpin + Send), &Path),
    cancel: &CancellationToken,
    fed: &mut (dyn FnMut(u64) + Send),
) -> Result<Done> {
    let order = json!({ "do": "unpack", "root": root, "size": size, "damaged": damaged });
    let mut work = Work::start(odoo, &order, root, false, true).await?;
    let mut buffer = vec![0; 256 << 10];
    let (mut all, mut over) = (0, false);
    while work.ended.is_none() {
        let event = tokio::select! {
            () = cancel.cancelled() => return Err(Error::Cancelled),
            event = work.running.next_or_room(if over { 0 } else { ROOM }) => event?,
        };
        if let Some(event) = event {
            work.take(event)?;
            continue;
        }
        let read = source.read(&mut buffer).await.map_err(|error| Error::disk(path, error))?;
        if read == 0 {
            over = true;
            work.running.close_input();
        } else {
            work.running.input(buffer.get(..read).unwrap_or_default());
            all += read as u64;
            fed(all);
        }
    }
    work.end()
}
/// Copies these files into a folder that must not exist yet.
pub(super) async fn copy(
    odoo: &Container,
    (root, to): (&str, &str),
    size: u64,
    names: &Names,
    cancel: &CancellationToken,
) -> Result<Done> {
    let order = json!({ "do": "copy", "root": root, "to": to, "size": size });
    Work::start(odoo, &order, to, true, false).await?.names(names, cancel, &mut Nowhere).await
}
/// Which of these folders exist.
pub(super) async fn look(odoo: &Container, paths: &[&str]) -> Result<Vec<bool>> {
    let path = paths.first().copied().unwrap_or_default();
    let done = Work::start(odoo, &json!({ "do": "look", "paths": paths }), path, false, false).await?.alone().await?;
    if done.there.len() == paths.len() {
        return Ok(done.there);
    }
    Err(Error::Filestore {
        path: path.to_owned(),
        container: odoo.name().to_owned(),
        said: "its answer is not readable".to_owned(),
    })
}
/// Renames folders, in this order. A rename whose target exists and whose source does not is taken as done.
pub(super) async fn rename(odoo: &Container, moves: &[(&str, &str)]) -> Result<()> {
    let path = moves.first().map(|(from, _)| *from).unwrap_or_default();
    Work::start(odoo, &json!({ "do": "move", "moves": moves }), path, false, false).await?.alone().await.map(drop)
}
/// Removes folders, where they exist.
pub(super) async fn remove(odoo: &Container, paths: &[&str]) -> Result<()> {
    let path = paths.first().copied().unwrap_or_default();
    Work::start(odoo, &json!({ "do": "remove", "paths": paths }), path, false, false).await?.alone().await.map(drop)
}

/// What a tar of `pack` holds, read to its end.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub names: Names,
    pub count: u64,
    /// Names whose contents have another digest than they say.
    pub damaged: BTreeSet<String>,
}
/// Reads a tar file through. Blocking; only what `pack` writes is understood.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read_tar(mut file: impl Read) -> Result<Held, String> {
    let mut held = Held::default();
    let mut header = [0; 512];
    let mut buffer = vec![0; 256 << 10];
    loop {
        file.read_exact(&mut header).map_err(|_| "the archive has no end".to_owned())?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(held);
        }
        let name = header.get(..100).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
        let name = std::str::from_utf8(name).map_err(|_| "a name in the archive is no text".to_owned())?.to_owned();
        let size = number(header.get(124..136).unwrap_or_default()).ok_or_else(|| format!("{name} has no size"))?;
        if header.get(156) != Some(&b'0') {
            return Err(format!("{name} in the archive is no regular file"));
        }
        let before = held.names.len();
        held.names.add(&name);
        if held.names.len() == before {
            return Err(format!("{name} in the archive is twice, or no file of a filestore"));
        }
        let mut digest = Sha1::new();
        let mut left = size;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let read = file.read(buffer.get_mut(..most).unwrap_or_default()).map_err(|error| error.to_string())?;
            if read == 0 {
                return Err(format!("the archive ends in the middle of {name}"));
            }
            digest.update(buffer.get(..read).unwrap_or_default());
            left -= read as u64;
        }
        if !name.ends_with(&hex(&digest.finalize())) {
            held.damaged.insert(name);
        }
        let padding = usize::try_from((512 - size % 512) % 512).unwrap_or(0);
        file.read_exact(header.get_mut(..padding).unwrap_or_default()).map_err(|error| error.to_string())?;
        held.count += 1;
    }
}
/// A number of a tar header: octal, or binary where the first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if field.first()? & 0x80 != 0 {
        return Some(field.iter().skip(4).fold(0, |all, byte| all << 8 | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, content: &[u8], kind: u8) -> Vec<u8> {
        let mut header = vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[156] = kind;
        header.extend_from_slice(content);
        header.resize(header.len().div_ceil(512) * 512, 0);
        header
    }

    #[test]
    fn a_tar_is_read_to_its_end_and_judged() {
        let name = format!("aa/{}", hex(&Sha1::digest(b"hello")));
        let end = vec![0; 1024];
        let good = [entry(&name, b"hello", b'0'), end.clone()].concat();
        let held = read_tar(good.as_slice()).unwrap();
        assert!(held.names.has(&name) && held.damaged.is_empty() && held.count == 1);
        let other = [entry(&name, b"hallo", b'0'), end.clone()].concat();
        assert_eq!(read_tar(other.as_slice()).unwrap().damaged.len(), 1);
        for bad in [
            good[..600].to_vec(),
            good[..1024].to_vec(),
            [entry(&name, b"", b'2'), end.clone()].concat(),
            [entry("../../etc/passwd", b"x", b'0'), end.clone()].concat(),
            [entry(&name, b"hello", b'0'), entry(&name, b"hello", b'0'), end].concat(),
        ] {
            assert!(read_tar(bad.as_slice()).is_err());
        }
        assert_eq!(number(&[0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1]), Some((2 << 32) + 1));
    }
}
