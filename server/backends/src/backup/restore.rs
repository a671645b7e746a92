//! Putting a backup back, and recovering when that was interrupted.
//!
//! The new database and its filestore are made beside the live ones, whole and read back, before anything that is served is
//! touched. Then Odoo is shut out of its database (nobody may connect to it, sessions end), names are swapped in one transaction,
//! folders are renamed, Odoo's container is restarted so that no process holds what it knew of the old one, and the database is
//! opened. It is shut out while its container still runs, because what renames the folders runs in that container.
//!
//! Going back is decided by what is there, not by what was meant: a name with `_ocore_old_` exists from the swap on. So the way
//! back can be gone again and again, after a crash at any point, and leads to the old database until the new one was opened, and
//! from there on to the new one, unless that does not serve.
use std::{path::Path, time::Duration};

use chrono::{DateTime, Utc};
use flate2::read::MultiGzDecoder;
use tokio_util::sync::CancellationToken;

use super::{
    Instance, Step, Watch,
    create::{Format, Request, look, measured_in},
    docker::{self, container::Container},
    error::{Error, Result},
    filestore,
    journal::{Folders, Journal, Mark, Plan},
    postgres::{Client, ROOM, database_name, ident, literal},
    store::{Backups, Manifest, PRE_RESTORE, blocking, open, word},
};

/// What Odoo's processes get to end by themselves.
const PATIENCE: Duration = Duration::from_secs(20);
/// What a server gets to come back when a way back needs it.
const COMES_BACK: Duration = Duration::from_secs(15);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The backup to put back.
    pub backup: String,
    /// A new id for the backup that is made first.
    pub snapshot: String,
    /// Part of the names of what is made: 8 small letters and digits, random.
    pub id: String,
    pub now: DateTime<Utc>,
    /// Bytes that the snapshot may have, as for any backup.
    pub limit: u64,
    /// Keep the old database and filestore, under their names with `_ocore_old_`.
    pub keep_old: bool,
    /// What Odoo gets to answer again after its start.
    pub serving: Duration,
}

/// A restore that went well: the new database is served.
#[derive(Debug, Clone)]
pub struct Restored {
    pub manifest: Manifest,
    /// The backup of what was there before.
    pub snapshot: String,
    /// Database and filestore as they were, where they were kept.
    pub kept: Option<(String, Option<String>)>,
    /// Files that attachments name and that are not there; 0 as a rule.
    pub missing: u64,
    /// Roles besides the owner that had rights on tables of the old database: they have none in the new one.
    pub lost_rights: Vec<String>,
    pub warnings: Vec<String>,
}

/// What is whole and served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served {
    /// The database as it was before the restore.
    Old,
    /// The one from the backup.
    New,
}

/// What became of an interrupted restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    pub served: Served,
    pub backup: String,
    /// The snapshot from before, where it had been finished.
    pub snapshot: Option<String>,
    pub warnings: Vec<String>,
}

/// The other databases that this container serves: they stop and start with a restore.
pub async fn served_databases(instance: &Instance) -> Result<Vec<String>> {
    let launch = instance.odoo.launch().await?;
    let mut names: Vec<String> = match (launch.databases, &launch.database_filter) {
        // As Odoo does it: names that are given count unless there is a filter.
        (Some(names), None) => names.split(',').map(|name| name.trim().to_owned()).collect(),
        (_, filter) => {
            // A filter by the host's name tells nothing here: every database may be meant.
            let filter = filter.as_deref().filter(|filter| !filter.contains('%')).unwrap_or("");
            let sql = format!(
                "SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database
                WHERE datdba = (SELECT oid FROM pg_roles WHERE rolname = current_user)
                    AND NOT datistemplate AND datallowconn AND datname <> 'postgres' AND datname ~ {};",
                literal(&format!("^(?:{filter})"))
            );
            let client = Client::new(instance);
            client.json("postgres", "list databases", &sql).await?
        }
    };
    names.retain(|name| *name != instance.database && !name.is_empty());
    Ok(names)
}

