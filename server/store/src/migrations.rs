//! The migrations, embedded in the binary: forward-only, the same names for both engines, the statements in each engine's own words.
use std::sync::LazyLock;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::Engine;

macro_rules! migrations {
    ($($version:literal $file:literal),+ $(,)?) => {
        /// Version, description, SQLite's text, PostgreSQL's text.
        const ALL: &[(i64, &str, &str, &str)] = &[$((
            $version,
            $file,
            include_str!(concat!("../../../migrations/sqlite/", $file, ".sql")),
            include_str!(concat!("../../../migrations/postgres/", $file, ".sql")),
        )),+];
    };
}
migrations! {
    1 "0001_registry",
    2 "0002_knowledge",
    3 "0003_ledger",
    4 "0004_posthog",
    5 "0005_operations",
    6 "0006_policy",
    7 "0007_cooldowns",
    8 "0008_host",
    9 "0009_backups",
    10 "0010_impersonation",
    11 "0011_file_undo",
    12 "0012_docker_health",
    13 "0013_oauth",
    14 "0014_people",
}

fn build(engine: Engine) -> Migrator {
    let migration = |&(version, name, sqlite, postgres): &(i64, &'static str, &'static str, &'static str)| {
        let sql = match engine {
            Engine::Sqlite => sqlite,
            Engine::Postgres => postgres,
        };
        let description = name.split_once('_').map_or(name, |(_, rest)| rest);
        Migration::new(version, description.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(ALL.iter().map(migration).collect())
}

/// The migrations of an engine.
pub(crate) fn of(engine: Engine) -> &'static Migrator {
    static SQLITE: LazyLock<Migrator> = LazyLock::new(|| build(Engine::Sqlite));
    static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| build(Engine::Postgres));
    match engine {
        Engine::Sqlite => &SQLITE,
        Engine::Postgres => &POSTGRES,
    }
}

/// All of SQLite's statements, for tests that look at the schema.
#[cfg(test)]
pub(crate) fn sqlite_text() -> String {
    ALL.iter().map(|(_, _, sqlite, _)| *sqlite).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    #[test]
    fn every_file_is_embedded_and_both_engines_have_the_same() {
        let listed: BTreeSet<String> = ALL.iter().map(|(_, file, ..)| format!("{file}.sql")).collect();
        for engine in ["sqlite", "postgres"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").join(engine);
            let files: BTreeSet<String> =
                std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
            assert_eq!(files, listed, "{engine}");
        }
        for (version, file, ..) in ALL {
            assert!(file.starts_with(&format!("{version:04}_")), "{file}");
        }
    }
}
