//! Instances: the guard and the environment are the administrators', everything that touches a host is the operator's.
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use kernel::{
    AddonsFolder, Code, Environment, Host, Instance, InstanceId, InstanceState, OrgId, PostgresConnection, Refusal, Result, Role,
    RpcDialect, SecretString, Server, name, refusal,
};
use serde_json::{Map, Value, json};
use store::{
    Tx,
    credentials::{self, NewCredential},
    instances, orgs as store_orgs, servers as store_servers,
};
use url::Url;

pub use store::instances::{Check, InstanceRow, SqlLogin};

use crate::{
    Admin, By, HOST, orgs,
    posthog::PostHogUpdate,
    servers::{self, absolute},
    target,
    teach::{self, Checked},
    title,
};

/// What an Odoo login is given as.
#[derive(Debug, Clone)]
pub struct Login {
    pub login: String,
    /// A password or an Odoo API key.
    pub secret: SecretString,
    pub dialect: RpcDialect,
}

#[derive(Debug, Clone)]
pub struct NewInstance {
    /// The organization's slug.
    pub org: String,
    /// The server's name.
    pub server: String,
    pub slug: String,
    /// None means the slug.
    pub name: Option<String>,
    pub url: String,
    pub database: String,
    pub environment: Environment,
    /// None means on, but off in production.
    pub write_enabled: Option<bool>,
    pub login: Option<Login>,
    pub postgres_url: Option<SecretString>,
    /// The certificates that the database server's must lead to (PEM).
    pub postgres_ca: Option<String>,
    /// With all of its parts.
    pub posthog: Option<PostHogUpdate>,
    pub container: Option<String>,
    pub addons: Vec<AddonsFolder>,
    pub backups: Option<PathBuf>,
    /// Calls at a time; none means 4.
    pub concurrency: Option<u32>,
}

/// Administrators; with a container, folders or a database address the operator alone.
pub async fn create(admin: &Admin, by: &By, new: &NewInstance) -> Result<InstanceRow> {
    if new.container.is_some()
        || !new.addons.is_empty()
        || new.backups.is_some()
        || new.postgres_url.is_some()
        || new.postgres_ca.is_some()
    {
        by.operator(OF_THE_HOST)?;
    }
    let url = http_url(&new.url, admin)?;
    database(&new.database)?;
    let postgres_login = new.postgres_url.as_ref().map(postgres).transpose()?;
    new.postgres_ca.as_deref().map(certificates).transpose()?;
    let posthog = new.posthog.as_ref().map(|given| given.onto(admin, None)).transpose()?;
    let called = match &new.name {
        Some(text) => title("The name of an instance", text, 200)?,
        None => new.slug.clone(),
    };
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, &new.org, Role::Admin).await?.organization;
    let known = instances::slugs(&mut tx).await?;
    name::instance_slug(&new.slug, known.iter().map(String::as_str), &admin.tools).map_err(|r| discreet(r, by, &new.slug))?;
    let server = servers::resolve(&mut tx, org.id, &new.server).await?;
    let row = instances::NewInstance {
        org: org.id,
        server: server.id,
        slug: new.slug.clone(),
        name: called,
        url,
        database: new.database.clone(),
        environment: new.environment,
        write_enabled: new.write_enabled.unwrap_or(new.environment != Environment::Production),
        container: new.container.clone(),
        addons: new.addons.clone(),
        backups: new.backups.clone(),
        concurrency: concurrency(new.concurrency)?.unwrap_or(4),
    };
    host(&server, row.container.as_deref(), None, &row.addons, row.backups.as_deref())?;
    free(&mut tx, by, org.id, &server, &row.database, row.container.as_deref(), None).await?;
    let id =
        instances::create(&mut tx, &row, &admin.sources).await.map_err(crate::taken("An instance with this slug or database"))?;
    if let Some(login) = &new.login {
        set_login(admin, &mut tx, org.id, id, login).await?;
    }
    if let Some(url) = new.postgres_url.as_ref().zip(postgres_login.as_deref()) {
        instances::set_postgres_url(&mut tx, &admin.vault, org.id, id, Some(url), admin.sources.now()).await?;
    }
    if new.postgres_ca.is_some() {
        instances::set_postgres_ca(&mut tx, org.id, id, new.postgres_ca.as_deref(), admin.sources.now()).await?;
    }
    if let (Some(connection), Some(given)) = (&posthog, &new.posthog) {
        let to = Some((connection, given.key.as_ref()));
        instances::set_posthog(&mut tx, &admin.vault, org.id, id, to, admin.sources.now()).await?;
    }
    let made = instances::find(&mut tx, org.id, id).await?.ok_or_else(|| teach::hidden("instance", &new.slug))?;
    admin.log(&mut tx, by, Some(org.id), "instance.create", target("instance", id, &new.slug), &facts(&made)).await?;
    tx.commit().await?;
    Ok(made)
}

