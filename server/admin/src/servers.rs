//! Servers: a Docker socket is root on its host, so only operators register and see them whole.
use std::path::{Component, Path, PathBuf};

pub use backends::docker::DockerSecret;
use kernel::{Code, Result, Role, SecretString, Server, name, refusal};
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
    /// What TLS or ssh to it needs.
    pub secret: Option<DockerSecret>,
    /// Absolute folders under which addons and backups of instances may be.
    pub path_roots: Vec<PathBuf>,
}

/// What to change; what is none stays, and an inner none removes.
#[derive(Debug, Clone, Default)]
pub struct ServerUpdate {
    pub docker: Option<Option<String>>,
    pub secret: Option<DockerSecret>,
    pub path_roots: Option<Vec<PathBuf>>,
}

/// Operators alone.
pub async fn create(admin: &Admin, by: &By, new: &NewServer) -> Result<Server> {
    by.operator("register servers")?;
    name::slug(&new.name)?;
    if let Some(endpoint) = &new.docker {
        docker(endpoint)?;
    }
    let secret = sealable(new.docker.as_deref(), new.secret.as_ref())?;
    roots(&new.path_roots)?;
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
    if let Some(secret) = &secret {
        servers::set_docker_secret(&mut tx, &admin.vault, org.id, id, Some(secret), admin.sources.now()).await?;
    }
    let detail = json!({ HOST: { "docker": new.docker, "path_roots": new.path_roots } });
    admin.log(&mut tx, by, Some(org.id), "server.create", target("server", id, &new.name), &detail).await?;
    let made = servers::find(&mut tx, org.id, id).await?.ok_or_else(|| teach::hidden("server", &new.name))?;
    tx.commit().await?;
    Ok(made)
}

/// Operators alone. A server keeps its Docker endpoint while instances have containers there.
pub async fn update(admin: &Admin, by: &By, org: &str, called: &str, change: &ServerUpdate) -> Result<Server> {
    by.operator("change servers")?;
    let now = admin.sources.now();
    let mut tx = admin.begin().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Admin).await?.organization;
    let old = resolve(&mut tx, org.id, called).await?;
    let mut new = old.clone();
    if let Some(endpoint) = &change.docker {
        if let Some(endpoint) = endpoint {
            docker(endpoint)?;
        }
        new.docker.clone_from(endpoint);
    }
    if let Some(folders) = &change.path_roots {
        roots(folders)?;
        new.path_roots.clone_from(folders);
    }
    for row in store::instances::list(&mut tx, org.id).await?.iter().filter(|row| row.instance.server == old.id) {
        let host = &row.instance.host;
        let slug = &row.instance.slug;
        if host.container.is_some() && new.docker != old.docker {
            return Err(refusal(Code::Conflict, format!("{slug} has a container by the present endpoint of {called}."))
                .next(format!("Take it away first: ocore instance update {slug} --container \"\""))
                .into());
        }
        let local = host.addons.iter().filter_map(|f| match f {
            kernel::AddonsFolder::Local(path) => Some(path),
            kernel::AddonsFolder::Container(_) => None,
        });
        if let Some(outside) = local.chain(&host.backups).find(|p| !new.path_roots.iter().any(|root| p.starts_with(root))) {
            return Err(refusal(Code::Conflict, format!("{slug} has {} outside these path roots.", outside.display()))
                .next("Keep the root it is in, or give the instance another folder first.")
                .into());
        }
    }
    let secret = sealable(new.docker.as_deref(), change.secret.as_ref())?;
    servers::save(&mut tx, &new, now).await?;
    // Secrets were given for an endpoint: another one must not get them.
    if secret.is_some() || new.docker != old.docker {
        servers::set_docker_secret(&mut tx, &admin.vault, org.id, old.id, secret.as_ref(), now).await?;
    }
    let detail = json!({ HOST: {
        "docker": { "old": old.docker, "new": new.docker },
        "path_roots": { "old": old.path_roots, "new": new.path_roots },
        "secret_changed": secret.is_some(),
    } });
    admin.log(&mut tx, by, Some(org.id), "server.update", target("server", old.id, called), &detail).await?;
    let saved = servers::find(&mut tx, org.id, old.id).await?.ok_or_else(|| teach::hidden("server", called))?;
    tx.commit().await?;
    Ok(saved)
}

/// One server, with its endpoint. Operators alone.
pub async fn show(admin: &Admin, by: &By, org: &str, called: &str) -> Result<Server> {
    by.operator("see where servers are")?;
    let mut tx = admin.db.begin_read().await?;
    let org = orgs::resolve(&mut tx, by, org, Role::Viewer).await?.organization;
    resolve(&mut tx, org.id, called).await
}

fn roots(folders: &[PathBuf]) -> Checked<()> {
    for root in folders {
        absolute("A path root", root)?;
        if root.components().count() < 2 {
            return Err(refusal(Code::InvalidArgument, "A path root is a folder below /."));
        }
    }
    Ok(())
}

/// What the endpoint needs, as it is sealed; refused when it is not what this kind of endpoint takes.
fn sealable(endpoint: Option<&str>, secret: Option<&DockerSecret>) -> Checked<Option<SecretString>> {
    let Some(secret) = secret else { return Ok(None) };
    let Some(endpoint) = endpoint else {
        return Err(
            refusal(Code::InvalidArgument, "Keys and certificates are for a Docker endpoint.").next("Name the endpoint too.")
        );
    };
    backends::docker::check_secret(endpoint, secret)?;
    Ok(Some(secret.to_text()))
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
