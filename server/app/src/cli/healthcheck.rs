//! `ocore healthcheck`
use clap::Args;
use serde_json::json;

use super::Given;
use crate::{
    failure::{Failure, Result},
    http,
    terminal::Shown,
};

#[derive(Debug, Args)]
pub struct Healthcheck {
    /// The server's address [default: where `listen` of the configuration says]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Healthcheck {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let base = match self.url {
            Some(url) => url,
            None => http::local(&given.settings(None, None)?.listen),
        };
        let url = format!("{}/ready", base.trim_end_matches('/').trim_end_matches("/mcp"));
        let answer = http::client()?.get(&url).send().await.map_err(|e| {
            Failure::because(&format!("{url} does not answer"), &e).next("Check that `ocore serve` runs and listens there.")
        })?;
        let status = answer.status();
        if !status.is_success() {
            return Err(Failure::failed(format!("{url} answers {status}: the server is not ready."))
                .next("Look into its log; its store may be out of reach."));
        }
        Ok(Shown::new(format!("{url}: ready"), json!({"url": url, "ready": true})))
    }
}
