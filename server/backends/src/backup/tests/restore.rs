//! Restores into real Odoos.
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use super::common::{World, docker, now, sh, try_docker, watched};
use crate::backup::{Error, Format, Progress, RestoreRequest, Restored, Served, State, Step, Watch, served_databases};
use tokio_util::sync::CancellationToken;

const SERVING: Duration = Duration::from_mins(1);

fn wanted(backup: &str, n: usize) -> RestoreRequest {
    RestoreRequest {
        backup: backup.to_owned(),
        snapshot: format!("{backup}-pre-{n}"),
        id: format!("test{n:04}"),
        now: now(),
        limit: crate::backup::LIMIT,
        keep_old: false,
        serving: SERVING,
    }
}
async fn restore(world: &World, request: &RestoreRequest) -> Result<Restored, Error> {
    watched(async |watch| world.backups.restore(&world.instance, request, watch).await).await
}
/// Nothing is left of a restore: neither databases nor folders nor parts.
fn nothing_left(world: &World) {
    let names = world.server.sql(
        "postgres",
        &format!("SELECT string_agg(datname || ' ' || datallowconn || ' ' || datistemplate, ',') FROM pg_database WHERE datname LIKE '{}%'", world.database),
    );
    assert_eq!(names, format!("{} true false", world.database));
    assert_eq!(world.files("_ocore_"), "0");
}

async fn there_and_back(version: u32) {
    let world = World::new("trip", version);
    world.fill();
    let before = world.picture();
    let id = &world.instance.id;
    assert_eq!(served_databases(&world.instance).await.unwrap(), Vec::<String>::new());
    watched(async |watch| world.backups.create(&world.instance, &world.request("one"), watch).await).await.unwrap();
    let plain = crate::backup::Request { format: Format::Plain, ..world.request("plain") };
    let manifest = watched(async |watch| world.backups.create(&world.instance, &plain, watch).await).await.unwrap();
    assert_eq!(manifest.dump.name, "dump.sql.gz");
    let bare = crate::backup::Request { filestore: false, ..world.request("bare") };
    let manifest = watched(async |watch| world.backups.create(&world.instance, &bare, watch).await).await.unwrap();
    assert!(manifest.filestore.is_none() && !manifest.warnings().is_empty());

    world.spoil();
    let spoiled = world.picture();
    assert_ne!(before, spoiled);
    world.server.sql("postgres", "CREATE ROLE reader");
    world.sql("GRANT SELECT ON res_partner TO reader");
    world.server.sql("postgres", &format!("ALTER DATABASE {} SET work_mem = '8MB'", world.database));
    let began = Instant::now();
    let restored = restore(&world, &wanted("one", 1)).await.unwrap();
    assert_eq!(restored.lost_rights, ["reader"]);
    assert!(restored.warnings.len() == 2 && restored.warnings[1].contains("work_mem=8MB"), "{:?}", restored.warnings);
    println!("{version}: restored in {:?}, warnings {:?}", began.elapsed(), restored.warnings);
    assert_eq!(world.picture(), before);
    assert_eq!((restored.missing, restored.kept), (0, None));
    nothing_left(&world);
    let owner = world
        .server
        .sql("postgres", &format!("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{}'", world.database));
    assert_eq!(owner, format!("odoo_{version}"));

    // The snapshot is a backup as any other: back to the spoiled one, keeping what was there.
    let entries = world.backups.list(id, now(), None).await.unwrap();
    let snapshot = entries.iter().find(|entry| entry.id == restored.snapshot).unwrap();
    assert_eq!(
        (snapshot.state.clone(), snapshot.manifest.as_ref().unwrap().label.as_deref()),
        (State::Good, Some("pre-restore"))
    );
    let keeping = RestoreRequest { keep_old: true, ..wanted(&restored.snapshot, 2) };
    let again = restore(&world, &keeping).await.unwrap();
    assert_eq!(world.picture(), spoiled);
    let (database, files) = again.kept.unwrap();
    let partner = world.server.sql(&database, "SELECT string_agg(name, ',') FROM res_partner WHERE ref LIKE 'ocore-%'");
    assert_eq!(partner, "before");
    docker(&["exec", &world.odoo.0, "test", "-d", files.as_deref().unwrap()]);
    world.server.sql("postgres", &format!("ALTER DATABASE \"{database}\" IS_TEMPLATE false"));
    world.server.sql("postgres", &format!("DROP DATABASE \"{database}\""));
    docker(&["exec", &world.odoo.0, "rm", "-r", files.as_deref().unwrap()]);

    // Plain, from the spoiled state.
    restore(&world, &wanted("plain", 3)).await.unwrap();
    assert_eq!(world.picture(), before);
    // Without filestore: the live one stays; the file that went is told.
    world.spoil();
    let restored = restore(&world, &wanted("bare", 4)).await.unwrap();
    assert!(restored.missing >= 1 && restored.warnings.iter().any(|w| w.contains("not in the filestore")), "{restored:?}");
    nothing_left(&world);

    // With nothing but Odoo's container: its own programs, and all of it while Odoo is shut out.
    if version == 19 {
        let mut alone = world.instance.clone();
        alone.postgres.container = None;
        alone.postgres.host.clone_from(&world.server.name);
        let request = wanted("one", 5);
        watched(async |watch| world.backups.restore(&alone, &request, watch).await).await.unwrap();
        assert_eq!(world.picture(), before);
        nothing_left(&world);
    }
    world.server.unharmed();
}
#[tokio::test]
async fn there_and_back_19() {
    Box::pin(there_and_back(19)).await;
}
#[tokio::test]
async fn there_and_back_14() {
    Box::pin(there_and_back(14)).await;
}

