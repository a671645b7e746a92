//! Odoo databases. The schema holds two promises: a (server, database) pair has one instance, and a container belongs to one
//! organization, by whatever name its server goes there.
use std::{path::PathBuf, sync::Arc};

use kernel::{
    AddonsFolder, Common, DockerConnection, Environment, Health, Host, Instance, InstanceId, InstanceState, Neighbour, OrgId,
    PostHogConnection, PostgresConnection, RpcConnection, ServerId, Sources, Timestamp,
};

use crate::{
    On, Result, Row, StoreError, Tx, args,
    events::{self, Change},
    vault::{Place, Vault},
};

/// An instance with what only administration looks at.
#[derive(Debug, Clone)]
pub struct InstanceRow {
    pub instance: Instance,
    pub name: String,
}
pub(crate) fn read(row: &Row) -> Result<InstanceRow> {
    let rpc = match row.opt_parsed("credentials.credential_id")? {
        None => None,
        Some(credential) => Some(RpcConnection {
            credential,
            login: row.text("credentials.login")?,
            dialect: row.parsed("credentials.dialect")?,
            refused: row.opt_text("credentials.refused_at")?.is_some(),
            generation: row.int("credentials.credential_generation")?,
        }),
    };
    let posthog = match row.opt_parsed("instances.posthog_url")? {
        None => None,
        Some(url) => Some(PostHogConnection { url, project: row.parsed("instances.posthog_project")? }),
    };
    Ok(InstanceRow {
        name: row.text("instances.name")?,
        instance: Instance {
            id: row.parsed("instances.id")?,
            org: row.parsed("instances.org_id")?,
            server: row.parsed("instances.server_id")?,
            server_name: row.text("servers.server_name")?,
            slug: row.text("instances.slug")?.into(),
            url: row.parsed("instances.url")?,
            database: row.text("instances.database")?,
            environment: row.parsed("instances.environment")?,
            state: row.parsed("instances.state")?,
            // Found by ocore, decides nothing.
            health: row.parsed("instances.health").unwrap_or(Health::Unknown),
            version: row.opt_parsed("instances.version")?,
            edition: row.opt_text("instances.edition")?,
            write_enabled: row.bool("instances.write_enabled")?,
            write_enabled_until: row.opt_time("instances.write_enabled_until")?,
            checked_at: row.opt_time("instances.checked_at")?,
            rpc,
            host: host(row)?,
            posthog,
            // The registry knows better; whoever does not ask it takes the safe side.
            ruled: true,
            concurrency: row.uint("instances.concurrency")?,
            generation: row.int("instances.generation")?,
            created_at: row.time("instances.created_at")?,
            updated_at: row.time("instances.updated_at")?,
        },
    })
}

fn host(row: &Row) -> Result<Host> {
    let server = row.parsed("instances.server_id")?;
    let docker = match row.opt_text("servers.docker")? {
        None => None,
        Some(endpoint) => Some(DockerConnection { server, endpoint, generation: row.int("servers.server_generation")? }),
    };
    let addons: Vec<AddonsFolder> = match row.opt_text("instances.addons")? {
        None => Vec::new(),
        Some(text) => serde_json::from_str(&text).map_err(|e| StoreError::corrupt("instances.addons", e))?,
    };
    let postgres = if row.bool("instances.has_postgres")? {
        Some(PostgresConnection {
            login: row.opt_text("instances.postgres_login")?.unwrap_or_default(),
            ca: row.opt_text("instances.postgres_ca")?,
            reader: row.bool("instances.has_reader")?,
            writer: row.bool("instances.has_writer")?,
        })
    } else {
        None
    };
    Ok(Host {
        docker,
        container: row.opt_text("instances.container")?,
        postgres_container: row.opt_text("instances.postgres_container")?,
        addons,
        backups: row.opt_text("instances.backups")?.map(PathBuf::from),
        postgres,
        neighbours: Arc::default(),
    })
}

