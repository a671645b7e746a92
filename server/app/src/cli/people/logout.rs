//! `ocore logout`: revoked at the server (RFC 7009), then forgotten here, whether the server could be told or not.
use clap::Args;
use serde_json::json;

use super::{Target, address, http, logins::Logins, oauth, plain};
use crate::{
    failure::{Exit, Failure, Result},
    terminal::Shown,
};

#[derive(Debug, Args)]
pub struct Logout {
    #[command(flatten)]
    target: Target,
    /// Ends all your logins on this machine
    #[arg(long, conflicts_with = "server")]
    all: bool,
}

impl Logout {
    pub async fn run(self) -> Result<Shown> {
        let logins = Logins::of_this_person()?;
        let book = logins.read().await?;
        let named = self.target.server.clone().or_else(|| std::env::var("OCORE_SERVER").ok().filter(|v| !v.trim().is_empty()));
        let urls: Vec<String> = if self.all {
            book.logins.keys().cloned().collect()
        } else if let Some(named) = named {
            let found = book.find(&named).map(|(url, _)| url.clone());
            vec![found.ok_or_else(|| {
                Failure::new(Exit::Refused, "not_found", format!("You are not signed in at \"{}\".", plain::cut(&named, 120)))
                    .next("ocore whoami shows where you are.")
            })?]
        } else {
            book.default.iter().filter(|url| book.logins.contains_key(*url)).cloned().collect()
        };
        if urls.is_empty() {
            if !self.all && !book.logins.is_empty() {
                return Err(Failure::usage("You are signed in at several servers.").next("Say where with --server, or --all."));
            }
            return Ok(Shown::new("You are not signed in.", json!([])));
        }
        let (mut lines, mut values) = (Vec::new(), Vec::new());
        for url in urls {
            let told = tell(&logins, &book, &url).await;
            logins.forget(&url).await?;
            let problem = told.err().map(|failure| failure.message);
            lines.push(match &problem {
                None => format!("Signed out of {url}."),
                Some(problem) => format!(
                    "Signed out of {url} on this machine. The server could not be told: {problem}\n\
                     The login may be good there for up to 30 days: revoke it on its page of authorizations if the tokens may have been seen."
                ),
            });
            values.push(json!({"server": url, "revoked": problem.is_none(), "problem": problem}));
        }
        Ok(Shown::new(lines.join("\n"), values.into()))
    }
}

/// Revokes the refresh token, and with it everything that came from it.
async fn tell(logins: &Logins, book: &super::logins::Book, url: &str) -> Result<()> {
    let Some(login) = book.logins.get(url) else { return Ok(()) };
    let address = address::read("The login", url)?;
    // Not while another process renews: its new token would outlive this.
    let _renewing = logins.renewing(&address).await?;
    let tokens = match logins.read().await?.logins.get(url) {
        Some(now) => logins.tokens(url, now).await?,
        None => logins.tokens(url, login).await?,
    };
    let http = http::client(&address)?;
    let (token, hint) = tokens.refresh.as_ref().map_or((&tokens.access, "access_token"), |refresh| (refresh, "refresh_token"));
    Ok(oauth::revoke(&http, &address, &login.endpoints, token, hint).await?)
}