/// Those of one organization, by slug; none means all, for operators.
pub async fn list(admin: &Admin, by: &By, org: Option<&str>) -> Result<Vec<InstanceRow>> {
    let mut tx = admin.db.begin_read().await?;
    let of = if let Some(slug) = org {
        vec![orgs::resolve(&mut tx, by, slug, Role::Viewer).await?]
    } else {
        by.operator("list the instances of all organizations")?;
        store_orgs::list(&mut tx).await?
    };
    let mut found = Vec::new();
    for org in of {
        found.extend(instances::list(&mut tx, org.organization.id).await?);
    }
    for row in &mut found {
        veil(row, by);
    }
    Ok(found)
}

/// One instance. Container and folders are left out for who is no operator.
pub async fn show(admin: &Admin, by: &By, slug: &str) -> Result<InstanceRow> {
    let mut tx = admin.db.begin_read().await?;
    let mut row = resolve(&mut tx, by, slug, Role::Viewer).await?;
    veil(&mut row, by);
    Ok(row)
}

/// The ids of instances that are named by their slugs, for the permissions of a key.
pub async fn ids(admin: &Admin, by: &By, org: &str, slugs: &[&str]) -> Result<BTreeSet<InstanceId>> {
    let known = list(admin, by, Some(org)).await?;
    let id = |slug: &&str| {
        let found = known.iter().find(|row| *row.instance.slug == **slug).map(|row| row.instance.id);
        found.ok_or_else(|| teach::not_found("instance", slug, known.iter().map(|row| &*row.instance.slug)).into())
    };
    slugs.iter().map(id).collect()
}

fn veil(row: &mut InstanceRow, by: &By) {
    if !by.is_operator() {
        // Whether there is a way in is everybody's to know; where it leads is not.
        let postgres = row.instance.host.postgres.take().map(|p| PostgresConnection { login: String::new(), ca: None, ..p });
        row.instance.host = Host { postgres, ..Host::default() };
    }
}

/// The guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    Closed,
    Open,
    /// Open for so many minutes, then closed again by itself.
    OpenFor(u32),
}

/// What to change; what is none stays, and an inner none removes.
#[derive(Debug, Clone, Default)]
pub struct InstanceUpdate {
    pub name: Option<String>,
    pub url: Option<String>,
    pub database: Option<String>,
    /// To production without a word about the guard closes it.
    pub environment: Option<Environment>,
    pub state: Option<InstanceState>,
    pub write_enabled: Option<Guard>,
    pub login: Option<Option<Login>>,
    pub postgres_url: Option<Option<SecretString>>,
    pub postgres_ca: Option<Option<String>>,
    pub postgres_container: Option<Option<String>>,
    pub posthog: Option<Option<PostHogUpdate>>,
    pub container: Option<Option<String>>,
    /// None of them removes them.
    pub addons: Option<Vec<AddonsFolder>>,
    pub backups: Option<Option<PathBuf>>,
    pub concurrency: Option<u32>,
}

/// The longest that a guard opens by the clock: a week.
const LONGEST_OPEN: u32 = 7 * 24 * 60;