/// Tells every instance which others work on its host reaches: those in the same container, with addons in the same folder of
/// ocore's own machine, or with the same login to the same database server. `of` gives the endpoint that counts, one for all spellings.
pub(crate) fn acquaint(instances: &mut [Instance]) {
    let seen: Vec<Neighbour> = instances.iter().map(|i| neighbour(i, Common::Container)).collect();
    let known: Vec<Ways> = instances.iter().map(Ways::of).collect();
    for (at, instance) in instances.iter_mut().enumerate() {
        let Some(mine) = known.get(at).filter(|ways| **ways != Ways::default()) else { continue };
        let found = known.iter().zip(&seen).enumerate().filter(|(other, _)| *other != at);
        let common = |(_, (theirs, who)): (usize, (&Ways, &Neighbour))| {
            mine.common(theirs).map(|common| Neighbour { common, ..who.clone() })
        };
        instance.host.neighbours = found.filter_map(common).collect();
    }
}

/// By what an instance's host is reached.
#[derive(Debug, Default, PartialEq)]
struct Ways {
    /// Endpoint and name.
    container: Option<(String, String)>,
    /// On ocore's own machine.
    folders: Vec<PathBuf>,
    login: Option<String>,
}
impl Ways {
    fn of(i: &Instance) -> Self {
        let container = i.host.docker.as_ref().zip(i.host.container.as_ref()).map(|(d, c)| (normal(&d.endpoint), c.clone()));
        let folders = i.host.addons.iter().filter_map(|f| match f {
            AddonsFolder::Local(path) => Some(path.clone()),
            AddonsFolder::Container(_) => None,
        });
        let login = i.host.postgres.as_ref().map(|p| p.login.to_lowercase()).filter(|l| !l.is_empty());
        Self { container, folders: folders.collect(), login }
    }
    fn common(&self, other: &Self) -> Option<Common> {
        let nested = |a: &PathBuf| other.folders.iter().any(|b| a.starts_with(b) || b.starts_with(a));
        if self.container.is_some() && self.container == other.container {
            Some(Common::Container)
        } else if self.folders.iter().any(nested) {
            Some(Common::Addons)
        } else if self.login.is_some() && self.login == other.login {
            Some(Common::DatabaseLogin)
        } else {
            None
        }
    }
}

fn neighbour(i: &Instance, common: Common) -> Neighbour {
    Neighbour {
        slug: Arc::clone(&i.slug),
        org: i.org,
        common,
        environment: i.environment,
        state: i.state,
        write_enabled: i.write_enabled,
        write_enabled_until: i.write_enabled_until,
    }
}

/// The one statement that reads instances; what is none does not limit.
pub(crate) async fn rows(
    on: impl Into<On<'_>>,
    org: Option<OrgId>,
    id: Option<InstanceId>,
    slug: Option<&str>,
) -> Result<Vec<Row>> {
    let sql = "SELECT i.id, i.org_id, i.server_id, s.name AS server_name, i.slug, i.name, i.url, i.database, i.environment, i.state, \
               i.health, i.version, i.edition, i.write_enabled, i.write_enabled_until, i.checked_at, i.container, i.postgres_container, i.addons, i.backups, \
               (i.postgres_url IS NOT NULL) AS has_postgres, i.postgres_login, i.postgres_ca, \
               (i.postgres_reader IS NOT NULL) AS has_reader, (i.postgres_writer IS NOT NULL) AS has_writer, \
               s.docker, s.generation AS server_generation, i.posthog_url, i.posthog_project, i.concurrency, i.generation, i.created_at, i.updated_at, \
               c.id AS credential_id, c.login, c.dialect, c.refused_at, c.generation AS credential_generation \
               FROM instances i JOIN servers s ON s.id = i.server_id \
               LEFT JOIN credentials c ON c.instance_id = i.id AND c.is_default \
               WHERE (i.org_id = $1 OR $1 IS NULL) AND (i.id = $2 OR $2 IS NULL) AND (i.slug = $3 OR $3 IS NULL) ORDER BY i.slug";
    on.into().fetch_all(sql, args![org, id, slug]).await
}

