//! PostgreSQL's own programs (psql, pg_dump, pg_restore) in a container, and the few statements that are needed.
//!
//! They run in the database's container where there is one, for there they fit the server; else in Odoo's. A database image
//! seldom has Python: then they run without the supervisor, and still die with the connection. The password is in the
//! environment of the exec, nothing else secret goes anywhere. Statements reach psql by its standard input.
use std::{collections::BTreeMap, path::Path, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::sync::CancellationToken;

use super::{
    Instance,
    docker::{
        self,
        container::Container,
        exec::{Captured, Event, Exit, Limits, Program, Running},
    },
    error::{Error, Result},
};

/// How a PostgreSQL server is reached.
#[derive(Debug, Clone)]
pub struct Postgres {
    /// The container that its programs run in: the server's own, as a rule. None: Odoo's.
    pub container: Option<Container>,
    /// As seen from that container.
    pub host: String,
    pub port: u16,
    /// Owns the instance's database and may create databases; no superuser.
    pub user: String,
    pub password: SecretString,
}

/// For what takes as long as it takes: a dump, a load.
pub(super) const LONG: Duration = Duration::from_hours(12);
/// For a statement.
const SHORT: Duration = Duration::from_mins(2);
/// Bytes of input that wait in memory.
pub(super) const ROOM: usize = 1 << 20;
/// The database that one connects to in order to do something to another.
const MAINTENANCE: &str = "postgres";

/// What a server tells of a database.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Facts {
    /// As `15.18 (Debian 15.18-0+deb12u1)`.
    pub version: String,
    pub number: u32,
    pub size: u64,
    pub owner: String,
    /// The role is the owner, or a member of it, or a superuser.
    pub owned: bool,
    pub createdb: bool,
    #[serde(flatten)]
    pub locale: Locale,
}
/// What a database is created with.
#[derive(Debug, Clone, Default, Deserialize, Serialize, PartialEq, Eq)]
pub(super) struct Locale {
    pub encoding: String,
    pub collate: String,
    pub ctype: String,
    /// `c`, `i` or `b`; none before PostgreSQL 15.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Of ICU and the builtin provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
}

/// A database that exists.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct There {
    /// One may connect to it.
    pub open: bool,
    /// Dropping it was interrupted.
    pub invalid: bool,
}

/// PostgreSQL's programs, where they are.
#[derive(Debug, Clone)]
pub(super) struct Client {
    container: Container,
    postgres: Postgres,
    beside: bool,
    /// What its sessions are known by: this instance's, and no other's.
    application: String,
}

impl Client {
    pub(super) fn new(instance: &Instance) -> Self {
        let Instance { odoo, postgres, .. } = instance;
        let container = postgres.container.clone().unwrap_or_else(|| odoo.clone());
        // One container with both in it stops with Odoo.
        let beside = container.name() != odoo.name();
        // PostgreSQL keeps 63 bytes.
        let application = format!("ocore backup {}", instance.id).chars().take(63).collect();
        Self { container, postgres: postgres.clone(), beside, application }
    }
    pub(super) fn container(&self) -> &str {
        self.container.name()
    }
    /// Whether it stands on its own legs while Odoo's container does not run.
    pub(super) fn beside(&self) -> bool {
        self.beside
    }

    /// Starts a program that `reads` its input or not.
    async fn start(&self, program: &'static str, words: &[&str], database: Option<&str>, reads: bool) -> Result<Piped> {
        let postgres = &self.postgres;
        let mut argv: Vec<_> = std::iter::once(program).chain(words.iter().copied()).map(ToOwned::to_owned).collect();
        let mut env = Vec::new();
        if let Some(database) = database {
            for (flag, value) in
                [("--host", &postgres.host), ("--port", &postgres.port.to_string()), ("--username", &postgres.user)]
            {
                argv.push(format!("{flag}={value}"));
            }
            argv.push("--no-password".to_owned());
            argv.push(format!("--dbname={}", connection(database)));
            env.push(("PGPASSWORD".to_owned(), postgres.password.expose_secret().to_owned()));
            env.push(("PGCONNECT_TIMEOUT".to_owned(), "10".to_owned()));
            env.push(("PGAPPNAME".to_owned(), self.application.clone()));
            env.push(("PGCLIENTENCODING".to_owned(), "UTF8".to_owned()));
        }
        env.push(("LC_ALL".to_owned(), "C".to_owned()));
        let order = Program { argv, env, keep_input: reads, ..Program::default() };
        let running = if self.beside() {
            self.bare(&order, reads).await
        } else {
            let limits = Limits { deadline: LONG, head: usize::MAX >> 1, tail: 1 << 10, ..Limits::default() };
            self.container.start(&order, &limits).await
        };
        let running = running.map_err(|error| match error {
            docker::Error::NoProgram { container, .. } => Error::NoProgram { container, program },
            error => Error::Docker(error),
        })?;
        Ok(Piped { running, program, client: self.clone(), stderr: Captured::default(), ended: None, gap: false })
    }
    async fn bare(&self, program: &Program, reads: bool) -> docker::Result<Running> {
        match self.container.start_bare(program, LONG, reads).await {
            // The official image starts as root; its programs have a user of their own.
            Err(docker::Error::Root { .. }) => self.container.as_user("postgres")?.start_bare(program, LONG, reads).await,
            other => other,
        }
    }