impl Backups {
    /// Puts a backup of this instance back.
    ///
    /// Run it where nothing drops it; if that happens all the same, [`Backups::recover`] leads to a served database. Cancelling
    /// works until Odoo is shut out of its database.
    ///
    /// # Errors
    /// [`Error::RolledBack`] when it failed after something had been made: the old database is served. Any other error but
    /// [`Error::Stuck`] came before that.
    pub async fn restore(&self, instance: &Instance, request: &RestoreRequest, watch: &mut Watch<'_>) -> Result<Restored> {
        let _lock = self.lock(&instance.id).await?;
        self.unfinished(&instance.id).await?;
        watch.tell(Step::Check, 0, 0);
        let fine = request.id.len() == 8 && request.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !fine {
            return Err(Error::Argument { what: "the restore's id", why: "it is not 8 small letters and digits".to_owned() });
        }
        word("the snapshot's id", &request.snapshot)?;
        database_name(&instance.database)?;
        let manifest = self.verify(&instance.id, &request.backup).await?;
        watch.go_on()?;
        let client = Client::new(instance);
        let before = look(&client, instance, false, &watch.cancel).await?;
        let program = if manifest.format == Format::Plain { "psql" } else { "pg_restore" };
        client.fits(program, before.facts.number / 10_000).await?;
        let role = instance.postgres.user.clone();
        if !before.facts.owned {
            let lacks = format!("does not own {} ({} does)", instance.database, before.facts.owner);
            return Err(Error::Role { role, lacks });
        }
        if !before.facts.createdb {
            return Err(Error::Role { role, lacks: "may not create databases".to_owned() });
        }
        if series(&manifest.odoo_version) != series(&before.odoo_version) {
            return Err(Error::OtherVersion { backup: manifest.odoo_version, running: before.odoo_version });
        }
        let lost = lost(&client, &instance.database).await?;
        let http_port = instance.odoo.launch().await?.http_port;
        let aside = |middle: &str| aside(&instance.database, middle, &request.id);
        let (new, old) = (aside("_ocore_"), aside("_ocore_old_"));
        let files = manifest.filestore.as_ref().map(|_| {
            let parent = before.root.rsplit_once('/').map_or("", |(parent, _)| parent);
            Folders { live: before.root.clone(), new: format!("{parent}/{new}"), old: format!("{parent}/{old}"), had: true }
        });
        let mut plan = Plan {
            restore: request.id.clone(),
            backup: manifest.id.clone(),
            snapshot: request.snapshot.clone(),
            database: instance.database.clone(),
            new,
            old,
            files,
            http_port,
            keep_old: request.keep_old,
        };
        if let Some(name) = client.databases(&[&plan.new, &plan.old]).await?.into_keys().next() {
            return Err(Error::Taken { what: "A database", name });
        }
        if let Some(files) = &mut plan.files {
            let there = filestore::look(&instance.odoo, &[&files.live, &files.new, &files.old]).await?;
            if let [had, false, false] = *there {
                files.had = had;
            } else {
                return Err(Error::Taken { what: "A filestore", name: files.new.clone() });
            }
        }
        watch.go_on()?;
        let journal = Journal::begin(&self.shelf(&instance.id)?, plan).await?;
        Restoring { backups: self, instance, request, manifest, lost, client, journal, step: Step::Snapshot }.run(watch).await
    }