/// Those of one organization, by slug.
pub async fn list(on: impl Into<On<'_>>, org: OrgId) -> Result<Vec<InstanceRow>> {
    rows(on, Some(org), None, None).await?.iter().map(read).collect()
}

pub async fn find(on: impl Into<On<'_>>, org: OrgId, id: InstanceId) -> Result<Option<InstanceRow>> {
    rows(on, Some(org), Some(id), None).await?.first().map(read).transpose()
}

/// Within one organization.
pub async fn by_slug(on: impl Into<On<'_>>, org: OrgId, slug: &str) -> Result<Option<InstanceRow>> {
    rows(on, Some(org), None, Some(slug)).await?.first().map(read).transpose()
}

/// Whichever organization it is of: for operators, who name instances by their slug alone.
pub async fn anywhere(on: impl Into<On<'_>>, slug: &str) -> Result<Option<InstanceRow>> {
    rows(on, None, None, Some(slug)).await?.first().map(read).transpose()
}

/// Every slug of the installation: a new one must not be read as another's.
pub async fn slugs(on: impl Into<On<'_>>) -> Result<Vec<String>> {
    let rows = on.into().fetch_all("SELECT slug FROM instances ORDER BY slug", args![]).await?;
    rows.iter().map(|r| r.text("instances.slug")).collect()
}

#[derive(Debug, Clone)]
pub struct NewInstance {
    pub org: OrgId,
    pub server: ServerId,
    pub slug: String,
    pub name: String,
    pub url: url::Url,
    pub database: String,
    pub environment: Environment,
    pub write_enabled: bool,
    pub container: Option<String>,
    pub addons: Vec<AddonsFolder>,
    pub backups: Option<PathBuf>,
    pub concurrency: u32,
}

/// # Errors
/// `Unique` when the slug or the (server, database) is taken; `Reference` when the server is not the organization's, or the container
/// is another organization's.
pub async fn create(tx: &mut Tx, new: &NewInstance, sources: &Sources) -> Result<InstanceId> {
    let (id, now) = (InstanceId::new(sources), sources.now());
    let endpoint = claim(tx, new.org, new.server, new.container.as_deref()).await?;
    tx.execute(
        "INSERT INTO instances (id, org_id, server_id, slug, name, url, database, environment, state, health, write_enabled, \
         container_endpoint, container, addons, backups, concurrency, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17)",
        args![
            id,
            new.org,
            new.server,
            &new.slug,
            &new.name,
            new.url.as_str(),
            &new.database,
            new.environment,
            InstanceState::Active,
            Health::Unknown,
            new.write_enabled,
            endpoint,
            new.container.as_ref(),
            folders(&new.addons)?,
            path(new.backups.as_ref())?,
            new.concurrency,
            now,
        ],
    )
    .await?;
    events::write(tx, Change::Instance, Some(new.org), id, now).await?;
    Ok(id)
}

/// Writes what an administrator may change of an instance that was read in this transaction. `fresh` bumps the generation: what is
/// cached about the instance is no longer used.
///
/// # Errors
/// As [`create`].
pub async fn save(tx: &mut Tx, row: &InstanceRow, fresh: bool, now: Timestamp) -> Result<()> {
    let i = &row.instance;
    let endpoint = claim(tx, i.org, i.server, i.host.container.as_deref()).await?;
    tx.execute(
        "UPDATE instances SET name = $3, url = $4, database = $5, environment = $6, state = $7, write_enabled = $8, \
         write_enabled_until = $9, checked_at = $10, container_endpoint = $11, container = $12, addons = $13, backups = $14, \
         concurrency = $15, generation = generation + $16, updated_at = $17, postgres_container = $18 WHERE id = $1 AND org_id = $2",
        args![
            i.id,
            i.org,
            &row.name,
            i.url.as_str(),
            &i.database,
            i.environment,
            i.state,
            i.write_enabled,
            i.write_enabled_until,
            i.checked_at,
            endpoint,
            i.host.container.as_ref(),
            folders(&i.host.addons)?,
            path(i.host.backups.as_ref())?,
            i.concurrency,
            i64::from(fresh),
            now,
            i.host.postgres_container.as_ref(),
        ],
    )
    .await?;
    release_claims(tx, i.org).await?;
    events::write(tx, Change::Instance, Some(i.org), i.id, now).await
}