/// Administrators; container, folders and the database's address the operator alone.
pub async fn update(admin: &Admin, by: &By, slug: &str, change: &InstanceUpdate) -> Result<InstanceRow> {
    if change.container.is_some()
        || change.addons.is_some()
        || change.backups.is_some()
        || change.postgres_url.is_some()
        || change.postgres_ca.is_some()
        || change.postgres_container.is_some()
    {
        by.operator(OF_THE_HOST)?;
    }
    let url = change.url.as_deref().map(|url| http_url(url, admin)).transpose()?;
    if let Some(name) = &change.database {
        database(name)?;
    }
    let postgres_login = change.postgres_url.as_ref().and_then(Option::as_ref).map(postgres).transpose()?;
    if let Some(Some(ca)) = &change.postgres_ca {
        certificates(ca)?;
    }
    let now = admin.sources.now();
    let mut tx = admin.begin().await?;
    let old = resolve(&mut tx, by, slug, Role::Admin).await?;
    let mut new = old.clone();
    let i = &mut new.instance;
    if let Some(text) = &change.name {
        new.name = title("The name of an instance", text, 200)?;
    }
    if let Some(url) = url {
        // Whoever could point a stored secret at a host of their own could read it.
        if i.rpc.is_some() && url.origin() != i.url.origin() && change.login.is_none() && !by.is_operator() {
            return Err(refusal(Code::InvalidArgument, "The stored login was given for another address.")
                .next("Give the login again together with the new URL.")
                .into());
        }
        i.url = url;
    }
    i.database.clone_from(change.database.as_ref().unwrap_or(&old.instance.database));
    i.state = change.state.unwrap_or(i.state);
    i.concurrency = concurrency(change.concurrency)?.unwrap_or(i.concurrency);
    if let Some(environment) = change.environment {
        if environment == Environment::Production && i.environment != environment {
            (i.write_enabled, i.write_enabled_until) = (false, None);
        }
        i.environment = environment;
    }
    match change.write_enabled {
        None => {}
        Some(Guard::Closed) => (i.write_enabled, i.write_enabled_until) = (false, None),
        Some(Guard::Open) => (i.write_enabled, i.write_enabled_until) = (true, None),
        Some(Guard::OpenFor(minutes)) if (1..=LONGEST_OPEN).contains(&minutes) => {
            (i.write_enabled, i.write_enabled_until) = (true, Some(now + chrono::TimeDelta::minutes(minutes.into())));
        }
        Some(Guard::OpenFor(_)) => {
            return Err(refusal(Code::InvalidArgument, format!("The guard opens for 1 to {LONGEST_OPEN} minutes.")).into());
        }
    }
    let before = &old.instance.host;
    i.host.container.clone_from(change.container.as_ref().unwrap_or(&before.container));
    i.host.postgres_container.clone_from(change.postgres_container.as_ref().unwrap_or(&before.postgres_container));
    i.host.addons.clone_from(change.addons.as_ref().unwrap_or(&before.addons));
    i.host.backups.clone_from(change.backups.as_ref().unwrap_or(&before.backups));
    let moved = i.url != old.instance.url || i.database != old.instance.database;
    if moved {
        // It is another database until a login has shown that it is not.
        i.checked_at = None;
    }
    let (org, id) = (i.org, i.id);
    let hosted = i.host.container != before.container
        || i.host.postgres_container != before.postgres_container
        || i.host.addons != before.addons
        || i.host.backups != before.backups;
    if moved || hosted {
        let server = store_servers::find(&mut tx, org, i.server).await?.ok_or_else(|| teach::hidden("server", &i.server_name))?;
        host(
            &server,
            i.host.container.as_deref(),
            i.host.postgres_container.as_deref(),
            &i.host.addons,
            i.host.backups.as_deref(),
        )?;
        free(&mut tx, by, org, &server, &i.database, i.host.container.as_deref(), Some(id)).await?;
    }
    instances::save(&mut tx, &new, moved || hosted, now)
        .await
        .map_err(crate::taken("An instance with this database on this server"))?;
    match &change.login {
        None => {}
        Some(Some(login)) => set_login(admin, &mut tx, org, id, login).await?,
        Some(None) => {
            credentials::remove_default(&mut tx, org, id, now).await?;
        }
    }
    if let Some(url) = &change.postgres_url {
        let to = url.as_ref().zip(postgres_login.as_deref());
        instances::set_postgres_url(&mut tx, &admin.vault, org, id, to, now).await?;
    }
    if let Some(ca) = &change.postgres_ca {
        instances::set_postgres_ca(&mut tx, org, id, ca.as_deref(), now).await?;
    }
    if let Some(given) = &change.posthog {
        let connection = given.as_ref().map(|g| g.onto(admin, old.instance.posthog.as_ref())).transpose()?;
        let to = connection.as_ref().zip(given.as_ref()).map(|(connection, given)| (connection, given.key.as_ref()));
        instances::set_posthog(&mut tx, &admin.vault, org, id, to, now).await?;
    }
    let mut saved = instances::find(&mut tx, org, id).await?.ok_or_else(|| teach::hidden("instance", slug))?;
    let mut detail = differences(&facts(&old), &facts(&saved));
    if let Some(map) = detail.as_object_mut() {
        if map.contains_key(HOST) {
            map.insert(HOST.into(), differences(&host_facts(&old), &host_facts(&saved)));
        }
        if change.login.is_some() {
            map.insert("credentials_changed".into(), true.into());
        }
        if change.postgres_url.is_some() {
            map.insert("postgres_url_changed".into(), true.into());
        }
        if change.posthog.as_ref().is_some_and(|p| p.as_ref().is_none_or(|p| p.key.is_some())) {
            map.insert("posthog_key_changed".into(), true.into());
        }
    }
    admin.log(&mut tx, by, Some(org), "instance.update", target("instance", id, slug), &detail).await?;
    tx.commit().await?;
    veil(&mut saved, by);
    Ok(saved)
}

