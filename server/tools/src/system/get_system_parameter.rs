use backends::odoo::Parameter;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::contract::{self as tool, *};

/// Read one Odoo system parameter, or all without `key`. Secrets are masked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSystemParameter {
    /// Like mail.catchall.alias
    key: Option<String>,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Parameters {
    pub parameters: Vec<Told>,
    pub count: usize,
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Told {
    pub key: String,
    pub value: String,
    /// Something of the value is hidden.
    pub masked: bool,
}
impl From<Parameter> for Told {
    fn from(parameter: Parameter) -> Self {
        Self { key: parameter.key, value: parameter.value, masked: parameter.masked }
    }
}
impl Answer for Parameters {
    const LIST: Option<&'static str> = Some("parameters");
    fn columns(&self) -> Vec<String> {
        ["key", "value", "masked"].map(str::to_owned).into()
    }
    fn affected(&self) -> Option<u64> {
        Some(self.parameters.len() as u64)
    }
}
impl ReadTool for GetSystemParameter {
    type Answer = Parameters;
    async fn call(self, cx: &ReadCx) -> Result<Parameters> {
        let odoo = cx.odoo()?;
        let found = match &self.key {
            None => odoo.parameters().await?,
            Some(key) => odoo.parameter(key).await?.into_iter().collect(),
        };
        if let Some(key) = self.key.filter(|_| found.is_empty()) {
            let near = odoo.parameters_like(&key).await?;
            let next = if near.is_empty() {
                "Without a key this tool tells all of them.".to_owned()
            } else {
                format!("Did you mean {}?", near.join(", "))
            };
            return Err(refusal(Code::NotFound, format!("There is no system parameter {key:?}.")).next(next).into());
        }
        let parameters: Vec<Told> = found.into_iter().map(Told::from).collect();
        Ok(Parameters { count: parameters.len(), parameters })
    }
}
pub const TOOL: Tool = tool::read::<GetSystemParameter>("System parameters").lifting(&["ir.config_parameter"]);