    /// Ends an interrupted restore of this instance: back to the old database, or on to the new one where that had been opened
    /// already, for somebody may have worked in it since. None when there is none. May be called again and again; an error leaves everything for the next time.
    ///
    /// `serving`: what Odoo gets to answer again.
    pub async fn recover(&self, instance: &Instance, serving: Duration) -> Result<Option<Recovered>> {
        let _lock = self.lock(&instance.id).await?;
        let Some(mut journal) = Journal::read(&self.shelf(&instance.id)?).await? else { return Ok(None) };
        if journal.plan.database != instance.database {
            let why = format!("it is about the database {}, and the instance has {}", journal.plan.database, instance.database);
            return Err(Error::Argument { what: "the interrupted restore", why });
        }
        let client = Client::new(instance);
        let mut warnings = Vec::new();
        let odoo = &instance.odoo;
        if !journal.last.is_end() {
            // Whatever becomes of the rest; an Odoo that is shut out of its database does no harm.
            odoo.bring_up().await?;
            patiently(async || client.quiet().await).await?;
        }
        let forward = match journal.last {
            Mark::Restart | Mark::Serve => is_open(&client, &journal.plan).await?,
            last => last == Mark::CleanUp,
        };
        let served = match journal.last {
            Mark::Done => Served::New,
            Mark::RolledBack => Served::Old,
            _ => {
                let serves = if forward {
                    odoo.bring_up().await?;
                    odoo.serves(journal.plan.http_port, serving).await
                } else {
                    Ok(())
                };
                match (forward, serves) {
                    (true, Ok(())) => {
                        journal.step(Mark::CleanUp).await?;
                        warnings = clean_up(&client, odoo, &journal.plan).await;
                        journal.step(Mark::Done).await?;
                        Served::New
                    }
                    (true, Err(error)) if journal.last == Mark::CleanUp => return Err(error.into()),
                    _ => {
                        back(&client, odoo, &mut journal, serving).await?;
                        Served::Old
                    }
                }
            }
        };
        let snapshot = journal.plan.snapshot.clone();
        let snapshot = self.manifest(&instance.id, &snapshot).await.is_ok().then_some(snapshot);
        Ok(Some(Recovered { served, backup: journal.plan.backup, snapshot, warnings }))
    }
}

/// What belongs to a database and is in no dump of it.
#[derive(serde::Deserialize)]
struct Lost {
    rights: Vec<String>,
    /// `work_mem=8MB`.
    settings: Vec<String>,
}
async fn lost(client: &Client, database: &str) -> Result<Lost> {
    client
        .json(
            database,
            "look at rights and settings",
            "SELECT json_build_object(
                'rights', (SELECT coalesce(json_agg(DISTINCT grantee), '[]') FROM information_schema.role_table_grants
                           WHERE table_schema = 'public' AND grantee NOT IN (current_user, 'PUBLIC')),
                'settings', (SELECT coalesce(json_agg(setting), '[]') FROM pg_db_role_setting s, unnest(s.setconfig) AS setting
                             WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())));",
        )
        .await
}

/// A restore at work.
struct Restoring<'a> {
    backups: &'a Backups,
    instance: &'a Instance,
    request: &'a RestoreRequest,
    manifest: Manifest,
    lost: Lost,
    client: Client,
    journal: Journal,
    step: Step,
}