/// Removes the instance and its credentials from the registry; Odoo itself and the audit are not touched. Administrators.
pub async fn delete(admin: &Admin, by: &By, slug: &str) -> Result<InstanceRow> {
    let mut tx = admin.begin().await?;
    let mut old = resolve(&mut tx, by, slug, Role::Admin).await?;
    let (org, id) = (old.instance.org, old.instance.id);
    instances::delete(&mut tx, org, id, admin.sources.now()).await?;
    admin.log(&mut tx, by, Some(org), "instance.delete", target("instance", id, slug), &facts(&old)).await?;
    tx.commit().await?;
    veil(&mut old, by);
    Ok(old)
}

/// What a check by ocore itself found; no row in the main audit log. Gives false when the instance is gone.
pub async fn record_check(admin: &Admin, org: OrgId, id: InstanceId, found: &Check) -> Result<bool> {
    let mut tx = admin.begin().await?;
    let there = instances::record_check(&mut tx, org, id, found, admin.sources.now()).await?;
    tx.commit().await?;
    Ok(there)
}

const OF_THE_HOST: &str = "say which container, folders and database on a host belong to an instance";

/// The instance of that slug, where the caller has at least that role. For who has none it does not exist.
pub(crate) async fn resolve(tx: &mut Tx, by: &By, slug: &str, least: Role) -> Result<InstanceRow> {
    let found = instances::anywhere(&mut *tx, slug).await?;
    let role = match &found {
        Some(row) => by.role(&mut *tx, row.instance.org).await?,
        None => None,
    };
    match (found, role) {
        (Some(row), Some(role)) if role >= least => Ok(row),
        (Some(_), Some(role)) => {
            Err(refusal(Code::PermissionDenied, format!("Your role here is {role}; this takes {least} or more."))
                .next("Ask an administrator of the organization.")
                .into())
        }
        _ => {
            let mut known = Vec::new();
            match by.user().filter(|_| !by.is_operator()) {
                None => known = instances::slugs(&mut *tx).await?,
                Some(user) => {
                    for (org, _) in store::users::memberships(&mut *tx, user).await? {
                        known.extend(instances::list(&mut *tx, org).await?.iter().map(|r| r.instance.slug.to_string()));
                    }
                }
            }
            Err(teach::not_found("instance", slug, known.iter().map(String::as_str)).into())
        }
    }
}

/// A refusal of a slug may name another organization's instance: only operators read which.
fn discreet(refused: Refusal, by: &By, slug: &str) -> Refusal {
    if by.is_operator() || refused.code != Code::Conflict {
        return refused;
    }
    refusal(Code::Conflict, format!("The slug \"{slug}\" is taken, or makes tool names that another instance has."))
        .next("Choose another slug; one with your organization's name in it is usually free.")
}

async fn set_login(admin: &Admin, tx: &mut Tx, org: OrgId, id: InstanceId, login: &Login) -> Result<()> {
    let text = login.login.trim();
    if text.is_empty() || text.len() > 200 || text.chars().any(char::is_control) {
        return Err(refusal(Code::InvalidArgument, "An Odoo login has 1 to 200 characters, on one line.").into());
    }
    if kernel::ExposeSecret::expose_secret(&login.secret).is_empty() {
        return Err(refusal(Code::InvalidArgument, "The secret of the Odoo login is empty.")
            .next("Give its password or an Odoo API key.")
            .into());
    }
    let new = NewCredential { org, instance: id, login: text, secret: &login.secret, dialect: login.dialect };
    credentials::set_default(tx, &admin.vault, &new, &admin.sources).await?;
    Ok(())
}

