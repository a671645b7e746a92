//! Making a backup.
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use super::{
    Instance, Step, Watch,
    docker::container::Container,
    dump::{Names, Reader, hex},
    error::{Error, Result},
    filestore::{self, Sink},
    postgres::{Client, Facts, database_name},
    store::{
        Backups, FILESTORE, MANIFEST, Manifest, PART, Part, SEAL, blocking, check_part, make_folder, open, sync_folder, word,
    },
};

/// Bytes that a backup may take, unless told otherwise.
pub const LIMIT: u64 = 2 << 30;
/// Characters of a label.
const LABEL: usize = 100;

/// How the database is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// PostgreSQL's own format, compressed.
    #[default]
    Custom,
    /// SQL, compressed by gzip.
    Plain,
}
impl Format {
    fn file(self) -> &'static str {
        match self {
            Self::Custom => "dump.pgc",
            Self::Plain => "dump.sql.gz",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// A new id for the backup: letters, digits, `-`, `_`, `.`, at most 64.
    pub id: String,
    pub now: DateTime<Utc>,
    /// At most 100 characters.
    pub label: Option<String>,
    pub format: Format,
    pub filestore: bool,
    /// Bytes that database and filestore may have together ([`LIMIT`] unless set otherwise).
    pub limit: u64,
}

/// What is known before anything is written.
pub(super) struct Before {
    pub facts: Facts,
    pub odoo_version: String,
    pub root: String,
    missing: BTreeSet<String>,
    filestore_bytes: u64,
}

impl Backups {
    /// Makes a backup and verifies it. On an error, and when cancelled, nothing is left.
    ///
    /// # Errors
    /// Sizes and versions are looked at before anything is written.
    pub async fn create(&self, instance: &Instance, request: &Request, watch: &mut Watch<'_>) -> Result<Manifest> {
        let _lock = self.lock(&instance.id).await?;
        self.unfinished(&instance.id).await?;
        self.create_locked(instance, request, watch, None).await
    }