/// Drops a restore some time after its nth step has begun; the step's name.
async fn dropped(world: &World, request: &RestoreRequest, nth: usize, after: Duration) -> Option<Result<Restored, Error>> {
    let stop = CancellationToken::new();
    let (signal, mut count) = (stop.clone(), 0);
    let mut progress = move |progress: Progress| {
        if progress.done_bytes == 0 && progress.total_bytes == 0 {
            if count == nth {
                signal.cancel();
            }
            count += 1;
        }
    };
    let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
    tokio::select! {
        biased;
        () = async { stop.cancelled().await; tokio::time::sleep(after).await } => None,
        done = world.backups.restore(&world.instance, request, &mut watch) => Some(done),
    }
}

async fn dropped_at_every_step(version: u32, delays: &[u64]) {
    let world = World::new("drop", version);
    world.fill();
    let before = world.picture();
    watched(async |watch| world.backups.create(&world.instance, &world.request("one"), watch).await).await.unwrap();
    world.spoil();
    let mut spoiled = world.picture();
    let mut n = 0;
    let mut seen = Vec::new();
    for delay in delays {
        for nth in 1..=12 {
            n += 1;
            let done = dropped(&world, &wanted("one", n), nth, Duration::from_millis(*delay)).await;
            let journal =
                std::fs::read_to_string(world.folder.join(format!("backups/{}/restore.journal", world.instance.id))).unwrap();
            let last = journal
                .lines()
                .last()
                .unwrap()
                .split(['{', '}', ',', '"', ':'])
                .filter(|word| !word.is_empty())
                .nth(1)
                .unwrap()
                .to_owned();
            if let Some(done) = done {
                println!("{version} step {nth} +{delay} ms: done before ({:?})", done.map(|_| ()));
            }
            let refused =
                watched(async |watch| world.backups.create(&world.instance, &world.request(&format!("no{n}")), watch).await)
                    .await;
            let finished = last == "done";
            assert!(finished || matches!(refused, Err(Error::Unfinished { .. })), "{last}: {refused:?}");
            if nth % 2 == 0 {
                // A crash in the middle of the next line.
                let path = world.folder.join(format!("backups/{}/restore.journal", world.instance.id));
                sh(&format!("printf '{{\"step\":\"ser' >> {}", path.display()));
            }
            let began = Instant::now();
            let recovered = world.backups.recover(&world.instance, SERVING).await.unwrap().unwrap();
            println!("{version} step {nth} +{delay} ms: at {last}, recovered in {:?}: {recovered:?}", began.elapsed());
            let expected = if recovered.served == Served::Old { &spoiled } else { &before };
            assert_eq!(&world.picture(), expected, "at {last}");
            assert!(recovered.warnings.is_empty());
            nothing_left(&world);
            assert_eq!(
                world.backups.recover(&world.instance, SERVING).await.unwrap(),
                Some(recovered.clone()),
                "again, the same"
            );
            seen.push(last);
            if recovered.served == Served::New {
                world.spoil();
                spoiled = world.picture();
            }
        }
    }
    for step in ["snapshot", "create", "load", "read_back", "unpack", "shut", "swap", "swap_files", "restart", "serve"] {
        assert!(seen.iter().any(|last| last == step), "never dropped at {step}: {seen:?}");
    }
    world.server.unharmed();
}
#[tokio::test]
async fn dropped_at_every_step_19() {
    dropped_at_every_step(19, &[0, 350]).await;
}
#[tokio::test]
async fn dropped_at_every_step_14() {
    dropped_at_every_step(14, &[0, 100]).await;
}

/// Does something when a step begins, and lets the restore go on.
async fn disturbed(
    world: &World,
    request: &RestoreRequest,
    nth: usize,
    what: impl Fn() + Send + 'static,
) -> Result<Restored, Error> {
    let (mut count, what) = (0, Arc::new(Mutex::new(what)));
    let mut progress = move |progress: Progress| {
        if progress.done_bytes == 0 && progress.total_bytes == 0 {
            if count == nth {
                (what.lock().unwrap())();
            }
            count += 1;
        }
    };
    let mut watch = Watch { progress: &mut progress, cancel: CancellationToken::new() };
    world.backups.restore(&world.instance, request, &mut watch).await
}

