//! `ocore operation …`
use admin::operations::{self, Operation as Found};
use clap::Subcommand;
use kernel::time_text;
use serde_json::{Value, json};

use super::Given;
use crate::{
    failure::Result,
    terminal::{self, Shown, printable},
};

#[derive(Debug, Subcommand)]
pub enum Operation {
    /// Long work that calls began, newest first: module changes, imports
    List {
        #[arg(long, value_name = "SLUG")]
        org: String,
        /// How many rows, at most 1000
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Asks a running operation to stop where it is safe
    Cancel {
        #[arg(value_name = "ID")]
        id: String,
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
}

impl Operation {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let shown = match self {
            Self::List { org, limit } => {
                let found = operations::list(&base.admin, &base.by, &org, limit).await?;
                let rows: Vec<Vec<String>> = found.iter().map(row).collect();
                let heads = ["ID", "STARTED", "INSTANCE", "TOOL", "KEY", "STATE", "PROGRESS"];
                Shown::new(terminal::table(&heads, &rows, "No call began long work yet."), found.iter().map(as_json).collect())
            }
            Self::Cancel { id, org } => {
                let asked = operations::cancel(&base.admin, &base.by, &org, &id).await?;
                Shown::new(format!("{} was asked to stop; it does so where it is safe.", asked.tool), as_json(&asked))
            }
        };
        base.close().await;
        Ok(shown)
    }
}

fn row(o: &Found) -> Vec<String> {
    let progress = match (o.progress.total, o.progress.done) {
        (Some(total), done) => format!("{done}/{total}"),
        (None, 0) => String::new(),
        (None, done) => done.to_string(),
    };
    let state = match &o.code {
        Some(code) => format!("{} ({code})", o.state.as_str()),
        None if o.cancel_asked && o.ended_at.is_none() => "asked to stop".to_owned(),
        None => o.state.as_str().to_owned(),
    };
    vec![
        o.id.to_string(),
        time_text(o.started_at),
        o.instance_slug.clone().unwrap_or_default(),
        o.tool.clone(),
        printable(&o.key_label),
        state,
        progress,
    ]
}

fn as_json(o: &Found) -> Value {
    json!({
        "id": o.id.to_string(),
        "instance": o.instance_slug,
        "tool": o.tool,
        "key": o.key_label,
        "state": o.state.as_str(),
        "code": o.code,
        "cancel_asked": o.cancel_asked,
        "done": o.progress.done,
        "total": o.progress.total,
        "text": o.progress.text,
        "started_at": time_text(o.started_at),
        "ended_at": o.ended_at.map(time_text),
    })
}
