use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    args::Values,
    contract::{self as tool, *},
    csv_import::{Import, Imported, Wanted},
};

/// Import up to 1,000 rows of CSV in batches of 100, each on its own. Columns: fields; country_id by name, country_id/id by external, /.id by database id; id or .id names the record to change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportCsv {
    model: String,
    /// With a header
    content: String,
    /// Like {"Firm":"parent_id","Notes":""}
    #[serde(default)]
    field_mapping: Values,
    delimiter: Option<String>,
    /// Take cells that start like a formula
    #[serde(default)]
    allow_formulas: bool,
}
impl ImportCsv {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            model: &self.model,
            content: &self.content,
            field_mapping: &self.field_mapping.0,
            delimiter: self.delimiter.as_deref().filter(|d| !d.is_empty()),
            allow_formulas: self.allow_formulas,
        }
    }
}
impl WriteTool for ImportCsv {
    type Answer = Imported;
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let odoo = cx.odoo()?;
        Import::prepare(odoo, &self.wanted()).await?.plan(odoo).await
    }
    async fn call(self, cx: &WriteCx) -> Result<Imported> {
        let odoo = cx.odoo()?;
        let import = Import::prepare(odoo, &self.wanted()).await?;
        let taken = import.taken(odoo).await?;
        import.run(cx, taken, Vec::new()).await
    }
    async fn resume(self, cx: &WriteCx, journal: Value) -> Result<Imported> {
        Import::prepare(cx.odoo()?, &self.wanted()).await?.resume(cx, journal).await
    }
}
/// Half an hour: ten batches, each of which Odoo may take minutes for.
pub const TOOL: Tool = tool::write::<ImportCsv>("Import CSV").operation(1_800);
