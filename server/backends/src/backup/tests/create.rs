//! Backups of real databases: what they hold, what is refused, what damage is found, what stays.
use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use super::common::{World, docker, now, sh, shelf, try_docker, watched};
use crate::backup::{Backups, Error, Format, Keep, Manifest, Progress, Request, RestoreRequest, State, Step, Watch};
use chrono::TimeDelta;
use secrecy::SecretSlice;
use tokio_util::sync::CancellationToken;

async fn create(world: &World, request: &Request) -> Result<Manifest, Error> {
    watched(async |watch| world.backups.create(&world.instance, request, watch).await).await
}
fn place(world: &World, id: &str) -> PathBuf {
    world.folder.join("backups").join(&world.instance.id).join(id)
}
fn copy(world: &World, from: &str, to: &str) -> PathBuf {
    let (from, to) = (place(world, from), place(world, to));
    sh(&format!("rm -rf {1}; cp -a {0} {1}", from.display(), to.display()));
    to
}
/// Its state on the list, and how a restore of it fails; the database is as before.
async fn refused(world: &World, id: &str) -> (Option<State>, Error) {
    let state =
        world.backups.list(&world.instance.id, now(), None).await.unwrap().into_iter().find(|e| e.id == id).map(|e| e.state);
    let databases = world.server.databases();
    let request = RestoreRequest {
        backup: id.to_owned(),
        snapshot: "never".to_owned(),
        id: "aaaaaaaa".to_owned(),
        now: now(),
        limit: crate::backup::LIMIT,
        keep_old: false,
        serving: Duration::from_mins(1),
    };
    let error = watched(async |watch| world.backups.restore(&world.instance, &request, watch).await).await.unwrap_err();
    assert_eq!(world.server.databases(), databases);
    assert!(!place(world, "never").exists() && !place(world, "never.part").exists());
    (state, error)
}

async fn a_backup_is_whole(version: u32) {
    let world = World::new("make", version);
    world.fill();
    let began = Instant::now();
    let manifest = create(&world, &world.request("one")).await.unwrap();
    println!(
        "{version}: {:?}, {} bytes of {} + {}, {} files, Odoo {}, PostgreSQL {}, {} modules, warnings {:?}",
        began.elapsed(),
        manifest.bytes(),
        manifest.database_bytes,
        manifest.filestore_bytes,
        manifest.store_fnames,
        manifest.odoo_version,
        manifest.postgres_version,
        manifest.modules.len(),
        manifest.warnings()
    );
    let files = world.sql("SELECT count(DISTINCT store_fname) FROM ir_attachment WHERE store_fname IS NOT NULL");
    assert_eq!(manifest.store_fnames.to_string(), files);
    let modules = world.sql("SELECT count(*) FROM ir_module_module WHERE state = 'installed'");
    assert_eq!(manifest.modules.len().to_string(), modules);
    assert!(manifest.verified && manifest.missing.is_empty() && manifest.modules.contains_key("base"));
    let id = world.instance.id.clone();
    world.backups.verify(&id, "one").await.unwrap();
    let cut = format!(
        "head -c -1000 {} | docker exec -i {} pg_restore",
        place(&world, "one").join("dump.pgc").display(),
        world.server.name
    );
    sh(&format!("{cut} --list >/dev/null; ! {cut} --file=/dev/null"));
    let modes = sh(&format!("cd {}; stat -c '%a %n' . *", place(&world, "one").display()));
    assert_eq!(modes, "700 .\n600 dump.pgc\n600 filestore.tar\n600 manifest.hmac\n600 manifest.json");
    // Any PostgreSQL and tar can read it.
    let listed = sh(&format!(
        "docker exec -i {} pg_restore --list < {}",
        world.server.name,
        place(&world, "one").join("dump.pgc").display()
    ));
    assert!(listed.contains("TABLE DATA public res_partner"));
    let names = sh(&format!("tar -tf {} | wc -l", place(&world, "one").join("filestore.tar").display()));
    assert_eq!(names, files);

    // What is missing in the source already is a warning, and what is damaged there too.
    let two = world.sql("SELECT string_agg(DISTINCT store_fname, ' ') FROM ir_attachment WHERE name LIKE 'ocore-%'");
    let (gone, spoiled) = two.split_once(' ').unwrap();
    let root = format!("/var/lib/odoo/filestore/{}", world.database);
    docker(&[
        "exec",
        &world.odoo.0,
        "sh",
        "-c",
        &format!("cd {root} && rm {gone} && chmod u+w {spoiled} && echo x >> {spoiled}"),
    ]);
    let manifest = create(&world, &world.request("warned")).await.unwrap();
    assert_eq!(
        (manifest.missing.iter().next().unwrap().as_str(), manifest.damaged.iter().next().unwrap().as_str()),
        (gone, spoiled)
    );
    assert_eq!(manifest.warnings().len(), 2);
    // A symbolic link in place of a file is never followed: it counts as missing.
    docker(&["exec", &world.odoo.0, "ln", "-s", "/etc/passwd", &format!("{root}/{gone}")]);
    let manifest = create(&world, &world.request("linked")).await.unwrap();
    assert!(manifest.missing.contains(gone));
    assert!(!sh(&format!("grep -c root: {} || true", place(&world, "linked").join("filestore.tar").display())).starts_with('1'));

    // By Odoo's container, when no other is named: fine where its programs fit the server.
    let mut alone = world.instance.clone();
    alone.postgres.container = None;
    alone.postgres.host.clone_from(&world.server.name);
    let made = watched(async |watch| world.backups.create(&alone, &world.request("alone"), watch).await).await;
    if version == 19 {
        assert!(made.unwrap().verified);
    } else {
        let error = made.unwrap_err();
        println!("{error} {}", error.advice());
        assert!(matches!(error, Error::ClientTooOld { client: 13, server: 15, .. }), "{error}");
    }
    world.server.unharmed();
}
#[tokio::test]
async fn a_backup_is_whole_19() {
    a_backup_is_whole(19).await;
}
#[tokio::test]
async fn a_backup_is_whole_14() {
    a_backup_is_whole(14).await;
}