impl Restoring<'_> {
    async fn run(mut self, watch: &mut Watch<'_>) -> Result<Restored> {
        let done = self.forward(watch).await;
        let odoo = &self.instance.odoo;
        match done {
            Ok(missing) => {
                let mut warnings = self.manifest.warnings();
                let kept = self.journal.plan.keep_old.then(|| {
                    let files = self.journal.plan.files.as_ref().filter(|files| files.had).map(|files| files.old.clone());
                    (self.journal.plan.old.clone(), files)
                });
                watch.tell(Step::CleanUp, 0, 0);
                warnings.extend(clean_up(&self.client, odoo, &self.journal.plan).await);
                if let Err(error) = self.journal.step(Mark::Done).await {
                    warnings.push(format!("The journal could not be ended: {error} Recovery will find everything done."));
                }
                if self.manifest.filestore.is_none() && missing > 0 {
                    warnings.push(format!(
                        "{missing} files that attachments name are not in the filestore, which was left as it was."
                    ));
                }
                let Lost { rights, settings } = self.lost;
                if !rights.is_empty() {
                    warnings.push(format!("The rights of {} on tables are gone: grant them again.", rights.join(", ")));
                }
                if !settings.is_empty() {
                    warnings.push(format!(
                        "Settings of the database are gone ({}): set them again by ALTER DATABASE.",
                        settings.join(", ")
                    ));
                }
                let snapshot = self.request.snapshot.clone();
                Ok(Restored { manifest: self.manifest, snapshot, kept, missing, lost_rights: rights, warnings })
            }
            Err(error) => {
                let (step, touched) = (self.step, self.journal.reached > Mark::Snapshot);
                let snapshot = touched.then(|| self.request.snapshot.clone());
                match back(&self.client, odoo, &mut self.journal, self.request.serving).await {
                    // Nothing but the snapshot had been begun.
                    Ok(()) if !touched || matches!(error, Error::Cancelled) => Err(error),
                    Ok(()) => Err(Error::RolledBack { step, snapshot, source: Box::new(error) }),
                    Err(back) => Err(Error::Stuck { step, snapshot, back: Box::new(back), source: Box::new(error) }),
                }
            }
        }
    }

    async fn at(&mut self, mark: Mark, step: Step, watch: &mut Watch<'_>) -> Result<()> {
        if mark <= Mark::Shut {
            watch.go_on()?;
        }
        self.step = step;
        self.journal.step(mark).await?;
        watch.tell(step, 0, 0);
        Ok(())
    }

    /// All steps until the new database serves; gives the number of missing files.
    async fn forward(&mut self, watch: &mut Watch<'_>) -> Result<u64> {
        let (instance, plan) = (self.instance, self.journal.plan.clone());
        let odoo = &instance.odoo;
        let place = self.backups.place(&instance.id, &self.manifest.id)?;

        self.at(Mark::Snapshot, Step::Snapshot, watch).await?;
        let snapshot = Request {
            id: self.request.snapshot.clone(),
            now: self.request.now,
            label: Some(PRE_RESTORE.to_owned()),
            format: Format::Custom,
            filestore: true,
            limit: self.request.limit,
        };
        self.backups.create_locked(instance, &snapshot, watch, Some(Step::Snapshot)).await?;

        self.at(Mark::Create, Step::Create, watch).await?;
        self.client.create(&plan.new, &self.manifest.locale).await?;

        self.at(Mark::Load, Step::Load, watch).await?;
        let dump = place.join(&self.manifest.dump.name);
        let plain = self.manifest.format == Format::Plain;
        match load(&self.client, &plan.new, &dump, plain, true, watch).await {
            // One transaction holds a lock for every table and index; a big database has more than the server has room for.
            Err(Error::Program { said, .. }) if said.contains("out of shared memory") => {
                self.client.drop(&plan.new).await?;
                self.client.create(&plan.new, &self.manifest.locale).await?;
                load(&self.client, &plan.new, &dump, plain, false, watch).await?;
            }
            other => other?,
        }

        // Without figures the planner would be lost for the first minutes.
        self.client.analyze(&plan.new, &watch.cancel).await?;

        self.at(Mark::ReadBack, Step::ReadBack, watch).await?;
        read_back(&self.client, &plan.new, &self.manifest).await?;

        self.at(Mark::Unpack, Step::Unpack, watch).await?;
        if let (Some(files), Some(tar)) = (&plan.files, &self.manifest.filestore) {
            let path = place.join(&tar.name);
            let mut source = source(&path).await?;
            let total = tar.bytes;
            let cancel = watch.cancel.clone();
            let mut fed = |bytes| watch.tell(Step::Unpack, bytes, total);
            let size = (self.manifest.filestore_bytes, &self.manifest.damaged);
            filestore::unpack(odoo, &files.new, size, (&mut source, &path), &cancel, &mut fed).await?;
            let done = measured_in(&self.client, odoo, &plan.new, &files.new, &cancel).await?;
            self.compare(&done)?;
        }

        self.at(Mark::Shut, Step::Swap, watch).await?;
        self.client.shut(&[&plan.database, &plan.new]).await?;
        self.at(Mark::Swap, Step::Swap, watch).await?;
        self.client.rename([(&plan.database, &plan.old), (&plan.new, &plan.database)]).await?;
        self.at(Mark::SwapFiles, Step::Swap, watch).await?;
        if let Some(files) = &plan.files {
            filestore::rename(odoo, &[(&files.live, &files.old), (&files.new, &files.live)]).await?;
        }

        self.at(Mark::Restart, Step::Restart, watch).await?;
        restart(&self.client, odoo, &plan).await?;

        self.at(Mark::Serve, Step::Serve, watch).await?;
        odoo.serves(plan.http_port, self.request.serving).await?;
        read_back(&self.client, &plan.database, &self.manifest).await?;
        let never = CancellationToken::new();
        let root = match &plan.files {
            Some(files) => files.live.clone(),
            None => match &instance.filestore {
                Some(path) => path.clone(),
                None => filestore::place(odoo, &plan.database).await?.filestore,
            },
        };
        let done = measured_in(&self.client, odoo, &plan.database, &root, &never).await?;
        if plan.files.is_some() {
            self.compare(&done)?;
        }
        // From here on the new one stays.
        self.journal.step(Mark::CleanUp).await?;
        Ok(done.missing.len() as u64)
    }

    /// Every file that the database names is there, but for those that were missing when it was backed up.
    fn compare(&self, done: &filestore::Done) -> Result<()> {
        let gone: Vec<_> = done.missing.difference(&self.manifest.missing).collect();
        match gone.first() {
            None => Ok(()),
            Some(name) => {
                Err(Error::NotEqual { why: format!("{} files of the filestore are missing, {name} for one", gone.len()) })
            }
        }
    }
}

