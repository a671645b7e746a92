//! Hosts that run Odoo. Endpoints and paths are for operators alone.
use std::path::PathBuf;

use kernel::{OrgId, Server, ServerId, Sources};

use crate::{
    On, Result, Row, StoreError, Tx, args,
    events::{self, Change},
};

pub(crate) fn read(row: &Row) -> Result<Server> {
    Ok(Server {
        id: row.parsed("servers.id")?,
        org: row.parsed("servers.org_id")?,
        name: row.text("servers.name")?,
        docker: row.opt_text("servers.docker")?,
        path_roots: row.json("servers.path_roots")?,
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
