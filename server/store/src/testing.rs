//! Throw-away stores: every test of the store runs on both engines.
//!
//! PostgreSQL comes from `OCORE_TEST_STORE_PG`, an address whose user may create databases; without it the tests say so and run on
//! SQLite alone.
#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::print_stderr, reason = "compiled for tests alone")]
use std::{ops::Deref, sync::Arc};

use kernel::{ManualClock, SeededRandom, Sources, SystemRandom, Timestamp, parse_time};

use crate::{Assembled, Db, DbUrl, Engine};

/// An empty, migrated store that goes away with the test.
#[derive(Debug)]
pub struct TestStore {
    pub db: Db,
    pub url: DbUrl,
    /// A clock that stands still until it is moved, and true randomness.
    pub sources: Sources,
    pub clock: Arc<ManualClock>,
    /// For key files and the like.
    pub dir: tempfile::TempDir,
}
impl Deref for TestStore {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}
impl TestStore {
    /// Another process on the same store.
    pub async fn another(&self) -> Db {
        Db::open(&self.url).await.expect("opens twice")
    }
}

/// When the tests take place.
pub fn noon() -> Timestamp {
    parse_time("2026-11-21T12:00:00Z").expect("a time")
}

/// Sources that stand still and repeat.
pub fn seeded(seed: u64) -> Sources {
    Sources { clock: Arc::new(ManualClock::at(noon())), random: Arc::new(SeededRandom::new(seed)) }
}

/// An SQLite store.
pub async fn sqlite() -> TestStore {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}/ocore.db", dir.path().display()).parse().expect("an address");
    made(url, dir).await
}

async fn made(url: DbUrl, dir: tempfile::TempDir) -> TestStore {
    let db = Db::open(&url).await.expect("opens");
    db.migrate().await.expect("migrates");
    let clock = Arc::new(ManualClock::at(noon()));
    let sources = Sources { clock: Arc::clone(&clock) as _, random: Arc::new(SystemRandom) };
    TestStore { db, url, sources, clock, dir }
}

/// Runs the test on an SQLite store, and on a PostgreSQL store where there is one.
pub async fn each_engine(test: impl AsyncFn(&TestStore)) {
    test(&sqlite().await).await;
    let Ok(server) = std::env::var("OCORE_TEST_STORE_PG") else {
        eprintln!("PostgreSQL left out: OCORE_TEST_STORE_PG is not set");
        return;
    };
    let admin =
        Db::open(&server.parse().expect("OCORE_TEST_STORE_PG is a postgres:// address")).await.expect("PostgreSQL answers");
    assert_eq!(admin.engine(), Engine::Postgres);
    let name = format!("ocore_test_{}", kernel::KeyId::new(&Sources::system())).to_lowercase();
    outside_transaction(&admin, format!("CREATE DATABASE {name}")).await;
    let (head, tail) = server.split_once("://").expect("an address");
    let (authority, parameters) = tail.split_once('?').unwrap_or((tail, ""));
    let host = authority.split('/').next().unwrap_or_default();
    let url = format!("{head}://{host}/{name}?{parameters}").parse().expect("an address");
    let store = made(url, tempfile::tempdir().expect("a folder")).await;
    test(&store).await;
    store.db.close().await;
    outside_transaction(&admin, format!("DROP DATABASE {name} WITH (FORCE)")).await;
    admin.close().await;
}

/// A few times: PostgreSQL's own autovacuum may be in the database that is dropped, and only a superuser may end that.
async fn outside_transaction(db: &Db, sql: String) {
    let mut left = 50;
    while let Err(error) = db.fetch_all(Assembled(sql.clone()), vec![]).await {
        left -= 1;
        assert!(left > 0, "creates and drops databases: {error:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
