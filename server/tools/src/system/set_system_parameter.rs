use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

use crate::contract::{self as tool, *};

/// Set an Odoo system parameter, or create it. Refused for secrets and for what Odoo's identity, links, files and sign-in hang on.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetSystemParameter {
    key: String,
    #[serde(deserialize_with = "text")]
    value: String,
}
/// Parameters are texts. What is no text or number is refused without being repeated.
fn text<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<String, D::Error> {
    match Value::deserialize(d)? {
        Value::String(text) => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(_) => Err(D::Error::custom(
            "Odoo keeps parameters as texts, and any text is true to it: write \"True\" to switch something on and \"\" to switch it off",
        )),
        _ => Err(D::Error::custom("a text")),
    }
}
#[derive(Debug, Serialize, JsonSchema)]
pub struct Set {
    pub key: String,
    /// As it stands now, secrets masked.
    pub value: String,
    pub masked: bool,
    /// What was there before, secrets masked; absent when the parameter is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old_value: Option<String>,
    pub created: bool,
    pub changed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}
impl Answer for Set {
    fn affected(&self) -> Option<u64> {
        Some(self.changed.into())
    }
}
impl WriteTool for SetSystemParameter {
    type Answer = Set;
    fn confirm(&self) -> bool {
        true
    }
    async fn plan(&self, cx: &ReadCx) -> Result<Plan> {
        let odoo = cx.odoo()?;
        let (old, new, same) = odoo.would_set(&self.key, &self.value).await?;
        let mut warnings = Vec::new();
        let example = if let Some(old) = &old {
            format!("{}: {:?} becomes {:?}", self.key, old.value, new.value)
        } else {
            let near = odoo.parameters_like(&self.key).await?;
            let meant = if near.is_empty() { String::new() } else { format!(" Did you mean {}?", near.join(", ")) };
            warnings.push(format!("There is no parameter {} yet: it would be created.{meant}", self.key));
            format!("{}: {:?}", self.key, new.value)
        };
        if same {
            warnings.push("It has this value already: nothing would change.".to_owned());
        }
        Ok(Plan {
            summary: format!("Would {} the system parameter {}", if old.is_some() { "change" } else { "create" }, self.key),
            affected: (!same).into(),
            examples: vec![example],
            warnings,
            ids: vec![new.id],
        })
    }
    async fn call(self, cx: &WriteCx) -> Result<Set> {
        let odoo = cx.odoo()?;
        let (old, new, unchanged) = odoo.would_set(&self.key, &self.value).await?;
        let created = old.is_none();
        let old_value = old.map(|old| old.value);
        let mut notes = Vec::new();
        let (now, same) = odoo.set_parameter(&self.key, &self.value).await?;
        if !same {
            notes.push("Odoo made another value of it than the one that was given.".to_owned());
        }
        if now.is_none() {
            notes.push("Odoo took the value, but the parameter is not there now.".to_owned());
        }
        let (value, masked) = now.map_or((String::new(), new.masked), |now| (now.value, now.masked));
        Ok(Set { key: self.key, value, masked, old_value, created, changed: !unchanged, notes })
    }
}
pub const TOOL: Tool = tool::write::<SetSystemParameter>("Set a system parameter").lifting(&["ir.config_parameter"]);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_texts() {
        let value = |v: Value| serde_json::from_value::<SetSystemParameter>(json!({"key": "a.b", "value": v})).map(|s| s.value);
        assert_eq!(value(json!("x")).unwrap(), "x");
        assert_eq!(value(json!(8)).unwrap(), "8");
        assert!(value(json!(true)).unwrap_err().to_string().contains("\"True\""));
        let refused = value(json!({"token": "hunter22"})).unwrap_err().to_string();
        assert!(!refused.contains("hunter22"), "{refused}");
    }
}
