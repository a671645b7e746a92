//! Hosts that run Odoo. Endpoints and paths are for operators alone.
use std::path::PathBuf;

use kernel::{ExposeSecret as _, OrgId, SecretString, Server, ServerId, Sources};

use crate::{
    On, Result, Row, StoreError, Tx, args,
    events::{self, Change},
    vault::{Place, Vault},
};

pub(crate) fn read(row: &Row) -> Result<Server> {
    Ok(Server {
        id: row.parsed("servers.id")?,
        org: row.parsed("servers.org_id")?,
        name: row.text("servers.name")?,
        docker: row.opt_text("servers.docker")?,
        docker_health: row.parsed("servers.docker_health")?,
        path_roots: row.json("servers.path_roots")?,
        generation: row.int("servers.generation")?,
    })
}

pub(crate) async fn rows(on: impl Into<On<'_>>) -> Result<Vec<Row>> {
    on.into().fetch_all("SELECT * FROM servers ORDER BY name, id", args![]).await
}

/// Those of one organization, by name.
pub async fn list(on: impl Into<On<'_>>, org: OrgId) -> Result<Vec<Server>> {
    let rows = on.into().fetch_all("SELECT * FROM servers WHERE org_id = $1 ORDER BY name", args![org]).await?;
    rows.iter().map(read).collect()
}

pub async fn by_name(on: impl Into<On<'_>>, org: OrgId, name: &str) -> Result<Option<Server>> {
    let row = on.into().fetch_optional("SELECT * FROM servers WHERE org_id = $1 AND name = $2", args![org, name]).await?;
    row.as_ref().map(read).transpose()
}

pub async fn find(on: impl Into<On<'_>>, org: OrgId, id: ServerId) -> Result<Option<Server>> {
    let row = on.into().fetch_optional("SELECT * FROM servers WHERE org_id = $1 AND id = $2", args![org, id]).await?;
    row.as_ref().map(read).transpose()
}

const DOCKER_SECRET: (&str, &str) = ("servers", "docker_secret");

/// Writes what an operator may change of a server.
pub async fn save(tx: &mut Tx, server: &Server, now: kernel::Timestamp) -> Result<()> {
    let roots = serde_json::to_string(&server.path_roots).map_err(|e| StoreError::corrupt("servers.path_roots", e))?;
    tx.execute(
        "UPDATE servers SET docker = $3, docker_health = 'unknown', path_roots = $4, generation = generation + 1, updated_at = $5 WHERE id = $1 AND org_id = $2",
        args![server.id, server.org, server.docker.as_deref(), roots, now],
    )
    .await?;
    events::write(tx, Change::Server, Some(server.org), server.id, now).await
}

/// Notes whether Docker answers. Of an endpoint that was changed meanwhile nothing is noted.
pub async fn record_docker(tx: &mut Tx, server: &Server, health: kernel::Health, now: kernel::Timestamp) -> Result<()> {
    let noted = tx
        .execute(
            "UPDATE servers SET docker_health = $3 WHERE id = $1 AND generation = $2 AND docker_health <> $3",
            args![server.id, server.generation, health],
        )
        .await?;
    if noted > 0 {
        events::write(tx, Change::Server, Some(server.org), server.id, now).await?;
    }
    Ok(())
}

/// Seals and stores what TLS or ssh to the Docker endpoint needs, or removes it.
pub async fn set_docker_secret(
    tx: &mut Tx,
    vault: &Vault,
    org: OrgId,
    id: ServerId,
    secret: Option<&SecretString>,
    now: kernel::Timestamp,
) -> Result<()> {
    let row = id.to_string();
    let place = Place { table: DOCKER_SECRET.0, column: DOCKER_SECRET.1, row: &row };
    let sealed = secret.map(|s| vault.seal(place, s.expose_secret().as_bytes())).transpose()?;
    tx.execute(
        "UPDATE servers SET docker_secret = $3, generation = generation + 1, updated_at = $4 WHERE id = $1 AND org_id = $2",
        args![id, org, sealed, now],
    )
    .await?;
    events::write(tx, Change::Server, Some(org), id, now).await
}

/// What TLS or ssh to the Docker endpoint needs, opened.
pub async fn docker_secret(on: impl Into<On<'_>>, vault: &Vault, org: OrgId, id: ServerId) -> Result<Option<SecretString>> {
    let sql = "SELECT docker_secret FROM servers WHERE id = $1 AND org_id = $2 AND docker_secret IS NOT NULL";
    let Some(row) = on.into().fetch_optional(sql, args![id, org]).await? else { return Ok(None) };
    let id = id.to_string();
    let place = Place { table: DOCKER_SECRET.0, column: DOCKER_SECRET.1, row: &id };
    Ok(Some(vault.open_text(place, &row.bytes("servers.docker_secret")?)?))
}

/// # Errors
/// `Unique` when the organization has a server of that name.
pub async fn create(
    tx: &mut Tx,
    org: OrgId,
    name: &str,
    docker: Option<&str>,
    path_roots: &[PathBuf],
    sources: &Sources,
) -> Result<ServerId> {
    let (id, now) = (ServerId::new(sources), sources.now());
    let roots = serde_json::to_string(path_roots).map_err(|e| StoreError::corrupt("servers.path_roots", e))?;
    tx.execute(
        "INSERT INTO servers (id, org_id, name, docker, path_roots, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)",
        args![id, org, name, docker, roots, now],
    )
    .await?;
    events::write(tx, Change::Server, Some(org), id, now).await?;
    Ok(id)
}