/// Stops and starts Odoo's container, and opens the database before it starts where that can be done from elsewhere.
async fn restart(client: &Client, odoo: &Container, plan: &Plan) -> Result<()> {
    let stopped = odoo.stop(PATIENCE).await;
    let opened = if client.beside() { Some(client.open(&plan.database).await) } else { None };
    // Whatever went wrong.
    odoo.bring_up().await?;
    stopped?;
    match opened {
        Some(opened) => opened,
        None => patiently(async || client.open(&plan.database).await).await,
    }
}

/// Drops the old database and filestore, or leaves them to be looked at. What could not be done is told.
async fn clean_up(client: &Client, odoo: &Container, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    if plan.keep_old {
        // Still hidden from Odoo, which would run its scheduled actions.
        let old = ident(&plan.old);
        let sql = format!("ALTER DATABASE {old} IS_TEMPLATE true;\nALTER DATABASE {old} ALLOW_CONNECTIONS true;");
        if let Err(error) = client.outside("open the old database", &sql).await {
            warnings.push(format!("The old database {} cannot be connected to yet: {error}", plan.old));
        }
        return warnings;
    }
    if let Err(error) = client.drop(&plan.old).await {
        warnings.push(format!("The old database {} could not be dropped: {error}", plan.old));
    }
    if let Some(files) = &plan.files
        && let Err(error) = filestore::remove(odoo, &[&files.old]).await
    {
        warnings.push(format!("The old filestore {} could not be removed: {error}", files.old));
    }
    warnings
}

/// Whether the new database is in its place and open.
async fn is_open(client: &Client, plan: &Plan) -> Result<bool> {
    let there = client.databases(&[&plan.database, &plan.old]).await?;
    Ok(there.contains_key(&plan.old) && there.get(&plan.database).is_some_and(|there| there.open))
}

