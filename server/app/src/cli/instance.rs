//! `ocore instance …`
use std::path::PathBuf;

use admin::{
    instances::{self, Check, Guard, InstanceRow, InstanceUpdate, Login, NewInstance},
    posthog::PostHogUpdate,
};
use backends::postgres::{Address, Finding, SqlLogin};
use clap::{Args, Subcommand};
use kernel::{
    AddonsFolder, CredentialId, Environment, Health, InstanceId, InstanceState, PostgresConnection, RpcConnection, RpcDialect,
    ServerId, time_text,
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Given, check, input};
use crate::{
    failure::{Failure, Result},
    terminal::{self, Shown},
    wiring::Base,
};

#[derive(Debug, Subcommand)]
pub enum Instance {
    /// Registers an Odoo database, after a check that it can be reached and the login works
    Create(Create),
    /// Lists the instances
    List {
        /// Only those of this organization
        #[arg(long, value_name = "SLUG")]
        org: Option<String>,
    },
    /// Shows one instance
    Show { slug: String },
    /// Signs in to the instance and notes what it found; tries the connections to its host too
    Check { slug: String },
    /// Gives ocore two logins of its own in the instance's database: one that reads what it should, one for changes
    SqlRole(SqlRole),
    /// Copies an instance's database and files under a new name, neutralized, and registers the copy: to let an assistant loose on
    Clone(Clone),
    /// Changes an instance; an empty value removes a container, folder, login or PostHog
    Update(Update),
    /// Removes an instance from the registry; Odoo itself is not touched
    Delete {
        slug: String,
        /// Does not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// Its short name, which its tools' names start with
    slug: String,
    /// The organization
    #[arg(long, value_name = "SLUG")]
    org: String,
    /// The server on which it runs
    #[arg(long, value_name = "NAME")]
    server: String,
    /// What people call it [default: the slug]
    #[arg(long)]
    name: Option<String>,
    /// As browsers open it: https://odoo.example.com
    #[arg(long)]
    url: String,
    /// The name of the Odoo database
    #[arg(long, value_name = "NAME")]
    database: String,
    /// The Odoo user as whom ocore works
    #[arg(long)]
    login: Option<String>,
    /// Reads the user's password or Odoo API key from standard input
    #[arg(long, requires = "login")]
    secret_stdin: bool,
    /// production, staging or development
    #[arg(long)]
    environment: Environment,
    /// Whether writes are allowed [default: true, in production false]
    #[arg(long, value_name = "true|false")]
    write_enabled: Option<bool>,
    /// How to speak with Odoo: auto, session, jsonrpc or json2
    #[arg(long, default_value = "auto")]
    dialect: RpcDialect,
    #[command(flatten)]
    host: Host,
    #[command(flatten)]
    posthog: PostHog,
    /// Calls at a time [default: 4]
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Registers it without a check; connections to the host stay off until one has passed
    #[arg(long)]
    no_check: bool,
}

#[derive(Debug, Args)]
pub struct Host {
    /// The container in which Odoo runs
    #[arg(long, value_name = "NAME")]
    container: Option<String>,
    /// A file that holds the URL of the instance's PostgreSQL database
    #[arg(long, value_name = "FILE", conflicts_with = "postgres_url_stdin")]
    postgres_url_file: Option<PathBuf>,
    /// Reads that URL from standard input
    #[arg(long)]
    postgres_url_stdin: bool,
    /// A file with the certificates (PEM) that the database server's must lead to, for ?sslmode=verify-full
    #[arg(long, value_name = "FILE")]
    postgres_ca_file: Option<PathBuf>,
    /// A folder of the instance's own addons, on this machine or, as container:/path, in its container; may be given several times
    #[arg(long, value_name = "DIR")]
    addons: Vec<String>,
    /// The folder for its backups
    #[arg(long, value_name = "DIR")]
    backups: Option<PathBuf>,
}

impl Host {
    /// What an empty value alone says: no folder at all.
    fn addons(&self) -> Result<Vec<AddonsFolder>> {
        if let [one] = self.addons.as_slice()
            && one.is_empty()
        {
            return Ok(Vec::new());
        }
        self.addons.iter().map(|folder| folder.parse().map_err(|e: String| Failure::usage(format!("{e}.")))).collect()
    }
    fn ca(&self) -> Result<Option<String>> {
        self.postgres_ca_file.as_deref().map(input::text_file).transpose()
    }
}

#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "they are the names of the options")]
pub struct PostHog {
    /// Where the API of the instance's PostHog is: https://us.posthog.com, https://eu.posthog.com or your own
    #[arg(long, value_name = "URL")]
    posthog_url: Option<String>,
    /// The number of its PostHog project
    #[arg(long, value_name = "ID")]
    posthog_project: Option<u64>,
    /// A file that holds a personal API key of PostHog
    #[arg(long, value_name = "FILE", conflicts_with = "posthog_key_stdin")]
    posthog_key_file: Option<PathBuf>,
    /// Reads that key from standard input
    #[arg(long)]
    posthog_key_stdin: bool,
}
impl PostHog {
    fn is_given(&self) -> bool {
        self.posthog_url.is_some() || self.posthog_project.is_some() || self.posthog_key_file.is_some() || self.posthog_key_stdin
    }
    /// What is to change; an inner none removes the connection.
    #[expect(clippy::option_option, reason = "as in the change that it becomes")]
    fn update(self, key: Option<SecretString>) -> Result<Option<Option<PostHogUpdate>>> {
        if !self.is_given() {
            return Ok(None);
        }
        if self.posthog_url.as_deref() == Some("") {
            if key.is_some() || self.posthog_project.is_some() {
                return Err(Failure::usage("An empty --posthog-url removes the connection.").next("Leave the other options out."));
            }
            return Ok(Some(None));
        }
        Ok(Some(Some(PostHogUpdate { url: self.posthog_url, project: self.posthog_project, key })))
    }
}

#[derive(Debug, Args)]
pub struct Update {
    slug: String,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// Opens or closes the instance for writes
    #[arg(long, value_name = "true|false")]
    write_enabled: Option<bool>,
    /// Closes it again after so many minutes
    #[arg(long = "for", value_name = "MINUTES", requires = "write_enabled")]
    minutes: Option<u32>,
    /// production, staging or development; changing to production closes it for writes
    #[arg(long)]
    environment: Option<Environment>,
    /// active, maintenance or archived
    #[arg(long)]
    state: Option<InstanceState>,
    #[arg(long)]
    url: Option<String>,
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// The Odoo user as whom ocore works
    #[arg(long)]
    login: Option<String>,
    /// Reads the user's password or Odoo API key from standard input
    #[arg(long)]
    secret_stdin: bool,
    /// How to speak with Odoo: auto, session, jsonrpc or json2; takes the login and its secret again
    #[arg(long, requires = "login")]
    dialect: Option<RpcDialect>,
    #[command(flatten)]
    host: Host,
    /// The container that runs its PostgreSQL server: backups and restores use the programs in it
    #[arg(long, value_name = "NAME")]
    postgres_container: Option<String>,
    #[command(flatten)]
    posthog: PostHog,
    /// Calls at a time
    #[arg(long, value_name = "N")]
    concurrency: Option<u32>,
    /// Changes address and login without a check
    #[arg(long)]
    no_check: bool,
}

impl Instance {
    pub async fn run(self: Box<Self>, given: &Given) -> Result<Shown> {
        match *self {
            Self::Create(create) => create.run(given).await,
            Self::List { org } => list(given, org.as_deref()).await,
            Self::Show { slug } => {
                let (_, base) = given.open().await?;
                let row = instances::show(&base.admin, &base.by, &slug).await?;
                base.close().await;
                Ok(Shown::new(text(&row), json(&row)))
            }
            Self::Check { slug } => check_now(given, &slug).await,
            Self::SqlRole(roles) => roles.run(given).await,
            Self::Clone(clone) => clone.run(given).await,
            Self::Update(update) => update.run(given).await,
            Self::Delete { slug, yes } => {
                input::confirmed(yes, &format!("Remove {slug} and its stored logins? Keys that name it stop working on it."))?;
                let (_, base) = given.open().await?;
                let row = instances::delete(&base.admin, &base.by, &slug).await?;
                base.close().await;
                Ok(Shown::new(format!("Removed {slug}. Odoo itself was not touched; the audit is kept."), json(&row)))
            }
        }
    }
}

/// The secrets of a command: standard input has one line for each option that reads it, in the order of the options.
struct Secrets {
    login: Option<SecretString>,
    postgres: Option<SecretString>,
    posthog: Option<SecretString>,
}
impl Secrets {
    fn read(given: &Given, login: Option<&str>, login_stdin: bool, host: &Host, posthog: &PostHog) -> Result<Self> {
        let of_login = login.map_or_else(|| "the Odoo secret".to_owned(), |l| format!("the password or Odoo API key of {l}"));
        let index = |id: &str| given.matches.index_of(id).unwrap_or(usize::MAX);
        let mut wanted: Vec<(usize, &str, &str)> = Vec::new();
        if login_stdin {
            wanted.push((index("secret_stdin"), "login", &of_login));
        }
        if host.postgres_url_stdin {
            wanted.push((index("postgres_url_stdin"), "postgres", "the PostgreSQL URL"));
        }
        if posthog.posthog_key_stdin {
            wanted.push((index("posthog_key_stdin"), "posthog", "the PostHog key"));
        }
        wanted.sort_unstable();
        let mut found = Self { login: None, postgres: None, posthog: None };
        let lines = input::lines(&wanted.iter().map(|(_, _, what)| *what).collect::<Vec<_>>())?;
        for ((_, which, _), line) in wanted.into_iter().zip(lines) {
            match which {
                "login" => found.login = Some(line),
                "posthog" => found.posthog = Some(line),
                _ => found.postgres = Some(line),
            }
        }
        if login.is_some_and(|l| !l.is_empty()) && found.login.is_none() {
            if !terminal::interactive() {
                return Err(
                    Failure::usage("The login needs its secret.").next("Add --secret-stdin and give it on standard input.")
                );
            }
            found.login = Some(input::prompt(&of_login)?);
        }
        if let Some(path) = &host.postgres_url_file {
            found.postgres = Some(input::file(path)?);
        }
        if let Some(path) = &posthog.posthog_key_file {
            found.posthog = Some(input::file(path)?);
        }
        Ok(found)
    }
}

impl Create {
    async fn run(self, given: &Given) -> Result<Shown> {
        let secrets = Secrets::read(given, self.login.as_deref(), self.secret_stdin, &self.host, &self.posthog)?;
        let posthog = self.posthog.update(secrets.posthog)?.flatten();
        let (addons, postgres_ca) = (self.host.addons()?, self.host.ca()?);
        let (_, base) = given.open().await?;
        let login = self.login.zip(secrets.login).map(|(login, secret)| Login { login, secret, dialect: self.dialect });
        let new = NewInstance {
            org: self.org,
            server: self.server,
            slug: self.slug,
            name: self.name,
            url: self.url,
            database: self.database,
            environment: self.environment,
            write_enabled: self.write_enabled,
            login,
            postgres_url: secrets.postgres,
            postgres_ca,
            posthog,
            container: self.host.container,
            addons,
            backups: self.host.backups,
            concurrency: self.concurrency,
        };
        let (row, checked) = register(&base, &new, !self.no_check).await?;
        base.close().await;
        let writes = if row.instance.write_enabled { "on" } else { "off" };
        let found = match (&checked, new.login.is_some()) {
            (Some(found), _) => format!("{}, login works", odoo(found)),
            (None, true) => "not checked yet".to_owned(),
            (None, false) => "no login yet".to_owned(),
        };
        Ok(Shown::new(format!("Created the instance {} ({found}). Writes are {writes}.", row.instance.slug), json(&row)))
    }
}

/// Checks the connection, and registers the instance when it works: what does not is not created.
pub async fn register(base: &Base, new: &NewInstance, check_it: bool) -> Result<(InstanceRow, Option<Check>)> {
    let mut checked = None;
    if let Some(login) = new.login.as_ref().filter(|_| check_it) {
        // A wrong organization is found out before Odoo is asked.
        admin::servers::list(&base.admin, &base.by, &new.org).await?;
        checked = Some(check::given(base, &unregistered(base, new)?, login).await?);
    }
    if let Some(posthog) = new.posthog.as_ref().filter(|_| check_it) {
        check::posthog(base, &unregistered(base, new)?, posthog).await?;
    }
    let mut row = instances::create(&base.admin, &base.by, new).await?;
    if let Some(found) = &checked {
        instances::record_check(&base.admin, row.instance.org, row.instance.id, found).await?;
        row = instances::show(&base.admin, &base.by, &new.slug).await?;
    }
    Ok((row, checked))
}

/// The instance as it would be, for a check before it is one.
fn unregistered(base: &Base, new: &NewInstance) -> Result<kernel::Instance> {
    let sources = &base.admin.sources;
    let url = new.url.trim().parse().map_err(|_| {
        Failure::usage("The URL of the instance is no URL.").next("Write it like https://odoo.example.com, as browsers open it.")
    })?;
    Ok(kernel::Instance {
        id: InstanceId::new(sources),
        org: kernel::OrgId::new(sources),
        server: ServerId::new(sources),
        server_name: new.server.clone(),
        slug: new.slug.as_str().into(),
        url,
        database: new.database.clone(),
        environment: new.environment,
        state: InstanceState::Active,
        health: Health::Unknown,
        version: None,
        edition: None,
        write_enabled: false,
        write_enabled_until: None,
        checked_at: None,
        rpc: new.login.as_ref().map(|login| RpcConnection {
            credential: CredentialId::new(sources),
            login: login.login.clone(),
            dialect: login.dialect,
            refused: false,
            generation: 1,
        }),
        host: kernel::Host::default(),
        posthog: None,
        ruled: false,
        concurrency: 4,
        generation: 1,
        created_at: sources.now(),
        updated_at: sources.now(),
    })
}

impl Update {
    async fn run(self, given: &Given) -> Result<Shown> {
        let Self {
            slug,
            name,
            write_enabled,
            minutes,
            environment,
            state,
            url,
            database,
            login,
            secret_stdin,
            dialect,
            host,
            postgres_container,
            posthog,
            concurrency,
            no_check,
        } = self;
        let nothing = name.is_none()
            && write_enabled.is_none()
            && environment.is_none()
            && state.is_none()
            && url.is_none()
            && database.is_none()
            && login.is_none()
            && !secret_stdin
            && concurrency.is_none()
            && host.container.is_none()
            && host.addons.is_empty()
            && host.postgres_ca_file.is_none()
            && postgres_container.is_none()
            && host.backups.is_none()
            && host.postgres_url_file.is_none()
            && !host.postgres_url_stdin
            && !posthog.is_given();
        if nothing {
            return Err(Failure::usage("Nothing to change was named.")
                .next("Add --write-enabled true|false or another option; --help lists them."));
        }
        if minutes.is_some() && write_enabled == Some(false) {
            return Err(Failure::usage("--for says how long writes stay on.")
                .next("Leave it out, or write --write-enabled true --for MINUTES."));
        }
        let secrets = Secrets::read(given, login.as_deref(), secret_stdin, &host, &posthog)?;
        let posthog = posthog.update(secrets.posthog)?;
        let addons = if host.addons.is_empty() { None } else { Some(host.addons()?) };
        let postgres_ca = host.ca()?.map(Some);
        let (_, base) = given.open().await?;
        let old = instances::show(&base.admin, &base.by, &slug).await?;
        let new_login = match (login, secrets.login) {
            (Some(login), None) if login.is_empty() => Some(None),
            (login, Some(secret)) => {
                let rpc = old.instance.rpc.as_ref();
                let Some(login) = login.or_else(|| rpc.map(|r| r.login.clone())) else {
                    return Err(Failure::usage(format!("{slug} has no login yet.")).next("Add --login."));
                };
                let dialect = dialect.or_else(|| rpc.map(|r| r.dialect)).unwrap_or(RpcDialect::Auto);
                Some(Some(Login { login, secret, dialect }))
            }
            _ => None,
        };
        let empty = |text: String| Some(text).filter(|t| !t.is_empty());
        let folder = |path: PathBuf| Some(path).filter(|p| !p.as_os_str().is_empty());
        let change = InstanceUpdate {
            name,
            url,
            database,
            environment,
            state,
            write_enabled: write_enabled.map(|on| match (on, minutes) {
                (false, _) => Guard::Closed,
                (true, None) => Guard::Open,
                (true, Some(minutes)) => Guard::OpenFor(minutes),
            }),
            login: new_login,
            postgres_url: secrets.postgres.map(Some),
            postgres_ca,
            posthog,
            container: host.container.map(empty),
            postgres_container: postgres_container.map(empty),
            addons,
            backups: host.backups.map(folder),
            concurrency,
        };
        let row = change_to(&base, &old, &change, !no_check).await?;
        base.close().await;
        let i = &row.instance;
        let what = match (write_enabled, i.write_enabled, i.write_enabled_until) {
            (None, ..) => "changed.".to_owned(),
            (_, true, None) => "writes are on.".to_owned(),
            (_, true, Some(until)) => format!("writes are on until {}.", time_text(until)),
            (_, false, _) => "writes are off.".to_owned(),
        };
        // The logins of ocore's own belong to the database that the old address led to.
        let had = |of: &kernel::Instance| of.host.postgres.as_ref().is_some_and(|p| p.reader || p.writer);
        let lost = if had(&old.instance) && !had(i) {
            format!(" ocore's own SQL logins were for the address before: make new ones with ocore instance sql-role {slug}")
        } else {
            String::new()
        };
        Ok(Shown::new(format!("{slug}: {what}{lost}"), json(&row)))
    }
}

/// Changes an instance; a new address or login is checked first.
pub async fn change_to(base: &Base, old: &InstanceRow, change: &InstanceUpdate, check_it: bool) -> Result<InstanceRow> {
    let mut checked = None;
    let mut moved = old.instance.clone();
    if let Some(url) = &change.url {
        moved.url = url.trim().parse().map_err(|_| Failure::usage("The URL of the instance is no URL."))?;
    }
    if let Some(database) = &change.database {
        moved.database.clone_from(database);
    }
    let elsewhere = moved.url != old.instance.url || moved.database != old.instance.database;
    if check_it {
        match &change.login {
            Some(Some(login)) => {
                let credential = CredentialId::new(&base.admin.sources);
                let (login_name, dialect) = (login.login.clone(), login.dialect);
                moved.rpc = Some(RpcConnection { credential, login: login_name, dialect, refused: false, generation: 1 });
                checked = Some(check::given(base, &moved, login).await?);
            }
            None if elsewhere && moved.rpc.is_some() => checked = Some(check::stored(base, &moved).await?),
            _ => {}
        }
        if let Some(Some(posthog)) = &change.posthog {
            check::posthog(base, &old.instance, posthog).await?;
        }
    }
    let slug = old.instance.slug.as_ref();
    let mut row = instances::update(&base.admin, &base.by, slug, change).await?;
    if let Some(found) = &checked {
        instances::record_check(&base.admin, row.instance.org, row.instance.id, found).await?;
        row = instances::show(&base.admin, &base.by, slug).await?;
    }
    Ok(row)
}

async fn check_now(given: &Given, slug: &str) -> Result<Shown> {
    let (_, base) = given.open().await?;
    let row = instances::show(&base.admin, &base.by, slug).await?;
    let i = &row.instance;
    if i.rpc.is_none() {
        return Err(Failure::new(crate::failure::Exit::Refused, "not_configured", format!("{slug} has no login."))
            .next(format!("ocore instance update {slug} --login LOGIN --secret-stdin")));
    }
    let checked = check::stored(&base, i).await;
    let noted = match &checked {
        Ok(found) => found.clone(),
        Err(_) => Check { health: Health::Down, version: None, edition: None, login: false },
    };
    instances::record_check(&base.admin, i.org, i.id, &noted).await?;
    let found = checked?;
    let ways = check::ways(&base, i).await;
    let row = instances::show(&base.admin, &base.by, slug).await?;
    base.close().await;
    let mut lines = vec![format!("{slug}: {}, the login works.", odoo(&found))];
    let mut value = json(&row);
    let mut shown = serde_json::Map::new();
    for (way, result) in ways {
        match result {
            None => {
                shown.insert(way.into(), json!({ "state": "not set up" }));
            }
            Some(Ok(text)) => {
                lines.push(format!("{way}: {text}"));
                shown.insert(way.into(), json!({ "state": "works", "found": text }));
            }
            Some(Err(failure)) => {
                lines.push(format!("{way}: {} {}", failure.message, failure.next));
                shown.insert(way.into(), json!({ "state": "fails", "message": failure.message, "next": failure.next }));
            }
        }
    }
    if let Some(map) = value.as_object_mut() {
        map.insert("connections".into(), shown.into());
    }
    Ok(Shown::new(lines.join("\n"), value))
}

async fn list(given: &Given, org: Option<&str>) -> Result<Shown> {
    let (_, base) = given.open().await?;
    let rows = instances::list(&base.admin, &base.by, org).await?;
    let now = base.admin.sources.now();
    base.close().await;
    let cells = rows.iter().map(|row| {
        let i = &row.instance;
        vec![
            i.slug.to_string(),
            i.environment.to_string(),
            i.state.to_string(),
            if i.writable(now) { "on" } else { "off" }.to_owned(),
            i.health.to_string(),
            i.version.map_or_else(|| "unknown".into(), |v| v.to_string()),
            i.server_name.clone(),
            i.url.to_string(),
            i.database.clone(),
        ]
    });
    let text = terminal::table(
        &["SLUG", "ENVIRONMENT", "STATE", "WRITES", "HEALTH", "ODOO", "SERVER", "URL", "DATABASE"],
        &cells.collect::<Vec<_>>(),
        "There is no instance yet. Create one: ocore instance create SLUG --help",
    );
    Ok(Shown::new(text, rows.iter().map(json).collect()))
}

/// ocore's own logins in an instance's database.
#[derive(Debug, Args)]
pub struct SqlRole {
    slug: String,
    /// A file that holds the PostgreSQL URL of who may make roles: a superuser, or the database's owner with CREATEROLE [default: the
    /// instance's own]
    #[arg(long, value_name = "FILE", conflicts_with = "admin_url_stdin")]
    admin_url_file: Option<PathBuf>,
    /// Reads that URL from standard input
    #[arg(long)]
    admin_url_stdin: bool,
    /// Leaves every role of the database what PostgreSQL gives it by itself: temporary tables, large objects and the like
    #[arg(long)]
    no_harden: bool,
    /// Removes the logins instead
    #[arg(long)]
    remove: bool,
}
impl SqlRole {
    async fn run(self, given: &Given) -> Result<Shown> {
        let url = match (&self.admin_url_file, self.admin_url_stdin) {
            (Some(path), _) => Some(input::file(path)?),
            (None, true) => Some(input::line("the PostgreSQL URL of who may make roles")?),
            (None, false) => None,
        };
        let (_, base) = given.open().await?;
        let admin = &base.admin;
        let slug = self.slug.as_str();
        let row = instances::show(admin, &base.by, slug).await?;
        let i = &row.instance;
        let own = base.postgres_address(i).await?;
        let by = match &url {
            Some(url) => Address::parse(url)?,
            None => own.clone(),
        };
        if by.database() != i.database {
            return Err(Failure::usage(format!("That URL names the database {}, and {slug} is {}.", by.database(), i.database))
                .next("The roles are made in the instance's own database: end the URL with its name."));
        }
        let ca = i.host.postgres.as_ref().and_then(|p| p.ca.as_deref());
        // Roles are the database server's, which may serve instances of other installations of ocore too.
        let id = i.id.to_string().to_lowercase();
        let id = id.get(id.len().saturating_sub(8)..).unwrap_or_default();
        let name = |what: &str| format!("ocore_{}_{id}_{what}", slug.replace('-', "_"));
        let (reader, writer) = (base.sql_login(name("read")), base.sql_login(name("write")));
        let pool = base.postgres();
        if self.remove {
            instances::set_sql_logins(admin, &base.by, slug, None, None).await?;
            pool.remove_roles(&by, ca, &[&reader.user, &writer.user]).await?;
            base.close().await;
            return Ok(Shown::new(
                format!("{slug}: ocore's logins are removed; SQL is not run by roles of its own any more."),
                json!({ "removed": [reader.user, writer.user] }),
            ));
        }
        let random = || {
            let mut salt = [0; 16];
            admin.sources.random.fill(&mut salt);
            salt
        };
        let findings = pool.make_roles(&by, ca, (&reader, &writer), [random(), random()], !self.no_harden).await?;
        let stored = |login: &SqlLogin| instances::SqlLogin { user: login.user.clone(), password: login.password.clone() };
        let row = instances::set_sql_logins(admin, &base.by, slug, Some(&stored(&reader)), Some(&stored(&writer))).await?;
        base.close().await;
        let mut lines = vec![format!("{slug}: SQL is read as {} and changed as {}.", reader.user, writer.user)];
        lines.extend(summed(&findings));
        lines.push("Run it again after modules were installed or upgraded: new columns are nobody's until then.".to_owned());
        let mut value = json(&row);
        if let Some(map) = value.as_object_mut() {
            map.insert("findings".into(), json!(findings));
        }
        Ok(Shown::new(lines.join("\n"), value))
    }
}

/// A copy to work on.
#[derive(Debug, Args)]
pub struct Clone {
    /// The instance to copy; nothing of it is changed
    slug: String,
    /// The short name of the copy
    copy: String,
    /// The name of the new database
    #[arg(long, value_name = "NAME")]
    database: String,
    /// production, staging or development
    #[arg(long, default_value = "development")]
    environment: Environment,
}
impl Clone {
    async fn run(self, given: &Given) -> Result<Shown> {
        let (settings, base) = given.open().await?;
        let (admin, by) = (&base.admin, &base.by);
        let row = instances::show(admin, by, &self.slug).await?;
        let i = row.instance.clone();
        let orgs = admin::orgs::list(admin, by).await?;
        let org = orgs.iter().find(|o| o.organization.id == i.org).map(|o| o.organization.slug.to_string()).unwrap_or_default();
        if instances::show(admin, by, &self.copy).await.is_ok() {
            return Err(Failure::usage(format!("There is an instance {} already.", self.copy)).next("Choose another short name."));
        }
        let login = base.stored_login(&i).await?;
        let mut random = [[0; 16]; 2];
        for part in &mut random {
            admin.sources.random.fill(part);
        }
        let pool = base.backups_pool(&settings).await?;
        instances::note_copy(admin, by, &i, &self.database, "begun").await?;
        let mut last = String::new();
        let copied = pool
            .copy(std::sync::Arc::new(i.clone()), &self.database, random, &mut |progress| {
                if progress.text != last {
                    terminal::remark(&format!("{}…", progress.text));
                    last.clone_from(&progress.text);
                }
            })
            .await?;
        instances::note_copy(admin, by, &i, &self.database, "done").await?;
        let new = NewInstance {
            org,
            server: i.server_name.clone(),
            slug: self.copy.clone(),
            name: None,
            url: i.url.to_string(),
            database: self.database.clone(),
            environment: self.environment,
            write_enabled: None,
            login,
            postgres_url: None,
            postgres_ca: None,
            posthog: None,
            container: i.host.container.clone(),
            addons: Vec::new(),
            backups: None,
            concurrency: None,
        };
        let registered = register(&base, &new, true).await;
        let (row, _) = match registered {
            Ok(made) => made,
            Err(failure) => {
                let advice = format!(
                    "The copy is there as the database {}; register it with ocore instance create. {}",
                    self.database, failure.next
                );
                return Err(failure.next(advice));
            }
        };
        base.close().await;
        let text = format!(
            "Copied {} to {} (database {}, {} files): no mail, no scheduled actions, no payments. Users and their passwords are those of {}.",
            self.slug, self.copy, copied.database, copied.files, self.slug
        );
        let mut value = json(&row);
        if let Some(map) = value.as_object_mut() {
            map.insert("neutralized".into(), json!(copied.neutralized));
            map.insert("files".into(), json!(copied.files));
        }
        Ok(Shown::new(text, value))
    }
}

/// What the logins can do that one should know, each thing once and lists cut; `--json` has all of it.
fn summed(findings: &[Finding]) -> Vec<String> {
    const SHOWN: usize = 3;
    let mut lines: Vec<String> = Vec::new();
    let mut say = |line: String| {
        if !lines.contains(&line) {
            lines.push(line);
        }
    };
    for finding in findings.iter().filter(|f| f.serious) {
        say(format!("Mend this: a login {}", finding.what));
    }
    for (beginning, many, advice) in [
        ("may connect to the database ", "may connect to other databases of this server", "pg_hba.conf can bar it"),
        (
            "may run ",
            "may run functions of PostgreSQL that are everybody's",
            "ocore's parser refuses them; with a superuser's URL they are taken away",
        ),
    ] {
        let mut names: Vec<&str> = findings
            .iter()
            .filter(|f| !f.serious)
            .filter_map(|f| f.what.strip_prefix(beginning))
            .map(|rest| rest.split(';').next().unwrap_or(rest))
            .collect();
        names.sort_unstable();
        names.dedup();
        if names.is_empty() {
            continue;
        }
        let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
        let rest = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
        say(format!("To know: the logins {many} ({shown}{rest}); {advice}."));
    }
    for finding in findings.iter().filter(|f| !f.serious) {
        if !finding.what.starts_with("may connect to the database ") && !finding.what.starts_with("may run ") {
            say(format!("To know: a login {}", finding.what));
        }
    }
    lines
}

fn postgres_text(p: &PostgresConnection) -> String {
    let how = match (p.reader, p.writer) {
        (true, true) => "read and changed by logins of ocore's own",
        (true, false) => "read by a login of ocore's own",
        _ => "read with Odoo's own login; make better ones with ocore instance sql-role",
    };
    if p.login.is_empty() { how.to_owned() } else { format!("{}, {how}", p.login) }
}

/// `Odoo 19.0 community`, as far as it is known.
fn odoo(found: &Check) -> String {
    let version = found.version.map_or_else(|| "Odoo".to_owned(), |v| format!("Odoo {v}"));
    found.edition.as_ref().map_or_else(|| version.clone(), |edition| format!("{version} {edition}"))
}

fn text(row: &InstanceRow) -> String {
    let i = &row.instance;
    let or = |value: Option<String>, none: &str| value.unwrap_or_else(|| none.to_owned());
    let folders: Vec<String> = i.host.addons.iter().map(ToString::to_string).collect();
    let path = |p: &Option<PathBuf>| or(p.as_ref().map(|p| p.display().to_string()), "not set up");
    let writes = match (i.write_enabled, i.write_enabled_until) {
        (true, Some(until)) => format!("on until {}", time_text(until)),
        (true, None) => "on".into(),
        (false, _) => "off".into(),
    };
    let login = i.rpc.as_ref().map(|r| {
        let refused = if r.refused { ", refused by Odoo: give it a new secret" } else { "" };
        format!("{} ({}{refused})", r.login, r.dialect)
    });
    terminal::facts(&[
        ("Slug", i.slug.to_string()),
        ("Name", row.name.clone()),
        ("URL", i.url.to_string()),
        ("Database", i.database.clone()),
        ("Server", i.server_name.clone()),
        ("Environment", i.environment.to_string()),
        ("State", i.state.to_string()),
        ("Writes", writes),
        ("Health", i.health.to_string()),
        ("Odoo", or(i.version.map(|v| v.to_string()), "unknown")),
        ("Edition", or(i.edition.clone(), "unknown")),
        ("Login", or(login, "not set up")),
        ("Last login check", or(i.checked_at.map(time_text), "never passed")),
        ("PostgreSQL", or(i.host.postgres.as_ref().map(postgres_text), "not set up")),
        ("PostHog", or(i.posthog.as_ref().map(|p| format!("project {} at {}", p.project, p.url)), "not set up")),
        ("Container", or(i.host.container.clone(), "not set up")),
        ("Database container", or(i.host.postgres_container.clone(), "not set up")),
        ("Addons", or(Some(folders.join(", ")).filter(|f| !f.is_empty()), "not set up")),
        ("Backups", path(&i.host.backups)),
        ("Calls at a time", i.concurrency.to_string()),
    ])
}

fn json(row: &InstanceRow) -> Value {
    let i = &row.instance;
    json!({
        "id": i.id.to_string(),
        "slug": i.slug,
        "name": row.name,
        "server": i.server_name,
        "url": i.url,
        "database": i.database,
        "environment": i.environment,
        "state": i.state,
        "write_enabled": i.write_enabled,
        "write_enabled_until": i.write_enabled_until.map(time_text),
        "health": i.health,
        "version": i.version.map(|v| v.to_string()),
        "edition": i.edition,
        "login": i.rpc.as_ref().map(|r| r.login.as_str()),
        "dialect": i.rpc.as_ref().map(|r| r.dialect),
        "login_refused": i.rpc.as_ref().is_some_and(|r| r.refused),
        "checked_at": i.checked_at.map(time_text),
        "postgres": i.host.postgres.as_ref().map(|p| json!({ "login": p.login, "reader": p.reader, "writer": p.writer })),
        "posthog": i.posthog.as_ref().map(|p| json!({ "url": p.url.as_str(), "project": p.project })),
        "container": i.host.container,
        "postgres_container": i.host.postgres_container,
        "addons": i.host.addons,
        "backups": i.host.backups,
        "concurrency": i.concurrency,
        "created_at": time_text(i.created_at),
        "updated_at": time_text(i.updated_at),
    })
}
