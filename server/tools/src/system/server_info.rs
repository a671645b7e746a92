use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// What the Odoo server says of itself: version, database, number of installed modules. Use get_instance_info for what ocore knows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerInfo {}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Info {
    pub server_version: String,
    pub server_serie: String,
    /// From the version's mark: `+e` is enterprise.
    pub edition: &'static str,
    pub database: String,
    pub url: String,
    /// Absent when this login may not read the list of modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed_modules: Option<u64>,
    pub configuration: Configuration,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
/// How ocore speaks with it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Configuration {
    pub rpc_dialect: Option<&'static str>,
    /// Calls at a time.
    pub concurrency: u32,
    pub lang: Option<String>,
    pub tz: Option<String>,
    pub max_records: u64,
    pub max_search_limit: u64,
}
impl Answer for Info {}

fn edition(version: &str) -> &'static str {
    if version.contains("+e") { "enterprise" } else { "community" }
}
impl ReadTool for ServerInfo {
    type Answer = Info;
    async fn call(self, cx: &ReadCx) -> Result<Info> {
        let (instance, odoo) = (cx.instance()?, cx.odoo()?);
        let version = odoo.server_version().await?;
        let installed_modules = odoo.installed_modules().await?;
        let unread = "This login may not read the list of modules: their number is unknown.".to_owned();
        let notes = if installed_modules.is_none() { vec![unread] } else { Vec::new() };
        Ok(Info {
            edition: edition(&version.server_version),
            server_version: version.server_version,
            server_serie: version.server_serie,
            database: instance.database.clone(),
            url: instance.url.origin().ascii_serialization(),
            installed_modules,
            configuration: Configuration {
                rpc_dialect: instance.rpc.as_ref().map(|rpc| rpc.dialect.as_str()),
                concurrency: instance.concurrency,
                lang: odoo.context().lang.clone(),
                tz: odoo.context().tz.clone(),
                max_records: odoo.scope().max_records,
                max_search_limit: odoo.scope().max_search_limit,
            },
            notes,
        })
    }
}
pub const TOOL: Tool = tool::read::<ServerInfo>("Odoo server");

#[cfg(test)]
mod tests {
    #[test]
    fn editions() {
        assert_eq!(super::edition("19.0+e-20260215"), "enterprise");
        assert_eq!(super::edition("19.0-20260215"), "community");
    }
}
