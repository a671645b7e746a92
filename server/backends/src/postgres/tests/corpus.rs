//! The plain files of statements, and the databases to run them on.
use std::{collections::BTreeSet, path::PathBuf, process::Command, sync::OnceLock};

use tokio_postgres::{Client, NoTls};

use crate::postgres::catalogue::{self, Catalogue};

/// A block of a corpus: the statement, and for hostile ones why it must be refused.
pub struct Block {
    pub why: String,
    pub sql: String,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus")
}
/// Blocks stand between empty lines. Lines that start with `--@` say why; with `--@escaped`, `\u{…}` in the text stands
/// for a character that a plain file should not hold.
#[expect(clippy::disallowed_methods, reason = "a test reads its corpus")]
pub fn blocks(file: &str) -> Vec<Block> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    text.split("\n\n")
        .filter(|b| !b.trim().is_empty())
        .map(|block| {
            let mut why = Vec::new();
            let mut sql = Vec::new();
            for line in block.lines() {
                match line.strip_prefix("--@") {
                    Some(reason) => why.push(reason.trim()),
                    None => sql.push(line),
                }
            }
            let mut sql = sql.join("\n");
            if why.contains(&"escaped") {
                why.retain(|w| *w != "escaped");
                while let Some(at) = sql.find("\\u{") {
                    let end = at + sql[at..].find('}').unwrap();
                    let c = char::from_u32(u32::from_str_radix(&sql[at + 3..end], 16).unwrap()).unwrap();
                    sql.replace_range(at..=end, &c.to_string());
                }
            }
            Block { why: why.join(" "), sql }
        })
        .collect()
}

/// What secrets of the test databases hold.
pub const MARK: &str = "MARKEDSECRET";

/// The stack's script, wherever the project is.
fn stack(arguments: &[&str]) -> String {
    let script = std::env::var("OCORE_TEST_STACK")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/odoo/stack").into());
    let out = Command::new(script).args(arguments).output().unwrap();
    assert!(out.status.success(), "stack {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

/// A copy of an Odoo database for these tests, made once per run.
pub fn database(version: &str) -> &'static str {
    static NINETEEN: OnceLock<String> = OnceLock::new();
    static FOURTEEN: OnceLock<String> = OnceLock::new();
    let cell = if version == "19" { &NINETEEN } else { &FOURTEEN };
    cell.get_or_init(|| {
        // Several runs beside each other need several names.
        let name = format!("ocore_sql_{version}{}", std::env::var("OCORE_TEST_SUFFIX").unwrap_or_default());
        stack(&["fresh", version, &name]);
        // So that a secret is known when it is seen.
        let marks = format!(
            "UPDATE res_users SET password = '{MARK}' || id, totp_secret = '{MARK}' || id;
            UPDATE ir_config_parameter SET value = '{MARK}' || id; UPDATE sale_order SET access_token = '{MARK}' || id;
            UPDATE account_move SET access_token = '{MARK}' || id; UPDATE ir_attachment SET access_token = '{MARK}' || id;
            UPDATE project_task SET access_token = '{MARK}' || id;"
        );
        stack(&["psql", &name, &marks]);
        name
    })
}
/// A fresh copy under a name of its own.
pub fn fresh(version: &str, name: &str) {
    stack(&["fresh", version, name]);
}
pub fn drop_database(version: &str, name: &str) {
    stack(&["drop", version, name]);
}
pub fn port() -> u16 {
    std::env::var("OCORE_TEST_PORT_PG").ok().and_then(|p| p.parse().ok()).unwrap_or(15432)
}
/// A connection as superuser.
pub async fn superuser(database: &str) -> Client {
    connect(database, "postgres", "ocore").await
}
pub async fn connect(database: &str, user: &str, password: &str) -> Client {
    let (client, connection) = tokio_postgres::Config::new()
        .host("127.0.0.1")
        .port(port())
        .dbname(database)
        .user(user)
        .password(password)
        .connect(NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}
pub async fn catalogue(database: &str) -> Catalogue {
    catalogue::load(&superuser(database).await).await.unwrap()
}

/// A statement as if the guard had let it through as it stands.
pub fn unguarded(kind: crate::postgres::guard::Kind, sql: &str) -> crate::postgres::guard::Checked {
    crate::postgres::guard::Checked {
        kind,
        sql: sql.to_owned(),
        reads: BTreeSet::new(),
        writes: BTreeSet::new(),
        parameters: 0,
        left_out: BTreeSet::new(),
        unbounded: false,
        returns: true,
        marks: Vec::new(),
    }
}

/// Pools with both roles of a database; the names end in `suffix`, for roles belong to the whole server.
pub struct Roles {
    pub pools: crate::postgres::session::Pools,
    pub reader: crate::postgres::session::Key,
    pub writer: crate::postgres::session::Key,
    pub names: [String; 2],
    database: String,
}
const PASSWORD: &str = "a long password for tests, 'quoted' \\";
pub async fn roles(database: &str, suffix: &str) -> Roles {
    use crate::postgres::{roles, session};
    let names = [format!("ocore_sql_r_{suffix}"), format!("ocore_sql_w_{suffix}")];
    let client = superuser(database).await;
    let relations = catalogue::load_relations(&client).await.unwrap();
    let login = |name: &str, salt: u8| roles::Login {
        name: name.to_owned(),
        password: PASSWORD.into(),
        salt: [salt; 16],
        connections: 8,
    };
    let text = roles::grant(
        &roles::Roles {
            database: database.to_owned(),
            reader: login(&names[0], 1),
            writer: Some(login(&names[1], 2)),
            harden: true,
        },
        &relations,
    )
    .unwrap();
    assert!(!text.contains(PASSWORD));
    client.batch_execute(&text).await.unwrap();
    // Once more: it can be run as often as one likes.
    client.batch_execute(&text).await.unwrap();
    let pools = session::Pools::new();
    let key = |role| session::Key { instance: database.to_owned(), role, generation: 0 };
    for (name, role) in names.iter().zip([session::Role::Reader, session::Role::Writer]) {
        pools.set(key(role), target(database, name, PASSWORD)).unwrap();
    }
    Roles { pools, reader: key(session::Role::Reader), writer: key(session::Role::Writer), names, database: database.to_owned() }
}
impl Roles {
    pub async fn remove(self) {
        self.pools.forget(&self.database);
        let client = superuser(&self.database).await;
        gone(&client, &self.names).await;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        client.batch_execute(&crate::postgres::roles::remove(&self.database, &names, true).unwrap()).await.unwrap();
        let left = client.query("SELECT 1 FROM pg_roles WHERE rolname = ANY ($1)", &[&names]).await.unwrap();
        assert!(left.is_empty());
    }
}
/// Waits until these roles have no connection any more.
pub async fn gone(client: &Client, names: &[String]) {
    for _ in 0..100 {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let row = client.query_one("SELECT count(*) FROM pg_stat_activity WHERE usename = ANY ($1)", &[&names]).await.unwrap();
        if row.get::<_, i64>(0) == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("connections stayed");
}
pub fn target(database: &str, user: &str, password: &str) -> crate::postgres::session::Target {
    crate::postgres::session::Target {
        host: "127.0.0.1".into(),
        address: None,
        port: port(),
        database: database.into(),
        user: user.into(),
        secret: password.into(),
        tls: crate::postgres::session::Tls::Prefer,
        roots: None,
        connect_timeout: std::time::Duration::from_secs(5),
        connections: 4,
    }
}