/// What two instances never share. The store's own constraints say the same; here it is said in words.
async fn free(
    tx: &mut Tx,
    by: &By,
    org: OrgId,
    server: &Server,
    database: &str,
    container: Option<&str>,
    this: Option<InstanceId>,
) -> Result<()> {
    let same = |row: &&InstanceRow| {
        row.instance.server == server.id && row.instance.database == database && Some(row.instance.id) != this
    };
    if let Some(other) = instances::list(&mut *tx, org).await?.iter().find(same) {
        return Err(refusal(
            Code::Conflict,
            format!("{} is the database {database} on {} already.", other.instance.slug, server.name),
        )
        .next("One database of a server is one instance: update that one, or name another server.")
        .into());
    }
    if let (Some(container), Some(endpoint)) = (container, &server.docker)
        && let Some(owner) = instances::container_owner(&mut *tx, endpoint, container).await?
        && owner != org
    {
        let whose = store_orgs::find(&mut *tx, owner).await?.filter(|_| by.is_operator());
        let whose = whose.map_or_else(|| "another organization".to_owned(), |o| o.organization.slug.to_string());
        return Err(refusal(Code::Conflict, format!("The container {container} belongs to {whose}."))
            .next("Two organizations never share a container: whoever has a shell in it has both.")
            .into());
    }
    Ok(())
}

/// What is said of a host must be there, and within what the operator registered.
fn host(
    server: &Server,
    container: Option<&str>,
    postgres_container: Option<&str>,
    addons: &[AddonsFolder],
    backups: Option<&Path>,
) -> Checked<()> {
    for container in [container, postgres_container].into_iter().flatten() {
        let good = container.len() <= 128
            && container.starts_with(|c: char| c.is_ascii_alphanumeric())
            && container.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
        if !good {
            return Err(refusal(Code::InvalidArgument, "That cannot be the name of a container.")
                .next("Names have letters, digits, _ . and - and start with a letter or digit."));
        }
        if server.docker.is_none() {
            return Err(refusal(Code::NotConfigured, format!("The server {} has no Docker endpoint.", server.name))
                .next("Register a server with one."));
        }
    }
    let inside = addons.iter().filter(|folder| matches!(folder, AddonsFolder::Container(_))).count();
    if inside > 0 && inside < addons.len() {
        return Err(refusal(Code::InvalidArgument, "Some addons folders are in the container and some on this machine.")
            .next("Name folders of one kind: files are worked on in one place."));
    }
    let mut local = Vec::new();
    for folder in addons {
        match folder {
            AddonsFolder::Local(path) => local.push(("The addons folder", path.as_path())),
            AddonsFolder::Container(path) => {
                absolute("The addons folder", Path::new(path))?;
                if container.is_none() {
                    return Err(refusal(Code::NotConfigured, format!("{folder} is in a container, and the instance has none."))
                        .next("Name the container too."));
                }
            }
        }
    }
    local.extend(backups.map(|path| ("The backups folder", path)));
    for (what, path) in local {
        absolute(what, path)?;
        if !server.path_roots.iter().any(|root| path.starts_with(root)) {
            return Err(refusal(Code::PathRefused, format!("{what} is outside the path roots of the server {}.", server.name))
                .next("Choose a folder within them, or register a server that allows it."));
        }
    }
    let within = |backups: &Path| {
        addons.iter().any(|folder| match folder {
            AddonsFolder::Local(path) => path.starts_with(backups) || backups.starts_with(path),
            AddonsFolder::Container(_) => false,
        })
    };
    if backups.is_some_and(within) {
        return Err(refusal(Code::PathRefused, "Backups and addons are in one another.")
            .next("Keep backups outside the addons: the file tools write there."));
    }
    Ok(())
}