    /// The same for who holds the lock. `as_step`: all progress is told as this step.
    pub(super) async fn create_locked(
        &self,
        instance: &Instance,
        request: &Request,
        watch: &mut Watch<'_>,
        as_step: Option<Step>,
    ) -> Result<Manifest> {
        let place = self.place(&instance.id, &request.id)?;
        if request.label.as_ref().is_some_and(|label| label.chars().count() > LABEL || label.chars().any(char::is_control)) {
            return Err(Error::Argument {
                what: "the label",
                why: format!("it has more than {LABEL} characters, or control characters"),
            });
        }
        let part = place.with_file_name(format!("{}{PART}", word("the backup's id", &request.id)?));
        let (done, making) = (place.clone(), part.clone());
        let id = request.id.clone();
        let exists = blocking(move || Ok(done.symlink_metadata().is_ok() || making.symlink_metadata().is_ok())).await?;
        if exists {
            return Err(Error::Exists { id });
        }
        let step = |own: Step| as_step.unwrap_or(own);
        watch.tell(step(Step::Check), 0, 0);
        let client = Client::new(instance);
        let before = look(&client, instance, request.filestore, &watch.cancel).await?;
        let filestore_bytes = if request.filestore { before.filestore_bytes } else { 0 };
        let needed = before.facts.size + filestore_bytes;
        if needed > request.limit {
            return Err(Error::TooBig { database: before.facts.size, filestore: filestore_bytes, limit: request.limit });
        }
        space(&self.shelf(&instance.id)?, needed).await?;
        client.fits("pg_dump", before.facts.number / 10_000).await?;

        let folder = part.clone();
        blocking(move || make_folder(&folder, false)).await?;
        let made = async {
            let manifest = self.write(instance, request, &client, before, &part, watch, &step).await?;
            watch.go_on()?;
            let (from, to) = (part.clone(), place.clone());
            blocking(move || {
                sync_folder(&from)?;
                std::fs::rename(&from, &to).map_err(|error| Error::disk(&to, error))?;
                to.parent().map_or(Ok(()), sync_folder)
            })
            .await?;
            Ok(manifest)
        };
        match made.await {
            Ok(manifest) => Ok(manifest),
            Err(error) => {
                // What cannot be removed now, `retain` removes.
                let _ = tokio::fs::remove_dir_all(&part).await;
                Err(error)
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one backup")]
    async fn write(
        &self,
        instance: &Instance,
        request: &Request,
        client: &Client,
        before: Before,
        part: &Path,
        watch: &mut Watch<'_>,
        step: &(dyn Fn(Step) -> Step + Sync),
    ) -> Result<Manifest> {
        let cancel = watch.cancel.clone();
        let plain = request.format == Format::Plain;
        // The dump. Its size is not known before: the database's is the most that it can be.
        let mut file = Writing::create(part, request.format.file()).await?;
        let mut pg_dump = client.dump(&instance.database, plain).await?;
        while let Some(data) = pg_dump.next(&cancel).await? {
            file.put(&data).await?;
            watch.tell(step(Step::Dump), file.bytes, before.facts.size);
        }
        let dump = file.finish().await?;

        // What the dump says, from disk.
        let said = contents(client, &part.join(&dump.name), plain, watch, step(Step::Verify)).await?;
        let id = || request.id.clone();
        if !said.attachments || said.modules.is_empty() {
            return Err(Error::NotOdoo { database: instance.database.clone() });
        }

        let (mut packed, mut missing, mut filestore_bytes) = (None, BTreeSet::new(), 0);
        if request.filestore {
            let mut file = Writing::create(part, FILESTORE).await?;
            let total = before.filestore_bytes;
            let done = {
                let mut sink = Telling { file: &mut file, watch, step: step(Step::Filestore), total };
                filestore::pack(&instance.odoo, &before.root, &said.names, &cancel, &mut sink).await?
            };
            packed = Some(file.finish().await?);
            let gone: Vec<_> = done.missing.difference(&before.missing).collect();
            if let Some(example) = gone.first() {
                return Err(Error::FilesGone { count: gone.len(), example: (*example).clone() });
            }
            (missing, filestore_bytes) = (done.missing, done.size);
        }

        // Everything once more, from disk.
        watch.tell(step(Step::Verify), 0, dump.bytes + packed.as_ref().map_or(0, |part| part.bytes));
        check_part(part, &request.id, &dump).await?;
        if !plain {
            listed(client, &part.join(&dump.name), &request.id, &cancel).await?;
        } else if !said.complete {
            return Err(Error::Broken { id: id(), why: "the dump has no end".to_owned() });
        }
        let mut damaged = BTreeSet::new();
        if let Some(tar) = &packed {
            watch.go_on()?;
            check_part(part, &request.id, tar).await?;
            let path = part.join(&tar.name);
            let held = blocking({
                let id = id();
                move || {
                    let file = open(&path).map_err(|error| Error::disk(&path, error))?;
                    filestore::read_tar(std::io::BufReader::with_capacity(256 << 10, file))
                        .map_err(|why| Error::Broken { id, why })
                }
            })
            .await?;
            if let Some(name) = said.names.iter().find(|name| !held.names.has(name) && !missing.contains(name)) {
                return Err(Error::Broken { id: id(), why: format!("the filestore's archive lacks {name}") });
            }
            damaged = held.damaged;
        }

        let manifest = Manifest {
            id: id(),
            instance: instance.id.clone(),
            database: instance.database.clone(),
            created: request.now,
            label: request.label.clone(),
            format: request.format,
            odoo_version: before.odoo_version,
            postgres_version: before.facts.version,
            modules: said.modules,
            database_bytes: before.facts.size,
            filestore_bytes,
            dump,
            filestore: packed,
            store_fnames: said.names.len() as u64,
            missing,
            damaged,
            elsewhere: said.names.elsewhere,
            verified: true,
            ocore_version: self.ocore.clone(),
            locale: before.facts.locale,
        };
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::Argument { what: "the manifest", why: error.to_string() })?;
        for (name, content) in [(SEAL, self.seal(&text)?.as_bytes()), (MANIFEST, &text)] {
            let mut file = Writing::create(part, name).await?;
            file.put(content).await?;
            file.finish().await?;
        }
        Ok(manifest)
    }
}

/// Looks at the database, and at Odoo and its filestore.
pub(super) async fn look(client: &Client, instance: &Instance, measured: bool, cancel: &CancellationToken) -> Result<Before> {
    database_name(&instance.database)?;
    let facts = client.facts(&instance.database).await?;
    let is_odoo =
        "SELECT to_json(to_regclass('public.ir_attachment') IS NOT NULL AND to_regclass('public.ir_module_module') IS NOT NULL);";
    if !client.json::<bool>(&instance.database, "look at the database", is_odoo).await? {
        return Err(Error::NotOdoo { database: instance.database.clone() });
    }
    let place = filestore::place(&instance.odoo, &instance.database).await?;
    let root = instance.filestore.clone().unwrap_or(place.filestore);
    let root = root.trim_end_matches('/').to_owned();
    if !root.starts_with('/') || root.split('/').filter(|part| !part.is_empty()).count() < 2 {
        return Err(Error::Argument { what: "the filestore's path", why: format!("{root} is no absolute path of a filestore") });
    }
    let mut before = Before { facts, odoo_version: place.version, root, missing: BTreeSet::new(), filestore_bytes: 0 };
    if measured {
        let done = measured_in(client, &instance.odoo, &instance.database, &before.root, cancel).await?;
        (before.missing, before.filestore_bytes) = (done.missing, done.size);
    }
    Ok(before)
}
/// The files that a database's attachments name, in its filestore.
pub(super) async fn measured_in(
    client: &Client,
    odoo: &Container,
    database: &str,
    root: &str,
    cancel: &CancellationToken,
) -> Result<filestore::Done> {
    let names = names_in(client, database, cancel).await?;
    filestore::measure(odoo, root, &names, cancel).await
}
/// The names of files that a database's attachments have.
pub(super) async fn names_in(client: &Client, database: &str, cancel: &CancellationToken) -> Result<Names> {
    let mut rows = client
        .rows(database, "COPY (SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname IS NOT NULL AND store_fname <> '') TO STDOUT;")
        .await?;
    let (mut names, mut rest) = (Names::default(), Vec::new());
    while let Some(data) = rows.next(cancel).await? {
        rest.extend_from_slice(&data);
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in rest.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            names.add(&String::from_utf8_lossy(line));
        }
        rest.drain(..whole);
    }
    Ok(names)
}
/// Refuses when a folder's disk has not that much room, or the folder's nearest parent that exists.
async fn space(folder: &Path, needed: u64) -> Result<()> {
    let folder = folder.to_owned();
    blocking(move || {
        let found = rustix::fs::statvfs(&folder).map_err(|error| Error::disk(&folder, error.into()))?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        if free < needed { Err(Error::NoSpace { path: folder, needed, free }) } else { Ok(()) }
    })
    .await
}

/// Reads a dump on ocore's disk for what it says of attachments and modules.
async fn contents(client: &Client, path: &Path, plain: bool, watch: &mut Watch<'_>, step: Step) -> Result<Reader> {
    if plain {
        let path = path.to_owned();
        return blocking(move || {
            let file = open(&path).map_err(|error| Error::disk(&path, error))?;
            let mut source = MultiGzDecoder::new(std::io::BufReader::with_capacity(256 << 10, file));
            let (mut reader, mut buffer) = (Reader::default(), vec![0; 256 << 10]);
            loop {
                let read = std::io::Read::read(&mut source, &mut buffer).map_err(|error| Error::disk(&path, error))?;
                if read == 0 {
                    return Ok(reader);
                }
                reader.read(buffer.get(..read).unwrap_or_default());
            }
        })
        .await;
    }
    let mut restore = client.contents(&["--data-only", "--table=ir_attachment", "--table=ir_module_module", "--file=-"]).await?;
    let mut source = tokio::fs::File::from_std(open(path).map_err(|error| Error::disk(path, error))?);
    let (mut reader, cancel) = (Reader::default(), watch.cancel.clone());
    let total = source.metadata().await.map_or(0, |found| found.len());
    let mut fed = |bytes| watch.tell(step, bytes, total);
    let mut each = |data: &[u8]| {
        reader.read(data);
        Ok(())
    };
    restore.feed(&mut source, &cancel, &mut fed, &mut each, path).await?;
    Ok(reader)
}
/// Has pg_restore list a dump, and read it to its end: the list alone is at its beginning.
async fn listed(client: &Client, path: &Path, id: &str, cancel: &CancellationToken) -> Result<()> {
    let mut list = client.contents(&["--list"]).await?;
    let mut source = tokio::fs::File::from_std(open(path).map_err(|error| Error::disk(path, error))?);
    let mut text = Vec::new();
    let mut each = |data: &[u8]| {
        text.extend_from_slice(data);
        Ok(())
    };
    let listed = list.feed(&mut source, cancel, &mut |_| (), &mut each, path).await;
    let broken = |why: String| Error::Broken { id: id.to_owned(), why };
    match listed {
        Err(Error::Program { said, .. }) => return Err(broken(format!("pg_restore does not read the dump ({said})"))),
        other => other?,
    }
    if !String::from_utf8_lossy(&text).contains(" TABLE DATA public ir_attachment ") {
        return Err(broken("the dump's list has no attachments".to_owned()));
    }
    let mut whole = client.contents(&["--file=/dev/null"]).await?;
    let mut source = tokio::fs::File::from_std(open(path).map_err(|error| Error::disk(path, error))?);
    match whole.feed(&mut source, cancel, &mut |_| (), &mut |_| Ok(()), path).await {
        Err(Error::Program { said, .. }) => Err(broken(format!("pg_restore does not read the dump to its end ({said})"))),
        other => other,
    }
}

/// A file of a backup that is being written.
pub(super) struct Writing {
    file: tokio::fs::File,
    path: PathBuf,
    name: String,
    digest: Sha256,
    pub bytes: u64,
}
impl Writing {
    pub(super) async fn create(folder: &Path, name: &str) -> Result<Self> {
        let path = folder.join(name);
        let file = tokio::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .await
            .map_err(|error| Error::disk(&path, error))?;
        Ok(Self { file, path, name: name.to_owned(), digest: Sha256::new(), bytes: 0 })
    }
    pub(super) async fn put(&mut self, data: &[u8]) -> Result<()> {
        self.file.write_all(data).await.map_err(|error| Error::disk(&self.path, error))?;
        self.digest.update(data);
        self.bytes += data.len() as u64;
        Ok(())
    }
    pub(super) async fn finish(mut self) -> Result<Part> {
        self.file.flush().await.map_err(|error| Error::disk(&self.path, error))?;
        self.file.sync_all().await.map_err(|error| Error::disk(&self.path, error))?;
        Ok(Part { name: self.name, bytes: self.bytes, sha256: hex(&self.digest.finalize()) })
    }
}
/// Writes, and tells how far it is.
struct Telling<'a, 'w> {
    file: &'a mut Writing,
    watch: &'a mut Watch<'w>,
    step: Step,
    total: u64,
}
impl Sink for Telling<'_, '_> {
    fn write<'a>(&'a mut self, data: &'a [u8]) -> std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>> {
        Box::pin(async move {
            self.file.put(data).await?;
            self.watch.tell(self.step, self.file.bytes, self.total);
            Ok(())
        })
    }
}
