//! `ocore openid …`
use clap::Subcommand;
use identity::openid::Providers;
use kernel::Networks;
use serde_json::json;

use super::Given;
use crate::{
    failure::{Failure, Result},
    terminal::Shown,
};

#[derive(Debug, Subcommand)]
pub enum Openid {
    /// Asks each provider for its metadata and keys, and tells what is to be registered there
    Check,
}

impl Openid {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let settings = given.settings(None, None)?;
        let providers =
            Providers::new(settings.openid.clone(), Networks::new(settings.instance_networks.clone()), kernel::Sources::system())
                .map_err(|e| Failure::because("The client of HTTP could not be made", &e))?;
        let (mut lines, mut values, mut bad) = (Vec::new(), Vec::new(), 0);
        for provider in providers.list() {
            let back = settings.link(&format!("/openid/{}/callback", provider.slug()));
            let found = providers.check(provider).await;
            let says = match &found {
                Ok(()) => "ready: metadata and keys are there".to_owned(),
                Err(why) => {
                    bad += 1;
                    format!("not usable: {why}")
                }
            };
            lines.push(format!(
                "{} ({}) at {}\n  {says}\n  redirect URI to register there: {back}",
                provider.slug(),
                provider.name(),
                provider.issuer()
            ));
            values.push(json!({
                "slug": provider.slug(),
                "issuer": provider.issuer(),
                "redirect_uri": back,
                "ready": found.is_ok(),
                "problem": found.err().map(|e| e.to_string()),
            }));
        }
        if lines.is_empty() {
            lines.push(
                "No provider is set up. The guide (\"People\") shows how: a table [[openid]] in the configuration file.".into(),
            );
        }
        if bad > 0 {
            return Err(Failure::failed(format!("{bad} of {} cannot be used.\n{}", values.len(), lines.join("\n")))
                .next("Correct [[openid]] in the configuration file, or the provider, and check again."));
        }
        Ok(Shown::new(lines.join("\n"), json!({ "providers": values })))
    }
}
