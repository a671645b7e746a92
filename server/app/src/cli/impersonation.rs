//! `ocore impersonation …`
use admin::impersonations::{self, Listed};
use clap::Subcommand;
use kernel::{Code, Timestamp, refusal, time_text};
use serde_json::{Value, json};

use super::Given;
use crate::{
    failure::Result,
    terminal::{self, Shown, printable},
};

#[derive(Debug, Subcommand)]
pub enum Impersonation {
    /// Links and visits, newest first: who acted as whom, where and why
    List {
        #[arg(long, value_name = "SLUG")]
        org: String,
        /// How many rows, at most 1000
        #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Ends a visit, or a link before it is opened; the Odoo session is signed out
    End {
        #[arg(value_name = "ID")]
        id: String,
        #[arg(long, value_name = "SLUG")]
        org: String,
    },
}

impl Impersonation {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        let (_, base) = given.open().await?;
        let now = base.admin.sources.now();
        let shown = match self {
            Self::List { org, limit } => {
                let found = impersonations::list(&base.admin, &base.by, &org, limit).await?;
                let rows: Vec<Vec<String>> = found.iter().map(|listed| row(listed, now)).collect();
                let heads = ["ID", "ASKED", "PERSON", "INSTANCE", "AS", "STATE", "REASON"];
                let text = terminal::table(&heads, &rows, "Nobody has acted as an Odoo user yet.");
                Shown::new(text, found.iter().map(|listed| as_json(listed, now)).collect())
            }
            Self::End { id, org } => {
                let parsed = id.parse().map_err(|_| {
                    refusal(Code::InvalidArgument, "This is no id of a visit.").next("ocore impersonation list tells them.")
                })?;
                let ended = impersonations::end(&base.admin, &base.by, &org, parsed, &base.pool().pages()).await?;
                let text = if ended { "It is ended." } else { "It had ended already." };
                Shown::new(text.to_owned(), json!({ "id": id, "ended_now": ended }))
            }
        };
        base.close().await;
        Ok(shown)
    }
}

fn state(listed: &Listed, now: Timestamp) -> String {
    let of = &listed.of;
    match (&of.ended_why, of.opened_at) {
        (Some(why), _) => printable(why),
        (None, Some(_)) if of.is_visit(now) => "open".to_owned(),
        (None, None) if of.link_until > now => "not opened yet".to_owned(),
        (None, _) => "over".to_owned(),
    }
}
fn row(listed: &Listed, now: Timestamp) -> Vec<String> {
    vec![
        listed.of.id.to_string(),
        time_text(listed.of.created_at),
        printable(&listed.person),
        listed.instance.clone(),
        printable(&listed.of.odoo_login),
        state(listed, now),
        printable(&listed.of.reason),
    ]
}
fn as_json(listed: &Listed, now: Timestamp) -> Value {
    let of = &listed.of;
    json!({
        "id": of.id.to_string(),
        "person": listed.person,
        "instance": listed.instance,
        "odoo_user_id": of.odoo_user,
        "odoo_login": of.odoo_login,
        "reason": of.reason,
        "key": of.key_label,
        "state": state(listed, now),
        "created_at": time_text(of.created_at),
        "opened_at": of.opened_at.map(time_text),
        "ends_at": of.ends_at.map(time_text),
        "ended_at": of.ended_at.map(time_text),
    })
}