fn http_url(text: &str, admin: &Admin) -> Checked<Url> {
    let no = |text: &'static str| {
        refusal(Code::InvalidArgument, text).next("Write it like https://odoo.example.com, as browsers open it.")
    };
    let mut url = Url::parse(text.trim()).map_err(|_| no("The URL of the instance is no URL."))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(no("The URL of an instance starts with http:// or https://."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(no("The URL of an instance has no login in it.").next("Give the login and its secret apart."));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(no("The URL of an instance ends before ? and #."));
    }
    let port = url.port_or_known_default().unwrap_or(0);
    match url.host() {
        Some(url::Host::Ipv4(v4)) => admin.networks.check(v4.into(), port)?,
        Some(url::Host::Ipv6(v6)) => admin.networks.check(v6.into(), port)?,
        Some(url::Host::Domain(_)) => {}
        None => return Err(no("The URL of an instance names a host.")),
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Gives `user@host:port` of the address.
fn postgres(url: &SecretString) -> Checked<String> {
    let address = backends::postgres::Address::parse(url)?;
    Ok(address.login())
}

fn certificates(pem: &str) -> Checked<()> {
    backends::postgres::roots(pem).map(drop)
}

/// Stores ocore's own logins in the instance's database, or removes them. Operators alone.
pub async fn set_sql_logins(
    admin: &Admin,
    by: &By,
    slug: &str,
    reader: Option<&SqlLogin>,
    writer: Option<&SqlLogin>,
) -> Result<InstanceRow> {
    by.operator("give ocore logins of its own in a database")?;
    let mut tx = admin.begin().await?;
    let row = resolve(&mut tx, by, slug, Role::Admin).await?;
    let (org, id) = (row.instance.org, row.instance.id);
    if row.instance.host.postgres.is_none() {
        return Err(refusal(Code::NotConfigured, format!("{slug} has no PostgreSQL address."))
            .next(format!("ocore instance update {slug} --postgres-url-stdin"))
            .into());
    }
    instances::set_sql_logins(&mut tx, &admin.vault, org, id, (reader, writer), admin.sources.now()).await?;
    let names = |login: Option<&SqlLogin>| login.map(|l| l.user.clone());
    let detail = json!({ HOST: { "reader": names(reader), "writer": names(writer) } });
    admin.log(&mut tx, by, Some(org), "instance.sql_roles", target("instance", id, slug), &detail).await?;
    let saved = instances::find(&mut tx, org, id).await?.ok_or_else(|| teach::hidden("instance", slug))?;
    tx.commit().await?;
    Ok(saved)
}

fn database(text: &str) -> Checked<()> {
    let good = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if good {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    Err(refusal(Code::InvalidArgument, format!("{shown:?} cannot be the name of an Odoo database."))
        .next("Names have up to 63 letters, digits, _ . and - and start with a letter or digit."))
}

fn concurrency(value: Option<u32>) -> Checked<Option<u32>> {
    match value {
        Some(n) if !(1..=100).contains(&n) => {
            Err(refusal(Code::InvalidArgument, format!("An instance takes 1 to 100 calls at a time, not {n}.")))
        }
        other => Ok(other),
    }
}

/// What the main audit log keeps of an instance; no secrets.
fn facts(row: &InstanceRow) -> Value {
    let i: &Instance = &row.instance;
    json!({
        "name": row.name,
        "server": i.server_name,
        "url": i.url.as_str(),
        "database": i.database,
        "environment": i.environment,
        "state": i.state,
        "write_enabled": i.write_enabled,
        "write_enabled_until": i.write_enabled_until.map(kernel::time_text),
        "login": i.rpc.as_ref().map(|r| r.login.as_str()),
        "dialect": i.rpc.as_ref().map(|r| r.dialect),
        "postgres": i.host.postgres.is_some(),
        "posthog_url": i.posthog.as_ref().map(|p| p.url.as_str()),
        "posthog_project": i.posthog.as_ref().map(|p| p.project),
        "concurrency": i.concurrency,
        HOST: host_facts(row),
    })
}

/// What of it operators alone see.
fn host_facts(row: &InstanceRow) -> Value {
    let i: &Instance = &row.instance;
    let h = &i.host;
    json!({ "container": h.container, "postgres_container": h.postgres_container, "addons": h.addons, "backups": h.backups, "postgres": h.postgres.as_ref().map(|p| p.login.as_str()) })
}

/// Old and new of what differs.
pub(crate) fn differences(old: &Value, new: &Value) -> Value {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else { return Value::Null };
    let changed: Map<String, Value> = new
        .iter()
        .filter(|(name, value)| old.get(*name) != Some(*value))
        .map(|(name, value)| (name.clone(), json!({ "old": old.get(name), "new": value })))
        .collect();
    Value::Object(changed)
}

/// Notes in the main audit log that an instance's database is copied: `state` is `begun` or `done`. Operators alone.
pub async fn note_copy(admin: &Admin, by: &By, source: &Instance, database: &str, state: &'static str) -> Result<()> {
    by.operator("copy instances")?;
    let mut tx = admin.begin().await?;
    let detail = json!({ "database": database, "state": state });
    admin.log(&mut tx, by, Some(source.org), "instance.clone", target("instance", source.id, &*source.slug), &detail).await?;
    tx.commit().await?;
    Ok(())
}