    /// The main version of one of the programs.
    pub(super) async fn version(&self, program: &'static str) -> Result<u32> {
        let text = self.start(program, &["--version"], None, false).await?.text(SHORT, 4096).await?;
        text.split_whitespace()
            .find_map(|word| word.split('.').next()?.parse().ok().filter(|_| word.starts_with(|c: char| c.is_ascii_digit())))
            .ok_or_else(|| Error::Program { program, container: self.container().to_owned(), said: text.trim().to_owned() })
    }
    /// Refuses programs that are older than the server.
    pub(super) async fn fits(&self, program: &'static str, server: u32) -> Result<()> {
        let client = self.version(program).await?;
        if client < server {
            return Err(Error::ClientTooOld { program, container: self.container().to_owned(), client, server });
        }
        Ok(())
    }

    /// Runs statements and gives what they print, a row a line, columns parted by tabs.
    pub(super) async fn sql(&self, database: &str, doing: &'static str, sql: &str) -> Result<String> {
        let words = [
            "--no-psqlrc",
            "--quiet",
            "--no-align",
            "--tuples-only",
            "--field-separator=\t",
            "--set=ON_ERROR_STOP=1",
            "--file=-",
        ];
        let mut psql = self.start("psql", &words, Some(database), true).await?;
        psql.running.input(sql.as_bytes());
        psql.running.input(b"\n");
        psql.running.close_input();
        psql.text(SHORT, 64 << 20).await.map_err(|error| match error {
            Error::Program { said, .. } => Error::Sql { doing, said },
            other => other,
        })
    }
    /// The same for a database that something is done to, not in.
    pub(super) async fn outside(&self, doing: &'static str, sql: &str) -> Result<String> {
        self.sql(MAINTENANCE, doing, sql).await
    }
    /// One value, as JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, database: &str, doing: &'static str, sql: &str) -> Result<T> {
        let text = self.sql(database, doing, sql).await?;
        serde_json::from_str(text.trim())
            .map_err(|error| Error::Sql { doing, said: format!("its answer cannot be read: {error}") })
    }
    /// A statement's rows as they come (`COPY … TO STDOUT`, or a program's output).
    pub(super) async fn rows(&self, database: &str, sql: &str) -> Result<Piped> {
        let words = ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"];
        let mut psql = self.start("psql", &words, Some(database), true).await?;
        psql.running.input(sql.as_bytes());
        psql.running.input(b"\n");
        psql.running.close_input();
        Ok(psql)
    }

    /// What a server tells of a database that can be connected to.
    pub(super) async fn facts(&self, database: &str) -> Result<Facts> {
        self.json(
            database,
            "look at the database",
            "SELECT json_build_object(
                'version', current_setting('server_version'), 'number', current_setting('server_version_num')::int,
                'size', pg_database_size(d.oid), 'owner', pg_get_userbyid(d.datdba),
                'owned', pg_has_role(current_user, d.datdba, 'USAGE'),
                'createdb', (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user),
                'encoding', pg_encoding_to_char(d.encoding), 'collate', d.datcollate, 'ctype', d.datctype,
                'provider', to_jsonb(d)->>'datlocprovider',
                'rules', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'))
            FROM pg_database d WHERE d.datname = current_database();",
        )
        .await
        .map_err(|error| match error {
            Error::NoPostgres { said, .. } if said.contains("does not exist") && said.contains("database") => {
                Error::NoDatabase { database: database.to_owned() }
            }
            other => other,
        })
    }
    /// Which of these databases exist.
    pub(super) async fn databases(&self, names: &[&str]) -> Result<BTreeMap<String, There>> {
        let list: Vec<_> = names.iter().map(|name| literal(name)).collect();
        let sql = format!(
            "SELECT coalesce(json_object_agg(datname, json_build_object('open', datallowconn, 'invalid', datconnlimit = -2)), '{{}}')
             FROM pg_database WHERE datname IN ({});",
            list.join(", ")
        );
        self.json(MAINTENANCE, "look at the databases", &sql).await
    }

    /// Creates an empty database, hidden from Odoo's lists (Odoo leaves templates alone, so none of its scheduled actions runs).
    pub(super) async fn create(&self, name: &str, locale: &Locale) -> Result<()> {
        let provider = match (locale.provider.as_deref(), &locale.rules) {
            (Some("i"), Some(icu)) => format!(" LOCALE_PROVIDER icu ICU_LOCALE {}", literal(icu)),
            (Some("b"), Some(builtin)) => format!(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}", literal(builtin)),
            _ => String::new(),
        };
        let sql = format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}{provider} IS_TEMPLATE true;",
            ident(name),
            literal(&locale.encoding),
            literal(&locale.collate),
            literal(&locale.ctype)
        );
        self.outside("create a database", &sql).await.map(drop)
    }
    /// Drops a database with whoever is in it, when it exists.
    pub(super) async fn drop(&self, name: &str) -> Result<()> {
        let mut tries = 0;
        loop {
            // An order that was given before a crash may still be carried out.
            match self.drop_once(name).await {
                Err(Error::Sql { .. }) if tries < 3 => tokio::time::sleep(Duration::from_millis(500)).await,
                other => return other,
            }
            tries += 1;
        }
    }
    async fn drop_once(&self, name: &str) -> Result<()> {
        let there = self.databases(&[name]).await?;
        let Some(there) = there.get(name) else { return Ok(()) };
        if there.invalid {
            // Half dropped already: nothing else can be done to it.
            return self.outside("drop a database", &format!("DROP DATABASE {};", ident(name))).await.map(drop);
        }
        self.shut(&[name]).await?;
        let name = ident(name);
        self.outside("drop a database", &format!("ALTER DATABASE {name} IS_TEMPLATE false;\nDROP DATABASE {name};"))
            .await
            .map(drop)
    }
    /// Gathers the figures that PostgreSQL plans with.
    pub(super) async fn analyze(&self, name: &str, cancel: &CancellationToken) -> Result<()> {
        let mut psql = self.rows(name, "ANALYZE;").await?;
        while psql.next(cancel).await?.is_some() {}
        Ok(())
    }
    /// Ends what an interrupted operation on this instance may still be doing, and waits until nothing is left of it: what is
    /// looked at afterwards stays as it is.
    pub(super) async fn quiet(&self) -> Result<()> {
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE application_name = {} AND usesysid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
                 AND pid <> pg_backend_pid();",
            literal(&self.application)
        );
        // A program that was started just before may only be about to connect.
        let mut silent = 0;
        for _ in 0..60 {
            let found = self.outside("end what was interrupted", &sql).await?;
            silent = if found.trim() == "0" { silent + 1 } else { 0 };
            if silent == 3 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Err(Error::InUse { database: self.application.clone(), who: "ocore's own sessions".to_owned() })
    }
    /// Lets nobody into these databases any more, and ends the sessions in them.
    pub(super) async fn shut(&self, names: &[&str]) -> Result<()> {
        let fences: Vec<_> =
            names.iter().map(|name| format!("ALTER DATABASE {} ALLOW_CONNECTIONS false;", ident(name))).collect();
        self.outside("shut a database", &fences.join("\n")).await?;
        let list = names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", ");
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ({list}) AND pid <> pg_backend_pid()
                 AND (usesysid = (SELECT oid FROM pg_roles WHERE rolname = current_user)
                      OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user));
             SELECT coalesce(string_agg(DISTINCT coalesce(usename, '?') || coalesce(' ' || nullif(application_name, ''), ''), ', '), '')
             FROM pg_stat_activity WHERE datname IN ({list}) AND usesysid IS NOT NULL
                 AND coalesce(backend_type, '') NOT IN ('autovacuum worker', 'parallel worker');"
        );
        // Of others' sessions an unprivileged role sees little more than whose they are.
        let mut who = String::new();
        for _ in 0..40 {
            let said = self.outside("end the sessions in a database", &end).await?;
            said.lines().next_back().unwrap_or_default().clone_into(&mut who);
            if said.lines().count() < 2 || who.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        Err(Error::InUse { database: names.join(", "), who })
    }
    /// Lets everybody into a database again, and Odoo see it.
    pub(super) async fn open(&self, name: &str) -> Result<()> {
        let name = ident(name);
        let sql = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true;\nALTER DATABASE {name} IS_TEMPLATE false;");
        self.outside("open a database", &sql).await.map(drop)
    }
    /// Renames two databases in one transaction: the first pair first.
    pub(super) async fn rename(&self, pairs: [(&str, &str); 2]) -> Result<()> {
        let [(a, b), (c, d)] = pairs.map(|(old, new)| (ident(old), ident(new)));
        let sql = format!("BEGIN;\nALTER DATABASE {a} RENAME TO {b};\nALTER DATABASE {c} RENAME TO {d};\nCOMMIT;");
        self.outside("rename databases", &sql).await.map(drop)
    }

    /// Starts pg_dump; its output is the dump. Rights and owners are left out: a restore is the owner's own.
    pub(super) async fn dump(&self, database: &str, plain: bool) -> Result<Piped> {
        let mut words = vec![
            if plain { "--format=plain" } else { "--format=custom" },
            "--no-owner",
            "--no-privileges",
            "--no-tablespaces",
            "--no-publications",
            "--no-subscriptions",
            "--lock-wait-timeout=60000",
        ];
        if plain {
            words.push("--compress=6");
        }
        self.start("pg_dump", &words, Some(database), false).await
    }
    /// Starts what loads a dump; it reads the dump (a plain one decompressed).
    pub(super) async fn load(&self, database: &str, plain: bool, single: bool) -> Result<Piped> {
        if plain {
            let mut words = vec!["--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", "--file=-"];
            words.extend(single.then_some("--single-transaction"));
            self.start("psql", &words, Some(database), true).await
        } else {
            let mut words = vec!["--no-owner", "--no-privileges", "--exit-on-error"];
            words.extend(single.then_some("--single-transaction"));
            self.start("pg_restore", &words, Some(database), true).await
        }
    }
    /// Starts pg_restore on a dump of the custom format: its list of contents, or some tables' rows.
    pub(super) async fn contents(&self, words: &[&str]) -> Result<Piped> {
        self.start("pg_restore", words, None, true).await
    }
}

