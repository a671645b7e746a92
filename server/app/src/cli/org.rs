//! `ocore org …`
use admin::orgs::{self, OrgChange, OrgRow};
use clap::{Args, Subcommand, ValueEnum};
use kernel::{resource::WithoutResource, time_text};
use serde_json::{Value, json};

use super::Given;
use crate::{
    failure::{Failure, Result},
    terminal::{self, Shown},
};

#[derive(Debug, Subcommand)]
pub enum Org {
    /// Creates an organization
    Create {
        /// Its short name: letters, digits and hyphens
        slug: String,
        /// What people call it [default: the slug]
        #[arg(long)]
        name: Option<String>,
    },
    /// Lists the organizations
    List,
    /// Changes an organization
    Update(Update),
}

#[derive(Debug, Args)]
pub struct Update {
    slug: String,
    /// What people call it
    #[arg(long)]
    name: Option<String>,
    /// On: every call of the organization is refused
    #[arg(long, value_enum)]
    kill_switch: Option<Switch>,
    /// The most records in one answer, 10 to 10000
    #[arg(long, value_name = "N")]
    max_records: Option<u32>,
    /// The most that a search may ask for, 100 to 50000
    #[arg(long, value_name = "N")]
    max_search_limit: Option<u32>,
    /// How many days audit rows of calls are kept
    #[arg(long, alias = "audit-retention", value_name = "DAYS")]
    audit_retention_days: Option<u32>,
    /// What becomes of Odoo models for which there is no resource: as Odoo says (follow), or refused (refuse)
    #[arg(long, value_name = "follow|refuse")]
    without_resource: Option<WithoutResource>,
    /// Whether new resources start read-only
    #[arg(long, value_enum)]
    default_read_only: Option<Switch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl Org {
    pub async fn run(self, given: &Given) -> Result<Shown> {
        if let Self::Update(Update {
            name: None,
            kill_switch: None,
            max_records: None,
            max_search_limit: None,
            audit_retention_days: None,
            without_resource: None,
            default_read_only: None,
            ..
        }) = &self
        {
            return Err(
                Failure::usage("Nothing to change was named.").next("Add --kill-switch on|off, --name or another option.")
            );
        }
        let (_, base) = given.open().await?;
        let (admin, by) = (&base.admin, &base.by);
        let shown = match self {
            Self::Create { slug, name } => {
                let row = orgs::create(admin, by, &slug, name.as_deref().unwrap_or(&slug)).await?;
                Shown::new(format!("Created the organization {slug}."), json(&row))
            }
            Self::List => {
                let rows = orgs::list(admin, by).await?;
                let table = rows.iter().map(|r| {
                    let o = &r.organization;
                    let switch = if o.kill_switch { "on" } else { "off" };
                    vec![o.slug.to_string(), o.name.clone(), switch.into(), format!("{} days", r.audit_retention_days)]
                });
                let text = terminal::table(
                    &["SLUG", "NAME", "KILL SWITCH", "AUDIT KEPT"],
                    &table.collect::<Vec<_>>(),
                    "There is no organization yet. Create one: ocore org create SLUG",
                );
                Shown::new(text, rows.iter().map(json).collect())
            }
            Self::Update(update) => {
                let change = OrgChange {
                    name: update.name,
                    kill_switch: update.kill_switch.map(|s| s == Switch::On),
                    max_records: update.max_records,
                    max_search_limit: update.max_search_limit,
                    audit_retention_days: update.audit_retention_days,
                    without_resource: update.without_resource,
                    default_read_only: update.default_read_only.map(|s| s == Switch::On),
                };
                let row = orgs::update(admin, by, &update.slug, change).await?;
                let what = match update.kill_switch {
                    Some(Switch::On) => {
                        "The kill switch is on: every call of the organization is refused, within 30 seconds everywhere."
                    }
                    Some(Switch::Off) => "The kill switch is off.",
                    None => "Changed.",
                };
                Shown::new(format!("{}: {what}", update.slug), json(&row))
            }
        };
        base.close().await;
        Ok(shown)
    }
}

fn json(row: &OrgRow) -> Value {
    let o = &row.organization;
    json!({
        "id": o.id.to_string(),
        "slug": o.slug,
        "name": o.name,
        "kill_switch": o.kill_switch,
        "max_records": o.max_records,
        "max_search_limit": o.max_search_limit,
        "audit_retention_days": row.audit_retention_days,
        "without_resource": o.without_resource,
        "default_read_only": o.default_read_only,
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    })
}