/// What a check found. Only a change of version or edition makes what is cached stale. `login` says that an RPC login to this very
/// database succeeded.
#[derive(Debug, Clone)]
pub struct Check {
    pub health: Health,
    pub version: Option<kernel::OdooVersion>,
    pub edition: Option<String>,
    pub login: bool,
}

/// Gives false when the instance is gone.
pub async fn record_check(tx: &mut Tx, org: OrgId, id: InstanceId, found: &Check, now: Timestamp) -> Result<bool> {
    tx.lock(crate::Lock::Registry).await?;
    let Some(InstanceRow { instance: old, .. }) = find(&mut *tx, org, id).await? else { return Ok(false) };
    let version = found.version.or(old.version);
    let edition = found.edition.clone().or_else(|| old.edition.clone());
    let fresh = version != old.version || edition != old.edition;
    let checked_at = if found.login { Some(now) } else { old.checked_at };
    tx.execute(
        "UPDATE instances SET health = $3, version = $4, edition = $5, checked_at = $6, generation = generation + $7 \
         WHERE id = $1 AND org_id = $2",
        args![id, org, found.health, version.map(|v| v.to_string()), edition, checked_at, i64::from(fresh)],
    )
    .await?;
    // Checks are frequent; what is as it was is no news to anybody.
    if fresh || found.health != old.health || old.checked_at.is_none() && found.login {
        events::write(tx, Change::Instance, Some(org), id, now).await?;
    }
    Ok(true)
}

/// Deletes the instance and its credentials. Its audit rows stay. Gives false when there is none.
pub async fn delete(tx: &mut Tx, org: OrgId, id: InstanceId, now: Timestamp) -> Result<bool> {
    let gone = tx.execute("DELETE FROM instances WHERE id = $1 AND org_id = $2", args![id, org]).await?;
    release_claims(tx, org).await?;
    events::write(tx, Change::Instance, Some(org), id, now).await?;
    Ok(gone > 0)
}

const POSTGRES_URL: (&str, &str) = ("instances", "postgres_url");

/// Seals and stores the address of the instance's own database, or removes it; `login` is `user@host:port` of it. ocore's own
/// logins belong to the address: another one has none.
pub async fn set_postgres_url(
    tx: &mut Tx,
    vault: &Vault,
    org: OrgId,
    id: InstanceId,
    url: Option<(&kernel::SecretString, &str)>,
    now: Timestamp,
) -> Result<bool> {
    use kernel::ExposeSecret as _;
    let row = id.to_string();
    let place = Place { table: POSTGRES_URL.0, column: POSTGRES_URL.1, row: &row };
    let sealed = url.map(|(u, _)| vault.seal(place, u.expose_secret().as_bytes())).transpose()?;
    let changed = tx
        .execute(
            "UPDATE instances SET postgres_url = $3, postgres_login = $4, postgres_reader = NULL, postgres_writer = NULL, \
             generation = generation + 1, updated_at = $5 WHERE id = $1 AND org_id = $2",
            args![id, org, sealed, url.map(|(_, login)| login), now],
        )
        .await?;
    events::write(tx, Change::Instance, Some(org), id, now).await?;
    Ok(changed > 0)
}

/// The address of the instance's own database, opened.
pub async fn postgres_url(
    on: impl Into<On<'_>>,
    vault: &Vault,
    org: OrgId,
    id: InstanceId,
) -> Result<Option<kernel::SecretString>> {
    let sql = "SELECT postgres_url FROM instances WHERE id = $1 AND org_id = $2 AND postgres_url IS NOT NULL";
    let Some(row) = on.into().fetch_optional(sql, args![id, org]).await? else { return Ok(None) };
    let id = id.to_string();
    let place = Place { table: POSTGRES_URL.0, column: POSTGRES_URL.1, row: &id };
    Ok(Some(vault.open_text(place, &row.bytes("instances.postgres_url")?)?))
}