/// The way back to the old database; by what is there.
async fn back(client: &Client, odoo: &Container, journal: &mut Journal, serving: Duration) -> Result<()> {
    let plan = journal.plan.clone();
    // What runs in it is needed on the way, and it is to run in the end, whatever becomes of the rest.
    let up = odoo.bring_up().await;
    let was_shut = journal.reached >= Mark::Shut;
    if journal.reached <= Mark::Snapshot {
        up?;
        return journal.step(Mark::RolledBack).await;
    }
    if journal.last != Mark::BackDone {
        // A full disk is no reason not to go back: by what is there, the same would be done again.
        let _ = journal.step(Mark::Back).await;
        up?;
        patiently(async || client.quiet().await).await?;
        let there = patiently(async || client.databases(&[&plan.database, &plan.new, &plan.old]).await).await?;
        if there.contains_key(&plan.old) {
            if there.contains_key(&plan.database) {
                if let Err(error) = client.shut(&[&plan.database, &plan.old]).await {
                    // Rather the new one, until this can be ended, than none.
                    let _ = client.open(&plan.database).await;
                    return Err(error);
                }
                client.rename([(&plan.database, &plan.new), (&plan.old, &plan.database)]).await?;
            } else {
                return Err(Error::NoDatabase { database: plan.database });
            }
        } else if !there.contains_key(&plan.database) {
            return Err(Error::NoDatabase { database: plan.database });
        }
        if let Some(files) = &plan.files
            && journal.reached >= Mark::SwapFiles
        {
            let there = awake(odoo, async || filestore::look(odoo, &[&files.live, &files.new, &files.old]).await).await?;
            let mut moves = Vec::new();
            if let [live, new, old] = *there {
                // The new one is in the live one's place when its own name is free.
                if live && !new && (old || !files.had) {
                    moves.push((files.live.as_str(), files.new.as_str()));
                }
                if old {
                    moves.push((files.old.as_str(), files.live.as_str()));
                }
            }
            if !moves.is_empty() {
                filestore::rename(odoo, &moves).await?;
            }
        }
        if was_shut {
            restart(client, odoo, &plan).await?;
        }
        let noted = journal.step(Mark::BackDone).await;
        // Only where there was no filestore, what is there does not tell whose it is.
        if plan.files.as_ref().is_some_and(|files| !files.had) {
            noted?;
        }
    }
    odoo.bring_up().await?;
    if was_shut {
        client.open(&plan.database).await?;
    }
    patiently(async || client.drop(&plan.new).await).await?;
    if let Some(files) = &plan.files {
        awake(odoo, async || filestore::remove(odoo, &[&files.new]).await).await?;
    }
    odoo.serves(plan.http_port, serving).await?;
    journal.step(Mark::RolledBack).await
}
/// Tries again while the server is coming back.
async fn patiently<T>(work: impl AsyncFn() -> Result<T>) -> Result<T> {
    let until = tokio::time::Instant::now() + COMES_BACK;
    loop {
        match work().await {
            // The container is coming up; in one that starts as root, nobody is known yet whom to run programs as.
            Err(
                Error::NoPostgres { .. }
                | Error::Docker(docker::Error::NotRunning { .. } | docker::Error::Restarting { .. } | docker::Error::Root { .. }),
            ) if tokio::time::Instant::now() < until => {}
            other => return other,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
/// Tries again while Odoo's container is coming up.
async fn awake<T>(odoo: &Container, work: impl AsyncFn() -> Result<T>) -> Result<T> {
    let until = tokio::time::Instant::now() + COMES_BACK;
    loop {
        match work().await {
            Err(Error::Docker(
                docker::Error::NotRunning { .. }
                | docker::Error::Restarting { .. }
                | docker::Error::Lost { .. }
                | docker::Error::Supervisor { .. }
                | docker::Error::Start { .. }
                | docker::Error::Root { .. },
            )) if tokio::time::Instant::now() < until => odoo.bring_up().await?,
            other => return other,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Loads a dump into an empty database.
pub(super) async fn load(
    client: &Client,
    database: &str,
    path: &Path,
    plain: bool,
    single: bool,
    watch: &mut Watch<'_>,
) -> Result<()> {
    let cancel = watch.cancel.clone();
    let mut restore = client.load(database, plain, single).await?;
    if !plain {
        let mut source = source(path).await?;
        let total = source.metadata().await.map_or(0, |found| found.len());
        let mut fed = |bytes| watch.tell(Step::Load, bytes, total);
        return restore.feed(&mut source, &cancel, &mut fed, &mut |_| Ok(()), path).await;
    }
    // Decompressed where blocking is fine, a few pieces ahead.
    let (send, mut pieces) = tokio::sync::mpsc::channel::<Vec<u8>>(4);
    let from = path.to_owned();
    let reading = blocking(move || {
        let file = open(&from).map_err(|error| Error::disk(&from, error))?;
        let mut text = MultiGzDecoder::new(std::io::BufReader::with_capacity(256 << 10, file));
        loop {
            let mut piece = vec![0; ROOM / 4];
            let read = std::io::Read::read(&mut text, &mut piece).map_err(|error| Error::disk(&from, error))?;
            piece.truncate(read);
            if read == 0 || send.blocking_send(piece).is_err() {
                return Ok(());
            }
        }
    });
    let mut done = 0;
    let feeding = async {
        while let Some(piece) = pieces.recv().await {
            done += piece.len() as u64;
            watch.tell(Step::Load, done, 0);
            restore.give(&piece);
            if !restore.room(true, &cancel).await? {
                break;
            }
        }
        drop(pieces);
        Ok::<_, Error>(restore)
    };
    // The end of its input commits: it is only told when the text was read to its end.
    let (read, fed) = tokio::join!(reading, feeding);
    let mut restore = fed?;
    read?;
    restore.give(&[]);
    restore.room(false, &cancel).await.map(drop)
}
async fn source(path: &Path) -> Result<tokio::fs::File> {
    let from = path.to_owned();
    let file = blocking(move || open(&from).map_err(|error| Error::disk(&from, error))).await?;
    Ok(tokio::fs::File::from_std(file))
}

/// Compares a database with what a manifest says.
async fn read_back(client: &Client, database: &str, manifest: &Manifest) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Found {
        modules: std::collections::BTreeMap<String, String>,
        files: u64,
    }
    let found: Found = client
        .json(
            database,
            "read the restored database",
            "SELECT json_build_object(
                'modules', (SELECT coalesce(json_object_agg(name, coalesce(latest_version, '')), '{}') FROM ir_module_module
                            WHERE state IN ('installed', 'to upgrade')),
                'files', (SELECT count(DISTINCT store_fname) FROM ir_attachment WHERE store_fname <> ''));",
        )
        .await?;
    if found.modules != manifest.modules {
        let other = manifest.modules.iter().find(|(name, version)| found.modules.get(*name) != Some(version));
        let other =
            other.map_or_else(|| "it has more modules".to_owned(), |(name, version)| format!("{name} {version} is not in it"));
        return Err(Error::NotEqual { why: other });
    }
    // Those that are kept elsewhere are counted by row in the dump, here by name: at most as many.
    let most = manifest.store_fnames + manifest.elsewhere;
    if found.files < manifest.store_fnames || found.files > most {
        let why = format!("its attachments name {} files instead of {}", found.files, manifest.store_fnames);
        return Err(Error::NotEqual { why });
    }
    Ok(())
}

/// `19.0` of `19.0+e-20251106` or `saas~18.2`.
fn series(version: &str) -> String {
    version.chars().take_while(|c| c.is_ascii_alphanumeric() || ".~".contains(*c)).collect()
}
/// A name beside a database's, at most 63 bytes long.
fn aside(database: &str, middle: &str, id: &str) -> String {
    let mut length = database.len().min(63 - middle.len() - id.len());
    while !database.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{middle}{id}", database.get(..length).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beside_a_long_one_are_short_enough_and_differ() {
        let long = "é".repeat(31);
        let (new, old) = (aside(&long, "_ocore_", "abcd1234"), aside(&long, "_ocore_old_", "abcd1234"));
        assert!(new.len() <= 63 && old.len() <= 63 && new != old && new.ends_with("_ocore_abcd1234"));
        assert_eq!(aside("prod", "_ocore_", "abcd1234"), "prod_ocore_abcd1234");
        assert_eq!((series("14.0-20201004"), series("saas~18.2+e")), ("14.0".to_owned(), "saas~18.2".to_owned()));
    }
}
