//! `ocore config …`
use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::json;
use store::{Db, DbUrl};

use super::Given;
use crate::{config, failure::Result, terminal::Shown};

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Shows every setting in force and where it comes from; secrets are not shown
    Show,
    /// Checks the configuration, and whether the store can be reached
    Check,
    /// Prints the configuration reference in Markdown
    Docs {
        /// Prints a sample file instead
        #[arg(long)]
        sample: bool,
    },
}

impl Config {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        match self {
            Self::Show => Ok(given.settings(None, None)?.show()),
            Self::Docs { sample } => {
                let text = if sample { config::sample() } else { config::reference() };
                let value = json!({"text": &text});
                Ok(Shown::new(text, value))
            }
            Self::Check => check(given).await,
        }
    }
}

async fn check(given: &Given) -> Result<Shown> {
    let settings = given.settings(None, None)?;
    let mut remarks = settings.remarks.clone();
    let store = match &settings.database_url {
        // Looking must not make an empty file.
        DbUrl::Sqlite(path) if !path.exists() => "not made yet; the first command or start makes it".to_owned(),
        url => {
            let db = Db::open(url).await?;
            let pending = db.pending_migrations().await?;
            db.close().await;
            if pending.is_empty() {
                "up to date".to_owned()
            } else {
                remarks.push("The store's tables are not up to date: run ocore migrate.".into());
                format!("{} migrations are missing", pending.len())
            }
        }
    };
    let mut text = format!("The configuration can be used.\nStore {}: {store}.\n", settings.database_url);
    for remark in &remarks {
        let _ = writeln!(text, "note: {remark}");
    }
    Ok(Shown::new(
        text,
        json!({"ok": true, "store": {"url": settings.database_url.to_string(), "state": store}, "notes": remarks}),
    ))
}
