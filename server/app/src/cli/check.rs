//! A login to an instance, tried before anything relies on it.
use std::{sync::Arc, time::Duration};

use admin::{
    instances::{Check, Login},
    posthog::PostHogUpdate,
};
use backends::{
    files,
    odoo::{Credential, Credentials, Pool, PoolSettings},
};
use futures_util::future::BoxFuture;
use kernel::{Health, Instance, RpcConnection};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::{
    failure::{Failure, Result},
    wiring::Base,
};

/// How long an Odoo may take to answer: one that was just started loads its registry first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tries a login that is not stored yet.
pub async fn given(base: &Base, instance: &Instance, login: &Login) -> Result<Check> {
    let credentials = Arc::new(Given { login: login.login.clone(), secret: login.secret.clone() });
    let pool = Pool::new(credentials, base.admin.networks.clone(), PoolSettings::default());
    tried(&pool, instance).await.map_err(|failure| {
        // What is said of a stored login that Odoo refused does not hold for one that is not stored yet.
        let stored = failure.next.contains("does not try this credential again");
        let advice = if stored { "Check the database, the login and its secret." } else { failure.next.as_str() };
        let advice = format!("{advice} Nothing was stored; --no-check stores it without this check.");
        failure.next(advice.trim().to_owned())
    })
}

/// Tries the login that the store holds.
pub async fn stored(base: &Base, instance: &Instance) -> Result<Check> {
    tried(&base.pool(), instance).await
}

/// Tries what an instance's PostHog is to become, with the key that is given or the stored one.
pub async fn posthog(base: &Base, instance: &Instance, given: &PostHogUpdate) -> Result<()> {
    let connection = given.onto(&base.admin, instance.posthog.as_ref())?;
    let tried = base.posthog().check(Arc::new(instance.clone()), connection, given.key.clone(), Instant::now() + PATIENCE).await;
    tried.map_err(|fault| {
        let failure: Failure = fault.into();
        let advice = format!("{} Nothing was stored; --no-check stores it without this check.", failure.next);
        failure.next(advice.trim().to_owned())
    })
}

/// The ways beside RPC, and what was found of each; none where it is not set up.
pub async fn ways(base: &Base, instance: &Instance) -> Vec<(&'static str, Option<Result<String>>)> {
    let host = &instance.host;
    let postgres = match &host.postgres {
        None => None,
        Some(connection) => Some(
            async {
                let address = base.postgres_address(instance).await?;
                let version = base.postgres().check(&address, connection.ca.as_deref()).await?;
                Ok(format!("PostgreSQL {version} answers"))
            }
            .await,
        ),
    };
    let docker = match (&host.docker, &host.container) {
        (Some(docker), Some(container)) => Some(
            async {
                let pool = base.docker();
                let (version, problems) = pool.check(instance.org, docker).await?;
                let said = pool.look(instance, docker, container).await?;
                let problems = if problems.is_empty() { String::new() } else { format!("; {}", problems.join(" ")) };
                Ok(format!("Docker {version} answers, {said}{problems}"))
            }
            .await,
        ),
        _ => None,
    };
    let posthog = match &instance.posthog {
        None => None,
        Some(connection) => Some(
            base.posthog()
                .check(Arc::new(instance.clone()), connection.clone(), None, Instant::now() + PATIENCE)
                .await
                .map(|()| "PostHog answers".to_owned())
                .map_err(Failure::from),
        ),
    };
    let files = if host.addons.is_empty() {
        None
    } else {
        Some(
            async {
                let pool = files::Pool::new(base.docker(), files::Folders::default());
                let found = pool.reader(Arc::new(instance.clone()), Instant::now() + PATIENCE)?.list("").await?;
                Ok(format!("{} addons found", found.addons.len()))
            }
            .await
            .map_err(|fault: kernel::Fault| Failure::from(fault)),
        )
    };
    vec![("PostgreSQL", postgres), ("Container", docker), ("Addons", files), ("PostHog", posthog)]
}

async fn tried(pool: &Pool, instance: &Instance) -> Result<Check> {
    let found = pool.check(&Arc::new(instance.clone()), Instant::now() + PATIENCE).await?;
    Ok(Check { health: Health::Up, version: Some(found.version), edition: Some(found.edition), login: true })
}

/// A secret that came with the command.
#[derive(Debug)]
struct Given {
    login: String,
    secret: SecretString,
}
impl Credentials for Given {
    fn open<'a>(&'a self, _: &'a Instance, _: &'a RpcConnection) -> BoxFuture<'a, kernel::Result<Credential>> {
        Box::pin(async move { Ok(Credential { login: self.login.clone(), secret: self.secret.clone() }) })
    }
    fn refused<'a>(&'a self, _: &'a Instance, _: &'a RpcConnection) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }
}