#[tokio::test]
async fn damage_and_forgery_are_found_before_anything_changes() {
    let world = World::new("damage", 14);
    world.fill();
    create(&world, &world.request("one")).await.unwrap();

    // A byte of the dump or of the filestore: the list cannot see it, the restore does.
    for (id, file) in [("dump", "dump.pgc"), ("tar", "filestore.tar")] {
        let path = copy(&world, "one", id).join(file);
        // The manifest of its own place: only then is the part looked at.
        sh(&format!(
            "cd {} && rm -rf ../kept && mv ../one ../kept && mv ../{id} ../one",
            place(&world, "kept").parent().unwrap().join(id).display()
        ));
        let path = place(&world, "one").join(path.file_name().unwrap());
        sh(&format!("printf X | dd of={} bs=1 seek=5000 conv=notrunc status=none", path.display()));
        let (state, error) = refused(&world, "one").await;
        assert_eq!(state, Some(State::Good));
        assert!(matches!(&error, Error::Broken { why, .. } if why.contains(file)), "{error}");
        sh(&format!("cd {} && rm -rf one && mv kept one", place(&world, "one").parent().unwrap().display()));
    }
    // Shorter: the list sees it.
    sh(&format!("cd {} && cp -a one kept && truncate -s -1 one/dump.pgc", place(&world, "one").parent().unwrap().display()));
    let (state, error) = refused(&world, "one").await;
    assert!(matches!(state, Some(State::Broken { .. })) && matches!(error, Error::Broken { .. }), "{error}");
    sh(&format!("cd {} && rm -rf one && mv kept one", place(&world, "one").parent().unwrap().display()));

    // A manifest under another id, one that was written to fit, one without seal, one of another key, one of another instance.
    copy(&world, "one", "moved");
    copy(&world, "one", "written");
    let manifest = place(&world, "written").join("manifest.json");
    sh(&format!("sed -i 's/\"id\": \"one\"/\"id\": \"written\"/' {}", manifest.display()));
    copy(&world, "one", "bare");
    sh(&format!("rm {}", place(&world, "bare").join("manifest.hmac").display()));
    let other = Backups::new(&world.folder.join("backups"), SecretSlice::from(vec![8; 32]), "x").unwrap();
    watched(async |watch| other.create(&world.instance, &world.request("other"), watch).await).await.unwrap();
    let mut neighbour = world.instance.clone();
    neighbour.id = "neighbour".to_owned();
    watched(async |watch| world.backups.create(&neighbour, &world.request("next"), watch).await).await.unwrap();
    let next = place(&world, "next");
    sh(&format!("cp -a {} {}", world.folder.join("backups/neighbour/next").display(), next.display()));
    for (id, words) in [
        ("moved", "another backup"),
        ("written", "seal does not fit"),
        ("other", "seal does not fit"),
        ("next", "another instance"),
    ] {
        let (state, error) = refused(&world, id).await;
        println!("{id}: {error}");
        assert!(matches!(&error, Error::Forged { why, .. } if why.contains(words)), "{id}: {error}");
        assert!(matches!(state, Some(State::Forged { .. })), "{id}: {state:?}");
    }
    assert!(matches!(refused(&world, "bare").await.1, Error::Broken { .. }));
    assert!(matches!(refused(&world, "nothing").await.1, Error::NoBackup { .. }));
    for id in ["../neighbour/next", "one.part", "", ".lock"] {
        assert!(matches!(refused(&world, id).await.1, Error::Argument { .. }), "{id}");
    }
    world.server.unharmed();
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing() {
    let world = World::new("fail", 14);
    world.fill();
    let parts = || sh(&format!("ls {} | wc -l", place(&world, "x").parent().unwrap().display()));

    // Too big for the limit, with the figures.
    let error = create(&world, &Request { limit: 10 << 20, ..world.request("big") }).await.unwrap_err();
    println!("{error} {}", error.advice());
    assert!(matches!(error, Error::TooBig { database, .. } if database > 30 << 20));

    // A disk that is too small, and one that fills up meanwhile.
    for (id, size) in [("small", "20m"), ("full", "90m")] {
        let disk = world.folder.join(id);
        sh(&format!("mkdir -p {0} && mount -t tmpfs -o size={size} tmpfs {0}", disk.display()));
        let backups = shelf(&disk);
        let filler = disk.join("filler");
        let mut progress = |progress: Progress| {
            if id == "full" && progress.step == Step::Dump && progress.done_bytes > 0 && !filler.exists() {
                let _ = Command::new("sh").args(["-c", &format!("cat /dev/zero > {}", filler.display())]).output();
            }
        };
        let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
        let error = backups.create(&world.instance, &world.request(id), &mut watch).await;
        let left = sh(&format!("ls {}", disk.join(&world.instance.id).display()));
        sh(&format!("umount {}", disk.display()));
        let error = error.unwrap_err();
        println!("{id}: {error}");
        assert!(matches!((id, &error), ("small", Error::NoSpace { .. }) | ("full", Error::DiskFull { .. })), "{error}");
        assert_eq!(left, "");
    }

    // pg_dump is killed.
    let killed = std::sync::atomic::AtomicBool::new(false);
    let mut progress = |progress: Progress| {
        if progress.step == Step::Dump && progress.done_bytes > 0 && !killed.swap(true, std::sync::atomic::Ordering::Relaxed) {
            let top = docker(&["top", &world.server.name, "-eo", "pid,args"]);
            let pid =
                top.lines().find(|l| l.split_whitespace().nth(1) == Some("pg_dump")).unwrap().split_whitespace().next().unwrap();
            sh(&format!("kill -9 {pid}"));
        }
    };
    let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
    let error = world.backups.create(&world.instance, &world.request("killed"), &mut watch).await.unwrap_err();
    println!("{error}");
    assert!(matches!(&error, Error::Program { program: "pg_dump", said, .. } if said.contains("Signal(9)")), "{error}");
    assert_eq!(parts(), "0");

    // Dropped in the middle: pg_dump ends, its session too; the rest is swept.
    let stop = CancellationToken::new();
    let signal = stop.clone();
    let mut progress = move |progress: Progress| {
        if progress.step == Step::Dump && progress.done_bytes > 0 {
            signal.cancel();
        }
    };
    let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
    let request = world.request("dropped");
    tokio::select! {
        biased;
        () = stop.cancelled() => {}
        done = world.backups.create(&world.instance, &request, &mut watch) => panic!("{done:?}"),
    }
    let sessions =
        || world.server.sql("postgres", "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ocore backup%'");
    for _ in 0..50 {
        if sessions() == "0" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(sessions(), "0");
    let entries = world.backups.list(&world.instance.id, now(), None).await.unwrap();
    assert_eq!((entries.len(), entries[0].state.clone()), (1, State::Part));
    let gone = world.backups.retain(&world.instance.id, Keep::default(), now()).await.unwrap();
    assert_eq!(gone, ["dropped.part"]);
    assert_eq!(parts(), "0");

    // A wrong password, no server, no database, and a database that is not Odoo's.
    let mut wrong = world.instance.clone();
    wrong.database = "nowhere".to_owned();
    let error = watched(async |watch| world.backups.create(&wrong, &world.request("w1"), watch).await).await.unwrap_err();
    assert!(matches!(error, Error::NoDatabase { .. }), "{error}");
    wrong.database = "postgres".to_owned();
    let error = watched(async |watch| world.backups.create(&wrong, &world.request("w2"), watch).await).await.unwrap_err();
    assert!(matches!(error, Error::NotOdoo { .. }), "{error}");
    wrong.postgres.port = 1;
    let error = watched(async |watch| world.backups.create(&wrong, &world.request("w3"), watch).await).await.unwrap_err();
    println!("{error} {}", error.advice());
    assert!(matches!(error, Error::NoPostgres { .. }), "{error}");
    assert_eq!(parts(), "0");

    // Two at a time: the second is told so.
    let mut progress = |_| ();
    let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
    let request = world.request("first");
    let first = world.backups.create(&world.instance, &request, &mut watch);
    let second = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        create(&world, &world.request("second")).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok() && matches!(second, Err(Error::Busy { .. })), "{second:?}");
    world.server.unharmed();
    let _ = try_docker(&["version"]);
}

#[tokio::test]
async fn old_backups_go_and_the_newest_and_fresh_snapshots_stay() {
    let world = World::new("retain", 14);
    let id = world.instance.id.clone();
    let day = |days: i64| now() - TimeDelta::days(days);
    let without = |name: &str, days: i64, label: Option<&str>| Request {
        now: day(days),
        label: label.map(ToOwned::to_owned),
        filestore: false,
        format: Format::Custom,
        ..world.request(name)
    };
    for (name, days, label) in
        [("a", 30, None), ("b", 20, Some("pre-restore")), ("c", 10, None), ("d", 6, Some("pre-restore")), ("e", 3, None)]
    {
        create(&world, &without(name, days, label)).await.unwrap();
    }
    sh(&format!(
        "mkdir {0}; echo x > {0}/manifest.json; mkdir {1}",
        place(&world, "odd").display(),
        place(&world, "left.part").display()
    ));
    let names = async |age| -> Vec<String> {
        world.backups.list(&id, now(), age).await.unwrap().into_iter().filter(|e| e.state == State::Good).map(|e| e.id).collect()
    };
    assert_eq!(names(None).await, ["e", "d", "c", "b", "a"]);
    assert_eq!(names(Some(TimeDelta::days(15))).await, ["e", "d", "c"]);
    let keep = Keep { days: Some(15), count: None };
    assert_eq!(world.backups.retain(&id, keep, now()).await.unwrap().len(), 3, "b, a and what was left");
    assert_eq!(names(None).await, ["e", "d", "c"]);
    let keep = Keep { days: Some(1), count: Some(1) };
    assert_eq!(world.backups.retain(&id, keep, now()).await.unwrap(), ["c"]);
    assert_eq!(names(None).await, ["e", "d"]);
    let later = now() + TimeDelta::days(100);
    assert_eq!(world.backups.retain(&id, keep, later).await.unwrap(), ["d"]);
    assert_eq!(names(None).await, ["e"]);
    assert!(place(&world, "odd").exists(), "what is broken is for somebody to look at");
    assert!(matches!(
        create(&world, &Request { label: Some("x".repeat(101)), ..world.request("l") }).await,
        Err(Error::Argument { .. })
    ));
    assert!(matches!(create(&world, &world.request("e")).await, Err(Error::Exists { .. })));
}