/// The certificates that the database server's must lead to, or none.
pub async fn set_postgres_ca(tx: &mut Tx, org: OrgId, id: InstanceId, ca: Option<&str>, now: Timestamp) -> Result<()> {
    tx.execute(
        "UPDATE instances SET postgres_ca = $3, generation = generation + 1, updated_at = $4 WHERE id = $1 AND org_id = $2",
        args![id, org, ca, now],
    )
    .await?;
    events::write(tx, Change::Instance, Some(org), id, now).await
}

/// A login of ocore's own in an instance's database.
#[derive(Debug, Clone)]
pub struct SqlLogin {
    pub user: String,
    pub password: kernel::SecretString,
}
#[derive(serde::Serialize, serde::Deserialize)]
struct Sealed {
    user: String,
    password: String,
}
const READER: (&str, &str) = ("instances", "postgres_reader");
const WRITER: (&str, &str) = ("instances", "postgres_writer");

/// Seals and stores ocore's own logins in the instance's database, or removes them.
pub async fn set_sql_logins(
    tx: &mut Tx,
    vault: &Vault,
    org: OrgId,
    id: InstanceId,
    (reader, writer): (Option<&SqlLogin>, Option<&SqlLogin>),
    now: Timestamp,
) -> Result<()> {
    use kernel::ExposeSecret as _;
    let row = id.to_string();
    let seal = |login: Option<&SqlLogin>, (table, column)| {
        let Some(login) = login else { return Ok(None) };
        let sealed = Sealed { user: login.user.clone(), password: login.password.expose_secret().to_owned() };
        let text = serde_json::to_string(&sealed).map_err(|e| StoreError::corrupt(column, e))?;
        Ok::<_, StoreError>(Some(vault.seal(Place { table, column, row: &row }, text.as_bytes())?))
    };
    let (reader, writer) = (seal(reader, READER)?, seal(writer, WRITER)?);
    tx.execute(
        "UPDATE instances SET postgres_reader = $3, postgres_writer = $4, generation = generation + 1, updated_at = $5 \
         WHERE id = $1 AND org_id = $2",
        args![id, org, reader, writer, now],
    )
    .await?;
    events::write(tx, Change::Instance, Some(org), id, now).await
}

/// One of ocore's own logins in the instance's database, opened.
pub async fn sql_login(
    on: impl Into<On<'_>>,
    vault: &Vault,
    org: OrgId,
    id: InstanceId,
    writer: bool,
) -> Result<Option<SqlLogin>> {
    let sql = "SELECT postgres_reader, postgres_writer FROM instances WHERE id = $1 AND org_id = $2";
    let Some(found) = on.into().fetch_optional(sql, args![id, org]).await? else { return Ok(None) };
    let (table, column) = if writer { WRITER } else { READER };
    let sealed = found.opt_bytes(if writer { "instances.postgres_writer" } else { "instances.postgres_reader" })?;
    let Some(sealed) = sealed else { return Ok(None) };
    let row = id.to_string();
    let text = vault.open_text(Place { table, column, row: &row }, &sealed)?;
    let login: Sealed =
        serde_json::from_str(kernel::ExposeSecret::expose_secret(&text)).map_err(|e| StoreError::corrupt(column, e))?;
    Ok(Some(SqlLogin { user: login.user, password: login.password.into() }))
}

const POSTHOG_KEY: (&str, &str) = ("instances", "posthog_key");

/// Stores the way into the instance's PostHog, or removes it. Without a key the stored one stays.
pub async fn set_posthog(
    tx: &mut Tx,
    vault: &Vault,
    org: OrgId,
    id: InstanceId,
    to: Option<(&PostHogConnection, Option<&kernel::SecretString>)>,
    now: Timestamp,
) -> Result<bool> {
    use kernel::ExposeSecret as _;
    let row = id.to_string();
    let place = Place { table: POSTHOG_KEY.0, column: POSTHOG_KEY.1, row: &row };
    let key = to.and_then(|(_, key)| key);
    let sealed = key.map(|k| vault.seal(place, k.expose_secret().as_bytes())).transpose()?;
    let connection = to.map(|(connection, _)| connection);
    let changed = tx
        .execute(
            "UPDATE instances SET posthog_url = $3, posthog_project = $4, \
             posthog_key = CASE WHEN CAST($3 AS TEXT) IS NULL THEN NULL ELSE COALESCE($5, posthog_key) END, \
             generation = generation + 1, updated_at = $6 WHERE id = $1 AND org_id = $2",
            args![id, org, connection.map(|c| c.url.as_str()), connection.map(|c| c.project.to_string()), sealed, now],
        )
        .await?;
    events::write(tx, Change::Instance, Some(org), id, now).await?;
    Ok(changed > 0)
}