#[tokio::test]
async fn containers_die_in_the_middle_19() {
    let world = World::new("fault", 19);
    world.fill();
    watched(async |watch| world.backups.create(&world.instance, &world.request("one"), watch).await).await.unwrap();
    world.spoil();
    let mut spoiled = world.picture();
    // Odoo's container is killed: at the steps that run in it, and while Odoo comes up.
    for (n, nth) in [(1, 1), (2, 6), (3, 9)] {
        let name = world.odoo.0.clone();
        let result = disturbed(&world, &wanted("one", n), nth, move || drop(try_docker(&["kill", &name]))).await;
        println!(
            "odoo killed at {nth}: {:?}",
            result.as_ref().map(|_| ()).map_err(|error| (error.to_string(), error.standing()))
        );
        assert!(result.is_err());
        world.ready();
        assert_eq!(world.picture(), spoiled);
        nothing_left(&world);
        assert!(matches!(world.backups.recover(&world.instance, SERVING).await.unwrap(), Some(r) if r.served == Served::Old));
    }
    // PostgreSQL's container is stopped, and comes back later.
    for (n, nth) in [(11, 4), (12, 8), (13, 10), (14, 11)] {
        let name = world.server.name.clone();
        let started = docker(&["inspect", "--format", "{{.State.StartedAt}}", &world.odoo.0]);
        let result = disturbed(&world, &wanted("one", n), nth, move || drop(try_docker(&["kill", &name]))).await;
        println!(
            "postgres killed at {nth}: {:?}",
            result.as_ref().map(|_| ()).map_err(|error| (error.to_string(), error.standing()))
        );
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Stuck { .. }), "{error}");
        // Always started; an Odoo that finds no server at its start may end by itself again.
        let state = docker(&["inspect", "--format", "{{.State.Running}} {{.State.StartedAt}}", &world.odoo.0]);
        assert!(state.starts_with("true") || !state.ends_with(&started), "{state}");
        assert!(world.backups.recover(&world.instance, SERVING).await.is_err(), "there is no server");
        docker(&["start", &world.server.name]);
        world.server.ready();
        let recovered = world.backups.recover(&world.instance, SERVING).await.unwrap().unwrap();
        println!("recovered: {recovered:?}");
        world.ready();
        if recovered.served == Served::Old {
            assert_eq!(world.picture(), spoiled);
        } else {
            world.spoil();
            spoiled = world.picture();
        }
        nothing_left(&world);
    }
    // Somebody is in the database whom its owner may not put out.
    let sleeper =
        ["exec", "-d", &world.server.name, "psql", "-U", "postgres", "-d", &world.database, "-c", "SELECT pg_sleep(300)"];
    docker(&sleeper);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let picture = world.picture();
    let error = restore(&world, &wanted("one", 20)).await.unwrap_err();
    assert!(
        matches!(&error, Error::RolledBack { step: Step::Swap, source, .. } if matches!(&**source, Error::InUse { who, .. } if who.contains("postgres"))),
        "{error:?}"
    );
    world.ready();
    assert_eq!(world.picture(), picture);
    nothing_left(&world);
    // Cancelled: nothing has changed.
    let stop = CancellationToken::new();
    let signal = stop.clone();
    let mut progress = move |progress: Progress| {
        if progress.step == Step::Load {
            signal.cancel();
        }
    };
    let mut watch = Watch { progress: &mut progress, cancel: stop };
    let picture = world.picture();
    let error = world.backups.restore(&world.instance, &wanted("one", 21), &mut watch).await.unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(world.picture(), picture);
    nothing_left(&world);
}

#[tokio::test]
async fn other_databases_of_a_server_are_told() {
    super::common::stack(&["fresh", "14", "ocore_backup_served_14"]);
    let instance = crate::backup::Instance {
        id: "served".to_owned(),
        odoo: super::common::container("ocore-test-odoo-14"),
        postgres: crate::backup::Postgres {
            container: Some(super::common::container("ocore-test-pg")),
            host: "127.0.0.1".to_owned(),
            port: 5432,
            user: "odoo_14".to_owned(),
            password: "ocore".into(),
        },
        database: "ocore_backup_other_14".to_owned(),
        filestore: None,
    };
    let served = served_databases(&instance).await;
    let own = served_databases(&crate::backup::Instance { database: "ocore_backup_served_14".to_owned(), ..instance }).await;
    super::common::stack(&["drop", "14", "ocore_backup_served_14"]);
    let (served, own) = (served.unwrap(), own.unwrap());
    println!("{served:?}");
    assert!(served.iter().any(|name| name == "ocore_backup_served_14"));
    assert!(!own.iter().any(|name| name == "ocore_backup_served_14" || name == "postgres" || name.starts_with("ocore_template")));
}