/// A running program of PostgreSQL's. Dropping it ends it.
pub(super) struct Piped {
    running: Running,
    program: &'static str,
    client: Client,
    stderr: Captured,
    ended: Option<Exit>,
    /// Some of its output did not come.
    gap: bool,
}
impl Piped {
    fn take(&mut self, event: Event) -> Option<bytes::Bytes> {
        match event {
            Event::Stdout(data) => return Some(data),
            Event::Stderr(data) if self.stderr.head.len() < 64 << 10 => self.stderr.head.extend_from_slice(&data),
            Event::Gap { stream: 1, .. } => self.gap = true,
            Event::Ended { exit, .. } => self.ended = Some(exit),
            _ => {}
        }
        None
    }
    /// The next piece of its output; none at its end.
    ///
    /// # Errors
    /// When it ended otherwise than well.
    pub(super) async fn next(&mut self, cancel: &CancellationToken) -> Result<Option<bytes::Bytes>> {
        loop {
            if self.ended.is_some() {
                return self.verdict().map(|()| None);
            }
            let event = tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                event = self.running.next() => event?,
            };
            if let Some(data) = self.take(event) {
                return Ok(Some(data));
            }
        }
    }
    /// All of its output as text.
    async fn text(mut self, within: Duration, most: usize) -> Result<String> {
        let cancel = CancellationToken::new();
        let mut all = Vec::new();
        let reading = async {
            while let Some(data) = self.next(&cancel).await? {
                if all.len() + data.len() > most {
                    return Err(self.failed("it prints more than expected"));
                }
                all.extend_from_slice(&data);
            }
            Ok(())
        };
        match tokio::time::timeout(within, reading).await {
            Ok(result) => result?,
            Err(_) => return Err(Error::Docker(docker::Error::Timeout { doing: "run a program of PostgreSQL's", within })),
        }
        Ok(String::from_utf8_lossy(&all).into_owned())
    }
    /// Gives it all of a source to read, and its output to `each`, till it ends. It may end before it has read everything.
    pub(super) async fn feed(
        &mut self,
        source: &mut (dyn AsyncRead + Unpin + Send),
        cancel: &CancellationToken,
        fed: &mut (dyn FnMut(u64) + Send),
        each: &mut (dyn FnMut(&[u8]) -> Result<()> + Send),
        path: &Path,
    ) -> Result<()> {
        let mut buffer = vec![0; 256 << 10];
        let (mut all, mut over) = (0, false);
        while self.ended.is_none() {
            let event = tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                event = self.running.next_or_room(if over { 0 } else { ROOM }) => event?,
            };
            if let Some(event) = event {
                if let Some(data) = self.take(event) {
                    each(&data)?;
                }
                continue;
            }
            let read = source.read(&mut buffer).await.map_err(|error| Error::disk(path, error))?;
            self.give(buffer.get(..read).unwrap_or_default());
            over = read == 0;
            all += read as u64;
            fed(all);
        }
        self.verdict()
    }
    /// More for it to read; an empty piece ends its input.
    pub(super) fn give(&mut self, data: &[u8]) {
        if data.is_empty() {
            self.running.close_input();
        } else {
            self.running.input(data);
        }
    }
    /// Waits until there is room for more, or till its end when `room` is none. False when it has ended.
    pub(super) async fn room(&mut self, more: bool, cancel: &CancellationToken) -> Result<bool> {
        while self.ended.is_none() {
            let event = tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                event = self.running.next_or_room(if more { ROOM } else { 0 }) => event?,
            };
            match event {
                None => return Ok(true),
                Some(event) => drop(self.take(event)),
            }
        }
        self.verdict().map(|()| false)
    }
    fn verdict(&self) -> Result<()> {
        match self.ended {
            Some(Exit::Code(0)) if self.gap => Err(self.failed("some of its output was lost")),
            Some(Exit::Code(0)) => Ok(()),
            Some(Exit::Code(127)) => {
                Err(Error::NoProgram { container: self.client.container().to_owned(), program: self.program })
            }
            Some(Exit::Code(_)) => Err(self.failed("it tells no reason")),
            Some(exit) => Err(Error::Program {
                program: self.program,
                container: self.client.container().to_owned(),
                said: format!("it was killed ({exit:?})"),
            }),
            None => Err(self.failed("it goes on")),
        }
    }
    fn failed(&self, otherwise: &str) -> Error {
        let text = self.stderr.text();
        // The first error is the reason; what follows is its consequence.
        let said = text
            .lines()
            .find(|line| ["ERROR", "FATAL", "error:", "fatal:"].iter().any(|word| line.contains(word)))
            .or_else(|| text.lines().map(str::trim).rfind(|line| !line.is_empty()))
            .unwrap_or(otherwise);
        let said: String = said.trim().chars().take(500).collect();
        let container = self.client.container().to_owned();
        let connection =
            ["could not connect", "connection to server", "could not translate", "terminating connection", "server closed"];
        if connection.iter().any(|words| said.contains(words)) {
            let at = format!("{}:{}", self.client.postgres.host, self.client.postgres.port);
            return Error::NoPostgres { at, container, said };
        }
        Error::Program { program: self.program, container, said }
    }
}

/// A database's name where psql takes a connection string: it must not be taken for one.
fn connection(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', "\\\\").replace('\'', "\\'"))
}
/// A name as SQL quotes it.
pub(super) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
/// A text as SQL quotes it (standard_conforming_strings is on by default).
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
/// A database's name that PostgreSQL, psql and a folder can bear.
pub(super) fn database_name(name: &str) -> Result<()> {
    let fine = !name.is_empty()
        && name.len() <= 63
        && !name.starts_with(['-', '.'])
        && !name.chars().any(|c| c.is_control() || c.is_whitespace() || "/\\,'\"".contains(c));
    if fine {
        return Ok(());
    }
    Err(Error::Argument {
        what: "the database's name",
        why: "it is empty or longer than 63 bytes, starts with - or ., or has spaces, quotes, commas, slashes or control characters"
            .to_owned(),
    })
}
