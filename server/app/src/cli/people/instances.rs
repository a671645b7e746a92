//! `ocore instances`
use clap::Args;
use serde_json::Value;

use super::{Target, plain};
use crate::{
    failure::Result,
    terminal::{self, Shown},
};

#[derive(Debug, Args)]
pub struct Instances {
    #[command(flatten)]
    target: Target,
}

impl Instances {
    pub async fn run(self) -> Result<Shown> {
        let access = self.target.open().await?;
        let instances = access.instances().await?;
        let rows: Vec<Vec<String>> = instances
            .as_array()
            .into_iter()
            .flatten()
            .map(|instance| {
                let text = |name: &str| plain::cut(instance.get(name).and_then(Value::as_str).unwrap_or("-"), 60);
                let writes = match instance.get("mcp_write_enabled").and_then(Value::as_bool) {
                    Some(true) => "on",
                    Some(false) => "off",
                    None => "-",
                };
                // Production is told apart by its word, in capitals, not by a colour.
                let environment = text("environment");
                let environment = if environment == "production" { "PRODUCTION".to_owned() } else { environment };
                vec![text("slug"), environment, text("odoo_version"), text("status"), writes.to_owned(), text("name")]
            })
            .collect();
        let table = terminal::table(
            &["INSTANCE", "ENVIRONMENT", "ODOO", "STATUS", "WRITES", "NAME"],
            &rows,
            "There is no instance that you may use. An administrator of your organization grants them.",
        );
        Ok(Shown::new(table, instances))
    }
}