/// The key of the instance's PostHog, opened.
pub async fn posthog_key(
    on: impl Into<On<'_>>,
    vault: &Vault,
    org: OrgId,
    id: InstanceId,
) -> Result<Option<kernel::SecretString>> {
    let sql = "SELECT posthog_key FROM instances WHERE id = $1 AND org_id = $2 AND posthog_key IS NOT NULL";
    let Some(row) = on.into().fetch_optional(sql, args![id, org]).await? else { return Ok(None) };
    let id = id.to_string();
    let place = Place { table: POSTHOG_KEY.0, column: POSTHOG_KEY.1, row: &id };
    Ok(Some(vault.open_text(place, &row.bytes("instances.posthog_key")?)?))
}

/// Which instances, of whatever organization, have this container on this endpoint: for the operator's own eyes.
pub async fn container_owner(on: impl Into<On<'_>>, endpoint: &str, container: &str) -> Result<Option<OrgId>> {
    let sql = "SELECT org_id FROM container_claims WHERE endpoint = $1 AND container = $2";
    let row = on.into().fetch_optional(sql, args![normal(endpoint), container]).await?;
    row.map(|r| r.parsed("container_claims.org_id")).transpose()
}

/// Says that the container is this organization's, unless it is another's already; the foreign key of `instances` finds that out.
async fn claim(tx: &mut Tx, org: OrgId, server: ServerId, container: Option<&str>) -> Result<Option<String>> {
    let Some(container) = container else { return Ok(None) };
    let row = tx.fetch_optional("SELECT docker FROM servers WHERE id = $1 AND org_id = $2", args![server, org]).await?;
    let endpoint = row.map(|r| r.opt_text("servers.docker")).transpose()?.flatten().ok_or(StoreError::Reference)?;
    let endpoint = normal(&endpoint);
    tx.execute(
        "INSERT INTO container_claims (endpoint, container, org_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        args![&endpoint, container, org],
    )
    .await?;
    Ok(Some(endpoint))
}

/// Gives up the containers that no instance of the organization has any more.
async fn release_claims(tx: &mut Tx, org: OrgId) -> Result<()> {
    let sql = "DELETE FROM container_claims WHERE org_id = $1 AND NOT EXISTS (SELECT 1 FROM instances i \
               WHERE i.container_endpoint = container_claims.endpoint AND i.container = container_claims.container)";
    tx.execute(sql, args![org]).await?;
    Ok(())
}

/// One spelling for one Docker endpoint.
fn normal(endpoint: &str) -> String {
    let endpoint = endpoint.trim().trim_end_matches('/');
    match endpoint.split_once("://") {
        // /var/run is a link to /run.
        Some(("unix", path)) => format!("unix://{}", path.replacen("/var/run/", "/run/", 1)),
        Some((scheme, rest)) => format!("{}://{}", scheme.to_ascii_lowercase(), rest.to_ascii_lowercase()),
        None => endpoint.to_owned(),
    }
}

fn folders(folders: &[AddonsFolder]) -> Result<Option<String>> {
    if folders.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(folders).map(Some).map_err(|e| StoreError::corrupt("instances.addons", e))
}

fn path(path: Option<&PathBuf>) -> Result<Option<String>> {
    path.map(|p| p.to_str().map(str::to_owned).ok_or_else(|| StoreError::corrupt("instances.backups", "the path is not UTF-8")))
        .transpose()
}
