//! Servers: a Docker socket is root on its host, so only operators register and see them whole.
use std::path::{Component, Path, PathBuf};

use kernel::{Code, Result, Role, Server, name, refusal};
use serde_json::json;
use store::{Tx, servers};
use url::Url;

use crate::{
    Admin, By, HOST, orgs, taken, target,
    teach::{self, Checked},
};

#[derive(Debug, Clone)]
pub struct NewServer {
    /// The organization's slug.
    pub org: String,
    pub name: String,
    /// `unix:///var/run/docker.sock`, `tcp://host:2376`, `ssh://user@host`.
    pub docker: Option<String>,
    /// Absolute folders under which addons and backups of instances may be.
    pub path_roots: Vec<PathBuf>,
}

/// Operators alone.
pub async fn create(admin: &Admin, by: &By, new: &NewServer) -> Result<Server> {
    by.operator("register servers")?;
    name::slug(&new.name)?;
    if let Some(endpoint) = &new.docker {
        docker(endpoint)?;
    }
    for root in &new.path_roots {
        absolute("A path root", root)?;
        if root.components().count() < 2 {
            return Err(refusal(Code::InvalidArgument, "A path root is a folder below /.").into());
        }
    }
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, &new.org, Role::Admin).await?.organization;
    if servers::by_name(&mut tx, org.id, &new.name).await?.is_some() {
        return Err(refusal(Code::Conflict, format!("{} has a server \"{}\".", org.slug, new.name))
            .next("Choose another name.")
            .into());
    }
    let id = servers::create(&mut tx, org.id, &new.name, new.docker.as_deref(), &new.path_roots, &admin.sources)
        .await
        .map_err(taken("A server with this name"))?;
    let detail = json!({ HOST: { "docker": new.docker, "path_roots": new.path_roots } });
    admin.log(&mut tx, by, Some(org.id), "server.create", target("server", id, &new.name), &detail).await?;
    tx.commit().await?;
    Ok(Server { id, org: org.id, name: new.name.clone(), docker: new.docker.clone(), path_roots: new.path_roots.clone() })
}

/// Of one organization. Endpoint and paths are left out for who is no operator.
pub async fn list(admin: &Admin, by: &By, org: &str) -> Result<Vec<Server>> {
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Viewer).await?.organization;
    let mut found = servers::list(&mut tx, org.id).await?;
    if !by.is_operator() {
        for server in &mut found {
            server.docker = None;
            server.path_roots.clear();
        }
    }
    Ok(found)
}

/// The organization's server of that name.
pub(crate) async fn resolve(tx: &mut Tx, org: kernel::OrgId, called: &str) -> Result<Server> {
    if let Some(server) = servers::by_name(&mut *tx, org, called).await? {
        return Ok(server);
    }
    let known = servers::list(&mut *tx, org).await?;
    Err(teach::not_found("server", called, known.iter().map(|s| s.name.as_str())).into())
}

fn docker(endpoint: &str) -> Checked<()> {
    let no = |text: &'static str| {
        Err(refusal(Code::InvalidArgument, text)
            .next("Write unix:///var/run/docker.sock, tcp://host:2376 (with TLS) or ssh://user@host."))
    };
    let Ok(url) = Url::parse(endpoint) else { return no("The Docker endpoint is no URL.") };
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return no("A Docker endpoint has no password and no parameters.");
    }
    match url.scheme() {
        "unix" if url.path().len() > 1 && !url.has_host() => Ok(()),
        "tcp" if url.has_host() && url.port().is_some() && url.username().is_empty() => Ok(()),
        "ssh" if url.has_host() => Ok(()),
        _ => no("ocore cannot reach Docker by this endpoint."),
    }
}

/// Refuses relative paths and those that go back up.
pub(crate) fn absolute(what: &str, path: &Path) -> Checked<()> {
    let plain = path.is_absolute() && path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    if plain && path.to_str().is_some_and(|t| !t.chars().any(char::is_control)) {
        return Ok(());
    }
    Err(refusal(Code::InvalidArgument, format!("{what} is an absolute path without \"..\".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for good in ["unix:///var/run/docker.sock", "tcp://10.0.0.1:2376", "ssh://ops@host", "ssh://host:2222"] {
            assert!(docker(good).is_ok(), "{good}");
        }
        for bad in ["", "/var/run/docker.sock", "unix://", "tcp://host", "http://host:1", "ssh://a:b@host", "tcp://h:1?x=1"] {
            assert!(docker(bad).is_err(), "{bad}");
        }
    }
}
